//! The connection driver: HTTP/1.1 and HTTP/2, with TLS 1.3 or in the clear, in which every limit holds.
//!
//! It is the same for every listener (the edge's, the admin's); what is served is an axum [`Router`]. A client
//! can make us hold one socket, the heads of its requests and [`Limits::header_bytes_max`] of each, and nothing for
//! longer than the limits say: bodies are shared bytes, and the kernel keeps little of what is not sent.
//!
//! HTTP/2 is spoken with whoever agrees on it in TLS (ALPN `h2`) or begins with its preface (RFC 9113 3.3).

mod admission;
mod clients;
mod connection;
mod frames;
mod http1;
mod http2;
mod refusal;
pub(super) mod requests;
mod socket;
mod stream;
mod tls;
mod wire;

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

use super::access_log::AccessLog;
use super::stats::{Event, Stats};
use admission::{Admission, Refused};
use clients::Clients;
pub use connection::LiveLimits;
use connection::Shared;
use refusal::Refusals;
use tls::Tls;
pub use tls::{CertificateFiles, TlsError};

/// What a client may take of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; a further one gets 503 and is closed. As many streams of HTTP/2, over all connections.
    pub connections_max: usize,
    /// Connections at a time from one address (of IPv6: from one /64), and as many streams of HTTP/2.
    pub connections_per_address_max: usize,
    /// Requests a second of one address, on average; a further one gets 429.
    pub requests_per_second_max: u32,
    /// Bytes of a request's line and fields; over: 431, then closed. At least 8 KiB.
    pub header_bytes_max: usize,
    /// From the first byte of a request's head to its last, and from the connection to the first request.
    pub header_timeout: Duration,
    /// From the end of a response to the next request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of a response: over HTTP/1 the connection ends, over HTTP/2 the stream.
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
    limits: LiveLimits,
    tls: Option<Tls>,
    access_log: Option<AccessLog>,
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
            let limits = LiveLimits::new(limits);
            Ok(Self { socket, address, limits, tls: None, access_log: None, stats })
        };
        open().map_err(|source| BindError { address, source })
    }

    /// Where it listens: the port the system chose, when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Speaks TLS, and nothing else, with the certificate in `files`, which is read again when it changes.
    pub fn with_certificate(self, files: CertificateFiles) -> Result<Self, TlsError> {
        let tls = Tls::new(files, self.stats.clone())?;
        Ok(Self { tls: Some(tls), ..self })
    }

    /// Writes a line for each request to `log`.
    pub(super) fn with_access_log(self, log: AccessLog) -> Self {
        Self { access_log: Some(log), ..self }
    }

    /// Its limits, which may be set while it runs.
    pub fn limits(&self) -> LiveLimits {
        self.limits.clone()
    }

    /// What takes other files for the certificate's from now on; None: it does not speak TLS.
    pub(super) fn certificate_setter(&self) -> Option<impl Fn(CertificateFiles) + Send + Sync + use<>> {
        self.tls.clone().map(|tls| move |files| tls.set_files(files))
    }

    /// Serves `router` until `shutdown`; then takes no further connection, lets the requests in flight end
    /// within `grace`, and cuts the rest.
    pub async fn run(self, router: Router, shutdown: CancellationToken, grace: Duration) {
        let Self { socket, address, limits, tls, access_log, stats } = self;
        let (admission, clients) = (Arc::new(Admission::default()), Arc::new(Clients::default()));
        let refusals = Refusals::default();
        let cut = CancellationToken::new();
        let tasks = TaskTracker::new();
        let following = tls.clone().map(|tls| tokio::spawn(async move { tls.follow().await }));
        let shared = Shared { router, limits, clients, tls, access_log, stats, shutdown, cut: cut.clone() };
        let shared = Arc::new(shared);
        while let Some((stream, peer)) = accept(&socket, &shared).await {
            let limits = shared.limits.now();
            match admission.admit(peer.ip(), limits.connections_max, limits.connections_per_address_max) {
                Ok(permit) => {
                    let shared = shared.clone();
                    tasks.spawn(async move {
                        connection::drive(&shared, stream, peer).await;
                        drop(permit);
                    });
                }
                Err(reason) => {
                    refused(&shared.stats, reason, peer.ip());
                    // In TLS there is nothing to say without a handshake, which is what there is no room for.
                    if shared.tls.is_none() {
                        refusals.refuse(stream);
                    }
                }
            }
        }
        drop(socket);
        if let Some(following) = following {
            following.abort();
        }
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
