use std::collections::HashMap;
use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::codec::{Picture, Sound};
use proptest::prelude::*;

use super::*;

fn live(segments: Vec<Segment<'static>>) -> Media<'static> {
    Media {
        target_duration: Duration::from_secs(2),
        part_target: Some(Duration::from_millis(200)),
        sequence: 897_675_941,
        segments,
        ..Media::default()
    }
}

fn segment(n: u64) -> Segment<'static> {
    Segment {
        uri: format!("{n}.m4s"),
        duration: Some(Duration::from_secs(2)),
        map: "init-0.mp4",
        start: Utc(n as i64 * 2_000_000),
        ..Segment::default()
    }
}

#[test]
fn a_live_playlist_holds_the_tags_of_low_latency() {
    let parts = vec![
        Part { uri: "2.0.m4s".into(), duration: Duration::from_millis(200), independent: true },
        Part { uri: "2.1.m4s".into(), duration: Duration::from_micros(200_200), independent: false },
    ];
    let making = Segment { duration: None, parts, ..segment(2) };
    let playlist = Media { hint: Some("2.2.m4s".into()), ..live(vec![segment(1), making]) };
    assert_eq!(
        playlist.render(),
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6,HOLD-BACK=6\n\
         #EXT-X-PART-INF:PART-TARGET=0.2\n#EXT-X-MEDIA-SEQUENCE:897675941\n\
         #EXT-X-MAP:URI=\"init-0.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:02.000Z\n\
         #EXTINF:2,\n1.m4s\n#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:04.000Z\n\
         #EXT-X-PART:DURATION=0.2,URI=\"2.0.m4s\",INDEPENDENT=YES\n\
         #EXT-X-PART:DURATION=0.2002,URI=\"2.1.m4s\"\n\
         #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"2.2.m4s\"\n"
    );
}

#[test]
fn an_ended_playlist_says_so_and_announces_nothing() {
    let text = Media { hint: Some("x".into()), ended: true, ..live(vec![segment(1)]) }.render();
    assert!(text.ends_with("1.m4s\n#EXT-X-ENDLIST\n"));
    assert!(!text.contains("PRELOAD-HINT"));
}

#[test]
fn a_discontinuity_tells_the_init_segment_again() {
    let new = Segment { discontinuity: true, map: "init-1.mp4", ..segment(2) };
    let text = live(vec![segment(1), new, Segment { map: "init-1.mp4", ..segment(3) }]).render();
    assert!(text.contains("1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-1.mp4\"\n"));
    assert_eq!(text.matches("#EXT-X-MAP").count(), 2);
}

const PICTURE: Picture = Picture {
    width: 1440,
    height: 1080,
    sample_aspect: (4, 3),
    frame_rate: Some((30_000, 1001)),
    interlaced: false,
};

fn video() -> Video {
    Video {
        uri: "v256/index.m3u8".into(),
        codecs: "avc1.640028".into(),
        picture: PICTURE,
        bandwidth: 5_000_000,
        bandwidth_average: 4_000_000,
        iframes: None,
    }
}

fn audio(pid: u16, codecs: &str, language: &str) -> Audio {
    Audio {
        uri: format!("a{pid}/index.m3u8"),
        codecs: codecs.into(),
        name: language.into(),
        language: Some(language.into()),
        sound: Sound { sample_rate: 48_000, channels: 2 },
        bandwidth: 130_000,
        bandwidth_average: 128_000,
    }
}

#[test]
fn each_audio_codec_is_a_group_and_each_group_a_variant() {
    let text = Multivariant {
        videos: vec![video()],
        audios: vec![
            audio(257, "ac-3", "eng"),
            audio(258, "mp4a.40.2", "eng"),
            audio(259, "mp4a.40.2", "fra"),
        ],
    }
    .render();
    assert_eq!(
        text,
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
         #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-aac\",NAME=\"eng\",LANGUAGE=\"eng\",DEFAULT=YES,AUTOSELECT=YES,\
         CHANNELS=\"2\",URI=\"a258/index.m3u8\"\n\
         #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-aac\",NAME=\"fra\",LANGUAGE=\"fra\",DEFAULT=NO,AUTOSELECT=YES,\
         CHANNELS=\"2\",URI=\"a259/index.m3u8\"\n\
         #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-ac3\",NAME=\"eng\",LANGUAGE=\"eng\",DEFAULT=YES,AUTOSELECT=YES,\
         CHANNELS=\"2\",URI=\"a257/index.m3u8\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH=5130000,AVERAGE-BANDWIDTH=4128000,CODECS=\"avc1.640028,mp4a.40.2\",\
         RESOLUTION=1920x1080,FRAME-RATE=29.970,AUDIO=\"audio-aac\"\nv256/index.m3u8\n\
         #EXT-X-STREAM-INF:BANDWIDTH=5130000,AVERAGE-BANDWIDTH=4128000,CODECS=\"avc1.640028,ac-3\",\
         RESOLUTION=1920x1080,FRAME-RATE=29.970,AUDIO=\"audio-ac3\"\nv256/index.m3u8\n"
    );
}

