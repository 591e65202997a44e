//! What arrives: ordering, loss, and delivery at the sender's own pace (TSBPD, draft-sharabayko-srt 4.5).
//!
//! Payloads wait here until `origin + latency`. A gap is asked for again until then; what is still missing when
//! the packet behind it is due is given up (TLPKTDROP, 4.6).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::seq::SeqNo;

/// The most packets between the next one to deliver and the newest: what we advertise as flow window.
pub const WINDOW_PACKETS: u32 = 16_384;

/// ACK-to-ACKACK samples over which the peer's clock drift is averaged (libsrt's span).
const DRIFT_SAMPLES: u32 = 1_000;

/// One payload, in order, at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The clear bytes.
    pub data: Bytes,
    /// When it was due: the sender's origin time plus the negotiated latency.
    pub time: Instant,
    /// Packets given up just before this one.
    pub lost_before: u32,
}

/// What a data packet turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Wanted. If packets are missing before it that nobody knew of: the first and last of them.
    New { gap: Option<(SeqNo, SeqNo)> },
    /// Already here.
    Duplicate,
    /// Its time is over: delivered or given up.
    Belated,
    /// Further ahead than the flow window allows.
    BeyondWindow,
}

#[derive(Debug)]
enum Slot {
    /// Asked for again at this time, or never yet.
    Missing {
        asked: Option<Instant>,
    },
    /// Given up: by the sender, or because it could not be decrypted.
    Dropped,
    Packet {
        data: Bytes,
        due: Instant,
    },
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct Receiver {
    next: SeqNo,
    /// `slots[i]` is packet `next + i`; the last is the newest known.
    slots: VecDeque<Slot>,
    /// `slots[..contiguous]` holds nothing that is missing.
    contiguous: usize,
    missing: usize,
    lost_before: u32,
    clock: PeerClock,
    latency: Duration,
    too_late_drop: bool,
}

impl Receiver {
    /// `anchor`: when the handshake that fixed the clocks came, and the peer's timestamp in it.
    pub(super) fn new(first: SeqNo, anchor: (Instant, u32), latency: Duration, too_late_drop: bool) -> Self {
        Self {
            next: first,
            slots: VecDeque::new(),
            contiguous: 0,
            missing: 0,
            lost_before: 0,
            clock: PeerClock::new(anchor),
            latency,
            too_late_drop,
        }
    }

    /// The first packet not yet here (nor given up): what an ACK says.
    pub(super) fn acknowledged(&self) -> SeqNo {
        self.next.plus(self.contiguous as i32)
    }

    /// Packets that still fit.
    pub(super) fn available(&self) -> u32 {
        WINDOW_PACKETS.saturating_sub(self.slots.len() as u32)
    }

    /// Packets held, whether or not something is missing before them.
    pub(super) fn held(&self) -> usize {
        self.slots.len() - self.missing
    }

    /// Nothing waits for its time.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Something is missing.
    pub(super) fn has_gaps(&self) -> bool {
        self.missing > 0
    }

    /// What a packet of this number would be, and the room it needs is made.
    pub(super) fn place(&mut self, sequence: SeqNo, now: Instant) -> Place {
        let ahead = sequence.minus(self.next);
        if ahead < 0 {
            return Place::Belated;
        }
        let index = ahead as usize;
        if index >= WINDOW_PACKETS as usize {
            if !self.slots.is_empty() {
                return Place::BeyondWindow;
            }
            // After a blackout longer than the window nothing before this packet can still come in time.
            self.lost_before = self.lost_before.saturating_add(index as u32);
            self.next = sequence;
            return self.place(sequence, now);
        }
        match self.slots.get(index) {
            Some(Slot::Packet { .. }) => return Place::Duplicate,
            Some(Slot::Dropped) => return Place::Belated,
            Some(Slot::Missing { .. }) => return Place::New { gap: None },
            None => {}
        }
        let newest = self.slots.len();
        while self.slots.len() <= index {
            self.slots.push_back(Slot::Missing { asked: Some(now) });
            self.missing += 1;
        }
        let gap = (newest < index).then(|| (self.next.plus(newest as i32), sequence.plus(-1)));
        Place::New { gap }
    }

