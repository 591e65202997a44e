//! The operator's own door: metrics, health and what is on air, on an address that only the operator reaches.
//!
//! | path | what it is |
//! |---|---|
//! | `/metrics` | [`crate::metrics`] in OpenMetrics text |
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | 200 while it takes Sessions, else 503 and why not |
//! | `/api/v1/feeds` | the Feeds, as JSON |
//! | `/api/v1/channels` | the Channels, as JSON |

mod api;
mod readiness;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use flambeau_config as config;
use flambeau_edge::http::{BindError, Limits, Listener, Stats};
use flambeau_media::directory::Directory;
use tokio_util::sync::CancellationToken;

use crate::metrics::{self, Registry};
pub(crate) use readiness::Readiness;

/// What the admin listener shows.
pub(crate) struct Sources {
    /// The Feeds and Channels.
    pub(crate) directory: Arc<Directory>,
    /// The rooms' metrics.
    pub(crate) registry: Registry,
    /// The packager's counts, by Channel.
    pub(crate) packager: metrics::PackagerStats,
    /// Whether the listeners are open.
    pub(crate) readiness: Readiness,
}

/// The admin listener.
#[derive(Debug)]
pub(crate) struct Server {
    listener: Listener,
    router: Router,
    shutdown: CancellationToken,
}

impl Server {
    /// Opens the listener. `stats` is what it counts, so that the registry can show that too.
    pub(crate) fn bind(
        config: &config::Admin,
        sources: Sources,
        stats: Arc<Stats>,
        shutdown: CancellationToken,
    ) -> Result<Self, BindError> {
        let listener = Listener::bind(config.listen, LIMITS, stats)?;
        Ok(Self { listener, router: router(sources), shutdown })
    }

    /// Where it listens.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is set. Set it last of all: an operator wants to see the drain.
    pub(crate) async fn run(self) {
        self.listener.run(self.router, self.shutdown, GRACE).await;
    }
}

/// The service alone.
fn router(sources: Sources) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/metrics", get(scrape))
        .route("/healthz", get(|| async { "The process lives.\n" }))
        .route("/readyz", get(ready))
        .route("/api/v1/feeds", get(api::feeds))
        .route("/api/v1/channels", get(api::channels))
        .fallback(nowhere)
        .method_not_allowed_fallback(|| async {
            (StatusCode::METHOD_NOT_ALLOWED, "The methods here are GET and HEAD.\n")
        })
        .layer(axum::middleware::map_response(fresh))
        .with_state(Arc::new(sources))
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

async fn nowhere(uri: Uri) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("There is nothing at {}. See / for what there is.\n", uri.path()))
}

/// Every answer here is of this moment.
async fn fresh(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
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

const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Flambeau</title></head>\n<body>\
    <h1>Flambeau</h1>\n<ul>\n\
    <li><a href=\"/api/v1/feeds\">Feeds</a></li>\n\
    <li><a href=\"/api/v1/channels\">Channels</a></li>\n\
    <li><a href=\"/metrics\">Metrics</a>, for Prometheus</li>\n\
    <li><a href=\"/healthz\">Health</a>: whether the process lives</li>\n\
    <li><a href=\"/readyz\">Readiness</a>: whether it takes Sessions</li>\n\
    </ul></body></html>\n";

#[cfg(test)]
mod tests;
