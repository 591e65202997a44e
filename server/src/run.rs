//! Runs the roles of this process until it is told to end.
//!
//! The start-up order is the order of the data: the hub, then who fills it, who packages, who hands out, who watches.
//! The end is the same order: nothing new comes in, what is there may finish within the grace, then all is cut.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use flambeau_config::{Config, Live};
use flambeau_edge as edge;
use flambeau_ingest as ingest;
use flambeau_media::directory::Directory;
use flambeau_packager::{self as packager, Packager};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Readiness};
use crate::cli::Roles;
use crate::failure::CannotListen;
use crate::metrics::{self, Registry};

/// Runs `roles` by `config` until SIGTERM or Ctrl-C.
pub(crate) async fn run(config: Config, roles: Roles) -> anyhow::Result<()> {
    let node = Node::start(&config, roles)?;
    terminated().await?;
    node.drain(config.drain.grace).await;
    Ok(())
}

/// A running node.
struct Node {
    readiness: Readiness,
    /// Nothing new is taken on once this is cancelled.
    closing: CancellationToken,
    /// Everything ends once this is cancelled.
    cut: CancellationToken,
    /// The admin port stays open to the last.
    end: CancellationToken,
    ports: Vec<(&'static str, flambeau_srt::endpoint::ListenerStats)>,
    packager: Option<Arc<Packager>>,
    http: Option<JoinHandle<()>>,
    admin: JoinHandle<()>,
}

impl Node {
    fn start(config: &Config, roles: Roles) -> anyhow::Result<Self> {
        let (closing, cut, end) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let live = Live::new(config.clone());
        let directory = Arc::new(Directory::default());
        let mut registry = Registry::new();
        registry.add(Box::new(metrics::Feeds(directory.clone())));
        let (mut ports, mut http_stats) = (Vec::new(), Vec::new());

        let venues = roles.ingest.then(|| {
            let server = ingest::srt::Server::bind(&live, directory.clone(), cut.clone())
                .map_err(cannot_listen("SRT in", "udp", config.ingest.srt.listen, "ingest.srt.listen"))?;
            tracing::info!(address = %server.local_addr(), "SRT in: venues publish here");
            ports.push(("ingest", server.stats()));
            let venues = server.venues();
            tokio::spawn(server.run(closing.clone()));
            tokio::spawn(ingest::reap(directory.clone(), live.clone(), cut.clone()));
            anyhow::Ok(venues)
        });
        let venues = venues.transpose()?;

        let packager =
            roles.packager.then(|| Arc::new(packager::start(&live, directory.clone(), cut.clone())));

        let (mut pulls, mut http) = (None, None);
        if roles.edge {
            let server = edge::srt::Server::bind(&live, directory.clone(), cut.clone())
                .map_err(cannot_listen("SRT out", "udp", config.edge.srt.listen, "edge.srt.listen"))?;
            tracing::info!(address = %server.local_addr(), "SRT out: broadcasters pull here");
            ports.push(("edge", server.stats()));
            pulls = Some(server.pulls());
            tokio::spawn(server.run(closing.clone()));

            let server = edge::http::Server::bind(
                &config.edge.http,
                live.policy(),
                directory.clone(),
                closing.clone(),
            )
            .map_err(|error| {
                cannot_listen("HTTP", "tcp", config.edge.http.listen, "edge.http.listen")(error.source)
            })?
            .with_grace(config.drain.grace);
            tracing::info!(address = %server.local_addr(), "HTTP: HLS at /CHANNEL/index.m3u8, DASH at /CHANNEL/manifest.mpd");
            http_stats.push(("edge", server.stats().clone()));
            http = Some(tokio::spawn(server.run()));
        }

        registry.add(Box::new(metrics::SrtPorts(ports.clone())));
        registry.add(Box::new(metrics::SrtSessions { venues, pulls }));
        let counts: metrics::PackagerStats = match packager.clone() {
            Some(packager) => Arc::new(move || packager.stats()),
            None => Arc::new(Vec::new),
        };
        registry.add(Box::new(metrics::Channels { directory: directory.clone(), packager: counts.clone() }));
        let admin_stats = Arc::new(edge::http::Stats::default());
        http_stats.push(("admin", admin_stats.clone()));
        registry.add(Box::new(metrics::Http(http_stats)));

        let readiness = Readiness::default();
        let sources = admin::Sources { directory, registry, packager: counts, readiness: readiness.clone() };
        let server =
            admin::Server::bind(&config.admin, sources, admin_stats, end.clone()).map_err(|error| {
                cannot_listen("admin", "tcp", config.admin.listen, "admin.listen")(error.source)
            })?;
        tracing::info!(address = %server.local_addr(), mode = ?config.mode, "admin: /metrics /healthz /readyz /api/v1; ready");
        let admin = tokio::spawn(server.run());
        Ok(Self { readiness, closing, cut, end, ports, packager, http, admin })
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
