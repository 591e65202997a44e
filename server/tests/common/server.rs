//! The server under test.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::scratch::Scratch;
use super::tool::Tool;
use super::{http, seconds, until};

/// What the configuration says beyond the addresses.
#[derive(Default, Clone)]
pub(crate) struct Setup {
    /// Keys of `[ingest.srt]`.
    pub(crate) ingest: String,
    /// Keys of `[edge.srt]`.
    pub(crate) edge: String,
    /// Keys of `[edge.http]`.
    pub(crate) http: String,
    /// Feeds, Channels, broadcasters, entitlements and whatever section else.
    pub(crate) rest: String,
}

impl Setup {
    /// The Feeds of these names, each a public Channel of the same name, and a broadcaster `rtx` that may take
    /// them. A passphrase is one for publishing and pulling.
    pub(crate) fn feeds(names: &[&str], passphrase: Option<&str>) -> Self {
        let passphrase = passphrase.map(|text| format!("passphrase = \"{text}\"\n")).unwrap_or_default();
        let mut rest = String::new();
        for name in names {
            rest += &format!("[[feeds]]\nid = \"{name}\"\n{passphrase}");
            rest += &format!("[[channels]]\nid = \"{name}\"\nfeed = \"{name}\"\npublic = true\n");
        }
        rest += &format!("[[broadcasters]]\nid = \"rtx\"\n{passphrase}");
        rest += "[[entitlements]]\nbroadcaster = \"rtx\"\nfeeds = [\"*\"]\n";
        Self { rest, ..Self::default() }
    }
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    pub(crate) tool: Tool,
    /// Its configuration.
    pub(crate) file: PathBuf,
    pub(crate) ingest: SocketAddr,
    pub(crate) edge: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Server {
    /// Starts a server on free loopback ports and waits until it is ready.
    pub(crate) async fn start(scratch: &Scratch, setup: &Setup) -> Self {
        let (ingest, edge, http, admin) = (free_udp(), free_udp(), free_tcp(), free_tcp());
        let Setup { ingest: ingest_keys, edge: edge_keys, http: http_keys, rest } = setup;
        let config = format!(
            "[ingest.srt]\nlisten = \"{ingest}\"\n{ingest_keys}\n[edge.srt]\nlisten = \"{edge}\"\n{edge_keys}\n\
             [edge.http]\nlisten = \"{http}\"\n{http_keys}\n[admin]\nlisten = \"{admin}\"\n\
             token = \"{ADMIN_TOKEN}\"\n{rest}\n"
        );
        let file = scratch.file("flambeau.toml");
        std::fs::write(&file, config).expect("a file in the scratch directory");
        let tool = Self::run(scratch, &file);
        let mut server = Self { tool, file, ingest, edge, http, admin };
        server.ready().await;
        server
    }

    fn run(scratch: &Scratch, file: &Path) -> Tool {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flambeau"));
        command.arg("run").arg(file);
        Tool::start(scratch, "flambeau", command)
    }

    /// Ends it and starts it again by the same file.
    pub(crate) async fn restart(&mut self, scratch: &Scratch) {
        self.tool.signal("TERM");
        self.tool.ended(seconds(20)).await;
        self.start_again(scratch).await;
    }

    /// Starts it by the same file, once it has ended.
    pub(crate) async fn start_again(&mut self, scratch: &Scratch) {
        self.tool = Self::run(scratch, &self.file);
        self.ready().await;
    }

    async fn ready(&mut self) {
        let admin = self.admin;
        let tool = &mut self.tool;
        until(seconds(10), "the server is ready", async || {
            tool.must_run();
            http::get(admin, "/readyz").await.filter(|answer| answer.status == 200).map(drop)
        })
        .await;
    }

    /// What the admin door says at `path`.
    pub(crate) async fn admin(&self, path: &str) -> http::Answer {
        self.ask("GET", path, None).await
    }

    /// What the admin door says to a request with the token, and with JSON if there is some.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> http::Answer {
        let token = format!("Authorization: Bearer {ADMIN_TOKEN}\r\n");
        let answer = http::request(self.admin, method, path, &token, body).await;
        answer.unwrap_or_else(|| panic!("no answer to {path}"))
    }

    /// The JSON at a path that is there.
    pub(crate) async fn see(&self, path: &str) -> serde_json::Value {
        let answer = self.admin(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// The configuration that runs.
    pub(crate) async fn config(&self) -> String {
        self.see("/api/v1/config").await["text"].as_str().expect("a text").to_owned()
    }

    /// Asks for another configuration.
    pub(crate) async fn put(&self, text: &str) -> http::Answer {
        self.ask("PUT", "/api/v1/config", Some(&serde_json::json!({ "text": text }))).await
    }

    /// Asks for the present configuration with `from` replaced by `to`, which must be taken.
    pub(crate) async fn change(&self, from: &str, to: &str) -> serde_json::Value {
        let text = self.config().await;
        assert!(text.contains(from), "{from} is not in\n{text}");
        let answer = self.put(&text.replacen(from, to, 1)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// What the HTTP edge says at `path`.
    pub(crate) async fn get(&self, path: &str) -> http::Answer {
        http::get(self.http, path).await.unwrap_or_else(|| panic!("no answer to {path}"))
    }

    /// The sum of a metric over those of its samples that have every one of `labels`, as in `side="edge"`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin("/metrics").await.text();
        let samples: Vec<f64> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .filter_map(|(_, value)| value.parse().ok())
            .collect();
        samples.iter().sum()
    }

    /// Waits until the Feed is live.
    pub(crate) async fn live(&self, feed: &str) {
        until(seconds(10), &format!("Feed {feed} is live"), async || self.is_live(feed).await.then_some(()))
            .await;
    }

    /// Whether the Feed is live.
    pub(crate) async fn is_live(&self, feed: &str) -> bool {
        self.feed(feed).await.is_some_and(|feed| feed["state"] == "live")
    }

    /// What the API says of a Feed.
    pub(crate) async fn feed(&self, feed: &str) -> Option<serde_json::Value> {
        let feeds = self.admin("/api/v1/feeds").await.json();
        let list = feeds.as_array().or_else(|| feeds["feeds"].as_array()).cloned().unwrap_or_default();
        list.into_iter().find(|entry| entry["id"] == feed)
    }
}

fn free_udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

fn free_tcp() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

/// What the API asks for.
pub(crate) const ADMIN_TOKEN: &str = "an-operator-of-the-tests";
