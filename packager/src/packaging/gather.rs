//! Before a Period: waiting until the leader can start and the other Tracks are there.

use std::collections::VecDeque;
use std::time::Duration;

use flambeau_media::TrackId;
use flambeau_media::time::CLOCK_90K;

use super::{Cut, Gathering, Packaging, Phase, Running};
use crate::clock::ticks_of;
use crate::lane::Lane;
use crate::segment::Place;
use crate::stretches::Start;

/// How long a Track that was announced may keep the others waiting.
const TRACK_PATIENCE: Duration = Duration::from_secs(1);
/// How long sound waits for pictures that were announced: a random access point may be seconds away.
const VIDEO_PATIENCE: Duration = Duration::from_secs(10);

impl Packaging {
    /// Starts a Period if it can. False: it cannot yet.
    pub(super) fn gather(&mut self) -> bool {
        let Phase::Gathering(gathering) = &self.phase else { return false };
        let without_video = gathering.without_video;
        for lane in self.lanes.values_mut() {
            while lane.queue.front().is_some_and(|first| !first.sample.sync) {
                lane.pop();
                self.shelf.stats.samples_dropped += 1;
            }
        }
        let has_samples = |lane: &&Lane| !lane.queue.is_empty();
        let leader = self.lanes.values().filter(has_samples).min_by_key(|lane| (!lane.is_video(), lane.id));
        let Some((leader, leads_video)) = leader.map(|lane| (lane.id, lane.is_video())) else { return false };
        let now = self.now;
        let Phase::Gathering(Gathering { since, .. }) = &mut self.phase else { return false };
        let waited = now.since(*since.get_or_insert(now));
        let is_there = |id: &TrackId| self.lanes.get(id).is_some_and(|lane| !lane.queue.is_empty());
        let complete = !self.expected.is_empty() && self.expected.keys().all(is_there);
        let awaits_video =
            !leads_video && !without_video && self.expected.values().any(|is_picture| *is_picture);
        let patience = if awaits_video { VIDEO_PATIENCE } else { TRACK_PATIENCE };
        if !complete && waited < patience {
            return false;
        }
        self.begin(leader)
    }

    /// Starts a Period with the leader's first Sample.
    fn begin(&mut self, leader: TrackId) -> bool {
        let Some(start) = self.anchor(leader) else { return false };
        let Some(offset) = self.clock.offset() else { return false };
        self.leave_gap(start);
        if self.shelf.has_any() {
            self.discontinuities += 1;
            self.shelf.stats.discontinuities += 1;
        }
        self.period += 1;
        let segment = ticks_of(self.timing.segment).max(1);
        let of_the_grid = (start.div_euclid(segment) as u64).max(self.number_min);
        let number =
            self.next_number.map_or(of_the_grid, |next| of_the_grid.max(next).max(self.shelf.next_free()));
        let sequence = self.next_sequence.unwrap_or(number);
        let place = Place { number, sequence, period: self.period, discontinuities: self.discontinuities };
        let there = |lane: &&mut Lane| !lane.queue.is_empty() && !lane.gone;
        for lane in self.lanes.values_mut().filter(there) {
            lane.entry = Some(Cut { place, at: start, offset });
        }
        let lane = self.lanes.get_mut(&leader);
        if !lane.is_some_and(|lane| lane.enter(self.timing.part, &mut self.shelf)) {
            self.lanes.values_mut().for_each(|lane| lane.entry = None);
            return false;
        }
        self.lay_out(leader);
        (self.next_number, self.next_sequence) = (Some(number + 1), Some(sequence + 1));
        let boundary = self.boundary_after(start, leader);
        let (interval, due) = (self.shelf.key_interval(leader), boundary - 2 * self.tolerance(leader));
        let began = Start { place, at: start, source: start - offset, due };
        self.shelf.stretches.begin(began, interval, self.floor);
        self.shelf.halt(false);
        if std::mem::take(&mut self.shelf.away) {
            self.back = Some(self.now);
        }
        self.phase = Phase::Running(Running {
            leader,
            boundary,
            segment_start: start,
            reconfigure: false,
            cuts: VecDeque::new(),
        });
        true
    }

    /// Settles where on UTC the leader's first Sample lies: not after it came, and not before what is out already.
    fn anchor(&mut self, leader: TrackId) -> Option<i64> {
        let first = self.lanes.get(&leader)?.queue.front()?;
        let (pts, arrival) = (first.sample.pts, first.arrival.ticks(CLOCK_90K));
        let early = pts + self.clock.offset()? - arrival;
        if early > 0 {
            self.clock.hold_back(early);
        }
        let start = pts + self.clock.offset()?;
        if start < self.floor {
            self.clock.hold_back(start - self.floor);
        }
        Some(pts + self.clock.offset()?)
    }
}
