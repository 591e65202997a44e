//! A source that goes, for a while or for good, and returns.

use super::low_latency::{VIDEO_PLAYLIST, assert_numbers_tell_time, periods, report};
use super::*;

#[test]
fn a_source_that_was_away_leaves_a_gap_that_is_listed_once_something_follows() {
    let mut rig = two_tracks();
    rig.run(20, &[VIDEO, AUDIO]);
    let before = rig.segments(VIDEO).last().expect("segments").0;
    rig.silent(7_600);
    for path in [VIDEO_PLAYLIST, "a257/index.m3u8"] {
        let (playlist, text) = (&rig.playlists[path], rig.text(path));
        assert!(!text.contains("#EXT-X-GAP") && !text.contains("#EXT-X-DISCONTINUITY\n"), "{text}");
        assert!(playlist.silent && playlist.hint.is_none());
    }
    // Meanwhile the Manifest asks to be read again soon, and does not say that it is at an end.
    assert!(rig.text("manifest.mpd").contains("minimumUpdatePeriod=\"PT0.250S\""));
    assert!(periods(&rig).last().expect("a Period").end.is_none());

    rig.back();
    while !rig.text("a257/index.m3u8").contains("#EXT-X-GAP") {
        rig.frame(&[VIDEO, AUDIO]);
    }
    for path in [VIDEO_PLAYLIST, "a257/index.m3u8"] {
        let text = rig.text(path);
        let (of_before, after) = text.split_once("#EXT-X-DISCONTINUITY\n").expect("one");
        assert!(of_before.contains("#EXT-X-GAP\n") && after.contains("#EXT-X-PART:"), "{text}");
        assert_eq!(text.matches("#EXT-X-GAP\n").count(), 1);
        assert!(text.contains("PRELOAD-HINT"));
    }
    rig.run(9, &[VIDEO, AUDIO]);
    let back = *rig.segments(VIDEO).iter().find(|segment| segment.0 > before + 2).expect("it is back");
    assert!(back.0 >= (back.1 / 2_000_000) as u64, "a number is that of its time, or later");
    assert_eq!(rig.text(VIDEO_PLAYLIST).matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    // All of it is gone in the end, the gap too.
    rig.run(60, &[VIDEO, AUDIO]);
    assert!(!rig.text(VIDEO_PLAYLIST).contains("#EXT-X-GAP"));
    assert_eq!(periods(&rig).len(), 1);
}

#[test]
fn a_source_that_goes_at_any_moment_takes_nothing_with_it_that_is_listed() {
    let mut apart = 0;
    // Each picture of a Segment: the sound comes later, and there are moments at which only the pictures have a new one.
    for (frames, gaps) in (0..50).flat_map(|frames| [(frames, false), (frames, true)]) {
        let mut rig = two_tracks_in(Rig::telling_gaps(gaps, PIDS));
        rig.run(9, &[VIDEO, AUDIO]);
        (0..frames).for_each(|_| rig.frame(&[VIDEO, AUDIO]));
        rig.silent(6000);
        let newest = [VIDEO, AUDIO].map(|id| rig.segments(id).last().expect("Segments").0);
        apart += usize::from(newest[0] != newest[1]);
        rig.back();
        rig.run(5, &[VIDEO, AUDIO]);
        for name in ["v256", "a257"] {
            let text = rig.text(&format!("{name}/index.m3u8"));
            assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{frames}: {text}");
            assert!(text.matches("#EXTINF").count() >= 6, "{frames}: {text}");
        }
        // A player that takes out what is missing takes out the same of both, but for a frame of the sound. No Segment is
        // told to be longer than the target duration, though, and here the sound is half a second behind.
        let clamped = rig.text("a257/index.m3u8").contains("#EXTINF:2.499,");
        let missing = ["v256", "a257"].map(|name| missing_ms(rig.text(&format!("{name}/index.m3u8"))));
        let apart_max = if clamped { 500 } else { 25 };
        assert!(missing[0].abs_diff(missing[1]) <= apart_max, "{frames}: {missing:?}");
        let sets: Vec<usize> = periods(&rig).iter().map(|period| period.templates.len()).collect();
        assert!(sets.len() >= 2 && sets.iter().all(|count| *count == 2), "{frames}: {sets:?}");
        let ((sequence, _), now) = report(&rig, VIDEO_PLAYLIST, "a257");
        assert!((now.sequence - 1..=now.sequence).contains(&sequence), "{sequence}, not {now:?}");
    }
    assert!(apart > 0, "there is no such moment");
}

/// How much is missing of a Playlist between one Segment and the next, by what it says, in milliseconds.
fn missing_ms(text: &str) -> u64 {
    let (mut end, mut missing) = (None, 0);
    for line in text.lines() {
        if let Some(time) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            let start: Utc = time.parse().expect("a time");
            missing += end.map_or(0, |end| start.since(end).as_millis() as u64);
            end = Some(start);
        } else if let Some(length) = line.strip_prefix("#EXTINF:") {
            let length: f64 = length.trim_end_matches(',').parse().expect("a length");
            end = end.map(|end| end.plus(Duration::from_secs_f64(length)));
        }
    }
    missing
}

