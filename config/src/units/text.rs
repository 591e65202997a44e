//! What is written as a plain text: addresses, networks, ids, patterns.

use std::borrow::Cow;
use std::fmt::Display;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serializer;

pub(crate) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(crate) fn serialize_all<T: Display, S: Serializer>(
    values: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(ToString::to_string))
}

macro_rules! text_schema {
    ($(#[$doc:meta])* $name:ident, $schema:tt) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text_schema!(
    /// The schema of an address and port.
    Address,
    { "type": "string", "format": "address", "pattern": "^.+:[0-9]{1,5}$" }
);
text_schema!(
    /// The schema of a network, or of one address.
    Network,
    { "type": "string", "format": "network" }
);
text_schema!(
    /// The schema of an id (`flambeau_media::id`).
    Id,
    { "type": "string", "format": "id", "maxLength": 64, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$" }
);
text_schema!(
    /// The schema of a pattern of ids.
    Pattern,
    { "type": "string", "format": "pattern", "minLength": 1, "maxLength": 64 }
);
text_schema!(
    /// The schema of an origin of a web page (RFC 6454), or `*`.
    Origin,
    { "type": "string", "format": "origin", "pattern": "^([*]|https?://[^/]+)$" }
);
