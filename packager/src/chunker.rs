//! From one Track's Samples to Parts: a timeline without gaps, cut every few frames.

use std::time::Duration;

use bytes::Bytes;
use flambeau_media::{Track, Utc};
use flambeau_proto::isobmff::{EventMessage, Fragment, FragmentSample};

use crate::clock;
use crate::segment::{PART_SHARE_MIN, PART_SLACK};

/// Most Samples of a Part, whatever their times say.
const PART_SAMPLES_MAX: usize = 512;
/// Most bytes of a Part, whatever its times say: 200 ms of 640 Mb/s.
const PART_BYTES_MAX: usize = 16 << 20;

/// Most events of a Part.
const PART_EVENTS_MAX: usize = 16;

/// A finished Part.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// The CMAF chunk.
    pub(crate) bytes: Bytes,
    /// When it starts to be presented, in ticks of the Track's timescale since 1970.
    pub(crate) start: i64,
    /// Its length in ticks.
    pub(crate) duration: u64,
    /// Decoding can start with it.
    pub(crate) independent: bool,
    /// Where the bytes of its first Sample end.
    pub(crate) first_end: usize,
    /// Its Samples.
    pub(crate) samples: usize,
}

/// A Sample placed on the Track's timeline.
#[derive(Debug)]
pub(crate) struct Placed {
    /// Decoding time, in ticks of the Track's timescale since 1970.
    pub(crate) time: i64,
    /// Presentation time less decoding time.
    pub(crate) composition_offset: i32,
    /// Its length, where the stream tells.
    pub(crate) duration: Option<u32>,
    /// Decoding can start here.
    pub(crate) sync: bool,
    /// Its bytes.
    pub(crate) data: Bytes,
}

/// Makes Parts of one Track's Samples, within one Period.
///
/// A Sample lasts until the next one starts, so the newest waits here for its successor. Audio is counted, not
/// measured: as long as a frame's time is within half a frame of where the count is, the count holds.
#[derive(Debug)]
pub(crate) struct Chunker {
    timescale: u32,
    counted: bool,
    part: Duration,
    reorder: i64,
    frame_rate: Option<(u32, u32)>,
    sequence: u32,
    /// Where the timeline has got to: the next Sample's time if it follows on.
    end: Option<i64>,
    /// Length of the newest Sample whose length is known.
    frame: u32,
    waiting: Option<Placed>,
    samples: Vec<FragmentSample>,
    /// What the next Part tells of.
    events: Vec<EventMessage>,
    start: i64,
    duration: u64,
    bytes: usize,
    starts_segment: bool,
    /// Ticks that the Part in hand is to have.
    goal: u64,
    /// Ticks of the Parts of the Segment in hand.
    before: u64,
}

impl Chunker {
    /// A chunker of `track` whose Parts last about `part`. Presentation starts `reorder` ticks after decoding;
    /// the first Part has this sequence number.
    pub(crate) fn new(track: &Track, part: Duration, reorder: i64, sequence: u32) -> Self {
        Self {
            timescale: track.timescale(),
            counted: !track.is_video(),
            part,
            reorder,
            frame_rate: track.codec.picture().and_then(|picture| picture.frame_rate),
            sequence,
            end: None,
            frame: 0,
            waiting: None,
            samples: Vec::new(),
            events: Vec::new(),
            start: 0,
            duration: 0,
            bytes: 0,
            starts_segment: true,
            goal: 0,
            before: 0,
        }
    }

    /// Sequence number of the next Part.
    pub(crate) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Where the timeline has got to, in ticks; none before the first Sample.
    pub(crate) fn end(&self) -> Option<i64> {
        self.end
    }

    /// Length of a frame, in ticks; 0 while it is not known.
    pub(crate) fn frame(&self) -> u32 {
        self.frame
    }

