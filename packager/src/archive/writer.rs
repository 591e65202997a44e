//! Segments on their way to the disk: a bounded queue, and one task for each Channel that empties it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::format::Record;
use super::past::Past;

/// Segments that wait for the disk. Memory holds them anyway, as long as players may seek there.
const QUEUE_MAX: usize = 64;

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
    // Segments left out since the last that was written.
    let mut failures: u64 = 0;
    while let Some(job) = queue.recv().await {
        let writing = past.clone();
        let written = tokio::task::spawn_blocking(move || writing.write(&job)).await;
        let counts = past.counts();
        match written.map_err(std::io::Error::other).flatten() {
            Ok(()) => {
                counts.written.fetch_add(1, Relaxed);
                if std::mem::take(&mut failures) > 0 {
                    tracing::info!(channel = %past.channel(), "the archive is written again");
                }
            }
            Err(error) => {
                counts.write_failures.fetch_add(1, Relaxed);
                if failures == 0 {
                    tracing::error!(
                        channel = %past.channel(), %error,
                        "the archive cannot be written: Segments are left out until it can; live goes on. \
                         Is the disk full?"
                    );
                }
                failures += 1;
            }
        }
    }
}
