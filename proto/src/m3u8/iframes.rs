//! The Playlist of a Rendition's key frames.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::media::rounded_seconds;
use super::segment::Seconds;

/// A Playlist of the pictures that can be decoded by themselves (RFC 8216bis 4.4.3.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IFrames {
    /// No picture stands for longer than this, rounded to the nearest second.
    pub target_duration: Duration,
    /// Pictures there were before the first one.
    pub sequence: u64,
    /// Discontinuities there were before the first one.
    pub discontinuity_sequence: u64,
    /// Nothing will follow.
    pub ended: bool,
}

/// A picture of an [`IFrames`] Playlist: a range of its Segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IFrame<'a> {
    /// The Segment, seen from the Playlist.
    pub uri: &'a str,
    /// First byte of it.
    pub offset: usize,
    /// Bytes of it.
    pub len: usize,
    /// Until the next one.
    pub duration: Duration,
}

impl fmt::Display for IFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uri, offset, len, duration } = self;
        writeln!(f, "#EXTINF:{},\n#EXT-X-BYTERANGE:{len}@{offset}\n{uri}", Seconds(*duration))
    }
}

impl IFrames {
    /// The text of the Playlist: `entries` are the lines of each Segment's pictures, oldest first, as they were
    /// kept; `map` is the init segment of the first.
    pub fn assemble<'l>(&self, map: Option<&str>, entries: impl Iterator<Item = &'l str>) -> String {
        let target = rounded_seconds(self.target_duration).max(1);
        let mut text = format!(
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-I-FRAMES-ONLY\n\
             #EXT-X-MEDIA-SEQUENCE:{}\n",
            self.sequence
        );
        if self.discontinuity_sequence > 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuity_sequence);
        }
        if let Some(map) = map {
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{map}\"");
        }
        entries.for_each(|entry| text.push_str(entry));
        if self.ended {
            text.push_str("#EXT-X-ENDLIST\n");
        }
        text
    }
}
