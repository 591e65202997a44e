//! One direction of one flow, sans-IO: datagrams in, datagrams out when they are due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::Serialize;

use crate::units::{Rate, Share};

/// What one direction does to its packets.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// Share of the packets lost, each on its own.
    pub loss: Share,
    /// Losses that come in bursts.
    pub burst: Option<Burst>,
    /// Times at which everything is lost.
    pub outage: Option<Outage>,
    /// Time each packet is held.
    pub delay: Duration,
    /// Up to this much is added to the delay of each packet; it never reorders.
    pub jitter: Duration,
    /// Share of the packets held back by [`Conditions::reorder_by`], so that later ones overtake them.
    pub reorder: Share,
    /// How long a packet that is reordered stays behind.
    pub reorder_by: Duration,
    /// Share of the packets that arrive twice.
    pub duplicate: Share,
    /// Share of the packets that arrive with a byte changed, or cut short.
    pub corrupt: Share,
    /// The rate at which the link lets packets through; without one they pass as they come.
    pub rate: Option<Rate>,
    /// Bytes the link holds; what exceeds them is dropped, as a router's queue does.
    pub queue_bytes_max: usize,
}

/// A link that turns bad now and then and loses everything while it is (Gilbert's model).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// Chance, for each packet of a good link, that a burst starts with it.
    pub start: Share,
    /// Mean number of packets a burst takes.
    pub length: f64,
}

/// A link that goes down at regular times, counted from its first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// From one to the next.
    pub every: Duration,
    /// How long it is down, at the end of each such time.
    pub length: Duration,
}

/// What one direction has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Packets that came in.
    pub packets: u64,
    /// Their bytes, UDP payload only.
    pub bytes: u64,
    /// Packets lost by chance, bursts included.
    pub lost: u64,
    /// Packets dropped because a queue was full.
    pub overflowed: u64,
    /// Packets that were doubled.
    pub duplicated: u64,
    /// Packets that were changed or cut short.
    pub corrupted: u64,
    /// Packets that left after a later one.
    pub reordered: u64,
    /// Packets that left, doubles included.
    pub delivered: u64,
    /// Packets the operating system refused to send.
    pub unsent: u64,
}

impl Counts {
    /// Adds what happened between `before` and `now`.
    pub(super) fn add_change(&mut self, before: &Self, now: &Self) {
        self.packets += now.packets - before.packets;
        self.bytes += now.bytes - before.bytes;
        self.lost += now.lost - before.lost;
        self.overflowed += now.overflowed - before.overflowed;
        self.duplicated += now.duplicated - before.duplicated;
        self.corrupted += now.corrupted - before.corrupted;
        self.reordered += now.reordered - before.reordered;
        self.delivered += now.delivered - before.delivered;
        self.unsent += now.unsent - before.unsent;
    }
}

/// One direction of one flow.
///
/// What happens to the packet of a given index depends on the seed alone: each takes the same number of
/// draws, whatever befalls it.
#[derive(Debug)]
pub struct Link {
    conditions: Conditions,
    random: Xoshiro256PlusPlus,
    held: BinaryHeap<Reverse<Held>>,
    held_bytes: usize,
    /// When the packet before this one is due: an ordinary packet never overtakes it.
    last_due: Option<Instant>,
    /// When the rate limit lets the next packet through.
    free_at: Option<Instant>,
    in_burst: bool,
    /// When the first packet came.
    begun: Option<Instant>,
    /// The highest index that has left.
    newest_out: Option<u64>,
    counts: Counts,
}

