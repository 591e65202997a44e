//! The Playlist of one Rendition.

use std::fmt::{self, Write as _};
use std::time::Duration;

use flambeau_media::Utc;

/// A media Playlist (RFC 8216bis 4.4.3), live unless `ended`.
#[derive(Debug, Clone, Default)]
pub struct Media<'a> {
    /// No Segment is longer than this, rounded to the nearest second.
    pub target_duration: Duration,
    /// No Part is longer than this. None: the Playlist has no Parts.
    pub part_target: Option<Duration>,
    /// How far from the end a client should play that reads Segments.
    pub hold_back: Duration,
    /// How far from the end a client should play that reads Parts.
    pub part_hold_back: Duration,
    /// Media Sequence Number of the first Segment.
    pub sequence: u64,
    /// Discontinuities there were before the first Segment.
    pub discontinuity_sequence: u64,
    /// The Segments, oldest first. The last one may be in the making: it has no `duration` yet.
    pub segments: Vec<Segment<'a>>,
    /// URI of the Part that comes next. None: nobody should wait for one.
    pub hint: Option<String>,
    /// What follows the last Segment is known not to continue it.
    pub discontinuity_follows: bool,
    /// Nothing will follow.
    pub ended: bool,
}

/// A Segment of a [`Media`] Playlist.
#[derive(Debug, Clone, Default)]
pub struct Segment<'a> {
    /// Where it is, seen from the Playlist.
    pub uri: String,
    /// How long it is; None while it is in the making, when only its Parts are there.
    pub duration: Option<Duration>,
    /// It does not continue the one before.
    pub discontinuity: bool,
    /// Its init segment.
    pub map: &'a str,
    /// The wall clock at its start.
    pub start: Utc,
    /// Its Parts, where the Playlist is to name them.
    pub parts: Vec<Part>,
}

/// A Part of a [`Segment`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Where it is, seen from the Playlist.
    pub uri: String,
    /// How long it is.
    pub duration: Duration,
    /// Decoding can start with it.
    pub independent: bool,
}

impl Media<'_> {
    /// The text of the Playlist.
    pub fn render(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Media<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RFC 8216bis 8: EXT-X-MAP in a Playlist without I-frames asks for 6; EXT-X-PART and what goes with it
        // are ignored by older clients and ask for no more, but 9 is what low-latency clients are tested with.
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{}", if self.part_target.is_some() { 9 } else { 6 })?;
        // 4.4.3.1: each EXTINF, rounded to the nearest integer, is at most this.
        writeln!(f, "#EXT-X-TARGETDURATION:{}", rounded_seconds(self.target_duration).max(1))?;
        self.control(f)?;
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{}", self.sequence)?;
        if self.discontinuity_sequence > 0 {
            writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuity_sequence)?;
        }
        let mut map = "";
        for segment in &self.segments {
            segment.render(f, map)?;
            map = segment.map;
        }
        match &self.hint {
            // 4.4.5.3: a Playlist that has ended has nothing to announce.
            Some(uri) if !self.ended => writeln!(f, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{uri}\"")?,
            // Said as soon as it is known: hls.js takes a Playlist that ends with a Segment's URI to tell of the
            // next one too, and that it goes on from there.
            None if self.discontinuity_follows && !self.ended => f.write_str("#EXT-X-DISCONTINUITY\n")?,
            _ => {}
        }
        if self.ended {
            f.write_str("#EXT-X-ENDLIST\n")?;
        }
        Ok(())
    }
}

impl Media<'_> {
    fn control(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("#EXT-X-SERVER-CONTROL:")?;
        let Some(part_target) = self.part_target else {
            // 4.4.3.8: HOLD-BACK is at least three target durations.
            let hold_back = self.hold_back.max(whole(self.target_duration) * 3);
            return writeln!(f, "HOLD-BACK={}", Seconds(hold_back));
        };
        // 4.4.3.8: PART-HOLD-BACK is at least twice the part target duration, and should be three times it.
        let hold_back = self.hold_back.max(whole(self.target_duration) * 3);
        let part_hold_back = self.part_hold_back.max(part_target * 3);
        writeln!(
            f,
            "CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={},HOLD-BACK={}",
            Seconds(part_hold_back),
            Seconds(hold_back)
        )?;
        writeln!(f, "#EXT-X-PART-INF:PART-TARGET={}", Seconds(part_target))
    }
}

impl Segment<'_> {
    fn render(&self, f: &mut fmt::Formatter<'_>, map_before: &str) -> fmt::Result {
        if self.discontinuity {
            f.write_str("#EXT-X-DISCONTINUITY\n")?;
        }
        // 4.4.4.5: it holds until the next one; after a discontinuity it is told again for clients that ask.
        if self.discontinuity || self.map != map_before {
            writeln!(f, "#EXT-X-MAP:URI=\"{}\"", self.map)?;
        }
        writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", self.start)?;
        for part in &self.parts {
            write!(f, "#EXT-X-PART:DURATION={},URI=\"{}\"", Seconds(part.duration), part.uri)?;
            f.write_str(if part.independent { ",INDEPENDENT=YES\n" } else { "\n" })?;
        }
        match self.duration {
            Some(duration) => writeln!(f, "#EXTINF:{},\n{}", Seconds(duration), self.uri),
            None => Ok(()),
        }
    }
}

/// A decimal floating point number of seconds without trailing zeros, to the microsecond.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs())?;
        let micros = self.0.subsec_micros();
        if micros == 0 {
            return Ok(());
        }
        f.write_char('.')?;
        let (mut digits, mut width) = (micros, 6);
        while digits % 10 == 0 {
            digits /= 10;
            width -= 1;
        }
        write!(f, "{digits:0width$}")
    }
}

fn rounded_seconds(duration: Duration) -> u64 {
    (duration + Duration::from_millis(500)).as_secs()
}

fn whole(duration: Duration) -> Duration {
    Duration::from_secs(rounded_seconds(duration).max(1))
}
