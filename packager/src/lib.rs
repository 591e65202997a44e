//! Feeds in, Channels out: CMAF Parts and Segments, and the Playlists and Manifest that name them.
//!
//! [`start`] runs one task that watches the Directory and one task for each Channel whose Feed is there. A
//! Channel's task reads its Feed with a cursor of its own, takes the transport stream apart, and commits what
//! is new to [`flambeau_media::channel::Channel`]. Nothing here knows of viewers.

pub mod archive;
mod channel;
mod chunker;
mod clock;
mod cues;
mod lane;
mod language;
mod packaging;
mod render;
mod segment;
mod shelf;
mod stats;
mod stretches;
mod supervise;
mod window;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use flambeau_config::Live;
use flambeau_media::ChannelId;
use flambeau_media::directory::Directory;
use tokio_util::sync::CancellationToken;

pub use channel::Offline;
pub use stats::Stats;

/// How a Channel is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Length of a Part.
    pub part: Duration,
    /// Length of a Segment.
    pub segment: Duration,
    /// How far back its players can seek.
    pub window: Duration,
    /// Most bytes of media held in memory: the window ends where they do.
    pub memory_max: usize,
    /// The Manifest names Segments by number where it can.
    pub low_latency_dash: bool,
    /// Playlists tell of what the source did not send by a gap.
    pub hls_gaps: bool,
}

/// Totals by Channel, shared with the tasks that count.
type Board = Arc<Mutex<BTreeMap<ChannelId, Stats>>>;

/// Starts packaging: one task that watches the Directory, and one for each Channel whose Feed is there.
///
/// It ends when `shutdown` is cancelled: each Channel finishes the Part in hand, then [`Packager::stopped`]
/// returns. Must be called within a tokio runtime.
///
/// A change of the configuration starts, ends or restarts the Channels it concerns, and no other.
pub fn start(live: &Live, directory: Arc<Directory>, shutdown: CancellationToken) -> Packager {
    let stopped = CancellationToken::new();
    let board = Board::default();
    let archive = Arc::<OnceLock<archive::Archive>>::default();
    let (guard, shared, opened) = (stopped.clone().drop_guard(), board.clone(), archive.clone());
    let supervisor = supervise::Supervisor::new(live, directory, shared);
    tokio::spawn(async move {
        let _guard = guard;
        supervisor.run(shutdown, opened).await;
    });
    Packager { stopped, board, archive }
}

/// The packager at work.
#[derive(Debug)]
pub struct Packager {
    stopped: CancellationToken,
    board: Board,
    archive: Arc<OnceLock<archive::Archive>>,
}

impl Packager {
    /// What each Channel has done so far, in order of name; Channels that were closed are forgotten.
    pub fn stats(&self) -> Vec<(ChannelId, Stats)> {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.iter().map(|(id, stats)| (id.clone(), stats.clone())).collect()
    }

    /// What each Channel's archive holds and has done, in order of name. None: nothing is kept on disk.
    pub fn archive(&self) -> Option<Vec<(ChannelId, archive::Stats)>> {
        self.archive.get()?.stats()
    }

    /// Waits until every Channel has stopped.
    pub async fn stopped(&self) {
        self.stopped.cancelled().await;
    }
}
