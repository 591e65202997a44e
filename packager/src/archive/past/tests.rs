use std::fs;
use std::time::Duration;

use flambeau_media::TrackId;
use flambeau_media::codec::{Codec, Sound};
use flambeau_media::track::Language;

use super::super::disk::tests::Scratch;
use super::super::writer;
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn track() -> Arc<Track> {
    let sound = Sound { sample_rate: 48_000, channels: 2 };
    let codec = Codec::Aac { config: Bytes::from_static(&[0x11, 0x90]), sound };
    Arc::new(Track { id: TrackId(257), codec, language: Language::UNDETERMINED })
}

fn past(scratch: &Scratch) -> Past {
    let past = Past::new("c".parse().expect("an id"), Some(scratch.0.join("c")), HOUR, Desk::default());
    past.restore().expect("it can be read");
    past
}

/// Segment `number`, of two seconds, the first of which started a minute ago.
pub(in crate::archive) fn finished(number: u64, discontinuities: u64) -> Finished {
    let began = Utc(Utc::now().0 / 60_000_000 * 60_000_000 - 60_000_000);
    let pieces = vec![Bytes::from(vec![number as u8; 1000]), Bytes::from(vec![7; 500])];
    Finished {
        rendition: "a257".into(),
        place: Place { number, sequence: number, period: 1 + discontinuities, discontinuities },
        track: track(),
        init: "init-1a2b3c4d.mp4".into(),
        start: began.ticks(48_000) + (number as i64 - 100) * 96_000,
        ticks: 96_000,
        object: Object::new(Kind::Segment, "audio/mp4", pieces),
    }
}

