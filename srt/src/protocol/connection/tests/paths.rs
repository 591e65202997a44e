//! Paths as they are: they reorder, duplicate, lose one way more than the other, and fall out for a while.

use super::*;

/// 20 Mb/s in packets of 1,316 bytes.
const INTERVAL: Duration = Duration::from_micros(526);

#[test]
fn reordering_and_duplication_cost_no_packet_and_little_retransmission() {
    for seed in 1..=4 {
        let link = Link { duplicated: 0.05, jitter: Duration::from_millis(15), seed, ..CLEAN };
        let mut pair = Pair::new(link, 160, None, Settings::default());
        let mut source = stream(&pair, 8_000, INTERVAL);
        assert_whole(&pair.run(&mut source, Duration::from_secs(10)), 8_000);
        let total = pair.receiver.stats(pair.now).total;
        assert_eq!((total.pkt_recv_unique, total.pkt_rcv_drop), (8_000, 0));
    }
}

#[test]
fn loss_of_one_direction_alone_is_recovered() {
    for (loss, loss_back, seed) in [(0.10, 0.0, 1), (0.0, 0.30, 2), (0.02, 0.30, 3)] {
        let link = Link { loss, loss_back, seed, ..CLEAN };
        let mut pair = Pair::new(link, 400, Some(KeyRefresh::default()), Settings::default());
        let mut source = stream(&pair, 8_000, INTERVAL);
        assert_whole(&pair.run(&mut source, Duration::from_secs(12)), 8_000);
    }
}

/// What an outage took is missed when what came after it is due, not before: the outage itself gives the time to ask.
#[test]
fn an_outage_of_300_ms_at_100_ms_rtt_is_made_good_within_three_round_trips() {
    for (latency_ms, seed) in [(300, 1), (300, 2), (300, 3), (400, 4), (600, 5)] {
        let link = Link { delay: Duration::from_millis(50), seed, ..CLEAN };
        let mut pair = Pair::new(link, latency_ms, None, Settings::default());
        let mut source = stream(&pair, 19_000, INTERVAL);
        let mut delivered = Vec::new();
        for _ in 0..4 {
            for (loss, ms) in [(0.0, 1_500), (1.0, 300)] {
                pair.link.loss = loss;
                delivered.append(&mut pair.run(&mut source, Duration::from_millis(ms)));
            }
        }
        pair.link.loss = 0.0;
        delivered.append(&mut pair.run(&mut source, Duration::from_secs(10)));
        assert_whole(&delivered, 19_000);
    }
}

#[test]
fn a_tenth_lost_each_way_is_made_good_within_three_round_trips() {
    for (latency_ms, seed) in [(300, 1), (300, 2), (300, 3), (400, 4), (600, 5)] {
        let link = Link { loss: 0.1, loss_back: 0.1, delay: Duration::from_millis(50), seed, ..CLEAN };
        let mut pair = Pair::new(link, latency_ms, None, Settings::default());
        let mut source = stream(&pair, 19_000, INTERVAL);
        let delivered = pair.run(&mut source, Duration::from_secs(15));
        assert_whole(&delivered, 19_000);
        // Copies beyond the first stay within a quarter of the stream.
        let total = pair.sender.stats(pair.now).total;
        assert!(total.pkt_sent < 19_000 * 14 / 10, "{} packets for 19,000", total.pkt_sent);
    }
}

#[test]
fn a_session_lives_through_the_wrap_of_the_timestamps_and_of_the_numbers() {
    let mut pair = Pair::new(CLEAN, 120, Some(KeyRefresh::default()), Settings::default());
    pair.tick = Duration::from_millis(20);
    // 80 minutes of a packet every 100 ms; the numbers begin 16 before their wrap.
    let (start, interval) = (pair.now, Duration::from_millis(100));
    let mut source = stream(&pair, 48_000, interval);
    let delivered = pair.run(&mut source, Duration::from_secs(81 * 60));
    assert_whole(&delivered, 48_000);
    for (n, payload) in delivered.iter().enumerate() {
        let expected = start + interval * n as u32 + Duration::from_millis(140);
        let off = payload.time.max(expected) - payload.time.min(expected);
        assert!(off < Duration::from_millis(25), "packet {n} is {off:?} off");
    }
}

