//! Start-over addresses, and objects that come from disk.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use flambeau_config::Config;
use flambeau_media::Utc;
use flambeau_media::archive::{Archive, Excerpt, Missing, Pending, Source, Span, Stored};
use flambeau_media::channel::{Kind, Playlist};
use tokio::io::AsyncReadExt as _;

use crate::common::{Node, PATIENCE, start, start_with};

const LEN: usize = 8 << 20;

/// A past with one Playlist, and one Segment whose bytes are made up as they are read.
#[derive(Debug, Default)]
struct Past {
    asked: Mutex<Vec<(String, Span)>>,
    disk: Arc<Disk>,
}

#[derive(Debug, Default)]
struct Disk {
    reads: AtomicUsize,
    read_max: AtomicUsize,
    /// Reading past this fails; 0: nothing does.
    broken_from: AtomicUsize,
}

fn byte(at: usize) -> u8 {
    (at * 31 / 7) as u8
}

impl Source for Disk {
    fn read(&self, range: Range<usize>) -> Pending<io::Result<Bytes>> {
        self.reads.fetch_add(1, SeqCst);
        self.read_max.fetch_max(range.len(), SeqCst);
        let broken_from = self.broken_from.load(SeqCst);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            match broken_from {
                0 => Ok(range.map(byte).collect()),
                from if range.end > from => Err(io::ErrorKind::NotFound.into()),
                _ => Ok(range.map(byte).collect()),
            }
        })
    }
}

impl Archive for Past {
    fn object(&self, path: &str) -> Option<Stored> {
        (path == "v/7.m4s").then(|| Stored {
            kind: Kind::Segment,
            content_type: "video/mp4",
            len: LEN,
            created: Utc(5),
            keep: Duration::from_secs(77),
            bytes: self.disk.clone(),
        })
    }

    fn excerpt(&self, path: &str, span: Span) -> Pending<Result<Excerpt, Missing>> {
        self.asked.lock().expect("no panic").push((path.to_owned(), span));
        let body = "#EXTM3U\n".repeat(200);
        let playlist = Playlist {
            body: body.into(),
            content_type: "application/vnd.apple.mpegurl",
            ..Playlist::default()
        };
        let keep = Duration::from_secs(33);
        let answer = match path {
            "v/index.m3u8" => Ok(Excerpt { playlist: playlist.into(), keep }),
            "manifest.mpd" => Err(Missing::NothingKept),
            _ => Err(Missing::NoPlaylist),
        };
        Box::pin(std::future::ready(answer))
    }

    fn released(&self, _: &str) {}

    fn cleared(&self) {}
}

fn with_past() -> (Node, Arc<Past>) {
    let (node, past) = (start(), Arc::new(Past::default()));
    node.channel.set_archive(past.clone());
    (node, past)
}

#[tokio::test]
async fn a_playlist_of_the_past_is_asked_for_by_its_time() {
    let (node, past) = with_past();
    let path = "/athletics/v/index.m3u8?start=2026-01-02T03:04:05Z&end=1800000000";
    // Half of the span is past: an end may lie ahead.
    let answer = node.get(path, &[]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 1600), "{answer:?}");
    assert_eq!(answer.field("cache-control"), "public, max-age=33");
    assert_eq!(answer.field("content-type"), "application/vnd.apple.mpegurl");
    let zipped = node.get(path, &["Accept-Encoding: gzip"]).await;
    assert_eq!(zipped.field("content-encoding"), "gzip");
    let again = node.get(path, &[&format!("If-None-Match: {}", answer.field("etag"))]).await;
    assert_eq!(again.status, 304);
    let (path, span) = past.asked.lock().expect("no panic")[0].clone();
    assert_eq!(path, "v/index.m3u8");
    assert_eq!(
        (span.start.to_string().as_str(), span.end),
        ("2026-01-02T03:04:05.000Z", Some(Utc(1_800_000_000_000_000)))
    );
    // Without a time it is the live one.
    let live = node.get("/athletics/v/index.m3u8?begin=-5", &[]).await;
    assert!(live.text().contains("PART-TARGET"), "{}", live.text());
}

