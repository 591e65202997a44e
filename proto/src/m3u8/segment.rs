//! The lines of a Segment and its Parts.

use std::fmt::{self, Write as _};
use std::time::Duration;

use flambeau_media::Utc;

/// A Segment of a [`Media`](super::Media) Playlist.
#[derive(Debug, Clone, Default)]
pub struct Segment<'a> {
    /// Where it is, seen from the Playlist.
    pub uri: String,
    /// How long it is; None while it is in the making, when only its Parts are there.
    pub duration: Option<Duration>,
    /// It does not continue the one before.
    pub discontinuity: bool,
    /// There is nothing at `uri`: the source was away.
    pub gap: bool,
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

/// The lines of a Segment, rendered once and kept: a Playlist is a concatenation of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// What comes before its Parts.
    pub head: String,
    /// Its Parts; empty once the Playlist no longer names them.
    pub parts: String,
    /// Length and URI; empty while the Segment is in the making.
    pub tail: String,
}

impl Lines {
    /// The lines of `segment`, where the init segment of the one before was `map_before`; empty: there is none.
    pub fn of(segment: &Segment<'_>, map_before: &str) -> Self {
        let mut lines = Self::default();
        // Writing to a String cannot fail.
        let _ = segment.head(&mut lines.head, map_before);
        for part in &segment.parts {
            lines.push(part);
        }
        if let Some(duration) = segment.duration {
            lines.finish(duration, &segment.uri);
        }
        lines
    }

    /// Adds a Part.
    pub fn push(&mut self, part: &Part) {
        let _ = writeln!(self.parts, "{part}");
    }

    /// The Segment is whole.
    pub fn finish(&mut self, duration: Duration, uri: &str) {
        let _ = writeln!(self.tail, "#EXTINF:{},\n{uri}", Seconds(duration));
    }

    pub(super) fn append_to(&self, text: &mut String) {
        for piece in [&self.head, &self.parts, &self.tail] {
            text.push_str(piece);
        }
    }
}

impl Segment<'_> {
    fn head(&self, f: &mut String, map_before: &str) -> fmt::Result {
        if self.discontinuity {
            f.push_str("#EXT-X-DISCONTINUITY\n");
        }
        // 4.4.4.5: it holds until the next one; after a discontinuity it is told again for clients that ask.
        if self.discontinuity || self.map != map_before {
            writeln!(f, "#EXT-X-MAP:URI=\"{}\"", self.map)?;
        }
        writeln!(f, "#EXT-X-PROGRAM-DATE-TIME:{}", self.start)?;
        if self.gap {
            // 4.4.4.7: it applies to the Segment that follows.
            f.push_str("#EXT-X-GAP\n");
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#EXT-X-PART:DURATION={},URI=\"{}\"", Seconds(self.duration), self.uri)?;
        f.write_str(if self.independent { ",INDEPENDENT=YES" } else { "" })
    }
}

/// A decimal floating point number of seconds without trailing zeros, to the microsecond.
pub(super) struct Seconds(pub(super) Duration);

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
