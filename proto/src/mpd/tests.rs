use proptest::prelude::*;

use super::template::runs;
use super::*;

const START: Utc = Utc(1_795_351_881_480_123);

fn manifest() -> Manifest {
    let picture = Picture {
        width: 1440,
        height: 1080,
        sample_aspect: (4, 3),
        frame_rate: Some((30_000, 1001)),
        interlaced: true,
    };
    let base = START.ticks(90_000) as u64;
    let video = AdaptationSet {
        id: 256,
        representation: "v256".into(),
        content: Content::Video(picture),
        language: None,
        main: false,
        cues: false,
        continues: None,
        codecs: "avc1.640028".into(),
        bandwidth: 5_000_000,
        timescale: 90_000,
        init: "v256/init-0a1b2c3d.mp4".into(),
        media: "v256/$Time$.m4s".into(),
        addressing: Addressing::Timeline(vec![
            (base, 180_000),
            (base + 180_000, 180_000),
            (base + 360_000, 90_000),
        ]),
    };
    let audio = AdaptationSet {
        id: 257,
        representation: "a257".into(),
        content: Content::Audio(Sound { sample_rate: 44_100, channels: 6 }),
        language: Some("fr".into()),
        main: true,
        cues: false,
        continues: None,
        codecs: "mp4a.40.2".into(),
        bandwidth: 128_000,
        timescale: 44_100,
        init: "a257/init-0a1b2c3d.mp4".into(),
        media: "a257/$Time$.m4s".into(),
        addressing: Addressing::Timeline(vec![(START.ticks(44_100) as u64, 88_200)]),
    };
    Manifest {
        published: START,
        update_period: Some(Duration::from_secs(2)),
        time_shift: Duration::from_secs(60),
        presentation_delay: Duration::from_secs(6),
        min_buffer: Duration::from_secs(2),
        segment_duration_max: Duration::from_secs(2),
        time_url: Some("../time".into()),
        latency: None,
        on_demand: false,
        periods: vec![Period { id: "1".into(), start: START, sets: vec![video, audio], ..Period::default() }],
    }
}

/// The first element of that name at or below `node`.
fn find<'a, 'i>(node: roxmltree::Node<'a, 'i>, name: &str) -> roxmltree::Node<'a, 'i> {
    node.descendants().find(|child| child.has_tag_name(name)).expect("the element is there")
}

fn number(node: roxmltree::Node<'_, '_>, name: &str) -> u64 {
    node.attribute(name).expect("the attribute is there").parse().expect("a number")
}

#[test]
fn a_manifest_reads_back_as_what_it_describes() {
    let text = manifest().render();
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    let mpd = document.root_element();
    let expected = [
        ("type", "dynamic"),
        ("availabilityStartTime", "1970-01-01T00:00:00Z"),
        ("publishTime", "2026-11-22T12:51:21.480Z"),
        ("minimumUpdatePeriod", "PT2S"),
        ("timeShiftBufferDepth", "PT60S"),
        ("suggestedPresentationDelay", "PT6S"),
        ("minBufferTime", "PT2S"),
    ];
    for (name, value) in expected {
        assert_eq!(mpd.attribute(name), Some(value));
    }
    let timing = find(mpd, "UTCTiming");
    assert_eq!(timing.attribute("schemeIdUri"), Some("urn:mpeg:dash:utc:http-iso:2014"));
    assert_eq!(timing.attribute("value"), Some("../time"));
    assert_eq!(find(mpd, "Period").attribute("start"), Some("PT1795351881.480S"));
    let sets: Vec<_> = mpd.descendants().filter(|node| node.has_tag_name("AdaptationSet")).collect();
    let picture = find(sets[0], "Representation");
    assert_eq!(sets[0].attribute("par"), Some("16:9"));
    assert_eq!(picture.attribute("scanType"), Some("interlaced"));
    assert_eq!(picture.attribute("sar"), Some("4:3"));
    assert_eq!(picture.attribute("frameRate"), Some("30000/1001"));
    let runs: Vec<_> = sets[0].descendants().filter(|node| node.has_tag_name("S")).collect();
    assert_eq!(runs.len(), 2);
    assert_eq!((number(runs[0], "r"), runs[1].attribute("t")), (1, None));
    assert_eq!(sets[1].attribute("lang"), Some("fr"));
    assert_eq!(number(find(sets[1], "Representation"), "audioSamplingRate"), 44_100);
    assert_eq!(number(find(sets[1], "AudioChannelConfiguration"), "value"), 6);
}

#[test]
fn the_presentation_time_offset_is_the_start_of_the_period() {
    let text = manifest().render();
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    for template in document.descendants().filter(|node| node.has_tag_name("SegmentTemplate")) {
        let late = number(find(template, "S"), "t") - number(template, "presentationTimeOffset");
        // The Period's start is rounded down to the millisecond.
        assert!(late * 1000 / number(template, "timescale") <= 1);
    }
}

#[test]
fn a_manifest_that_has_ended_tells_its_length_and_asks_for_no_return() {
    let text = Manifest { update_period: None, ..manifest() }.render();
    assert!(!text.contains("minimumUpdatePeriod"));
    assert!(text.contains("mediaPresentationDuration=\"PT1795351886.480S\""));
}

