//! A client's socket as the kernel has it, with a clock for what the client does not take.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::http::stats::{Event, Stats};

/// Unsent bytes the kernel keeps for one client. What is sent and not yet acknowledged is the congestion
/// window's affair, so a long fat path is not slowed; a client that stops reading costs this much, not megabytes.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// A client's socket. TLS, where there is any, is above it: the clock sees the bytes that leave.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    stats: Arc<Stats>,
    write_timeout: Duration,
    clock: Pin<Box<Sleep>>,
    blocked: bool,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, write_timeout: Duration, stats: Arc<Stats>) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        Ok(Self { stream, stats, write_timeout, clock: Box::pin(sleep(write_timeout)), blocked: false })
    }

    fn has_written(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.blocked = false;
                self.stats.sent(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_clock(cx).map(Err),
        }
    }

    /// The kernel takes no more. It does again once half of `UNSENT_BYTES_MAX` is free, so a client that reads
    /// a byte now and then does not hold the clock back.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if !self.blocked {
            self.blocked = true;
            let deadline = Instant::now() + self.write_timeout;
            self.clock.as_mut().reset(deadline);
        }
        if self.clock.as_mut().poll(cx).is_pending() {
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

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
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
