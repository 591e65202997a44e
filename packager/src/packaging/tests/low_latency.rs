//! What low-latency clients rely on: growth, Delta Updates, reports, gaps, key frames, cues, numbers that tell time.

use flambeau_media::channel::Position;
use roxmltree::{Document, Node};

use super::*;

const VIDEO_PLAYLIST: &str = "v256/index.m3u8";

/// A Period of the Manifest: its start and end in microseconds since 1970, and the templates of its sets.
struct Read {
    id: u64,
    start: i64,
    end: Option<i64>,
    templates: Vec<Template>,
}

struct Template {
    media: String,
    first: Option<u64>,
    timescale: i64,
    offset: i64,
    duration: i64,
}

fn iso(text: &str) -> i64 {
    let seconds: f64 = text.trim_start_matches("PT").trim_end_matches('S').parse().expect("seconds");
    (seconds * 1e6).round() as i64
}

fn number<T: std::str::FromStr>(node: Node<'_, '_>, name: &str) -> Option<T> {
    node.attribute(name)?.parse().ok()
}

fn periods(rig: &Rig) -> Vec<Read> {
    let document = Document::parse(rig.text("manifest.mpd")).expect("well-formed");
    let mut read: Vec<Read> = Vec::new();
    for period in document.root_element().children().filter(|node| node.has_tag_name("Period")) {
        let start = iso(period.attribute("start").expect("a start"));
        let templates = period.descendants().filter(|node| node.has_tag_name("SegmentTemplate"));
        let template = |node: Node<'_, '_>| Template {
            media: node.attribute("media").expect("a name").to_owned(),
            first: number(node, "startNumber"),
            timescale: number(node, "timescale").expect("a timescale"),
            offset: number(node, "presentationTimeOffset").expect("an offset"),
            duration: number(node, "duration").unwrap_or_default(),
        };
        let end = period.attribute("duration").map(|duration| start + iso(duration));
        let id = number(period, "id").expect("a number");
        read.push(Read { id, start, end, templates: templates.map(template).collect() });
    }
    read
}

/// Holds that a client which goes by the numbers finds each Segment at its time: those of `id` that the Period has.
fn assert_numbers_tell_time(rig: &Rig, id: TrackId, period: &Read, until: u64) -> usize {
    let name = format!("{}/$Number$.m4s", rig.rendition(id).name);
    let template = period.templates.iter().find(|template| template.media == name).expect("by number");
    let first = template.first.expect("a first number");
    let mut found = 0;
    for (number, start, _) in rig.segments(id).into_iter().filter(|s| s.0 >= period.id && s.0 < until) {
        // Where the client takes it to start, on the media's own timeline and on the wall clock's.
        let ticks = template.offset + (number - first) as i64 * template.duration;
        let media = ticks as f64 * 1e6 / template.timescale as f64;
        let wall = period.start as f64
            + (number - first) as f64 * template.duration as f64 * 1e6 / template.timescale as f64;
        assert!((media - wall).abs() < 1500.0, "{media} and {wall}");
        if start >= period.start && start + 100_000 >= wall as i64 {
            assert!((start as f64 - wall).abs() <= 100_000.0, "{number}: {} us off", start as f64 - wall);
            assert!(rig.objects.contains_key(&name.replace("$Number$", &number.to_string())));
            found += 1;
        }
    }
    found
}

#[test]
fn a_segment_that_grows_is_the_one_there_is_in_the_end() {
    let mut rig = two_tracks();
    rig.run(11, &[VIDEO, AUDIO]);
    assert!(rig.grown.0 >= 8 && rig.grown.1 == 0, "{:?}", rig.grown);
    // What comes next can be waited for before its first Part is there.
    let newest = rig.playlists[VIDEO_PLAYLIST].newest.expect("a position");
    assert!(rig.growing.contains_key(&format!("v256/{}.m4s", newest.sequence)));
    for (path, object) in rig.objects.clone() {
        let Some(number) = path.strip_prefix("v256/t") else { continue };
        let start: i64 = number.trim_end_matches(".m4s").parse().expect("ticks");
        let segments = &rig.rendition(VIDEO).segments;
        let same = segments.iter().find(|segment| segment.start == start).expect("a Segment of that time");
        let twin = &rig.objects[&format!("v256/{}", same.file())];
        assert!(std::sync::Arc::ptr_eq(&twin.pieces, &object.pieces), "one object, two names");
    }
    // A new picture: what was announced in the old one's name is not given up half way.
    rig.frames = 0;
    rig.event(Event::Track(video(41)));
    rig.run(9, &[VIDEO, AUDIO]);
    let change = rig.packaging.finish(true);
    rig.apply(change);
    assert!(rig.growing.is_empty(), "{:?}", rig.growing.keys());
}

