//! HTTP/1.1 by hyper, with our clocks.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::refusal::{TOO_SLOW, say_and_close};
use super::requests::{Requests, Sent};
use super::socket::{Exchange, Socket};
use crate::http::stats::Event;

type Connection = http1::Connection<TokioIo<Socket>, Exchanges>;

/// Serves requests one after the other.
pub(super) async fn serve(
    requests: Requests,
    socket: Socket,
    exchange: Arc<Exchange>,
    limits: &Limits,
) -> io::Result<()> {
    let shared = requests.shared.clone();
    let mut builder = http1::Builder::new();
    // The socket keeps the time, for hyper's own clock does not tell a slow head from an idle connection.
    builder.header_read_timeout(None);
    builder.max_header_size(limits.header_bytes_max);
    builder.max_buf_size(limits.header_bytes_max.max(HYPER_BUFFER_BYTES_MIN));
    let mut connection = builder.serve_connection(TokioIo::new(socket), Exchanges { requests, exchange });
    let result = exchange_all(&mut connection, &shared.shutdown).await;
    let socket = connection.into_parts().io.into_inner();
    let Err(error) = result else {
        say_and_close(socket.into_stream(), b"").await;
        return Ok(());
    };
    if socket.is_head_late() {
        say_and_close(socket.into_stream(), TOO_SLOW).await;
    } else if error.is_parse() {
        // hyper has answered 400, 414 or 431.
        let large = error.is_parse_too_large();
        shared.stats.count(if large { Event::HeaderTooLarge } else { Event::HeaderMalformed });
        say_and_close(socket.into_stream(), b"").await;
    }
    Err(io::Error::other(error))
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

/// A connection's requests, as hyper asks for them.
struct Exchanges {
    requests: Requests,
    exchange: Arc<Exchange>,
}

impl hyper::service::Service<Request<Incoming>> for Exchanges {
    type Response = Response<Sent>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answering = self.exchange.begin();
        let requests = self.requests.clone();
        Box::pin(async move {
            let response = requests.answer(request.map(Body::new)).await;
            Ok(response.map(|sent| sent.ends(answering)))
        })
    }
}

/// hyper takes no smaller buffer.
const HYPER_BUFFER_BYTES_MIN: usize = 8192;
