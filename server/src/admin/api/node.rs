//! The node itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use flambeau_config::Mode;
use flambeau_media::Utc;
use serde::Serialize;
use utoipa::ToSchema;

use super::Refusals;
use crate::admin::Sources;
use crate::cli::Roles;

/// What does not change while the node runs.
#[derive(Debug)]
pub(crate) struct Facts {
    /// What it takes on.
    pub(crate) roles: Roles,
    /// Where it listens.
    pub(crate) ports: Vec<Port>,
    /// The edge as a browser on this host sees it.
    pub(crate) http_base: String,
    /// When it started.
    pub(crate) started: (Utc, Instant),
}

/// A port that is listened on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Port {
    /// `SRT in`, `SRT out`, `HTTP` or `admin`.
    pub(crate) name: &'static str,
    /// `udp` or `tcp`.
    pub(crate) protocol: &'static str,
    /// Its address and port.
    pub(crate) address: String,
}

/// The node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    /// The version of Flambeau.
    version: &'static str,
    /// Whether it has a configuration.
    mode: NodeMode,
    /// When it started.
    #[schema(format = DateTime)]
    started_at: String,
    /// How long ago.
    uptime_seconds: f64,
    /// `ingest`, `packager`, `edge`.
    roles: Vec<&'static str>,
    /// The revision of the configuration that runs; null where none is kept.
    revision: Option<u64>,
    /// Where it listens.
    ports: Vec<Port>,
    /// The edge's HTTP as a browser on this host sees it.
    http_base: String,
}

/// Whether the node has a configuration.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum NodeMode {
    /// It has none: everything is allowed, on this machine alone.
    Lab,
    /// It has one.
    Configured,
}

/// What the node is and where it listens.
#[utoipa::path(get, path = "/api/v1/node", tag = "node", operation_id = "show_node",
    responses((status = 200, description = "the node", body = Node), Refusals))]
pub(super) async fn node(State(sources): State<Arc<Sources>>) -> Json<Node> {
    let facts = &sources.node;
    let roles =
        [("ingest", facts.roles.ingest), ("packager", facts.roles.packager), ("edge", facts.roles.edge)];
    let mode = match sources.live.current().mode {
        Mode::Lab => NodeMode::Lab,
        Mode::Configured => NodeMode::Configured,
    };
    Json(Node {
        version: env!("CARGO_PKG_VERSION"),
        mode,
        started_at: facts.started.0.to_string(),
        uptime_seconds: facts.started.1.elapsed().as_secs_f64(),
        roles: roles.into_iter().filter(|(_, taken)| *taken).map(|(role, _)| role).collect(),
        revision: sources.configuration.revision(),
        ports: facts.ports.clone(),
        http_base: facts.http_base.clone(),
    })
}

/// The edge at `address` as a browser on this host sees it.
pub(crate) fn http_base(scheme: &str, address: SocketAddr) -> String {
    let host = match address.ip() {
        ip if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(host, address.port()))
}
