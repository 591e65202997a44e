//! HTTP/2 in the clear, as a CDN's node or a proxy speaks it: the same answers, and limits for each stream.

use std::time::Duration;

use bytes::Bytes;
use flambeau_config::Config;
use flambeau_media::channel::{Change, Growth, Kind, Object};
use h2::client::{Connection, SendRequest};
use http::{Method, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::common::{Node, PATIENCE, advance, end_whole, grow, start, start_with};

const SEGMENT: &str = "/athletics/v/100.m4s";
const BLOCKED: &str = "/athletics/v/index.m3u8?_HLS_msn=101&_HLS_part=2";

struct Client {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

async fn connect(node: &Node) -> Client {
    connect_with(node, &h2::client::Builder::new()).await
}

async fn connect_with(node: &Node, builder: &h2::client::Builder) -> Client {
    let stream = TcpStream::connect(node.address).await.expect("it listens");
    let (send, connection): (_, Connection<_, Bytes>) = builder.handshake(stream).await.expect("HTTP/2");
    Client { send, connection: tokio::spawn(connection) }
}

fn request(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("http://edge{path}")).body(()).expect("a request")
}

impl Client {
    /// Sends a request without waiting for its answer.
    async fn begin(&mut self, path: &str) -> h2::client::ResponseFuture {
        std::future::poll_fn(|cx| self.send.poll_ready(cx)).await.expect("room for a stream");
        self.send.send_request(request(Method::GET, path), true).expect("a stream").0
    }

    async fn ask(&mut self, method: Method, path: &str) -> (Response<()>, Vec<u8>) {
        std::future::poll_fn(|cx| self.send.poll_ready(cx)).await.expect("room for a stream");
        let (answer, _) = self.send.send_request(request(method, path), true).expect("a stream");
        answered(answer).await
    }
}

async fn answered(answer: h2::client::ResponseFuture) -> (Response<()>, Vec<u8>) {
    let read = async {
        let (head, mut body) = answer.await.expect("a response").into_parts();
        let mut bytes = Vec::new();
        while let Some(data) = body.data().await {
            let data = data.expect("data");
            body.flow_control().release_capacity(data.len()).expect("a window");
            bytes.extend_from_slice(&data);
        }
        (Response::from_parts(head, ()), bytes)
    };
    tokio::time::timeout(PATIENCE, read).await.expect("an answer in time")
}

fn big(node: &Node) -> Bytes {
    let pieces: Vec<Bytes> = (0..20).map(|n| Bytes::from(vec![n; 512 << 10])).collect();
    let first = pieces[0].clone();
    let object = Object::new(Kind::Segment, "video/mp4", pieces);
    node.channel.commit(Change { objects: vec![("big".into(), object)], ..Change::default() });
    first
}

#[tokio::test]
async fn the_answers_are_those_of_http_1() {
    let node = start();
    let mut client = connect(&node).await;
    for path in [SEGMENT, "/athletics/index.m3u8", "/athletics/v/100.3.m4s", "/athletics/none", "/time"] {
        let old = node.get(path, &[]).await;
        let (new, body) = client.ask(Method::GET, path).await;
        assert_eq!(new.status(), old.status);
        for field in ["content-type", "content-length", "etag", "cache-control", "accept-ranges"] {
            let value = new.headers().get(field).map_or("", |value| value.to_str().expect("ASCII"));
            assert_eq!(value, old.field(field), "{field} of {path}");
        }
        assert!(new.headers().contains_key("date"));
        if path != "/time" {
            assert_eq!(body, old.body);
        }
        let (head, nothing) = client.ask(Method::HEAD, path).await;
        assert_eq!(head.status(), old.status);
        assert_eq!(head.headers()["content-length"], new.headers()["content-length"]);
        assert_eq!(nothing, b"");
    }
    let (refused, _) = client.ask(Method::DELETE, SEGMENT).await;
    assert_eq!(refused.status(), 405);
    assert_eq!(node.stats().http2_connections, 1);
}

#[tokio::test]
async fn many_reloads_wait_on_one_connection() {
    let node = start();
    let mut client = connect(&node).await;
    let mut answers = Vec::new();
    for _ in 0..100 {
        answers.push(client.begin(BLOCKED).await);
    }
    node.until("waiting", |stats| stats.blocked == 100).await;
    // Other requests pass them by.
    assert_eq!(client.ask(Method::GET, SEGMENT).await.1.len(), 1000);
    // A reload that is given up leaves nothing, and the others stay.
    drop(answers.split_off(50));
    node.until("half of them", |stats| stats.blocked == 50 && stats.requests_abandoned == 50).await;
    advance(&node.channel, 101, 3);
    for answer in answers {
        let (_, body) = answered(answer).await;
        assert!(String::from_utf8_lossy(&body).contains("#EXT-X-X:101.3"));
    }
    assert_eq!(node.stats().blocked, 0);
}

#[tokio::test]
async fn a_growing_segment_comes_as_data_and_is_reset_when_it_is_given_up() {
    let node = start();
    let mut client = connect(&node).await;
    grow(&node.channel, "v/102.m4s", Growth::Begin("video/mp4"));
    grow(&node.channel, "v/102.m4s", Growth::Piece("abc".into()));
    for whole in [false, true] {
        let answer = client.begin("/athletics/v/102.m4s").await.await.expect("a response");
        assert!(!answer.headers().contains_key("content-length"));
        let mut body = answer.into_body();
        assert_eq!(body.data().await.expect("a piece").expect("data"), "abc");
        if whole {
            end_whole(&node.channel, "v/102.m4s", vec!["abc".into()]);
            // The end may come as a frame without data.
            while let Some(data) = body.data().await {
                assert_eq!(data.expect("data"), "");
            }
        } else {
            grow(&node.channel, "v/102.m4s", Growth::End);
            let error = body.data().await.expect("an end").expect_err("it passes for whole");
            assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
            grow(&node.channel, "v/102.m4s", Growth::Begin("video/mp4"));
            grow(&node.channel, "v/102.m4s", Growth::Piece("abc".into()));
        }
    }
}

#[tokio::test]
async fn the_streams_of_a_client_are_limited_over_all_its_connections() {
    let node = start_with(&Config::lab(), |http| http.connections_per_address_max = 4);
    let (mut one, mut other) = (connect(&node).await, connect(&node).await);
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(one.begin(BLOCKED).await);
        waiting.push(other.begin(BLOCKED).await);
    }
    node.until("waiting", |stats| stats.blocked == 4).await;
    let (refused, _) = one.ask(Method::GET, SEGMENT).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"1".parse().expect("text"))
    );
    assert_eq!(node.stats().streams_refused, 1);
    waiting.pop();
    node.until("a place", |stats| stats.blocked == 3).await;
    assert_eq!(one.ask(Method::GET, SEGMENT).await.0.status(), 200);
}

