//! Segments in the making: sent as they grow, never taken for whole when they are not.

use bytes::Bytes;
use flambeau_media::channel::Growth;

use crate::common::{Client, Node, end_whole, grow, start};

const PATH: &str = "v/102.m4s";
const URL: &str = "/athletics/v/102.m4s";

async fn asking(node: &Node) -> Client {
    let mut client = node.connect().await;
    client.send("GET", URL, &["Range: bytes=0-1"]).await;
    client
}

#[tokio::test]
async fn each_part_is_sent_when_it_comes() {
    let node = start();
    let pieces: Vec<Bytes> = (0..3).map(|n| Bytes::from(vec![n; 1000])).collect();
    grow(&node.channel, PATH, Growth::Begin("video/mp4"));
    grow(&node.channel, PATH, Growth::Piece(pieces[0].clone()));
    let mut client = asking(&node).await;
    let (status, fields) = client.head().await.expect("a head");
    assert_eq!((status, fields["transfer-encoding"].as_str()), (200, "chunked"));
    assert_eq!((fields["content-type"].as_str(), fields.get("etag")), ("video/mp4", None));
    assert_eq!(client.chunk().await.expect("a piece"), pieces[0]);
    for piece in &pieces[1..] {
        grow(&node.channel, PATH, Growth::Piece(piece.clone()));
        assert_eq!(client.chunk().await.expect("a piece"), *piece);
    }
    end_whole(&node.channel, PATH, pieces.clone());
    assert_eq!(client.chunk().await.expect("the end"), b"");
    let again = node.get(URL, &[]).await;
    assert_eq!((again.field("content-length"), &again.body), ("3000", &pieces.concat()));
    assert!(!again.fields["etag"].is_empty());
}

#[tokio::test]
async fn who_asks_before_the_first_part_waits_for_it() {
    let node = start();
    grow(&node.channel, PATH, Growth::Begin("video/mp4"));
    let mut client = asking(&node).await;
    node.until("waiting", |stats| stats.blocked == 1).await;
    grow(&node.channel, PATH, Growth::Piece("abc".into()));
    assert_eq!(client.head().await.expect("a head").0, 200);
    assert_eq!(client.chunk().await.expect("a piece"), b"abc");
    assert_eq!(node.stats().blocked, 0);
}

#[tokio::test]
async fn a_segment_that_is_given_up_is_broken_off() {
    let node = start();
    grow(&node.channel, PATH, Growth::Begin("video/mp4"));
    let mut early = asking(&node).await;
    node.until("waiting", |stats| stats.blocked == 1).await;
    grow(&node.channel, PATH, Growth::Piece("abc".into()));
    let mut late = asking(&node).await;
    for client in [&mut early, &mut late] {
        client.head().await.expect("a head");
        assert_eq!(client.chunk().await.expect("a piece"), b"abc");
    }
    grow(&node.channel, PATH, Growth::End);
    for client in [&mut early, &mut late] {
        assert_eq!(client.chunk().await, None, "it passes for whole");
    }
    assert_eq!(node.stats().growing_broken_off, 2);
}

#[tokio::test]
async fn a_segment_that_never_began_is_not_found_and_nobody_keeps_that() {
    let node = start();
    grow(&node.channel, PATH, Growth::Begin("video/mp4"));
    let mut client = asking(&node).await;
    node.until("waiting", |stats| stats.blocked == 1).await;
    grow(&node.channel, PATH, Growth::End);
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.field("cache-control")), (404, "no-store"));
}

#[tokio::test]
async fn over_http_1_0_it_is_sent_once_it_is_whole() {
    let node = start();
    grow(&node.channel, PATH, Growth::Begin("video/mp4"));
    grow(&node.channel, PATH, Growth::Piece("abc".into()));
    let mut client = node.connect().await;
    client.write(format!("GET {URL} HTTP/1.0\r\nHost: edge\r\n\r\n").as_bytes()).await;
    node.until("waiting", |stats| stats.blocked == 1).await;
    grow(&node.channel, PATH, Growth::Piece("de".into()));
    end_whole(&node.channel, PATH, vec!["abc".into(), "de".into()]);
    let answer = client.answer(false).await;
    assert_eq!((answer.field("content-length"), answer.text()), ("5", "abcde"));
}

#[tokio::test]
async fn what_is_about_to_come_is_not_remembered_as_missing() {
    let node = start();
    for (path, cache_control) in [
        ("/athletics/v/99.m4s", "public, max-age=10"),
        ("/athletics/v/99.3.m4s", "public, max-age=10"),
        ("/athletics/v/103.m4s", "no-store"),
        ("/athletics/v/101.9.m4s", "no-store"),
        ("/athletics/v/t123.m4s", "no-store"),
        ("/athletics/w/99.m4s", "public, max-age=1"),
        ("/nothing/v/99.m4s", "public, max-age=1"),
    ] {
        let answer = node.get(path, &[]).await;
        assert_eq!((answer.status, answer.field("cache-control")), (404, cache_control), "{path}");
    }
}
