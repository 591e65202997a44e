//! HTTP delivery: Channels as HLS and DASH, from the objects and Playlists the packager left in the directory.
//!
//! | path | what it is |
//! |---|---|
//! | `/CHANNEL/index.m3u8` | the Channel's multivariant Playlist |
//! | `/CHANNEL/manifest.mpd` | its DASH Manifest |
//! | `/CHANNEL/…` | whatever else of the Channel those name |
//! | `/time` | the node's clock as xs:dateTime (DASH `urn:mpeg:dash:utc:http-iso:2014`) |
//! | `/` | a page that says so |
//!
//! A path is a key of the Channel's map and nothing else: there is no file behind it. Nothing is rendered,
//! copied or buffered for a viewer; a response is a head and a few shared pieces of bytes.

mod answer;
mod body;
mod conditional;
mod cors;
mod deliver;
mod reload;
pub mod serve;
mod stats;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use flambeau_config::{EdgeHttp, Policy};
use flambeau_media::directory::Directory;
use tokio_util::sync::CancellationToken;

use cors::Cors;
use deliver::Edge;
pub use serve::{BindError, Limits, Listener};
pub use stats::{Snapshot, Stats};

/// The edge's HTTP listener.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    router: Router,
    shutdown: CancellationToken,
    grace: Duration,
    stats: Arc<Stats>,
}

impl Server {
    /// Opens the listener; nothing is served before [`Server::run`]. Call it within a tokio runtime.
    pub fn bind(
        config: &EdgeHttp,
        policy: Policy,
        directory: Arc<Directory>,
        shutdown: CancellationToken,
    ) -> Result<Self, BindError> {
        let stats = Arc::new(Stats::default());
        let listener = Listener::bind(config.listen, Limits::from(config), stats.clone())?;
        let router = router(config, policy, directory, stats.clone(), shutdown.clone());
        Ok(Self { listener, router, shutdown, grace: DEFAULT_GRACE, stats })
    }

    /// How long the requests in flight may go on once `shutdown` is set; 10 s if nothing is said.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Where it listens: the port the system chose, when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// What it counts.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Serves until `shutdown` is set and the requests in flight have ended, or the grace has.
    pub async fn run(self) {
        self.listener.run(self.router, self.shutdown, self.grace).await;
    }
}

/// The service alone, without a socket.
pub fn router(
    config: &EdgeHttp,
    policy: Policy,
    directory: Arc<Directory>,
    stats: Arc<Stats>,
    shutdown: CancellationToken,
) -> Router {
    let cors = Cors::new(&config.cors_origins);
    // Every path is a key of the directory or of a Channel, so a single handler looks it up.
    Router::new().fallback(deliver::handle).with_state(Arc::new(Edge {
        policy,
        directory,
        stats,
        shutdown,
        cors,
    }))
}

const DEFAULT_GRACE: Duration = Duration::from_secs(10);
