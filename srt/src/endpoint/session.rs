//! A session as its owner sees it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::waker::Commands;
use super::worker::Command;
use crate::protocol::connection::CloseReason;
use crate::protocol::receiver::Payload;
use crate::protocol::sender::Source;
use crate::protocol::stats::Stats;

/// Where the payloads of a receiving session go. Called on the session's worker: it must not block.
pub trait Sink: Send {
    /// Takes what is due, in order, and leaves the list empty.
    fn deliver(&mut self, payloads: &mut Vec<Payload>) -> Verdict;
}

/// Whether a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Continue,
    /// It ends now.
    Close,
}

/// What a session is for.
pub enum Role {
    /// The peer sends; payloads go to the sink.
    Receive(Box<dyn Sink>),
    /// The peer receives; payloads come from the source.
    Send(Box<dyn Source>),
}

/// A session. Dropping the handle leaves the session running; [`Session::close`] ends it.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
    commands: Commands,
    id: u32,
}

#[derive(Debug)]
pub(super) struct Shared {
    peer: SocketAddr,
    snapshot: Mutex<Snapshot>,
    closed: watch::Sender<Option<CloseReason>>,
}

#[derive(Debug, Clone, Copy)]
struct Snapshot {
    stats: Stats,
    heard: Instant,
}

impl Session {
    pub(super) fn new(peer: SocketAddr, id: u32, commands: Commands) -> Self {
        let snapshot = Mutex::new(Snapshot { stats: Stats::default(), heard: Instant::now() });
        Self { shared: Arc::new(Shared { peer, snapshot, closed: watch::Sender::new(None) }), commands, id }
    }

    /// The peer's address.
    pub fn peer(&self) -> SocketAddr {
        self.shared.peer
    }

    /// Whether both are handles of one session.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The session's numbers, at most a quarter of a second old.
    pub fn stats(&self) -> Stats {
        self.shared.read().stats
    }

    /// When the peer was last heard, known to a quarter of a second.
    pub fn heard(&self) -> Instant {
        self.shared.read().heard
    }

    /// Why the session is over, once it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        *self.shared.closed.borrow()
    }

    /// Waits for the session's end.
    pub async fn closed(&self) -> CloseReason {
        let mut closed = self.shared.closed.subscribe();
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(CloseReason::Local),
            Err(_) => CloseReason::Local,
        }
    }

    /// Ends the session; the peer is told.
    pub async fn close(&self) {
        // Where the worker has ended, the session has with it.
        self.commands.send(Command::Close(self.id)).await;
    }

    pub(super) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }
}

impl Shared {
    pub(super) fn update(&self, stats: Stats, heard: Instant) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Snapshot { stats, heard };
    }

    pub(super) fn end(&self, reason: CloseReason) {
        self.closed.send_replace(Some(reason));
    }

    fn read(&self) -> Snapshot {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
