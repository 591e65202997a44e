//! Two connections over a lossy link, under virtual time.

mod hostile;
mod paths;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::protocol::burst::Burst;
use crate::protocol::crypto::{KeyLength, KeyRefresh, Passphrase};
use crate::protocol::handshake::caller::{Caller, CallerConfig};
use crate::protocol::handshake::listener::{self, Acceptance};
use crate::protocol::handshake::{CookieSecret, Handshake};
use crate::protocol::packet::{Control, ControlBody, Packet};
use crate::protocol::sender::{Outlet, Source, Supply};
use crate::protocol::seq::SeqNo;
use crate::protocol::stream_id::StreamId;

const PAYLOAD_BYTES: usize = 1316;

/// A stream whose byte `n` is a function of `n`: any piece of it can be checked, and read again.
struct Stream {
    start: Instant,
    interval: Duration,
    packets: u64,
    taken: u64,
}

fn fill(position: u64, into: &mut [u8]) {
    for (n, byte) in into.iter_mut().enumerate() {
        *byte = (((position + n as u64) * 31) >> 3) as u8;
    }
}

impl Source for Stream {
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply {
        while self.taken < self.packets {
            let origin = self.start + self.interval * self.taken as u32;
            if origin > now {
                return Supply::Open;
            }
            let Some(into) = out.room() else { return Supply::Open };
            let position = self.taken * PAYLOAD_BYTES as u64;
            fill(position, &mut into[..PAYLOAD_BYTES]);
            out.put(position, PAYLOAD_BYTES, origin);
            self.taken += 1;
        }
        Supply::Ended
    }

    fn again(&mut self, position: u64, into: &mut [u8]) -> bool {
        fill(position, into);
        true
    }
}

#[derive(Clone, Copy)]
struct Link {
    /// Towards the receiver, and back.
    loss: f64,
    loss_back: f64,
    duplicated: f64,
    delay: Duration,
    /// The most that a datagram is late: they overtake each other.
    jitter: Duration,
    seed: u64,
}

/// When it arrives, its order among those, whether it goes to the receiver, and its bytes.
type InFlight = (Instant, u64, bool, Vec<u8>);

/// A caller that sends and a listener that receives.
struct Pair {
    now: Instant,
    sender: Connection,
    receiver: Connection,
    link: Link,
    tick: Duration,
    random: StdRng,
    wire: BinaryHeap<Reverse<InFlight>>,
    order: u64,
    bytes_to_receiver: Vec<(Instant, usize)>,
}

impl Pair {
    fn new(link: Link, latency_ms: u16, secret: Option<KeyRefresh>, settings: Settings) -> Self {
        let now = Instant::now();
        let (sender, receiver) = shake_hands(now, latency_ms, secret);
        Self {
            now,
            sender: Connection::new(sender, now, settings, now),
            receiver: Connection::new(receiver, now + link.delay, Settings::default(), now),
            tick: Duration::from_millis(1),
            random: StdRng::seed_from_u64(link.seed),
            link,
            wire: BinaryHeap::new(),
            order: 0,
            bytes_to_receiver: Vec::new(),
        }
    }

    fn transmit(&mut self, to_receiver: bool, burst: &Burst) {
        for (run, size) in burst.runs() {
            for datagram in run.chunks(size) {
                if to_receiver {
                    self.bytes_to_receiver.push((self.now, datagram.len() + 28));
                }
                let loss = if to_receiver { self.link.loss } else { self.link.loss_back };
                if self.random.random_bool(loss) {
                    continue;
                }
                for _ in 0..=usize::from(self.random.random_bool(self.link.duplicated)) {
                    self.order += 1;
                    let late = self.link.jitter.mul_f64(self.random.random());
                    let at = self.now + self.link.delay + late;
                    self.wire.push(Reverse((at, self.order, to_receiver, datagram.to_vec())));
                }
            }
        }
    }

    /// Runs until both have closed or `limit` has passed; returns what was delivered.
    fn run(&mut self, source: &mut dyn Source, limit: Duration) -> Vec<Payload> {
        let (end, mut delivered) = (self.now + limit, Vec::new());
        while self.now < end && (self.sender.closed().is_none() || self.receiver.closed().is_none()) {
            while self.wire.peek().is_some_and(|Reverse(next)| next.0 <= self.now) {
                let Some(Reverse((_, _, to_receiver, mut datagram))) = self.wire.pop() else { break };
                let side = if to_receiver { &mut self.receiver } else { &mut self.sender };
                side.handle_datagram(self.now, &mut datagram);
            }
            self.sender.handle_timeout(self.now);
            self.receiver.handle_timeout(self.now);
            self.receiver.deliver(self.now, &mut delivered);
            let mut burst = Burst::default();
            self.sender.poll_transmit(self.now, Some(source), &mut burst);
            self.transmit(true, &burst);
            burst.clear();
            self.receiver.poll_transmit(self.now, None, &mut burst);
            self.transmit(false, &burst);
            self.now += self.tick;
        }
        delivered
    }
}

