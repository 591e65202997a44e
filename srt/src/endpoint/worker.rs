//! A worker: one thread, one socket, the sessions of its peers.

mod entry;
mod greeting;
mod thread;
mod wheel;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::listener::Shared as ListenerShared;
use super::session::Role;
use super::socket::{Inbox, Route, Socket};
use super::waker::Waker;
use crate::protocol::burst::Burst;
use crate::protocol::connection::CloseReason;
use crate::protocol::packet;
use crate::protocol::receiver::Payload;
use entry::Entry;
pub(super) use entry::{End, Opening};
pub(super) use greeting::Greeter;
pub(super) use thread::start;
use wheel::{Slot, Wheel};

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
    waker: Waker,
    commands: mpsc::Receiver<Command>,
    /// Each in a place of its own: a table that grows moves none of them, and keeps no room for what may come.
    sessions: HashMap<u32, Box<Entry>, BuildHasherDefault<IdHasher>>,
    greeter: Option<Greeter>,
    listener: Arc<ListenerShared>,
    shutdown: CancellationToken,
    wheel: Wheel,
    /// Turns that have come.
    due: Vec<(Slot, u32)>,
    /// Sessions that a datagram came for since they were last driven.
    touched: Vec<u32>,
    inbox: Inbox,
    burst: Burst,
    payloads: Vec<Payload>,
    /// Until then the socket is left alone: what arrives meanwhile is read together.
    quiet_until: Instant,
    /// Until then it is not left alone for as long: packets are being lost, and asked for.
    hasty_until: Instant,
    /// The kernel has no room for more, until the next slot.
    choked: bool,
    /// There has been a session.
    served: bool,
}

impl Worker {
    pub(super) fn new(
        socket: std::net::UdpSocket,
        waker: Waker,
        commands: mpsc::Receiver<Command>,
        greeter: Option<Greeter>,
        listener: Arc<ListenerShared>,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let now = Instant::now();
        Ok(Self {
            socket: Socket::new(socket)?,
            waker,
            commands,
            sessions: HashMap::default(),
            greeter,
            listener,
            shutdown,
            wheel: Wheel::new(now),
            due: Vec::new(),
            touched: Vec::new(),
            inbox: Inbox::new(),
            burst: Burst::default(),
            payloads: Vec::new(),
            quiet_until: now,
            hasty_until: now,
            choked: false,
            served: false,
        })
    }

