//! What an archive knows of one Rendition's Segments: the index in memory, some 60 bytes a Segment.

use std::collections::VecDeque;
use std::time::Duration;

use flambeau_media::Utc;

use super::format::{Record, Slot};

/// Most Segments missing in a row that are told one by one; a longer hole is a leap of the Playlist.
const TOLD_MAX: u64 = 64;

/// A Segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) sequence: u64,
    pub(crate) start: i64,
    pub(crate) created: Utc,
    pub(crate) ticks: u32,
    pub(crate) bytes: u32,
    pub(crate) offset: u32,
    pub(crate) slot: Slot,
    stretch: u32,
    pub(crate) copies: Copies,
}

/// Where the bytes of a Segment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copies {
    pub(crate) in_memory: bool,
    pub(crate) on_disk: bool,
}

/// What many Segments in a row share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) period: u64,
    pub(crate) discontinuities: u64,
    pub(crate) init: u32,
    pub(crate) timescale: u32,
}

/// A Segment that is complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) start: i64,
    pub(crate) ticks: u32,
    pub(crate) bytes: u32,
    pub(crate) created: Utc,
    pub(crate) stretch: Stretch,
}

/// The Segments of a Rendition, oldest first. Numbers, sequences and starts all grow.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    entries: VecDeque<Entry>,
    stretches: VecDeque<Stretch>,
    /// Number of the first of the stretches.
    first_stretch: u32,
    /// Counts what came and went: a rendering of an older version is out of date.
    version: u64,
    /// Counts what was lost or found: what is over changes with that alone.
    losses: u64,
    longest: Duration,
}

impl Timeline {
    /// Adds a Segment that is in memory. None: it does not come after those that are there.
    pub(crate) fn push(&mut self, arrival: Arrival) -> Option<Record> {
        let sequence = self.sequence_of(&arrival);
        let stretch = arrival.stretch;
        let record = Record {
            number: arrival.number,
            sequence,
            start: arrival.start,
            created: arrival.created,
            period: stretch.period,
            discontinuities: stretch.discontinuities,
            timescale: stretch.timescale,
            ticks: arrival.ticks,
            init: stretch.init,
            slot: Slot::of(Utc::from_ticks(arrival.start, stretch.timescale)),
            offset: 0,
            bytes: arrival.bytes,
        };
        self.insert(&record, Copies { in_memory: true, on_disk: false }).then_some(record)
    }

    /// Adds a Segment that was found on disk. False: it does not come after those that are there.
    pub(crate) fn restore(&mut self, record: &Record) -> bool {
        self.insert(record, Copies { in_memory: false, on_disk: true })
    }

    fn insert(&mut self, record: &Record, copies: Copies) -> bool {
        let follows = self.entries.back().is_none_or(|last| {
            let end = self.end_utc(last);
            // Starts are compared on the clock: a Track may come back with another timescale.
            last.number < record.number
                && last.sequence < record.sequence
                && within_step(end, record.start_utc())
        });
        if !follows {
            return false;
        }
        let stretch = Stretch {
            period: record.period,
            discontinuities: record.discontinuities,
            init: record.init,
            timescale: record.timescale,
        };
        if self.stretches.back() != Some(&stretch) {
            self.stretches.push_back(stretch);
        }
        let entry = Entry {
            number: record.number,
            sequence: record.sequence,
            start: record.start,
            created: record.created,
            ticks: record.ticks,
            bytes: record.bytes,
            offset: record.offset,
            slot: record.slot,
            stretch: self.first_stretch + self.stretches.len() as u32 - 1,
            copies,
        };
        self.longest = self.longest.max(crate::segment::length(u64::from(entry.ticks), stretch.timescale));
        self.entries.push_back(entry);
        self.version += 1;
        true
    }

    fn sequence_of(&self, arrival: &Arrival) -> u64 {
        let Some(last) = self.entries.back() else { return arrival.number };
        let before = self.stretch(last).map_or(0, |stretch| stretch.discontinuities);
        // Each Segment that is missing is told, or each discontinuity that is: Renditions stay in step by those.
        let step = match arrival.stretch.discontinuities.saturating_sub(before) {
            0 => arrival.number.saturating_sub(last.number),
            discontinuities => discontinuities,
        };
        last.sequence + if step <= TOLD_MAX { step.max(1) } else { 1 }
    }

