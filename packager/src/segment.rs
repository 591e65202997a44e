//! A Segment of one Rendition, and the lines that Playlists hold of it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use flambeau_media::{Track, Utc};
use flambeau_proto::m3u8::{self, IFrame, Lines};

use crate::chunker::Part;

/// Numbers that are left out at a discontinuity: as many Segments as a client may take for granted until it has read
/// that there are none. It takes up to two Segments' length until a silent source is given up, one until the Manifest is
/// read again, and Shaka is two ahead of that.
pub(crate) const TAILS: u64 = 6;

/// Parts of pictures are told to be longer by this than they are. Where a Part begins earlier by its Playlist, against its
/// media, than the first one did, be it by the rounding of doubles, Shaka 5.2 places the media anew, and then needs a key
/// frame: a viewer who came in within a Segment would wait for the next.
pub(crate) const PART_SLACK: Duration = Duration::from_micros(2);

/// RFC 8216bis 4.4.4.9: no Part but a Segment's last is under this share of the target.
pub(crate) const PART_SHARE_MIN: f64 = 0.85;

/// Where a Segment belongs: the same for all Renditions of a Channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Names it. Goes on by one, or at a discontinuity by more than [`TAILS`], so that what a client asks for that goes
    /// on counting is not what came instead.
    pub(crate) number: u64,
    /// Counts the Channel's Segments, gaps among them: goes on by one.
    pub(crate) sequence: u64,
    /// Counts the stretches of one set of Tracks and one clock.
    pub(crate) period: u64,
    /// Discontinuities up to here.
    pub(crate) discontinuities: u64,
}

/// What comes after a Segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is known to go on from it.
    GoesOn,
    /// It does not go on from it.
    Breaks,
    /// Nor from that of any other Rendition, of which the longest got to this point.
    BreaksAt(Utc),
}

/// A Segment, finished or in the making.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) place: Place,
    /// Media Sequence Number. RFC 8216bis 4.4.3.2: the Rendition's own are counted one by one, whatever of the Channel's
    /// it has left out.
    pub(crate) sequence: u64,
    /// It may be listed after the Segment before.
    pub(crate) follows: bool,
    pub(crate) track: Arc<Track>,
    /// File name of the init segment.
    pub(crate) init: Arc<str>,
    /// When it starts to be presented, in ticks of the Track's timescale since 1970.
    pub(crate) start: i64,
    /// Length in ticks, so far.
    pub(crate) ticks: u64,
    /// Bytes, so far.
    pub(crate) bytes: usize,
    pub(crate) parts: Vec<Part>,
    /// There is nothing in it: the source was away.
    pub(crate) gap: bool,
    /// It is another stretch of time than the Segment before.
    pub(crate) discontinuity: bool,
    /// Its lines tell the init segment.
    pub(crate) tells_init: bool,
    /// What the Rendition's Playlist says of it.
    pub(crate) lines: Lines,
    /// What the Playlist of key frames says of it, and how many it names.
    pub(crate) key_lines: String,
    pub(crate) keys: u64,
    /// Bytes of those.
    pub(crate) key_bytes: usize,
}

impl Segment {
    /// A Segment without Parts yet, after the one `before`.
    pub(crate) fn new(
        place: Place,
        track: &Arc<Track>,
        init: &Arc<str>,
        start: i64,
        before: Option<&Self>,
    ) -> Self {
        let discontinuity = before.is_some_and(|b| b.place.discontinuities != place.discontinuities);
        let other_init = before.is_none_or(|b| b.init != *init);
        Self {
            place,
            sequence: before.map_or(place.sequence, |b| b.sequence + 1),
            follows: before.is_some_and(|b| b.can_precede(place)),
            track: track.clone(),
            init: init.clone(),
            start,
            ticks: 0,
            bytes: 0,
            parts: Vec::new(),
            gap: false,
            discontinuity,
            tells_init: other_init || discontinuity,
            lines: Lines::default(),
            key_lines: String::new(),
            keys: 0,
            key_bytes: 0,
        }
        .with_head()
    }

    /// A Segment of nothing, after the one `before`.
    pub(crate) fn gap(place: Place, before: &Self, start: i64, ticks: u64) -> Self {
        let mut gap = Self::new(place, &before.track, &before.init, start, Some(before));
        (gap.gap, gap.ticks) = (true, ticks);
        // It stands for whatever is missing, but not for a discontinuity that is.
        gap.follows = place.discontinuities <= before.place.discontinuities + 1;
        gap = gap.with_head();
        gap.lines.finish(gap.told(), &gap.file());
        gap
    }

    /// Whether a Segment at `next` may be listed after it: none is missing between; or no more than what a source took with it
    /// that went when the leader had begun a Segment and this Track had not. Where more is missing it may be of another
    /// discontinuity, and Renditions are held together by how many they have had.
    fn can_precede(&self, next: Place) -> bool {
        let place = self.place;
        let is_back = (place.discontinuities + 1, place.period + 1) == (next.discontinuities, next.period);
        place.sequence + 1 == next.sequence || is_back
    }

