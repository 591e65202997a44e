use super::*;

const QUEUE: usize = 1 << 20;

fn datagram(index: u32) -> Bytes {
    Bytes::copy_from_slice(&index.to_be_bytes())
}

/// Offers `count` packets a millisecond apart and returns what comes out: index and time since the start.
fn run(conditions: Conditions, seed: u64, count: u32) -> (Vec<(u32, Duration)>, Counts) {
    let start = Instant::now();
    let mut link = Link::new(Conditions { queue_bytes_max: QUEUE, ..conditions }, seed);
    for index in 0..count {
        link.offer(start + Duration::from_millis(u64::from(index)), datagram(index));
    }
    let mut out = Vec::new();
    while let Some(due) = link.next_due() {
        let datagram = link.pop_due(due).expect("it is due at its own time");
        let index = u32::from_be_bytes(datagram[..].try_into().expect("four bytes"));
        out.push((index, due - start));
    }
    (out, *link.counts())
}

fn share(text: &str) -> Share {
    text.parse().expect("a share")
}

#[test]
fn a_clean_link_hands_on_everything_in_order_and_at_once() {
    let (out, counts) = run(Conditions::default(), 1, 100);
    assert!(out.iter().zip(0..).all(|(&(index, at), n)| index == n && at == Duration::from_millis(n.into())));
    assert_eq!(counts, Counts { packets: 100, bytes: 400, delivered: 100, ..Counts::default() });
}

#[test]
fn the_same_seed_gives_the_same_fate_and_another_one_another() {
    let conditions = Conditions {
        loss: share("5%"),
        jitter: Duration::from_millis(7),
        reorder: share("5%"),
        reorder_by: Duration::from_millis(9),
        duplicate: share("2%"),
        ..Conditions::default()
    };
    assert_eq!(run(conditions.clone(), 7, 1000), run(conditions.clone(), 7, 1000));
    assert_ne!(run(conditions.clone(), 7, 1000).0, run(conditions, 8, 1000).0);
}

#[test]
fn the_share_lost_is_the_one_asked_for() {
    let (out, counts) = run(Conditions { loss: share("2%"), ..Conditions::default() }, 3, 50_000);
    assert!((800..1200).contains(&counts.lost), "{counts:?}");
    assert_eq!(out.len() as u64 + counts.lost, 50_000);
}

#[test]
fn losses_come_in_bursts_of_the_mean_length_asked_for() {
    let burst = Burst { start: share("1%"), length: 8.0 };
    let (out, counts) = run(Conditions { burst: Some(burst), ..Conditions::default() }, 5, 100_000);
    let bursts = out.windows(2).filter(|pair| pair[1].0 > pair[0].0 + 1).count();
    let mean = counts.lost as f64 / bursts as f64;
    assert!((7.0..9.0).contains(&mean), "mean {mean}");
}

#[test]
fn jitter_delays_but_does_not_reorder() {
    let conditions = Conditions {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(30),
        ..Conditions::default()
    };
    let (out, counts) = run(conditions, 11, 2000);
    assert_eq!(counts.reordered, 0);
    for (index, at) in out {
        let held = at - Duration::from_millis(index.into());
        assert!((Duration::from_millis(20)..=Duration::from_millis(50)).contains(&held), "{held:?}");
    }
}

#[test]
fn a_reordered_packet_is_overtaken_and_counted() {
    let conditions =
        Conditions { reorder: share("10%"), reorder_by: Duration::from_millis(5), ..Conditions::default() };
    let (out, counts) = run(conditions, 13, 1000);
    let behind = out.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
    assert!(behind > 50 && counts.reordered >= behind as u64, "{behind} {counts:?}");
    assert_eq!(counts.delivered, 1000);
}

#[test]
fn a_double_leaves_right_after_its_original() {
    let (out, counts) = run(Conditions { duplicate: share("100%"), ..Conditions::default() }, 17, 10);
    assert_eq!(
        out.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]
    );
    assert_eq!((counts.duplicated, counts.delivered, counts.reordered), (10, 20, 0));
}

#[test]
fn a_corrupted_packet_is_shorter_or_differs_in_one_byte() {
    let conditions = Conditions { corrupt: share("100%"), queue_bytes_max: QUEUE, ..Conditions::default() };
    let (mut link, now) = (Link::new(conditions, 19), Instant::now());
    let original = Bytes::from_static(&[0x55; 100]);
    let (mut shorter, mut changed) = (0, 0);
    for _ in 0..200 {
        link.offer(now, original.clone());
        let out = link.pop_due(now).expect("it is due at once");
        let differ = out.iter().zip(&original).filter(|(a, b)| a != b).count();
        shorter += usize::from(out.len() < 100 && differ == 0);
        changed += usize::from(out.len() == 100 && differ == 1);
    }
    assert_eq!(shorter + changed, 200);
    assert!(shorter > 50 && changed > 50, "{shorter} {changed}");
    assert_eq!(link.counts().corrupted, 200);
}

#[test]
fn a_rate_limit_spaces_packets_and_its_queue_drops_what_exceeds_it() {
    let start = Instant::now();
    let conditions = Conditions { rate: Some(Rate(8_000)), queue_bytes_max: 1000, ..Conditions::default() };
    let mut link = Link::new(conditions, 1);
    for _ in 0..20 {
        link.offer(start, Bytes::from_static(&[0; 100]));
    }
    assert_eq!(link.counts().overflowed, 10);
    // 100 bytes at 8 kb/s take 100 ms.
    for n in 1..=10 {
        assert_eq!(link.next_due(), Some(start + Duration::from_millis(100 * n)));
        assert!(link.pop_due(start + Duration::from_millis(100 * n)).is_some());
    }
    assert_eq!(link.next_due(), None);
}

#[test]
fn an_outage_takes_everything_for_its_time_and_comes_again() {
    let outage = Outage { every: Duration::from_secs(5), length: Duration::from_millis(300) };
    let conditions = Conditions { outage: Some(outage), queue_bytes_max: QUEUE, ..Conditions::default() };
    let mut link = Link::new(conditions, 1);
    let start = Instant::now();
    let lost = |link: &mut Link, ms: u64| {
        let (now, before) = (start + Duration::from_millis(ms), link.counts().lost);
        link.offer(now, Bytes::from_static(b"packet"));
        while link.pop_due(now).is_some() {}
        link.counts().lost > before
    };
    let at = [0, 4_699, 4_700, 4_999, 5_000, 9_699, 9_700];
    assert_eq!(at.map(|ms| lost(&mut link, ms)), [false, false, true, true, false, false, true]);
}