    /// Runs until shutdown; a caller's worker, which greets nobody, until its session has ended.
    fn run(mut self) {
        loop {
            let waited = self.wait();
            // First, so that what has already come for a session that is to be opened finds it.
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command);
            }
            if let Err(error) = waited.and_then(|()| self.receive()) {
                // An error may stay for a while (no memory): it must not take the processor.
                self.quiet_until = Instant::now() + PAUSE;
                ListenerShared::count(&self.listener.receive_failures);
                tracing::debug!(%error, "reading the SRT socket");
            }
            if self.shutdown.is_cancelled() {
                return self.close_all();
            }
            self.drive(Instant::now());
            if self.greeter.is_none() && self.served && self.sessions.is_empty() {
                return;
            }
        }
    }

    /// Waits for the next turn, a command or, once it is time for it, a datagram.
    ///
    /// A busy socket wakes nobody: it is read when a session has its turn anyway, or some time after it was last read. So a
    /// thousand acknowledgements cost a wake-up, not a thousand.
    fn wait(&self) -> io::Result<()> {
        let now = Instant::now();
        let next = self.wheel.next().unwrap_or(now + IDLE).min(now + IDLE);
        if next <= now {
            return Ok(());
        }
        if self.quiet_until > now {
            let until = next.min(self.quiet_until);
            let called = self.socket.wait(&self.waker, false, until - now)?;
            if called || until == next {
                return Ok(());
            }
        }
        let timeout = next.saturating_duration_since(Instant::now());
        self.socket.wait(&self.waker, true, timeout).map(drop)
    }

    /// Takes in what has arrived, up to a bound: sessions must be driven in between.
    fn receive(&mut self) -> io::Result<()> {
        let mut total = 0;
        let mut inbox = std::mem::take(&mut self.inbox);
        let result = loop {
            match self.socket.receive(&mut inbox) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            let now = Instant::now();
            total += inbox.each(now, |came, route, datagram| self.handle(came, route, datagram));
            self.quiet_until = now + if now < self.hasty_until { QUIET / 2 } else { QUIET };
            if inbox.is_drained() || total >= RECEIVE_DATAGRAMS_MAX {
                break Ok(());
            }
        };
        self.inbox = inbox;
        result
    }

    fn handle(&mut self, now: Instant, route: Route, datagram: &mut [u8]) {
        ListenerShared::count(&self.listener.datagrams);
        match packet::destination(datagram) {
            Some(0) => self.greet(now, route, datagram),
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
                    self.answer(opening.route, response);
                }
                let id = opening.connection.negotiated().local_socket;
                if let Some(greeter) = &mut self.greeter {
                    greeter.opened(&opening);
                }
                let now = Instant::now();
                self.sessions.insert(id, Box::new(Entry::new(*opening, &self.listener, now)));
                self.give_turn(id, now);
                self.served = true;
            }
            Command::Dismiss { route, peer_socket, response } => {
                if let Some(response) = &response {
                    self.answer(route, response);
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

    /// Drives the sessions whose turn has come, and those that something came for which cannot wait for it.
    fn drive(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.take(now, &mut due);
        self.choked &= due.is_empty();
        for (slot, id) in due.drain(..) {
            let Some(entry) = self.sessions.get_mut(&id).filter(|entry| entry.turn == slot) else { continue };
            entry.turn = Slot::MAX;
            // What a late turn has missed, it makes good.
            let late = now.saturating_duration_since(self.wheel.time(slot));
            let missed = late.as_micros() / MISSED.as_micros();
            self.drive_one(now, id, 1 + missed.min(BURSTS_MAX - 1));
        }
        self.due = due;
        let mut touched = std::mem::take(&mut self.touched);
        for id in touched.drain(..) {
            let Some(entry) = self.sessions.get_mut(&id) else { continue };
            if !std::mem::take(&mut entry.touched) {
                continue;
            }
            if entry.is_urgent() {
                self.hasty_until = now + HASTE;
                self.drive_one(now, id, 1);
            } else if let Role::Receive(_) = entry.opening.role {
                // What came is due at some time, and is to be acknowledged.
                let at = entry.next_turn(now, &self.wheel, 0, false);
                self.give_turn(id, at);
            }
        }
        self.touched = touched;
        if let Some(greeter) = &mut self.greeter {
            greeter.expire(now);
        }
    }

    fn drive_one(&mut self, now: Instant, id: u32, bursts: u128) {
        self.attempt(id, |entry, payloads, _| entry.receive(now, payloads));
        let (mut payloads, mut full) = (0, false);
        // A session that has more to send goes on at its next turn: others have theirs first.
        for _ in 0..bursts {
            let payloads_too = !self.choked;
            let sent = self.attempt(id, |entry, _, burst| entry.transmit(now, burst, payloads_too));
            let Some(entry) = self.sessions.get(&id) else { return };
            payloads += sent.unwrap_or(0);
            full = self.burst.is_full();
            let (route, in_runs) = (entry.opening.route, entry.in_runs);
            let refused = self.send_burst(route, in_runs);
            if let Some(entry) = self.sessions.get_mut(&id).filter(|_| refused) {
                entry.in_runs = false;
            }
            if !full {
                break;
            }
        }
        if let Some(Some(reason)) = self.attempt(id, |entry, _, _| entry.report(now)) {
            return self.forget(id, reason);
        }
        if let Some(entry) = self.sessions.get_mut(&id) {
            let at = entry.next_turn(now, &self.wheel, payloads, full);
            self.give_turn(id, at);
        }
    }

    /// Gives a session a turn at `at`, unless it has an earlier one.
    fn give_turn(&mut self, id: u32, at: Instant) {
        let slot = self.wheel.slot(at);
        if let Some(entry) = self.sessions.get_mut(&id).filter(|entry| slot < entry.turn) {
            entry.turn = slot;
            self.wheel.put(slot, id);
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
            self.send_burst(route, false);
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

    /// Sends what is in hand. True: the kernel takes no runs on this path.
    fn send_burst(&mut self, route: Route, in_runs: bool) -> bool {
        if self.burst.is_empty() {
            return false;
        }
        let sent = self.socket.send(route, &self.burst, in_runs);
        // What is sent now would be lost as well: payloads wait for the next slot.
        self.choked |= sent.is_full;
        if sent.lost > 0 {
            self.listener.send_failures.fetch_add(sent.lost as u64, Ordering::Relaxed);
        }
        self.burst.clear();
        sent.refused_runs
    }

    fn answer(&self, route: Route, datagram: &[u8]) {
        if !self.socket.answer(route, datagram) {
            ListenerShared::count(&self.listener.send_failures);
        }
    }
}

/// Ids are our own, drawn at random: spreading their bits is all it takes.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(self.0 as u32 ^ u32::from(byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        // 2^64 divided by the golden ratio.
        self.0 = u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// How often a worker with nothing to do wakes.
const IDLE: Duration = Duration::from_secs(1);

/// A socket that had datagrams is left alone for so long: what comes meanwhile (a request for a lost packet, a handshake)
/// waits, and is read together.
const QUIET: Duration = Duration::from_millis(8);

/// How long a worker is hasty after a packet was lost.
const HASTE: Duration = Duration::from_secs(1);

/// A turn that is late by this has missed a burst.
const MISSED: Duration = Duration::from_millis(2);

/// How long a socket that fails is left alone.
const PAUSE: Duration = Duration::from_millis(2);

/// Bursts of one session at a turn that is late by as many.
const BURSTS_MAX: u128 = 8;

/// Datagrams taken in before the sessions have their turn: some milliseconds of work.
const RECEIVE_DATAGRAMS_MAX: usize = 2_048;
