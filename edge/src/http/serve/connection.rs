//! One client's connection, from its first byte to its last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

use super::Limits;
use super::refusal::{TOO_SLOW, say_and_close};
use super::socket::{Answering, Exchange, Socket};
use crate::http::stats::{Event, Stats};

/// What the connections of a listener share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) stats: Arc<Stats>,
    /// Set: no further request after those in flight.
    pub(super) shutdown: CancellationToken,
    /// Set: no further byte.
    pub(super) cut: CancellationToken,
}

type Connection = http1::Connection<TokioIo<Socket>, Exchanges>;

/// Serves the requests of a connection until it ends.
pub(super) async fn drive(shared: &Shared, stream: TcpStream, peer: SocketAddr) {
    let _open = shared.stats.connection();
    let exchange = Arc::new(Exchange::default());
    let socket = match Socket::new(stream, &shared.limits, shared.stats.clone(), exchange.clone()) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::debug!(%peer, %error, "the connection ended before it began");
            return;
        }
    };
    let exchanges = Exchanges { router: shared.router.clone(), stats: shared.stats.clone(), exchange, peer };
    let mut builder = http1::Builder::new();
    // The socket keeps the time, for hyper's own clock does not tell a slow head from an idle connection.
    builder.header_read_timeout(None);
    builder.max_header_size(shared.limits.header_bytes_max);
    builder.max_buf_size(shared.limits.header_bytes_max.max(HYPER_BUFFER_BYTES_MIN));
    let mut connection = builder.serve_connection(TokioIo::new(socket), exchanges);
    tokio::select! {
        () = shared.cut.cancelled() => {}
        ended = AssertUnwindSafe(exchange_all(&mut connection, &shared.shutdown)).catch_unwind() => match ended {
            Ok(result) => end(shared, connection, result, peer).await,
            // The panic hook has logged it; this connection ends and no other notices.
            Err(_) => shared.stats.count(Event::Panic),
        },
    }
}

/// Polls the connection to its end; once `shutdown` is set, to the end of the request in flight.
async fn exchange_all(connection: &mut Connection, shutdown: &CancellationToken) -> hyper::Result<()> {
    tokio::select! {
        biased;
        ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => return ended,
        () = shutdown.cancelled() => {}
    }
    Pin::new(&mut *connection).graceful_shutdown();
    std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await
}

async fn end(shared: &Shared, connection: Connection, result: hyper::Result<()>, peer: SocketAddr) {
    let socket = connection.into_parts().io.into_inner();
    let Err(error) = result else { return say_and_close(socket.into_stream(), b"").await };
    tracing::debug!(%peer, %error, "connection ended");
    if socket.is_head_late() {
        say_and_close(socket.into_stream(), TOO_SLOW).await;
    } else if error.is_parse() {
        // hyper has answered 400, 414 or 431.
        let large = error.is_parse_too_large();
        shared.stats.count(if large { Event::HeaderTooLarge } else { Event::HeaderMalformed });
        say_and_close(socket.into_stream(), b"").await;
    }
}

/// A connection's requests, each handed to the router, counted and logged.
struct Exchanges {
    router: Router,
    stats: Arc<Stats>,
    exchange: Arc<Exchange>,
    peer: SocketAddr,
}

impl hyper::service::Service<Request<Incoming>> for Exchanges {
    type Response = Response<Sent>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let began = std::time::Instant::now();
        let peer = self.peer;
        let pending = Pending { stats: self.stats.clone(), answered: false };
        let answering = self.exchange.begin();
        let logged = tracing::enabled!(tracing::Level::DEBUG)
            .then(|| (request.method().clone(), request.uri().clone()));
        let response = self.router.clone().call(request);
        Box::pin(async move {
            let response = response.await?;
            pending.answered(&response);
            if let Some((method, uri)) = logged {
                let bytes = http_body::Body::size_hint(response.body()).exact();
                let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis());
                tracing::debug!(%peer, %method, %uri, status, bytes, ms, "request");
            }
            Ok(response.map(|inner| Sent { inner, _answering: answering }))
        })
    }
}

/// A request without a response yet. Dropped as it is, its client went away.
struct Pending {
    stats: Arc<Stats>,
    answered: bool,
}

impl Pending {
    fn answered(mut self, response: &Response<Body>) {
        self.answered = true;
        self.stats.response(response.status());
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            self.stats.count(Event::RequestAbandoned);
        }
    }
}

/// A response's body, which ends its exchange when it is dropped.
struct Sent {
    inner: Body,
    _answering: Answering,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// hyper takes no smaller buffer.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;
