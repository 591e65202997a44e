//! A worker: one thread, one socket, the sessions of its peers.

mod greeting;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::listener::Shared as ListenerShared;
use super::session::{Role, Shared, Verdict};
use super::socket::{Route, Socket};
use crate::protocol::burst::Burst;
use crate::protocol::connection::{CloseReason, Connection};
use crate::protocol::packet;
use crate::protocol::receiver::Payload;
pub(super) use greeting::Greeter;

/// What others ask of a worker.
#[derive(Debug)]
pub(super) enum Command {
    /// Take up a session whose handshake was accepted.
    Open(Box<Opening>),
    /// Answer a request with this datagram (if any) and forget it.
    Dismiss { route: Route, peer_socket: u32, response: Option<Vec<u8>> },
    /// End a session.
    Close(u32),
}

/// A session to be.
pub(super) struct Opening {
    pub(super) route: Route,
    pub(super) connection: Connection,
    pub(super) role: Role,
    pub(super) shared: Arc<Shared>,
    /// When our timestamps begin.
    pub(super) opened: Instant,
    /// The handshake's answer: sent now, and again whenever the peer repeats its question.
    pub(super) response: Option<Vec<u8>>,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("route", &self.route).finish_non_exhaustive()
    }
}

struct Entry {
    opening: Opening,
    reported: Instant,
    touched: bool,
}

/// A worker's state.
pub(super) struct Worker {
    socket: Socket,
    commands: mpsc::Receiver<Command>,
    sessions: HashMap<u32, Entry>,
    greeter: Option<Greeter>,
    listener: Arc<ListenerShared>,
    shutdown: CancellationToken,
    /// Sessions that a datagram came for since they were last driven.
    touched: Vec<u32>,
    inbox: Vec<(Route, BytesMut)>,
    burst: Burst,
    payloads: Vec<Payload>,
    sweep: Instant,
    /// Nobody is left to give commands.
    orphaned: bool,
    /// There has been a session.
    served: bool,
}

