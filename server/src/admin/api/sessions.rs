//! The Sessions: who publishes, who pulls, who watches.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use flambeau_edge::http::{self as edge, Viewer};
use flambeau_edge::srt::{Pull, Pulls, Stage};
use flambeau_ingest::srt::{Venue, Venues};
use flambeau_media::BroadcasterId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Refusals;
use crate::admin::Sources;
use crate::admin::problem::{Path, Problem, Refused};
use crate::admin::samples::{publish_id, pull_id, viewer_id};

/// The Sessions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sessions {
    /// Venues first, then pullers, then players.
    sessions: Vec<SessionView>,
}

/// A Session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub(in crate::admin) struct SessionView {
    id: String,
    kind: Kind,
    protocol: Protocol,
    /// The address it comes from.
    peer: String,
    /// The user or the broadcaster, where one is known.
    user: Option<String>,
    /// The Feed or the Channel.
    resource: String,
    #[schema(format = DateTime)]
    since: String,
    encrypted: bool,
    /// Received from a venue, or sent to whoever takes.
    bytes: u64,
    /// In bits a second, of the last second.
    bit_rate: Option<u64>,
    /// SRT: the round-trip time in milliseconds.
    rtt_ms: Option<f64>,
    /// SRT: the fraction of packets that went missing on the way, over the last ten seconds; most come again.
    loss: Option<f64>,
    /// SRT: the latency agreed, in milliseconds.
    latency_ms: Option<u64>,
    /// SRT: packets that never came, or too late.
    lost: Option<u64>,
    /// SRT: packets that were sent again.
    retransmitted: Option<u64>,
    /// A player's user agent.
    agent: Option<String>,
    /// A puller: `waiting` for its Feed, `joining` or `following` it, or ending.
    state: Option<&'static str>,
}

/// What a Session is for.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SessionKind)]
enum Kind {
    /// A venue publishes a Feed.
    Publish,
    /// A broadcaster pulls a Feed.
    Pull,
    /// A player watches a Channel.
    Watch,
}

/// What a Session speaks.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    /// SRT.
    Srt,
    /// HLS.
    Hls,
    /// DASH.
    Dash,
}

/// Every Session.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", operation_id = "list_sessions",
    responses((status = 200, description = "the Sessions", body = Sessions), Refusals))]
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Json<Sessions> {
    Json(Sessions { sessions: views(&sources) })
}

/// Ends a Session.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "sessions", operation_id = "end_session",
    params(("id" = String, Path, description = "its id in the list")),
    responses(
        (status = 204, description = "it ends now"),
        (status = 404, description = "there is none of that id", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn end(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refused> {
    let venues = sources.venues.iter().flat_map(Venues::list);
    if let Some(venue) = venues.into_iter().find(|venue| publish_id(venue) == id) {
        venue.end(BY_OPERATOR).await;
        return Ok(StatusCode::NO_CONTENT);
    }
    let pulls = sources.pulls.iter().flat_map(Pulls::list);
    if let Some(pull) = pulls.into_iter().find(|pull| pull_id(pull) == id) {
        pull.end(BY_OPERATOR).await;
        return Ok(StatusCode::NO_CONTENT);
    }
    let viewer = id.strip_prefix("http-").and_then(|id| id.parse().ok());
    if let (Some(viewers), Some(viewer)) = (&sources.viewers, viewer)
        && viewers.end(viewer)
    {
        tracing::info!(session = id, "viewer ended by the operator");
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Refused::not_found(format!("there is no session {id:?}: it has ended, or there never was one")))
}

/// Every Session: venues, pullers, players.
pub(in crate::admin) fn views(sources: &Sources) -> Vec<SessionView> {
    let venues = sources.venues.iter().flat_map(Venues::list);
    let pulls = sources.pulls.iter().flat_map(Pulls::list);
    let mut views: Vec<SessionView> = venues.map(|venue| SessionView::of_venue(&venue, sources)).collect();
    views.extend(pulls.map(|pull| SessionView::of_pull(&pull, sources)));
    views.extend(sources.viewers().into_iter().map(|viewer| SessionView::of_viewer(viewer, sources)));
    views
}

impl SessionView {
    fn of_venue(venue: &Venue, sources: &Sources) -> Self {
        let (stats, id) = (venue.session.stats(), publish_id(venue));
        Self {
            kind: Kind::Publish,
            protocol: Protocol::Srt,
            peer: venue.session.peer().to_string(),
            user: venue.user.clone(),
            resource: venue.feed.to_string(),
            since: venue.since.to_string(),
            encrypted: venue.encrypted,
            bytes: stats.total.byte_recv,
            bit_rate: Some(stats.receive_bps),
            rtt_ms: Some(stats.rtt.as_secs_f64() * 1e3),
            loss: sources.seen.samples.loss(&id),
            latency_ms: Some(stats.receive_latency.as_millis() as u64),
            lost: Some(stats.total.pkt_rcv_drop),
            retransmitted: Some(stats.total.pkt_rcv_retrans),
            agent: None,
            state: None,
            id,
        }
    }

    fn of_pull(pull: &Pull, sources: &Sources) -> Self {
        let (stats, id) = (pull.session.stats(), pull_id(pull));
        Self {
            kind: Kind::Pull,
            protocol: Protocol::Srt,
            peer: pull.session.peer().to_string(),
            user: pull.broadcaster.as_ref().map(BroadcasterId::to_string),
            resource: pull.feed.to_string(),
            since: pull.since.to_string(),
            encrypted: pull.encrypted,
            bytes: stats.total.byte_sent,
            bit_rate: Some(stats.send_bps),
            rtt_ms: Some(stats.rtt.as_secs_f64() * 1e3),
            loss: sources.seen.samples.loss(&id),
            latency_ms: Some(stats.send_latency.as_millis() as u64),
            lost: Some(stats.total.pkt_snd_drop),
            retransmitted: Some(stats.total.pkt_retrans),
            agent: None,
            state: Some(match pull.progress.stage() {
                Stage::Waiting => "waiting",
                Stage::Joining => "joining",
                Stage::Following => "following",
                Stage::TimedOut | Stage::Ended | Stage::TooSlow => "ending",
            }),
            id,
        }
    }

    fn of_viewer(viewer: Viewer, sources: &Sources) -> Self {
        let id = viewer_id(&viewer);
        Self {
            kind: Kind::Watch,
            protocol: match viewer.protocol {
                edge::Protocol::Hls => Protocol::Hls,
                edge::Protocol::Dash => Protocol::Dash,
            },
            peer: viewer.peer.to_string(),
            user: viewer.broadcaster.map(|broadcaster| broadcaster.to_string()),
            resource: viewer.channel.to_string(),
            since: viewer.since.to_string(),
            encrypted: sources.node.http_base.starts_with("https:"),
            bytes: viewer.bytes,
            bit_rate: sources.seen.samples.bit_rate(&id),
            rtt_ms: None,
            loss: None,
            latency_ms: None,
            lost: None,
            retransmitted: None,
            agent: viewer.agent,
            state: None,
            id,
        }
    }
}

const BY_OPERATOR: &str = "ended by the operator";
