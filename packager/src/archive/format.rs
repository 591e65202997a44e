//! The names and the index records of an archive on disk.
//!
//! ```text
//! DIR/CHANNEL/RENDITION/init-1a2b3c4d.mp4    an init segment
//! DIR/CHANNEL/RENDITION/init-1a2b3c4d.json   what its Track is
//! DIR/CHANNEL/RENDITION/2026112216/index     the Segments that start in that hour of UTC, a record each
//! DIR/CHANNEL/RENDITION/2026112216/3030.m4s  those that start from 16:30:30 on, one after the other
//! ```
//!
//! Bytes first, then the record: what is cut off at any byte is either bytes that no record names or a record that
//! is not whole, and neither costs a Segment that was there before. A media file holds 30 s, so that what is out of
//! the window can be deleted within a minute; with its init segment before it, it plays as it is.

use flambeau_media::Utc;

/// A Segment as the index of its hour tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Number of the Segment, by which it is named.
    pub(crate) number: u64,
    /// Its Media Sequence Number in Playlists of the past: counts on over a time without Segments.
    pub(crate) sequence: u64,
    /// When it starts, in ticks since 1970.
    pub(crate) start: i64,
    /// When it was complete.
    pub(crate) created: Utc,
    /// The Period it belongs to.
    pub(crate) period: u64,
    /// Discontinuities up to here.
    pub(crate) discontinuities: u64,
    /// Ticks a second.
    pub(crate) timescale: u32,
    /// Length in ticks.
    pub(crate) ticks: u32,
    /// Names its init segment.
    pub(crate) init: u32,
    /// Where its bytes are.
    pub(crate) slot: Slot,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

/// Thirty seconds of UTC, counted from 1970: a media file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub(crate) u32);

const SLOT_SECONDS: i64 = 30;
const SLOTS_AN_HOUR: u32 = 120;

impl Slot {
    /// That in which a point lies.
    pub(crate) fn of(point: Utc) -> Self {
        Self(u32::try_from(point.0.div_euclid(SLOT_SECONDS * 1_000_000)).unwrap_or(0))
    }

    /// The hour it lies in.
    pub(crate) fn hour(self) -> Hour {
        Hour(self.0 / SLOTS_AN_HOUR)
    }

    /// Name of its file: minutes and seconds of the hour.
    pub(crate) fn file(self) -> String {
        let half_minutes = self.0 % SLOTS_AN_HOUR;
        format!("{:02}{:02}.m4s", half_minutes / 2, half_minutes % 2 * 30)
    }

    /// The slot of an hour whose file has this name.
    pub(crate) fn from_file(hour: Hour, name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".m4s").filter(|name| is_digits(name, 4))?;
        let (minute, second): (u32, u32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
        let fits = minute < 60 && (second == 0 || second == 30);
        fits.then(|| Self(hour.0 * SLOTS_AN_HOUR + minute * 2 + second / 30))
    }
}

/// An hour of UTC, counted from 1970: a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hour(pub(crate) u32);

impl Hour {
    /// Name of its directory: `2026112216`.
    pub(crate) fn directory(self) -> String {
        let text = Utc(i64::from(self.0) * 3_600_000_000).to_string();
        text.bytes().filter(u8::is_ascii_digit).take(10).map(char::from).collect()
    }

