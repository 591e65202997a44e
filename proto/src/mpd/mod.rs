//! DASH Manifests as text (ISO/IEC 23009-1): a pure render of a live service.
//!
//! One `availabilityStartTime`, 1970: the media's own times are UTC, so a Period's start is its UTC time, and
//! a Segment's name and time do not depend on when the packager was started.

mod render;

use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::codec::{Picture, Sound};

/// The media type of a Manifest (ISO/IEC 23009-1, C.1).
pub const CONTENT_TYPE: &str = "application/dash+xml";

/// A live Manifest (ISO/IEC 23009-1, 5.3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// When it was made.
    pub published: Utc,
    /// How often a client should come back. None: nothing will follow, the last Period ends with its Segments.
    pub update_period: Option<Duration>,
    /// How far back a client may seek.
    pub time_shift: Duration,
    /// How far behind the wall clock a client should play.
    pub presentation_delay: Duration,
    /// How much a client buffers before it plays.
    pub min_buffer: Duration,
    /// The longest Segment.
    pub segment_duration_max: Duration,
    /// Where a client reads the time (`urn:mpeg:dash:utc:http-iso:2014`), seen from the Manifest.
    pub time_url: Option<String>,
    /// The Periods, oldest first.
    pub periods: Vec<Period>,
}

/// A stretch in which every Track keeps its configuration and its clock (ISO/IEC 23009-1, 5.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Unlike that of every other Period of the service.
    pub id: String,
    /// When it starts, rounded down to the millisecond.
    pub start: Utc,
    /// One for each Track.
    pub sets: Vec<AdaptationSet>,
}

/// One Track of a Period: an Adaptation Set with one Representation (ISO/IEC 23009-1, 5.3.3 and 5.3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdaptationSet {
    /// Number of the Track.
    pub id: u32,
    /// Name of the Representation.
    pub representation: String,
    /// Picture or sound.
    pub content: Content,
    /// Its language (RFC 5646), where the stream tells.
    pub language: Option<String>,
    /// It is what a viewer gets who does not choose.
    pub main: bool,
    /// Its `codecs` parameter (RFC 6381).
    pub codecs: String,
    /// Bits a second.
    pub bandwidth: u64,
    /// Ticks a second of `timeline`.
    pub timescale: u32,
    /// Where the init segment is, seen from the Manifest.
    pub init: String,
    /// Where the Segments are, with `$Time$`, seen from the Manifest.
    pub media: String,
    /// Start of each Segment since 1970, and how long it is, in ticks.
    pub timeline: Vec<(u64, u64)>,
}

/// What a Track shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Pictures of this geometry and rate.
    Video(Picture),
    /// Sound of this rate and layout.
    Audio(Sound),
}

impl Manifest {
    /// The text of the Manifest.
    pub fn render(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests;
