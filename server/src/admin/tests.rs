use std::time::Instant;

use flambeau_config::Config;
use flambeau_media::channel::Channel;
use flambeau_media::feed::{History, Publisher};
use flambeau_media::program::{ElementaryStream, Program};
use flambeau_media::{FeedId, Utc};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::cli::Roles;
use crate::configure::Rooms;
use crate::log::Logging;
use crate::metrics::{Feeds, Http};

/// An admin listener on a port of the system's choice, over a node with one Feed and one Channel.
struct Node {
    address: SocketAddr,
    readiness: Readiness,
    _publisher: Publisher,
    _stop: tokio_util::sync::DropGuard,
}

fn stream(pid: u16, label: &str, language: Option<&str>, packaged: bool) -> ElementaryStream {
    ElementaryStream {
        pid,
        stream_type: 0x1b,
        label: label.into(),
        language: language.map(String::from),
        packaged,
    }
}

fn start() -> Node {
    let directory = Arc::new(Directory::default());
    let id: FeedId = "venue-1".parse().expect("an id");
    let publisher = directory.publish(&id, History::default());
    let streams = vec![
        stream(256, "H.264", None, true),
        stream(257, "AAC", Some("fra"), true),
        stream(500, "SCTE-35", None, false),
    ];
    publisher.describe(Program { number: 1, pmt_pid: 4096, pcr_pid: 256, streams });
    directory.open_channel(Channel::new("athletics".parse().expect("an id"), id));
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let mut registry = Registry::new();
    registry.add(Box::new(Feeds(directory.clone())));
    registry.add(Box::new(Http(vec![("admin", server.stats())])));
    let readiness = Readiness::default();
    let packager: metrics::PackagerStats = Arc::new(|| {
        let stats = flambeau_packager::Stats { running: true, parts: 7, ..Default::default() };
        vec![("athletics".parse().expect("an id"), stats)]
    });
    let (live, logging) = (Live::new(Config::lab()), Logging::default());
    let rooms = Rooms { directory: directory.clone(), venues: None, pulls: None };
    let configuration = Arc::new(Configuration::new(None, live.clone(), logging.clone(), rooms));
    let node = Facts {
        roles: Roles { ingest: true, packager: true, edge: true },
        ports: Vec::new(),
        http_base: "http://127.0.0.1:8080".into(),
        started: (Utc::now(), Instant::now()),
    };
    let sources = Sources {
        live,
        configuration,
        events: logging.events,
        node,
        directory,
        venues: None,
        pulls: None,
        viewers: None,
        registry,
        packager,
        readiness: readiness.clone(),
        seen: Seen::default(),
    };
    let shutdown = CancellationToken::new();
    let address = server.local_addr();
    tokio::spawn(server.run(sources, shutdown.clone()));
    Node { address, readiness, _publisher: publisher, _stop: shutdown.drop_guard() }
}

impl Node {
    /// The status, head and body of the answer.
    async fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        self.ask_with(method, path, "host: localhost\r\n").await
    }

    /// As [`Node::ask`], with these header lines.
    async fn ask_with(&self, method: &str, path: &str, lines: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.expect("it listens");
        let request = format!("{method} {path} HTTP/1.1\r\n{lines}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head.to_ascii_lowercase(), body.into())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, head, body) = self.ask("GET", path).await;
        assert_eq!(status, 200);
        assert!(head.contains("content-type: application/json"), "{head}");
        serde_json::from_str(&body).expect("JSON")
    }
}

#[tokio::test]
async fn readiness_is_told_with_its_reason() {
    let node = start();
    assert_eq!(node.ask("GET", "/healthz").await.0, 200);
    assert_eq!(node.ask("GET", "/readyz").await.0, 200);
    node.readiness.drain();
    let (status, _, body) = node.ask("GET", "/readyz").await;
    assert_eq!((status, body.starts_with("Not ready: it is being stopped")), (503, true));
    assert_eq!(node.ask("GET", "/healthz").await.0, 200);
}

