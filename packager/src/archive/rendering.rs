//! Playlists of the past: rendered once for each new Segment, whoever asks, and a bounded number of them kept.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::archive::{Excerpt, Missing, Pending, Span};
use flambeau_media::channel::Playlist;
use flambeau_proto::{m3u8, mpd};
use tokio::sync::{OnceCell, Semaphore};

use super::past::Past;
use super::timeline::Timeline;
use super::{dash, hls};

/// Most renderings kept of a Channel; the one that was not asked for the longest goes first.
const KEPT_MAX: usize = 64;

/// Renderings of a Channel made at a time: hours of Segments take some milliseconds.
const MADE_AT_A_TIME: usize = 2;

/// A Track has come to the end of a Span when it is this near: Tracks do not end together.
const TOLERANCE: Duration = Duration::from_millis(500);

/// A Span whose end has passed by this much is over, whether or not something came at its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The renderings of a Channel's past.
#[derive(Debug)]
pub(super) struct Renderings {
    kept: Mutex<Kept>,
    making: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Kept {
    slots: HashMap<Key, Slot>,
    /// Counts the requests.
    asked: u64,
}

/// What a rendering is of. Requests for times within one Segment have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    path: String,
    /// The first Segment of each Rendition.
    first: Vec<u64>,
    /// And the last, where nothing is to follow.
    last: Option<Vec<u64>>,
    /// Until when something is to follow.
    end: Option<Utc>,
}

#[derive(Debug)]
struct Slot {
    version: u64,
    asked: u64,
    rendering: Arc<OnceCell<Rendering>>,
}

#[derive(Debug, Clone)]
struct Rendering {
    playlist: Arc<Playlist>,
    /// When the first of its Segments ends.
    oldest: Utc,
}

impl Default for Renderings {
    fn default() -> Self {
        Self { kept: Mutex::default(), making: Arc::new(Semaphore::new(MADE_AT_A_TIME)) }
    }
}

/// What a request came to.
struct Wanted {
    kind: Kind,
    span: Span,
    /// Nothing follows.
    ended: bool,
    version: u64,
    key: Key,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Of this Rendition.
    Media(String),
    Manifest,
}

impl Renderings {
    /// The Playlist or Manifest at `path` of `span`.
    pub(super) fn excerpt(&self, past: Past, path: &str, span: Span) -> Pending<Result<Excerpt, Missing>> {
        if path == "index.m3u8" {
            return Box::pin(std::future::ready(multivariant(&past, span)));
        }
        let wanted = match wanted(&past, path, span) {
            Ok(wanted) => wanted,
            Err(missing) => return Box::pin(std::future::ready(Err(missing))),
        };
        let (cell, making) = (self.cell(wanted.key.clone(), wanted.version), self.making.clone());
        Box::pin(async move {
            let ended = wanted.ended;
            let rendering = cell.get_or_try_init(|| make(past.clone(), wanted, making)).await?;
            let target = rendering.playlist.target_duration;
            let keep = match ended {
                true => past.keep_time(rendering.oldest),
                // RFC 8216bis B.1, as for the live Playlist.
                false => (target / 2).max(Duration::from_secs(1)),
            };
            Ok(Excerpt { playlist: rendering.playlist.clone(), keep })
        })
    }

    /// Where the rendering of that version is, or will be.
    fn cell(&self, key: Key, version: u64) -> Arc<OnceCell<Rendering>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.asked += 1;
        let asked = kept.asked;
        if kept.slots.len() >= KEPT_MAX && !kept.slots.contains_key(&key) {
            let oldest = kept.slots.iter().min_by_key(|(_, slot)| slot.asked).map(|(key, _)| key.clone());
            oldest.and_then(|oldest| kept.slots.remove(&oldest));
        }
        let slot =
            kept.slots.entry(key).or_insert_with(|| Slot { version, asked, rendering: Arc::default() });
        if slot.version != version {
            (slot.version, slot.rendering) = (version, Arc::default());
        }
        slot.asked = asked;
        slot.rendering.clone()
    }
}