#[test]
fn whoever_goes_by_the_numbers_gets_nothing_rather_than_an_error_while_the_source_is_away() {
    let mut rig = two_tracks();
    rig.run(20, &[VIDEO, AUDIO]);
    let change = rig.packaging.pause();
    rig.apply(change);
    let newest = rig.rendition(VIDEO).newest().expect("segments");
    let (last, end) = (newest.place.number, newest.end_utc());
    let held = rig.objects.len();
    for away in [3, 10, 100, 3_600] {
        let change = rig.packaging.silence(Duration::from_secs(away));
        rig.apply(change);
        let now = rig.packaging.now.plus(Duration::from_secs(away)).since(end).as_secs() / 2;
        let late =
            rig.packaging.now.plus(Duration::from_secs(away)).since(end).checked_sub(Duration::from_secs(15));
        let over = late.map_or(0, |late| 1 + late.as_secs() / 2);
        for number in last + 1 + over.saturating_sub(5)..=last + over {
            let object = rig.objects.get(&format!("v256/{number}.m4s"));
            let object = object.unwrap_or_else(|| panic!("{number} after {away} s"));
            assert_eq!(object.pieces.concat(), flambeau_proto::isobmff::empty_segment());
        }
        for number in last + over + 1..last + now + 4 {
            assert!(rig.growing.contains_key(&format!("v256/{number}.m4s")), "{number} can be waited for");
        }
    }
    assert!(rig.objects.len() < held + 60, "bounded");
    rig.utc += 3_600_000_000;
    let used: Vec<String> = rig.objects.keys().cloned().collect();
    rig.back();
    rig.run(10, &[VIDEO, AUDIO]);
    let (number, ..) = *rig.segments(VIDEO).last().expect("segments");
    assert!(!used.contains(&format!("v256/{number}.m4s")));
    assert!(number > last + 1_800);
    // Nothing is left of it once it is out of the window.
    rig.run(120, &[VIDEO, AUDIO]);
    let left = used.iter().filter(|path| rig.objects.contains_key(*path) && !path.contains("init"));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn a_source_that_is_back_within_two_seconds_with_another_clock_leaves_nothing_to_wait_for() {
    for silence in [1_000, 1_600, 2_200] {
        let mut rig = two_tracks();
        rig.run(20, &[VIDEO, AUDIO]);
        rig.silent(silence);
        let last = rig.rendition(VIDEO).newest().expect("segments").place.number;
        rig.back();
        rig.run(9, &[VIDEO, AUDIO]);
        let begun = rig.segments(VIDEO).into_iter().map(|segment| segment.0).find(|number| *number > last);
        let begun = begun.expect("it goes on");
        assert!(begun > last + 1, "after {last} another stream goes on by {begun}");
        for number in last + 1..begun {
            let path = format!("v256/{number}.m4s");
            let nothing = rig.objects.get(&path).map(|object| object.pieces.concat());
            assert_eq!(nothing.as_deref(), Some(&flambeau_proto::isobmff::empty_segment()[..]), "{path}");
        }
    }
}

#[test]
fn what_is_waited_for_when_the_feed_ends_is_answered() {
    let mut rig = two_tracks();
    rig.run(20, &[VIDEO, AUDIO]);
    rig.silent(5_000);
    assert!(!rig.growing.is_empty());
    let change = rig.packaging.finish(true);
    rig.apply(change);
    assert!(rig.growing.is_empty(), "{:?}", rig.growing.keys());
}

#[test]
fn a_source_that_returns_is_in_the_manifest_with_its_first_part() {
    let mut rig = two_tracks();
    rig.run(20, &[VIDEO, AUDIO]);
    rig.silent(5_300);
    rig.back();
    let away = periods(&rig).len();
    // A Part of each Track; the sound of a picture comes half a second after it. No Segment is whole yet.
    let segments = rig.segments(VIDEO).len();
    for _ in 0..25 {
        rig.frame(&[VIDEO, AUDIO]);
    }
    // But for the gap.
    assert_eq!(rig.segments(VIDEO).len(), segments + 1);
    let read = periods(&rig);
    assert_eq!(read.len(), away + 1);
    let [before, after] = &read[..] else { panic!("two") };
    assert!(before.end.is_none(), "it lasts until the next begins");
    assert!(after.end.is_none());
    assert!(rig.text("manifest.mpd").contains("period-connectivity:2015"));
    rig.run(20, &[VIDEO, AUDIO]);
    let read = periods(&rig);
    let after = read.last().expect("a Period");
    let first = after.templates[0].first.expect("by number");
    assert!(assert_numbers_tell_time(&rig, VIDEO, after, u64::MAX) >= 8);
    assert!(rig.segments(VIDEO).iter().any(|segment| segment.0 == first));
}
