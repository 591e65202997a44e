//! One client's connection, from its first byte to its last.

use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use futures_util::FutureExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use super::refusal::{TOO_SLOW, say_and_close};
use super::requests::Requests;
use super::socket::{Exchange, Protocol, Socket};
use super::stream::Stream;
use super::tls::Tls;
use super::wire::Wire;
use super::{Limits, http1, http2};
use crate::http::access_log::AccessLog;
use crate::http::stats::{Event, Stats};

/// The limits of this moment.
#[derive(Debug, Clone)]
pub struct LiveLimits(Arc<RwLock<Limits>>);

impl LiveLimits {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(RwLock::new(limits)))
    }

    /// Those of this moment.
    pub fn now(&self) -> Limits {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets them. The times and sizes hold for connections that begin from now on, the counts at once; what is open
    /// stays open.
    pub fn set(&self, limits: Limits) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }
}

/// What the connections of a listener share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) limits: LiveLimits,
    pub(super) clients: Arc<Clients>,
    pub(super) tls: Option<Tls>,
    pub(super) access_log: Option<AccessLog>,
    pub(super) stats: Arc<Stats>,
    /// Set: no further request after those in flight.
    pub(super) shutdown: CancellationToken,
    /// Set: no further byte.
    pub(super) cut: CancellationToken,
}

/// Serves the requests of a connection until it ends.
pub(super) async fn drive(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let _open = shared.stats.connection();
    tokio::select! {
        () = shared.cut.cancelled() => {}
        ended = AssertUnwindSafe(serve(shared, stream, peer)).catch_unwind() => match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%peer, %error, "connection ended"),
            // The panic hook has logged it; this connection ends and no other notices.
            Err(_) => shared.stats.count(Event::Panic),
        },
    }
}

async fn serve(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    let limits = shared.limits.now();
    let wire = Wire::new(stream, limits.write_timeout, shared.stats.clone())?;
    let stream = match &shared.tls {
        None => Stream::Plain(wire),
        Some(tls) => {
            // A drain does not wait for who has not said hello yet.
            let greeted = tokio::select! {
                greeted = tls.greet(wire, limits.header_timeout.min(limits.idle_timeout)) => greeted?,
                () = shared.shutdown.cancelled() => return Ok(()),
            };
            Stream::Tls(Box::new(greeted))
        }
    };
    let exchange = Arc::new(Exchange::default());
    let mut socket = Socket::new(stream, &limits, shared.stats.clone(), exchange.clone());
    let requests = Requests { shared: shared.clone(), peer };
    let protocol = tokio::select! {
        protocol = socket.protocol() => protocol,
        () = shared.shutdown.cancelled() => return Ok(()),
    };
    match protocol {
        Ok(Protocol::Http1) => http1::serve(requests, socket, exchange, &limits).await,
        Ok(Protocol::Http2) => http2::serve(requests, socket, &exchange, &limits).await,
        Err(error) => {
            if socket.is_head_late() {
                say_and_close(socket.into_stream(), TOO_SLOW).await;
            }
            Err(error)
        }
    }
}