/// Renders, where blocking is allowed.
async fn make(past: Past, wanted: Wanted, making: Arc<Semaphore>) -> Result<Rendering, Missing> {
    let permit = making.acquire_owned().await.map_err(|_| Missing::Busy)?;
    let made = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        past.counts().rendered.fetch_add(1, Relaxed);
        let (text, content_type, target_duration, oldest) = match &wanted.kind {
            Kind::Media(name) => {
                let items = past.items(name, wanted.span);
                let oldest = items.first().ok_or(Missing::NothingKept)?.end_utc();
                let target = past.target();
                (hls::media(&items, target, wanted.ended), m3u8::CONTENT_TYPE, target, oldest)
            }
            Kind::Manifest => {
                let renditions = past.all_items(wanted.span);
                let firsts = renditions.iter().filter_map(|rendition| rendition.items.first());
                let oldest = firsts.map(|item| item.end_utc()).min().ok_or(Missing::NothingKept)?;
                let target = past.target();
                (dash::manifest(&renditions, target, wanted.ended), mpd::CONTENT_TYPE, target, oldest)
            }
        };
        let playlist = Playlist {
            body: text.into(),
            content_type,
            target_duration,
            created: Utc::now(),
            ..Playlist::default()
        };
        Ok(Rendering { playlist: playlist.into(), oldest })
    });
    made.await.unwrap_or(Err(Missing::Busy))
}

fn multivariant(past: &Past, span: Span) -> Result<Excerpt, Missing> {
    let renditions = past.all_items(span);
    if renditions.is_empty() {
        return Err(Missing::NothingKept);
    }
    let playlist = Playlist {
        body: hls::multivariant(&renditions, span).into(),
        content_type: m3u8::CONTENT_TYPE,
        target_duration: past.target(),
        created: Utc::now(),
        ..Playlist::default()
    };
    Ok(Excerpt { playlist: playlist.into(), keep: Duration::from_secs(1) })
}

fn wanted(past: &Past, path: &str, span: Span) -> Result<Wanted, Missing> {
    let kind = match path.strip_suffix("/index.m3u8") {
        Some(name) => Kind::Media(name.to_owned()),
        None if path == "manifest.mpd" => Kind::Manifest,
        None => return Err(Missing::NoPlaylist),
    };
    let renditions = past.renditions();
    let timelines: Vec<&Timeline> = match &kind {
        Kind::Media(name) => vec![&renditions.get(name).ok_or(Missing::NoPlaylist)?.timeline],
        Kind::Manifest => renditions.values().map(|rendition| &rendition.timeline).collect(),
    };
    let passed = span.end.is_some_and(|end| Utc::now() >= end.plus(PATIENCE));
    let (mut ended, mut version) = (span.end.is_some(), 0);
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for timeline in timelines {
        let entries = timeline.entries();
        let newest = entries.back().map(|entry| timeline.end_utc(entry));
        let range = timeline.range(span.start, span.end);
        let within = entries.range(range);
        // A Track that ended long before is not waited for.
        let (Some(a), Some(b)) = (within.clone().next(), within.last()) else { continue };
        first.push(a.sequence);
        last.push(b.sequence);
        ended &= passed || span.end <= newest.map(|newest| newest.plus(TOLERANCE));
        version += timeline.version();
    }
    if first.is_empty() {
        return Err(Missing::NothingKept);
    }
    if ended {
        version = renditions.values().map(|rendition| rendition.timeline.losses()).sum();
    }
    let key =
        Key { path: path.to_owned(), first, last: ended.then_some(last), end: span.end.filter(|_| !ended) };
    Ok(Wanted { kind, span, ended, version, key })
}

#[cfg(test)]
impl Renderings {
    pub(super) fn len(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).slots.len()
    }
}
