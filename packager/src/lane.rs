//! One Track on its way from the demultiplexer to its Rendition.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flambeau_media::time::CLOCK_90K;
use flambeau_media::{Sample, Track, TrackId, Utc};

use crate::chunker::{Chunker, Placed};
use crate::packaging::Cut;
use crate::segment::{End, Place};
use crate::shelf::Shelf;

/// Most Samples that wait to be packaged: 80 s of AAC.
const QUEUE_SAMPLES_MAX: usize = 4096;
/// Most bytes that wait to be packaged: 8 s of 64 Mb/s.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// A Sample that waits, with what it needs to be understood later.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The Track as it was when the Sample came.
    pub(crate) track: Arc<Track>,
    pub(crate) sample: Sample,
    /// When it came.
    pub(crate) arrival: Utc,
}

impl Queued {
    /// Half the length of an audio frame, in 90 kHz ticks; 0 for a picture.
    pub(crate) fn half_frame(&self) -> i64 {
        let frame = self.sample.duration.filter(|_| !self.track.is_video()).unwrap_or(0);
        i64::from(frame) * i64::from(CLOCK_90K) / i64::from(self.track.timescale()) / 2
    }
}

/// A Track: what waits, and what is being made of it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) id: TrackId,
    /// The Track as last announced.
    pub(crate) track: Arc<Track>,
    pub(crate) queue: VecDeque<Queued>,
    queued_bytes: usize,
    /// It has left the programme.
    pub(crate) gone: bool,
    /// When its newest Sample came.
    pub(crate) seen: Utc,
    /// None while it is not packaged.
    pub(crate) active: Option<Active>,
    /// Where it is to start being packaged, once it has a Sample for it.
    pub(crate) entry: Option<Cut>,
    /// `mfhd` sequence number of its next Part.
    sequence: u32,
}

/// A Track that is being packaged.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) track: Arc<Track>,
    pub(crate) chunker: Chunker,
    pub(crate) place: Place,
    /// From source time to UTC, for the Segment in hand.
    pub(crate) offset: i64,
    /// By how much a picture is presented after it is decoded, where decoding starts.
    reorder: i64,
    init: Arc<str>,
}

impl Active {
    /// Until when there is something to present, in 90 kHz ticks of UTC.
    pub(crate) fn end(&self) -> Option<i64> {
        let scale = i128::from(self.track.timescale());
        let ticks = |end| (i128::from(end) * i128::from(CLOCK_90K)).div_euclid(scale) as i64;
        self.chunker.end().map(|end| ticks(end) + self.reorder)
    }

    /// Decoding time of the newest Sample, in 90 kHz ticks of UTC: no later one is presented before it.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.end().map(|end| end - self.frame() - self.reorder)
    }

    /// Length of a frame, in 90 kHz ticks.
    pub(crate) fn frame(&self) -> i64 {
        i64::from(self.chunker.frame()) * i64::from(CLOCK_90K) / i64::from(self.track.timescale())
    }

    /// By how much a Sample comes after what is there, in 90 kHz ticks; below zero: before its end.
    pub(crate) fn gap(&self, sample: &Sample) -> Option<i64> {
        Some(sample.dts + self.offset + self.reorder - self.end()?)
    }

    /// The time of a Sample in ticks of the Track.
    fn ticks(&self, sample: &Sample, offset: i64) -> i64 {
        if self.track.is_video() {
            return sample.dts + offset;
        }
        let scaled = i128::from(sample.pts + offset) * i128::from(self.track.timescale());
        scaled.div_euclid(i128::from(CLOCK_90K)) as i64
    }
}

impl Lane {
    pub(crate) fn new(track: Track) -> Self {
        Self {
            id: track.id,
            track: Arc::new(track),
            queue: VecDeque::new(),
            queued_bytes: 0,
            gone: false,
            seen: Utc::default(),
            active: None,
            entry: None,
            sequence: 1,
        }
    }

    /// It is packaged, or about to be.
    pub(crate) fn is_member(&self) -> bool {
        self.active.is_some() || self.entry.is_some()
    }

    /// Number of the Segment it is at.
    pub(crate) fn number(&self) -> Option<u64> {
        let active = self.active.as_ref().map(|active| active.place.number);
        active.or(self.entry.map(|entry| entry.place.number))
    }

    pub(crate) fn is_video(&self) -> bool {
        self.track.is_video()
    }

    /// Adds a Sample; returns how many had to go for it.
    pub(crate) fn enqueue(&mut self, sample: Sample, arrival: Utc) -> u64 {
        self.seen = arrival;
        self.queued_bytes += sample.data.len();
        self.queue.push_back(Queued { track: self.track.clone(), sample, arrival });
        let mut dropped = 0;
        while self.queue.len() > QUEUE_SAMPLES_MAX || self.queued_bytes > QUEUE_BYTES_MAX {
            self.pop();
            dropped += 1;
        }
        dropped
    }

