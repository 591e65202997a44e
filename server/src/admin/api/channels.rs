//! The Channels.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flambeau_config::ChannelConfig;
use flambeau_media::ChannelId;
use flambeau_media::channel::Channel;
use flambeau_media::feed::{Feed, State as FeedState};
use flambeau_media::program::ElementaryStream;
use flambeau_packager::Stats;
use serde::Serialize;
use utoipa::ToSchema;

use super::{LastError, Refusals};
use crate::admin::Sources;
use crate::admin::problem::{Path, Problem, Refused};
use crate::admin::renditions::{self, Part, Rendition};
use crate::log::Event;

/// The Channels.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Channels {
    /// In order of name.
    channels: Vec<ChannelView>,
}

/// A Channel: a service packaged of a Feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
pub(in crate::admin) struct ChannelView {
    id: String,
    /// What people call it.
    label: Option<String>,
    /// The Feed it is made of.
    feed: String,
    state: ChannelState,
    /// Its HLS, as a path on the edge's HTTP listener.
    hls: String,
    /// Its DASH, as a path on the edge's HTTP listener.
    dash: String,
    tracks: Vec<TrackView>,
    /// What players are offered.
    renditions: Vec<Rendition>,
    /// The newest Parts of the first Rendition, oldest first. Not in a snapshot of the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parts: Option<Vec<Part>>,
    /// Players that watch it.
    viewers: usize,
    objects_held: usize,
    bytes_held: usize,
    /// Null until the packager has begun.
    stats: Option<StatsView>,
    /// The newest warning or error about it among the events.
    last_error: Option<LastError>,
}

/// Whether a Channel can be watched.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ChannelState {
    /// It goes on.
    OnAir,
    /// It can be watched, and nothing new comes.
    Silent,
    /// There is nothing to watch.
    OffAir,
}

/// A Track that is packaged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Track)]
struct TrackView {
    pid: u16,
    codec: String,
    language: Option<String>,
}

/// What the packager of a Channel counts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelStats)]
struct StatsView {
    running: bool,
    tracks: usize,
    samples: u64,
    samples_dropped: u64,
    parts: u64,
    segments: u64,
    discontinuities: u64,
    restarts: u64,
    lagged: u64,
    clock_drift_seconds: f64,
    last_error: Option<String>,
}

/// Every Channel, those that are configured and off the air too.
#[utoipa::path(get, path = "/api/v1/channels", tag = "channels", operation_id = "list_channels",
    responses((status = 200, description = "the Channels", body = Channels), Refusals))]
pub(super) async fn list(State(sources): State<Arc<Sources>>) -> Json<Channels> {
    Json(Channels { channels: views(&sources, true) })
}

/// One Channel.
#[utoipa::path(get, path = "/api/v1/channels/{id}", tag = "channels", operation_id = "show_channel",
    params(("id" = String, Path, description = "its name")),
    responses(
        (status = 200, description = "the Channel", body = ChannelView),
        (status = 404, description = "there is none of that name", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn one(
    State(sources): State<Arc<Sources>>,
    Path(id): Path<String>,
) -> Result<Json<ChannelView>, Refused> {
    let found = views(&sources, true).into_iter().find(|channel| channel.id == id);
    found.map(Json).ok_or_else(|| Refused::not_found(format!("there is no channel {id:?}")))
}

/// Every Channel, in order of name.
pub(in crate::admin) fn views(sources: &Sources, with_parts: bool) -> Vec<ChannelView> {
    let config = sources.live.current();
    let planned = config.channels.iter().map(|plan| (plan.id.clone(), ChannelView::off_air(plan)));
    let mut views: BTreeMap<ChannelId, ChannelView> = planned.collect();
    for channel in sources.directory.channels() {
        let label = views.remove(channel.id()).and_then(|view| view.label);
        let feed = sources.directory.feed(channel.feed());
        let view = ChannelView::new(&channel, feed.as_deref(), with_parts);
        views.insert(channel.id().clone(), ChannelView { label, ..view });
    }
    let mut stats: HashMap<ChannelId, Stats> = (sources.packager)().into_iter().collect();
    let faults = sources.events.newest_faults("channel");
    let viewers = sources.viewers_by_channel();
    for (id, view) in &mut views {
        view.stats = stats.remove(id).map(StatsView::new);
        view.viewers = viewers.get(id).copied().unwrap_or(0);
        view.last_error = faults.get(id.as_str()).map(|event: &Arc<Event>| LastError::from(&**event));
        if with_parts && view.parts.is_none() {
            view.parts = Some(Vec::new());
        }
    }
    views.into_values().collect()
}

impl ChannelView {
    fn off_air(plan: &ChannelConfig) -> Self {
        let id = &plan.id;
        Self {
            id: id.to_string(),
            label: plan.label.clone(),
            feed: plan.feed.to_string(),
            state: ChannelState::OffAir,
            hls: format!("/{id}/index.m3u8"),
            dash: format!("/{id}/manifest.mpd"),
            tracks: Vec::new(),
            renditions: Vec::new(),
            parts: None,
            viewers: 0,
            objects_held: 0,
            bytes_held: 0,
            stats: None,
            last_error: None,
        }
    }

    fn new(channel: &Channel, feed: Option<&Feed>, with_parts: bool) -> Self {
        let renditions = renditions::renditions(channel);
        let (objects_held, bytes_held) = channel.held();
        let leading = renditions.first().map(|rendition| rendition.name.clone());
        let live = feed.is_some_and(|feed| *feed.state().borrow() == FeedState::Live);
        let silent = leading.as_ref().and_then(|name| renditions::is_silent(channel, name));
        let tracks = feed.map(|feed| {
            let program = feed.program().borrow().clone();
            program.streams.iter().filter(|stream| stream.packaged).map(TrackView::new).collect()
        });
        Self {
            state: match silent {
                None => ChannelState::OffAir,
                Some(false) if live => ChannelState::OnAir,
                Some(_) => ChannelState::Silent,
            },
            tracks: tracks.unwrap_or_default(),
            parts: leading.filter(|_| with_parts).map(|name| renditions::parts(channel, &name, PARTS_TOLD)),
            renditions,
            objects_held,
            bytes_held,
            ..Self::off_air(&ChannelConfig::new(channel.id().clone(), channel.feed().clone()))
        }
    }
}

impl TrackView {
    fn new(stream: &ElementaryStream) -> Self {
        Self { pid: stream.pid, codec: stream.label.clone(), language: stream.language.clone() }
    }
}

impl StatsView {
    fn new(stats: Stats) -> Self {
        Self {
            running: stats.running,
            tracks: stats.tracks,
            samples: stats.samples,
            samples_dropped: stats.samples_dropped,
            parts: stats.parts,
            segments: stats.segments,
            discontinuities: stats.discontinuities,
            restarts: stats.restarts,
            lagged: stats.lagged,
            clock_drift_seconds: stats.drift_us as f64 / 1e6,
            last_error: stats.last_error,
        }
    }
}

const PARTS_TOLD: usize = 30;
