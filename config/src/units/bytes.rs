//! Sizes in bytes: `16kB`, `64MiB`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serializer;

use super::quantity::{self, QuantityError, split};

/// The size in bytes `text` says.
pub fn parse(text: &str) -> Result<u64, QuantityError> {
    match split(text.trim(), UNITS)? {
        (value, _, "") => Ok(value),
        (_, _, rest) => Err(QuantityError::UnknownUnit(rest.chars().take(40).collect())),
    }
}

/// The size as an operator writes it.
pub fn render(bytes: u64) -> String {
    quantity::render(bytes, UNITS)
}

pub(crate) fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&render(*bytes as u64))
}

/// The schema of a size.
pub(crate) struct Text;

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "bytes",
            "pattern": "^ *[0-9]+([.][0-9]+)? *(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB) *$",
        })
    }
}

const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(parse("64MiB"), Ok(64 << 20));
        assert_eq!(parse("16 kB"), Ok(16_000));
        assert_eq!(parse("1.5KiB"), Ok(1536));
        assert_eq!(render(64 << 20), "64MiB");
        assert_eq!(render(16_000), "16kB");
        assert_eq!(render(0), "0B");
        assert_eq!(parse("64"), Err(QuantityError::NoUnit("64".into())));
        assert_eq!(parse("64mb"), Err(QuantityError::UnknownUnit("mb".into())));
        assert_eq!(parse("64MiB 3"), Err(QuantityError::UnknownUnit(" 3".into())));
    }

    proptest! {
        #[test]
        fn a_size_reads_back_as_rendered(bytes in any::<u64>()) {
            prop_assert_eq!(parse(&render(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}|[0-9.kKMGTiB ]{0,60}") {
            if let Ok(bytes) = parse(&text) {
                prop_assert_eq!(parse(&render(bytes)), Ok(bytes));
            }
        }
    }
}
