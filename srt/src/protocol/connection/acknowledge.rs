//! When to acknowledge, and when to ask again (draft-sharabayko-srt 4.8).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ACK_INTERVAL;
use crate::protocol::receiver::Receiver;
use crate::protocol::rtt::Rtt;
use crate::protocol::seq::SeqNo;

/// The receiving side's timers.
#[derive(Debug)]
pub(super) struct Acknowledger {
    number: u32,
    /// Full ACKs that wait for their ACKACK, oldest first.
    log: VecDeque<(u32, SeqNo, Instant)>,
    /// The position last said in a full ACK, and when.
    said: (SeqNo, Instant),
    /// The position that the peer knows we have.
    confirmed: SeqNo,
    /// Data packets since the last ACK of either kind.
    unsaid: u32,
    asked: Instant,
}

/// An ACK to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Light,
    Full { number: u32 },
}

impl Acknowledger {
    pub(super) fn new(first: SeqNo, now: Instant) -> Self {
        Self { number: 0, log: VecDeque::new(), said: (first, now), confirmed: first, unsaid: 0, asked: now }
    }

    /// A data packet came.
    pub(super) fn received(&mut self) {
        self.unsaid += 1;
    }

    /// The ACK to send now, if any; the caller sends it.
    pub(super) fn take(&mut self, receiver: &Receiver, rtt: &Rtt, now: Instant) -> Option<Due> {
        if self.full_due(receiver, rtt).is_some_and(|due| due <= now) {
            // 0 marks a light one.
            self.number = self.number.wrapping_add(1).max(1);
            let position = receiver.acknowledged();
            if self.log.len() == LOG_MAX {
                self.log.pop_front();
            }
            self.log.push_back((self.number, position, now));
            (self.said, self.unsaid) = ((position, now), 0);
            return Some(Due::Full { number: self.number });
        }
        if self.unsaid >= LIGHT_ACK_PACKETS {
            self.unsaid = 0;
            return Some(Due::Light);
        }
        None
    }

    /// The peer has seen the full ACK of this number. Returns how long that took.
    pub(super) fn confirmed(&mut self, number: u32, now: Instant) -> Option<Duration> {
        let index = self.log.iter().position(|entry| entry.0 == number)?;
        let (_, position, sent) = self.log.drain(..=index).next_back()?;
        self.confirmed = position;
        Some(now.saturating_duration_since(sent))
    }

    /// Whether it is time to ask again for what is missing; the caller does.
    pub(super) fn take_ask(&mut self, receiver: &Receiver, rtt: &Rtt, now: Instant) -> bool {
        let due = receiver.has_gaps() && now >= self.asked + Self::ask_interval(rtt);
        if due {
            self.asked = now;
        }
        due
    }

    /// How long a request for a packet may stay unanswered.
    pub(super) fn ask_interval(rtt: &Rtt) -> Duration {
        // A request may be lost as well, and each that comes late costs the packet a chance. libsrt waits half of RTT + 4
        // deviations, 20 ms at least; a sender ignores a request for what it has sent less than a round trip ago.
        (rtt.smoothed() / 3).max(ASK_INTERVAL_MIN)
    }

    /// When something is due.
    pub(super) fn due(&self, receiver: &Receiver, rtt: &Rtt) -> Option<Instant> {
        let ask = receiver.has_gaps().then(|| self.asked + Self::ask_interval(rtt));
        [self.full_due(receiver, rtt), ask].into_iter().flatten().min()
    }

    fn full_due(&self, receiver: &Receiver, rtt: &Rtt) -> Option<Instant> {
        let position = receiver.acknowledged();
        if position == self.confirmed {
            return None;
        }
        let (said, at) = self.said;
        Some(at + if position == said { rtt.patience().max(ACK_INTERVAL) } else { ACK_INTERVAL })
    }
}

/// Full ACKs remembered until their ACKACK: at one each 10 ms, more than a second of them.
const LOG_MAX: usize = 128;

/// A light ACK goes out after so many packets (draft-sharabayko-srt 4.8.1).
const LIGHT_ACK_PACKETS: u32 = 64;

/// The least time between two requests for the same packet.
const ASK_INTERVAL_MIN: Duration = Duration::from_millis(20);
