//! Within a Period: each Sample to its Segment.

use std::sync::Arc;
use std::time::Duration;

use flambeau_media::time::CLOCK_90K;
use flambeau_media::{TrackId, Utc};

use super::{Cut, Gathering, Packaging, Phase, Running};
use crate::clock::ticks_of;
use crate::segment::{End, TAILS};
use crate::stretches::Start;

/// A random access point this much before the grid counts as on it: the clock's steps and the rounding of time
/// stamps must not cost a whole GOP.
const GRID_TOLERANCE: Duration = Duration::from_millis(50);
/// A hole in the leader longer than this, and than three frames, is not bridged: the timeline starts anew.
const GAP_MAX: Duration = Duration::from_millis(500);
/// A Segment is cut after this many times its length, random access point or not: memory is bounded.
const SEGMENT_OVERRUN_MAX: u32 = 15;
/// A Track without Samples for this long no longer belongs to the service.
const SILENCE_MAX: Duration = Duration::from_secs(3);

impl Packaging {
    /// Packages what can be. True: the phase changed.
    pub(super) fn run(&mut self) -> bool {
        if self.leader_is_lost() {
            tracing::info!(channel = %self.channel, "the leading track went silent: going on without it");
            self.restart(Gathering { without_video: true, ..Gathering::default() }, false);
            return true;
        }
        if !self.lead() {
            return true;
        }
        self.follow_all(None);
        false
    }

    fn silence_max(&self) -> Duration {
        SILENCE_MAX.max(self.timing.segment * 2)
    }

    fn leader_is_lost(&self) -> bool {
        let Some(leader) = self.leader() else { return true };
        if leader.active.is_none() || leader.gone && leader.queue.is_empty() {
            return true;
        }
        let silent = self.now.since(leader.seen) >= self.silence_max();
        silent && self.lanes.values().any(|lane| lane.active.is_some() && lane.seen > leader.seen)
    }

    /// The leader's Samples, cuts included. False: the Period is over.
    fn lead(&mut self) -> bool {
        loop {
            let Phase::Running(running) = &self.phase else { return false };
            let (id, start) = (running.leader, running.segment_start);
            let due_at = running.boundary - 2 * self.tolerance(id);
            let reconfigure = running.reconfigure;
            let Some(lane) = self.lanes.get_mut(&id) else { return false };
            let Some(active) = &lane.active else { return false };
            let Some(first) = lane.queue.front() else { return true };
            let changed = !Arc::ptr_eq(&first.track, &active.track);
            if changed && !first.sample.sync {
                lane.pop();
                self.shelf.stats.samples_dropped += 1;
                continue;
            }
            if active.gap(&first.sample).is_some_and(|gap| {
                gap > ticks_of(GAP_MAX).max(3 * active.frame()) || gap < -ticks_of(GAP_MAX)
            }) {
                tracing::info!(channel = %self.channel, "the leading track has a hole: a discontinuity follows");
                self.restart(Gathering::default(), false);
                return false;
            }
            let at = first.sample.pts + active.offset + first.half_frame();
            let due = first.sample.sync && (changed || reconfigure || at >= due_at);
            let overdue = at - start >= ticks_of(self.timing.segment * SEGMENT_OVERRUN_MAX);
            if (due || overdue) && !active.chunker.is_empty() {
                self.cut(id, changed || reconfigure);
            }
            let Some(lane) = self.lanes.get_mut(&id) else { return false };
            if !lane.step(&mut self.shelf) {
                self.shelf.stats.samples_dropped += 1;
            }
        }
    }

