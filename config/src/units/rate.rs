//! Bit rates: `800kb/s`, `20Mb/s`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use super::quantity::{self, QuantityError, split};

/// A rate in bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(pub u64);

impl BitRate {
    /// The rate in bits a second.
    pub fn bits_per_second(self) -> u64 {
        self.0
    }

    /// The rate in bytes a second, rounded down.
    pub fn bytes_per_second(self) -> u64 {
        self.0 / 8
    }
}

impl FromStr for BitRate {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        match split(text.trim(), UNITS)? {
            (value, _, "") => Ok(Self(value)),
            (_, _, rest) => Err(QuantityError::UnknownUnit(rest.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quantity::render(self.0, UNITS))
    }
}

impl Serialize for BitRate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for BitRate {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "BitRate".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "bit-rate",
            "pattern": "^ *[0-9]+([.][0-9]+)? *(b/s|kb/s|Mb/s|Gb/s) *$",
        })
    }
}

const UNITS: &[(&str, u64)] = &[("Gb/s", 1_000_000_000), ("Mb/s", 1_000_000), ("kb/s", 1000), ("b/s", 1)];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_read_as_people_write_them() {
        assert_eq!("20Mb/s".parse(), Ok(BitRate(20_000_000)));
        assert_eq!("1.5 Gb/s".parse(), Ok(BitRate(1_500_000_000)));
        assert_eq!(BitRate(1_500_000_000).to_string(), "1500Mb/s");
        assert_eq!("20MB/s".parse::<BitRate>(), Err(QuantityError::UnknownUnit("MB/s".into())));
        assert_eq!("20".parse::<BitRate>(), Err(QuantityError::NoUnit("20".into())));
    }

    proptest! {
        #[test]
        fn a_rate_reads_back_as_rendered(bits in any::<u64>()) {
            prop_assert_eq!(BitRate(bits).to_string().parse(), Ok(BitRate(bits)));
        }
    }
}
