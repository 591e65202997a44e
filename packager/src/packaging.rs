//! One Channel's media lane, sans-IO: transport stream in, [`Change`]s out. Time is an argument.
//!
//! A **leader** (the first video Track, else the first audio Track) decides where Segments are cut; the other
//! Tracks cut at the same point of UTC. A **Period** is a stretch in which the set of Tracks, their
//! configurations and the clock stay the same; all Tracks change Period at the same Segment number, so the
//! Playlists of all Renditions stay aligned.
//!
//! Two phases. While **gathering**, Samples wait until the leader can start and the other Tracks are there.
//! While **running**, each Sample goes to its Track's Segment. A jump of the clock, a long gap or the loss of
//! the leader finishes what is in hand and gathers again.

mod gather;
mod run;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use flambeau_media::channel::Change;
use flambeau_media::feed::Chunk;
use flambeau_media::program::Program;
use flambeau_media::time::CLOCK_90K;
use flambeau_media::{ChannelId, Sample, Track, TrackId, Utc};
use flambeau_proto::mpegts::demux::{Demuxer, Event};

use crate::Timing;
use crate::archive::Finished;
use crate::clock::{ClockMap, Observed, ticks_of};
use crate::lane::Lane;
use crate::segment::Place;
use crate::shelf::Shelf;
use crate::stats::Stats;

/// A Sample this far from the wall clock is of another clock: it came around a jump.
const UNTIMELY: Duration = Duration::from_secs(30);
/// A stream without PCR is timed by its own Samples after this long.
const CLOCK_PATIENCE: Duration = Duration::from_secs(1);

/// The source is given up for a Segment's length when it has been silent for this long on top.
const AWAY_AFTER: Duration = Duration::from_millis(800);
/// For so long after a source is back dash.js 5.2 is kept from having the Period before it complete. It has read by then
/// that another follows, and has gone there at once; once it has some of that, it waits for as long as the source was away.
const BACK_FOR_SURE: Duration = Duration::from_millis(1000);
/// A splice further from now than this is of no use to a player.
const SPLICE_DISTANCE_MAX: Duration = Duration::from_secs(3600);
/// `stream_type` of splice information (ANSI/SCTE 35, 8.1).
const SPLICES: u8 = 0x86;

/// The media lane of one Channel.
#[derive(Debug)]
pub(crate) struct Packaging {
    channel: ChannelId,
    timing: Timing,
    demuxer: Demuxer,
    events: Vec<Event>,
    clock: ClockMap,
    /// The stream has a PCR.
    has_pcr: bool,
    /// The programme has SCTE-35.
    has_cues: bool,
    /// When it was back.
    back: Option<Utc>,
    /// The clock may have jumped since the last PCR.
    suspect: bool,
    /// The first chunk's time, and the newest's.
    started: Option<Utc>,
    now: Utc,
    /// PIDs of the programme that can be packaged, and whether each is of pictures.
    expected: BTreeMap<TrackId, bool>,
    lanes: BTreeMap<TrackId, Lane>,
    phase: Phase,
    shelf: Shelf,
    next_number: Option<u64>,
    next_sequence: Option<u64>,
    number_min: u64,
    period: u64,
    discontinuities: u64,
    /// Where the timeline has got to, in 90 kHz ticks of UTC: nothing may start before.
    floor: i64,
}

#[derive(Debug)]
enum Phase {
    Gathering(Gathering),
    Running(Running),
}

#[derive(Debug, Default)]
struct Gathering {
    /// When there was first something to start with.
    since: Option<Utc>,
    /// Pictures are not waited for: they were lost.
    without_video: bool,
}

#[derive(Debug)]
struct Running {
    leader: TrackId,
    /// Where the next Segment is due, in 90 kHz ticks of UTC.
    boundary: i64,
    /// Start of the leader's Segment.
    segment_start: i64,
    /// A follower waits with a new configuration: a new Period at the leader's next random access point.
    reconfigure: bool,
    /// Cuts that some follower has yet to make.
    cuts: VecDeque<Cut>,
}

/// Where the leader started a Segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) place: Place,
    /// In 90 kHz ticks of UTC.
    pub(crate) at: i64,
    /// From source time to UTC, from here on.
    pub(crate) offset: i64,
}

/// Numbers that must go on when a Channel's packager starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Resume {
    pub(crate) next_number: Option<u64>,
    /// No number below this: it was used before the process was started.
    pub(crate) number_min: u64,
    pub(crate) period: u64,
    pub(crate) discontinuities: u64,
    pub(crate) floor: i64,
}