#[tokio::test]
async fn a_stream_that_is_not_taken_is_reset_alone() {
    let node = start_with(&Config::lab(), |http| http.write_timeout = Duration::from_millis(500));
    let first = big(&node);
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1000).initial_connection_window_size(1 << 20);
    let mut client = connect_with(&node, &builder).await;
    let stalled = client.begin("/athletics/big").await.await.expect("a response");
    node.until("reset", |stats| stats.streams_stalled == 1).await;
    assert_eq!(client.ask(Method::GET, SEGMENT).await.1.len(), 1000, "the connection goes on");
    let mut body = stalled.into_body();
    let error = loop {
        match body.data().await.expect("an end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    node.channel.commit(Change { remove: vec!["big".into()], ..Change::default() });
    assert!(first.is_unique(), "it still holds the Segment");
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_hold_no_memory() {
    let node = start_with(&Config::lab(), |http| http.write_timeout = Duration::from_secs(60));
    let first = big(&node);
    let before = resident();
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut client = node.connect().await;
        client.send("GET", "/athletics/big", &[]).await;
        slow.push(client);
    }
    let mut streams = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = connect(&node).await;
        for _ in 0..100 {
            streams.push(client.begin("/athletics/big").await);
        }
        clients.push(client);
    }
    // Each has 10 MB to get: had each a copy, there were 5 GB.
    node.until("all answered", |stats| stats.responses[1] == 500).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 200 << 20, "{} MB", grown >> 20);
    drop((slow, streams, clients));
    node.until("gone", |stats| stats.connections_open == 0).await;
    node.channel.commit(Change { remove: vec!["big".into()], ..Change::default() });
    assert!(first.is_unique());
}

/// A connection in which the test writes frames itself.
async fn raw(node: &Node) -> TcpStream {
    let mut stream = TcpStream::connect(node.address).await.expect("it listens");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it reads");
    stream.write_all(&frame(4, 0, 0, &[])).await.expect("it reads");
    stream
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).expect("short").to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header block of a GET of `/` (RFC 7541 A: `:method`, `:scheme`, `:path`, and an authority).
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x04, b'e', b'd', b'g', b'e'];

/// The error code of the GOAWAY (RFC 9113 6.8) that comes before the end; None: there is none.
async fn goaway(stream: &mut TcpStream) -> Option<u32> {
    let mut said = Vec::new();
    // Reset rather than closed counts as an end too.
    drop(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("it closes"));
    let (mut rest, mut code) = (&said[..], None);
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = rest {
        let len = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        if *kind == 7 {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().expect("four bytes")));
        }
        rest = payload.get(len..).unwrap_or_default();
    }
    code
}

