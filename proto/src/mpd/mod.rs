//! DASH Manifests as text (ISO/IEC 23009-1): a pure render of a live service.
//!
//! One `availabilityStartTime`, 1970: the media's own times are UTC, so a Period's start is its UTC time, and
//! a Segment's name and time do not depend on when the packager was started.

mod event;
mod render;
mod template;

use std::time::Duration;

use bytes::Bytes;
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
    /// How far behind the wall clock a client should play that does not know of low latency.
    pub presentation_delay: Duration,
    /// How much a client buffers before it plays.
    pub min_buffer: Duration,
    /// The longest Segment.
    pub segment_duration_max: Duration,
    /// Where a client reads the time (`urn:mpeg:dash:utc:http-iso:2014`), seen from the Manifest.
    pub time_url: Option<String>,
    /// How far behind the wall clock a low-latency client should play. None: it is no low-latency service.
    pub latency: Option<Latency>,
    /// It is of the past and whole: its time starts with its first Period, and it never changes.
    pub on_demand: bool,
    /// The Periods, oldest first.
    pub periods: Vec<Period>,
}

/// A low-latency client's distance from the wall clock (ISO/IEC 23009-1, K.4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// Where it should be.
    pub target: Duration,
    /// No nearer than this.
    pub min: Duration,
    /// No further than this.
    pub max: Duration,
}

/// A stretch in which every Track keeps its configuration and its clock (ISO/IEC 23009-1, 5.3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Period {
    /// Unlike that of every other Period of the service.
    pub id: String,
    /// When it starts, rounded down to the millisecond.
    pub start: Utc,
    /// When there is nothing more of it. None: when the next one starts.
    pub end: Option<Utc>,
    /// The programme has cues: each is told in `events`, and in the Segments of the set that says so.
    pub cues: bool,
    /// What happens in it.
    pub events: Vec<Event>,
    /// One for each Track.
    pub sets: Vec<AdaptationSet>,
}

/// An SCTE-35 event (ISO/IEC 23009-1, 5.10.2; ANSI/SCTE 214-1, 6.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Unlike that of every other event.
    pub id: u32,
    /// When it takes effect.
    pub time: Utc,
    /// How long it lasts. None: nobody knows.
    pub duration: Option<Duration>,
    /// The `splice_info_section`, CRC included.
    pub section: Bytes,
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
    /// Its Segments carry the programme's cues (`emsg`).
    pub cues: bool,
    /// How it goes on from an earlier Period.
    pub continues: Option<Continues>,
    /// Its `codecs` parameter (RFC 6381).
    pub codecs: String,
    /// Bits a second.
    pub bandwidth: u64,
    /// Ticks a second of `addressing`.
    pub timescale: u32,
    /// Where the init segment is, seen from the Manifest.
    pub init: String,
    /// Where the Segments are, with `$Time$` or `$Number$`, seen from the Manifest.
    pub media: String,
    /// Which Segments there are.
    pub addressing: Addressing,
}

/// How a set goes on from that of the same id of an earlier Period (ISO/IEC 23009-1, 5.3.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continues {
    /// From the Period of that id without a gap, with the same init segment.
    At(String),
    /// From the Period of that id with the same init segment, at another time.
    Later(String),
}

/// Which Segments there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressing {
    /// Start of each Segment since 1970, and how long it is, in ticks (`SegmentTimeline`).
    Timeline(Vec<(u64, u64)>),
    /// By number, as the clock goes on.
    Numbers(Numbers),
}

/// Segments of one length, the first of which starts with the Period (ISO/IEC 23009-1, 5.3.9.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Number of the Segment that the Period starts with.
    pub first: u64,
    /// Length of each, in ticks.
    pub duration: u64,
    /// How long before its end a Segment may be asked for: it is sent as it is made.
    pub ahead: Duration,
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
