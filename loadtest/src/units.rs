//! Quantities as a tester writes them: `20Mb/s`, `2%`, `20ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a bit rate.
    #[error("{0:?} is not a bit rate: write a number and b/s, kb/s, Mb/s or Gb/s, as in 20Mb/s")]
    Rate(String),
    /// Not a share of the packets.
    #[error("{0:?} is not a share from 0% to 100%: write it as in 2% or 0.02")]
    Share(String),
    /// Not a length of time.
    #[error("{0:?} is not a length of time: write a number and us, ms, s, m or h, as in 20ms")]
    Span(String),
}

/// A bit rate, in bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(pub u64);

impl Rate {
    /// How long `bytes` take at this rate.
    pub fn time_of(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(self.0.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many bytes fit into `span` at this rate.
    pub fn bytes_in(self, span: Duration) -> u64 {
        u64::try_from(u128::from(self.0) * span.as_nanos() / 8_000_000_000).unwrap_or(u64::MAX)
    }
}

impl FromStr for Rate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError::Rate(text.into());
        let (number, unit) = number_and_unit(text).ok_or_else(error)?;
        let factor = match unit {
            "b/s" => 1.0,
            "kb/s" => 1e3,
            "Mb/s" => 1e6,
            "Gb/s" => 1e9,
            _ => return Err(error()),
        };
        let rate = number * factor;
        if (1.0..=1e12).contains(&rate) { Ok(Self(rate.round() as u64)) } else { Err(error()) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{}b/s", self.0),
            1_000..1_000_000 => write!(f, "{}kb/s", self.0 as f64 / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{}Mb/s", self.0 as f64 / 1e6),
            _ => write!(f, "{}Gb/s", self.0 as f64 / 1e9),
        }
    }
}

/// A share of the packets, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Share(f64);

impl Share {
    /// This share as a fraction of 1.
    pub fn fraction(self) -> f64 {
        self.0
    }
}

impl FromStr for Share {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let error = || UnitError::Share(text.into());
        let (number, unit) = number_and_unit(text).ok_or_else(error)?;
        let share = match unit {
            "" => number,
            "%" => number / 100.0,
            _ => return Err(error()),
        };
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(error()) }
    }
}

/// Reads a length of time: `20ms`, `1.5s`, `10m`.
pub fn span(text: &str) -> Result<Duration, UnitError> {
    let error = || UnitError::Span(text.into());
    let (number, unit) = number_and_unit(text).ok_or_else(error)?;
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" if number == 0.0 => 1.0,
        _ => return Err(error()),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|_| error())
}

/// Splits `20.5ms` into 20.5 and `ms`.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_they_are_written() {
        assert_eq!("20Mb/s".parse(), Ok(Rate(20_000_000)));
        assert_eq!("1.5 kb/s".parse(), Ok(Rate(1500)));
        assert_eq!("2%".parse::<Share>().map(Share::fraction), Ok(0.02));
        assert_eq!("0.5".parse::<Share>().map(Share::fraction), Ok(0.5));
        assert_eq!(span("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(span("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_not_a_quantity_is_refused_with_an_example() {
        for text in ["", "20", "Mb/s", "0Mb/s", "9999999Gb/s", "-1Mb/s", "1.2.3Mb/s"] {
            assert_eq!(text.parse::<Rate>(), Err(UnitError::Rate(text.into())));
        }
        assert!("101%".parse::<Share>().is_err());
        assert!(span("20").is_err());
        assert!("x".parse::<Share>().is_err_and(|error| error.to_string().contains("2%")));
    }

    #[test]
    fn a_rate_counts_time_and_bytes() {
        assert_eq!(Rate(20_000_000).time_of(2_500_000), Duration::from_secs(1));
        assert_eq!(Rate(20_000_000).bytes_in(Duration::from_millis(1)), 2500);
    }
}
