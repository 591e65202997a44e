//! The Feeds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flambeau_edge::srt::Pulls;
use flambeau_ingest::srt::{Venue, Venues};
use flambeau_media::FeedId;
use flambeau_media::feed::Feed;
use flambeau_media::program::{ElementaryStream, Program};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{LastError, Refusals};
use crate::admin::Sources;
use crate::admin::problem::{Path, Problem, Query, Refused};
use crate::admin::samples::{Sample, publish_id};
use crate::log::Event;
use crate::metrics;

/// The Feeds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Feeds {
    /// In order of name.
    feeds: Vec<FeedView>,
}

/// A Feed: one contribution of one programme.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Feed)]
pub(in crate::admin) struct FeedView {
    id: String,
    /// What people call it.
    label: Option<String>,
    state: FeedState,
    /// Since when it is in that state; null: it was never seen.
    #[schema(format = DateTime)]
    since: Option<String>,
    bytes_total: u64,
    bytes_held: u64,
    discontinuities_total: u64,
    /// In bits a second, over the history held; null when it is not live.
    bit_rate: Option<u64>,
    /// What the stream says it carries; null before its PMT.
    program: Option<ProgramView>,
    /// The venue that publishes it.
    publisher: Option<Publisher>,
    /// SRT sessions that pull it.
    pulls: usize,
    /// The newest warning or error about it among the events.
    last_error: Option<LastError>,
}

/// Whether a Feed's venue is there.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FeedState {
    /// Its venue publishes.
    Live,
    /// Its venue went away a moment ago.
    Waiting,
    /// It has ended.
    Closed,
    /// It is configured, and nobody publishes it.
    Expected,
}

/// A venue's session.
#[derive(Debug, Serialize, ToSchema)]
struct Publisher {
    /// The id among the sessions.
    session: String,
    peer: String,
    /// The user it gave.
    user: Option<String>,
    encrypted: bool,
    latency_ms: u64,
    rtt_ms: f64,
    /// The fraction of packets that went missing on the way, over the last ten seconds.
    loss: Option<f64>,
    #[schema(format = DateTime)]
    since: String,
}

/// The programme a Feed carries, from its PAT and PMT.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Program)]
struct ProgramView {
    number: u16,
    pmt_pid: u16,
    pcr_pid: u16,
    streams: Vec<StreamView>,
}

/// One elementary stream of a programme.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ElementaryStream)]
struct StreamView {
    pid: u16,
    stream_type: u8,
    /// What it is, as an operator knows it.
    label: String,
    language: Option<String>,
    /// The media lane packages it; the transport lane carries all of them.
    packaged: bool,
}

/// What a Feed was like.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    /// From one sample to the next.
    step_seconds: u64,
    /// The last ten minutes or the last day, oldest first.
    samples: Vec<Sample>,
}

/// Every Feed, those that are configured and not there too.
#[utoipa::path(get, path = "/api/v1/feeds", tag = "feeds", operation_id = "list_feeds",
    responses((status = 200, description = "the Feeds", body = Feeds), Refusals))]
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Json<Feeds> {
    Json(Feeds { feeds: views(&sources) })
}