#[test]
fn a_session_that_carried_nothing_for_40_minutes_plays_at_its_time() {
    let mut pair = Pair::new(CLEAN, 120, None, Settings::default());
    pair.tick = Duration::from_millis(5);
    let start = pair.now + Duration::from_secs(40 * 60);
    let mut source = Stream { start, interval: Duration::from_millis(10), packets: 200, taken: 0 };
    let delivered = pair.run(&mut source, Duration::from_secs(41 * 60));
    assert_whole(&delivered, 200);
    let late = delivered[0].time.saturating_duration_since(start);
    assert!((Duration::from_millis(130)..Duration::from_millis(160)).contains(&late), "{late:?}");
}

#[test]
fn what_waits_for_its_time_plays_out_after_the_end_however_long_the_latency() {
    let mut pair = Pair::new(CLEAN, 8_000, None, Settings::default());
    let mut source = stream(&pair, 1_000, Duration::from_millis(1));
    assert_whole(&pair.run(&mut source, Duration::from_secs(20)), 1_000);
    assert_eq!(pair.receiver.closed(), Some(CloseReason::Peer));
}

/// A ring that holds nothing of the past.
struct Forgetful(Stream);

impl Source for Forgetful {
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply {
        self.0.fill(now, out)
    }

    fn again(&mut self, _: u64, _: &mut [u8]) -> bool {
        false
    }
}

#[test]
fn the_receiver_is_told_of_what_the_ring_no_longer_holds() {
    let link = Link { loss: 0.05, loss_back: 0.05, ..CLEAN };
    let mut pair = Pair::new(link, 8_000, None, Settings::default());
    let mut source = Forgetful(stream(&pair, 100_000, Duration::from_millis(1)));
    pair.run(&mut source, Duration::from_secs(2));
    (pair.link.loss, pair.link.loss_back) = (0.0, 0.0);
    pair.run(&mut source, Duration::from_millis(500));
    let (sent, received) = (pair.sender.stats(pair.now), pair.receiver.stats(pair.now));
    assert!(sent.total.pkt_snd_drop > 50, "{} dropped", sent.total.pkt_snd_drop);
    assert!(!pair.receiver.receiver.has_gaps());
    assert!(received.total.pkt_rcv_drop > 50, "{} given up", received.total.pkt_rcv_drop);
    assert!(sent.flight < 100, "{} in flight", sent.flight);
}

#[test]
fn a_start_in_the_past_can_still_be_recovered() {
    let mut pair = Pair::new(Link { loss: 0.05, loss_back: 0.05, ..CLEAN }, 400, None, Settings::default());
    // As a puller that begins at a random access point of four seconds ago.
    let start = pair.now.checked_sub(Duration::from_secs(4)).expect("the machine runs for longer");
    let mut source = Stream { start, interval: INTERVAL, packets: 12_000, taken: 0 };
    let delivered = pair.run(&mut source, Duration::from_secs(10));
    assert_eq!(pair.sender.stats(pair.now).total.pkt_snd_drop, 0);
    assert_whole(&delivered, 12_000);
}

#[test]
fn a_driver_that_comes_only_when_it_is_called_misses_nothing() {
    let mut pair = Pair::new(Link { loss: 0.05, loss_back: 0.05, ..CLEAN }, 400, None, Settings::default());
    let mut source = stream(&pair, 4_000, INTERVAL);
    let (mut delivered, mut wakes) = (Vec::new(), 0);
    let end = pair.now + Duration::from_secs(10);
    while pair.now < end && (pair.sender.closed().is_none() || pair.receiver.closed().is_none()) {
        delivered.append(&mut pair.run(&mut source, pair.tick));
        // The source has no timer of its own: the sender is looked at each millisecond, the receiver when it says so.
        let sender = pair.now;
        let receiver = pair.receiver.timeout(pair.now);
        let datagram = pair.wire.peek().map_or(end, |Reverse(next)| next.0);
        let wake = if source.taken < 4_000 { sender } else { pair.sender.timeout(pair.now) };
        pair.now = wake.min(receiver).min(datagram).max(pair.now);
        wakes += 1;
    }
    assert_whole(&delivered, 4_000);
    assert!(wakes < 4_000, "{wakes} wakes");
}
