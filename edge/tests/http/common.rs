//! A server with one Channel filled by hand, and a client that sees every byte.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flambeau_config::{Config, EdgeHttp, Policy};
use flambeau_edge::http::{Server, Snapshot, Stats, Viewers};
use flambeau_media::channel::{Change, Channel, Growth, Kind, Object, Playlist, Position};
use flambeau_media::directory::Directory;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for anything that is to happen at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const TARGET: Duration = Duration::from_secs(2);

pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) channel: Arc<Channel>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    pub(crate) viewers: Viewers,
    stats: Arc<Stats>,
}

/// Lab mode, default limits.
pub(crate) fn start() -> Node {
    start_with(&Config::lab(), |_| {})
}

pub(crate) fn start_with(config: &Config, limit: impl FnOnce(&mut EdgeHttp)) -> Node {
    let mut http = config.edge.http.clone();
    http.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    limit(&mut http);
    let directory = Arc::new(Directory::default());
    let channel = channel("athletics");
    directory.open_channel(channel.clone());
    let shutdown = CancellationToken::new();
    let server = Server::bind(&http, Policy::new(config), directory.clone(), shutdown.clone())
        .expect("a free port")
        .with_grace(Duration::from_secs(3));
    let server = server.with_access_log(&http, config.log.format).expect("the access log can be written");
    let (address, stats, viewers) = (server.local_addr(), server.stats().clone(), server.viewers());
    let running = tokio::spawn(server.run());
    Node { address, channel, directory, shutdown, running, viewers, stats }
}

/// A Channel in whose Playlist Segment 100 is whole (ten Parts) and 101 has begun (two).
pub(crate) fn channel(id: &str) -> Arc<Channel> {
    let channel = Channel::new(id.parse().expect("an id"), "venue".parse().expect("an id"));
    let pieces: Vec<Bytes> = (0..10).map(|n| Bytes::from(vec![n; 100])).collect();
    let mut objects = vec![("v/100.m4s".into(), Object::new(Kind::Segment, "video/mp4", pieces.clone()))];
    for (n, piece) in pieces.into_iter().enumerate() {
        objects.push((format!("v/100.{n}.m4s"), Object::new(Kind::Part, "video/mp4", vec![piece])));
    }
    let manifest = Playlist {
        body: "<MPD/>".into(),
        content_type: "application/dash+xml",
        created: flambeau_media::Utc::now(),
        ..Playlist::default()
    };
    let multivariant = Playlist {
        body: "#EXTM3U\n".into(),
        content_type: "application/vnd.apple.mpegurl",
        created: flambeau_media::Utc::now(),
        ..Playlist::default()
    };
    let playlists = vec![("manifest.mpd".into(), manifest), ("index.m3u8".into(), multivariant)];
    channel.commit(Change { objects, playlists, ..Change::default() });
    advance(&channel, 101, 2);
    channel
}

/// Commits a step in the growth of a Segment.
pub(crate) fn grow(channel: &Channel, path: &str, step: Growth) {
    channel.commit(Change { growth: vec![(path.into(), step)], ..Change::default() });
}

/// Makes a Segment that has grown whole.
pub(crate) fn end_whole(channel: &Channel, path: &str, pieces: Vec<Bytes>) {
    channel.commit(Change {
        objects: vec![(path.into(), Object::new(Kind::Segment, "video/mp4", pieces))],
        growth: vec![(path.into(), Growth::End)],
        ..Change::default()
    });
}

