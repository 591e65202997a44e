//! How a worker that waits in the kernel is called.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::mpsc;

use super::worker::Command;

/// Ends a worker's wait, or its next one.
#[derive(Debug, Clone)]
pub(super) struct Waker(Arc<OwnedFd>);

impl Waker {
    /// # Errors
    /// The process has no file descriptor left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)))
    }

    pub(super) fn wake(&self) {
        // It fails when the counter is full alone, and then the worker is awake.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }

    /// Takes note of all calls so far.
    pub(super) fn clear(&self) {
        let _ = rustix::io::read(&*self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A worker's queue of commands.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    queue: mpsc::Sender<Command>,
    waker: Waker,
}

impl Commands {
    pub(super) fn new(queue: mpsc::Sender<Command>, waker: Waker) -> Self {
        Self { queue, waker }
    }

    /// Waits for room. False: the worker has ended.
    pub(super) async fn send(&self, command: Command) -> bool {
        let sent = self.queue.send(command).await.is_ok();
        self.waker.wake();
        sent
    }

    /// False: the worker has ended, or has too much to do.
    pub(super) fn try_send(&self, command: Command) -> bool {
        let sent = self.queue.try_send(command).is_ok();
        self.waker.wake();
        sent
    }
}
