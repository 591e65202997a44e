//! Runs the roles of this process until it is told to end.
//!
//! The start-up order is the order of the data: the hub, then who fills it, who packages, who hands out, who watches.
//! The end is the same order: nothing new comes in, what is there may finish within the grace, then all is cut.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use flambeau_config::{Config, Live};
use flambeau_edge as edge;
use flambeau_ingest as ingest;
use flambeau_media::Utc;
use flambeau_media::directory::Directory;
use flambeau_packager::{self as packager, Packager};
use flambeau_srt::endpoint::ListenerStats;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Readiness};
use crate::cli::Roles;
use crate::configure::{Configuration, Rooms, on_disk};
use crate::failure::CannotListen;
use crate::log::Logging;
use crate::metrics::{self, Registry};

/// What a node runs by.
pub(crate) struct Setup {
    /// The configuration.
    pub(crate) config: Config,
    /// Its file and the text of it; None in lab mode.
    pub(crate) source: Option<(PathBuf, String)>,
    /// What the node takes on.
    pub(crate) roles: Roles,
    /// The log.
    pub(crate) logging: Logging,
}

/// Runs a node until SIGTERM or Ctrl-C; SIGHUP has its configuration read again.
pub(crate) async fn run(setup: Setup) -> anyhow::Result<()> {
    let hangup = signal(SignalKind::hangup()).context("SIGHUP cannot be listened for")?;
    let node = Node::start(setup)?;
    tokio::spawn(reload(node.configuration.clone(), hangup, node.closing.clone()));
    terminated().await?;
    let grace = node.live.current().drain.grace;
    node.drain(grace).await;
    Ok(())
}

/// Has the configuration read again at each SIGHUP, until `closing`.
async fn reload(configuration: Arc<Configuration>, mut hangup: Signal, closing: CancellationToken) {
    while let Some(Some(())) = closing.run_until_cancelled(hangup.recv()).await {
        let done = on_disk(&configuration, |configuration| configuration.reload("SIGHUP").map(drop)).await;
        if let Err(refusal) = done {
            tracing::error!("SIGHUP changed nothing: {refusal}");
        }
    }
}