    /// Keeps the payload of a packet that [`Receiver::place`] found to be new.
    pub(super) fn insert(&mut self, sequence: SeqNo, timestamp: u32, data: Bytes) {
        let due = self.clock.local(timestamp) + self.latency;
        self.settle(sequence, Slot::Packet { data, due });
    }

    /// Gives up a packet that [`Receiver::place`] found to be new: it came, but cannot be read.
    pub(super) fn give_up(&mut self, sequence: SeqNo) {
        self.settle(sequence, Slot::Dropped);
    }

    /// Gives up what is missing of `first..=last`: the sender no longer has it. Returns how many that were.
    pub(super) fn give_up_range(&mut self, first: SeqNo, last: SeqNo) -> u32 {
        let end = i64::from(last.minus(self.next)) + 1;
        if end <= 0 || first.minus(last) > 0 {
            return 0;
        }
        // Never grows past the window, whatever the peer claims.
        let end = end.min(i64::from(WINDOW_PACKETS)) as usize;
        let start = first.minus(self.next).max(0) as usize;
        while self.slots.len() < end {
            self.slots.push_back(Slot::Missing { asked: None });
            self.missing += 1;
        }
        let mut dropped = 0;
        for slot in self.slots.range_mut(start.min(end)..end) {
            if matches!(slot, Slot::Missing { .. }) {
                *slot = Slot::Dropped;
                dropped += 1;
            }
        }
        self.missing -= dropped as usize;
        self.extend_contiguous();
        dropped
    }

    fn settle(&mut self, sequence: SeqNo, slot: Slot) {
        let index = sequence.minus(self.next);
        let Some(place) = usize::try_from(index).ok().and_then(|index| self.slots.get_mut(index)) else {
            return;
        };
        if matches!(place, Slot::Missing { .. }) {
            self.missing -= 1;
        }
        *place = slot;
        self.extend_contiguous();
    }

    fn extend_contiguous(&mut self) {
        while self.slots.get(self.contiguous).is_some_and(|slot| !matches!(slot, Slot::Missing { .. })) {
            self.contiguous += 1;
        }
    }

    /// Ranges to ask for again: missing, and not asked for within `patience`. At most `ranges_max` of them.
    pub(super) fn ask_again(
        &mut self,
        now: Instant,
        patience: Duration,
        ranges_max: usize,
        into: &mut Vec<(SeqNo, SeqNo)>,
    ) {
        if self.missing == 0 {
            return;
        }
        for (index, slot) in self.slots.iter_mut().enumerate().skip(self.contiguous) {
            let Slot::Missing { asked } = slot else { continue };
            if asked.is_some_and(|asked| now.saturating_duration_since(asked) < patience) {
                continue;
            }
            let sequence = self.next.plus(index as i32);
            let full = into.len() >= ranges_max;
            match into.last_mut() {
                Some((_, last)) if last.next() == sequence => *last = sequence,
                _ if full => return,
                _ => into.push((sequence, sequence)),
            }
            *asked = Some(now);
        }
    }

    /// Takes out everything that is due, in order. Returns how many packets were given up for being too late.
    pub(super) fn deliver(&mut self, now: Instant, into: &mut Vec<Payload>) -> u32 {
        let mut given_up = 0;
        loop {
            match self.slots.front() {
                Some(Slot::Packet { due, .. }) if *due <= now => self.pop(into),
                Some(Slot::Dropped) => self.pop(into),
                Some(Slot::Missing { .. }) => match self.first_due() {
                    Some((behind, due)) if self.too_late_drop && due <= now => {
                        for _ in 0..behind {
                            given_up += u32::from(matches!(self.slots.front(), Some(Slot::Missing { .. })));
                            self.pop(into);
                        }
                    }
                    _ => break,
                },
                Some(Slot::Packet { .. }) | None => break,
            }
        }
        self.extend_contiguous();
        given_up
    }