impl Packaging {
    pub(crate) fn new(channel: ChannelId, timing: Timing, resume: Resume) -> Self {
        Self {
            shelf: Shelf::new(channel.clone(), timing),
            channel,
            timing,
            demuxer: Demuxer::new(),
            events: Vec::new(),
            clock: ClockMap::default(),
            has_pcr: false,
            has_cues: false,
            back: None,
            suspect: false,
            started: None,
            now: Utc::default(),
            expected: BTreeMap::new(),
            lanes: BTreeMap::new(),
            phase: Phase::Gathering(Gathering::default()),
            next_number: resume.next_number,
            // A packager that starts anew counts from its first number: that is ahead of any sequence there was.
            next_sequence: None,
            number_min: resume.number_min,
            period: resume.period,
            discontinuities: resume.discontinuities,
            floor: resume.floor,
        }
    }

    /// Takes in what arrived together and returns what is new to be seen.
    pub(crate) fn push(&mut self, chunk: &Chunk) -> Option<Change> {
        self.now = chunk.utc;
        self.started.get_or_insert(chunk.utc);
        if chunk.discontinuity {
            self.discontinuity();
        }
        let mut events = std::mem::take(&mut self.events);
        self.demuxer.push(&chunk.data, &mut |event| events.push(event));
        for event in events.drain(..) {
            self.take(event);
        }
        self.events = events;
        self.pump();
        if self.back.is_some_and(|back| self.now.since(back) >= BACK_FOR_SURE) {
            self.back = None;
            self.shelf.release_tails();
        }
        self.shelf.take_change()
    }

    /// The Feed is silent: hands out what is in hand, and the Playlists say so.
    pub(crate) fn pause(&mut self) -> Option<Change> {
        for lane in self.lanes.values_mut() {
            lane.flush(&mut self.shelf);
        }
        self.shelf.pause();
        self.shelf.take_change()
    }

    /// The Feed has been silent for so long. After more than a Segment's length it is given up: whatever follows does
    /// not go on from what is there.
    pub(crate) fn silence(&mut self, length: Duration) -> Option<Change> {
        let end = self.shelf.newest_end()?;
        let given_up = self.now.plus(length).since(end) >= self.timing.segment + AWAY_AFTER;
        if given_up && !std::mem::replace(&mut self.shelf.away, true) {
            self.restart(Gathering::default(), true);
            // Whoever comes back is timed anew: what it sends late is not of the time that has passed.
            self.clock = ClockMap::default();
            (self.has_pcr, self.started) = (false, None);
            self.discontinuity();
        }
        if self.shelf.away {
            self.shelf.wait(self.now.plus(length));
        }
        self.shelf.take_change()
    }

    /// The source is back at `start`: what it did not send ends what was before with a gap. One, of up to a Segment's
    /// length, however long the source was away: hls.js 1.7 spends a second on each.
    pub(super) fn leave_gap(&mut self, start: i64) {
        let length = (start - self.floor).min(ticks_of(self.timing.segment));
        let (Some(number), Some(sequence)) = (self.next_number, self.next_sequence) else { return };
        if !(self.timing.hls_gaps && self.shelf.away && length > 0) {
            return;
        }
        let place = Place { number, sequence, period: self.period, discontinuities: self.discontinuities };
        self.shelf.gap(place, self.floor, length);
        self.next_sequence = Some(sequence + 1);
    }

    /// Bytes are missing before the next chunk.
    pub(crate) fn discontinuity(&mut self) {
        self.demuxer.discontinuity();
        self.suspect = true;
    }

    /// The Feed has ended: finishes what is in hand. `ended`: nothing will ever follow.
    pub(crate) fn finish(&mut self, ended: bool) -> Option<Change> {
        let mut events = Vec::new();
        self.demuxer.flush(&mut |event| events.push(event));
        for event in events {
            self.take(event);
        }
        self.pump();
        // There is nothing to keep in step with where nothing follows.
        self.finish_segments(!ended);
        self.restart(Gathering::default(), true);
        // Nobody will tell any more that what was waited for is there.
        self.shelf.release_tails();
        self.lanes.clear();
        self.expected.clear();
        (self.clock, self.has_pcr, self.started) = (ClockMap::default(), false, None);
        self.demuxer = Demuxer::new();
        if ended {
            self.shelf.end();
        }
        self.shelf.take_change()
    }

    /// The Feed is there again.
    pub(crate) fn resume(&mut self) {
        self.shelf.resume();
    }

    /// Where a successor must go on.
    pub(crate) fn resume_point(&self) -> Resume {
        Resume {
            next_number: self.next_number.map(|next| next.max(self.shelf.next_free())),
            number_min: self.number_min,
            period: self.period,
            discontinuities: self.discontinuities,
            floor: self.floor,
        }
    }

    /// From now on, keeps the Segments that are finished for [`Packaging::take_finished`].
    pub(crate) fn keep_finished(&mut self) {
        self.shelf.keep_finished();
    }

    /// The Segments finished since the last time.
    pub(crate) fn take_finished(&mut self) -> Vec<Finished> {
        self.shelf.take_finished()
    }