impl Link {
    /// A link under `conditions`, its fate drawn from `seed`.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            held: BinaryHeap::new(),
            held_bytes: 0,
            last_due: None,
            free_at: None,
            in_burst: false,
            begun: None,
            newest_out: None,
            counts: Counts::default(),
        }
    }

    /// Takes in a datagram and decides its fate.
    pub fn offer(&mut self, now: Instant, mut datagram: Bytes) {
        let index = self.counts.packets;
        self.counts.packets += 1;
        self.counts.bytes += datagram.len() as u64;
        let [loss, burst, jitter, reorder, duplicate, corrupt]: [f64; 6] =
            std::array::from_fn(|_| self.random.random());
        let harm: u64 = self.random.random();

        let down = self.is_down(now);
        if self.falls_to_a_burst(burst) || loss < self.conditions.loss.fraction() || down {
            self.counts.lost += 1;
            return;
        }
        if self.held_bytes + datagram.len() > self.conditions.queue_bytes_max {
            self.counts.overflowed += 1;
            return;
        }
        if corrupt < self.conditions.corrupt.fraction() && !datagram.is_empty() {
            self.counts.corrupted += 1;
            datagram = corrupted(&datagram, harm);
        }
        let passed = self.pass_rate_limit(now, datagram.len());
        let mut due = passed + self.conditions.delay + self.conditions.jitter.mul_f64(jitter);
        if let Some(last) = self.last_due {
            due = due.max(last);
        }
        if reorder < self.conditions.reorder.fraction() {
            due += self.conditions.reorder_by;
        } else {
            self.last_due = Some(due);
        }
        if duplicate < self.conditions.duplicate.fraction() {
            self.counts.duplicated += 1;
            self.hold(due, index, datagram.clone());
        }
        self.hold(due, index, datagram);
    }

    /// When the next datagram is due, if one is held.
    pub fn next_due(&self) -> Option<Instant> {
        self.held.peek().map(|Reverse(held)| held.due)
    }

    /// The length of the next datagram, if it is due by `now`.
    pub fn due_len(&self, now: Instant) -> Option<usize> {
        self.held.peek().filter(|Reverse(held)| held.due <= now).map(|Reverse(held)| held.datagram.len())
    }

    /// The next datagram that is due by `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<Bytes> {
        self.due_len(now)?;
        let Reverse(held) = self.held.pop()?;
        self.held_bytes -= held.datagram.len();
        self.counts.delivered += 1;
        match self.newest_out {
            Some(newest) if held.index < newest => self.counts.reordered += 1,
            _ => self.newest_out = Some(held.index),
        }
        Some(held.datagram)
    }

    /// Counts `packets` that left the link but were not taken by the system.
    pub(super) fn unsent(&mut self, packets: u64) {
        self.counts.delivered -= packets;
        self.counts.unsent += packets;
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn is_down(&mut self, now: Instant) -> bool {
        let begun = *self.begun.get_or_insert(now);
        let Some(Outage { every, length }) = self.conditions.outage else { return false };
        let passed_us = now.saturating_duration_since(begun).as_micros() % every.as_micros().max(1);
        passed_us >= every.saturating_sub(length).as_micros()
    }

    /// Moves between the good and the bad state with `draw`; true while the link is bad.
    fn falls_to_a_burst(&mut self, draw: f64) -> bool {
        let Some(burst) = self.conditions.burst else { return false };
        if self.in_burst {
            self.in_burst = draw >= 1.0 / burst.length.max(1.0);
        } else {
            self.in_burst = draw < burst.start.fraction();
        }
        self.in_burst
    }

    /// When the last bit of a packet that comes at `now` is through the rate limit.
    fn pass_rate_limit(&mut self, now: Instant, len: usize) -> Instant {
        let Some(rate) = self.conditions.rate else { return now };
        let start = self.free_at.map_or(now, |free| free.max(now));
        let end = start + rate.time_of(len as u64);
        self.free_at = Some(end);
        end
    }

    fn hold(&mut self, due: Instant, index: u64, datagram: Bytes) {
        self.held_bytes += datagram.len();
        self.held.push(Reverse(Held { due, index, datagram }));
    }
}

/// A datagram that is not empty, cut short or with one byte changed, as `harm` has it.
fn corrupted(datagram: &[u8], harm: u64) -> Bytes {
    let at = (harm >> 16) as usize % datagram.len();
    if harm & 1 == 0 {
        return Bytes::copy_from_slice(&datagram[..at]);
    }
    let mut bytes = datagram.to_vec();
    // Never zero, so that the byte does change.
    bytes[at] ^= (harm >> 8) as u8 | 1;
    bytes.into()
}

/// A datagram on its way, ordered by when it is due, then by its index.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: Instant,
    index: u64,
    datagram: Bytes,
}

#[cfg(test)]
mod tests;