#[tokio::test]
async fn a_time_that_is_none_or_not_yet_is_refused_with_the_reason() {
    let (node, past) = with_past();
    for (query, reason) in [
        ("start=yesterday", "start must be a time"),
        ("start=2199-01-01T00:00:00Z", "in the future"),
        ("start=-10&end=-20", "end must be after start"),
        ("end=-20", "end needs start"),
        ("start=-1&start=-2", "more than once"),
    ] {
        let answer = node.get(&format!("/athletics/index.m3u8?{query}"), &[]).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(reason), "{query}: {}", answer.text());
    }
    assert!(past.asked.lock().expect("no panic").is_empty());
    assert_eq!(node.get("/athletics/manifest.mpd?start=-10", &[]).await.status, 404);
    assert_eq!(node.get("/athletics/v/iframes.m3u8?start=-10", &[]).await.status, 404);
    assert_eq!(start().get("/athletics/index.m3u8?start=-10", &[]).await.status, 404);
}

#[tokio::test]
async fn a_segment_on_disk_is_served_as_one_in_memory() {
    let (node, past) = with_past();
    let whole = node.get("/athletics/v/7.m4s", &[]).await;
    assert_eq!((whole.status, whole.body.len()), (200, LEN));
    assert!(whole.body.iter().enumerate().all(|(at, &b)| b == byte(at)));
    assert_eq!(whole.field("cache-control"), "public, max-age=77, immutable");
    assert_eq!(whole.field("content-type"), "video/mp4");
    assert!(past.disk.read_max.load(SeqCst) <= 128 << 10);
    let reads = past.disk.reads.load(SeqCst);
    let part = node.get("/athletics/v/7.m4s", &["Range: bytes=1000000-1000009"]).await;
    assert_eq!((part.status, part.body.len()), (206, 10));
    assert!(part.body.iter().zip(1_000_000..).all(|(&b, at)| b == byte(at)));
    assert_eq!(part.field("content-range"), format!("bytes 1000000-1000009/{LEN}"));
    assert_eq!(past.disk.reads.load(SeqCst), reads + 1);
    for (fields, status) in [
        (format!("If-None-Match: {}", whole.field("etag")), 304),
        (format!("Range: bytes={LEN}-"), 416),
        ("If-Match: \"other\"".to_owned(), 412),
    ] {
        assert_eq!(node.get("/athletics/v/7.m4s", &[&fields]).await.status, status, "{fields}");
    }
    let head = node.ask("HEAD", "/athletics/v/7.m4s", &[]).await;
    assert_eq!(head.field("content-length"), LEN.to_string());
    assert_eq!(past.disk.reads.load(SeqCst), reads + 1, "nobody wanted its bytes");
    assert_eq!(node.get("/athletics/v/8.m4s", &[]).await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_what_breaks_off_is_not_passed_for_the_whole() {
    let (node, past) = with_past();
    past.disk.broken_from.store(1, SeqCst);
    assert_eq!(node.get("/athletics/v/7.m4s", &[]).await.status, 503);
    past.disk.broken_from.store(LEN / 2, SeqCst);
    let mut client = node.connect().await;
    client.send("GET", "/athletics/v/7.m4s", &[]).await;
    let (status, _) = client.head().await.expect("a head");
    let mut body = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, client.0.read_to_end(&mut body)).await.expect("it ends");
    assert_eq!(status, 200);
    assert!(body.len() <= LEN / 2, "{}", body.len());
}

#[tokio::test]
async fn a_client_that_takes_nothing_costs_no_more_than_the_piece_in_hand() {
    let (node, past) = with_past();
    let mut client = node.connect().await;
    client.send("GET", "/athletics/v/7.m4s", &[]).await;
    client.head().await.expect("a head");
    // Whatever fits into the sockets' buffers is taken; then nothing is read for who does not read.
    let mut reads = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = past.disk.reads.load(SeqCst);
        if now == reads {
            break;
        }
        reads = now;
    }
    assert!(reads < LEN / (128 << 10), "{reads} pieces were read");
}

#[tokio::test]
async fn the_past_asks_for_the_same_rights_as_the_channel() {
    let text = "[[feeds]]\nid = \"venue\"\n[[channels]]\nid = \"athletics\"\nfeed = \"venue\"\n\
                [[broadcasters]]\nid = \"rtx\"\ntoken = \"abcdefgh\"\n\
                [[entitlements]]\nbroadcaster = \"rtx\"\nchannels = [\"athletics\"]\n";
    let config = Config::parse(text, std::path::Path::new("flambeau.toml")).expect("it is right");
    let node = start_with(&config, |_| {});
    node.channel.set_archive(Arc::new(Past::default()));
    for path in ["/athletics/v/index.m3u8?start=-10", "/athletics/v/7.m4s"] {
        assert_eq!(node.get(path, &[]).await.status, 401, "{path}");
        let answer = node.get(path, &["Authorization: Bearer abcdefgh"]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.field("cache-control").starts_with("private, "), "{answer:?}");
    }
}
