//! What is on air, as JSON.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use flambeau_media::ChannelId;
use flambeau_media::channel::Channel;
use flambeau_media::feed::Feed;
use flambeau_media::program::{ElementaryStream, Program};
use flambeau_packager::Stats;
use serde::Serialize;

use super::Sources;
use crate::metrics;

/// `GET /api/v1/feeds`.
#[derive(Debug, Serialize)]
pub(super) struct Feeds {
    feeds: Vec<FeedView>,
}

#[derive(Debug, Serialize)]
struct FeedView {
    id: String,
    /// `live`, `waiting` (for its venue) or `closed`.
    state: &'static str,
    /// Since when it is in that state.
    since: String,
    bytes_total: u64,
    bytes_held: u64,
    discontinuities_total: u64,
    /// In bits a second, over the history held; null when it is not live.
    bit_rate: Option<u64>,
    /// What the stream says it carries; null before its PMT.
    program: Option<Program>,
}

/// `GET /api/v1/channels`.
#[derive(Debug, Serialize)]
pub(super) struct Channels {
    channels: Vec<ChannelView>,
}

#[derive(Debug, Serialize)]
struct ChannelView {
    id: String,
    feed: String,
    /// Paths on the edge's HTTP listener.
    hls: String,
    dash: String,
    tracks: Vec<TrackView>,
    objects_held: usize,
    bytes_held: usize,
    /// Null until the packager has begun.
    stats: Option<StatsView>,
}

#[derive(Debug, Serialize)]
struct TrackView {
    pid: u16,
    codec: String,
    language: Option<String>,
}

#[derive(Debug, Serialize)]
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

/// The Feeds, in order of name.
pub(super) async fn feeds(State(sources): State<Arc<Sources>>) -> Json<Feeds> {
    Json(Feeds { feeds: sources.directory.feeds().iter().map(|feed| FeedView::new(feed)).collect() })
}

/// The Channels, in order of name.
pub(super) async fn channels(State(sources): State<Arc<Sources>>) -> Json<Channels> {
    let mut stats: HashMap<ChannelId, Stats> = (sources.packager)().into_iter().collect();
    let channels = sources.directory.channels();
    let view = |channel: &Arc<Channel>| {
        let feed = sources.directory.feed(channel.feed());
        ChannelView::new(channel, feed.as_deref(), stats.remove(channel.id().as_str()))
    };
    Json(Channels { channels: channels.iter().map(view).collect() })
}

impl FeedView {
    fn new(feed: &Feed) -> Self {
        let stats = feed.stats();
        let program = Program::clone(&feed.program().borrow());
        Self {
            id: feed.id().to_string(),
            state: metrics::state(feed),
            since: feed.since().to_string(),
            bytes_total: stats.bytes_total,
            bytes_held: stats.bytes_held,
            discontinuities_total: stats.discontinuities_total,
            bit_rate: metrics::bit_rate(feed),
            program: (program != Program::default()).then_some(program),
        }
    }
}

impl ChannelView {
    fn new(channel: &Channel, feed: Option<&Feed>, stats: Option<Stats>) -> Self {
        let id = channel.id();
        let (objects_held, bytes_held) = channel.held();
        let tracks = feed.map(|feed| {
            let program = feed.program().borrow().clone();
            program.streams.iter().filter(|stream| stream.packaged).map(TrackView::new).collect()
        });
        Self {
            id: id.to_string(),
            feed: channel.feed().to_string(),
            hls: format!("/{id}/index.m3u8"),
            dash: format!("/{id}/manifest.mpd"),
            tracks: tracks.unwrap_or_default(),
            objects_held,
            bytes_held,
            stats: stats.map(StatsView::new),
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
