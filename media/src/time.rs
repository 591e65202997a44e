//! Points on the two clocks everything here lives by: the wall's (UTC) and the programme's (90 kHz).

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The rate of PTS, DTS and the PCR base, in ticks a second (ISO/IEC 13818-1, 2.4.2.1).
pub const CLOCK_90K: u32 = 90_000;

/// A point of UTC, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Utc(pub i64);

impl Utc {
    /// The wall clock's present reading.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(since.as_micros() as i64)
    }

    /// This point in ticks of `timescale` a second since 1970, rounded down.
    pub fn ticks(self, timescale: u32) -> i64 {
        (i128::from(self.0) * i128::from(timescale)).div_euclid(1_000_000) as i64
    }

    /// The point `ticks` of `timescale` a second after 1970.
    pub fn from_ticks(ticks: i64, timescale: u32) -> Self {
        Self((i128::from(ticks) * 1_000_000).div_euclid(i128::from(timescale.max(1))) as i64)
    }

    /// The point `by` later.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0 + by.as_micros() as i64)
    }

    /// How long `self` is after `earlier` as both are written: in whole milliseconds; zero when it is not.
    pub fn written_since(self, earlier: Self) -> Duration {
        let millis = self.0.div_euclid(1000) - earlier.0.div_euclid(1000);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    /// How long `self` is after `earlier`; zero when it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for Utc {
    /// ISO 8601 with milliseconds: `2026-11-22T12:51:21.480Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, micros) = (self.0.div_euclid(86_400_000_000), self.0.rem_euclid(86_400_000_000));
        let (year, month, day) = civil_from_days(days);
        let ms = micros / 1000;
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z", ms % 1000)
    }
}

/// A text is no point of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as 2026-11-22T16:00:00Z, in UTC")]
pub struct NotATime;

impl FromStr for Utc {
    type Err = NotATime;

    /// Reads the form of RFC 3339 in UTC: `2026-11-22T12:51:21Z`, with any number of decimals.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text).ok_or(NotATime)
    }
}

// RFC 3339 5.6: `T` and `Z` may be in lower case. A leap second counts as the one before.
fn parse(text: &str) -> Option<Utc> {
    let (date, time) = text.strip_suffix(['Z', 'z'])?.split_once(['T', 't'])?;
    let (time, fraction) =
        time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let fits = (1..=12).contains(&month) && hour < 24 && minute < 60 && second <= 60;
    if !fits || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let micros = fraction.map_or(Some(0), micros)?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59);
    Some(Utc(seconds * 1_000_000 + micros))
}

/// Three numbers of so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut numbers = [0; 3];
    let mut fields = text.split(separator);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let field = fields.next().filter(|field| field.len() == digits)?;
        *number = field.bytes().all(|byte| byte.is_ascii_digit()).then(|| field.parse().ok())??;
    }
    fields.next().is_none().then_some(numbers)
}

/// Microseconds of the decimals of a second; what is finer is left out.
fn micros(decimals: &str) -> Option<i64> {
    if decimals.is_empty() || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = decimals.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(digits.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar.
// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month, day of a count of days since 1970-01-01 in the Gregorian calendar.
// The era arithmetic of H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_prints_as_iso_8601() {
        assert_eq!(Utc(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Utc(1_709_210_096_789_000).to_string(), "2024-02-29T12:34:56.789Z");
    }

    #[test]
    fn a_point_is_read_back_as_printed() {
        for text in ["1970-01-01T00:00:00.000Z", "2024-02-29T12:34:56.789Z", "2100-03-01T23:59:59.001Z"] {
            assert_eq!(text.parse().map(|point: Utc| point.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("1970-01-01t00:00:01z".parse(), Ok(Utc(1_000_000)));
        assert_eq!("1970-01-01T00:00:00.1234567Z".parse(), Ok(Utc(123_456)));
        for text in [
            "",
            "Z",
            "TZ",
            "2026-11-22",
            "2026-11-22T16:00:00",
            "2026-11-22T16:00Z",
            "2026-11-22T16:00:00+01:00",
            "2026-02-29T16:00:00Z",
            "2026-13-01T16:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T16:00:00.Z",
            "+026-11-22T16:00:00Z",
            "2026-11-22T16:00:00.\u{661}Z",
        ] {
            assert_eq!(text.parse::<Utc>(), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn ticks_round_trip_within_one_microsecond() {
        let t = Utc(1_795_351_881_123_456);
        assert!((Utc::from_ticks(t.ticks(90_000), 90_000).0 - t.0).abs() <= 12);
    }
}
