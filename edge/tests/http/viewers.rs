//! Who watches, what one client may ask, and the log of it.

use std::time::{Duration, Instant};

use flambeau_config::Config;
use flambeau_edge::http::Protocol;
use flambeau_media::channel::Growth;

use crate::common::{grow, start, start_with};

const SEGMENT: &str = "/athletics/v/100.m4s";

#[tokio::test]
async fn a_viewer_is_listed_with_what_it_took() {
    let node = start();
    for path in ["/athletics/index.m3u8", "/athletics/v/index.m3u8", SEGMENT] {
        assert_eq!(node.get(path, &["User-Agent: player/1"]).await.status, 200);
    }
    node.get("/athletics/manifest.mpd", &["User-Agent: other"]).await;
    node.get("/nothing/manifest.mpd", &["User-Agent: prober"]).await;
    let list = node.viewers.list();
    let [player, other] = &list[..] else { panic!("{list:?}") };
    assert_eq!((player.agent.as_deref(), player.protocol), (Some("player/1"), Protocol::Hls));
    assert_eq!((player.requests, player.channel.as_str()), (3, "athletics"));
    assert!(player.bytes > 1000 && player.bytes < 2000, "{player:?}");
    assert!(player.peer.is_loopback() && player.last_seen >= player.since);
    assert_eq!(other.protocol, Protocol::Dash);
}

#[tokio::test]
async fn a_viewer_that_is_ended_gets_nothing_more() {
    let node = start();
    grow(&node.channel, "v/102.m4s", Growth::Begin("video/mp4"));
    grow(&node.channel, "v/102.m4s", Growth::Piece("abc".into()));
    let mut client = node.connect().await;
    client.send("GET", "/athletics/v/102.m4s", &["User-Agent: bad"]).await;
    assert_eq!(client.head().await.expect("a head").0, 200);
    assert_eq!(client.chunk().await.expect("a piece"), b"abc");
    let id = node.viewers.list().first().expect("one").id;
    assert!(node.viewers.end(id));
    grow(&node.channel, "v/102.m4s", Growth::Piece("def".into()));
    assert_eq!(client.chunk().await, None, "sent on");
    let refused = node.get(SEGMENT, &["User-Agent: bad"]).await;
    assert_eq!((refused.status, refused.field("cache-control")), (403, "no-store"));
    assert!(refused.text().contains("operator"), "{}", refused.text());
    assert_eq!(node.get(SEGMENT, &["User-Agent: good"]).await.status, 200);
    assert_eq!((node.stats().requests_of_ended, node.viewers.end(id)), (1, false));
}

#[tokio::test]
async fn requests_without_end_are_told_to_slow_down() {
    let node = start_with(&Config::lab(), |http| http.requests_per_second_max = 5);
    let mut client = node.connect().await;
    let began = Instant::now();
    let mut statuses = Vec::new();
    while node.stats().requests_limited == 0 {
        let answer = client.ask("GET", SEGMENT, &[]).await;
        if answer.status == 429 {
            assert_eq!((answer.field("retry-after"), answer.field("cache-control")), ("1", "no-store"));
        }
        statuses.push(answer.status);
        assert!(began.elapsed() < Duration::from_secs(10), "{statuses:?}");
    }
    assert_eq!(statuses[..5], [200; 5]);
    let answered = async {
        while client.ask("GET", SEGMENT, &[]).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), answered).await.expect("it may again after a while");
}

#[tokio::test]
async fn each_request_has_its_line_in_the_log() {
    let path = std::env::temp_dir().join(format!("flambeau-edge-{}-access.log", std::process::id()));
    drop(std::fs::remove_file(&path));
    let node = start_with(&Config::lab(), |http| http.access_log = Some(path.clone()));
    node.get(&format!("{SEGMENT}?token=geheim"), &["User-Agent: p", "Authorization: Bearer geheim"]).await;
    node.get("/athletics/gone", &[]).await;
    let began = Instant::now();
    let text = loop {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.lines().count() == 2 {
            break text;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "never written: {text}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(text.contains("\"GET /athletics/v/100.m4s HTTP/1.1\" 200 1000 \"-\" \"p\"\n"), "{text}");
    assert!(text.contains("\"GET /athletics/gone HTTP/1.1\" 404 "), "{text}");
    assert!(!text.contains("geheim"), "{text}");
}
