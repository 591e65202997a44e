//! The stream of server-sent events.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::scratch::Scratch;
use crate::common::seconds;
use crate::common::server::{ADMIN_TOKEN, Server, Setup};
use crate::{FEED, OTHER, refused};

/// One who listens.
struct Listener(BufReader<TcpStream>);

impl Listener {
    async fn open(server: &Server, lines: &str) -> Self {
        let mut stream = TcpStream::connect(server.admin).await.expect("it listens");
        let request = format!(
            "GET /api/v1/stream HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n{lines}\r\n",
            server.admin
        );
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut listener = Self(BufReader::new(stream));
        let head = listener.line().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        while !listener.line().await.is_empty() {}
        listener
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(seconds(10), self.0.read_line(&mut line)).await;
        assert!(read.expect("within ten seconds").expect("it can be read") > 0, "the stream ended");
        line.trim_end().to_owned()
    }

    /// The id and the data of the next event of that name.
    async fn next(&mut self, name: &str) -> (Option<u64>, Value) {
        let (mut event, mut id) = (String::new(), None);
        loop {
            let line = self.line().await;
            // Lines of chunked transfer coding stand in between, and mean nothing here.
            match line.split_once(": ") {
                Some(("event", value)) => (event, id) = (value.to_owned(), None),
                Some(("id", value)) => id = value.parse().ok(),
                Some(("data", value)) if event == name => {
                    return (id, serde_json::from_str(value).expect("JSON"));
                }
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_is_told_what_is_on_air_and_what_happens_and_misses_nothing() {
    let scratch = Scratch::new("api-stream").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED, OTHER], None)).await;
    let mut listener = Listener::open(&server, "").await;
    let (_, snapshot) = listener.next("snapshot").await;
    assert_eq!(snapshot["feeds"].as_array().map(Vec::len), Some(2));
    assert!(snapshot["channels"][0].get("parts").is_none() && snapshot["sessions"].is_array(), "{snapshot}");

    server.change("[[channels]]", "label = \"Main\"\n[[channels]]").await;
    let (id, event) = listener.next("event").await;
    assert_eq!((event["text"].as_str(), event["id"].as_u64()), (Some("the configuration is applied"), id));
    loop {
        let (_, snapshot) = listener.next("snapshot").await;
        if snapshot["feeds"][0]["label"] == "Main" {
            break;
        }
    }
    drop(listener);
    server.change("\"Main\"", "\"Another\"").await;
    let line = format!("Last-Event-ID: {}\r\n", id.expect("an id"));
    let mut again = Listener::open(&server, &line).await;
    let (missed, event) = again.next("event").await;
    assert_eq!(event["text"], "the configuration is applied");
    assert!(missed > id);
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_bounded_and_a_stop_does_not_wait_for_them() {
    let scratch = Scratch::new("api-listeners").await;
    let mut server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    let mut listeners = Vec::new();
    for _ in 0..64 {
        listeners.push(Listener::open(&server, "").await);
    }
    refused(&server.admin("/api/v1/stream").await, 503);
    listeners.pop();
    server.tool.signal("TERM");
    let status = server.tool.ended(seconds(15)).await;
    assert!(status.success(), "{status}");
}
