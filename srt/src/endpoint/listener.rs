//! A port that many callers share.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gate::{Gate, Limits};
use super::request::Request;
use super::socket::Socket;
use super::waker::{Commands, Waker};
use super::worker::{Greeter, start};
use crate::protocol::handshake::CookieSecret;
use crate::protocol::reject::Reason;

/// How a listener is set up.
#[derive(Debug, Clone, Copy)]
pub struct ListenerSettings {
    /// How many may come in, and how often.
    pub limits: Limits,
    /// Threads that share the port, each with its own socket.
    pub workers: usize,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self { limits: Limits::default(), workers: 1 }
    }
}

/// A listening port.
#[derive(Debug)]
pub struct Listener {
    requests: mpsc::Receiver<Request>,
    local: SocketAddr,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
}

impl Listener {
    /// Binds `address` and starts the workers. `shutdown` ends them, and every session with them. To be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// The address is in use, or not ours to bind.
    pub fn bind(
        address: SocketAddr,
        settings: ListenerSettings,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let shared = Arc::new(Shared::default());
        shared.gate.limit(settings.limits);
        let secret = Arc::new(CookieSecret::random());
        let workers = settings.workers.max(1);
        if workers > 1 && address.port() != 0 {
            // Sharing a port would let a second server take half of our callers unnoticed: ask for it alone first.
            drop(Socket::bind(address, false)?);
        }
        let first = Socket::bind(address, workers > 1)?;
        let local = first.local_addr()?;
        let mut sockets = vec![first];
        for _ in 1..workers {
            sockets.push(Socket::bind(local, true)?);
        }
        for (index, socket) in sockets.into_iter().enumerate() {
            let (secret, sender, greeted) = (secret.clone(), sender.clone(), shared.clone());
            let waker = Waker::new()?;
            let calling = waker.clone();
            let posts = move || {
                let (queue, receiver) = mpsc::channel(COMMANDS_MAX);
                let commands = Commands::new(queue, calling.clone());
                let greeter = Greeter::new(secret.clone(), sender.clone(), commands, greeted.clone());
                Some((receiver, Some(greeter)))
            };
            let name = format!("srt-{}-{index}", local.port());
            start(name, socket, waker, shared.clone(), shutdown.clone(), posts)?;
        }
        Ok(Self { requests, local, shared, shutdown })
    }

    /// The address bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next caller that asks to come in; none after the shutdown.
    pub async fn accept(&mut self) -> Option<Request> {
        tokio::select! {
            request = self.requests.recv() => request,
            () = self.shutdown.cancelled() => None,
        }
    }

    /// Changes [`ListenerSettings::limits`] from now on. Sessions beyond a lower limit go on.
    pub fn limit(&self, limits: Limits) {
        self.shared.gate.limit(limits);
    }

    /// The counters of this port, which outlive the listener.
    pub fn stats(&self) -> ListenerStats {
        ListenerStats(self.shared.clone())
    }
}

/// The counters of a port.
#[derive(Debug, Clone)]
pub struct ListenerStats(Arc<Shared>);

macro_rules! totals {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Default)]
        pub(super) struct Shared {
            pub(super) gate: Arc<Gate>,
            pub(super) sessions: AtomicUsize,
            rejections: Mutex<BTreeMap<u32, u64>>,
            $(pub(super) $name: AtomicU64,)*
        }

        impl ListenerStats {
            /// Sessions that are open.
            pub fn sessions(&self) -> usize {
                self.0.sessions.load(Ordering::Relaxed)
            }

            /// Handshakes turned down, by us or by whoever decided: how many with each code ([`Reason::code`]).
            pub fn rejections(&self) -> BTreeMap<u32, u64> {
                self.0.rejections.lock().unwrap_or_else(PoisonError::into_inner).clone()
            }

            $($(#[$doc])* pub fn $name(&self) -> u64 {
                self.0.$name.load(Ordering::Relaxed)
            })*
        }
    };
}

totals! {
    /// Datagrams that came.
    datagrams,
    /// Datagrams for no session of theirs: late ones, guesses, forgeries.
    datagrams_stray,
    /// Datagrams that are no SRT packet.
    datagrams_malformed,
    /// Handshakes answered with a cookie.
    inductions,
    /// Handshakes that got no answer: too many came at a time.
    inductions_ignored,
    /// Handshakes that proved their address.
    conclusions,
    /// Send calls that the kernel had no room for.
    send_failures,
    /// Receive calls that failed.
    receive_failures,
    /// Sessions that ended by a panic, each alone.
    session_faults,
}

impl Shared {
    /// Adds one to a total.
    pub(super) fn count(total: &AtomicU64) {
        total.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds a handshake turned down. The codes are our own, so there are few.
    pub(super) fn count_rejection(&self, reason: Reason) {
        *self.rejections.lock().unwrap_or_else(PoisonError::into_inner).entry(reason.code()).or_default() +=
            1;
    }
}

/// Callers that wait for a decision, beyond which more are turned away with `Backlog` (1005).
const REQUESTS_MAX: usize = 1_024;

/// Commands that wait for a worker.
const COMMANDS_MAX: usize = 1_024;