impl Worker {
    pub(super) fn new(
        socket: std::net::UdpSocket,
        commands: mpsc::Receiver<Command>,
        greeter: Option<Greeter>,
        listener: Arc<ListenerShared>,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::new(socket)?,
            commands,
            sessions: HashMap::new(),
            greeter,
            listener,
            shutdown,
            touched: Vec::new(),
            inbox: Vec::new(),
            burst: Burst::default(),
            payloads: Vec::new(),
            sweep: Instant::now(),
            orphaned: false,
            served: false,
        })
    }

    /// Runs until shutdown; a caller's worker, which greets nobody, until its session has ended.
    pub(super) async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        loop {
            let alone = self.sessions.is_empty() && self.greeter.as_ref().is_none_or(Greeter::is_idle);
            let wake = if alone { Instant::now() + IDLE } else { self.sweep };
            tokio::select! {
                readable = self.socket.readable() => {
                    if let Err(error) = readable.and_then(|()| self.receive()) {
                        // ICMP errors of a peer that is gone surface here; its session ends by its idle timeout.
                        tracing::debug!(%error, "reading the SRT socket");
                    }
                }
                command = self.commands.recv(), if !self.orphaned => match command {
                    Some(command) => self.obey(command),
                    None => self.orphaned = true,
                },
                () = tokio::time::sleep_until(wake.into()) => {}
                () = shutdown.cancelled() => return self.close_all(),
            }
            self.drive(Instant::now());
            if self.greeter.is_none() && self.served && self.sessions.is_empty() {
                return;
            }
        }
    }

    /// Takes in what has arrived, up to a bound: sessions must be driven in between.
    fn receive(&mut self) -> io::Result<()> {
        for _ in 0..RECEIVE_CALLS_MAX {
            let inbox = &mut self.inbox;
            let count = self.socket.receive(|route, datagram| inbox.push((route, datagram)))?;
            if count == 0 {
                break;
            }
            let now = Instant::now();
            let mut inbox = std::mem::take(&mut self.inbox);
            for (route, datagram) in inbox.drain(..) {
                self.handle(now, route, datagram);
            }
            self.inbox = inbox;
        }
        Ok(())
    }

    fn handle(&mut self, now: Instant, route: Route, datagram: BytesMut) {
        ListenerShared::count(&self.listener.datagrams);
        match packet::destination(&datagram) {
            Some(0) => self.greet(now, route, &datagram),
            Some(id) => match self.sessions.get_mut(&id) {
                // Only the peer that shook hands speaks for a session: an id alone is a guess.
                Some(entry) if entry.opening.route.peer == route.peer => {
                    entry.opening.connection.handle_datagram(now, datagram);
                    if !std::mem::replace(&mut entry.touched, true) {
                        self.touched.push(id);
                    }
                }
                _ => ListenerShared::count(&self.listener.datagrams_stray),
            },
            None => ListenerShared::count(&self.listener.datagrams_malformed),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Open(opening) => {
                if let Some(response) = &opening.response {
                    self.send_one(opening.route, response);
                }
                let id = opening.connection.negotiated().local_socket;
                if let Some(greeter) = &mut self.greeter {
                    greeter.opened(&opening);
                }
                self.sessions
                    .insert(id, Entry { opening: *opening, reported: Instant::now(), touched: false });
                self.listener.sessions.fetch_add(1, Ordering::Relaxed);
                self.served = true;
            }
            Command::Dismiss { route, peer_socket, response } => {
                if let Some(response) = &response {
                    self.send_one(route, response);
                }
                if let Some(greeter) = &mut self.greeter {
                    greeter.dismissed(route, peer_socket);
                }
            }
            Command::Close(id) => {
                if let Some(entry) = self.sessions.get_mut(&id) {
                    entry.opening.connection.close();
                    self.drive_one(Instant::now(), id);
                }
            }
        }
    }

    /// Drives the sessions that something came for, and all of them when a sweep is due.
    fn drive(&mut self, now: Instant) {
        let mut touched = std::mem::take(&mut self.touched);
        if now >= self.sweep {
            self.sweep = now + SWEEP;
            touched.clear();
            touched.extend(self.sessions.keys());
            if let Some(greeter) = &mut self.greeter {
                greeter.expire(now);
            }
        }
        for id in touched.drain(..) {
            self.drive_one(now, id);
        }
        self.touched = touched;
    }

    fn drive_one(&mut self, now: Instant, id: u32) {
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        entry.touched = false;
        let Opening { connection, role, route, shared, .. } = &mut entry.opening;
        connection.handle_timeout(now);
        connection.deliver(now, &mut self.payloads);
        if !self.payloads.is_empty()
            && let Role::Receive(sink) = role
            && sink.deliver(&mut self.payloads) == Verdict::Close
        {
            connection.close();
        }
        self.payloads.clear();
        // A session that has more to send than a burst goes on at the next sweep: others have their turn first.
        let source = match role {
            Role::Send(source) => Some(source.as_mut() as _),
            Role::Receive(_) => None,
        };
        connection.poll_transmit(now, source, &mut self.burst);
        if !self.burst.is_empty() {
            let failures = self.socket.send(*route, &self.burst);
            self.listener.send_failures.fetch_add(failures as u64, Ordering::Relaxed);
            self.burst.clear();
        }
        let closed = connection.closed();
        if closed.is_some() || now.saturating_duration_since(entry.reported) >= REPORT {
            shared.update(connection.stats(now), connection.heard());
            entry.reported = now;
        }
        if let Some(reason) = closed {
            self.forget(id, reason);
        }
    }

    fn forget(&mut self, id: u32, reason: CloseReason) {
        if let Some(entry) = self.sessions.remove(&id) {
            if let Some(greeter) = &mut self.greeter {
                greeter.closed(&entry.opening);
            }
            // The role goes first: who waits for the end finds the Feed released.
            let shared = entry.opening.shared.clone();
            drop(entry);
            shared.end(reason);
            self.listener.sessions.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn close_all(&mut self) {
        let now = Instant::now();
        let ids: Vec<u32> = self.sessions.keys().copied().collect();
        for id in ids {
            if let Some(entry) = self.sessions.get_mut(&id) {
                entry.opening.connection.close();
            }
            self.drive_one(now, id);
        }
    }

    fn send_one(&mut self, route: Route, datagram: &[u8]) {
        let mut burst = std::mem::take(&mut self.burst);
        burst.push(|room| {
            room.get_mut(..datagram.len())?.copy_from_slice(datagram);
            Some(datagram.len())
        });
        let failures = self.socket.send(route, &burst);
        self.listener.send_failures.fetch_add(failures as u64, Ordering::Relaxed);
        burst.clear();
        self.burst = burst;
    }
}

/// Starts a worker on a thread of its own: media and HTTP work elsewhere in the process cannot make packets late.
pub(super) fn start(
    name: String,
    socket: std::net::UdpSocket,
    commands: mpsc::Receiver<Command>,
    greeter: Option<Greeter>,
    listener: Arc<ListenerShared>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = {
        let _context = runtime.enter();
        Worker::new(socket, commands, greeter, listener, shutdown)?
    };
    std::thread::Builder::new().name(name).spawn(move || runtime.block_on(worker.run()))?;
    Ok(())
}

/// Every session is looked at so often: payloads are delivered and sent at most so late, and a burst is so long.
const SWEEP: Duration = Duration::from_millis(2);

/// How often a worker without sessions wakes.
const IDLE: Duration = Duration::from_secs(1);

/// How often a session's numbers are published.
const REPORT: Duration = Duration::from_millis(200);

/// Receive calls before the sessions have their turn.
const RECEIVE_CALLS_MAX: usize = 8;