    /// When [`Receiver::deliver`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.slots.front()? {
            Slot::Missing { .. } if !self.too_late_drop => None,
            _ => self.first_due().map(|(_, due)| due),
        }
    }

    fn first_due(&self) -> Option<(usize, Instant)> {
        self.slots.iter().enumerate().find_map(|(index, slot)| match slot {
            Slot::Packet { due, .. } => Some((index, *due)),
            _ => None,
        })
    }

    fn pop(&mut self, into: &mut Vec<Payload>) {
        match self.slots.pop_front() {
            Some(Slot::Packet { data, due }) => {
                let lost_before = std::mem::take(&mut self.lost_before);
                into.push(Payload { data, time: due, lost_before });
            }
            Some(Slot::Dropped) => self.lost_before += 1,
            Some(Slot::Missing { .. }) => {
                self.lost_before += 1;
                self.missing -= 1;
            }
            None => return,
        }
        self.next = self.next.next();
        self.contiguous = self.contiguous.saturating_sub(1);
    }

    /// Takes in one look at the peer's clock: a control packet's timestamp, and how far the RTT is from its first.
    pub(super) fn observe_clock(&mut self, now: Instant, timestamp: u32, rtt_excess: Duration) {
        self.clock.observe(now, timestamp, rtt_excess);
    }
}

/// The peer's 32-bit microsecond timestamps on our clock: wraps undone, drift followed.
#[derive(Debug)]
struct PeerClock {
    /// Our time of the last timestamp seen, which is the reference for the next: a wrap is 71 minutes away.
    reference: (Instant, u32),
    drift_us_sum: i64,
    drift_samples: u32,
}

impl PeerClock {
    fn new(anchor: (Instant, u32)) -> Self {
        Self { reference: anchor, drift_us_sum: 0, drift_samples: 0 }
    }

    fn local(&mut self, timestamp: u32) -> Instant {
        let (at, of) = self.reference;
        let ahead_us = timestamp.wrapping_sub(of) as i32;
        let step = Duration::from_micros(ahead_us.unsigned_abs().into());
        let local = if ahead_us >= 0 { at + step } else { at.checked_sub(step).unwrap_or(at) };
        if ahead_us > 0 {
            self.reference = (local, timestamp);
        }
        local
    }

    fn observe(&mut self, now: Instant, timestamp: u32, rtt_excess: Duration) {
        let expected = self.local(timestamp) + rtt_excess / 2;
        let late_us = now.saturating_duration_since(expected).as_micros() as i64;
        let early_us = expected.saturating_duration_since(now).as_micros() as i64;
        // One absurd sample (a suspended machine) must not drag the mean.
        self.drift_us_sum += (late_us - early_us).clamp(-DRIFT_US_MAX, DRIFT_US_MAX);
        self.drift_samples += 1;
        if self.drift_samples == DRIFT_SAMPLES {
            let mean_us = self.drift_us_sum / i64::from(DRIFT_SAMPLES);
            let step = Duration::from_micros(mean_us.unsigned_abs());
            let (at, of) = self.reference;
            let moved = if mean_us >= 0 { at + step } else { at.checked_sub(step).unwrap_or(at) };
            self.reference = (moved, of);
            (self.drift_us_sum, self.drift_samples) = (0, 0);
        }
    }
}