    /// The hour whose directory has this name.
    pub(crate) fn from_directory(name: &str) -> Option<Self> {
        let digits = Some(name).filter(|name| is_digits(name, 10))?;
        let text = format!("{}-{}-{}T{}:00:00Z", &digits[..4], &digits[4..6], &digits[6..8], &digits[8..]);
        let point: Utc = text.parse().ok()?;
        u32::try_from(point.0 / 3_600_000_000).ok().map(Self)
    }
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Name of the index in the directory of an hour.
pub(crate) const INDEX: &str = "index";

/// Number of an init segment by its file name, `init-1a2b3c4d.mp4`.
pub(crate) fn init_number(file: &str) -> Option<u32> {
    let hex = file.strip_prefix("init-")?.strip_suffix(".mp4").filter(|hex| hex.len() == 8)?;
    hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(())?;
    u32::from_str_radix(hex, 16).ok()
}

/// File name of an init segment.
pub(crate) fn init_file(number: u32) -> String {
    format!("init-{number:08x}.mp4")
}

/// Bytes of a [`Record`] in an index.
pub(crate) const RECORD_BYTES: usize = 84;

/// First bytes of a record: its form.
const FORM: u32 = u32::from_le_bytes(*b"fla1");

impl Record {
    /// The record as it stands in an index, little-endian, its checksum last.
    pub(crate) fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        put(&FORM.to_le_bytes());
        for field in [self.number, self.sequence, self.period, self.discontinuities] {
            put(&field.to_le_bytes());
        }
        for field in [self.start, self.created.0] {
            put(&field.to_le_bytes());
        }
        for field in [self.timescale, self.ticks, self.init, self.slot.0, self.offset, self.bytes] {
            put(&field.to_le_bytes());
        }
        let sum = checksum(&bytes[..RECORD_BYTES - 8]);
        bytes[RECORD_BYTES - 8..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The record of these bytes; None where they are not one.
    pub(crate) fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let long = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        let short = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let whole = checksum(&bytes[..RECORD_BYTES - 8]) == long(RECORD_BYTES - 8)?;
        if !whole || short(0)? != FORM {
            return None;
        }
        let record = Self {
            number: long(4)?,
            sequence: long(12)?,
            period: long(20)?,
            discontinuities: long(28)?,
            start: long(36)? as i64,
            created: Utc(long(44)? as i64),
            timescale: short(52)?,
            ticks: short(56)?,
            init: short(60)?,
            slot: Slot(short(64)?),
            offset: short(68)?,
            bytes: short(72)?,
        };
        (record.timescale > 0 && record.offset.checked_add(record.bytes).is_some()).then_some(record)
    }

    /// When it starts.
    pub(crate) fn start_utc(&self) -> Utc {
        Utc::from_ticks(self.start, self.timescale)
    }
}

/// FNV-1a of 64 bits: tells a record that was not written whole.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, &byte: &u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn record()(
            long in any::<[u64; 4]>(),
            signed in any::<[i64; 2]>(),
            short in any::<[u32; 4]>(),
            timescale in 1_u32..,
            offset in 0_u32..1 << 31,
            bytes in 0_u32..1 << 31,
        ) -> Record {
            Record {
                number: long[0],
                sequence: long[1],
                period: long[2],
                discontinuities: long[3],
                start: signed[0],
                created: Utc(signed[1]),
                timescale,
                ticks: short[1],
                init: short[2],
                slot: Slot(short[3]),
                offset,
                bytes,
            }
        }
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_written(record in record()) {
            prop_assert_eq!(Record::decode(&record.encode()), Some(record));
        }

        #[test]
        fn a_record_with_a_byte_changed_is_none(record in record(), at in 0..RECORD_BYTES, by in 1_u8..) {
            let mut bytes = record.encode();
            bytes[at] ^= by;
            prop_assert_eq!(Record::decode(&bytes), None);
        }

        #[test]
        fn a_file_is_found_by_the_name_it_has(slot in 0_u32..Slot::of(Utc(7_258_118_400_000_000)).0) {
            let (slot, hour) = (Slot(slot), Slot(slot).hour());
            prop_assert_eq!(Hour::from_directory(&hour.directory()), Some(hour));
            prop_assert_eq!(Slot::from_file(hour, &slot.file()), Some(slot));
        }

        #[test]
        fn no_name_panics(name in "\\PC{0,14}|[0-9]{0,12}(\\.m4s)?|init-[0-9a-f]{0,9}.mp4") {
            let hour = Hour::from_directory(&name);
            prop_assert_eq!(hour.is_none_or(|hour| hour.directory() == name), true);
            let slot = Slot::from_file(Hour(500_000), &name);
            prop_assert_eq!(slot.is_none_or(|slot| slot.file() == name), true);
            prop_assert_eq!(init_number(&name).is_none_or(|init| init_file(init) == name), true);
        }
    }

    #[test]
    fn names_are_those_an_operator_reads() {
        let slot = Slot::of("2026-11-22T16:30:59.999Z".parse().expect("a time"));
        assert_eq!((slot.hour().directory().as_str(), slot.file().as_str()), ("2026112216", "3030.m4s"));
        assert_eq!(init_number("init-1a2b3c4d.mp4"), Some(0x1a2b_3c4d));
        assert_eq!(Hour::from_directory("2026113116"), None);
    }
}