#[tokio::test]
async fn resets_without_end_close_the_connection_and_no_other() {
    let node = start();
    let mut quiet = connect(&node).await;
    let mut stream = raw(&node).await;
    let mut attack = Vec::new();
    for n in 0..1500 {
        attack.extend(frame(1, 5, 2 * n + 1, GET));
        attack.extend(frame(3, 0, 2 * n + 1, &8_u32.to_be_bytes()));
    }
    // It may be closed before all is written.
    drop(stream.write_all(&attack).await);
    assert_eq!(goaway(&mut stream).await.unwrap_or(0xb), 0xb);
    node.until("counted", |stats| stats.floods == 1).await;
    node.until("closed", |stats| stats.connections_open == 1).await;
    assert_eq!(quiet.ask(Method::GET, SEGMENT).await.0.status(), 200);
}

#[tokio::test]
async fn a_flood_of_pings_is_told_to_calm_down() {
    let node = start();
    let mut stream = raw(&node).await;
    // It may be closed before all is written.
    drop(stream.write_all(&frame(6, 0, 0, &[0; 8]).repeat(1200)).await);
    // RFC 9113 7: ENHANCE_YOUR_CALM.
    assert_eq!(goaway(&mut stream).await, Some(0xb));
    assert_eq!(node.stats().floods, 1);
}

#[tokio::test]
async fn a_header_block_that_trickles_in_is_given_up() {
    let node = start_with(&Config::lab(), |http| http.header_timeout = Duration::from_millis(300));
    let mut stream = raw(&node).await;
    stream.write_all(&frame(1, 1, 1, &GET[..3])).await.expect("it reads");
    // A CONTINUATION now and then buys no time.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        drop(stream.write_all(&frame(9, 0, 1, &[])).await);
    }
    node.until("given up", |stats| stats.header_timeouts == 1).await;
    node.until("closed", |stats| stats.connections_open == 0).await;
}

#[tokio::test]
async fn an_idle_connection_gets_a_goodbye() {
    let node = start_with(&Config::lab(), |http| {
        http.header_timeout = Duration::from_millis(200);
        http.idle_timeout = Duration::from_millis(500);
    });
    let mut silent = raw(&node).await;
    let mut stream = raw(&node).await;
    stream.write_all(&frame(1, 5, 1, GET)).await.expect("it reads");
    assert_eq!(goaway(&mut silent).await, Some(0));
    assert_eq!(goaway(&mut stream).await, Some(0));
    assert_eq!((node.stats().header_timeouts, node.stats().idle_timeouts), (1, 1));
}

#[tokio::test]
async fn a_head_of_40_kb_gets_431() {
    let node = start();
    let mut client = connect(&node).await;
    let mut large = request(Method::GET, SEGMENT);
    large.headers_mut().insert("x-long", "a".repeat(40_000).parse().expect("a value"));
    let (answer, _) = client.send.send_request(large, true).expect("a stream");
    assert_eq!(answered(answer).await.0.status(), 431);
    assert_eq!(client.ask(Method::GET, SEGMENT).await.0.status(), 200);
}

#[tokio::test]
async fn a_drain_lets_streams_end() {
    let node = start();
    let mut client = connect(&node).await;
    let waiting = client.begin(BLOCKED).await;
    node.until("waiting", |stats| stats.blocked == 1).await;
    node.shutdown.cancel();
    advance(&node.channel, 101, 3);
    assert_eq!(answered(waiting).await.0.status(), 200);
    tokio::time::timeout(PATIENCE, client.connection)
        .await
        .expect("it closes")
        .expect("no panic")
        .expect("in order");
    tokio::time::timeout(PATIENCE, node.running).await.expect("it ends").expect("no panic");
}

#[tokio::test]
async fn a_viewer_is_ended_over_http_2_too() {
    let node = start();
    grow(&node.channel, "v/102.m4s", Growth::Begin("video/mp4"));
    grow(&node.channel, "v/102.m4s", Growth::Piece("abc".into()));
    let mut client = connect(&node).await;
    let mut body = client.begin("/athletics/v/102.m4s").await.await.expect("a response").into_body();
    assert_eq!(body.data().await.expect("a piece").expect("data"), "abc");
    assert!(node.viewers.end(node.viewers.list().first().expect("one").id));
    grow(&node.channel, "v/102.m4s", Growth::Piece("def".into()));
    assert!(body.data().await.expect("an end").is_err());
    assert_eq!(client.ask(Method::GET, SEGMENT).await.0.status(), 403);
}
