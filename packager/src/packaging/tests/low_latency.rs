//! What low-latency clients rely on: growth, Delta Updates, reports, key frames, cues, numbers that tell time.

use flambeau_media::channel::Position;
use roxmltree::{Document, Node};

use super::*;

pub(super) const VIDEO_PLAYLIST: &str = "v256/index.m3u8";

/// A Period of the Manifest: its start and end in microseconds since 1970, and the templates of its sets.
pub(super) struct Read {
    pub(super) id: u64,
    pub(super) start: i64,
    pub(super) end: Option<i64>,
    pub(super) templates: Vec<Template>,
}

pub(super) struct Template {
    media: String,
    pub(super) first: Option<u64>,
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

pub(super) fn periods(rig: &Rig) -> Vec<Read> {
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
pub(super) fn assert_numbers_tell_time(rig: &Rig, id: TrackId, period: &Read, until: u64) -> usize {
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
fn no_part_is_above_its_target_while_a_clock_is_followed() {
    let mut rig = two_tracks();
    let (mut longest, mut parts) = (0.0f64, 0);
    for frame in 0..40 * 25 {
        rig.frame(&[VIDEO, AUDIO]);
        // Slower than ours by a hundredth: followed by the longest step with each Segment.
        rig.utc += 400;
        for path in [VIDEO_PLAYLIST, "a257/index.m3u8"].into_iter().filter(|_| frame > 10 * 25) {
            let text = rig.text(path);
            let after = |line: &str, name: &str| -> Option<f64> {
                line.split_once(name)?.1.split(',').next()?.parse().ok()
            };
            let target = text.lines().find_map(|line| after(line, "PART-TARGET=")).expect("a target");
            for length in text.lines().filter_map(|line| after(line, "#EXT-X-PART:DURATION=")) {
                assert!(length <= target, "{path}: a Part of {length} s, the target is {target} s");
                (longest, parts) = (longest.max(length - target), parts + 1);
            }
        }
    }
    assert!(parts > 1000 && longest > -0.002, "{parts} Parts, the longest {longest} s above");
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
pub(super) fn report(rig: &Rig, path: &str, other: &str) -> ((u64, u64), Position) {
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
fn that_a_segment_is_whole_is_told_with_the_first_part_of_the_next() {
    let mut rig = two_tracks();
    rig.run(9, &[VIDEO, AUDIO]);
    while !rig.rendition(VIDEO).withholds_end() {
        rig.frame(&[VIDEO, AUDIO]);
    }
    let last = rig.rendition(VIDEO).segments.back().expect("a Segment");
    let (number, parts) = (last.place.number, last.parts.len() as u32);
    let told = |rig: &Rig| rig.text(VIDEO_PLAYLIST).contains(&format!("\n{number}.m4s\n"));
    let playlist = &rig.playlists[VIDEO_PLAYLIST];
    assert!(!told(&rig) && rig.text(VIDEO_PLAYLIST).contains(&format!("{number}.{}.m4s", parts - 1)));
    assert_eq!(playlist.newest.map(|newest| newest.parts), Some(parts));
    // The Part that comes is hinted at all the same: the end of the Segment may come before it.
    let hint = |rig: &Rig, part: u32| {
        rig.text(VIDEO_PLAYLIST).contains(&format!("URI=\"{}.{part}.m4s\"\n", number + 1))
    };
    assert!(hint(&rig, 0));
    assert_eq!(playlist.hint, Some(format!("v256/{}.0.m4s", number + 1)));
    (0..6).for_each(|_| rig.frame(&[VIDEO, AUDIO]));
    let playlist = &rig.playlists[VIDEO_PLAYLIST];
    assert!(told(&rig) && playlist.parts_before == parts);
    assert!(hint(&rig, 1));
    assert_eq!(playlist.newest.map(|newest| newest.parts), Some(1));
    // Nor is it kept back where nothing comes.
    while !rig.rendition(VIDEO).withholds_end() {
        rig.frame(&[VIDEO, AUDIO]);
    }
    let change = rig.packaging.pause();
    rig.apply(change);
    let number = rig.rendition(VIDEO).segments.back().expect("a Segment").place.number;
    assert!(rig.text(VIDEO_PLAYLIST).contains(&format!("\n{number}.m4s\n")));
}

#[test]
fn what_a_playlist_has_told_is_not_taken_back_when_a_silent_source_goes_on() {
    for frames in 0..55 {
        let mut rig = two_tracks();
        rig.run(9, &[VIDEO, AUDIO]);
        (0..frames).for_each(|_| rig.frame(&[VIDEO, AUDIO]));
        let change = rig.packaging.pause();
        rig.apply(change);
        let told = |rig: &Rig| [VIDEO_PLAYLIST, "a257/index.m3u8"].map(|path| rig.playlists[path].newest);
        let mut before = told(&rig);
        for _ in 0..20 {
            rig.frame(&[VIDEO, AUDIO]);
            let now = told(&rig);
            assert!(now[0] >= before[0] && now[1] >= before[1], "{frames}: {before:?}, then {now:?}");
            before = now;
        }
    }
}

#[test]
fn a_short_part_is_told_to_be_the_last_at_once() {
    let (mut short, mut long) = (0, 0);
    let mut rig = two_tracks();
    rig.run(9, &[VIDEO, AUDIO]);
    for gop in [50, 52, 41, 58] {
        rig.gop = gop;
        for _ in 0..200 {
            rig.frame(&[VIDEO, AUDIO]);
            let rendition = rig.rendition(VIDEO);
            let last = rendition.segments.back().expect("a Segment");
            let seconds = last.parts.last().expect("a Part").duration as f64 / 90_000.0;
            let is_short = seconds < 0.85 * rendition.part_target.as_secs_f64();
            let told = rig.text(VIDEO_PLAYLIST).contains(&format!("\n{}.m4s\n", last.place.number));
            if rendition.open.is_none() {
                assert_eq!(told, is_short, "{seconds}");
                *(if is_short { &mut short } else { &mut long }) += 1;
            }
        }
    }
    assert!(short > 0 && long > 0, "{short} short and {long} long");
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
