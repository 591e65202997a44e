//! Contribution: venues in, Feeds out.
//!
//! Each protocol has a module that turns a venue's session into writes to a Feed; [`signal`] is what stands
//! between, whatever the protocol. [`reap`] closes the Feeds whose venue did not come back.

pub mod signal;
pub mod srt;

use std::sync::Arc;
use std::time::Duration;

use flambeau_media::directory::Directory;
use tokio_util::sync::CancellationToken;

/// Closes every Feed whose venue has been away for `grace`, until `shutdown`.
pub async fn reap(directory: Arc<Directory>, grace: Duration, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(REAP_INTERVAL);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        for feed in directory.reap(|_| grace) {
            tracing::warn!(%feed, ?grace, "the venue did not come back: the Feed is closed, its readers end");
        }
    }
}

const REAP_INTERVAL: Duration = Duration::from_millis(250);
