//! When each session of a worker has its turn: slots of time, a list of sessions in each.
//!
//! A turn costs one entry in a list, so a session with nothing to do costs nothing, and all whose turns fall within a
//! slot share one wake-up.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A slot's number, counted from the wheel's begin.
pub(super) type Slot = u64;

/// The turns to come.
pub(super) struct Wheel {
    begin: Instant,
    /// The first slot that was not taken yet.
    next: Slot,
    slots: Box<[Vec<u32>]>,
    /// A bit for each slot that is not empty.
    taken: [u64; SLOTS / 64],
}

impl Wheel {
    /// How long a slot is: turns are so late at most.
    pub(super) const SLOT: Duration = Duration::from_micros(500);

    /// A wheel whose slots begin with those of every other of this process: who delivers and who sends on can keep step.
    pub(super) fn new(now: Instant) -> Self {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        let mut wheel = Self::from(BEGIN.min(now));
        wheel.next = wheel.current(now);
        wheel
    }

    fn from(begin: Instant) -> Self {
        Self { begin, next: 0, slots: vec![Vec::new(); SLOTS].into(), taken: [0; SLOTS / 64] }
    }

    /// The slot in which `at` has passed: not one that was taken, and within the wheel, whatever `at` is.
    pub(super) fn slot(&self, at: Instant) -> Slot {
        let since = at.saturating_duration_since(self.begin).as_micros();
        let slot = since.div_ceil(Self::SLOT.as_micros()) as Slot;
        slot.clamp(self.next, self.next + SLOTS as Slot - 1)
    }

    /// The slot that `now` lies in.
    fn current(&self, now: Instant) -> Slot {
        (now.saturating_duration_since(self.begin).as_micros() / Self::SLOT.as_micros()) as Slot
    }

    /// The next time after `now` that is a multiple of `interval` from the wheel's begin: sessions with one interval have
    /// their turns together.
    pub(super) fn next_multiple(&self, now: Instant, interval: Duration) -> Instant {
        let interval_us = interval.as_micros().max(1);
        let since_us = now.saturating_duration_since(self.begin).as_micros();
        self.begin + Duration::from_micros(((since_us / interval_us + 1) * interval_us) as u64)
    }

    /// When the slot's turn comes.
    pub(super) fn time(&self, slot: Slot) -> Instant {
        self.begin + Duration::from_micros(slot * Self::SLOT.as_micros() as u64)
    }

    /// Gives the session a turn in the slot, which [`Wheel::slot`] told.
    pub(super) fn put(&mut self, slot: Slot, session: u32) {
        let index = slot as usize % SLOTS;
        self.slots[index].push(session);
        self.taken[index / 64] |= 1 << (index % 64);
    }

    /// When the next turn comes.
    pub(super) fn next(&self) -> Option<Instant> {
        let start = self.next as usize % SLOTS;
        let (first, above) = (start / 64, u64::MAX << (start % 64));
        // The first word may be looked at twice: its end at first, its beginning once all others are empty.
        for turn in 0..=self.taken.len() {
            let word = (first + turn) % self.taken.len();
            let bits = self.taken[word] & if turn == 0 { above } else { u64::MAX };
            if bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                return Some(self.time(self.next + ((index + SLOTS - start) % SLOTS) as Slot));
            }
        }
        None
    }

    /// Moves the turns that have come to `into`, each with its slot.
    pub(super) fn take(&mut self, now: Instant, into: &mut Vec<(Slot, u32)>) {
        let last = self.current(now);
        // After a long absence each slot has its turn once.
        for slot in self.next..=last.min(self.next + SLOTS as Slot - 1) {
            let index = slot as usize % SLOTS;
            into.extend(self.slots[index].drain(..).map(|session| (slot, session)));
            self.taken[index / 64] &= !(1 << (index % 64));
        }
        self.next = self.next.max(last + 1);
    }
}

/// A second: sessions look after themselves at least so often.
const SLOTS: usize = 2_048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn turns_come_in_their_slot_and_never_before_their_time() {
        let begin = Instant::now();
        let mut wheel = Wheel::from(begin);
        assert_eq!(wheel.next(), None);
        for (session, at) in [(1, 3), (2, 4), (3, 5), (4, 0), (5, 100_000)] {
            wheel.put(wheel.slot(begin + ms(at)), session);
        }
        let mut due = Vec::new();
        wheel.take(begin, &mut due);
        assert_eq!(due, [(0, 4)]);
        assert_eq!(wheel.next(), Some(begin + ms(3)));
        wheel.take(begin + ms(5), &mut due);
        assert_eq!(due, [(0, 4), (6, 1), (8, 2), (10, 3)]);
        // What lies beyond the wheel comes at its end.
        assert_eq!(wheel.next(), Some(begin + ms(1_023) + Wheel::SLOT));
    }

    proptest! {
        #[test]
        fn every_turn_comes_once_and_in_time(steps in prop::collection::vec((0u64..1_500, 0u64..900), 1..60)) {
            let begin = Instant::now();
            let (mut wheel, mut now, mut due) = (Wheel::from(begin), begin, Vec::new());
            let mut waiting = Vec::new();
            for (session, (pass, ahead)) in steps.iter().enumerate() {
                now += ms(*pass);
                let next = wheel.next();
                prop_assert_eq!(next.is_some(), !waiting.is_empty());
                wheel.take(now, &mut due);
                for (_, session) in due.drain(..) {
                    let index = waiting.iter().position(|&(waits, _)| waits == session).expect("it was put in");
                    let (_, at) = waiting.swap_remove(index);
                    prop_assert!(at <= now);
                }
                prop_assert!(waiting.iter().all(|&(_, at)| at + Wheel::SLOT > now));
                let at = now + ms(*ahead);
                wheel.put(wheel.slot(at), session as u32);
                waiting.push((session as u32, at));
            }
        }
    }
}
