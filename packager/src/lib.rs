//! Feeds in, Channels out: CMAF Parts and Segments, and the Playlists and Manifest that name them.

use std::sync::Arc;

use flambeau_config::Config;
use flambeau_config::Policy;
use flambeau_media::ChannelId;
use flambeau_media::directory::Directory;
use tokio_util::sync::CancellationToken;

mod stats;

pub use stats::Stats;

/// Starts packaging: one task that watches the Directory, and one for each Channel whose Feed is live.
///
/// It ends when `shutdown` is cancelled: each Channel finishes the Part in hand, then [`Packager::stopped`]
/// returns.
pub fn start(
    config: &Config,
    policy: Policy,
    directory: Arc<Directory>,
    shutdown: CancellationToken,
) -> Packager {
    let _ = (config, policy, directory, shutdown);
    Packager {}
}

/// The packager at work.
#[derive(Debug)]
pub struct Packager {}

impl Packager {
    /// What each Channel has done so far, in order of name; closed Channels are forgotten.
    pub fn stats(&self) -> Vec<(ChannelId, Stats)> {
        Vec::new()
    }

    /// Waits until every Channel has stopped.
    pub async fn stopped(&self) {}
}
