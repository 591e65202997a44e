//! What arrives: ordering, loss, and delivery at the sender's own pace (TSBPD, draft-sharabayko-srt 4.5).
//!
//! Payloads wait here until `origin + latency`. A gap is asked for again until then; what is still missing when
//! the packet behind it is due is given up (TLPKTDROP, 4.6), whether or not the peer gives up as well: libsrt's
//! receivers do the same, and a live stream must go on.

mod clock;
mod held;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::allowance::Allowance;
use super::seq::SeqNo;
use clock::PeerClock;
use held::Held;

/// The most packets between the next one to deliver and the newest: what we advertise as flow window.
pub const WINDOW_PACKETS: u32 = 16_384;

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
    /// Further ahead than the flow window allows, or one jump too many.
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
    held: Held,
    lost_before: u32,
    given_up: u32,
    clock: PeerClock,
    latency: Duration,
    allowance: Allowance,
}

impl Receiver {
    /// `anchor`: when the handshake that fixed the clocks came, and the peer's timestamp in it.
    pub(super) fn new(first: SeqNo, anchor: (Instant, u32), latency: Duration) -> Self {
        Self {
            next: first,
            slots: VecDeque::new(),
            contiguous: 0,
            missing: 0,
            held: Held::new(),
            lost_before: 0,
            given_up: 0,
            clock: PeerClock::new(anchor),
            latency,
            allowance: Allowance::new(anchor.0),
        }
    }

    /// The first packet not yet here (nor given up): what an ACK says.
    pub(super) fn acknowledged(&self) -> SeqNo {
        self.next.plus(self.contiguous as i32)
    }

    /// Packets that still fit, counted from the acknowledged one on, as the sender counts (libsrt `ACKD_BUFFERLEFT`).
    pub(super) fn available(&self) -> u32 {
        WINDOW_PACKETS.saturating_sub(self.contiguous as u32)
    }

    /// Packets held, whether or not something is missing before them.
    pub(super) fn held(&self) -> usize {
        self.held.count()
    }

    /// Nothing waits for its time.
    pub(super) fn is_empty(&self) -> bool {
        self.held.count() == 0
    }

    /// Packets that the window spans now, here or missing.
    #[cfg(test)]
    pub(super) fn span(&self) -> usize {
        self.slots.len()
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
            if !self.is_empty() {
                return Place::BeyondWindow;
            }
            // After a blackout longer than the window nothing before this packet can still come in time.
            self.skip_to(sequence, index as u32);
            return self.place(sequence, now);
        }
        match self.slots.get(index) {
            Some(Slot::Packet { .. }) => return Place::Duplicate,
            Some(Slot::Dropped) => return Place::Belated,
            Some(Slot::Missing { .. }) => return Place::New { gap: None },
            None => {}
        }
        let newest = self.slots.len();
        if index > newest && !self.allowance.take(index - newest, now) {
            return Place::BeyondWindow;
        }
        while self.slots.len() <= index {
            self.slots.push_back(Slot::Missing { asked: Some(now) });
            self.missing += 1;
        }
        let gap = (newest < index).then(|| (self.next.plus(newest as i32), sequence.plus(-1)));
        Place::New { gap }
    }

    /// Keeps the payload of a packet that [`Receiver::place`] found to be new.
    pub(super) fn insert(&mut self, now: Instant, sequence: SeqNo, timestamp: u32, data: Bytes) {
        let due = self.clock.local(now, timestamp) + self.latency;
        if self.settle(sequence, Slot::Packet { data, due }) {
            self.held.add(sequence);
        }
    }

    /// Gives up a packet that [`Receiver::place`] found to be new: it came, but cannot be read.
    pub(super) fn give_up(&mut self, sequence: SeqNo) {
        self.settle(sequence, Slot::Dropped);
    }

    /// Gives up what is missing of `first..=last`: the sender no longer has it. Returns how many that were; none where
    /// the range runs backwards or the peer names too many.
    pub(super) fn give_up_range(&mut self, first: SeqNo, last: SeqNo, now: Instant) -> Option<u32> {
        let end = i64::from(last.minus(self.next)) + 1;
        if first.is_after(last) {
            return None;
        }
        // Never grows past the window, whatever the peer claims.
        let end = end.clamp(0, i64::from(WINDOW_PACKETS)) as usize;
        let start = first.minus(self.next).max(0) as usize;
        if !self.allowance.take(end.saturating_sub(start.min(self.slots.len())), now) {
            return None;
        }
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
        Some(dropped)
    }

    /// Fills the slot of a packet that was missing; false where it was not.
    fn settle(&mut self, sequence: SeqNo, slot: Slot) -> bool {
        let index = usize::try_from(sequence.minus(self.next)).ok();
        let Some(place @ Slot::Missing { .. }) = index.and_then(|index| self.slots.get_mut(index)) else {
            return false;
        };
        *place = slot;
        self.missing -= 1;
        self.extend_contiguous();
        true
    }

    /// Forgets every slot and goes on at `sequence`, `ahead` packets on.
    fn skip_to(&mut self, sequence: SeqNo, ahead: u32) {
        self.slots.clear();
        (self.missing, self.contiguous) = (0, 0);
        self.lost_before = self.lost_before.saturating_add(ahead);
        self.given_up = self.given_up.saturating_add(ahead);
        self.next = sequence;
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

    /// Takes out everything that is due within `early`, in order. Returns how many packets were given up: what is missing may
    /// come until what is behind it is due.
    pub(super) fn deliver(&mut self, now: Instant, early: Duration, into: &mut Vec<Payload>) -> u32 {
        loop {
            match self.slots.front() {
                Some(Slot::Packet { due, .. }) if *due <= now + early => self.pop(into),
                Some(Slot::Dropped) => self.pop(into),
                Some(Slot::Missing { .. }) => match self.first_due() {
                    Some((behind, due)) if due <= now => (0..behind).for_each(|_| self.pop(into)),
                    _ => break,
                },
                Some(Slot::Packet { .. }) | None => break,
            }
        }
        self.extend_contiguous();
        std::mem::take(&mut self.given_up)
    }

    /// When [`Receiver::deliver`] has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.first_due().map(|(_, due)| due)
    }

    fn first_due(&self) -> Option<(usize, Instant)> {
        let index = self.held.first_from(self.next)?;
        match self.slots.get(index)? {
            Slot::Packet { due, .. } => Some((index, *due)),
            Slot::Missing { .. } | Slot::Dropped => None,
        }
    }

    fn pop(&mut self, into: &mut Vec<Payload>) {
        match self.slots.pop_front() {
            Some(Slot::Packet { data, due }) => {
                let lost_before = std::mem::take(&mut self.lost_before);
                self.held.remove(self.next);
                into.push(Payload { data, time: due, lost_before });
            }
            Some(Slot::Dropped) => self.lost_before = self.lost_before.saturating_add(1),
            Some(Slot::Missing { .. }) => {
                self.lost_before = self.lost_before.saturating_add(1);
                self.given_up = self.given_up.saturating_add(1);
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