    pub(crate) fn pop(&mut self) -> Option<Queued> {
        let queued = self.queue.pop_front()?;
        self.queued_bytes -= queued.sample.data.len();
        Some(queued)
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.queued_bytes = 0;
    }

    /// Drops what comes before the first Sample that can be presented at or after `at`; of pictures, also what
    /// cannot be decoded from there.
    fn skip_to(&mut self, at: i64, offset: i64) -> u64 {
        let mut skipped = 0;
        while let Some(queued) = self.queue.front() {
            let early = queued.sample.pts + offset < at - queued.half_frame();
            if !early && queued.sample.sync {
                break;
            }
            self.pop();
            skipped += 1;
        }
        skipped
    }

    /// Begins to be packaged where it is to, if a Sample for it is there.
    pub(crate) fn enter(&mut self, part: Duration, shelf: &mut Shelf) -> bool {
        let Some(Cut { place, at, offset }) = self.entry else { return false };
        shelf.stats.samples_dropped += self.skip_to(at, offset);
        if self.queue.is_empty() {
            return false;
        }
        self.entry = None;
        self.activate(place, offset, part, shelf);
        true
    }

    /// Begins to be packaged with the Sample that waits first.
    fn activate(&mut self, place: Place, offset: i64, part: Duration, shelf: &mut Shelf) {
        let Some(first) = self.queue.front() else { return };
        let track = first.track.clone();
        let reorder = if track.is_video() { first.sample.pts - first.sample.dts } else { 0 };
        let init = shelf.open(&track);
        let chunker = Chunker::new(&track, part, reorder, self.sequence);
        self.active = Some(Active { track, chunker, place, offset, reorder, init });
    }

    /// Packages the Sample that waits first. False: it has no place on the timeline and was left out.
    pub(crate) fn step(&mut self, shelf: &mut Shelf) -> bool {
        let Some(queued) = self.pop() else { return false };
        let Some(active) = &mut self.active else { return false };
        let sample = queued.sample;
        let Some(time) = active.chunker.place(active.ticks(&sample, active.offset)) else { return false };
        let composition = if active.track.is_video() { sample.pts + active.offset - time } else { 0 };
        let placed = Placed {
            time,
            composition_offset: i32::try_from(composition).unwrap_or(0),
            duration: sample.duration,
            sync: sample.sync,
            data: sample.data,
        };
        if let Some(part) = active.chunker.push(placed) {
            shelf.add(self.id, part, active.place, &active.track, &active.init, &active.chunker);
        }
        true
    }

    /// Ends the Part in hand: nobody knows when more comes, and players were told of this one.
    pub(crate) fn flush(&mut self, shelf: &mut Shelf) {
        let Some(active) = &mut self.active else { return };
        for part in active.chunker.flush() {
            shelf.add(self.id, part, active.place, &active.track, &active.init, &active.chunker);
        }
    }

    /// Ends the Segment where the Sample that waits first starts the next one, at `place`.
    pub(crate) fn cut(&mut self, place: Place, offset: i64, part: Duration, shelf: &mut Shelf) {
        let (Some(active), Some(first)) = (&mut self.active, self.queue.front()) else { return };
        let wanted = active.ticks(&first.sample, offset);
        let at = active.chunker.place(wanted).or(active.chunker.end()).unwrap_or(wanted);
        let was_empty = active.chunker.is_empty();
        for part in active.chunker.cut(at) {
            shelf.add(self.id, part, active.place, &active.track, &active.init, &active.chunker);
        }
        let reconfigured = !Arc::ptr_eq(&active.track, &first.track) && active.place.period != place.period;
        if !was_empty {
            let goes_on = !reconfigured && active.place.discontinuities == place.discontinuities;
            shelf.complete(self.id, if goes_on { End::GoesOn } else { End::Breaks });
        }
        (active.place, active.offset) = (place, offset);
        if reconfigured {
            self.sequence = active.chunker.sequence();
            self.activate(place, offset, part, shelf);
        }
    }

    /// Ends the Segment in hand, and being packaged. Returns where the timeline got to, in 90 kHz ticks.
    pub(crate) fn finish(&mut self, end: End, shelf: &mut Shelf) -> Option<i64> {
        self.entry = None;
        let mut active = self.active.take()?;
        for part in active.chunker.finish() {
            shelf.add(self.id, part, active.place, &active.track, &active.init, &active.chunker);
        }
        shelf.complete(self.id, end);
        self.sequence = active.chunker.sequence();
        active.end()
    }
}
