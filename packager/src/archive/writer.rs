//! Segments on their way to the disk: a bounded queue, and one task for each Channel that empties it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::format::Record;
use super::past::Past;

/// Segments that wait for the disk. Memory holds them anyway, as long as players may seek there.
const QUEUE_MAX: usize = 64;

/// So long without a failure, and it is over.
const QUIET: Duration = Duration::from_secs(60);

/// A Segment to be written.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) rendition: String,
    pub(super) record: Record,
    pub(super) pieces: Arc<[Bytes]>,
}

/// Starts writing a Channel's Segments; it ends with [`Past::close`], when all that waits is written.
pub(super) fn start(past: &Past) -> JoinHandle<()> {
    let (sender, queue) = mpsc::channel(QUEUE_MAX);
    past.write_to(sender);
    tokio::spawn(empty(past.clone(), queue))
}

async fn empty(past: Past, mut queue: mpsc::Receiver<Job>) {
    // The newest failure of those that were told of. A disk with room for the small ones alone must not fill the log.
    let mut failed: Option<Instant> = None;
    while let Some(job) = queue.recv().await {
        let writing = past.clone();
        let written = tokio::task::spawn_blocking(move || writing.write(&job)).await;
        let counts = past.counts();
        match written.map_err(std::io::Error::other).flatten() {
            Ok(()) => {
                counts.written.fetch_add(1, Relaxed);
                if failed.take_if(|failed| failed.elapsed() >= QUIET).is_some() {
                    tracing::info!(channel = %past.channel(), "the archive has been written again for a minute");
                }
            }
            Err(error) => {
                counts.write_failures.fetch_add(1, Relaxed);
                if failed.replace(Instant::now()).is_none() {
                    tracing::error!(
                        channel = %past.channel(), %error,
                        "the archive cannot be written: Segments are left out until it can; live goes on. \
                         Is the disk full?"
                    );
                }
            }
        }
    }
}
