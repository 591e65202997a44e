//! What is held of one Rendition: its newest Segments, their Parts, their init segments.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flambeau_media::channel::{Change, Growth, Kind, Object, Position};
use flambeau_media::time::CLOCK_90K;
use flambeau_media::{Track, Utc};
use flambeau_proto::isobmff;

use crate::archive::Finished;
use crate::chunker::Part;
use crate::segment::{End, Place, Segment, TAILS, part_file, segment_file};

/// Most Segments held, whatever their times say.
const SEGMENTS_MAX: usize = 32_768;

/// Finished Segments whose Parts are named. RFC 8216bis 6.2.2: Parts go when they are three target durations from the
/// end. Whoever plays Parts is a second from it.
const SEGMENTS_WITH_PARTS: usize = 2;

/// A Segment of which nothing will come is waited for this long: most venues are back by then. With one of nothing
/// dash.js 5.2 looks how late it is, and where that is more than the Manifest allows it seeks, to where it cannot play.
const HELD_MAX: Duration = Duration::from_secs(15);

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
    /// That the newest finished Segment is whole is told with the first Part of the next. hls.js 1.7 misses a Segment's last
    /// Part where it is told so while it takes in the Part before, and stands for seconds. Whoever plays whole Segments
    /// loses the length of a Part.
    end_withheld: bool,
    /// Numbers of the Segments that can be taken while they are made.
    growing: Vec<u64>,
    /// Numbers of Segments of nothing, oldest first: what a client that goes by the numbers may ask for meanwhile.
    tails: VecDeque<u64>,
    /// Those of which nothing will come either, but which can be waited for.
    held: VecDeque<u64>,
    /// A gap to be listed with what follows it.
    gap: Option<Segment>,
    /// Bytes of all that is held.
    pub(crate) bytes: usize,
    /// Key frames there were before the first Segment listed.
    pub(crate) keys_before: u64,
    /// There is a Playlist of its key frames.
    pub(crate) shows_keys: bool,
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
            end_withheld: false,
            growing: Vec::new(),
            tails: VecDeque::new(),
            held: VecDeque::new(),
            gap: None,
            bytes: 0,
            keys_before: 0,
            shows_keys: false,
        }
    }

    /// The path of its Playlist.
    pub(crate) fn playlist_path(&self) -> String {
        format!("{}/index.m3u8", self.name)
    }

    /// The path of the Playlist of its key frames.
    pub(crate) fn keys_path(&self) -> String {
        format!("{}/iframes.m3u8", self.name)
    }

    /// The Segments a Playlist names, oldest first, without the one in the making.
    pub(crate) fn listed(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator + Clone {
        self.segments.range(self.listed_from.min(self.segments.len())..)
    }

    /// The newest Segment, finished or not.
    pub(crate) fn newest(&self) -> Option<&Segment> {
        self.open.as_ref().or(self.segments.back())
    }

    /// The newest Segment is whole, and its Playlist does not say so before there is a Part of the next.
    pub(crate) fn withholds_end(&self) -> bool {
        self.end_withheld && self.open.is_none()
    }

    /// Nobody knows when there is a Part of the next Segment: that the newest is whole is told now, and stays told.
    pub(crate) fn tell_end(&mut self) {
        self.end_withheld = false;
    }

    /// How far its Playlist has got.
    pub(crate) fn position(&self) -> Option<Position> {
        let of =
            |segment: &Segment| Position { sequence: segment.sequence, parts: segment.parts.len() as u32 };
        match (&self.open, self.segments.back()) {
            (Some(open), _) => Some(of(open)),
            (None, Some(last)) if self.withholds_end() => Some(of(last)),
            (None, Some(last)) => Some(Position { sequence: last.sequence + 1, parts: 0 }),
            (None, None) => None,
        }
    }

    /// Parts of the Segment before the one that its Playlist has got to.
    pub(crate) fn parts_before(&self) -> u32 {
        let back = usize::from(self.withholds_end());
        self.segments.iter().rev().nth(back).map_or(0, |before| before.parts.len() as u32)
    }

    /// The file name of the Part that comes next, where it is known to go on from what is there.
    pub(crate) fn next_part(&self) -> Option<String> {
        match (&self.open, self.segments.back()) {
            (Some(open), _) => Some(open.part_file(open.parts.len())),
            (None, Some(last)) => self.goes_on.then(|| part_file(last.place.number + 1, 0)),
            (None, None) => None,
        }
    }

    /// The newest Segment is finished and what follows does not go on from it.
    pub(crate) fn discontinuity_follows(&self) -> bool {
        // After a gap there may be another one.
        self.open.is_none() && !self.goes_on && self.segments.back().is_some_and(|last| !last.gap)
    }

    /// Makes the Track's init segment known and returns its file name.
    pub(crate) fn init(&self, track: &Track, change: &mut Change) -> Arc<str> {
        let bytes = isobmff::init_segment(track);
        let file: Arc<str> = format!("init-{:08x}.mp4", fingerprint(&bytes)).into();
        let object = Object::new(Kind::Init, self.content_type, vec![bytes]);
        change.objects.push((format!("{}/{file}", self.name), object));
        file
    }

    /// Adds a Part to the Segment in the making, which it begins where there is none. True: it did.
    pub(crate) fn add(
        &mut self,
        part: Part,
        place: Place,
        track: &Arc<Track>,
        init: &Arc<str>,
        change: &mut Change,
    ) -> bool {
        let begins = self.open.is_none();
        if begins && let Some(gap) = self.gap.take() {
            self.list(gap);
        }
        let (before, start) = (self.segments.back(), part.start);
        let open = self.open.get_or_insert_with(|| Segment::new(place, track, init, start, before));
        let (bytes, number) = (part.bytes.clone(), open.place.number);
        let path = format!("{}/{}", self.name, open.part_file(open.parts.len()));
        change.objects.push((path, Object::new(Kind::Part, self.content_type, vec![bytes.clone()])));
        open.add(part);
        self.bytes += bytes.len();
        if begins {
            self.grow(number, change);
        }
        change.growth.push((self.path(&segment_file(number)), Growth::Piece(bytes)));
        begins
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }

    /// The Segment of that number is in the making. The one after it is announced as well: a low-latency DASH client
    /// asks for it as soon as this one ends, and may be a little early.
    fn grow(&mut self, number: u64, change: &mut Change) {
        let ahead = number..=number + 1;
        self.stop_growing(|grown| !ahead.contains(&grown), change);
        for number in ahead {
            if !self.growing.contains(&number) {
                let begin = Growth::Begin(self.content_type);
                change.growth.push((self.path(&segment_file(number)), begin));
                self.growing.push(number);
            }
        }
    }

    /// Those of these numbers are whole, or do not come.
    fn stop_growing(&mut self, is_over: impl Fn(u64) -> bool, change: &mut Change) {
        let name = &self.name;
        self.growing.retain(|&number| {
            let over = is_over(number);
            if over {
                change.growth.push((format!("{name}/{}", segment_file(number)), Growth::End));
            }
            !over
        });
    }

    /// The Segment in the making is whole. `away`: nobody knows when anything follows; `told_max`: longest that it may be
    /// told to be. Returns its length, if there was one.
    pub(crate) fn complete(
        &mut self,
        end: End,
        away: bool,
        told_max: Duration,
        change: &mut Change,
    ) -> Option<Duration> {
        let goes_on = end == End::GoesOn;
        let open = self.open.take();
        let duration = open.as_ref().map(Segment::duration);
        if let Some(mut open) = open {
            open.finish(end, told_max);
            let pieces = open.parts.iter().map(|part| part.bytes.clone()).collect();
            let object = Object::new(Kind::Segment, self.content_type, pieces);
            for file in [open.file(), open.file_by_time()] {
                change.objects.push((self.path(&file), object.clone()));
            }
            self.stop_growing(|number| number == open.place.number, change);
            let short = open.ends_short(self.part_target);
            self.list(open);
            self.goes_on = goes_on;
            self.end_withheld = !short && self.listed().len() > 1;
        }
        if !goes_on {
            self.goes_on = false;
            self.tell_end();
            if !away {
                self.end_in_tails(change);
            }
        }
        duration
    }

    /// What comes next is another thing. Clients that go by the numbers have asked for the next Segment before they can
    /// know: they get one of nothing, and have read the Manifest again by the time that they want another. Told that it
    /// is not there, Shaka asks for it forever, and dash.js gives up.
    fn end_in_tails(&mut self, change: &mut Change) {
        if let Some(last) = self.segments.back().map(|last| last.place.number) {
            self.hold_tails(last + TAILS, usize::MAX, change);
        }
        self.release_tails(u64::MAX, change);
    }

    /// Nothing has come until `now`: those numbers that have been over for long are of nothing, and the next can be waited
    /// for. Most `max` of them are kept.
    pub(crate) fn wait(&mut self, now: Utc, segment: Duration, max: usize, change: &mut Change) {
        let Some(last) = self.segments.back().filter(|_| self.open.is_none() && !self.goes_on) else {
            return;
        };
        let (last, end) = (last.place.number, last.end_utc());
        let passed = now.since(end).as_micros() / segment.as_micros().max(1);
        self.hold_tails(last + passed as u64 + TAILS, max, change);
        // So long after it should have begun, however long a Segment is: the edge waits a little longer.
        let late = now.since(end).checked_sub(HELD_MAX);
        let over = last + late.map_or(0, |late| 1 + (late.as_micros() / segment.as_micros().max(1)) as u64);
        let released = self.held.iter().filter(|&&number| number <= over).count();
        let excess = (self.tails.len() + released).saturating_sub(max);
        if let Some(newest) =
            excess.checked_sub(1).and_then(|n| self.tails.get(n).or(self.tails.back())).copied()
        {
            self.drop_tails(|tail| tail <= newest, change);
        }
        self.release_tails(over, change);
    }

    /// The numbers up to `until`, or the last `max` of them, can be waited for; nothing will come of them.
    fn hold_tails(&mut self, until: u64, max: usize, change: &mut Change) {
        self.held.extend(std::mem::take(&mut self.growing));
        for number in self.next_free().max(until.saturating_sub(max as u64))..=until {
            change.growth.push((self.path(&segment_file(number)), Growth::Begin(self.content_type)));
            self.held.push_back(number);
        }
    }

    /// Whoever waits for one of the numbers up to `until` of which nothing comes gets it.
    pub(crate) fn release_tails(&mut self, until: u64, change: &mut Change) {
        while let Some(number) = self.held.pop_front_if(|number| *number <= until) {
            let (path, nothing) = (self.path(&segment_file(number)), isobmff::empty_segment());
            change.growth.push((path.clone(), Growth::Piece(nothing.clone())));
            change.growth.push((path.clone(), Growth::End));
            change.objects.push((path, Object::new(Kind::Segment, self.content_type, vec![nothing])));
            self.tails.push_back(number);
        }
    }

    /// Forgets the Segments of nothing under these numbers.
    pub(crate) fn drop_tails(&mut self, is_over: impl Fn(u64) -> bool, change: &mut Change) {
        while let Some(tail) = self.tails.pop_front_if(|tail| is_over(*tail)) {
            change.remove.push(self.path(&segment_file(tail)));
        }
    }

    /// No number from here on has been used.
    pub(crate) fn next_free(&self) -> u64 {
        let tails = [self.tails.back(), self.held.back()].into_iter().flatten().copied().max();
        let newest = self.newest().map(|newest| newest.place.number);
        newest.max(tails).map_or(0, |used| used + 1)
    }

    /// The newest Segment, whole, and its object, which is in `change`.
    pub(crate) fn finished(&self, change: &Change) -> Option<Finished> {
        let segment = self.segments.back()?;
        let path = self.path(&segment.file());
        let (_, object) = change.objects.iter().rev().find(|(named, _)| *named == path)?;
        Some(Finished {
            rendition: self.name.clone(),
            place: segment.place,
            track: segment.track.clone(),
            init: segment.init.clone(),
            start: segment.start,
            ticks: segment.ticks,
            object: object.clone(),
        })
    }

    /// The source was away from `start` on for `length`, in 90 kHz ticks. That is told with the first Part of what
    /// follows, and not before: at the end of a Playlist Shaka 5.2 throws on a gap, and hls.js 1.7 waits for its pictures.
    pub(crate) fn gap_before_next(&mut self, place: Place, start: i64, length: i64) {
        self.gap = self.segments.back().map(|before| {
            let scale = i64::from(before.track.timescale());
            let scaled = |ticks: i64| (i128::from(ticks) * i128::from(scale) / i128::from(CLOCK_90K)) as i64;
            Segment::gap(place, before, scaled(start), scaled(length).max(0) as u64)
        });
    }

    fn list(&mut self, segment: Segment) {
        if !segment.follows {
            self.unlist();
        }
        self.segments.push_back(segment);
        if let Some(older) = self.segments.len().checked_sub(SEGMENTS_WITH_PARTS + 1) {
            self.segments[older].lines.parts = String::new();
        }
    }

    /// Lists nothing of what is there.
    pub(crate) fn unlist(&mut self) {
        while self.listed_from < self.segments.len() {
            self.unlist_first();
        }
    }

    /// The first Segment listed is listed no longer.
    fn unlist_first(&mut self) {
        if let Some(first) = self.segments.get(self.listed_from) {
            self.keys_before += first.keys;
            self.listed_from += 1;
        }
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
            self.unlist_first();
        }
        while let Some(segment) = self.segments.front() {
            let old = now.since(segment.end_utc()) >= window * 2 + segment.duration();
            if !(old || self.segments.len() > SEGMENTS_MAX) {
                break;
            }
            self.drop_oldest(change);
        }
    }

    /// Drops the oldest Segment.
    pub(crate) fn drop_oldest(&mut self, change: &mut Change) {
        if self.listed_from == 0 {
            self.unlist_first();
        }
        let Some(gone) = self.segments.pop_front() else { return };
        self.listed_from -= 1;
        self.bytes -= gone.bytes;
        self.remove(&gone, change);
        if let Some(oldest) =
            self.segments.front().filter(|oldest| !oldest.gap).map(|oldest| oldest.place.number)
        {
            self.drop_tails(|tail| tail < oldest, change);
        }
    }

    /// Number of the oldest Segment held, where it is not the only one.
    pub(crate) fn oldest(&self) -> Option<u64> {
        self.segments.front().filter(|_| self.segments.len() > 1).map(|segment| segment.place.number)
    }

    /// Nothing is held but what is listed.
    pub(crate) fn is_all_listed(&self) -> bool {
        self.listed_from == 0
    }

    /// How long the Segments listed are.
    pub(crate) fn window(&self) -> Duration {
        let ends = self.listed().next().zip(self.listed().next_back());
        ends.map_or(Duration::ZERO, |(first, last)| last.end_utc().since(first.start_utc()))
    }

    /// How many of the Segments listed end at least `distance` before the newest does. What comes after them is no gap:
    /// Shaka 5.2 loses its place where a Delta Update begins with one.
    pub(crate) fn before(&self, distance: Duration) -> usize {
        let end = self.newest().map(Segment::end_utc).unwrap_or_default();
        let count = self.listed().take_while(|segment| end.since(segment.end_utc()) >= distance).count();
        let gap_follows = self.listed().nth(count).is_some_and(|segment| segment.gap);
        count.saturating_sub(usize::from(gap_follows))
    }

    /// Some Segment listed has a key frame.
    pub(crate) fn has_keys(&self) -> bool {
        self.listed().any(|segment| segment.keys > 0)
    }

    /// How far apart key frames are, in ticks of the Track, as far as the newest Segments tell.
    pub(crate) fn key_interval(&self) -> Option<i64> {
        // Of several: the last one may have been cut off.
        let newest = self.segments.iter().rev().filter(|segment| !segment.gap).take(3);
        let intervals = newest.flat_map(|segment| {
            let keys = segment.parts.iter().filter(|part| part.independent).map(|part| part.start);
            let mut keys: Vec<i64> = keys.collect();
            keys.push(segment.start + segment.ticks as i64);
            keys.windows(2).map(|pair| pair[1] - pair[0]).max()
        });
        intervals.max()
    }

    fn remove(&self, gone: &Segment, change: &mut Change) {
        let name = &self.name;
        if !gone.gap {
            change.remove.extend([gone.file(), gone.file_by_time()].map(|file| format!("{name}/{file}")));
        }
        change.remove.extend((0..gone.parts.len()).map(|part| format!("{name}/{}", gone.part_file(part))));
        let mut rest = self.segments.iter().chain(&self.open);
        if !rest.any(|segment| segment.init == gone.init) {
            change.remove.push(format!("{name}/{}", gone.init));
        }
    }

    /// Bits a second of its key frames.
    pub(crate) fn key_bandwidth(&self) -> u64 {
        let bits =
            |segment: &Segment| segment.key_bytes as f64 * 8.0 / segment.duration().as_secs_f64().max(0.1);
        self.listed().map(bits).fold(0.0, f64::max).ceil() as u64
    }

    /// Bits a second of the largest Segment listed, and of all of them.
    pub(crate) fn bandwidth(&self) -> (u64, u64) {
        let (mut peak, mut bits, mut seconds, mut longest) = (0.0f64, 0.0, 0.0, 0.0f64);
        for segment in self.listed().rev().filter(|segment| !segment.gap) {
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
