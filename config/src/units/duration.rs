//! Durations: `200ms`, `2s`, `1h30m`, down to the microsecond.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serializer;

use super::quantity::{QuantityError, split};

/// The duration `text` says.
pub fn parse(text: &str) -> Result<Duration, QuantityError> {
    let (mut rest, mut total, mut last) = (text.trim(), 0u64, u64::MAX);
    loop {
        let (value, size, tail) = split(rest, UNITS)?;
        if size >= last {
            return Err(QuantityError::Order(rest.chars().take(40).collect()));
        }
        let too_large = || QuantityError::TooLarge(text.chars().take(40).collect());
        (total, last, rest) = (total.checked_add(value).ok_or_else(too_large)?, size, tail.trim_start());
        if rest.is_empty() {
            return Ok(Duration::from_micros(total));
        }
    }
}

/// The duration as an operator writes it, what is finer than a microsecond left out.
pub fn render(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".into();
    }
    let mut text = String::new();
    for (name, size) in UNITS {
        if left >= *size {
            text.push_str(&format!("{}{name}", left / size));
            left %= size;
        }
    }
    text
}

pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&render(*duration))
}

pub(crate) fn serialize_option<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => serialize(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// The schema of a duration.
pub(crate) struct Text;

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "duration",
            "pattern": "^ *([0-9]+([.][0-9]+)? *(d|h|m|s|ms|us) *)+$",
        })
    }
}

const UNITS: &[(&str, u64)] = &[
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1000),
    ("us", 1),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(parse("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse(" 1h 30m "), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(render(Duration::from_secs(5400)), "1h30m");
        assert_eq!(render(Duration::from_millis(120)), "120ms");
    }

    #[test]
    fn what_is_not_a_duration_says_why() {
        assert_eq!(parse(""), Err(QuantityError::NoNumber("".into())));
        assert_eq!(parse("fast"), Err(QuantityError::NoNumber("fast".into())));
        assert_eq!(parse("200"), Err(QuantityError::NoUnit("200".into())));
        assert_eq!(parse("2 sec"), Err(QuantityError::UnknownUnit("sec".into())));
        assert_eq!(parse("1m2h"), Err(QuantityError::Order("2h".into())));
        assert_eq!(parse("1.5us"), Err(QuantityError::TooFine("1.5".into())));
        assert_eq!(parse("1..5s"), Err(QuantityError::NoNumber("1..5".into())));
        assert_eq!(
            parse("99999999999999999999s"),
            Err(QuantityError::TooLarge("99999999999999999999".into()))
        );
    }

    proptest! {
        #[test]
        fn a_duration_reads_back_as_rendered(micros in any::<u64>()) {
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse(&render(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}|[0-9.dhmsu ]{0,60}") {
            if let Ok(duration) = parse(&text) {
                prop_assert_eq!(parse(&render(duration)), Ok(duration));
            }
        }
    }
}
