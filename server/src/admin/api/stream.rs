//! What is on air, told once a second to whoever listens, and each event as it happens.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flambeau_media::Utc;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::channels::ChannelView;
use super::feeds::FeedView;
use super::sessions::SessionView;
use super::{Refusals, channels, feeds, sessions};
use crate::admin::Sources;
use crate::admin::problem::{Problem, Refused};
use crate::log::{Event, Events};

/// What is on air at one moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Snapshot {
    #[schema(format = DateTime)]
    at: String,
    feeds: Vec<FeedView>,
    /// Without their Parts.
    channels: Vec<ChannelView>,
    sessions: Vec<SessionView>,
}

/// The listeners, and what they are all told.
#[derive(Debug)]
pub(in crate::admin) struct Broadcast {
    places: Arc<Semaphore>,
    snapshot: watch::Sender<Bytes>,
    /// Cancelled at the end, lest a listener hold up the listener's port.
    end: RwLock<CancellationToken>,
}

impl Default for Broadcast {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LISTENERS_MAX)),
            snapshot: watch::Sender::new(Bytes::new()),
            end: RwLock::default(),
        }
    }
}

impl Broadcast {
    /// Ends every listener's stream once `end` is cancelled.
    pub(in crate::admin) fn end_with(&self, end: CancellationToken) {
        *self.end.write().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// Tells what is on air, where someone listens: rendered once for all of them.
    pub(in crate::admin) fn tell(&self, sources: &Sources) {
        if self.snapshot.receiver_count() == 0 {
            return;
        }
        let snapshot = Snapshot {
            at: Utc::now().to_string(),
            feeds: feeds::views(sources),
            channels: channels::views(sources, false),
            sessions: sessions::views(sources),
        };
        self.snapshot.send_replace(frame("snapshot", None, &snapshot));
    }
}

/// Server-sent events: `snapshot` once a second, `event` for each line of the log of level info and above.
///
/// An `event` has its id; with `Last-Event-ID` those that were missed come first, as far as they are kept.
#[utoipa::path(get, path = "/api/v1/stream", tag = "events", operation_id = "follow",
    params(("Last-Event-ID" = Option<u64>, Header, description = "the id of the last event that came")),
    responses(
        (status = 200, description = "without an end", body = String, content_type = "text/event-stream"),
        (status = 503, description = "too many listen already", body = Problem, content_type = "application/problem+json"),
        Refusals))]
pub(super) async fn stream(State(sources): State<Arc<Sources>>, head: HeaderMap) -> Response {
    let broadcast = &sources.seen.broadcast;
    let Ok(place) = broadcast.places.clone().try_acquire_owned() else {
        let detail = format!("{LISTENERS_MAX} listen already, which is the most");
        return Refused::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    };
    // What is no number was not given by us.
    let after = head.get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let (missed, events) = sources.events.follow(after);
    let mut listener = Listener {
        snapshot: broadcast.snapshot.subscribe(),
        ring: sources.events.clone(),
        events,
        last: missed.last().map(|event| event.id).or(after).unwrap_or(0),
        end: broadcast.end.read().unwrap_or_else(PoisonError::into_inner).clone(),
        _place: place,
    };
    listener.snapshot.mark_unchanged();
    // What was missed, and a first byte at once, so that the client knows it is heard.
    let mut first = b": flambeau\n\n".to_vec();
    missed.iter().for_each(|event| first.extend_from_slice(&frame("event", Some(event.id), &**event)));
    let rest = async |(first, mut listener): (Option<Bytes>, Listener)| {
        let frame = match first {
            Some(first) => first,
            None => listener.next().await?,
        };
        Some((Ok::<_, Infallible>(frame), (None, listener)))
    };
    let body = Body::from_stream(stream::unfold((Some(Bytes::from(first)), listener), rest));
    ([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], body).into_response()
}

/// One who listens.
struct Listener {
    snapshot: watch::Receiver<Bytes>,
    ring: Events,
    events: broadcast::Receiver<Arc<Event>>,
    /// The newest event that was sent.
    last: u64,
    end: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let events = tokio::select! {
                biased;
                () = self.end.cancelled() => return None,
                event = self.events.recv() => match event {
                    Ok(event) => vec![event],
                    // Too slow for the queue; the ring still has them.
                    Err(broadcast::error::RecvError::Lagged(_)) => self.ring.after(Some(self.last), usize::MAX),
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                changed = self.snapshot.changed() => {
                    changed.ok()?;
                    return Some(self.snapshot.borrow_and_update().clone());
                }
            };
            let mut frames = Vec::new();
            for event in events.iter().filter(|event| event.id > self.last) {
                frames.extend_from_slice(&frame("event", Some(event.id), &**event));
            }
            if let Some(newest) = events.last().filter(|newest| newest.id > self.last) {
                self.last = newest.id;
                return Some(frames.into());
            }
        }
    }
}

/// One event of the stream (HTML standard, 9.2.5): JSON has no line break, so the data is one line.
fn frame(name: &str, id: Option<u64>, data: &impl Serialize) -> Bytes {
    // The types here all have JSON.
    let data = serde_json::to_string(data).unwrap_or_default();
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n").into()
}

/// Listeners at a time.
const LISTENERS_MAX: usize = 64;
