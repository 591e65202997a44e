//! Clients of blocking Playlist reload that do as little as they can, for they share the machine with the server.

use std::io::{Error, ErrorKind, IoSliceMut, Result};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use flambeau_media::time::Utc;
use nix::cmsg_space;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

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
    /// When the head of the answer was at the client's socket, whenever the client came to read it.
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
            // Viewers have machines of their own: here they give way to the server.
            rustix::process::nice(19).expect("nicer");
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
async fn lead(server: SocketAddr, path: String, tell: watch::Sender<Position>) -> Result<()> {
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

async fn follow(
    server: SocketAddr,
    path: String,
    step: Step,
    mut next: watch::Receiver<Position>,
    answers: Answers,
) -> Result<()> {
    let mut connection = Connection::open(server).await?;
    let mut asked = (0, 0);
    loop {
        let told = next.wait_for(|next| target(*next, step) > asked).await;
        asked = target(*told.expect("the lead lives as long as its followers"), step);
        connection.ask(&request(server, &path, Some(asked), "gzip")).await?;
        connection.read_answer().await?;
        let answered = Answered { position: asked, at: connection.head_at };
        answers.lock().unwrap_or_else(PoisonError::into_inner).push(answered);
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
    len: usize,
    head: usize,
    head_at: Utc,
}

impl Connection {
    async fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        // A thousand clients on one thread come to their answers one after the other, and their broadcasters' machines
        // would not: the kernel tells when each arrived.
        setsockopt(&stream, ReceiveTimestampns, &true)?;
        Ok(Self { stream, buffer: vec![0; ANSWER_BYTES_MAX], len: 0, head: 0, head_at: Utc::now() })
    }

    async fn ask(&mut self, request: &str) -> Result<()> {
        self.stream.write_all(request.as_bytes()).await
    }

    /// Reads one answer whole. It must be a success of known length.
    async fn read_answer(&mut self) -> Result<()> {
        (self.len, self.head) = (0, 0);
        let mut whole = usize::MAX;
        while self.len < whole {
            let at = self.read().await?;
            let read = &self.buffer[..self.len];
            if self.head == 0 {
                let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
                (self.head, self.head_at) = (end + 4, at);
                let head = String::from_utf8_lossy(&read[..end]);
                assert!(head.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(read));
                whole = self.head + content_length(&head);
            }
        }
        Ok(())
    }

    /// Reads what there is, and tells when the last of it arrived.
    async fn read(&mut self) -> Result<Utc> {
        assert!(self.len < self.buffer.len(), "an answer of more than {ANSWER_BYTES_MAX} bytes");
        let (descriptor, room) = (self.stream.as_raw_fd(), &mut self.buffer[self.len..]);
        let mut control = cmsg_space!(TimeSpec);
        let read = self.stream.async_io(Interest::READABLE, || {
            let mut rooms = [IoSliceMut::new(room)];
            let read = recvmsg::<()>(descriptor, &mut rooms, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
            let at = read.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(at) => {
                    Some(Utc(at.tv_sec() * 1_000_000 + at.tv_nsec() / 1_000))
                }
                _ => None,
            });
            Ok((read.bytes, at))
        });
        let (bytes, at) = read.await?;
        if bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.len += bytes;
        at.ok_or_else(|| Error::other("the kernel did not tell when it arrived"))
    }

    fn body(&self) -> &[u8] {
        &self.buffer[self.head..self.len]
    }
}

fn content_length(head: &str) -> usize {
    let field = head.lines().filter_map(|line| line.split_once(':'));
    let mut field = field.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, value) = field.next().unwrap_or_else(|| panic!("an answer of unknown length: {head}"));
    value.trim().parse().expect("a length")
}

/// A Playlist of ten minutes, or a Delta Update, and its head.
const ANSWER_BYTES_MAX: usize = 128 << 10;