fn shake_hands(now: Instant, latency_ms: u16, refresh: Option<KeyRefresh>) -> (Negotiated, Negotiated) {
    let peer = "192.0.2.1:9000".parse().expect("an address");
    let secret = CookieSecret::from_bytes([7; 32]);
    let passphrase = refresh.map(|_| Passphrase::new("correct horse battery").expect("long enough"));
    let mut caller = Caller::new(
        CallerConfig {
            peer,
            socket_id: 77,
            isn: SeqNo::new(0x7fff_fff0),
            mtu: 1500,
            flow_window: 8192,
            stream_id: StreamId::bare("feed"),
            latency_ms,
            passphrase: passphrase.clone(),
            key_length: KeyLength::Aes256,
            key_refresh: refresh.unwrap_or_default(),
            timeout: Duration::from_secs(3),
        },
        now,
    );
    let first = caller.poll_transmit(now).expect("in time").expect("an induction").to_vec();
    let Ok(Packet::Control(Control { body: ControlBody::Handshake(body), .. })) = Packet::parse(&first)
    else {
        panic!("the first datagram is a handshake")
    };
    let (induction, _) = Handshake::parse(body).expect("well-formed");
    let cookie = listener::induction(&induction, peer, &secret, 1);
    assert!(caller.handle(&cookie, now).expect("an answer").is_none());
    let conclusion = caller.poll_transmit(now).expect("in time").expect("a conclusion").to_vec();
    let proposal = listener::conclusion(&conclusion, peer, &secret, 1).expect("a proposal");
    let crypto = proposal.unlock(passphrase.as_ref(), refresh.unwrap_or_default()).expect("the passphrase");
    let (answer, accepted) = listener::accept(
        &proposal,
        Acceptance {
            socket_id: 99,
            isn: None,
            mtu: 1500,
            flow_window: 8192,
            latency_ms,
            crypto,
            timestamp: 0,
        },
    );
    (caller.handle(&answer, now).expect("accepted").expect("settled"), accepted)
}

fn stream(pair: &Pair, packets: u64, interval: Duration) -> Stream {
    Stream { start: pair.now, interval, packets, taken: 0 }
}

fn assert_whole(delivered: &[Payload], packets: u64) {
    assert_eq!(delivered.len() as u64, packets);
    let mut expected = [0; PAYLOAD_BYTES];
    for (n, payload) in delivered.iter().enumerate() {
        fill((n * PAYLOAD_BYTES) as u64, &mut expected);
        assert_eq!((payload.lost_before, &payload.data[..]), (0, &expected[..]), "packet {n}");
    }
}

const CLEAN: Link = Link {
    loss: 0.0,
    loss_back: 0.0,
    duplicated: 0.0,
    delay: Duration::from_millis(20),
    jitter: Duration::ZERO,
    seed: 1,
};

#[test]
fn a_clean_link_delivers_everything_at_the_sources_pace() {
    let mut pair = Pair::new(CLEAN, 120, None, Settings::default());
    let (start, interval) = (pair.now, Duration::from_micros(526));
    let mut source = stream(&pair, 4_000, interval);
    let delivered = pair.run(&mut source, Duration::from_secs(10));
    assert_whole(&delivered, 4_000);
    assert_eq!(pair.sender.closed(), Some(CloseReason::Finished));
    assert_eq!(pair.receiver.closed(), Some(CloseReason::Peer));
    assert_eq!(pair.sender.stats(pair.now).total.pkt_retrans, 0);
    for (n, payload) in delivered.iter().enumerate() {
        let expected = start + interval * n as u32 + CLEAN.delay + Duration::from_millis(120);
        let off = payload.time.max(expected) - payload.time.min(expected);
        assert!(off < Duration::from_millis(5), "packet {n} is {off:?} off");
    }
}

