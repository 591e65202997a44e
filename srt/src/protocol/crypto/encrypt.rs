//! The sending side: the key in use, and its refresh.

use std::time::{Duration, Instant};

use super::cipher::{KEY_BYTES_MAX, KeyEncryptingKey, StreamKey};
use super::material::SALT_BYTES;
use super::{KeyLength, KeyMaterial, KeyMessage, KeyState};
use crate::protocol::packet::Key;
use crate::protocol::seq::SeqNo;

/// When a key is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRefresh {
    /// Packets after which the next key takes over. Default 2^24 (libsrt `SRTO_KMREFRESHRATE`).
    pub period: u32,
    /// Packets before that at which the next key is announced, and packets after it for which the old one is kept.
    /// Default 4000 (the draft, 6.1.6); at most half the period.
    pub announce: u32,
}

impl Default for KeyRefresh {
    fn default() -> Self {
        Self { period: 1 << 24, announce: 4000 }
    }
}

/// Encrypts payloads, and replaces its key from time to time.
///
/// The same packet gives the same bytes whenever it is encrypted, as long as its key is held, so that a retransmission
/// needs no copy of the first transmission.
#[derive(Debug)]
pub struct Encryptor {
    wrapping: KeyEncryptingKey,
    salt: [u8; SALT_BYTES],
    length: KeyLength,
    refresh: KeyRefresh,
    current: StreamKey,
    /// Packets sent first under the current key.
    sent: u32,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// There is one key.
    Steady,
    /// The next key is made and told to the peer until it confirms.
    Announced { next: Box<StreamKey>, message: Box<KeyMessage>, confirmed: bool, send_at: Option<Instant> },
    /// The current key is in use from `from` on; packets before it were sent under `previous`.
    Switched { previous: Box<StreamKey>, from: SeqNo },
}

/// What a peer answers to an announced key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyConfirmation {
    /// It has the key.
    Confirmed,
    /// It does not take the key. The one in use stays, and the next is announced further on.
    Refused(KeyState),
    /// The answer belongs to no announcement: late, repeated or malformed.
    Unexpected,
}

impl Encryptor {
    pub(super) fn new(
        wrapping: KeyEncryptingKey,
        salt: [u8; SALT_BYTES],
        length: KeyLength,
        current: StreamKey,
        refresh: KeyRefresh,
    ) -> Self {
        let period = refresh.period.clamp(2, PERIOD_MAX);
        let refresh = KeyRefresh { period, announce: refresh.announce.min(period / 2) };
        Self { wrapping, salt, length, refresh, current, sent: 0, phase: Phase::Steady }
    }

    /// Encrypts a payload in place and tells the key to name in the header.
    pub fn encrypt(&self, sequence: SeqNo, payload: &mut [u8]) -> Key {
        let key = match &self.phase {
            Phase::Switched { previous, from } if sequence.is_before(*from) => previous,
            _ => &self.current,
        };
        key.apply(sequence, payload);
        key.key()
    }

    /// Counts a packet that was sent for the first time, and drives the refresh.
    ///
    /// Returns a key request that is to be sent now: an announcement, or its repetition after one and a half round-trip
    /// times (at least 100 ms) without an answer.
    pub fn on_packet_sent(&mut self, sequence: SeqNo, now: Instant, rtt: Duration) -> Option<&KeyMessage> {
        self.sent = self.sent.saturating_add(1);
        let KeyRefresh { period, announce } = self.refresh;
        match &self.phase {
            Phase::Steady if self.sent >= period - announce => self.announce(),
            // Without a confirmation the peer could not decrypt; but a counter must never come round under one key.
            Phase::Announced { confirmed, .. }
                if self.sent >= period && (*confirmed || self.sent >= UNCONFIRMED_MAX) =>
            {
                self.switch(sequence.next());
            }
            Phase::Switched { .. } if self.sent >= announce => self.phase = Phase::Steady,
            _ => {}
        }
        match &mut self.phase {
            Phase::Announced { message, confirmed: false, send_at, .. }
                if send_at.is_none_or(|at| now >= at) =>
            {
                *send_at = Some(now + (rtt * 3 / 2).max(REPEAT_MIN));
                Some(message)
            }
            _ => None,
        }
    }

    /// Takes the peer's answer to an announcement.
    pub fn handle_key_response(&mut self, answer: &[u8]) -> KeyConfirmation {
        let Phase::Announced { message, confirmed, .. } = &mut self.phase else {
            return KeyConfirmation::Unexpected;
        };
        if *answer == ***message {
            *confirmed = true;
            return KeyConfirmation::Confirmed;
        }
        KeyState::parse(answer).map_or(KeyConfirmation::Unexpected, KeyConfirmation::Refused)
    }

    fn announce(&mut self) {
        let mut bytes = [0; KEY_BYTES_MAX];
        rand::fill(&mut bytes);
        let next = StreamKey::new(self.current.key().other(), self.length, &bytes, &self.salt);
        let material = KeyMaterial::wrap(&self.wrapping, &self.salt, self.length, &[&self.current, &next]);
        self.phase = Phase::Announced {
            next: Box::new(next),
            message: Box::new(material.message()),
            confirmed: false,
            send_at: None,
        };
    }

    fn switch(&mut self, from: SeqNo) {
        if let Phase::Announced { next, .. } = std::mem::replace(&mut self.phase, Phase::Steady) {
            let previous = Box::new(std::mem::replace(&mut self.current, *next));
            self.phase = Phase::Switched { previous, from };
            self.sent = 0;
        }
    }
}

/// Packets of the longest period: far from the 2^31 at which sequence numbers come round.
const PERIOD_MAX: u32 = 1 << 28;

/// Packets after which an unconfirmed key takes over all the same.
const UNCONFIRMED_MAX: u32 = 1 << 30;

/// The shortest time after which an announcement is repeated.
const REPEAT_MIN: Duration = Duration::from_millis(100);
