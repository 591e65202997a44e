//! A client's socket with a clock on it: for the head of a request, between requests, and for what it does not take.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::Limits;
use crate::http::stats::{Event, Stats};

/// Unsent bytes the kernel keeps for one client. What is sent and not yet acknowledged is the congestion
/// window's affair, so a long fat path is not slowed; a client that stops reading costs this much, not megabytes.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// Counts the ends of a connection's exchanges: odd while a request is being answered, even between requests.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    ends: AtomicU32,
    /// Wakes whoever reads from the socket.
    reader: AtomicWaker,
}

impl Exchange {
    /// A request has arrived; it is answered when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        self.ends.fetch_add(1, Relaxed);
        Answering(self.clone())
    }

    fn count(&self) -> u32 {
        self.ends.load(Relaxed)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Answering(Arc<Exchange>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.ends.fetch_add(1, Relaxed);
        // hyper does not look at the socket again by itself, and so would not set the clock for the next request.
        self.0.reader.wake();
    }
}

/// What a read waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The first byte of a request.
    Request(u32),
    /// The rest of its head.
    Head(u32),
}

/// A client's socket.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    stats: Arc<Stats>,
    exchange: Arc<Exchange>,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    read_clock: Pin<Box<Sleep>>,
    awaited: Option<Awaited>,
    write_clock: Pin<Box<Sleep>>,
    write_blocked: bool,
    head_late: bool,
}

impl Socket {
    pub(super) fn new(
        stream: TcpStream,
        limits: &Limits,
        stats: Arc<Stats>,
        exchange: Arc<Exchange>,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        Ok(Self {
            stream,
            stats,
            exchange,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.write_timeout,
            read_clock: Box::pin(sleep(limits.header_timeout)),
            awaited: None,
            write_clock: Box::pin(sleep(limits.write_timeout)),
            write_blocked: false,
            head_late: false,
        })
    }

    /// Whether the head of a request began and did not end in time.
    pub(super) fn is_head_late(&self) -> bool {
        self.head_late
    }

    /// The socket without its clock.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Nothing has come: sets the clock when a new wait has begun, and looks at it.
    fn poll_read_clock(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let count = self.exchange.count();
        if count % 2 == 1 {
            self.awaited = None;
            return Poll::Pending;
        }
        if !matches!(self.awaited, Some(Awaited::Request(at) | Awaited::Head(at)) if at == count) {
            // The first request must come within the time of a head: a silent connection is no client yet.
            let patience =
                if count == 0 { self.header_timeout.min(self.idle_timeout) } else { self.idle_timeout };
            self.await_within(Awaited::Request(count), patience);
        }
        if self.read_clock.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        if self.awaited == Some(Awaited::Head(count)) {
            self.head_late = true;
            self.stats.count(Event::HeaderTimeout);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.stats.count(if count == 0 { Event::HeaderTimeout } else { Event::IdleTimeout });
        // As if the client had ended: the connection closes in good order.
        Poll::Ready(Ok(()))
    }

    /// Something has come: from the first byte of a request on, the rest of its head is awaited.
    fn has_read(&mut self) {
        let count = self.exchange.count();
        if count.is_multiple_of(2) && self.awaited != Some(Awaited::Head(count)) {
            self.await_within(Awaited::Head(count), self.header_timeout);
        }
    }

    fn await_within(&mut self, awaited: Awaited, patience: Duration) {
        self.awaited = Some(awaited);
        self.read_clock.as_mut().reset(Instant::now() + patience);
    }

    fn has_written(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.write_blocked = false;
                self.stats.sent(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_write_clock(cx).map(Err),
        }
    }

    /// The kernel takes no more. It does again once half of `UNSENT_BYTES_MAX` is free, so a client that reads
    /// a byte now and then does not hold the clock back.
    fn poll_write_clock(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.write_blocked {
            self.write_blocked = true;
            let deadline = Instant::now() + self.write_timeout;
            self.write_clock.as_mut().reset(deadline);
        }
        if self.write_clock.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.stats.count(Event::WriteTimeout);
        // Closed with a reset, so that the kernel does not go on holding what nobody reads.
        if let Err(error) = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)) {
            tracing::debug!(%error, "a slow client's socket could not be set to close at once");
        }
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.exchange.reader.register(cx.waker());
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.poll_read_clock(cx),
            Poll::Ready(result) => {
                if buffer.filled().len() > before {
                    self.has_read();
                }
                Poll::Ready(result)
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.has_written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.has_written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
