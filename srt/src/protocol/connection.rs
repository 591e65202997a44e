//! One established connection.
//!
//! Four kinds of methods: getters; `handle_*`, which take in what happened; `deliver` and `poll_transmit`, which hand
//! out what there is to do; [`Connection::timeout`], which says when to come back. Time is always an argument.
//!
//! The driver's loop: handle the datagrams that came, `handle_timeout`, `deliver`, `poll_transmit` until the burst
//! stays empty, sleep until `timeout`.

mod acknowledge;
mod incoming;
mod outgoing;

use std::time::{Duration, Instant};

use super::crypto::CryptoPair;
use super::handshake::{Flags, Negotiated};
use super::pacer::Bandwidth;
use super::receiver::{Payload, Receiver};
use super::rtt::Rtt;
use super::sender::{Path, Sender};
use super::stats::{Counters, Stats};
use acknowledge::Acknowledger;
use outgoing::Pending;

/// What the owner of a connection decides.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The cap on what is sent.
    pub bandwidth: Bandwidth,
    /// With nothing heard for so long the peer is gone (libsrt's `SRTO_PEERIDLETIMEO`, 5 s).
    pub idle_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bandwidth: Bandwidth::Unlimited, idle_timeout: Duration::from_secs(5) }
    }
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The peer shut it down.
    #[error("the peer closed the session")]
    Peer,
    /// Nothing was heard of the peer for the idle timeout.
    #[error("nothing was heard of the peer for {0:?}")]
    Idle(Duration),
    /// What there was to send has been sent.
    #[error("the stream ended")]
    Finished,
    /// The owner closed it.
    #[error("closed by this side")]
    Local,
    /// Its owner's code panicked, or the thread that served it.
    #[error("a fault of this server ended it")]
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The source ended; the tail is being acknowledged, until this time at the latest.
    Finishing(Instant),
    /// The peer shut down; what is here still plays out, until this time at the latest.
    Draining(Instant),
    Closed(CloseReason),
}

/// One established connection.
pub struct Connection {
    negotiated: Negotiated,
    settings: Settings,
    epoch: Instant,
    state: State,
    sender: Sender,
    receiver: Receiver,
    acknowledger: Acknowledger,
    rtt: Rtt,
    rtt_first: Option<Duration>,
    crypto: Option<CryptoPair>,
    pending: Pending,
    heard: Instant,
    spoke: Instant,
    rate: Rate,
    counters: Counters,
}

impl Connection {
    /// A connection as the handshake left it. `arrived`: when the peer's handshake came whose timestamp was kept; it
    /// ties the peer's clock to ours.
    pub fn new(mut negotiated: Negotiated, arrived: Instant, settings: Settings, now: Instant) -> Self {
        let crypto = negotiated.crypto.take();
        let anchor = (arrived, negotiated.peer_timestamp);
        Self {
            sender: Sender::new(negotiated.send_isn, negotiated.flow_window, settings.bandwidth, now),
            receiver: Receiver::new(negotiated.receive_isn, anchor, negotiated.receive_latency),
            acknowledger: Acknowledger::new(negotiated.receive_isn, now),
            settings,
            epoch: now,
            state: State::Open,
            rtt: Rtt::default(),
            rtt_first: None,
            crypto,
            pending: Pending::default(),
            heard: now,
            spoke: now,
            rate: Rate::new(now),
            counters: Counters::default(),
            negotiated,
        }
    }