/// A running node.
struct Node {
    live: Live,
    configuration: Arc<Configuration>,
    readiness: Readiness,
    /// Nothing new is taken on once this is cancelled.
    closing: CancellationToken,
    /// Everything ends once this is cancelled.
    cut: CancellationToken,
    /// The admin port stays open to the last.
    end: CancellationToken,
    ports: Vec<(&'static str, ListenerStats)>,
    packager: Option<Arc<Packager>>,
    http: Option<JoinHandle<()>>,
    admin: JoinHandle<()>,
}

/// A node whose rooms are being opened.
struct Opening {
    live: Live,
    config: Arc<Config>,
    directory: Arc<Directory>,
    closing: CancellationToken,
    cut: CancellationToken,
    /// Where it listens.
    listens: Vec<admin::Port>,
    ports: Vec<(&'static str, ListenerStats)>,
    http_stats: Vec<(&'static str, Arc<edge::http::Stats>)>,
}

/// The edge's part of a node.
struct Edge {
    pulls: edge::srt::Pulls,
    viewers: edge::http::Viewers,
    http: JoinHandle<()>,
    base: String,
}

impl Opening {
    fn new(live: &Live) -> Self {
        Self {
            live: live.clone(),
            config: live.current(),
            directory: Arc::default(),
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
            listens: Vec::new(),
            ports: Vec::new(),
            http_stats: Vec::new(),
        }
    }

    fn listens(&mut self, name: &'static str, protocol: &'static str, address: SocketAddr) {
        self.listens.push(admin::Port { name, protocol, address: address.to_string() });
    }

    fn ingest(&mut self) -> anyhow::Result<ingest::srt::Venues> {
        let server = ingest::srt::Server::bind(&self.live, self.directory.clone(), self.cut.clone())
            .map_err(cannot_listen("SRT in", "udp", self.config.ingest.srt.listen, "ingest.srt.listen"))?;
        tracing::info!(address = %server.local_addr(), "SRT in: venues publish here");
        self.listens("SRT in", "udp", server.local_addr());
        self.ports.push(("ingest", server.stats()));
        let venues = server.venues();
        tokio::spawn(server.run(self.closing.clone()));
        tokio::spawn(ingest::reap(self.directory.clone(), self.live.clone(), self.cut.clone()));
        Ok(venues)
    }

    fn edge(&mut self) -> anyhow::Result<Edge> {
        let config = self.config.clone();
        let server = edge::srt::Server::bind(&self.live, self.directory.clone(), self.cut.clone())
            .map_err(cannot_listen("SRT out", "udp", config.edge.srt.listen, "edge.srt.listen"))?;
        tracing::info!(address = %server.local_addr(), "SRT out: broadcasters pull here");
        self.listens("SRT out", "udp", server.local_addr());
        self.ports.push(("edge", server.stats()));
        let pulls = server.pulls();
        tokio::spawn(server.run(self.closing.clone()));

        let http = &config.edge.http;
        let (policy, closing) = (self.live.policy(), self.closing.clone());
        let server = edge::http::Server::bind(http, policy, self.directory.clone(), closing)
            .and_then(|server| server.with_access_log(http, config.log.format))
            .map_err(|error| match error {
                edge::http::StartError::Listen(error) => {
                    cannot_listen("HTTP", "tcp", http.listen, "edge.http.listen")(error.source).into()
                }
                error => anyhow::Error::new(error).context("the edge cannot start"),
            })?
            .with_live(self.live.clone())
            .with_grace(config.drain.grace);
        let scheme = if http.certificate.is_some() { "https" } else { "http" };
        let base = admin::http_base(scheme, server.local_addr());
        tracing::info!(
            address = %server.local_addr(), scheme, "HTTP: HLS at /CHANNEL/index.m3u8, DASH at /CHANNEL/manifest.mpd"
        );
        self.listens("HTTP", "tcp", server.local_addr());
        self.http_stats.push(("edge", server.stats().clone()));
        let viewers = server.viewers();
        Ok(Edge { pulls, viewers, http: tokio::spawn(server.run()), base })
    }
}

impl Node {
    fn start(setup: Setup) -> anyhow::Result<Self> {
        let started = (Utc::now(), Instant::now());
        let Setup { config, source, roles, logging } = setup;
        let live = Live::new(config);
        let mut opening = Opening::new(&live);
        let venues = roles.ingest.then(|| opening.ingest()).transpose()?;
        let (directory, cut) = (opening.directory.clone(), opening.cut.clone());
        let start_packager = || Arc::new(packager::start(&live, directory.clone(), cut.clone()));
        let packager = roles.packager.then(start_packager);
        let edge = roles.edge.then(|| opening.edge()).transpose()?;
        let address = opening.config.admin.listen;
        let server = admin::Server::bind(address)
            .map_err(|error| cannot_listen("admin", "tcp", address, "admin.listen")(error.source))?;
        opening.listens("admin", "tcp", server.local_addr());
        opening.http_stats.push(("admin", server.stats()));

        let pulls = edge.as_ref().map(|edge| edge.pulls.clone());
        let rooms = Rooms { directory: directory.clone(), venues: venues.clone(), pulls: pulls.clone() };
        let configuration = Configuration::new(source, live.clone(), logging.clone(), rooms);
        let configuration = Arc::new(configuration);
        let Opening { closing, listens, ports, http_stats, .. } = opening;
        let counts: metrics::PackagerStats = match packager.clone() {
            Some(packager) => Arc::new(move || packager.stats()),
            None => Arc::new(Vec::new),
        };
        let past = packager.clone();
        let past: metrics::ArchiveStats = Arc::new(move || past.as_ref()?.archive());
        let readiness = Readiness::default();
        let sources = admin::Sources {
            live: live.clone(),
            configuration: configuration.clone(),
            events: logging.events,
            node: admin::Facts {
                roles,
                ports: listens,
                http_base: edge.as_ref().map(|edge| edge.base.clone()).unwrap_or_default(),
                started,
            },
            registry: registry(
                &directory,
                &ports,
                (venues.clone(), pulls.clone()),
                http_stats,
                (counts.clone(), past),
            ),
            directory,
            venues,
            pulls,
            viewers: edge.as_ref().map(|edge| edge.viewers.clone()),
            packager: counts,
            readiness: readiness.clone(),
            seen: admin::Seen::default(),
        };
        let (mode, end) = (live.current().mode, CancellationToken::new());
        tracing::info!(address = %server.local_addr(), ?mode, "admin: / /metrics /healthz /readyz /api/v1; ready");
        let admin = tokio::spawn(server.run(sources, end.clone()));
        let http = edge.map(|edge| edge.http);
        Ok(Self { live, configuration, readiness, closing, cut, end, ports, packager, http, admin })
    }

    /// Takes on nothing new, lets what there is end by itself within `grace`, then cuts it. A second signal cuts at once.
    async fn drain(self, grace: Duration) {
        tracing::info!(?grace, sessions = self.sessions(), "draining: nothing new is accepted");
        self.readiness.drain();
        self.closing.cancel();
        tokio::select! {
            () = self.finished(grace) => {}
            _ = terminated() => tracing::warn!("told again: cutting now"),
        }
        let left = self.sessions();
        if left > 0 {
            tracing::info!(sessions = left, "the grace is over: the sessions left are closed");
        }
        self.cut.cancel();
        if let Some(packager) = &self.packager {
            // A Part in hand takes milliseconds to finish.
            let _ = tokio::time::timeout(CUT, packager.stopped()).await;
        }
        let deadline = Instant::now() + CUT;
        while self.sessions() > 0 && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        self.end.cancel();
        let _ = tokio::time::timeout(CUT, self.admin).await;
        tracing::info!("stopped");
    }

    async fn finished(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        let http_done = || self.http.as_ref().is_none_or(JoinHandle::is_finished);
        while Instant::now() < deadline && !(self.sessions() == 0 && http_done()) {
            tokio::time::sleep(POLL).await;
        }
    }

    fn sessions(&self) -> usize {
        self.ports.iter().map(|(_, stats)| stats.sessions()).sum()
    }
}

/// Everything that is counted.
fn registry(
    directory: &Arc<Directory>,
    ports: &[(&'static str, ListenerStats)],
    (venues, pulls): (Option<ingest::srt::Venues>, Option<edge::srt::Pulls>),
    http_stats: Vec<(&'static str, Arc<edge::http::Stats>)>,
    (packager, past): (metrics::PackagerStats, metrics::ArchiveStats),
) -> Registry {
    let mut registry = Registry::new();
    registry.add(Box::new(metrics::Feeds(directory.clone())));
    registry.add(Box::new(metrics::SrtPorts(ports.to_vec())));
    registry.add(Box::new(metrics::SrtSessions { venues, pulls }));
    registry.add(Box::new(metrics::Channels { directory: directory.clone(), packager }));
    registry.add(Box::new(metrics::Archive(past)));
    registry.add(Box::new(metrics::Http(http_stats)));
    registry
}

fn cannot_listen(
    what: &'static str,
    protocol: &'static str,
    address: std::net::SocketAddr,
    key: &'static str,
) -> impl FnOnce(std::io::Error) -> CannotListen {
    move |source| CannotListen { what, protocol, address, key, source }
}

/// Waits for SIGTERM or Ctrl-C.
async fn terminated() -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    tokio::select! {
        _ = term.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("Ctrl-C cannot be listened for")?,
    }
    Ok(())
}

const POLL: Duration = Duration::from_millis(50);

/// How long the end of a session or a Part may take once it is cut.
const CUT: Duration = Duration::from_secs(2);
