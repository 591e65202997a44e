//! Playlists and Manifests as caches and slow lines want them.

use std::io::Read as _;

use flambeau_media::channel::{Change, Playlist, Position};

use crate::common::{Answer, Node, TARGET, start};

const URL: &str = "/athletics/long/index.m3u8";

fn publish(node: &Node) {
    let long = "#EXTINF:2,\nsegment.m4s\n".repeat(200);
    let playlist = Playlist {
        body: format!("#EXTM3U\n{long}").into(),
        delta: Some("#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=190\n".into()),
        content_type: "application/vnd.apple.mpegurl",
        newest: Some(Position { sequence: 7, parts: 3 }),
        target_duration: TARGET,
        created: flambeau_media::Utc::now(),
        ..Playlist::default()
    };
    node.channel
        .commit(Change { playlists: vec![("long/index.m3u8".into(), playlist)], ..Change::default() });
}

fn unzipped(answer: &Answer) -> Vec<u8> {
    assert_eq!(answer.field("content-encoding"), "gzip");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut text).expect("gzip");
    text
}

#[tokio::test]
async fn who_takes_gzip_gets_it_and_a_cache_knows() {
    let node = start();
    publish(&node);
    let plain = node.get(URL, &[]).await;
    let zipped = node.get(URL, &["Accept-Encoding: gzip, deflate, br"]).await;
    let refused = node.get(URL, &["Accept-Encoding: gzip;q=0"]).await;
    assert_eq!(unzipped(&zipped), plain.body);
    assert!(zipped.body.len() * 10 < plain.body.len());
    assert_eq!(refused.body, plain.body);
    for answer in [&plain, &zipped, &refused] {
        assert!(answer.field("vary").contains("Accept-Encoding"), "{answer:?}");
        assert!(answer.field("age").parse::<u64>().is_ok(), "{answer:?}");
    }
    assert_ne!(plain.field("etag"), zipped.field("etag"));
    let again =
        node.get(URL, &["Accept-Encoding: gzip", &format!("If-None-Match: {}", zipped.field("etag"))]).await;
    assert_eq!((again.status, again.field("vary")), (304, "Accept-Encoding"));
    let other = node.get(URL, &[&format!("If-None-Match: {}", zipped.field("etag"))]).await;
    assert_eq!(other.status, 200);
}

#[tokio::test]
async fn what_fits_into_a_packet_is_not_compressed() {
    let node = start();
    let answer = node.get("/athletics/index.m3u8", &["Accept-Encoding: gzip"]).await;
    assert_eq!((answer.text(), answer.field("content-encoding")), ("#EXTM3U\n", ""));
    assert_eq!(answer.field("vary"), "Accept-Encoding");
}

#[tokio::test]
async fn a_delta_is_sent_to_who_asks_for_it_rightly() {
    let node = start();
    publish(&node);
    let whole = node.get(URL, &[]).await;
    for query in ["_HLS_skip=YES", "_HLS_skip=v2", "_HLS_msn=7&_HLS_part=2&_HLS_skip=YES"] {
        let delta = node.get(&format!("{URL}?{query}"), &[]).await;
        assert!(delta.text().contains("#EXT-X-SKIP"), "{query}");
        assert_ne!(delta.field("etag"), whole.field("etag"));
    }
    for query in ["_HLS_skip=NO", "_HLS_skip=", "skip=YES"] {
        assert_eq!(node.get(&format!("{URL}?{query}"), &[]).await.body, whole.body, "{query}");
    }
    let short = node.get("/athletics/v/index.m3u8?_HLS_skip=YES", &[]).await;
    assert_eq!(
        (short.status, short.text().contains("#EXT-X-SKIP")),
        (200, false),
        "there is nothing to skip"
    );
}