    /// Nothing of the Segment in hand is there yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.starts_segment && self.waiting.is_none() && self.samples.is_empty()
    }

    /// The next Part tells of this.
    pub(crate) fn tell(&mut self, event: EventMessage) {
        if self.events.len() < PART_EVENTS_MAX {
            self.events.push(event);
        }
    }

    /// Where a Sample of that time goes; none where it would lie before one that is already there.
    pub(crate) fn place(&self, time: i64) -> Option<i64> {
        let Some(end) = self.end else { return Some(time) };
        let off = time - end;
        if self.counted {
            let half = i64::from(self.frame / 2);
            return (off >= -half).then_some(if off <= half { end } else { time });
        }
        match &self.waiting {
            Some(waiting) => (time > waiting.time).then_some(time),
            None => (off >= 0).then_some(time),
        }
    }

    /// Takes the next Sample, placed by [`Chunker::place`], and returns the Part that it completes.
    pub(crate) fn push(&mut self, mut sample: Placed) -> Option<Part> {
        let sooner = self.sooner(sample.time);
        sample.time -= sooner;
        sample.composition_offset = sample.composition_offset.saturating_add(sooner as i32);
        let part = self.settle(sample.time);
        if let Some(duration) = sample.duration {
            self.frame = duration;
        }
        self.end = Some(sample.time + i64::from(self.frame));
        self.waiting = Some(sample);
        part
    }

    /// Ends the Part in hand, nothing being known of what follows. The Segment goes on.
    pub(crate) fn flush(&mut self) -> Vec<Part> {
        self.end.map_or_else(Vec::new, |end| self.release(end))
    }

    /// Ends the Segment at `time`, where the next one starts, and returns what was in hand: two Parts at most.
    pub(crate) fn cut(&mut self, time: i64) -> Vec<Part> {
        let parts = self.release(time);
        self.end = Some(time);
        (self.starts_segment, self.before) = (true, 0);
        parts
    }

    /// Ends the Segment, nothing being known of what follows.
    pub(crate) fn finish(&mut self) -> Vec<Part> {
        match self.end {
            Some(end) => self.cut(end),
            None => Vec::new(),
        }
    }

    /// All that is in hand, the last Sample of which lasts until `until`.
    fn release(&mut self, until: i64) -> Vec<Part> {
        let mut parts: Vec<Part> = self.settle(until).into_iter().collect();
        parts.extend(self.close());
        parts
    }

    /// Ticks by which a picture is decoded before its time.
    ///
    /// Where pictures are missing, the one before lasts until the next, and would make its Part too long. So it ends with
    /// its Part, and the next one is decoded there; it is presented when it was to be.
    fn sooner(&self, time: i64) -> i64 {
        let Some(waiting) = &self.waiting else { return 0 };
        let lasts = time - waiting.time;
        if self.counted || !self.is_stretched(lasts) {
            return 0;
        }
        (lasts - self.target().saturating_sub(self.duration) as i64).max(0)
    }

    /// A frame that lasts for so long is followed by a hole, where the stream tells its rate.
    fn is_stretched(&self, lasts: i64) -> bool {
        self.frame_rate.is_some() && lasts as f64 > 1.5 * self.frame_ticks()
    }

    /// The waiting Sample's length is known now: it lasts until `until`.
    fn settle(&mut self, until: i64) -> Option<Part> {
        let waiting = self.waiting.take()?;
        let duration = u32::try_from(until - waiting.time).unwrap_or(self.frame);
        // The Part that comes nearest to the length asked for, whatever a Sample before a hole lasts.
        let half = u64::from(duration).min(self.frame_ticks() as u64) / 2;
        // A Sample that would make the Part too long gets one of its own.
        let is_too_long = self.duration + u64::from(duration) > self.target() + half;
        let early = if is_too_long && !self.samples.is_empty() { self.close() } else { None };
        if self.frame == 0 || !self.counted && !self.is_stretched(duration.into()) {
            self.frame = duration;
        }
        if self.samples.is_empty() {
            (self.start, self.goal) = (waiting.time, self.next_goal());
        }
        self.duration += u64::from(duration);
        self.bytes += waiting.data.len();
        self.samples.push(FragmentSample {
            duration,
            composition_offset: waiting.composition_offset,
            sync: waiting.sync,
            data: waiting.data,
        });
        let full = self.duration + half >= self.goal
            || self.samples.len() >= PART_SAMPLES_MAX
            || self.bytes >= PART_BYTES_MAX;
        match early {
            None if full => self.close(),
            early => early,
        }
    }

    /// Ticks that a Part is to have which begins now.
    ///
    /// Pictures: as many whole frames as come nearest to the length asked for. Frames of sound seldom fit into it, and what
    /// a Segment has left over at its end would be a Part of a few frames, right after the one before: hls.js 1.7 may miss
    /// such a Part, and waits for seconds. So Parts of sound end with the frame in which equal ones would.
    fn next_goal(&self) -> u64 {
        let target = self.target();
        if !self.is_even() {
            return target;
        }
        let (asked, before) = (self.asked(), self.before as f64);
        let end = ((before / asked).floor() + 1.0) * asked;
        // It is full when it comes nearest to this.
        ((end - before + self.frame_ticks() / 2.0) as u64).min(target)
    }

    /// Ticks of the longest Part.
    fn target(&self) -> u64 {
        let (asked, frame) = (self.asked(), self.frame_ticks());
        let frames = if self.is_even() { (asked / frame).ceil() } else { (asked / frame).round() };
        (frames.max(1.0) * frame) as u64
    }

    /// Parts of this Track differ by a frame.
    fn is_even(&self) -> bool {
        let (frame, frames) = (self.frame_ticks(), self.asked() / self.frame_ticks());
        let shortest = frames.floor() * frame / f64::from(self.timescale);
        self.counted && shortest >= PART_SHARE_MIN * self.told((frames.ceil() * frame) as u64).as_secs_f64()
    }

    /// Ticks of the length asked for.
    fn asked(&self) -> f64 {
        self.part.as_secs_f64() * f64::from(self.timescale)
    }

    fn frame_ticks(&self) -> f64 {
        match self.frame_rate {
            Some((num, den)) if num > 0 && den > 0 && num / den <= 1000 => {
                f64::from(self.timescale) * f64::from(den) / f64::from(num)
            }
            _ => f64::from(self.frame.max(1)),
        }
    }

    /// No Part is longer than this, in whole milliseconds, but for one that ends a Segment or a stretch of sound with a hole.
    pub(crate) fn part_target(&self) -> Duration {
        self.told(self.target())
    }

    /// The target that Playlists tell where the longest Part has so many ticks.
    fn told(&self, longest: u64) -> Duration {
        let micros = longest as f64 * 1e6 / f64::from(self.timescale) + PART_SLACK.as_micros() as f64;
        // RFC 8216bis 4.4.4.9: no Part is above the target, the last of a Segment that follows the clock included.
        Duration::from_millis((micros / 1000.0).ceil() as u64) + clock::STEP_MAX
    }

    fn close(&mut self) -> Option<Part> {
        let first = self.samples.first()?;
        let independent = first.sync;
        let fragment = Fragment {
            sequence: self.sequence,
            starts_segment: self.starts_segment,
            decode_time: self.start.max(0) as u64,
            wall_clock: Utc::from_ticks(self.start, self.timescale),
            events: &self.events,
            samples: &self.samples,
        };
        let bytes = fragment.write();
        let part = Part {
            first_end: bytes.len() - self.bytes + first.data.len(),
            bytes,
            start: self.start + self.reorder,
            duration: self.duration,
            independent,
            samples: self.samples.len(),
        };
        self.before += self.duration;
        self.samples.clear();
        self.events.clear();
        (self.duration, self.bytes, self.starts_segment) = (0, 0, false);
        self.sequence = self.sequence.wrapping_add(1);
        Some(part)
    }
}

#[cfg(test)]
mod tests;
