//! A receiver alone, under virtual time.

use super::*;

const LATENCY: Duration = Duration::from_millis(100);

fn receiver(start: Instant) -> Receiver {
    Receiver::new(SeqNo::new(0x7fff_fffe), (start, u32::MAX - 1_000), LATENCY)
}

fn seq(n: i32) -> SeqNo {
    SeqNo::new(0x7fff_fffe).plus(n)
}

fn put(receiver: &mut Receiver, now: Instant, n: i32) -> Place {
    let place = receiver.place(seq(n), now);
    if matches!(place, Place::New { .. }) {
        let timestamp = (u32::MAX - 1_000).wrapping_add(n as u32 * 1_000);
        receiver.insert(now, seq(n), timestamp, Bytes::from(vec![n as u8]));
    }
    place
}

fn delivered(receiver: &mut Receiver, now: Instant) -> Vec<(u8, u32)> {
    let mut into = Vec::new();
    receiver.deliver(now, Duration::ZERO, &mut into);
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
fn what_is_here_may_be_taken_early_and_what_is_missing_has_its_whole_time() {
    let start = Instant::now();
    let mut receiver = receiver(start);
    for n in [0, 1, 3] {
        put(&mut receiver, start, n);
    }
    let early = |receiver: &mut Receiver, ms| {
        let mut into = Vec::new();
        let given_up = receiver.deliver(
            start + LATENCY + Duration::from_millis(ms),
            Duration::from_millis(4),
            &mut into,
        );
        let times = into.iter().map(|payload| payload.time.duration_since(start + LATENCY).as_millis());
        (given_up, into.iter().map(|payload| payload.data[0]).zip(times).collect::<Vec<_>>())
    };
    assert_eq!(early(&mut receiver, 0), (0, vec![(0, 0), (1, 1)]));
    assert_eq!(early(&mut receiver, 2), (0, vec![]));
    assert_eq!(early(&mut receiver, 3), (1, vec![(3, 3)]));
}

#[test]
fn what_is_missing_when_the_next_is_due_is_given_up_and_told() {
    let start = Instant::now();
    let mut receiver = receiver(start);
    put(&mut receiver, start, 0);
    put(&mut receiver, start, 5);
    assert_eq!(delivered(&mut receiver, start + LATENCY + Duration::from_millis(4)), [(0, 0)]);
    let mut into = Vec::new();
    assert_eq!(receiver.deliver(start + LATENCY + Duration::from_millis(5), Duration::ZERO, &mut into), 4);
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
    assert_eq!(receiver.give_up_range(seq(1), seq(0x3fff_ffff), start), Some(WINDOW_PACKETS - 1));
    assert_eq!(receiver.give_up_range(seq(9), seq(2), start), None);
    assert_eq!(receiver.give_up_range(seq(-9), seq(-2), start), Some(0));
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
    assert_eq!(
        clock.local(start + Duration::from_secs(10), 10_000_000),
        start + Duration::from_micros(10_005_000)
    );
}

#[test]
fn a_session_that_was_silent_for_an_hour_plays_on_at_its_time() {
    let start = Instant::now();
    let clock = PeerClock::new((start, 7));
    for minutes in [1, 36, 60, 72, 200] {
        let sent = start + Duration::from_secs(minutes * 60);
        let timestamp = (minutes * 60_000_000 + 7) as u32;
        assert_eq!(clock.local(sent + Duration::from_millis(30), timestamp), sent, "after {minutes} minutes");
    }
}

#[test]
fn a_timestamp_of_the_future_is_held_to_a_second() {
    let start = Instant::now();
    let clock = PeerClock::new((start, 0));
    assert_eq!(clock.local(start, 1_800_000_000), start + Duration::from_secs(1));
}

#[test]
fn the_room_counts_from_the_acknowledged_packet_on() {
    let start = Instant::now();
    let mut receiver = receiver(start);
    put(&mut receiver, start, 0);
    put(&mut receiver, start, 10_000);
    // The sender has 10,000 packets under way from the acknowledged one on: there is room for 6,383 more.
    assert_eq!(receiver.acknowledged(), seq(1));
    assert_eq!(receiver.available(), WINDOW_PACKETS - 1);
}

#[test]
fn a_drop_request_that_leaves_only_gaps_does_not_close_the_window() {
    let start = Instant::now();
    let mut receiver = receiver(start);
    assert_eq!(receiver.give_up_range(seq(50), seq(99), start), Some(50));
    assert!(delivered(&mut receiver, start + LATENCY).is_empty());
    let far = WINDOW_PACKETS as i32 + 500;
    assert_eq!(put(&mut receiver, start, far), Place::New { gap: None });
    let mut into = Vec::new();
    assert_eq!(receiver.deliver(start + Duration::from_secs(60), Duration::ZERO, &mut into), far as u32);
    assert_eq!(into[0].lost_before, far as u32);
}

#[test]
fn jumps_and_drop_requests_cost_a_peer_its_allowance() {
    let start = Instant::now();
    let mut receiver = receiver(start);
    let mut next = 0;
    let mut accepted = 0;
    for _ in 0..10_000 {
        let jump = seq(next + 16_383);
        if matches!(receiver.place(jump, start), Place::New { .. }) {
            receiver.insert(start, jump, 0, Bytes::from_static(b"x"));
            accepted += 1;
            next += 16_384;
            receiver.deliver(start + Duration::from_secs(2), Duration::ZERO, &mut Vec::new());
        }
        receiver.give_up_range(seq(next), seq(next + 16_383), start);
    }
    assert!(accepted < 10, "{accepted} jumps at one instant");
}
