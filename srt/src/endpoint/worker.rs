//! A worker: one thread, one socket, the sessions of its peers.

mod entry;
mod greeting;
mod thread;

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::listener::Shared as ListenerShared;
use super::socket::{Route, Socket};
use crate::protocol::burst::Burst;
use crate::protocol::connection::CloseReason;
use crate::protocol::packet;
use crate::protocol::receiver::Payload;
use entry::Entry;
pub(super) use entry::{End, Opening};
pub(super) use greeting::Greeter;
pub(super) use thread::start;

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
    /// The kernel has no room for more, until the next sweep.
    choked: bool,
    /// The socket failed to be read, and is left alone until the next sweep.
    deaf: bool,
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
            choked: false,
            deaf: false,
            orphaned: false,
            served: false,
        })
    }

    /// Runs until shutdown; a caller's worker, which greets nobody, until its session has ended.
    async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        loop {
            let alone = self.sessions.is_empty() && self.greeter.as_ref().is_none_or(Greeter::is_idle);
            let wake = if alone && !self.deaf { Instant::now() + IDLE } else { self.sweep };
            tokio::select! {
                readable = self.socket.readable(), if !self.deaf => {
                    if let Err(error) = readable.and_then(|()| self.receive()) {
                        // An error may stay for a while (no memory): it must not take the processor.
                        self.deaf = true;
                        ListenerShared::count(&self.listener.receive_failures);
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
        let mut total = 0;
        while total < RECEIVE_DATAGRAMS_MAX {
            let inbox = &mut self.inbox;
            let count = self.socket.receive(|route, datagram| inbox.push((route, datagram)))?;
            if count == 0 {
                break;
            }
            total += count;
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
                    if !std::mem::replace(&mut entry.touched, true) {
                        self.touched.push(id);
                    }
                    self.attempt(id, |entry, _, _| entry.opening.connection.handle_datagram(now, datagram));
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
                let entry = Entry::new(*opening, &self.listener, Instant::now());
                self.sessions.insert(id, entry);
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
                self.attempt(id, |entry, _, _| entry.opening.connection.close());
                self.drive_one(Instant::now(), id, 1);
            }
        }
    }

    /// Drives the sessions that something came for, and all that have something to do when a sweep is due.
    fn drive(&mut self, now: Instant) {
        let mut touched = std::mem::take(&mut self.touched);
        let mut bursts = 1;
        if now >= self.sweep {
            // What a late sweep has missed, it makes good.
            let missed = now.saturating_duration_since(self.sweep).as_micros() / SWEEP.as_micros();
            bursts = 1 + missed.min(BURSTS_MAX - 1);
            self.sweep = now + SWEEP;
            (self.choked, self.deaf) = (false, false);
            touched.clear();
            touched.extend(self.sessions.iter().filter(|(_, entry)| entry.wake <= now).map(|(id, _)| *id));
            if let Some(greeter) = &mut self.greeter {
                greeter.expire(now);
            }
        }
        for id in touched.drain(..) {
            self.drive_one(now, id, bursts);
        }
        self.touched = touched;
    }

    fn drive_one(&mut self, now: Instant, id: u32, bursts: u128) {
        self.attempt(id, |entry, payloads, _| entry.receive(now, payloads));
        // A session that has more to send goes on at the next sweep: others have their turn first.
        for _ in 0..bursts {
            let payloads_too = !self.choked;
            self.attempt(id, |entry, _, burst| entry.transmit(now, burst, payloads_too));
            let Some(entry) = self.sessions.get(&id) else { return };
            let full = self.burst.is_full();
            self.send_burst(entry.opening.route);
            if !full {
                break;
            }
        }
        if let Some(Some(reason)) = self.attempt(id, |entry, _, _| entry.report(now)) {
            self.forget(id, reason);
        }
    }

    /// Does something with a session. Its owner's code runs in there, or ours on what its peer sent: a panic ends this
    /// session, and no other.
    fn attempt<T>(
        &mut self,
        id: u32,
        step: impl FnOnce(&mut Entry, &mut Vec<Payload>, &mut Burst) -> T,
    ) -> Option<T> {
        let entry = self.sessions.get_mut(&id)?;
        let (payloads, burst) = (&mut self.payloads, &mut self.burst);
        match catch_unwind(AssertUnwindSafe(|| step(entry, payloads, burst))) {
            Ok(result) => Some(result),
            Err(_) => {
                self.fail(id);
                None
            }
        }
    }

    fn fail(&mut self, id: u32) {
        self.payloads.clear();
        self.burst.clear();
        ListenerShared::count(&self.listener.session_faults);
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        let (route, connection) = (entry.opening.route, &mut entry.opening.connection);
        tracing::error!(peer = %route.peer, "an SRT session panicked: it is closed, the others go on");
        let burst = &mut self.burst;
        let told = catch_unwind(AssertUnwindSafe(|| {
            connection.close();
            connection.poll_transmit(Instant::now(), None, burst);
        }));
        if told.is_ok() {
            self.send_burst(route);
        }
        self.burst.clear();
        self.forget(id, CloseReason::Failed);
    }

    fn forget(&mut self, id: u32, reason: CloseReason) {
        let Some(mut entry) = self.sessions.remove(&id) else { return };
        if let Some(greeter) = &mut self.greeter {
            greeter.closed(&entry.opening);
        }
        entry.opening.end.reason = reason;
        // The role is its owner's code.
        if catch_unwind(AssertUnwindSafe(|| drop(entry))).is_err() {
            ListenerShared::count(&self.listener.session_faults);
            tracing::error!("the end of an SRT session panicked: the others go on");
        }
    }

    fn close_all(&mut self) {
        let now = Instant::now();
        let ids: Vec<u32> = self.sessions.keys().copied().collect();
        for id in ids {
            self.attempt(id, |entry, _, _| entry.opening.connection.close());
            self.drive_one(now, id, 1);
        }
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Open(mut opening) = command {
                opening.end.reason = CloseReason::Local;
            }
        }
    }

    fn send_burst(&mut self, route: Route) {
        if self.burst.is_empty() {
            return;
        }
        let lost = self.socket.send(route, &self.burst);
        if lost > 0 {
            // What is sent now would be lost as well: payloads wait for the next sweep.
            self.choked = true;
            self.listener.send_failures.fetch_add(lost as u64, Ordering::Relaxed);
        }
        self.burst.clear();
    }

    fn send_one(&mut self, route: Route, datagram: &[u8]) {
        self.burst.push(|room| {
            room.get_mut(..datagram.len())?.copy_from_slice(datagram);
            Some(datagram.len())
        });
        self.send_burst(route);
    }
}

/// Every session is looked at so often: payloads are delivered and sent at most so late, and a burst is so long.
const SWEEP: Duration = Duration::from_millis(2);

/// How often a worker without sessions wakes.
const IDLE: Duration = Duration::from_secs(1);

/// Bursts of one session at a sweep that is late by as many.
const BURSTS_MAX: u128 = 8;

/// Datagrams taken in before the sessions have their turn: some milliseconds of work.
const RECEIVE_DATAGRAMS_MAX: usize = 2_048;