    /// Totals so far.
    pub(crate) fn stats(&mut self) -> &Stats {
        self.shelf.stats.demux = self.demuxer.stats();
        self.shelf.stats.drift_us = self.clock.drift_us();
        &self.shelf.stats
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Program(program) => self.expect(&program),
            Event::Track(track) => self.announce(track),
            Event::Sample(id, sample) => self.sample(id, sample),
            Event::Clock { pcr, discontinuity } => {
                self.has_pcr = true;
                self.observe(pcr, discontinuity);
            }
            Event::Splice { pts, section, .. } => self.splice(pts, &section),
            Event::TrackGone(id) => {
                self.expected.remove(&id);
                if let Some(lane) = self.lanes.get_mut(&id) {
                    lane.gone = true;
                }
            }
        }
    }

    fn expect(&mut self, program: &Program) {
        self.has_cues = program.streams.iter().any(|stream| stream.stream_type == SPLICES);
        let packaged = program.streams.iter().filter(|stream| stream.packaged);
        self.expected =
            packaged.map(|stream| (TrackId(stream.pid), is_picture(stream.stream_type))).collect();
    }

    fn announce(&mut self, track: Track) {
        match self.lanes.get_mut(&track.id) {
            Some(lane) => {
                lane.gone = false;
                if *lane.track != track {
                    lane.track = track.into();
                }
            }
            None => {
                self.lanes.insert(track.id, Lane::new(track));
            }
        }
    }

    fn observe(&mut self, pcr: i64, discontinuity: bool) {
        let suspect = discontinuity | std::mem::take(&mut self.suspect);
        if self.clock.observe(pcr, self.now, suspect) == Observed::Jumped {
            tracing::info!(channel = %self.channel, "the source's clock jumped: a discontinuity follows");
            self.restart(Gathering::default(), true);
        }
    }

    /// A splice: told to the players, at its time on UTC.
    fn splice(&mut self, pts: Option<i64>, section: &Bytes) {
        let Some(offset) = self.clock.offset() else { return };
        let Phase::Running(Running { leader, .. }) = &self.phase else { return };
        let active = self.lanes.get_mut(leader).and_then(|lane| lane.active.as_mut());
        let Some(active) = active else { return };
        // At once: with the next picture.
        let Some(time) = pts.map(|pts| pts + offset).or(active.end()) else { return };
        if (time - self.now.ticks(CLOCK_90K)).abs() > ticks_of(SPLICE_DISTANCE_MAX) {
            return;
        }
        if let Some(message) = self.shelf.cue(section, time) {
            active.chunker.tell(message);
        }
    }

    fn sample(&mut self, id: TrackId, sample: Sample) {
        let Some(lane) = self.lanes.get(&id) else { return };
        let (is_video, first_lane) = (lane.is_video(), self.lanes.keys().next() == Some(&id));
        let waited = self.started.is_some_and(|started| self.now.since(started) >= CLOCK_PATIENCE);
        if !self.has_pcr && first_lane && waited {
            self.observe(sample.dts, false);
        }
        let timely = self.clock.offset().is_some_and(|offset| {
            let off = sample.pts + offset - self.now.ticks(CLOCK_90K);
            off.abs() <= ticks_of(UNTIMELY)
        });
        if !timely {
            self.shelf.stats.samples_dropped += 1;
            return;
        }
        // Pictures appear where there was sound alone: they lead from now on.
        if is_video && sample.sync && self.leader().is_some_and(|leader| !leader.is_video()) {
            self.restart(Gathering::default(), false);
        }
        let now = self.now;
        if let Some(lane) = self.lanes.get_mut(&id) {
            self.shelf.stats.samples_dropped += lane.enqueue(sample, now);
        }
    }

    fn leader(&self) -> Option<&Lane> {
        match &self.phase {
            Phase::Running(running) => self.lanes.get(&running.leader),
            Phase::Gathering(_) => None,
        }
    }

    /// Does what the Samples at hand allow.
    fn pump(&mut self) {
        loop {
            let went_on = match self.phase {
                Phase::Gathering(_) => self.gather(),
                Phase::Running(_) => self.run(),
            };
            if !went_on {
                break;
            }
        }
        self.lanes.retain(|_, lane| !(lane.gone && lane.queue.is_empty() && !lane.is_member()));
    }

    /// Finishes what is in hand and gathers anew. `forget`: what waits is of another clock.
    fn restart(&mut self, gathering: Gathering, forget: bool) {
        self.finish_segments(true);
        self.shelf.halt(true);
        if forget {
            self.lanes.values_mut().for_each(Lane::clear);
        }
        self.phase = Phase::Gathering(gathering);
    }
}

/// `stream_type` of pictures (ISO/IEC 13818-1, table 2-34): MPEG-1, MPEG-2, MPEG-4, H.264, HEVC, VVC.
fn is_picture(stream_type: u8) -> bool {
    matches!(stream_type, 0x01 | 0x02 | 0x10 | 0x1b | 0x24 | 0x33)
}

#[cfg(test)]
mod tests;