    /// The leader starts a Segment with its first Sample that waits; the followers come to it in their turn.
    fn cut(&mut self, leader: TrackId, discontinuity: bool) {
        self.clock.step();
        let Some(offset) = self.clock.offset() else { return };
        let Some(first) = self.lanes.get(&leader).and_then(|lane| lane.queue.front()) else { return };
        let (at, half_frame) = (first.sample.pts + offset, first.half_frame());
        let left = self.part_with_silent(leader);
        let joining: Vec<TrackId> = self.joining(leader);
        let Some(mut place) = self.lanes.get(&leader).and_then(|lane| lane.active.as_ref()).map(|a| a.place)
        else {
            return;
        };
        place.number += if discontinuity { 1 + TAILS } else { 1 };
        place.sequence += 1;
        if discontinuity {
            self.discontinuities += 1;
            self.shelf.stats.discontinuities += 1;
        }
        if discontinuity || left || !joining.is_empty() {
            self.period += 1;
        }
        (place.period, place.discontinuities) = (self.period, self.discontinuities);
        (self.next_number, self.next_sequence) = (Some(place.number + 1), Some(place.sequence + 1));
        let part = self.timing.part;
        if let Some(lane) = self.lanes.get_mut(&leader) {
            lane.cut(place, offset, part, &mut self.shelf);
        }
        let cut = Cut { place, at, offset };
        for id in joining {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.entry = Some(cut);
            }
        }
        self.lay_out(leader);
        let boundary = self.boundary_after(at + half_frame, leader);
        let due = boundary - 2 * self.tolerance(leader);
        self.shelf.stretches.cut(Start { place, at, source: at - offset, due });
        if let Phase::Running(running) = &mut self.phase {
            running.cuts.push_back(cut);
            (running.boundary, running.segment_start, running.reconfigure) = (boundary, at, false);
        }
    }

    /// Ends the Tracks that went or fell silent. True: there were some.
    fn part_with_silent(&mut self, leader: TrackId) -> bool {
        let (now, silence_max) = (self.now, self.silence_max());
        let mut left = false;
        for lane in self.lanes.values_mut().filter(|lane| lane.id != leader && lane.is_member()) {
            if lane.gone || now.since(lane.seen) >= silence_max {
                lane.finish(End::Breaks, &mut self.shelf);
                lane.clear();
                left = true;
            }
        }
        left
    }

    /// Tells which Tracks a viewer is offered.
    pub(super) fn lay_out(&mut self, leader: TrackId) {
        let members = self.lanes.values().filter(|lane| lane.is_member());
        self.shelf.lay_out(members.map(|lane| lane.id).collect(), self.has_cues.then_some(leader));
    }

    /// The Tracks that have Samples and are not packaged yet.
    fn joining(&self, leader: TrackId) -> Vec<TrackId> {
        let newcomers = self.lanes.values().filter(|lane| lane.id != leader && !lane.is_member());
        let there = newcomers.filter(|lane| !lane.gone && self.now.since(lane.seen) < SILENCE_MAX);
        there.filter(|lane| lane.queue.iter().any(|q| q.sample.sync)).map(|lane| lane.id).collect()
    }

    /// The followers' Samples, as far as it is known to which Segment they belong; up to `end` if it is given.
    fn follow_all(&mut self, end: Option<i64>) {
        let Phase::Running(running) = &self.phase else { return };
        let leader = running.leader;
        let followers: Vec<TrackId> = self.lanes.keys().copied().filter(|&id| id != leader).collect();
        let horizon = end.unwrap_or_else(|| self.horizon(leader));
        for id in followers {
            self.follow(id, horizon);
        }
        self.forget_cuts();
    }

    /// No cut can still come before this: a picture's decoding time on the wire is never after its presentation,
    /// nor after that of later pictures. A cut may come before it is due, where a configuration changes.
    fn horizon(&self, leader: TrackId) -> i64 {
        let active = self.lanes.get(&leader).and_then(|lane| lane.active.as_ref());
        active.and_then(|active| active.newest()).unwrap_or(i64::MIN)
    }

    fn follow(&mut self, id: TrackId, horizon: i64) {
        let part = self.timing.part;
        loop {
            let Phase::Running(running) = &mut self.phase else { return };
            let Some(lane) = self.lanes.get_mut(&id) else { return };
            let Some(active) = &lane.active else {
                if lane.enter(part, &mut self.shelf) {
                    continue;
                }
                return;
            };
            let Some(first) = lane.queue.front() else { return };
            let (audio, half) = (!lane.is_video(), first.half_frame());
            let mut ahead = running.cuts.iter().filter(|cut| cut.place.number > active.place.number);
            let (next, after) = (ahead.next().copied(), ahead.next().copied());
            let reached = |cut: &Cut| first.sample.pts + cut.offset >= cut.at - half;
            match next {
                // A Segment of this Track would be empty: it starts over at the leader's next cut.
                Some(_) if after.as_ref().is_some_and(reached) && audio => {
                    lane.finish(End::Breaks, &mut self.shelf);
                    return;
                }
                Some(cut) if reached(&cut) && (audio || first.sample.sync || after.is_some()) => {
                    lane.cut(cut.place, cut.offset, part, &mut self.shelf);
                    continue;
                }
                None if first.sample.pts + active.offset >= horizon - half => return,
                _ => {}
            }
            if !Arc::ptr_eq(&first.track, &active.track) {
                running.reconfigure = true;
                lane.pop();
                self.shelf.stats.samples_dropped += 1;
            } else if !lane.step(&mut self.shelf) {
                self.shelf.stats.samples_dropped += 1;
            }
        }
    }

    /// Drops the cuts that every follower has made.
    fn forget_cuts(&mut self) {
        let Phase::Running(Running { leader, cuts, .. }) = &mut self.phase else { return };
        let followers = self.lanes.values().filter(|lane| lane.id != *leader);
        let behind = followers.filter_map(|lane| lane.number()).min();
        while cuts.front().is_some_and(|cut| behind.is_none_or(|number| cut.place.number <= number)) {
            cuts.pop_front();
        }
    }

    /// Ends all Segments in hand. `more_follows`: after a break.
    pub(super) fn finish_segments(&mut self, more_follows: bool) {
        let Phase::Running(running) = &self.phase else { return };
        let leader = running.leader;
        let end = self.lanes.get(&leader).and_then(|lane| lane.active.as_ref()).and_then(|a| a.end());
        self.follow_all(end);
        let ends = self.lanes.values().filter_map(|lane| lane.active.as_ref()?.end());
        let longest = ends.max().filter(|_| more_follows).map(|end| Utc::from_ticks(end, CLOCK_90K));
        let how = longest.map_or(End::Breaks, End::BreaksAt);
        for lane in self.lanes.values_mut() {
            if let Some(end) = lane.finish(how, &mut self.shelf) {
                self.floor = self.floor.max(end);
            }
        }
    }

    /// The point of the grid at which the Segment that starts at `at` is to end.
    pub(super) fn boundary_after(&self, at: i64, leader: TrackId) -> i64 {
        let segment = ticks_of(self.timing.segment).max(1);
        ((at + self.tolerance(leader)).div_euclid(segment) + 1) * segment
    }

    /// Sound can be cut anywhere: it needs no tolerance.
    pub(super) fn tolerance(&self, leader: TrackId) -> i64 {
        let is_video = self.lanes.get(&leader).is_some_and(|lane| lane.is_video());
        if is_video { ticks_of(GRID_TOLERANCE.min(self.timing.segment / 8)) } else { 0 }
    }
}
