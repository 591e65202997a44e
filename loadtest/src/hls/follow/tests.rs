use std::time::Duration;

use flambeau_media::Utc;
use flambeau_proto::m3u8;
use proptest::prelude::*;

use super::*;

const PART: Duration = Duration::from_millis(200);
const PARTS: usize = 10;

/// A Playlist of our own renderer: Segments `from` to `newest`, of which the newest has `parts` Parts so far.
///
/// `skipped`: so many of the first are left out, as in a delta update.
fn rendered(from: u64, newest: u64, parts: usize, skipped: usize) -> String {
    let segment = |n: u64| {
        let count = if n == newest { parts } else { PARTS };
        let part = |p: usize| m3u8::Part { uri: format!("{n}.{p}.m4s"), duration: PART, independent: p == 0 };
        m3u8::Segment {
            uri: format!("{n}.m4s"),
            duration: (n != newest).then_some(PART * PARTS as u32),
            map: "init.mp4",
            start: Utc(n as i64 * 2_000_000),
            parts: if n + 3 > newest { (0..count).map(part).collect() } else { Vec::new() },
            ..m3u8::Segment::default()
        }
    };
    let hint = Some(format!("{newest}.{parts}.m4s"));
    let media = m3u8::Media {
        target_duration: Duration::from_secs(2),
        part_target: Some(PART),
        part_hold_back: PART * 3,
        skip_until: Some(Duration::from_secs(12)),
        sequence: from,
        segments: (from..=newest).map(segment).collect(),
        hint,
        ..m3u8::Media::default()
    };
    if skipped == 0 {
        return media.render();
    }
    let lines: Vec<_> = media.segments.iter().map(|segment| m3u8::Lines::of(segment, segment.map)).collect();
    media.assemble(skipped, Some("init.mp4"), lines[skipped..].iter())
}

fn uris(follower: &mut Follower) -> Vec<String> {
    std::iter::from_fn(|| follower.advance()).filter_map(|fetch| Some(fetch.piece?.uri)).collect()
}

#[test]
fn it_starts_at_the_hold_back_where_decoding_can_start() {
    let mut follower = Follower::new(true);
    assert_eq!(follower.directives(Duration::ZERO), "");
    assert!(follower.take(&rendered(100, 110, 2, 0)).expect("a Playlist"));
    let first = follower.advance().expect("something to fetch");
    assert_eq!(first.piece.map(|piece| piece.uri).as_deref(), Some("109.0.m4s"));
    // Twelve Parts from the end, three of them to be held back.
    assert!((first.start.expect("a start") - 1.8).abs() < 1e-6);
    let rest = uris(&mut follower);
    assert_eq!((rest.len(), rest.last().map(String::as_str)), (11, Some("110.1.m4s")));
    assert_eq!(follower.hint().map(|hint| hint.uri.as_str()), Some("110.2.m4s"));
}

#[test]
fn it_asks_for_what_comes_next_and_takes_only_what_is_new() {
    let mut follower = Follower::new(true);
    follower.take(&rendered(100, 110, 2, 0)).expect("a Playlist");
    uris(&mut follower);
    assert_eq!(follower.directives(Duration::ZERO), "?_HLS_msn=110&_HLS_part=2&_HLS_skip=YES");
    assert_eq!(follower.directives(Duration::from_secs(7)), "?_HLS_msn=110&_HLS_part=2");
    follower.took_hint();
    assert!(follower.take(&rendered(100, 110, 4, 0)).expect("a Playlist"));
    assert_eq!(uris(&mut follower), ["110.3.m4s"]);
    assert!(follower.take(&rendered(100, 111, 1, 0)).expect("a Playlist"));
    assert_eq!(uris(&mut follower).len(), 7);
    assert!(!follower.take(&rendered(100, 111, 1, 0)).expect("the same again"));
    assert_eq!(uris(&mut follower), [""; 0]);
}

#[test]
fn an_announced_part_may_be_the_first_of_the_next_segment() {
    let mut follower = Follower::new(true);
    // All Parts of 110 are there, and its end is not told yet.
    let text = rendered(100, 110, PARTS, 0).replace("110.10.m4s", "111.0.m4s");
    follower.take(&text).expect("a Playlist");
    uris(&mut follower);
    assert_eq!(follower.hint().map(|hint| hint.uri.as_str()), Some("111.0.m4s"));
    follower.took_hint();
    follower.take(&rendered(100, 111, 3, 0)).expect("a Playlist");
    assert_eq!(uris(&mut follower), ["111.1.m4s", "111.2.m4s"]);
}

#[test]
fn a_delta_update_is_filled_from_what_is_known() {
    let mut follower = Follower::new(true);
    follower.take(&rendered(100, 110, 2, 0)).expect("a Playlist");
    uris(&mut follower);
    let whole = Media::read(&rendered(101, 110, 5, 0)).expect("a Playlist");
    assert!(follower.take(&rendered(101, 110, 5, 6)).expect("a delta update"));
    assert_eq!(follower.known(), Some(&whole));
    assert_eq!(uris(&mut follower), ["110.2.m4s", "110.3.m4s", "110.4.m4s"]);
    assert_eq!(follower.take(&rendered(90, 110, 6, 6)), Err(Error::Delta));
    assert_eq!(Follower::new(true).take(&rendered(100, 110, 2, 6)), Err(Error::Delta));
}