/// Takes Segments of these numbers in and writes them.
pub(in crate::archive) async fn write(past: &Past, numbers: std::ops::Range<u64>) {
    let written = past.stats().written + (numbers.end - numbers.start);
    for number in numbers {
        past.take(finished(number, 0));
        // The queue is bounded, and a test has no patience.
        tokio::task::yield_now().await;
    }
    while past.stats().written < written {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn bytes(stored: &Stored) -> io::Result<Bytes> {
    stored.bytes.read(0..stored.len).await
}

fn everything() -> Span {
    Span { start: Utc(0), end: None }
}

async fn playlist(past: &Past, span: Span) -> Result<String, Missing> {
    let excerpt = past.excerpt("a257/index.m3u8", span).await?;
    Ok(String::from_utf8(excerpt.playlist.body.plain().to_vec()).expect("text"))
}

fn segments(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| !line.starts_with('#')).collect()
}

#[tokio::test]
async fn a_segment_is_read_back_from_disk_under_its_names() {
    let scratch = Scratch::new();
    let past = past(&scratch);
    let writer = writer::start(&past);
    let first = finished(100, 0);
    let ticks = first.start;
    past.take(first);
    past.take(finished(101, 0));
    past.close();
    writer.await.expect("written");
    for path in ["a257/100.m4s".to_owned(), format!("a257/t{ticks}.m4s")] {
        let stored = past.object(&path).expect("it is on disk");
        assert_eq!((stored.len, stored.content_type), (1500, "audio/mp4"));
        assert!(stored.keep <= HOUR && stored.keep > HOUR / 2, "{:?}", stored.keep);
        assert_eq!(bytes(&stored).await.expect("read"), [vec![100; 1000], vec![7; 500]].concat());
        assert_eq!(stored.bytes.read(998..1003).await.expect("read"), [100, 100, 7, 7, 7][..]);
    }
    let init = past.object("a257/init-1a2b3c4d.mp4").expect("it is there");
    assert_eq!(bytes(&init).await.expect("read"), isobmff::init_segment(&track()));
    for path in
        ["a257/102.m4s", "a257/0100.m4s", "a257/100.0.m4s", "v1/100.m4s", "a257/t.m4s", "../x", "a257/"]
    {
        assert!(past.object(path).is_none(), "{path}");
    }
}

#[tokio::test]
async fn a_restart_keeps_the_past_and_goes_on_after_it() {
    let scratch = Scratch::new();
    {
        let past = past(&scratch);
        let writer = writer::start(&past);
        (100..105).for_each(|number| past.take(finished(number, 3)));
        past.close();
        writer.await.expect("written");
    }
    let past = past(&scratch);
    let resume = past.resume();
    assert_eq!((resume.number_min, resume.discontinuities, resume.period), (105, 4, 4));
    let text = playlist(&past, everything()).await.expect("a Playlist");
    assert_eq!(segments(&text), ["100.m4s", "101.m4s", "102.m4s", "103.m4s", "104.m4s"]);
    past.take(finished(110, resume.discontinuities));
    let text = playlist(&past, everything()).await.expect("a Playlist");
    assert!(text.ends_with("110.m4s\n"), "{text}");
    assert_eq!(text.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{text}");
    assert!(text.contains("#EXT-X-DISCONTINUITY-SEQUENCE:3\n#"), "{text}");
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:100\n"), "{text}");
    assert!(!text.contains("#EXT-X-GAP"), "{text}");
}

#[tokio::test]
async fn a_playlist_grows_and_a_clip_ends() {
    let past = Past::new("c".parse().expect("an id"), None, HOUR, Desk::default());
    (100..110).for_each(|number| past.take(finished(number, 0)));
    let at = |number| Utc::from_ticks(finished(number, 0).start + 10, 48_000);
    let span = Span { start: at(105), end: None };
    let text = playlist(&past, span).await.expect("a Playlist");
    assert_eq!(segments(&text).first(), Some(&"105.m4s"));
    for tag in
        ["#EXT-X-START:TIME-OFFSET=0.001", "#EXT-X-MAP:URI=\"init-1a2b3c4d.mp4\"", "#EXT-X-VERSION:8\n"]
    {
        assert!(text.contains(tag), "{tag} in {text}");
    }
    assert!(!text.contains("ENDLIST") && !text.contains("PLAYLIST-TYPE"), "{text}");
    past.take(finished(110, 0));
    let text = playlist(&past, span).await.expect("a Playlist");
    assert_eq!(segments(&text).last(), Some(&"110.m4s"));
    let clip = Span { end: Some(at(107)), ..span };
    let text = playlist(&past, clip).await.expect("a Playlist");
    assert_eq!(segments(&text), ["105.m4s", "106.m4s", "107.m4s"]);
    assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD\n") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    // Its end is not there yet: it grows.
    let text = playlist(&past, Span { end: Some(Utc::now().plus(HOUR)), ..span }).await.expect("a Playlist");
    assert!(!text.contains("ENDLIST"), "{text}");
    let later = Span { start: at(120), end: None };
    assert_eq!(playlist(&past, later).await, Err(Missing::NothingKept));
    assert_eq!(past.excerpt("v9/index.m3u8", span).await.err(), Some(Missing::NoPlaylist));
    assert_eq!(past.excerpt("a257/iframes.m3u8", span).await.err(), Some(Missing::NoPlaylist));
}

#[tokio::test]
async fn the_multivariant_playlist_names_those_of_the_same_span() {
    let past = Past::new("c".parse().expect("an id"), None, HOUR, Desk::default());
    past.take(finished(100, 0));
    let (start, end) = (Utc(1_795_363_200_000_000), Some(Utc(Utc::now().0)));
    let excerpt = past.excerpt("index.m3u8", Span { start, end: None }).await.expect("a Playlist");
    let text = String::from_utf8(excerpt.playlist.body.plain().to_vec()).expect("text");
    assert!(text.contains("\na257/index.m3u8?start=2026-11-22T16:00:00.000Z\n"), "{text}");
    let excerpt = past.excerpt("index.m3u8", Span { start: Utc(0), end }).await.expect("a Playlist");
    let text = String::from_utf8(excerpt.playlist.body.plain().to_vec()).expect("text");
    assert!(text.contains("index.m3u8?start=1970-01-01T00:00:00.000Z&end="), "{text}");
}

#[tokio::test]
async fn a_segment_that_could_not_be_written_is_a_gap_once_memory_lets_go_of_it() {
    let scratch = Scratch::new();
    let past = past(&scratch);
    let writer = writer::start(&past);
    past.take(finished(100, 0));
    while past.stats().written == 0 {
        tokio::task::yield_now().await;
    }
    // A file where the hour's directory would be: the disk refuses what comes.
    let slot = Slot::of(Utc::from_ticks(finished(100, 0).start, 48_000));
    let hour = scratch.0.join("c/a257").join(slot.hour().directory());
    let aside = scratch.0.join("aside");
    fs::rename(&hour, &aside).expect("moved");
    fs::write(&hour, b"").expect("written");
    past.0.drawers.lock().expect("no panic").clear();
    past.take(finished(101, 0));
    past.take(finished(102, 0));
    while past.stats().write_failures < 2 {
        tokio::task::yield_now().await;
    }
    fs::remove_file(&hour).expect("removed");
    fs::rename(&aside, &hour).expect("moved");
    past.take(finished(103, 0));
    past.close();
    writer.await.expect("ended");
    assert_eq!((past.stats().written, past.stats().write_failures), (2, 2));
    let text = playlist(&past, everything()).await.expect("a Playlist");
    assert!(!text.contains("#EXT-X-GAP"), "memory has them: {text}");
    for number in 100..104 {
        past.released(&format!("a257/{number}.m4s"));
    }
    let text = playlist(&past, everything()).await.expect("a Playlist");
    assert_eq!(segments(&text), ["100.m4s", "101.m4s", "102.m4s", "103.m4s"]);
    assert_eq!(text.matches("#EXT-X-GAP\n").count(), 2, "{text}");
    assert!(past.object("a257/101.m4s").is_none());
    // After a restart nothing tells of them but their numbers.
    drop(past);
    let past = self::past(&scratch);
    let text = playlist(&past, everything()).await.expect("a Playlist");
    assert_eq!(segments(&text), ["100.m4s", "101.m4s", "102.m4s", "103.m4s"]);
    assert_eq!(text.matches("#EXT-X-GAP\n").count(), 2, "{text}");
    assert_eq!(text.matches("#EXTINF:2,\n").count(), 4, "{text}");
}

#[tokio::test]
async fn without_a_disk_the_past_is_what_memory_holds() {
    let past = Past::new("c".parse().expect("an id"), None, HOUR, Desk::default());
    (100..105).for_each(|number| past.take(finished(number, 0)));
    assert!(past.object("a257/100.m4s").is_none(), "memory answers for it");
    past.released("a257/100.m4s");
    past.released("a257/100.0.m4s");
    past.released("a257/101.m4s");
    let text = playlist(&past, everything()).await.expect("a Playlist");
    assert_eq!(segments(&text), ["102.m4s", "103.m4s", "104.m4s"]);
    past.cleared();
    assert_eq!(playlist(&past, everything()).await, Err(Missing::NothingKept));
    past.sweep(Utc::now()).expect("nothing to do");
    assert!(past.is_empty());
}

#[tokio::test]
async fn what_is_out_of_the_window_is_gone_from_playlists_and_disk() {
    let scratch = Scratch::new();
    let past = past(&scratch);
    let writer = writer::start(&past);
    (100..130).for_each(|number| past.take(finished(number, 0)));
    past.close();
    writer.await.expect("written");
    past.cleared();
    let end = |number| Utc::from_ticks(finished(number, 0).start + 96_000, 48_000);
    past.sweep(end(119).plus(HOUR)).expect("swept");
    let text = playlist(&past, everything()).await.expect("a Playlist");
    assert_eq!(segments(&text).first(), Some(&"120.m4s"));
    assert!(past.object("a257/119.m4s").is_none());
    let before = past.bytes();
    assert_eq!(before, 15 * 1500, "a file of half a minute is gone");
    past.sweep(end(129).plus(HOUR)).expect("swept");
    assert!(past.is_empty() && !scratch.0.join("c").exists());
}

#[tokio::test]
async fn readers_share_a_file_and_a_slow_disk_gets_few_of_them_at_a_time() {
    let scratch = Scratch::new();
    let past = past(&scratch);
    let writer = writer::start(&past);
    past.take(finished(100, 0));
    past.close();
    writer.await.expect("written");
    let stored: Vec<Stored> = (0..200).filter_map(|_| past.object("a257/100.m4s")).collect();
    assert_eq!(past.renditions()["a257"].files.len(), 1);
    let reads = stored.iter().map(|stored| tokio::spawn(stored.bytes.read(0..1500)));
    for read in reads.collect::<Vec<_>>() {
        assert_eq!(read.await.expect("no panic").expect("read").len(), 1500);
    }
    assert_eq!(past.stats().bytes_read, 200 * 1500);
    drop(stored);
    past.sweep(Utc::now()).expect("swept");
    assert!(past.renditions()["a257"].files.is_empty());
}

#[tokio::test]
async fn a_file_that_vanished_is_an_error_for_who_reads_it_alone() {
    let scratch = Scratch::new();
    let past = past(&scratch);
    let writer = writer::start(&past);
    past.take(finished(100, 0));
    past.close();
    writer.await.expect("written");
    fs::remove_dir_all(scratch.0.join("c")).expect("removed");
    let stored = past.object("a257/100.m4s").expect("nobody knows yet");
    assert!(bytes(&stored).await.is_err());
    assert_eq!(past.stats().read_failures, 1);
}

#[tokio::test]
async fn a_start_is_rendered_once_for_all_who_ask_and_few_are_kept() {
    let past = Past::new("c".parse().expect("an id"), None, HOUR, Desk::default());
    (100..300).for_each(|number| past.take(finished(number, 0)));
    let from = |number| Span { start: Utc::from_ticks(finished(number, 0).start + 10, 48_000), end: None };
    let all: Vec<_> = (0..50).map(|_| tokio::spawn(past.excerpt("a257/index.m3u8", from(100)))).collect();
    let mut texts = Vec::new();
    for one in all {
        texts.push(one.await.expect("no panic").expect("a Playlist").playlist);
    }
    assert!(texts.iter().all(|text| Arc::ptr_eq(text, &texts[0])));
    assert_eq!(past.stats().rendered, 1);
    for number in 100..200 {
        past.excerpt("a257/index.m3u8", from(number)).await.expect("a Playlist");
    }
    assert_eq!(past.stats().rendered, 100);
    assert!(past.0.renderings.len() <= 64);
}
