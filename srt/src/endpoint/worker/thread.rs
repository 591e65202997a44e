//! The thread of a worker.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Command, Greeter, Worker};
use crate::endpoint::listener::Shared;
use crate::endpoint::waker::Waker;

/// What a worker begins with: its commands, and who greets callers.
pub(in crate::endpoint) type Post = (mpsc::Receiver<Command>, Option<Greeter>);

/// Starts a worker on a thread of its own: media and HTTP work elsewhere in the process cannot make packets late. `waker`
/// is the one its commands call; the calling runtime lends a task that calls it for the shutdown.
///
/// A worker that panics (a session's panic ends that session alone, so this is a fault of the worker itself) has ended
/// its sessions with it. It is begun anew on the same socket where `posts` has another post, lest the callers whom
/// the kernel sends to this socket find nobody.
pub(in crate::endpoint) fn start(
    name: String,
    socket: std::net::UdpSocket,
    waker: Waker,
    listener: Arc<Shared>,
    shutdown: CancellationToken,
    mut posts: impl FnMut() -> Option<Post> + Send + 'static,
) -> io::Result<()> {
    let over = CancellationToken::new();
    let (ended, calling, closing) = (over.clone().drop_guard(), waker.clone(), shutdown.clone());
    let begin = move |(commands, greeter): Post| {
        let socket = socket.try_clone()?;
        Worker::new(socket, waker.clone(), commands, greeter, listener.clone(), shutdown.clone())
    };
    let Some(post) = posts() else { return Ok(()) };
    let mut worker = begin(post)?;
    let run = move || {
        let _ended = ended;
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        loop {
            if catch_unwind(AssertUnwindSafe(|| worker.run())).is_ok() {
                return;
            }
            let Some(post) = posts() else { return };
            tracing::error!(worker = name, "an SRT worker panicked: its sessions are closed, it begins anew");
            std::thread::park_timeout(PAUSE);
            worker = match begin(post) {
                Ok(worker) => worker,
                Err(error) => {
                    return tracing::error!(worker = name, %error, "it cannot: the port loses callers");
                }
            };
        }
    };
    std::thread::Builder::new().name(name).spawn(run)?;
    tokio::spawn(async move {
        tokio::select! {
            () = closing.cancelled() => calling.wake(),
            () = over.cancelled() => {}
        }
    });
    Ok(())
}

/// A worker that panics at once, each time, must not take the processor.
const PAUSE: Duration = Duration::from_millis(100);
