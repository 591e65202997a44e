//! What an SRT session counts, under the names that libsrt's users know.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flambeau_edge::srt::Pulls;
use flambeau_ingest::srt::Venues;
use flambeau_srt::protocol::stats::Stats;
use serde::Serialize;
use utoipa::ToSchema;

use super::Refusals;
use crate::admin::Sources;
use crate::admin::problem::{Path, Problem, Refused};
use crate::admin::samples::{Sample, publish_id, pull_id};

/// The statistics of an SRT session, by libsrt's names (its `docs/API/statistics.md`).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionStatistics)]
pub(super) struct Statistics {
    /// Of this moment: `msRTT`, `mbpsSendRate`, `mbpsRecvRate`, `pktFlightSize` and others.
    instant: BTreeMap<&'static str, f64>,
    /// Counted in the last interval: `pktSent`, `pktRecv`, `pktRetrans` and others.
    interval: BTreeMap<&'static str, u64>,
    /// How long that was, in milliseconds: about a second.
    interval_ms: u64,
    /// Counted since the session began.
    total: BTreeMap<&'static str, u64>,
    /// Each minute of the last day, oldest first; the one that passes is not among them.
    minutes: Vec<Sample>,
}

/// What an SRT session counts.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/statistics", tag = "sessions", operation_id = "show_session_statistics",
    params(("id" = String, Path, description = "its id in the list")),
    responses(
        (status = 200, description = "its statistics", body = Statistics),
        (status = 404, description = "there is no SRT session of that id", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn of_session(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Json<Statistics>, Refused> {
    let stats = stats(&sources, &id).ok_or_else(|| {
        Refused::not_found(format!("there is no SRT session {id:?}: it has ended, or there never was one"))
    })?;
    let (interval, minutes) = sources.seen.samples.of_session(&id).unwrap_or_default();
    Ok(Json(Statistics {
        instant: stats.instant().collect(),
        interval: interval.counts.named().collect(),
        interval_ms: interval.length.as_millis() as u64,
        total: stats.total.named().collect(),
        minutes,
    }))
}

fn stats(sources: &Sources, id: &str) -> Option<Stats> {
    let venues = sources.venues.iter().flat_map(Venues::list);
    let pulls = sources.pulls.iter().flat_map(Pulls::list);
    let of_venue = |venue: flambeau_ingest::srt::Venue| (publish_id(&venue), venue.session.stats());
    let of_pull = |pull: flambeau_edge::srt::Pull| (pull_id(&pull), pull.session.stats());
    venues.map(of_venue).chain(pulls.map(of_pull)).find(|(known, _)| known == id).map(|(_, stats)| stats)
}