#[test]
fn loss_in_both_directions_is_recovered_within_the_latency() {
    for (loss, latency_ms, seed) in [(0.01, 120, 1), (0.02, 160, 2), (0.05, 240, 3), (0.10, 400, 4)] {
        let link = Link { loss, loss_back: loss, seed, ..CLEAN };
        let mut pair = Pair::new(link, latency_ms, None, Settings::default());
        let mut source = stream(&pair, 6_000, Duration::from_micros(526));
        let delivered = pair.run(&mut source, Duration::from_secs(10));
        assert_whole(&delivered, 6_000);
        assert!(pair.sender.stats(pair.now).total.pkt_retrans >= (6_000.0 * loss * 0.5) as u64);
    }
}

#[test]
fn keys_are_refreshed_under_loss_without_a_lost_packet() {
    let refresh = KeyRefresh { period: 1_000, announce: 300 };
    let mut pair =
        Pair::new(Link { loss: 0.05, loss_back: 0.05, ..CLEAN }, 400, Some(refresh), Settings::default());
    let mut source = stream(&pair, 6_000, Duration::from_micros(526));
    let delivered = pair.run(&mut source, Duration::from_secs(10));
    assert_whole(&delivered, 6_000);
    assert_eq!(pair.receiver.stats(pair.now).total.pkt_rcv_undecrypt, 0);
}

#[test]
fn the_cap_holds_retransmission_too() {
    let settings = Settings { bandwidth: Bandwidth::Max(24_000_000), ..Settings::default() };
    let mut pair = Pair::new(Link { loss: 0.10, loss_back: 0.10, ..CLEAN }, 400, None, settings);
    let mut source = stream(&pair, 6_000, Duration::from_micros(526));
    let start = pair.now;
    pair.run(&mut source, Duration::from_secs(10));
    for second in 0..3 {
        let from = start + Duration::from_secs(second);
        let within = |at: &Instant| (from..from + Duration::from_secs(1)).contains(at);
        let bytes: usize =
            pair.bytes_to_receiver.iter().filter(|(at, _)| within(at)).map(|(_, bytes)| bytes).sum();
        assert!(bytes <= 3_000_000 + 40_000, "{bytes} bytes in second {second} at a cap of 3 MB/s");
    }
}

#[test]
fn a_blackout_longer_than_the_latency_costs_what_it_covers_and_no_more() {
    let mut pair = Pair::new(CLEAN, 120, None, Settings::default());
    let mut source = stream(&pair, 8_000, Duration::from_micros(526));
    let mut delivered = Vec::new();
    for (loss, seconds) in [(0.0, 1), (1.0, 2), (0.0, 6)] {
        (pair.link.loss, pair.link.loss_back) = (loss, loss);
        delivered.append(&mut pair.run(&mut source, Duration::from_secs(seconds)));
    }
    let lost: u32 = delivered.iter().map(|payload| payload.lost_before).sum();
    assert_eq!(delivered.len() + lost as usize, 8_000);
    assert!((1_000..=3_900).contains(&lost), "{lost} packets lost in a blackout of 3,800");
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_the_idle_timeout() {
    let mut pair = Pair::new(Link { loss: 1.0, loss_back: 1.0, ..CLEAN }, 120, None, Settings::default());
    let mut source = stream(&pair, 1_000_000, Duration::from_millis(1));
    pair.run(&mut source, Duration::from_secs(6));
    let idle = CloseReason::Idle(Duration::from_secs(5));
    assert_eq!((pair.sender.closed(), pair.receiver.closed()), (Some(idle), Some(idle)));
}

#[test]
fn keep_alives_hold_an_idle_connection() {
    let mut pair = Pair::new(CLEAN, 120, None, Settings::default());
    let mut source = Stream {
        start: pair.now + Duration::from_secs(3_600),
        interval: Duration::from_secs(1),
        packets: 1,
        taken: 0,
    };
    pair.run(&mut source, Duration::from_secs(30));
    assert_eq!((pair.sender.closed(), pair.receiver.closed()), (None, None));
}

#[test]
fn random_datagrams_change_nothing_but_counters() {
    let mut pair = Pair::new(CLEAN, 120, None, Settings::default());
    let mut random = StdRng::seed_from_u64(9);
    for _ in 0..20_000 {
        let mut datagram = vec![0; random.random_range(0..200)];
        random.fill(&mut datagram[..]);
        if let Some(first) = datagram.first_mut() {
            // Control packets, but for a shutdown, which any peer may send.
            *first |= 0x80;
        }
        if datagram.get(..2).is_some_and(|kind| kind == [0x80, 5]) {
            continue;
        }
        pair.sender.handle_datagram(pair.now, &mut datagram);
    }
    let mut source = stream(&pair, 500, Duration::from_millis(1));
    assert_whole(&pair.run(&mut source, Duration::from_secs(5)), 500);
}