const DRIFT_US_MAX: i64 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(100);

    fn receiver(start: Instant) -> Receiver {
        Receiver::new(SeqNo::new(0x7fff_fffe), (start, u32::MAX - 1_000), LATENCY, true)
    }

    fn seq(n: i32) -> SeqNo {
        SeqNo::new(0x7fff_fffe).plus(n)
    }

    fn put(receiver: &mut Receiver, now: Instant, n: i32) -> Place {
        let place = receiver.place(seq(n), now);
        if matches!(place, Place::New { .. }) {
            let timestamp = (u32::MAX - 1_000).wrapping_add(n as u32 * 1_000);
            receiver.insert(seq(n), timestamp, Bytes::from(vec![n as u8]));
        }
        place
    }

    fn delivered(receiver: &mut Receiver, now: Instant) -> Vec<(u8, u32)> {
        let mut into = Vec::new();
        receiver.deliver(now, &mut into);
        into.iter().map(|payload| (payload.data[0], payload.lost_before)).collect()
    }

    #[test]
    fn payloads_come_in_order_and_at_their_time_across_both_wraps() {
        let start = Instant::now();
        let mut receiver = receiver(start);
        assert_eq!(put(&mut receiver, start, 0), Place::New { gap: None });
        assert_eq!(put(&mut receiver, start, 3), Place::New { gap: Some((seq(1), seq(2))) });
        assert_eq!(receiver.acknowledged(), seq(1));
        put(&mut receiver, start, 2);
        put(&mut receiver, start, 1);
        assert_eq!(put(&mut receiver, start, 1), Place::Duplicate);
        assert_eq!(receiver.acknowledged(), seq(4));
        assert!(delivered(&mut receiver, start + LATENCY - Duration::from_micros(1)).is_empty());
        assert_eq!(delivered(&mut receiver, start + LATENCY), [(0, 0)]);
        assert_eq!(
            delivered(&mut receiver, start + LATENCY + Duration::from_millis(3)),
            [(1, 0), (2, 0), (3, 0)]
        );
        assert_eq!(put(&mut receiver, start, 3), Place::Belated);
    }

    #[test]
    fn what_is_missing_when_the_next_is_due_is_given_up_and_told() {
        let start = Instant::now();
        let mut receiver = receiver(start);
        put(&mut receiver, start, 0);
        put(&mut receiver, start, 5);
        assert_eq!(delivered(&mut receiver, start + LATENCY + Duration::from_millis(4)), [(0, 0)]);
        let mut into = Vec::new();
        assert_eq!(receiver.deliver(start + LATENCY + Duration::from_millis(5), &mut into), 4);
        assert_eq!(into[0].lost_before, 4);
        assert!(receiver.is_empty() && !receiver.has_gaps());
        assert_eq!(receiver.acknowledged(), seq(6));
    }

    #[test]
    fn a_gap_is_asked_for_again_only_after_patience() {
        let start = Instant::now();
        let mut receiver = receiver(start);
        put(&mut receiver, start, 0);
        put(&mut receiver, start, 3);
        put(&mut receiver, start, 5);
        let mut asked = Vec::new();
        let patience = Duration::from_millis(20);
        receiver.ask_again(start + patience / 2, patience, 10, &mut asked);
        assert!(asked.is_empty());
        receiver.ask_again(start + patience, patience, 10, &mut asked);
        assert_eq!(asked, [(seq(1), seq(2)), (seq(4), seq(4))]);
    }

    #[test]
    fn a_drop_request_of_any_range_stays_within_the_window() {
        let start = Instant::now();
        let mut receiver = receiver(start);
        put(&mut receiver, start, 0);
        assert_eq!(receiver.give_up_range(seq(1), seq(0x3fff_ffff)), WINDOW_PACKETS - 1);
        assert_eq!(receiver.give_up_range(seq(9), seq(2)), 0);
        assert_eq!(receiver.give_up_range(seq(-9), seq(-2)), 0);
        assert_eq!(delivered(&mut receiver, start + LATENCY), [(0, 0)]);
        assert!(receiver.is_empty());
    }

    #[test]
    fn a_peer_whose_clock_runs_slow_is_followed() {
        let start = Instant::now();
        let mut clock = PeerClock::new((start, 0));
        for n in 1..=1_000u32 {
            clock.observe(
                start + Duration::from_micros(u64::from(n) * 10_000 + 5_000),
                n * 10_000,
                Duration::ZERO,
            );
        }
        assert_eq!(clock.local(10_000_000), start + Duration::from_micros(10_005_000));
    }
}