/// One Feed.
#[utoipa::path(get, path = "/api/v1/feeds/{id}", tag = "feeds", operation_id = "show_feed", params(("id" = String, Path, description = "its name")),
    responses(
        (status = 200, description = "the Feed", body = FeedView),
        (status = 404, description = "there is none of that name", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn one(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Json<FeedView>, Refused> {
    let found = views(&sources).into_iter().find(|feed| feed.id == id);
    found.map(Json).ok_or_else(|| Refused::not_found(format!("there is no feed {id:?}")))
}

/// How far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HowFar {
    /// `minutes`: the last ten, a sample each second; `day`: a sample each minute. Without it, `minutes`.
    #[param(inline, nullable = false)]
    span: Option<Span>,
}

/// How far back.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Span {
    /// Ten minutes, by the second.
    Minutes,
    /// A day, by the minute.
    Day,
}

/// What a Feed was like lately.
#[utoipa::path(get, path = "/api/v1/feeds/{id}/history", tag = "feeds", operation_id = "show_feed_history",
    params(("id" = String, Path, description = "its name"), HowFar),
    responses(
        (status = 200, description = "a sample each second or each minute", body = History),
        (status = 400, description = "the query makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "there is none of that name", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn history(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
    Query(HowFar { span }): Query<HowFar>,
) -> Result<Json<History>, Refused> {
    let (step_seconds, samples) = match span.unwrap_or(Span::Minutes) {
        Span::Minutes => (1, sources.seen.samples.of_feed(&id)),
        Span::Day => (60, sources.seen.samples.day_of_feed(&id)),
    };
    let known = id.parse::<FeedId>().is_ok_and(|id| {
        let configured = sources.live.current().feeds.iter().any(|feed| feed.id == id);
        configured || sources.directory.feed(&id).is_some()
    });
    if samples.is_empty() && !known {
        return Err(Refused::not_found(format!("there is no feed {id:?}")));
    }
    Ok(Json(History { step_seconds, samples }))
}

/// Every Feed, in order of name.
pub(in crate::admin) fn views(sources: &Sources) -> Vec<FeedView> {
    let config = sources.live.current();
    let expected = config.feeds.iter().map(|feed| (feed.id.clone(), FeedView::expected(feed)));
    let mut views: BTreeMap<FeedId, FeedView> = expected.collect();
    for feed in sources.directory.feeds() {
        let label = views.remove(feed.id()).and_then(|view| view.label);
        views.insert(feed.id().clone(), FeedView { label, ..FeedView::new(&feed) });
    }
    for venue in sources.venues.iter().flat_map(Venues::list) {
        if let Some(view) = views.get_mut(&venue.feed) {
            view.publisher = Some(Publisher::new(&venue, sources));
        }
    }
    let mut pulls: HashMap<FeedId, usize> = HashMap::new();
    for pull in sources.pulls.iter().flat_map(Pulls::list) {
        *pulls.entry(pull.feed).or_default() += 1;
    }
    let faults = sources.events.newest_faults("feed");
    for (id, view) in &mut views {
        view.pulls = pulls.get(id).copied().unwrap_or(0);
        view.last_error = faults.get(id.as_str()).map(|event: &Arc<Event>| LastError::from(&**event));
    }
    views.into_values().collect()
}

impl FeedView {
    fn expected(feed: &flambeau_config::FeedConfig) -> Self {
        Self {
            id: feed.id.to_string(),
            label: feed.label.clone(),
            state: FeedState::Expected,
            since: None,
            bytes_total: 0,
            bytes_held: 0,
            discontinuities_total: 0,
            bit_rate: None,
            program: None,
            publisher: None,
            pulls: 0,
            last_error: None,
        }
    }

    fn new(feed: &Feed) -> Self {
        let stats = feed.stats();
        let program = feed.program().borrow().clone();
        Self {
            id: feed.id().to_string(),
            label: None,
            state: match metrics::state(feed) {
                "live" => FeedState::Live,
                "waiting" => FeedState::Waiting,
                _ => FeedState::Closed,
            },
            since: Some(feed.since().to_string()),
            bytes_total: stats.bytes_total,
            bytes_held: stats.bytes_held,
            discontinuities_total: stats.discontinuities_total,
            bit_rate: feed.bit_rate(),
            program: (*program != Program::default()).then(|| ProgramView::new(&program)),
            publisher: None,
            pulls: 0,
            last_error: None,
        }
    }
}

impl Publisher {
    fn new(venue: &Venue, sources: &Sources) -> Self {
        let (stats, session) = (venue.session.stats(), publish_id(venue));
        Self {
            peer: venue.session.peer().to_string(),
            user: venue.user.clone(),
            encrypted: venue.encrypted,
            latency_ms: stats.receive_latency.as_millis() as u64,
            rtt_ms: stats.rtt.as_secs_f64() * 1e3,
            loss: sources.seen.samples.loss(&session),
            since: venue.since.to_string(),
            session,
        }
    }
}

impl ProgramView {
    fn new(program: &Program) -> Self {
        let Program { number, pmt_pid, pcr_pid, ref streams } = *program;
        let view = |stream: &ElementaryStream| StreamView {
            pid: stream.pid,
            stream_type: stream.stream_type,
            label: stream.label.clone(),
            language: stream.language.clone(),
            packaged: stream.packaged,
        };
        Self { number, pmt_pid, pcr_pid, streams: streams.iter().map(view).collect() }
    }
}