#[test]
fn pictures_alone_are_offered_where_no_sound_is_for_every_client() {
    let audios = vec![audio(257, "mp4a.6B", "eng"), audio(258, "ac-3", "fra")];
    let text = Multivariant { videos: vec![video()], audios }.render();
    assert_eq!(text.matches("#EXT-X-STREAM-INF").count(), 3);
    let last = text.lines().rev().nth(1).expect("the last variant");
    assert!(last.contains("CODECS=\"avc1.640028\"") && !last.contains("AUDIO="));
}

#[test]
fn an_audio_service_has_its_sounds_as_variants() {
    let text = Multivariant { videos: vec![], audios: vec![audio(257, "mp4a.40.2", "eng")] }.render();
    assert!(text.ends_with(
        "#EXT-X-STREAM-INF:BANDWIDTH=130000,AVERAGE-BANDWIDTH=128000,CODECS=\"mp4a.40.2\"\na257/index.m3u8\n"
    ));
}

/// Reads an attribute list (RFC 8216bis 4.2), quoted commas and all.
fn attributes(list: &str) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut rest = list;
    while let Some((name, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"').expect("a closing quote");
                (value, next.strip_prefix(',').unwrap_or(next))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        assert!(found.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice");
        rest = next;
    }
    found
}

proptest! {
    #[test]
    fn what_is_rendered_reads_back(
        durations in prop::collection::vec((1u64..20_000_000, any::<bool>(), 0usize..4), 1..30),
        sequence in any::<u64>(),
    ) {
        let segments: Vec<_> = durations
            .iter()
            .enumerate()
            .map(|(n, &(micros, discontinuity, parts))| Segment {
                duration: Some(Duration::from_micros(micros)),
                discontinuity,
                parts: (0..parts)
                    .map(|p| Part {
                        uri: format!("{n}.{p}.m4s"),
                        duration: Duration::from_micros(micros / 4),
                        independent: p == 0,
                    })
                    .collect(),
                ..segment(n as u64)
            })
            .collect();
        let text = Media { sequence, ..live(segments.clone()) }.render();
        let mut lines = text.lines();
        prop_assert_eq!(lines.next(), Some("#EXTM3U"));
        let mut read: Vec<Segment<'_>> = Vec::new();
        let mut next = Segment { map: "init-0.mp4", ..Segment::default() };
        for line in lines {
            if let Some(list) = line.strip_prefix("#EXT-X-PART:") {
                let list = attributes(list);
                next.parts.push(Part {
                    uri: list["URI"].clone(),
                    duration: Duration::from_secs_f64(list["DURATION"].parse().expect("a number")),
                    independent: list.get("INDEPENDENT").is_some_and(|v| v == "YES"),
                });
            } else if let Some(rest) = line.strip_prefix("#EXTINF:") {
                let seconds = rest.trim_end_matches(',').parse().expect("a number");
                next.duration = Some(Duration::from_secs_f64(seconds));
            } else if line == "#EXT-X-DISCONTINUITY" {
                next.discontinuity = true;
            } else if let Some(rest) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                prop_assert_eq!(rest.parse::<u64>().ok(), Some(sequence));
            } else if !line.starts_with('#') {
                next.uri = line.to_owned();
                read.push(std::mem::replace(&mut next, Segment { map: "init-0.mp4", ..Segment::default() }));
            }
        }
        prop_assert_eq!(read.len(), segments.len());
        for (read, written) in read.iter().zip(&segments) {
            prop_assert_eq!(&read.uri, &written.uri);
            prop_assert_eq!(read.duration, written.duration);
            prop_assert_eq!(read.discontinuity, written.discontinuity);
            prop_assert_eq!(&read.parts, &written.parts);
        }
    }
}

#[test]
fn an_excerpt_starts_with_its_first_segment_and_is_whole_once_it_has_ended() {
    let gap = Segment { gap: true, ..segment(2) };
    let growing = Media { excerpt: true, part_target: None, ..live(vec![segment(1), gap, segment(3)]) };
    let text = growing.render();
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:8\n"), "{text}");
    assert!(text.contains("\n#EXT-X-START:TIME-OFFSET=0.001,PRECISE=YES\n"), "{text}");
    assert!(!text.contains("PLAYLIST-TYPE") && !text.contains("SERVER-CONTROL"), "{text}");
    assert_eq!(text.matches("#EXT-X-GAP\n").count(), 1, "{text}");
    let text = Media { ended: true, ..growing }.render();
    assert!(text.contains("\n#EXT-X-PLAYLIST-TYPE:VOD\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
}