    /// All Segments, oldest first.
    pub(crate) fn entries(&self) -> &VecDeque<Entry> {
        &self.entries
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    fn lost(&mut self, count: u64) {
        self.version += count;
        self.losses += count;
    }

    /// The longest Segment there ever was.
    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// The stretch of a Segment that is here.
    pub(crate) fn stretch(&self, entry: &Entry) -> Option<&Stretch> {
        self.stretches.get(entry.stretch.checked_sub(self.first_stretch)? as usize)
    }

    pub(crate) fn start_utc(&self, entry: &Entry) -> Utc {
        Utc::from_ticks(entry.start, self.timescale(entry))
    }

    pub(crate) fn end_utc(&self, entry: &Entry) -> Utc {
        Utc::from_ticks(entry.start + i64::from(entry.ticks), self.timescale(entry))
    }

    fn timescale(&self, entry: &Entry) -> u32 {
        self.stretch(entry).map_or(1, |stretch| stretch.timescale)
    }

    /// The Segment of that number.
    pub(crate) fn by_number(&self, number: u64) -> Option<&Entry> {
        let index = self.entries.binary_search_by_key(&number, |entry| entry.number).ok()?;
        self.entries.get(index)
    }

    /// The Segment that starts at that tick.
    pub(crate) fn by_start(&self, start: i64) -> Option<&Entry> {
        // Ticks grow within one timescale alone: the newest that starts there is meant.
        let in_order =
            self.stretches.iter().all(|s| Some(s.timescale) == self.stretches.front().map(|f| f.timescale));
        if in_order {
            let index = self.entries.binary_search_by_key(&start, |entry| entry.start).ok()?;
            return self.entries.get(index);
        }
        self.entries.iter().rev().find(|entry| entry.start == start)
    }

    /// The indices of the Segments that `start..end` touches.
    pub(crate) fn range(&self, start: Utc, end: Option<Utc>) -> std::ops::Range<usize> {
        let from = self.entries.partition_point(|entry| self.end_utc(entry) <= start);
        let to = end.map_or(self.entries.len(), |end| {
            self.entries.partition_point(|entry| self.start_utc(entry) < end)
        });
        from..to.max(from)
    }

    /// The bytes of a Segment are on disk now.
    pub(crate) fn stored(&mut self, sequence: u64, offset: u32) {
        if let Some(entry) = self.by_sequence(sequence) {
            (entry.copies.on_disk, entry.offset) = (true, offset);
            // One that memory has let go of already was lost, and is found again.
            let found = u64::from(!entry.copies.in_memory);
            self.lost(found);
        }
    }

    fn by_sequence(&mut self, sequence: u64) -> Option<&mut Entry> {
        let index = self.entries.binary_search_by_key(&sequence, |entry| entry.sequence).ok()?;
        self.entries.get_mut(index)
    }

    /// A Segment is no longer in memory.
    pub(crate) fn released(&mut self, number: u64) {
        let Ok(index) = self.entries.binary_search_by_key(&number, |entry| entry.number) else { return };
        if let Some(entry) = self.entries.get_mut(index) {
            entry.copies.in_memory = false;
            let lost = u64::from(!entry.copies.on_disk);
            self.lost(lost);
        }
        self.trim();
    }

    /// Nothing of it is in memory any more.
    pub(crate) fn all_released(&mut self) {
        for entry in &mut self.entries {
            entry.copies.in_memory = false;
        }
        self.lost(1);
        self.trim();
    }

    /// Forgets what ended before `point`.
    pub(crate) fn forget_before(&mut self, point: Utc) {
        while self.entries.front().is_some_and(|entry| self.end_utc(entry) <= point) {
            self.entries.pop_front();
            self.version += 1;
        }
        self.trim();
    }

    /// The file of a slot and all before it are gone from disk.
    pub(crate) fn forget_up_to(&mut self, slot: Slot) {
        for entry in self.entries.iter_mut().take_while(|entry| entry.slot <= slot) {
            entry.copies.on_disk = false;
        }
        self.lost(1);
        self.trim();
    }

    /// Drops Segments at the front of which there is nothing left.
    fn trim(&mut self) {
        let is_gone = |entry: &Entry| !entry.copies.in_memory && !entry.copies.on_disk;
        while self.entries.front().is_some_and(is_gone) {
            self.entries.pop_front();
        }
        let first = self.entries.front().map(|entry| entry.stretch);
        while first.is_some_and(|first| self.first_stretch < first) {
            self.stretches.pop_front();
            self.first_stretch += 1;
        }
        // Its numbers go on when there is nothing of it.
    }

    /// Whether an init segment is still needed.
    pub(crate) fn uses(&self, init: u32) -> bool {
        self.stretches.iter().any(|stretch| stretch.init == init)
    }
}

/// A Segment may start a little before the one before ends: where pictures are presented is not known to the tick.
fn within_step(end: Utc, start: Utc) -> bool {
    end.since(start) < Duration::from_millis(500)
}
