use super::*;

fn track(segments: Segments) -> Track {
    Track {
        is_video: true,
        init: "i.mp4".into(),
        media: "$Number$-$Time$.m4s".into(),
        timescale: 10,
        offset: 0,
        first: 0,
        early: Duration::from_millis(1800),
        segments,
    }
}

fn manifest(periods: &[(u64, Segments)]) -> Manifest {
    let period = |(start, segments): &(u64, Segments)| Period {
        id: start.to_string(),
        start: Duration::from_secs(*start),
        duration: None,
        tracks: vec![track(segments.clone())],
    };
    Manifest { periods: periods.iter().map(period).collect(), ..Manifest::default() }
}

const DELAY: Duration = Duration::from_secs(3);

fn seconds(seconds: f64) -> Utc {
    Utc((seconds * 1e6) as i64)
}

#[test]
fn numbered_segments_are_asked_for_as_early_as_the_manifest_says() {
    let manifest = manifest(&[(100, Segments::Even(20))]);
    let mut schedule = Schedule::new(true);
    let fetch = schedule.next(&manifest, seconds(111.5), DELAY).expect("a Segment");
    // 8.5 s into the Period: the fifth of two seconds.
    assert_eq!((fetch.uri.as_str(), fetch.available, fetch.offset), ("4-80.m4s", seconds(108.2), 100.0));
    let fetch = schedule.next(&manifest, seconds(111.5), DELAY).expect("a Segment");
    assert_eq!((fetch.uri.as_str(), fetch.available), ("5-100.m4s", seconds(110.2)));
    assert_eq!(Schedule::new(false).next(&manifest, seconds(111.5), DELAY), None);
}

#[test]
fn a_new_period_is_gone_on_with_where_the_last_one_ends() {
    let one = manifest(&[(100, Segments::Even(20))]);
    let two = manifest(&[(100, Segments::Even(20)), (104, Segments::Even(20))]);
    let mut schedule = Schedule::new(true);
    assert!(schedule.next(&one, seconds(104.0), DELAY).is_some_and(|fetch| fetch.uri == "0-0.m4s"));
    assert!(schedule.next(&one, seconds(104.0), DELAY).is_some_and(|fetch| fetch.uri == "1-20.m4s"));
    let beyond = schedule.next(&one, seconds(104.0), DELAY).expect("a Segment");
    assert!(beyond.is_beyond(&two) && !beyond.is_beyond(&one));
    let fetch = schedule.next(&two, seconds(104.0), DELAY).expect("a Segment");
    assert_eq!((fetch.uri.as_str(), fetch.period, fetch.offset), ("0-0.m4s", true, 104.0));
}

#[test]
fn listed_segments_are_taken_once_each_as_they_are_listed() {
    let listed = |range: std::ops::Range<u64>| {
        manifest(&[(0, Segments::Listed(range.map(|n| (n * 20, 20)).collect()))])
    };
    let mut schedule = Schedule::new(true);
    let taken = |schedule: &mut Schedule, manifest: &Manifest| -> Vec<(String, bool)> {
        let next = || schedule.next(manifest, seconds(20.5), DELAY);
        std::iter::from_fn(next).map(|fetch| (fetch.uri, fetch.skipped)).collect()
    };
    let first: Vec<String> = taken(&mut schedule, &listed(0..10)).into_iter().map(|(uri, _)| uri).collect();
    assert_eq!(first, ["8-160.m4s", "9-180.m4s"]);
    assert!(taken(&mut schedule, &listed(0..10)).is_empty());
    assert_eq!(taken(&mut schedule, &listed(1..11)), [("9-200.m4s".into(), false)]);
    // What it waited for came and went in between.
    assert_eq!(taken(&mut schedule, &listed(20..21)).len(), 1);
    let late = taken(&mut schedule, &listed(30..32));
    assert_eq!(late.iter().map(|(_, skipped)| *skipped).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_manifest_that_goes_over_from_numbers_to_a_list_is_gone_on_with() {
    let mut schedule = Schedule::new(true);
    let numbers = manifest(&[(100, Segments::Even(20))]);
    assert!(schedule.next(&numbers, seconds(107.0), DELAY).is_some_and(|fetch| fetch.uri == "2-40.m4s"));
    // Cut at random access points: a little off the grid.
    let list = manifest(&[(100, Segments::Listed(vec![(3, 20), (23, 18), (41, 20), (61, 9)]))]);
    assert!(schedule.next(&list, seconds(107.0), DELAY).is_some_and(|fetch| fetch.uri == "3-61.m4s"));
    assert_eq!(schedule.next(&list, seconds(107.0), DELAY), None);
    assert!(schedule.next(&numbers, seconds(107.0), DELAY).is_some_and(|fetch| fetch.uri == "4-80.m4s"));
}

#[test]
fn a_period_that_ended_has_nothing_more_to_fetch() {
    let mut ended = manifest(&[(100, Segments::Even(20))]);
    let mut schedule = Schedule::new(true);
    let beyond = schedule.next(&ended, seconds(107.0), DELAY).expect("a Segment");
    ended.periods[0].duration = Some(Duration::from_millis(3900));
    assert!(beyond.is_beyond(&ended));
    assert_eq!(schedule.next(&ended, seconds(107.0), DELAY), None);
}

#[test]
fn a_period_that_is_gone_is_left_for_the_live_edge() {
    let mut schedule = Schedule::new(true);
    schedule.next(&manifest(&[(100, Segments::Even(20))]), seconds(104.0), DELAY).expect("a Segment");
    let later = manifest(&[(200, Segments::Even(20))]);
    let fetch = schedule.next(&later, seconds(205.0), DELAY).expect("a Segment");
    assert_eq!((fetch.uri.as_str(), fetch.skipped), ("1-20.m4s", true));
}

#[test]
fn a_template_is_filled_in() {
    assert_eq!(fill("a/$Number%05d$-$Time$$$.m4s", 7, 90), "a/00007-90$.m4s");
    assert_eq!(fill("$", 1, 1), "$");
    assert_eq!(fill("$Number%999999999999d$", 1, 1).len(), 20);
}
