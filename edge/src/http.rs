//! HTTP delivery: Channels as HLS and DASH, from the objects and Playlists the packager left in the directory.
//!
//! | path | what it is |
//! |---|---|
//! | `/CHANNEL/index.m3u8` | the Channel's multivariant Playlist |
//! | `/CHANNEL/manifest.mpd` | its DASH Manifest |
//! | `/CHANNEL/…` | whatever else of the Channel those name |
//! | `/CHANNEL/…?start=TIME`, `&end=TIME` | its Playlists and Manifest from there on |
//! | `/time` | the node's clock as xs:dateTime (DASH `urn:mpeg:dash:utc:http-iso:2014`) |
//! | `/` | a page that says so |
//!
//! A path is a key of the Channel's map, or of the index of its past, and nothing else: no path of a file is made of
//! it. Nothing is rendered, copied or buffered for a viewer; a response is a head and a few shared pieces of bytes, or
//! one piece at a time from disk.

mod access_log;
mod answer;
mod body;
mod conditional;
mod cors;
mod deliver;
mod encoding;
mod growth;
mod reload;
pub mod serve;
mod start_over;
mod stats;
mod viewers;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use flambeau_config::{EdgeHttp, Live, LogFormat, Policy};
use flambeau_media::directory::Directory;
use tokio_util::sync::CancellationToken;

use access_log::AccessLog;
pub use access_log::AccessLogError;
use cors::Cors;
use deliver::Edge;
pub use serve::{BindError, CertificateFiles, Limits, Listener, LiveLimits, TlsError};
pub use stats::{Snapshot, Stats};
pub use viewers::{Protocol, Viewer, Viewers};

/// The edge's HTTP listener.
#[derive(Debug)]
pub struct Server {
    listener: Listener,
    edge: Arc<Edge>,
    live: Option<Live>,
    shutdown: CancellationToken,
    grace: Duration,
    stats: Arc<Stats>,
}

/// Why the listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port cannot be listened on.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] AccessLogError),
}

impl StartError {
    /// The key of the configuration it is about.
    pub fn key(&self) -> String {
        match self {
            Self::Listen(_) => "edge.http.listen".to_owned(),
            Self::Tls(TlsError::Certificate(error)) => format!("edge.http.{}", error.part.key()),
            Self::Tls(TlsError::Setup(_)) => "edge.http.certificate".to_owned(),
            Self::AccessLog(_) => "edge.http.access_log".to_owned(),
        }
    }

    /// What to do about it, where that is known.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Tls(TlsError::Certificate(error)) => Some(error.remedy()),
            Self::AccessLog(_) => {
                Some("give the path of a file in a directory that this user may write to".to_owned())
            }
            Self::Listen(_) | Self::Tls(TlsError::Setup(_)) => None,
        }
    }
}

impl Server {
    /// Opens the listener; nothing is served before [`Server::run`]. Call it within a tokio runtime.
    pub fn bind(
        config: &EdgeHttp,
        policy: Policy,
        directory: Arc<Directory>,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        let stats = Arc::new(Stats::default());
        let mut listener = Listener::bind(config.listen, Limits::from(config), stats.clone())?;
        if let Some(files) = certificate_files(config) {
            listener = listener.with_certificate(files)?;
        }
        let edge = edge(config, policy, directory, stats.clone(), shutdown.clone());
        Ok(Self { listener, edge, live: None, shutdown, grace: DEFAULT_GRACE, stats })
    }

    /// How long the requests in flight may go on once `shutdown` is set; 10 s if nothing is said.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Follows the configuration: limits, origins and the certificate's files are those of the moment. The port, and
    /// whether it speaks TLS, stay as they are.
    #[must_use]
    pub fn with_live(self, live: Live) -> Self {
        Self { live: Some(live), ..self }
    }

    /// Writes the access log that `config` names, if it does, in the form of the node's own log.
    pub fn with_access_log(self, config: &EdgeHttp, format: LogFormat) -> Result<Self, StartError> {
        let Some(path) = config.access_log.clone() else { return Ok(self) };
        let log = AccessLog::open(path, format, self.stats.clone())?;
        Ok(Self { listener: self.listener.with_access_log(log), ..self })
    }

    /// Where it listens: the port the system chose, when 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// What it counts.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Who watches.
    pub fn viewers(&self) -> Viewers {
        self.edge.viewers.clone()
    }

    /// Serves until `shutdown` is set and the requests in flight have ended, or the grace has.
    pub async fn run(self) {
        let following = self.live.map(|live| {
            let (limits, edge) = (self.listener.limits(), self.edge.clone());
            let set_files = self.listener.certificate_setter();
            tokio::spawn(async move {
                let mut changes = live.subscribe();
                while changes.changed().await.is_ok() {
                    let config = changes.borrow_and_update().clone();
                    let config = &config.edge.http;
                    limits.set(Limits::from(config));
                    let cors = Arc::new(Cors::new(&config.cors_origins));
                    *edge.cors.write().unwrap_or_else(PoisonError::into_inner) = cors;
                    if let (Some(set), Some(files)) = (&set_files, certificate_files(config)) {
                        set(files);
                    }
                }
            })
        });
        self.listener.run(routed(self.edge), self.shutdown, self.grace).await;
        if let Some(following) = following {
            following.abort();
        }
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
    routed(edge(config, policy, directory, stats, shutdown))
}

fn edge(
    config: &EdgeHttp,
    policy: Policy,
    directory: Arc<Directory>,
    stats: Arc<Stats>,
    shutdown: CancellationToken,
) -> Arc<Edge> {
    let cors = RwLock::new(Arc::new(Cors::new(&config.cors_origins)));
    Arc::new(Edge { policy, directory, stats, shutdown, viewers: Viewers::default(), cors })
}

// Every path is a key of the directory or of a Channel, so a single handler looks it up.
fn routed(edge: Arc<Edge>) -> Router {
    Router::new().fallback(deliver::handle).with_state(edge)
}

fn certificate_files(config: &EdgeHttp) -> Option<CertificateFiles> {
    let (certificate, key) = (config.certificate.clone()?, config.key.clone()?);
    Some(CertificateFiles { certificate, key })
}

const DEFAULT_GRACE: Duration = Duration::from_secs(10);