#[test]
fn without_low_latency_it_takes_segments_at_three_target_durations() {
    let mut follower = Follower::new(false);
    follower.take(&rendered(100, 110, 2, 0)).expect("a Playlist");
    assert_eq!(uris(&mut follower), ["107.m4s", "108.m4s", "109.m4s"]);
    assert_eq!((follower.directives(Duration::ZERO), follower.hint()), (String::new(), None));
}

#[test]
fn who_falls_out_of_the_window_goes_on_at_the_live_edge() {
    let mut follower = Follower::new(true);
    follower.take(&rendered(100, 110, 2, 0)).expect("a Playlist");
    uris(&mut follower);
    follower.take(&rendered(200, 210, 2, 0)).expect("a Playlist");
    let fetch = follower.advance().expect("something to fetch");
    assert!(fetch.skipped);
    assert_eq!(fetch.piece.map(|piece| piece.uri).as_deref(), Some("209.0.m4s"));
}

#[test]
fn a_gap_is_not_fetched_and_what_follows_it_is_known_not_to_go_on() {
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-MAP:URI=\"i.mp4\"\n\
                #EXTINF:2,\n5.m4s\n#EXTINF:2,\n#EXT-X-GAP\n6.m4s\n#EXTINF:2,\n7.m4s\n";
    let mut follower = Follower::new(true);
    follower.take(text).expect("a Playlist");
    let fetches: Vec<Fetch> = std::iter::from_fn(|| follower.advance()).collect();
    let found: Vec<_> = fetches.iter().map(|fetch| (fetch.piece.is_some(), fetch.discontinuity)).collect();
    assert_eq!(found, [(true, false), (false, false), (true, true)]);
}

#[test]
fn parts_may_be_stretches_of_one_resource() {
    let text = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.5\n\
                #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5\n#EXT-X-MAP:URI=\"i.mp4\",BYTERANGE=\"90@0\"\n\
                #EXT-X-PART:DURATION=0.5,URI=\"s.m4s\",BYTERANGE=\"100@0\",INDEPENDENT=YES\n\
                #EXT-X-PART:DURATION=0.5,URI=\"s.m4s\",BYTERANGE=\"50\"\n\
                #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"s.m4s\",BYTERANGE-START=150\n";
    let media = Media::read(text).expect("a Playlist");
    let stretches: Vec<_> = media.segments[0].parts.iter().map(|part| part.piece.stretch).collect();
    assert_eq!(stretches, [Some((0, Some(100))), Some((100, Some(50)))]);
    assert_eq!(media.segments[0].map.stretch, Some((0, Some(90))));
    assert_eq!(media.hint.and_then(|hint| hint.stretch), Some((150, None)));
}

proptest! {
    /// Whatever moments it looks at, each Part is taken once and in order, or as a part of its Segment.
    #[test]
    fn nothing_is_left_out_and_nothing_taken_twice(
        steps in prop::collection::vec((0_usize..25, any::<bool>()), 1..40)
    ) {
        let mut follower = Follower::new(true);
        let (mut edge, mut last, mut from) = (1105_usize, None, 100_u64);
        for (step, delta) in steps {
            edge += step;
            let (newest, parts) = ((edge / PARTS) as u64, edge % PARTS);
            let skipped = if delta && last.is_some() { 3 } else { 0 };
            from = from.max(newest - 12);
            let before = follower.known().map_or(from, |known| known.sequence);
            let known_to = follower.known().map_or(0, |known| known.next().0);
            // A server leaves out only what a client knows.
            let skipped = if before <= from && from + skipped as u64 <= known_to { skipped } else { 0 };
            follower.take(&rendered(from, newest, parts, skipped)).expect("a Playlist");
            while let Some(fetch) = follower.advance() {
                let uri = fetch.piece.expect("no gap").uri;
                let mut numbers = uri.trim_end_matches(".m4s").split('.').filter_map(|n| n.parse::<usize>().ok());
                let segment = numbers.next().expect("a number");
                let part = numbers.next();
                let start = segment * PARTS + part.unwrap_or(0);
                let end = if part.is_some() { start + 1 } else { start + PARTS };
                // The rest of a Segment whose Parts are no longer named is left out, and that is told.
                let goes_on = |last| if fetch.skipped { start > last } else { start == last };
                prop_assert!(last.is_none_or(goes_on), "{} after {:?}", uri, last);
                last = Some(end);
            }
            prop_assert_eq!(last, Some(edge));
        }
    }

    #[test]
    fn any_text_is_taken(text in "(#EXTM3U\n)?(#EXT(INF|-X-[A-Z-]{3,18}):[A-Z=,\"0-9@.-]{0,30}\n|[a-z.]{1,5}\n){0,20}") {
        let mut follower = Follower::new(true);
        let _ = follower.take(&text);
        let _ = uris(&mut follower);
        let _ = super::super::playlist::Choice::read(&text);
    }
}
