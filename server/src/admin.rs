//! The operator's own door: the console, the API, metrics and health.
//!
//! | path | what it is |
//! |---|---|
//! | `/` | the console |
//! | `/api/v1/…` | [`api`], for whoever has the token |
//! | `/metrics` | [`crate::metrics`] in OpenMetrics text |
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | 200 while it takes Sessions, else 503 and why not |

mod api;
mod auth;
mod console;
mod minutes;
mod problem;
mod readiness;
mod renditions;
mod samples;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flambeau_config::Live;
use flambeau_edge::http::{BindError, Limits, Listener, Stats, Viewer, Viewers};
use flambeau_edge::srt::Pulls;
use flambeau_ingest::srt::Venues;
use flambeau_media::ChannelId;
use flambeau_media::directory::Directory;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::configure::Configuration;
use crate::log::Events;
use crate::metrics::{self, Registry};
pub(crate) use api::{Facts, Port, http_base};
use problem::Refused;
pub(crate) use readiness::Readiness;
use samples::Samples;

/// What the admin listener shows.
pub(crate) struct Sources {
    /// The configuration of the moment.
    pub(crate) live: Live,
    /// The configuration's file and its revisions.
    pub(crate) configuration: Arc<Configuration>,
    /// The newest lines of the log.
    pub(crate) events: Events,
    /// What does not change while the node runs.
    pub(crate) node: Facts,
    /// The Feeds and Channels.
    pub(crate) directory: Arc<Directory>,
    /// Who publishes.
    pub(crate) venues: Option<Venues>,
    /// Who pulls.
    pub(crate) pulls: Option<Pulls>,
    /// Who watches.
    pub(crate) viewers: Option<Viewers>,
    /// The rooms' metrics.
    pub(crate) registry: Registry,
    /// The packager's counts, by Channel.
    pub(crate) packager: metrics::PackagerStats,
    /// Whether the listeners are open.
    pub(crate) readiness: Readiness,
    /// What was seen lately.
    pub(crate) seen: Seen,
}

/// What the admin listener itself keeps.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    samples: Samples,
    broadcast: api::Broadcast,
}

impl Sources {
    /// Who watches.
    fn viewers(&self) -> Vec<Viewer> {
        self.viewers.as_ref().map(Viewers::list).unwrap_or_default()
    }

    /// How many players watch each Channel.
    fn viewers_by_channel(&self) -> HashMap<ChannelId, usize> {
        let mut counts = HashMap::new();
        for viewer in self.viewers() {
            *counts.entry(viewer.channel).or_default() += 1;
        }
        counts
    }

    /// Looks at everything once a second, and tells whoever listens, until `end`.
    async fn watch(self: Arc<Self>, end: CancellationToken) {
        let mut tick = tokio::time::interval(SAMPLE_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while end.run_until_cancelled(tick.tick()).await.is_some() {
            self.seen.samples.take(&self);
            self.seen.broadcast.tell(&self);
        }
    }
}

/// The admin listener.
#[derive(Debug)]
pub(crate) struct Server {
    listener: Listener,
    stats: Arc<Stats>,
}

impl Server {
    /// Opens the listener.
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let stats = Arc::new(Stats::default());
        Ok(Self { listener: Listener::bind(address, LIMITS, stats.clone())?, stats })
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// What it counts, so that the registry can show that too.
    pub(crate) fn stats(&self) -> Arc<Stats> {
        self.stats.clone()
    }

    /// Serves until `end` is cancelled. Cancel it last of all: an operator wants to see the drain.
    pub(crate) async fn run(self, sources: Sources, end: CancellationToken) {
        let sources = Arc::new(sources);
        sources.seen.broadcast.end_with(end.clone());
        tokio::spawn(sources.clone().watch(end.clone()));
        self.listener.run(router(sources), end, GRACE).await;
    }
}

/// The service alone.
fn router(sources: Arc<Sources>) -> Router {
    let guard = axum::middleware::from_fn_with_state(sources.clone(), auth::guard);
    api::router()
        .route("/metrics", get(scrape))
        .route("/healthz", get(|| async { "The process lives.\n" }))
        .route("/readyz", get(ready))
        .fallback(console::serve)
        .method_not_allowed_fallback(wrong_method)
        .layer(guard)
        .layer(axum::middleware::map_response(fresh))
        .with_state(sources)
}

async fn scrape(State(sources): State<Arc<Sources>>) -> Response {
    match sources.registry.render() {
        Ok(text) => ([(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE))], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            (StatusCode::INTERNAL_SERVER_ERROR, "The metrics cannot be written; see the log.\n")
                .into_response()
        }
    }
}

async fn ready(State(sources): State<Arc<Sources>>) -> (StatusCode, String) {
    match sources.readiness.obstacle() {
        None => (StatusCode::OK, "Ready.\n".into()),
        Some(obstacle) => (StatusCode::SERVICE_UNAVAILABLE, format!("Not ready: {obstacle}.\n")),
    }
}

async fn wrong_method(uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        let detail = format!("{} has other methods; see /api/v1/openapi.json", uri.path());
        return Refused::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response();
    }
    (StatusCode::METHOD_NOT_ALLOWED, "The methods here are GET and HEAD.\n").into_response()
}

/// Every answer here is of this moment, unless it says otherwise.
async fn fresh(mut response: Response) -> Response {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A few operators and scrapers: much less than the edge's audience.
const LIMITS: Limits = Limits {
    connections_max: 256,
    connections_per_address_max: 128,
    requests_per_second_max: 1000,
    header_bytes_max: 16 << 10,
    header_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(60),
    write_timeout: Duration::from_secs(20),
};

const GRACE: Duration = Duration::from_secs(1);

const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
