//! A client's connection with a clock on it: for the head of a request, and between requests.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};

use super::Limits;
use super::frames::{Frames, PREFACE};
use super::stream::Stream;
use crate::http::stats::{Event, Stats};

/// What the reader of a connection and whoever answers its requests tell each other.
///
/// Over HTTP/1 it counts the ends of exchanges: odd while a request is being answered, even between requests.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    ends: AtomicU32,
    /// Wakes whoever reads from the socket.
    reader: AtomicWaker,
    /// The client asks for work without end, and is no longer read from.
    pub(super) flooded: Notify,
    late: AtomicBool,
}

impl Exchange {
    /// A request has arrived; it is answered when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        self.ends.fetch_add(1, Relaxed);
        Answering(self.clone())
    }

    /// The client took too long over the head of a request: true the first time, so that it counts once.
    pub(super) fn is_first_to_be_late(&self) -> bool {
        !self.late.swap(true, Relaxed)
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

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What a read waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The first byte of a request.
    Request(u32),
    /// The rest of its head.
    Head(u32),
    /// The rest of an HTTP/2 frame or header block.
    Frame(u64),
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Stream,
    /// What was read to tell the protocol, and not handed on yet.
    first: Vec<u8>,
    stats: Arc<Stats>,
    exchange: Arc<Exchange>,
    header_timeout: Duration,
    idle_timeout: Duration,
    clock: Pin<Box<Sleep>>,
    awaited: Option<Awaited>,
    /// Of HTTP/2 alone.
    frames: Option<Frames>,
    head_late: bool,
    over: bool,
    flooded: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream, limits: &Limits, stats: Arc<Stats>, exchange: Arc<Exchange>) -> Self {
        Self {
            stream,
            first: Vec::new(),
            stats,
            exchange,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            clock: Box::pin(sleep(limits.header_timeout)),
            awaited: None,
            frames: None,
            head_late: false,
            over: false,
            flooded: false,
        }
    }

    /// Tells what the client speaks: by what TLS agreed on, else by its first bytes (RFC 9113 3.3).
    pub(super) async fn protocol(&mut self) -> io::Result<Protocol> {
        let protocol = match self.stream.agreed() {
            Some(b"h2") => Protocol::Http2,
            Some(_) => Protocol::Http1,
            None => self.protocol_by_preface().await?,
        };
        if protocol == Protocol::Http2 {
            self.frames = Some(Frames::new(std::time::Instant::now()));
            self.awaited = None;
        }
        Ok(protocol)
    }

    async fn protocol_by_preface(&mut self) -> io::Result<Protocol> {
        loop {
            if !PREFACE.starts_with(&self.first) {
                return Ok(Protocol::Http1);
            }
            if self.first.len() == PREFACE.len() {
                return Ok(Protocol::Http2);
            }
            let mut bytes = [0; PREFACE.len()];
            let mut buffer = ReadBuf::new(&mut bytes[self.first.len()..]);
            std::future::poll_fn(|cx| self.poll_fresh(cx, &mut buffer)).await?;
            if buffer.filled().is_empty() {
                return Ok(Protocol::Http1);
            }
            self.first.extend_from_slice(buffer.filled());
        }
    }

    /// Whether the head of a request began and did not end in time.
    pub(super) fn is_head_late(&self) -> bool {
        self.head_late
    }

    /// The connection without its clock.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Reads from the client and looks at the clock.
    fn poll_fresh(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.exchange.reader.register(cx.waker());
        if self.over {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.poll_clock(cx),
            Poll::Ready(result) => {
                if self.frames.is_none() && buffer.filled().len() > before {
                    self.has_read();
                }
                Poll::Ready(result)
            }
        }
    }

    /// Nothing has come: sets the clock when a new wait has begun, and looks at it.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(frames) = &self.frames {
            let unfinished = frames.unfinished();
            return self.poll_frame_clock(unfinished, cx);
        }
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
        if self.clock.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.over = true;
        if self.awaited == Some(Awaited::Head(count)) {
            return self.is_late();
        }
        self.stats.count(if count == 0 { Event::HeaderTimeout } else { Event::IdleTimeout });
        // As if the client had ended: the connection closes in good order.
        Poll::Ready(Ok(()))
    }

    /// A frame or header block that has begun must end within the time of a head. How long a connection may be
    /// without a stream is not to be seen from here.
    fn poll_frame_clock(&mut self, unfinished: Option<u64>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(unit) = unfinished else {
            self.awaited = None;
            return Poll::Pending;
        };
        if self.awaited != Some(Awaited::Frame(unit)) {
            self.await_within(Awaited::Frame(unit), self.header_timeout);
        }
        if self.clock.as_mut().poll(cx).is_pending() { Poll::Pending } else { self.is_late() }
    }

    fn is_late(&mut self) -> Poll<io::Result<()>> {
        self.head_late = true;
        self.over = true;
        if self.exchange.is_first_to_be_late() {
            self.stats.count(Event::HeaderTimeout);
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
        self.clock.as_mut().reset(Instant::now() + patience);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.flooded {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if self.first.is_empty() {
            std::task::ready!(self.poll_fresh(cx, buffer))?;
        } else {
            let handed = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..handed]);
            self.first.drain(..handed);
        }
        if let Some(frames) = &mut self.frames
            && !frames.read(&buffer.filled()[before..], std::time::Instant::now())
        {
            // What came with it is still handed on; nothing more is read.
            self.flooded = true;
            self.exchange.flooded.notify_one();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
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
