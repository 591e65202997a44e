//! What is held of one Rendition: its newest Segments, their Parts, their init segments.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flambeau_media::channel::{Change, Kind, Object, Position};
use flambeau_media::{Track, Utc};
use flambeau_proto::isobmff;

use crate::chunker::Part;

/// Most Segments held, whatever their times say.
const SEGMENTS_MAX: usize = 32_768;

/// Where a Segment belongs: the same for all Renditions of a Channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Media Sequence Number.
    pub(crate) number: u64,
    /// Counts the stretches of one set of Tracks and one clock.
    pub(crate) period: u64,
    /// When that stretch began.
    pub(crate) period_start: Utc,
    /// Discontinuities up to here.
    pub(crate) discontinuities: u64,
}

/// A Segment, finished or in the making.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) place: Place,
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
    /// It does not go on from the Segment before: another init segment, or a discontinuity.
    pub(crate) unforeseen: bool,
}

impl Segment {
    pub(crate) fn start_utc(&self) -> Utc {
        Utc::from_ticks(self.start, self.track.timescale())
    }

    /// Its file name: its start in ticks since 1970. By time and not by number, for ffmpeg loses count of `$Number$`
    /// when a Manifest with a SegmentTimeline slides.
    pub(crate) fn file(&self) -> String {
        format!("t{}.m4s", self.start.max(0))
    }

    /// The file name of its Part `index`, there already or yet to come.
    ///
    /// A hint names a Part that goes on from what is there, and a player that loads it (Shaka) reads it by the init
    /// segment before. Where something else comes instead its Parts are named otherwise: the hint is not found,
    /// and the player reads the Playlist again.
    pub(crate) fn part_file(&self, index: usize) -> String {
        if self.unforeseen {
            format!("{}x.{index}.m4s", self.place.number)
        } else {
            foreseen(self.place.number, index)
        }
    }

    pub(crate) fn end_utc(&self) -> Utc {
        Utc::from_ticks(self.start + self.ticks as i64, self.track.timescale())
    }

    pub(crate) fn duration(&self) -> Duration {
        length(self.ticks, self.track.timescale())
    }
}

/// The file name of a Part that goes on from what is there.
fn foreseen(number: u64, index: usize) -> String {
    format!("{number}.{index}.m4s")
}

/// `ticks` of `timescale` a second, to the nearest microsecond.
pub(crate) fn length(ticks: u64, timescale: u32) -> Duration {
    let micros = (u128::from(ticks) * 1_000_000 + u128::from(timescale / 2)) / u128::from(timescale.max(1));
    Duration::from_micros(micros as u64)
}

/// One Track's Segments.
#[derive(Debug)]
pub(crate) struct Rendition {
    /// Name and first part of its paths: `v256`, `a257`.
    pub(crate) name: String,
    /// Finished Segments, oldest first; those past the window are no longer listed.
    pub(crate) segments: VecDeque<Segment>,
    /// The Segment in the making.
    pub(crate) open: Option<Segment>,
    /// No Part is longer than this.
    pub(crate) part_target: Duration,
    content_type: &'static str,
    /// Index of the first Segment listed.
    listed_from: usize,
    /// What follows the newest finished Segment is known to go on from it.
    goes_on: bool,
}

impl Rendition {
    pub(crate) fn new(track: &Track) -> Self {
        let (letter, content_type) = if track.is_video() { ('v', "video/mp4") } else { ('a', "audio/mp4") };
        Self {
            name: format!("{letter}{}", track.id.0),
            segments: VecDeque::new(),
            open: None,
            part_target: Duration::ZERO,
            content_type,
            listed_from: 0,
            goes_on: false,
        }
    }

    /// The path of its Playlist.
    pub(crate) fn playlist_path(&self) -> String {
        format!("{}/index.m3u8", self.name)
    }

