//! Dates of a Playlist: what happens when (RFC 8216bis 4.4.5.1).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use flambeau_media::Utc;

use super::quoted;
use super::segment::Seconds;

/// EXT-X-DATERANGE (RFC 8216bis 4.4.5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DateRange {
    /// Unlike that of every other of the Playlist, but for tags that speak of the same one.
    pub id: String,
    /// When it begins.
    pub start: Utc,
    /// How long it lasts, once it is known.
    pub duration: Option<Duration>,
    /// How long it is to last.
    pub planned: Option<Duration>,
    /// The SCTE-35 section that tells of it.
    pub scte35: Option<Scte35>,
}

/// A `splice_info_section`, CRC included (RFC 8216bis 4.4.5.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scte35 {
    /// A `splice_insert` out of the network.
    Out(Bytes),
    /// A `splice_insert` back into it.
    In(Bytes),
    /// Any other.
    Command(Bytes),
}

impl fmt::Display for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#EXT-X-DATERANGE:ID=\"{}\",START-DATE=\"{}\"", quoted(&self.id), self.start)?;
        if let Some(duration) = self.duration {
            write!(f, ",DURATION={}", Seconds(duration))?;
        }
        if let Some(planned) = self.planned {
            write!(f, ",PLANNED-DURATION={}", Seconds(planned))?;
        }
        let (name, section) = match &self.scte35 {
            Some(Scte35::Out(section)) => ("OUT", section),
            Some(Scte35::In(section)) => ("IN", section),
            Some(Scte35::Command(section)) => ("CMD", section),
            None => return Ok(()),
        };
        write!(f, ",SCTE35-{name}=0x")?;
        section.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}