/// The same service, its Segments by number.
fn low_latency() -> Manifest {
    let mut manifest = manifest();
    manifest.latency = Some(Latency {
        target: Duration::from_millis(1500),
        min: Duration::from_secs(1),
        max: Duration::from_secs(6),
    });
    let period = &mut manifest.periods[0];
    period.cues = true;
    period.events = vec![
        Event {
            id: 7,
            time: Utc(START.0 - 123 + 4_000_000),
            duration: Some(Duration::from_secs(30)),
            section: Bytes::from_static(&[0xfc, 0x30, 0x11]),
        },
        Event { id: 8, time: Utc(START.0 - 1), duration: None, section: Bytes::new() },
    ];
    for set in &mut period.sets {
        set.timescale = 90_000;
        set.media = format!("{}/$Number$.m4s", set.representation);
        set.cues = set.main;
        set.continues = Some(Continues::At("897675938".into()));
        set.addressing = Addressing::Numbers(Numbers {
            first: 897_675_940,
            duration: 180_000,
            ahead: Duration::from_millis(1698),
        });
    }
    manifest
}

#[test]
fn a_low_latency_manifest_reads_back_as_what_it_describes() {
    let text = low_latency().render();
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    let mpd = document.root_element();
    let latency = find(find(mpd, "ServiceDescription"), "Latency");
    assert_eq!((number(latency, "target"), number(latency, "min")), (1500, 1000));
    let templates: Vec<_> = mpd.descendants().filter(|node| node.has_tag_name("SegmentTemplate")).collect();
    assert_eq!(templates.len(), 2);
    for template in templates {
        assert_eq!(number(template, "startNumber"), 897_675_940);
        assert_eq!(template.attribute("availabilityTimeOffset"), Some("1.698"));
        assert_eq!(template.attribute("availabilityTimeComplete"), Some("false"));
        assert_eq!(number(template, "presentationTimeOffset"), START.0 as u64 / 1000 * 90);
        let reference = find(template.parent().expect("a set"), "ProducerReferenceTime");
        // The media's time is UTC, and the latency is measured against it.
        assert_eq!(reference.attribute("id"), latency.attribute("referenceId"));
        assert_eq!(reference.attribute("wallClockTime"), Some("2026-11-22T12:51:21.480Z"));
        assert_eq!(number(reference, "presentationTime"), number(template, "presentationTimeOffset"));
        assert!(reference.children().any(|child| child.has_tag_name("UTCTiming")));
    }
    assert_eq!(text.matches("urn:mpeg:dash:period-continuity:2015\" value=\"897675938\"").count(), 2);
}

#[test]
fn events_read_back_with_their_sections() {
    let text = low_latency().render();
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    let stream = find(document.root_element(), "EventStream");
    assert_eq!(stream.attribute("schemeIdUri"), Some("urn:scte:scte35:2014:xml+bin"));
    assert_eq!(number(stream, "timescale"), 90_000);
    let events: Vec<_> = stream.children().filter(|node| node.has_tag_name("Event")).collect();
    assert_eq!((number(events[0], "presentationTime"), number(events[0], "duration")), (360_000, 2_700_000));
    let binary = events[0].descendants().find(|node| node.tag_name().name() == "Binary").expect("a section");
    assert_eq!(binary.text(), Some("/DAR"));
    assert_eq!(binary.tag_name().namespace(), Some("http://www.scte.org/schemas/35/2016"));
    assert!(events[1].attribute("duration").is_none());
    // Only the set that carries them says so.
    assert_eq!(text.matches("<InbandEventStream schemeIdUri=\"urn:scte:scte35:2013:bin\"").count(), 1);
}

#[test]
fn a_period_that_has_ended_tells_its_length() {
    let mut manifest = low_latency();
    manifest.periods[0].end = Some(Utc(START.0 - 123 + 10_500_000));
    assert!(manifest.render().contains("start=\"PT1795351881.480S\" duration=\"PT10.500S\""));
    let ended = Manifest { update_period: None, ..manifest }.render();
    assert!(ended.contains("mediaPresentationDuration=\"PT1795351891.980S\""));
}

#[test]
fn markup_in_a_name_is_escaped() {
    let mut manifest = manifest();
    manifest.periods[0].id = "<\"&'>".into();
    assert!(manifest.render().contains("id=\"&lt;&quot;&amp;&apos;&gt;\""));
}

proptest! {
    #[test]
    fn runs_read_back_as_the_timeline(
        pieces in prop::collection::vec((0u64..3, 1u64..4), 0..50),
        start in 0u64..1 << 60,
    ) {
        let mut time = start;
        let timeline: Vec<_> = pieces
            .iter()
            .map(|&(gap, duration)| {
                let at = time + gap;
                time = at + duration;
                (at, duration)
            })
            .collect();
        let mut read = Vec::new();
        let mut time = 0;
        for run in runs(&timeline) {
            time = run.time.unwrap_or(time);
            for _ in 0..=run.repeat {
                read.push((time, run.duration));
                time += run.duration;
            }
        }
        prop_assert_eq!(read, timeline);
    }
}

#[test]
fn what_is_past_and_whole_starts_at_zero() {
    let mut past = Manifest { on_demand: true, update_period: None, ..manifest() };
    let later = Period { id: "2".into(), start: START.plus(Duration::from_secs(10)), ..Period::default() };
    past.periods.push(later);
    let text = past.render();
    assert!(text.contains(" type=\"static\" mediaPresentationDuration=\"PT"), "{text}");
    for live in
        ["availabilityStartTime", "timeShiftBufferDepth", "suggestedPresentationDelay", "minimumUpdate"]
    {
        assert!(!text.contains(live), "{live} in {text}");
    }
    let document = roxmltree::Document::parse(&text).expect("well-formed");
    let periods = document.descendants().filter(|node| node.has_tag_name("Period"));
    let starts: Vec<_> = periods.filter_map(|period| period.attribute("start")).collect();
    assert_eq!(starts, ["PT0S", "PT10S"], "{text}");
}