    /// What the handshake agreed.
    pub fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// Why the connection is over, once it is.
    pub fn closed(&self) -> Option<CloseReason> {
        match self.state {
            State::Closed(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether there is something to do at once: the peer waits for it. All else may wait for the next burst.
    pub fn is_urgent(&self) -> bool {
        !matches!(self.state, State::Open) || self.sender.lost() > 0 || self.pending.is_urgent()
    }

    /// When the peer was last heard.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// The session's numbers.
    pub fn stats(&self, now: Instant) -> Stats {
        Stats {
            total: self.counters,
            age: now.saturating_duration_since(self.epoch),
            rtt: self.rtt.smoothed(),
            send_bps: self.rate.sent_bps,
            receive_bps: self.rate.received_bps,
            flight: self.sender.in_flight(),
            receive_held: self.receiver.held(),
            receive_latency: self.negotiated.receive_latency,
            send_latency: self.negotiated.send_latency,
        }
    }

    /// Ends the connection now and tells the peer with the next transmission.
    pub fn close(&mut self) {
        if self.closed().is_none() {
            self.end(CloseReason::Local);
            self.pending.shutdown = true;
        }
    }

    /// Takes note that time has passed: call it at [`Connection::timeout`], or at any other time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed().is_some() {
            return;
        }
        self.rate.update(now, &self.counters);
        if let State::Draining(deadline) = self.state {
            if self.receiver.is_empty() || now >= deadline {
                self.end(CloseReason::Peer);
            }
            return;
        }
        // draft-sharabayko-srt 4.8: keep-alives come every second, so silence means that the peer is gone.
        if now.saturating_duration_since(self.heard) >= self.settings.idle_timeout {
            self.end(CloseReason::Idle(self.settings.idle_timeout));
            // It may only be the way back that is broken.
            self.pending.shutdown = true;
            return;
        }
        match self.state {
            State::Finishing(deadline) if self.sender.in_flight() == 0 || now >= deadline => {
                self.end(CloseReason::Finished);
                self.pending.shutdown = true;
            }
            _ => self.look_after_flight(now),
        }
    }

    /// Moves what is due to `into`, in order.
    pub fn deliver(&mut self, now: Instant, into: &mut Vec<Payload>) {
        self.deliver_early(now, Duration::ZERO, into);
    }

    /// Moves what is due within `early` to `into`, in order: for an owner that comes now and then, and takes a payload when it
    /// comes nearest to its time. An eighth of the latency is never given away so; what is missing is waited for until its
    /// time.
    pub fn deliver_early(&mut self, now: Instant, early: Duration, into: &mut Vec<Payload>) {
        let early = early.min(self.negotiated.receive_latency / 8);
        let given_up = self.receiver.deliver(now, early, into);
        self.counters.pkt_rcv_drop += u64::from(given_up);
        if matches!(self.state, State::Draining(_)) && self.receiver.is_empty() {
            self.end(CloseReason::Peer);
        }
    }

    /// When there is something to do without anything having arrived.
    pub fn timeout(&self, now: Instant) -> Instant {
        let never = now + IDLE_WAKE;
        if self.closed().is_some() {
            return never;
        }
        if let State::Draining(deadline) = self.state {
            return self.receiver.due().map_or(now, |due| due.min(deadline));
        }
        if self.pending.is_waiting() {
            return now;
        }
        [
            Some(self.heard + self.settings.idle_timeout),
            Some(self.spoke + KEEP_ALIVE),
            self.receiver.due(),
            self.acknowledger.due(&self.receiver, &self.rtt),
            self.sender.probe_due(&self.rtt),
            if self.sender.lost() > 0 { self.sender.pacer.opens_at() } else { None },
            match self.state {
                State::Finishing(deadline) => Some(if self.sender.in_flight() == 0 { now } else { deadline }),
                _ => None,
            },
        ]
        .into_iter()
        .flatten()
        .fold(never, Instant::min)
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed(reason);
        self.pending = Pending::default();
    }

    /// Gives up what can no longer play and sends again what nobody answered.
    fn look_after_flight(&mut self, now: Instant) {
        // libsrt's sender keeps a packet for a second at least, lest a jitter of the path costs it.
        let age_max = self.negotiated.send_latency.max(SEND_DROP_AGE_MIN) + 2 * ACK_INTERVAL;
        if self.negotiated.peer_flags.contains(Flags::TLPKTDROP)
            && let Some((first, last)) = self.sender.drop_too_late(now, age_max)
        {
            self.counters.pkt_snd_drop += u64::from(last.minus(first).unsigned_abs()) + 1;
            self.pending.drop_request((first, last));
        }
        if self.sender.probe_due(&self.rtt).is_some_and(|due| due <= now) {
            self.sender.probe(now);
        }
    }

    /// What a retransmission has to meet.
    fn path(&self) -> Path {
        Path { rtt: self.rtt, latency: self.negotiated.send_latency }
    }

    /// Microseconds of the connection's life, wrapping: the timestamps of our packets.
    fn timestamp(&self, at: Instant) -> u32 {
        at.saturating_duration_since(self.epoch).as_micros() as u32
    }
}

/// Rates over the last second or so.
#[derive(Debug)]
struct Rate {
    since: Instant,
    bytes: (u64, u64),
    packets_received: u64,
    sent_bps: u64,
    received_bps: u64,
    received_pps: u64,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { since: now, bytes: (0, 0), packets_received: 0, sent_bps: 0, received_bps: 0, received_pps: 0 }
    }

    fn update(&mut self, now: Instant, counters: &Counters) {
        let elapsed_ms = now.saturating_duration_since(self.since).as_millis() as u64;
        if elapsed_ms < 1_000 {
            return;
        }
        self.sent_bps = (counters.byte_sent - self.bytes.0) * 8_000 / elapsed_ms;
        self.received_bps = (counters.byte_recv - self.bytes.1) * 8_000 / elapsed_ms;
        self.received_pps = (counters.pkt_recv - self.packets_received) * 1_000 / elapsed_ms;
        (self.since, self.bytes) = (now, (counters.byte_sent, counters.byte_recv));
        self.packets_received = counters.pkt_recv;
    }
}

/// A full ACK is due so long after data (draft-sharabayko-srt 4.8.1).
const ACK_INTERVAL: Duration = Duration::from_millis(10);

/// Something is sent at least so often (draft-sharabayko-srt 4.8).
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// A sender gives a packet up when it is older than the latency, but than this at least.
const SEND_DROP_AGE_MIN: Duration = Duration::from_secs(1);

/// An idle connection is looked at so often.
const IDLE_WAKE: Duration = Duration::from_secs(1);

/// IPv4, UDP: what libsrt's byte counts include beside the SRT header.
const UDP_IP_HEADER_BYTES: u64 = 28;

#[cfg(test)]
mod tests;