    fn with_head(mut self) -> Self {
        let head = m3u8::Segment {
            discontinuity: self.discontinuity,
            gap: self.gap,
            map: &self.init,
            start: self.start_utc(),
            ..m3u8::Segment::default()
        };
        self.lines = Lines::of(&head, if self.tells_init { "" } else { &self.init });
        self
    }

    /// Adds a Part.
    pub(crate) fn add(&mut self, part: Part) {
        self.lines.push(&m3u8::Part {
            uri: self.part_file(self.parts.len()),
            duration: length(part.duration, self.track.timescale()) + self.part_slack(),
            independent: part.independent,
        });
        self.ticks += part.duration;
        self.bytes += part.bytes.len();
        self.parts.push(part);
    }

    /// It is whole. Where all Renditions break off, each is told to last as long as the longest, but no longer than `max`:
    /// Shaka 5.2 takes out what is missing between one stretch and the next, of each Rendition what is missing there, and the
    /// sound would no longer be that of the pictures.
    pub(crate) fn finish(&mut self, end: End, max: Duration) {
        let mut told = self.told();
        if let End::BreaksAt(end) = end {
            told = told.max(end.written_since(self.start_utc()).min(max));
        }
        self.lines.finish(told, &self.file());
        if self.track.is_video() {
            self.index_keys();
        }
    }

    /// Renders where its key frames are: those that start a Part.
    fn index_keys(&mut self) {
        let (timescale, file) = (self.track.timescale(), self.file());
        let mut keys: Vec<(usize, &Part)> = Vec::new();
        let mut offset = 0;
        for part in &self.parts {
            if part.independent {
                keys.push((offset, part));
            }
            offset += part.bytes.len();
        }
        let Some(&(_, first)) = keys.first() else { return };
        let mut text = String::new();
        if self.discontinuity {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if self.tells_init {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", self.init);
        }
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", Utc::from_ticks(first.start, timescale));
        let end = self.start + self.ticks as i64;
        for (n, (offset, part)) in keys.iter().enumerate() {
            let until = keys.get(n + 1).map_or(end, |(_, next)| next.start);
            let duration = length((until - part.start).max(0) as u64, timescale);
            let key = IFrame { uri: &file, offset: *offset, len: part.first_end, duration };
            let _ = writeln!(text, "{key}");
        }
        self.key_bytes = keys.iter().map(|(_, part)| part.first_end).sum();
        (self.keys, self.key_lines) = (keys.len() as u64, text);
    }

    pub(crate) fn start_utc(&self) -> Utc {
        Utc::from_ticks(self.start, self.track.timescale())
    }

    /// Its file name.
    pub(crate) fn file(&self) -> String {
        segment_file(self.place.number)
    }

    /// Its other file name: its start in ticks since 1970. ffmpeg 5.1 loses count of `$Number$` when a Manifest with a
    /// SegmentTimeline slides.
    pub(crate) fn file_by_time(&self) -> String {
        format!("t{}.m4s", self.start.max(0))
    }

    /// The file name of its Part `index`, there already or yet to come.
    pub(crate) fn part_file(&self, index: usize) -> String {
        part_file(self.place.number, index)
    }

    /// What a Playlist says of its length: the difference of the times of day that it tells. Shaka 5.2 adds up the one and
    /// holds it against the other. What they differ by it keeps at each discontinuity, and once that is a millisecond it
    /// finds no Segment again that it knew, and puts the next ones where nobody looks for them. (Not so of Parts, which have
    /// no time of day: one that begins a little early by its Playlist is placed anew, see [`PART_SLACK`].)
    fn told(&self) -> Duration {
        self.end_utc().written_since(self.start_utc())
    }

    fn part_slack(&self) -> Duration {
        if self.track.is_video() { PART_SLACK } else { Duration::ZERO }
    }

    pub(crate) fn end_utc(&self) -> Utc {
        Utc::from_ticks(self.start + self.ticks as i64, self.track.timescale())
    }

    pub(crate) fn duration(&self) -> Duration {
        length(self.ticks, self.track.timescale())
    }

    /// Its newest Part is so short that it must be told to be the last: see [`PART_SHARE_MIN`].
    pub(crate) fn ends_short(&self, part_target: Duration) -> bool {
        let last = self.parts.last().map(|last| length(last.duration, self.track.timescale()));
        last.is_some_and(|last| last < part_target.mul_f64(PART_SHARE_MIN))
    }
}

/// The file name of a Segment.
pub(crate) fn segment_file(number: u64) -> String {
    format!("{number}.m4s")
}

/// The file name of a Part.
pub(crate) fn part_file(number: u64, index: usize) -> String {
    format!("{number}.{index}.m4s")
}

/// `ticks` of `timescale` a second, to the nearest microsecond.
pub(crate) fn length(ticks: u64, timescale: u32) -> Duration {
    let micros = (u128::from(ticks) * 1_000_000 + u128::from(timescale / 2)) / u128::from(timescale.max(1));
    Duration::from_micros(micros as u64)
}
