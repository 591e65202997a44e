//! The connection driver: HTTP/1.1 in which every limit holds.
//!
//! It is the same for every listener (the edge's, the admin's); what is served is an axum [`Router`]. A client
//! can make us hold one socket, one request head and [`Limits::header_bytes_max`] of it, and nothing for
//! longer than the limits say: bodies are shared bytes, and the kernel keeps little of what is not sent.

mod admission;
mod connection;
mod refusal;
mod socket;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use flambeau_config::EdgeHttp;
use socket2::{Domain, Protocol, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stats::{Event, Stats};
use admission::{Admission, Refused};
use connection::Shared;
use refusal::Refusals;

/// What a client may take of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; a further one gets 503 and is closed.
    pub connections_max: usize,
    /// Connections at a time from one address (of IPv6: from one /64).
    pub connections_per_address_max: usize,
    /// Requests a second of one address, on average; a further one gets 429.
    pub requests_per_second_max: u32,
    /// Bytes of a request's line and fields; over: 431, then closed. At least 8 KiB.
    pub header_bytes_max: usize,
    /// From the first byte of a request's head to its last, and from the connection to the first request.
    pub header_timeout: Duration,
    /// From the end of a response to the next request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of a response.
    pub write_timeout: Duration,
}

impl From<&EdgeHttp> for Limits {
    fn from(config: &EdgeHttp) -> Self {
        Self {
            connections_max: config.connections_max,
            connections_per_address_max: config.connections_per_address_max,
            requests_per_second_max: config.requests_per_second_max,
            header_bytes_max: config.header_bytes_max,
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            write_timeout: config.write_timeout,
        }
    }
}

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for HTTP on {address}: {source}")]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// An open listener.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    limits: Limits,
    stats: Arc<Stats>,
}

impl Listener {
    /// Opens a listener on `address`. Call it within a tokio runtime.
    pub fn bind(address: SocketAddr, limits: Limits, stats: Arc<Stats>) -> Result<Self, BindError> {
        let open = || {
            let socket =
                socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            // So that a restart does not wait for the old connections' TIME_WAIT.
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            let socket = TcpListener::from_std(socket.into())?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address, limits, stats })
        };
        open().map_err(|source| BindError { address, source })
    }

    /// Where it listens: the port the system chose, when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `shutdown`; then takes no further connection, lets the requests in flight end
    /// within `grace`, and cuts the rest.
    pub async fn run(self, router: Router, shutdown: CancellationToken, grace: Duration) {
        let Self { socket, address, limits, stats } = self;
        let admission = Admission::new(limits.connections_max, limits.connections_per_address_max);
        let refusals = Refusals::default();
        let cut = CancellationToken::new();
        let shared = Arc::new(Shared { router, limits, stats, shutdown, cut: cut.clone() });
        let tasks = TaskTracker::new();
        while let Some((stream, peer)) = accept(&socket, &shared).await {
            match admission.admit(peer.ip()) {
                Ok(permit) => {
                    let shared = shared.clone();
                    tasks.spawn(async move {
                        connection::drive(&shared, stream, peer).await;
                        drop(permit);
                    });
                }
                Err(reason) => {
                    refused(&shared.stats, reason, peer.ip());
                    refusals.refuse(stream);
                }
            }
        }
        drop(socket);
        tasks.close();
        if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
            tracing::info!(%address, connections = tasks.len(), "cutting the connections that did not end in time");
            cut.cancel();
            tasks.wait().await;
        }
    }
}

/// The next connection; None once the listener is to close.
async fn accept(socket: &TcpListener, shared: &Shared) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.shutdown.cancelled() => return None,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok(connection) => return Some(connection),
            // The client went away while it stood in the queue (accept(2)).
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Out of descriptors or memory, and it stays so until something closes.
                shared.stats.count(Event::AcceptError);
                tracing::warn!(%error, "cannot accept an HTTP connection; raise the limit of open files (ulimit -n) if it is that");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn refused(stats: &Stats, reason: Refused, address: IpAddr) {
    stats.count(match reason {
        Refused::Total => Event::RefusedTotal,
        Refused::PerAddress => Event::RefusedPerAddress,
    });
    tracing::debug!(%address, ?reason, "HTTP connection refused");
}

/// Connections the kernel completes before we accept them: a whole audience may come at once.
const BACKLOG: i32 = 4096;

/// How long to let things close after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