#[tokio::test]
async fn a_scrape_is_openmetrics_text() {
    let node = start();
    let (status, head, body) = node.ask("GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    assert!(body.contains("flambeau_feed_state{feed=\"venue-1\",state=\"live\"} 1\n"), "{body}");
    assert!(body.contains("flambeau_http_connections{listener=\"admin\"} 1\n"), "{body}");
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn feeds_are_described_whole() {
    let node = start();
    let feeds = node.json("/api/v1/feeds").await;
    let feed = &feeds["feeds"][0];
    assert_eq!((&feed["id"], &feed["state"]), (&json!("venue-1"), &json!("live")));
    assert!(feed["since"].as_str().is_some_and(|since| since.starts_with("20") && since.ends_with('Z')));
    assert_eq!(feed["bit_rate"], Value::Null);
    let streams = feed["program"]["streams"].as_array().expect("the streams");
    assert_eq!(streams.len(), 3);
    assert_eq!((&streams[1]["language"], &streams[2]["label"]), (&json!("fra"), &json!("SCTE-35")));
}

#[tokio::test]
async fn channels_name_their_addresses_and_tracks() {
    let node = start();
    let channels = node.json("/api/v1/channels").await;
    let channel = &channels["channels"][0];
    assert_eq!((&channel["id"], &channel["feed"]), (&json!("athletics"), &json!("venue-1")));
    assert_eq!(channel["hls"], "/athletics/index.m3u8");
    assert_eq!(channel["dash"], "/athletics/manifest.mpd");
    let tracks = json!([
        { "pid": 256, "codec": "H.264", "language": null },
        { "pid": 257, "codec": "AAC", "language": "fra" },
    ]);
    assert_eq!(channel["tracks"], tracks);
    assert_eq!((&channel["stats"]["parts"], &channel["stats"]["running"]), (&json!(7), &json!(true)));
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let node = start();
    let (status, _, body) = node.ask("GET", "/api/v1/nothing").await;
    assert_eq!(status, 404);
    assert!(body.contains("/api/v1/nothing"), "{body}");
    let (status, head, _) = node.ask("DELETE", "/api/v1/feeds").await;
    assert_eq!(status, 405);
    assert!(head.contains("allow: get,head"), "{head}");
    assert_eq!(node.ask("GET", "/").await.0, 200);
}

#[tokio::test]
async fn lab_mode_is_open_to_this_machine_under_its_own_names_alone() {
    let node = start();
    for host in ["localhost:8081", "127.0.0.1", "[::1]:8081"] {
        let (status, _, body) = node.ask_with("GET", "/api/v1/node", &format!("host: {host}\r\n")).await;
        let told: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((status, &told["mode"]), (200, &json!("lab")), "{host}");
    }
    for host in ["rebound.example", "localhost.example:8081", "127.0.0.1.example"] {
        let host = format!("host: {host}\r\n");
        let (status, head, _) = node.ask_with("GET", "/api/v1/node", &host).await;
        assert_eq!((status, head.contains("application/problem+json")), (403, true), "{host}");
        assert_eq!(node.ask_with("GET", "/metrics", &host).await.0, 403, "{host}");
        assert_eq!(node.ask_with("GET", "/healthz", &host).await.0, 200, "{host}");
    }
    let foreign = "host: localhost\r\nsec-fetch-site: cross-site\r\n";
    assert_eq!(node.ask_with("POST", "/api/v1/config/reload", foreign).await.0, 403);
    let (status, _, body) = node.ask("POST", "/api/v1/config/reload").await;
    assert_eq!((status, body.contains("lab mode")), (409, true), "{body}");
    let config = node.json("/api/v1/config").await;
    assert_eq!((&config["writable"], &config["revision"]), (&json!(false), &Value::Null));
    // A page of a form cannot write: the body must be said to be JSON.
    let form = "host: localhost\r\ncontent-type: text/plain\r\ncontent-length: 0\r\n";
    assert_eq!(node.ask_with("PUT", "/api/v1/config", form).await.0, 415);
}