    /// The Segments a Playlist names, oldest first, without the one in the making.
    pub(crate) fn listed(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator + Clone {
        self.segments.range(self.listed_from.min(self.segments.len())..)
    }

    /// The newest Segment, finished or not.
    pub(crate) fn newest(&self) -> Option<&Segment> {
        self.open.as_ref().or(self.segments.back())
    }

    /// How far its Playlist has got.
    pub(crate) fn position(&self) -> Option<Position> {
        match (&self.open, self.segments.back()) {
            (Some(open), _) => Some(Position { sequence: open.place.number, parts: open.parts.len() as u32 }),
            (None, Some(last)) => Some(Position { sequence: last.place.number + 1, parts: 0 }),
            (None, None) => None,
        }
    }

    /// The file name of the Part that comes next, where it is known to go on from what is there.
    pub(crate) fn next_part(&self) -> Option<String> {
        match (&self.open, self.segments.back()) {
            (Some(open), _) => Some(open.part_file(open.parts.len())),
            (None, Some(last)) => self.goes_on.then(|| foreseen(last.place.number + 1, 0)),
            (None, None) => None,
        }
    }

    /// The newest Segment is finished and what follows does not go on from it.
    pub(crate) fn discontinuity_follows(&self) -> bool {
        self.open.is_none() && !self.goes_on
    }

    /// Makes the Track's init segment known and returns its file name.
    pub(crate) fn init(&self, track: &Track, change: &mut Change) -> Arc<str> {
        let bytes = isobmff::init_segment(track);
        let file: Arc<str> = format!("init-{:08x}.mp4", fingerprint(&bytes)).into();
        let object = Object::new(Kind::Init, self.content_type, vec![bytes]);
        change.objects.push((format!("{}/{file}", self.name), object));
        file
    }

    /// Adds a Part to the Segment in the making, which it begins where there is none.
    pub(crate) fn add(
        &mut self,
        part: Part,
        place: Place,
        track: &Arc<Track>,
        init: &Arc<str>,
        change: &mut Change,
    ) {
        let before = self.segments.back();
        let open = self.open.get_or_insert_with(|| Segment {
            unforeseen: before.is_some_and(|b| {
                b.init != *init
                    || b.place.discontinuities != place.discontinuities
                    || b.place.number + 1 != place.number
            }),
            place,
            track: track.clone(),
            init: init.clone(),
            start: part.start,
            ticks: 0,
            bytes: 0,
            parts: Vec::new(),
        });
        let path = format!("{}/{}", self.name, open.part_file(open.parts.len()));
        change.objects.push((path, Object::new(Kind::Part, self.content_type, vec![part.bytes.clone()])));
        open.ticks += part.duration;
        open.bytes += part.bytes.len();
        open.parts.push(part);
    }

    /// The Segment in the making is whole. `goes_on`: what follows is known to go on from it. Returns its length,
    /// if there was one.
    pub(crate) fn complete(&mut self, goes_on: bool, change: &mut Change) -> Option<Duration> {
        let open = self.open.take()?;
        self.goes_on = goes_on;
        let pieces = open.parts.iter().map(|part| part.bytes.clone()).collect();
        let path = format!("{}/{}", self.name, open.file());
        change.objects.push((path, Object::new(Kind::Segment, self.content_type, pieces)));
        // RFC 8216bis 4.4.3.2: numbers count one by one. What a gap cut off is no longer listed.
        let follows = self.segments.back().is_some_and(|last| last.place.number + 1 == open.place.number);
        if !follows {
            self.listed_from = self.segments.len();
        }
        let duration = open.duration();
        self.segments.push_back(open);
        Some(duration)
    }

    /// Lists nothing of what is there.
    pub(crate) fn unlist(&mut self) {
        self.listed_from = self.segments.len();
    }

    /// Lists what is younger than `window` before `now`, and drops what no client may still ask for.
    ///
    /// RFC 8216bis 6.2.2: a Segment that is no longer listed stays available for its own length and that of the
    /// longest Playlist that named it.
    pub(crate) fn slide(&mut self, now: Utc, window: Duration, change: &mut Change) {
        while let Some(segment) = self.segments.get(self.listed_from) {
            let keep_last = self.listed_from + 1 >= self.segments.len();
            if keep_last || now.since(segment.end_utc()) < window {
                break;
            }
            self.listed_from += 1;
        }
        while let Some(segment) = self.segments.front() {
            let old = now.since(segment.end_utc()) >= window * 2 + segment.duration();
            if !(old || self.segments.len() > SEGMENTS_MAX) {
                break;
            }
            let Some(gone) = self.segments.pop_front() else { break };
            self.listed_from = self.listed_from.saturating_sub(1);
            self.remove(&gone, change);
        }
    }

    fn remove(&self, gone: &Segment, change: &mut Change) {
        let name = &self.name;
        change.remove.push(format!("{name}/{}", gone.file()));
        change.remove.extend((0..gone.parts.len()).map(|part| format!("{name}/{}", gone.part_file(part))));
        let mut rest = self.segments.iter().chain(&self.open);
        if !rest.any(|segment| segment.init == gone.init) {
            change.remove.push(format!("{name}/{}", gone.init));
        }
    }

    /// Bits a second of the largest Segment listed, and of all of them.
    pub(crate) fn bandwidth(&self) -> (u64, u64) {
        let (mut peak, mut bits, mut seconds, mut longest) = (0.0f64, 0.0, 0.0, 0.0f64);
        for segment in self.listed().rev() {
            let (b, s) = (segment.bytes as f64 * 8.0, segment.duration().as_secs_f64());
            bits += b;
            seconds += s;
            // RFC 8216bis 4.4.6.2: the peak counts runs of 0.5 to 1.5 target durations; a stub does not.
            longest = longest.max(s);
            if s > 0.0 && s >= longest / 2.0 {
                peak = peak.max(b / s);
            }
        }
        let average = if seconds > 0.0 { bits / seconds } else { 0.0 };
        (peak.max(average).ceil() as u64, average.ceil() as u64)
    }
}

/// FNV-1a of 32 bits: names an init segment by what is in it.
fn fingerprint(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
