//! Clients of blocking Playlist reload that do as little as they can, for they share the machine with the server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flambeau_media::time::Utc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A Media Sequence Number and a Part of it.
pub(crate) type Position = (u64, u32);

/// What a client asks for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next Part.
    Part,
    /// The first Part of the next Segment.
    Segment,
}

/// An answer to a blocked reload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// What was asked for.
    pub(crate) position: Position,
    /// When the head of the answer was there.
    pub(crate) at: Utc,
}

type Answers = Arc<Mutex<Vec<Answered>>>;

/// Many clients on a thread of their own. Dropping them closes their connections.
pub(crate) struct Clients {
    answers: Answers,
    _stop: watch::Sender<()>,
}

impl Clients {
    /// Connects `number` clients and one that reads what it gets and tells the others what comes next.
    pub(crate) async fn start(server: SocketAddr, playlist: &str, number: usize, step: Step) -> Self {
        let (stop, stopped) = watch::channel(());
        let answers = Answers::default();
        let (path, kept) = (playlist.to_owned(), answers.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(server, path, number, step, kept, stopped));
        });
        Self { answers, _stop: stop }
    }

    /// The answers since this was last asked.
    pub(crate) fn take(&self) -> Vec<Answered> {
        std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn run(
    server: SocketAddr,
    path: String,
    number: usize,
    step: Step,
    answers: Answers,
    mut stopped: watch::Receiver<()>,
) {
    let (tell, next) = watch::channel((0, 0));
    let mut clients = JoinSet::new();
    clients.spawn(lead(server, path.clone(), tell));
    for _ in 0..number {
        clients.spawn(follow(server, path.clone(), step, next.clone(), answers.clone()));
    }
    tokio::select! {
        // Err: whoever wanted them is gone.
        _ = stopped.changed() => {}
        ended = clients.join_next() => panic!("a client ended: {ended:?}"),
    }
}

/// Follows the Playlist Part by Part, reads it, and tells what comes next.
async fn lead(server: SocketAddr, path: String, tell: watch::Sender<Position>) -> std::io::Result<()> {
    let mut connection = Connection::open(server).await?;
    let mut next: Option<Position> = None;
    loop {
        connection.ask(&request(server, &path, next, "identity")).await?;
        connection.read_answer().await?;
        let position = next_position(&String::from_utf8_lossy(connection.body()));
        next = Some(position);
        tell.send_replace(position);
    }
}

/// How long an answer and the next question are on their way together, for a viewer near the edge: without it the
/// thousand questions come between the thousand answers, which no network does.
const AWAY: Duration = Duration::from_millis(30);

async fn follow(
    server: SocketAddr,
    path: String,
    step: Step,
    mut next: watch::Receiver<Position>,
    answers: Answers,
) -> std::io::Result<()> {
    let mut connection = Connection::open(server).await?;
    let mut asked = (0, 0);
    loop {
        let told = next.wait_for(|next| target(*next, step) > asked).await;
        asked = target(*told.expect("the lead lives as long as its followers"), step);
        connection.ask(&request(server, &path, Some(asked), "gzip")).await?;
        connection.read_answer().await?;
        let answered = Answered { position: asked, at: connection.head_at };
        answers.lock().unwrap_or_else(PoisonError::into_inner).push(answered);
        sleep(AWAY).await;
    }
}

fn target(next: Position, step: Step) -> Position {
    match step {
        Step::Part => next,
        Step::Segment => (next.0 + 1, 0),
    }
}

/// As a player asks, for a Delta Update and compressed.
fn request(server: SocketAddr, path: &str, position: Option<Position>, encoding: &str) -> String {
    let query = position.map(|(sequence, part)| match encoding {
        "identity" => format!("?_HLS_msn={sequence}&_HLS_part={part}"),
        _ => format!("?_HLS_msn={sequence}&_HLS_part={part}&_HLS_skip=YES"),
    });
    let query = query.unwrap_or_default();
    format!("GET {path}{query} HTTP/1.1\r\nHost: {server}\r\nAccept-Encoding: {encoding}\r\n\r\n")
}

/// The position of the Part that this Playlist does not have yet.
fn next_position(playlist: &str) -> Position {
    let (mut sequence, mut parts) = (0, 0);
    for line in playlist.lines() {
        if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            sequence = first.parse().expect("a number");
        } else if line.starts_with("#EXT-X-PART:") {
            parts += 1;
        } else if !line.starts_with('#') && !line.is_empty() {
            sequence += 1;
            parts = 0;
        }
    }
    (sequence, parts)
}

/// A connection that is used again and again.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    head: usize,
    head_at: Utc,
}

impl Connection {
    async fn open(server: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(32 << 10), head: 0, head_at: Utc::now() })
    }

    async fn ask(&mut self, request: &str) -> std::io::Result<()> {
        self.stream.write_all(request.as_bytes()).await
    }

    /// Reads one answer whole. It must be a success of known length.
    async fn read_answer(&mut self) -> std::io::Result<()> {
        self.buffer.clear();
        self.head = 0;
        let mut whole = usize::MAX;
        while self.buffer.len() < whole {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if self.head == 0 {
                let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                    continue;
                };
                self.head_at = Utc::now();
                self.head = end + 4;
                let head = String::from_utf8_lossy(&self.buffer[..end]);
                assert!(head.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer));
                whole = self.head + content_length(&head);
            }
        }
        Ok(())
    }

    fn body(&self) -> &[u8] {
        &self.buffer[self.head..]
    }
}

fn content_length(head: &str) -> usize {
    let field = head.lines().filter_map(|line| line.split_once(':'));
    let mut field = field.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, value) = field.next().unwrap_or_else(|| panic!("an answer of unknown length: {head}"));
    value.trim().parse().expect("a length")
}
