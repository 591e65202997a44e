//! The Playlist of one Rendition.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::DateRange;
use super::segment::{Lines, Seconds, Segment};

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
    /// How far from the end Segments may be left out of a Playlist Delta Update; see [`Media::skip_boundary`].
    /// None: there are none.
    pub skip_until: Option<Duration>,
    /// Media Sequence Number of the first Segment.
    pub sequence: u64,
    /// Discontinuities there were before the first Segment.
    pub discontinuity_sequence: u64,
    /// What is said of stretches of time.
    pub date_ranges: Vec<DateRange>,
    /// The Segments, oldest first. The last one may be in the making: it has no `duration` yet.
    pub segments: Vec<Segment<'a>>,
    /// URI of the Part that comes next. None: nobody should wait for one.
    pub hint: Option<String>,
    /// What follows the last Segment is known not to continue it.
    pub discontinuity_follows: bool,
    /// How far the other Renditions have got.
    pub reports: Vec<Report>,
    /// Nothing will follow.
    pub ended: bool,
    /// It is of the past: a player starts with its first Segment, not near its end.
    pub excerpt: bool,
}

/// How far another Rendition's Playlist has got (RFC 8216bis 4.4.5.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Its Playlist, seen from this one.
    pub uri: String,
    /// Media Sequence Number of its newest Segment, in the making or not.
    pub last_sequence: u64,
    /// Index of the newest Part of that Segment.
    pub last_part: Option<u64>,
}

impl Media<'_> {
    /// The text of the Playlist.
    pub fn render(&self) -> String {
        let mut before = None;
        let lines: Vec<Lines> = self
            .segments
            .iter()
            .map(|segment| {
                let lines = Lines::of(segment, before.unwrap_or_default());
                before = Some(segment.map);
                lines
            })
            .collect();
        self.assemble(0, None, lines.iter())
    }

    /// The text of the Playlist, of Segments whose [`Lines`] were kept from before; `segments` is not read.
    ///
    /// `skipped`: how many Segments are left out before them, for a Playlist Delta Update (RFC 8216bis 6.2.5.1).
    /// `map`: the init segment of the first that is not, where its own Lines do not tell it.
    pub fn assemble<'l>(
        &self,
        skipped: usize,
        map: Option<&str>,
        lines: impl Iterator<Item = &'l Lines>,
    ) -> String {
        let mut text = String::with_capacity(4096);
        // Writing to a String cannot fail.
        let _ = self.write(&mut text, skipped, map, lines);
        text
    }

    /// CAN-SKIP-UNTIL of a Playlist with this target duration.
    pub fn skip_boundary(target_duration: Duration) -> Duration {
        // RFC 8216bis 4.4.3.8: at least six times the target duration.
        whole(target_duration) * 6
    }

    fn write<'l>(
        &self,
        f: &mut String,
        skipped: usize,
        map: Option<&str>,
        lines: impl Iterator<Item = &'l Lines>,
    ) -> fmt::Result {
        // RFC 8216bis 8: EXT-X-MAP in a Playlist without I-frames asks for 6, EXT-X-SKIP for 9. EXT-X-PART and what
        // goes with it ask for no more, but 9 is what low-latency clients are tested with. EXT-X-GAP asks for 8.
        let version = match (self.part_target, self.excerpt) {
            (Some(_), _) => 9,
            (None, true) => 8,
            (None, false) => 6,
        };
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:{version}")?;
        // 4.4.3.1: each EXTINF, rounded to the nearest integer, is at most this.
        writeln!(f, "#EXT-X-TARGETDURATION:{}", rounded_seconds(self.target_duration).max(1))?;
        if self.excerpt {
            // No EXT-X-SERVER-CONTROL: HOLD-BACK is what it is without, and there are players that look for Parts with it.
            // 4.4.3.5: what has ended is never to change. What grows may lose its oldest Segments, so it is no EVENT.
            f.push_str(if self.ended { "#EXT-X-PLAYLIST-TYPE:VOD\n" } else { "" });
            // Shaka takes an offset of 0 for none, and begins near the end of what still grows.
            f.push_str("#EXT-X-START:TIME-OFFSET=0.001,PRECISE=YES\n");
        } else {
            self.control(f)?;
        }
        writeln!(f, "#EXT-X-MEDIA-SEQUENCE:{}", self.sequence)?;
        if self.discontinuity_sequence > 0 {
            writeln!(f, "#EXT-X-DISCONTINUITY-SEQUENCE:{}", self.discontinuity_sequence)?;
        }
        // 4.4.5.2: what is left out are Segments and their tags. EXT-X-DATERANGE is none of them.
        self.date_ranges.iter().try_for_each(|range| writeln!(f, "{range}"))?;
        if skipped > 0 {
            writeln!(f, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")?;
        }
        if let Some(map) = map {
            writeln!(f, "#EXT-X-MAP:URI=\"{map}\"")?;
        }
        lines.for_each(|lines| lines.append_to(f));
        if !self.ended {
            self.reports.iter().try_for_each(|report| report.write(f))?;
        }
        self.close(f)
    }

    /// What follows the last Segment.
    fn close(&self, f: &mut String) -> fmt::Result {
        if self.ended {
            // 4.4.5.3: a Playlist that has ended has nothing to announce.
            f.push_str("#EXT-X-ENDLIST\n");
            return Ok(());
        }
        match &self.hint {
            Some(uri) => writeln!(f, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{uri}\"")?,
            // Said as soon as it is known: hls.js takes a Playlist that ends with a Segment's URI to tell of the
            // next one too, and that it goes on from there.
            None if self.discontinuity_follows => f.push_str("#EXT-X-DISCONTINUITY\n"),
            None => {}
        }
        Ok(())
    }

    fn control(&self, f: &mut String) -> fmt::Result {
        f.push_str("#EXT-X-SERVER-CONTROL:");
        let hold_back = self.hold_back.max(whole(self.target_duration) * 3);
        let Some(part_target) = self.part_target else {
            // 4.4.3.8: HOLD-BACK is at least three target durations.
            return writeln!(f, "HOLD-BACK={}", Seconds(hold_back));
        };
        f.push_str("CAN-BLOCK-RELOAD=YES");
        if let Some(skip_until) = self.skip_until {
            write!(f, ",CAN-SKIP-UNTIL={}", Seconds(skip_until))?;
        }
        // 4.4.3.8: PART-HOLD-BACK is at least twice the part target duration, and should be three times it.
        let part_hold_back = self.part_hold_back.max(part_target * 3);
        writeln!(f, ",PART-HOLD-BACK={},HOLD-BACK={}", Seconds(part_hold_back), Seconds(hold_back))?;
        writeln!(f, "#EXT-X-PART-INF:PART-TARGET={}", Seconds(part_target))
    }
}

impl Report {
    fn write(&self, f: &mut String) -> fmt::Result {
        write!(f, "#EXT-X-RENDITION-REPORT:URI=\"{}\",LAST-MSN={}", self.uri, self.last_sequence)?;
        if let Some(part) = self.last_part {
            write!(f, ",LAST-PART={part}")?;
        }
        f.push('\n');
        Ok(())
    }
}

pub(super) fn rounded_seconds(duration: Duration) -> u64 {
    (duration + Duration::from_millis(500)).as_secs()
}

fn whole(duration: Duration) -> Duration {
    Duration::from_secs(rounded_seconds(duration).max(1))
}
