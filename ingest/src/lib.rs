//! Contribution: venues in, Feeds out.
//!
//! Each protocol has a module that turns a venue's session into writes to a Feed; [`signal`] is what stands
//! between, whatever the protocol. [`reap`] closes the Feeds whose venue did not come back.

pub mod signal;
pub mod srt;

use std::sync::Arc;
use std::time::Duration;

use flambeau_config::Live;
use flambeau_media::FeedId;
use flambeau_media::directory::Directory;
use tokio_util::sync::CancellationToken;

/// Closes every Feed whose venue has been away for `ingest.srt.reconnect_grace`, or that is no longer in the
/// configuration, until `shutdown`.
pub async fn reap(directory: Arc<Directory>, live: Live, shutdown: CancellationToken) {
    let policy = live.policy();
    let mut tick = tokio::time::interval(REAP_INTERVAL);
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        let grace = live.current().ingest.srt.reconnect_grace;
        let grace_of = |feed: &FeedId| if policy.feed(feed).is_some() { grace } else { Duration::ZERO };
        for feed in directory.reap(grace_of) {
            tracing::warn!(%feed, grace = ?grace_of(&feed), "the venue did not come back: the Feed is closed, its readers end");
        }
    }
}

const REAP_INTERVAL: Duration = Duration::from_millis(250);
