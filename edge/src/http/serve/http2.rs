//! HTTP/2 (RFC 9113): many requests of one client at a time, each with limits of its own.

mod stream;

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::server::Connection;
use h2::{Ping, PingPong, Reason};
use tokio::time::{Instant, sleep, timeout};

use super::Limits;
use super::requests::Requests;
use super::socket::{Exchange, Socket};
use crate::http::stats::Event;

/// Serves the streams of a connection until it ends.
pub(super) async fn serve(
    requests: Requests,
    socket: Socket,
    exchange: &Exchange,
    limits: &Limits,
) -> io::Result<()> {
    requests.shared.stats.count(Event::Http2Connection);
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX)
        .initial_window_size(RECEIVE_WINDOW_BYTES)
        .initial_connection_window_size(RECEIVE_WINDOW_BYTES);
    let mut connection = match builder.handshake::<_, Bytes>(socket).await {
        Ok(connection) => connection,
        Err(error) => return ended(&requests, error),
    };
    match streams(&requests, &mut connection, exchange, limits).await {
        Ok(()) => Ok(()),
        Err(error) => ended(&requests, error),
    }
}

/// The client's fault is counted, its going away is not.
fn ended(requests: &Requests, error: h2::Error) -> io::Result<()> {
    if error.is_library() && !error.is_io() {
        let calm = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
        requests.shared.stats.count(if calm { Event::Flooded } else { Event::HeaderMalformed });
    }
    Err(io::Error::other(error))
}

/// Accepts and answers, until the client ends or has been told to.
async fn streams(
    requests: &Requests,
    connection: &mut Connection<Socket, Bytes>,
    exchange: &Exchange,
    limits: &Limits,
) -> Result<(), h2::Error> {
    let shared = &requests.shared;
    let mut streams = FuturesUnordered::new();
    let dead = is_dead(connection.ping_pong());
    tokio::pin!(dead);
    // The first request must come within the time of a head: a silent connection is no client yet.
    let unused = sleep(limits.header_timeout.min(limits.idle_timeout));
    tokio::pin!(unused);
    let (mut used, mut ending) = (false, false);
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                None => return Ok(()),
                Some(accepted) => {
                    let (request, respond) = accepted?;
                    used = true;
                    streams.push(stream::serve(requests, request, respond, limits));
                }
            },
            Some(()) = streams.next() => if streams.is_empty() {
                let patience = if ending { FAREWELL } else { limits.idle_timeout };
                unused.as_mut().reset(Instant::now() + patience);
            },
            () = unused.as_mut(), if streams.is_empty() => {
                if ending {
                    return Ok(());
                }
                if used {
                    shared.stats.count(Event::IdleTimeout);
                } else if exchange.is_first_to_be_late() {
                    shared.stats.count(Event::HeaderTimeout);
                }
                ending = true;
                connection.graceful_shutdown();
                unused.as_mut().reset(Instant::now() + FAREWELL);
            }
            () = shared.shutdown.cancelled(), if !ending => {
                ending = true;
                connection.graceful_shutdown();
                unused.as_mut().reset(Instant::now() + FAREWELL);
            }
            () = exchange.flooded.notified() => {
                shared.stats.count(Event::Flooded);
                streams.clear();
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let told = timeout(FAREWELL, async { while connection.accept().await.is_some() {} });
                // A client that does not listen either is cut all the same.
                drop(told.await);
                return Ok(());
            }
            () = &mut dead => {
                shared.stats.count(Event::WriteTimeout);
                return Ok(());
            }
        }
    }
}

/// Ends once the client no longer answers a ping (RFC 9113 6.7): it went away without a word, while it waits for a Part.
async fn is_dead(pings: Option<PingPong>) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(PING_INTERVAL).await;
        match timeout(PONG_TIMEOUT, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection has ended, which is told by itself.
            Ok(Err(_)) => return std::future::pending().await,
            Err(_) => return,
        }
    }
}

/// Requests of one connection at a time: a player has ten, a CDN's node opens another connection.
const STREAMS_MAX: u32 = 256;
/// What of a response waits in the connection for its turn. It is a reference to shared bytes, not a copy.
const SEND_BUFFER_BYTES_MAX: usize = 256 << 10;
/// What a client may send unasked: we take small bodies at the admin port, and none at the edge.
const RECEIVE_WINDOW_BYTES: u32 = 65_535;
/// How long a client may take over its goodbye.
const FAREWELL: Duration = Duration::from_secs(1);
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PONG_TIMEOUT: Duration = Duration::from_secs(15);