/// Commits what the packager would once Segment `sequence` has `parts` Parts.
pub(crate) fn advance(channel: &Channel, sequence: u64, parts: u32) {
    let mut objects = Vec::new();
    if let Some(last) = parts.checked_sub(1) {
        let piece = Bytes::from(format!("part {sequence}.{last}"));
        objects.push((format!("v/{sequence}.{last}.m4s"), Object::new(Kind::Part, "video/mp4", vec![piece])));
    }
    let last = channel.playlist("v/index.m3u8").map(|playlist| playlist.borrow().clone());
    let parts_before = last.map_or(0, |last| match last.newest {
        Some(newest) if newest.sequence < sequence => newest.parts,
        _ => last.parts_before,
    });
    let playlist = Playlist {
        silent: false,
        body: format!(
            "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.2\n#EXT-X-X:{sequence}.{parts}\n"
        )
        .into(),
        content_type: "application/vnd.apple.mpegurl",
        newest: Some(Position { sequence, parts }),
        delta: None,
        parts_before,
        hint: Some(format!("v/{sequence}.{parts}.m4s")),
        target_duration: TARGET,
        created: flambeau_media::Utc::now(),
    };
    channel.commit(Change {
        objects,
        playlists: vec![("v/index.m3u8".into(), playlist)],
        ..Change::default()
    });
}

impl Node {
    pub(crate) fn stats(&self) -> Snapshot {
        self.stats.snapshot()
    }

    pub(crate) async fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        Client(BufReader::new(stream))
    }

    /// One request on a connection of its own; `fields` are whole lines.
    pub(crate) async fn ask(&self, method: &str, path: &str, fields: &[&str]) -> Answer {
        self.connect().await.ask(method, path, fields).await
    }

    pub(crate) async fn get(&self, path: &str, fields: &[&str]) -> Answer {
        self.ask("GET", path, fields).await
    }

    /// Waits until the counts are as they should become.
    pub(crate) async fn until(&self, what: &str, is: impl Fn(&Snapshot) -> bool) {
        let reached = async {
            while !is(&self.stats()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, reached).await.is_ok(), "never {what}: {:?}", self.stats());
    }
}

pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A field's value; empty where it is missing.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

impl Client {
    pub(crate) async fn send(&mut self, method: &str, path: &str, fields: &[&str]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: edge\r\n");
        for field in fields {
            head.push_str(field);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.write(head.as_bytes()).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.expect("it reads");
    }

    pub(crate) async fn ask(&mut self, method: &str, path: &str, fields: &[&str]) -> Answer {
        self.send(method, path, fields).await;
        self.answer(method == "HEAD").await
    }

    pub(crate) async fn answer(&mut self, is_head: bool) -> Answer {
        tokio::time::timeout(PATIENCE, self.read(is_head))
            .await
            .expect("an answer in time")
            .expect("an answer")
    }

    /// What the server says before it closes; None: nothing.
    pub(crate) async fn read(&mut self, is_head: bool) -> Option<Answer> {
        let (status, fields) = self.head().await?;
        let len = if is_head || status == 304 || status == 204 {
            0
        } else {
            fields.get("content-length").and_then(|len| len.parse().ok()).expect("a length")
        };
        let mut body = vec![0; len];
        self.0.read_exact(&mut body).await.ok()?;
        Some(Answer { status, fields, body })
    }

    /// The next chunk of a body (RFC 9112 7.1), empty for the last; None: the response broke off.
    pub(crate) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let read = async {
            let mut line = String::new();
            self.0.read_line(&mut line).await.ok().filter(|bytes| *bytes > 0)?;
            let len = usize::from_str_radix(line.trim(), 16).expect("a length");
            let mut chunk = vec![0; len + 2];
            self.0.read_exact(&mut chunk).await.ok()?;
            chunk.truncate(len);
            Some(chunk)
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a chunk in time")
    }

    /// The status and fields of a response.
    pub(crate) async fn head(&mut self) -> Option<(u16, HashMap<String, String>)> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut fields: HashMap<String, String> = HashMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await.ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let value = value.trim();
            fields
                .entry(name.to_ascii_lowercase())
                .and_modify(|have| *have = format!("{have}, {value}"))
                .or_insert_with(|| value.into());
        }
        Some((status, fields))
    }

    /// Whether the server closes within `within`, having said nothing more.
    pub(crate) async fn is_closed(&mut self, within: Duration) -> bool {
        let mut scrap = [0; 1];
        matches!(tokio::time::timeout(within, self.0.read(&mut scrap)).await, Ok(Ok(0) | Err(_)))
    }
}