#[test]
fn a_delta_update_is_the_playlist_without_what_a_client_has() {
    let mut rig = two_tracks();
    rig.run(9, &[VIDEO, AUDIO]);
    assert!(rig.playlists[VIDEO_PLAYLIST].delta.is_none(), "there is nothing to skip");
    for _ in 0..25 * 40 {
        rig.frame(&[VIDEO, AUDIO]);
        for path in [VIDEO_PLAYLIST, "a257/index.m3u8"] {
            let Some(delta) = &rig.playlists[path].delta else { continue };
            let delta = std::str::from_utf8(delta.plain()).expect("text");
            assert_delta(rig.text(path), delta);
        }
    }
    assert!(rig.playlists[VIDEO_PLAYLIST].delta.is_some());
    assert!(rig.text(VIDEO_PLAYLIST).contains("CAN-SKIP-UNTIL=12,"));
}

/// RFC 8216bis 6.2.5.1 and 4.4.5.2.
fn assert_delta(full: &str, delta: &str) {
    let skipped = delta.lines().find_map(|line| line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS="));
    let skipped: usize = skipped.expect("a skip").parse().expect("a number");
    let head = |text: &str| {
        let body =
            text.find("#EXT-X-SKIP").or(text.find("#EXT-X-MAP")).or(text.find("#EXT-X-DISCONTINUITY\n"));
        text[..body.expect("a body")].to_owned()
    };
    assert_eq!(head(full), head(delta));
    let uris = |text: &str| {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(uris(full)[skipped..], uris(delta));
    // The rest, word for word, but for the init segment that was in what is left out.
    let rest = delta.lines().skip_while(|line| !line.starts_with("#EXT-X-SKIP")).skip(1);
    let rest: Vec<&str> = rest.skip_while(|line| line.starts_with("#EXT-X-MAP")).collect();
    assert!(full.ends_with(&format!("{}\n", rest.join("\n"))), "{full}\n\n{delta}");
    // Nothing within six target durations of the end is left out.
    let seconds = |line: &str| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse::<f64>().ok();
    let left: f64 = delta.lines().filter_map(seconds).sum();
    assert!((10.0..=14.1).contains(&left), "{left} s are left");
}

#[test]
fn each_playlist_tells_how_far_the_others_are() {
    let mut rig = Rig::new(&[(VIDEO, H264), (AUDIO, AAC), (TrackId(258), AAC)]);
    rig.event(Event::Track(video(40)));
    rig.event(Event::Track(audio(AUDIO)));
    rig.event(Event::Track(audio(TrackId(258))));
    rig.run(10, &[VIDEO, AUDIO, TrackId(258)]);
    for (path, others) in [(VIDEO_PLAYLIST, ["a257", "a258"]), ("a258/index.m3u8", ["a257", "v256"])] {
        assert_eq!(rig.text(path).matches("#EXT-X-RENDITION-REPORT").count(), 2);
        for other in others {
            let ((sequence, part), now) = report(&rig, path, other);
            // As it was when this Playlist was rendered: at most a Part ago.
            let behind = now.sequence * 10 + u64::from(now.parts) - (sequence * 10 + part + 1);
            assert!(behind <= 1, "{other} at {sequence}, {part}, not {now:?}");
        }
    }
}

/// How far the Playlist at `path` says that of the Rendition `other` is, and how far it is.
fn report(rig: &Rig, path: &str, other: &str) -> ((u64, u64), Position) {
    let name = format!("REPORT:URI=\"../{other}/index.m3u8\"");
    let line = rig.text(path).lines().find(|line| line.contains(&name)).expect("a report");
    let told = |name: &str| -> u64 {
        let value = line.split([',', ':']).find_map(|field| field.strip_prefix(name)).expect("told");
        value.trim_start_matches('=').parse().expect("a number")
    };
    let now = rig.playlists[&format!("{other}/index.m3u8")].newest.expect("a position");
    ((told("LAST-MSN"), told("LAST-PART")), now)
}

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
fn the_numbers_of_the_manifest_tell_the_time_of_each_segment() {
    for phase in [0, 300_000, 1_000_000, 1_700_000] {
        let mut rig = two_tracks();
        rig.utc += phase;
        rig.run(30, &[VIDEO, AUDIO]);
        let read = periods(&rig);
        assert_eq!(read.len(), 1);
        assert!(assert_numbers_tell_time(&rig, VIDEO, &read[0], u64::MAX) >= 10);
        assert!(assert_numbers_tell_time(&rig, AUDIO, &read[0], u64::MAX) >= 10);
        let text = rig.text("manifest.mpd");
        assert!(
            text.contains("availabilityTimeOffset=\"1.700\" availabilityTimeComplete=\"false\""),
            "{text}"
        );
        assert!(!text.contains("SegmentTimeline"));
        // It does not promise more than there is.
        let depth = text.split("timeShiftBufferDepth=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert!(iso(depth.expect("told")) <= 20_000_000);
    }
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

#[test]
fn a_picture_that_changes_goes_on_by_number_in_its_own_period() {
    let mut rig = two_tracks();
    rig.run(15, &[VIDEO, AUDIO]);
    rig.frames = 0;
    rig.event(Event::Track(video(41)));
    rig.run(15, &[VIDEO, AUDIO]);
    let read = periods(&rig);
    let [before, after] = &read[..] else { panic!("two Periods") };
    let first = after.templates[0].first.expect("by number");
    assert!(before.end.is_none(), "it goes on in the next");
    assert!(assert_numbers_tell_time(&rig, VIDEO, before, first) >= 2);
    assert!(assert_numbers_tell_time(&rig, VIDEO, after, u64::MAX) >= 6);
    // The sound goes on, the picture has another init segment.
    assert_eq!(rig.text("manifest.mpd").matches("period-continuity:2015").count(), 1);
}

#[test]
fn segments_of_uneven_length_are_listed() {
    let mut rig = two_tracks();
    rig.gop = 125;
    rig.run(40, &[VIDEO, AUDIO]);
    let text = rig.text("manifest.mpd");
    assert!(
        text.contains("SegmentTimeline") && text.contains("v256/t$Time$.m4s") && !text.contains("$Number$")
    );
    assert!(!text.contains("availabilityTimeOffset"));
}

#[test]
fn key_frames_are_where_their_playlist_says() {
    let mut rig = two_tracks();
    rig.run(30, &[VIDEO, AUDIO]);
    let text = rig.text("v256/iframes.m3u8");
    let lines: Vec<&str> = text.lines().collect();
    let mut seconds = 0.0;
    let mut keys = 0;
    for (n, line) in lines.iter().enumerate() {
        let Some(range) = line.strip_prefix("#EXT-X-BYTERANGE:") else { continue };
        let (len, offset) = range.split_once('@').expect("an offset");
        let (len, offset): (usize, usize) = (len.parse().expect("bytes"), offset.parse().expect("bytes"));
        let bytes = rig.objects[&format!("v256/{}", lines[n + 1])].pieces.concat();
        let range = &bytes[offset..offset + len];
        // From the start of a chunk to the end of its first Sample: 1,000 bytes of a picture.
        let mdat = range.windows(4).position(|four| four == b"mdat").expect("an mdat");
        assert_eq!(range.len(), mdat + 4 + 1000);
        assert!(range.windows(4).any(|four| four == b"moof"));
        seconds += lines[n - 1]
            .trim_start_matches("#EXTINF:")
            .trim_end_matches(',')
            .parse::<f64>()
            .expect("seconds");
        keys += 1;
    }
    let listed = rig.text(VIDEO_PLAYLIST).matches("#EXTINF").count();
    assert_eq!(keys, 2 * listed, "one a second");
    assert!((seconds - 2.0 * listed as f64).abs() < 0.01);
    assert!(text.contains("#EXT-X-I-FRAMES-ONLY\n"));
    assert!(rig.text("index.m3u8").contains("URI=\"v256/iframes.m3u8\""));
    // It counts its own entries.
    let sequence = rig.value("v256/iframes.m3u8", "#EXT-X-MEDIA-SEQUENCE").expect("a number");
    let first = rig.value(VIDEO_PLAYLIST, "#EXT-X-MEDIA-SEQUENCE").expect("a number");
    rig.run(10, &[VIDEO, AUDIO]);
    let gone = rig.value(VIDEO_PLAYLIST, "#EXT-X-MEDIA-SEQUENCE").expect("a number") - first;
    let now = rig.value("v256/iframes.m3u8", "#EXT-X-MEDIA-SEQUENCE").expect("a number");
    assert_eq!(now - sequence, 2 * gone);
}

/// A `splice_insert` out of the network for 30 s: SCTE 35, 14.2, as the standard has it.
const INSERT: [u8; 50] = [
    0xfc, 0x30, 0x2f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xf0, 0x14, 0x05, 0x48, 0x00, 0x00,
    0x8f, 0x7f, 0xef, 0xfe, 0x73, 0x69, 0xc0, 0x2e, 0xfe, 0x00, 0x52, 0xcc, 0xf5, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x0a, 0x00, 0x08, 0x43, 0x55, 0x45, 0x49, 0x00, 0x00, 0x01, 0x35, 0x62, 0xdb, 0xa3, 0x0a,
];

#[test]
fn a_cue_is_told_in_every_way_at_its_own_time() {
    let mut rig = Rig::new(&[(VIDEO, H264), (AUDIO, AAC), (TrackId(500), 0x86)]);
    let mut program = program(&[(VIDEO, H264), (AUDIO, AAC), (TrackId(500), 0x86)]);
    program.streams[2].packaged = false;
    rig.event(Event::Program(program));
    rig.event(Event::Track(video(40)));
    rig.event(Event::Track(audio(AUDIO)));
    rig.run(10, &[VIDEO, AUDIO]);
    // Four seconds ahead, and told three times.
    let pts = rig.pcr + DELAY + 2 * FRAME + 4 * 90_000;
    let at = rig.rendition(VIDEO).newest().expect("a Segment").end_utc();
    for _ in 0..3 {
        let section = Bytes::from_static(&INSERT);
        rig.event(Event::Splice { pid: 500, pts: Some(pts), section });
        rig.run(1, &[VIDEO, AUDIO]);
    }
    let text = rig.text(VIDEO_PLAYLIST);
    assert_eq!(text.matches("#EXT-X-DATERANGE").count(), 1);
    let line = text.lines().find(|line| line.starts_with("#EXT-X-DATERANGE")).expect("a range");
    assert!(line.contains(",PLANNED-DURATION=60.293566,SCTE35-OUT=0xFC302F"), "{line}");
    let date: Utc = line.split('"').nth(3).expect("a date").parse().expect("a time");
    assert!((date.0 - at.0 - 4_000_000).abs() < 300_000, "{date} for {at} and 4 s");
    // A Part carries it, once, and the Manifest says that it does.
    let carried = rig.objects.iter().filter(|(path, _)| path.matches('.').count() == 2);
    let carried = carried.filter(|(_, part)| part.pieces.concat().windows(4).any(|four| four == b"emsg"));
    assert_eq!(carried.map(|(path, _)| &path[..4]).collect::<Vec<_>>(), ["v256"]);
    let manifest = rig.text("manifest.mpd");
    assert_eq!(manifest.matches("<InbandEventStream").count(), 1);
    let document = Document::parse(manifest).expect("well-formed");
    let event = document.descendants().find(|node| node.has_tag_name("Event")).expect("an event");
    let time: i64 = number(event, "presentationTime").expect("a time");
    assert!((periods(&rig)[0].start + time * 100 / 9 - date.0).abs() < 2000);
    assert_eq!(number(event, "duration"), Some(5_426_420));
    rig.run(100, &[VIDEO, AUDIO]);
    assert!(!rig.text(VIDEO_PLAYLIST).contains("DATERANGE") && !rig.text("manifest.mpd").contains("<Event "));
}

#[test]
fn a_window_that_does_not_fit_in_memory_comes_out_shorter() {
    let mut rig = two_tracks();
    rig.packaging.shelf = Shelf::new(
        "athletics".parse().expect("an id"),
        Timing { memory_max: 500_000, ..rig.packaging.timing },
    );
    rig.run(60, &[VIDEO, AUDIO]);
    let bytes: usize =
        rig.objects.values().filter(|object| object.kind == Kind::Part).map(|object| object.len).sum();
    assert!((300_000..700_000).contains(&bytes), "{bytes}");
    let listed = rig.text(VIDEO_PLAYLIST).matches("#EXTINF").count();
    assert!((4..9).contains(&listed), "{listed} Segments");
    for uri in rig.text(VIDEO_PLAYLIST).lines().filter(|line| !line.starts_with('#')) {
        assert!(rig.objects.contains_key(&format!("v256/{uri}")), "{uri}");
    }
}
