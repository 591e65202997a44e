//! Who watches: told by requests, for HTTP has no sessions of its own.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flambeau_media::{BroadcasterId, ChannelId, Utc};

/// One who watches a Channel: an address, a program and, where it showed credentials, a broadcaster, with a request in
/// the last 30 s. Players of one kind behind one router are one viewer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// By which [`Viewers::end`] knows it.
    pub id: u64,
    /// What it watches.
    pub channel: ChannelId,
    /// Whose credentials it showed.
    pub broadcaster: Option<BroadcasterId>,
    /// Where its requests come from.
    pub peer: IpAddr,
    /// What it says it is (RFC 9110 10.1.5), cut at 200 bytes.
    pub agent: Option<String>,
    /// Its first request.
    pub since: Utc,
    /// Its latest request.
    pub last_seen: Utc,
    /// Bytes of bodies it took.
    pub bytes: u64,
    /// Requests it made.
    pub requests: u64,
    /// By which Playlist or Manifest it follows.
    pub protocol: Protocol,
}

/// The protocol a viewer follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HLS: it fetched a Playlist last.
    Hls,
    /// DASH: it fetched a Manifest last.
    Dash,
}

/// Everyone who watches, bounded in number; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Viewers(Arc<Registry>);

#[derive(Debug)]
struct Registry {
    shards: [Mutex<HashMap<u64, Arc<Watching>>>; SHARDS],
    hasher: RandomState,
    ids: AtomicU64,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            ids: AtomicU64::new(1),
        }
    }
}

/// What a request tells of who makes it.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) struct Sighting<'a> {
    pub(super) peer: IpAddr,
    pub(super) channel: &'a ChannelId,
    pub(super) broadcaster: Option<&'a BroadcasterId>,
    pub(super) agent: Option<&'a str>,
}

/// A viewer, written without a lock.
#[derive(Debug)]
pub(super) struct Watching {
    id: u64,
    channel: ChannelId,
    broadcaster: Option<BroadcasterId>,
    peer: IpAddr,
    agent: Option<String>,
    since: Utc,
    last_seen: AtomicI64,
    bytes: AtomicU64,
    requests: AtomicU64,
    protocol: AtomicU8,
    /// In microseconds since 1970; 0: it was not ended.
    ended: AtomicI64,
}

impl Viewers {
    /// Those of the last 30 s, the longest there first.
    pub fn list(&self) -> Vec<Viewer> {
        let now = Utc::now();
        let mut viewers = Vec::new();
        for shard in &self.0.shards {
            let mut shard = lock(shard);
            shard.retain(|_, viewer| viewer.is_remembered(now));
            viewers.extend(shard.values().filter(|viewer| viewer.is_there(now)).map(|viewer| viewer.view()));
        }
        viewers.sort_by_key(|viewer| (viewer.since, viewer.id));
        viewers
    }

    /// Ends one: what it is being sent breaks off, and its requests get 403 for 60 s. False: there is none such.
    pub fn end(&self, id: u64) -> bool {
        let now = Utc::now();
        self.0.shards.iter().any(|shard| {
            let shard = lock(shard);
            let viewer = shard.values().find(|viewer| viewer.id == id && viewer.is_there(now));
            viewer.inspect(|viewer| viewer.ended.store(now.0, Relaxed)).is_some()
        })
    }

    /// Notes a request. None: there is no room for one more.
    pub(super) fn seen(&self, sighting: Sighting<'_>, path: &str, now: Utc) -> Option<Arc<Watching>> {
        // Keyed afresh in each process, so that nobody can choose to fall together with another.
        let key = self.0.hasher.hash_one(sighting);
        // The remainder is less than SHARDS.
        let mut shard = lock(&self.0.shards[(key % SHARDS as u64) as usize]);
        let viewer = match shard.get(&key).filter(|viewer| viewer.is_remembered(now)) {
            Some(viewer) => viewer.clone(),
            None => {
                if shard.len() >= VIEWERS_PER_SHARD_MAX {
                    shard.retain(|_, viewer| viewer.is_remembered(now));
                }
                if shard.len() >= VIEWERS_PER_SHARD_MAX {
                    return None;
                }
                let viewer = Arc::new(Watching::new(self.0.ids.fetch_add(1, Relaxed), sighting, now));
                shard.insert(key, viewer.clone());
                viewer
            }
        };
        drop(shard);
        viewer.asked(path, now);
        Some(viewer)
    }
}

impl Watching {
    fn new(id: u64, sighting: Sighting<'_>, now: Utc) -> Self {
        Self {
            id,
            channel: sighting.channel.clone(),
            broadcaster: sighting.broadcaster.cloned(),
            peer: sighting.peer.to_canonical(),
            agent: sighting.agent.map(|agent| agent.chars().take(AGENT_BYTES_MAX).collect()),
            since: now,
            last_seen: AtomicI64::new(now.0),
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            protocol: AtomicU8::new(HLS),
            ended: AtomicI64::new(0),
        }
    }

    fn asked(&self, path: &str, now: Utc) {
        self.requests.fetch_add(1, Relaxed);
        self.last_seen.store(now.0, Relaxed);
        if path.ends_with(".mpd") {
            self.protocol.store(DASH, Relaxed);
        } else if path.ends_with(".m3u8") {
            self.protocol.store(HLS, Relaxed);
        }
    }

    /// Counts bytes it was sent.
    pub(super) fn took(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Whether the operator ended it.
    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Relaxed) != 0
    }

    /// Whose credentials it showed.
    pub(super) fn broadcaster(&self) -> Option<&BroadcasterId> {
        self.broadcaster.as_ref()
    }

    fn is_there(&self, now: Utc) -> bool {
        !self.is_ended() && now.since(Utc(self.last_seen.load(Relaxed))) <= GONE_AFTER
    }

    /// Whether it is still to be told from a new one: for as long as it is ended, or there.
    fn is_remembered(&self, now: Utc) -> bool {
        if self.is_ended() {
            now.since(Utc(self.ended.load(Relaxed))) <= ENDED_FOR
        } else {
            self.is_there(now)
        }
    }

    fn view(&self) -> Viewer {
        Viewer {
            id: self.id,
            channel: self.channel.clone(),
            broadcaster: self.broadcaster.clone(),
            peer: self.peer,
            agent: self.agent.clone(),
            since: self.since,
            last_seen: Utc(self.last_seen.load(Relaxed)),
            bytes: self.bytes.load(Relaxed),
            requests: self.requests.load(Relaxed),
            protocol: if self.protocol.load(Relaxed) == DASH { Protocol::Dash } else { Protocol::Hls },
        }
    }
}

fn lock(shard: &Mutex<HashMap<u64, Arc<Watching>>>) -> MutexGuard<'_, HashMap<u64, Arc<Watching>>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

const SHARDS: usize = 64;
/// 65,536 in all, at less than a kilobyte each.
const VIEWERS_PER_SHARD_MAX: usize = 1024;
const AGENT_BYTES_MAX: usize = 200;
const GONE_AFTER: Duration = Duration::from_secs(30);
const ENDED_FOR: Duration = Duration::from_secs(60);
const HLS: u8 = 0;
const DASH: u8 = 1;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn at(seconds: u64) -> Utc {
        Utc::now().plus(Duration::from_secs(seconds))
    }

    fn see(viewers: &Viewers, agent: &str, path: &str, now: Utc) -> Option<Arc<Watching>> {
        let channel: ChannelId = "athletics".parse().expect("an id");
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let sighting = Sighting { peer, channel: &channel, broadcaster: None, agent: Some(agent) };
        viewers.seen(sighting, path, now)
    }

    #[test]
    fn a_viewer_is_one_program_at_one_address() {
        let viewers = Viewers::default();
        let now = at(0);
        for path in ["index.m3u8", "v/index.m3u8", "v/1.0.m4s"] {
            see(&viewers, "hls.js", path, now).expect("room").took(100);
        }
        see(&viewers, "dash.js", "manifest.mpd", now).expect("room");
        let list = viewers.list();
        let seen: Vec<_> = list
            .iter()
            .map(|viewer| (viewer.agent.as_deref(), viewer.requests, viewer.bytes, viewer.protocol))
            .collect();
        assert_eq!(seen, [(Some("hls.js"), 3, 300, Protocol::Hls), (Some("dash.js"), 1, 0, Protocol::Dash)]);
    }

    #[test]
    fn who_asks_no_more_is_gone_after_thirty_seconds() {
        let viewers = Viewers::default();
        let first = see(&viewers, "a", "index.m3u8", Utc(at(0).0 - 31_000_000)).expect("room");
        assert_eq!(viewers.list(), []);
        let again = see(&viewers, "a", "index.m3u8", at(0)).expect("room");
        assert_ne!(first.id, again.id);
    }

    #[test]
    fn one_that_is_ended_stays_so_for_a_minute() {
        let viewers = Viewers::default();
        let id = see(&viewers, "a", "index.m3u8", at(0)).expect("room").id;
        assert!(viewers.end(id));
        assert!(!viewers.end(id));
        assert_eq!(viewers.list(), []);
        assert!(see(&viewers, "a", "index.m3u8", at(45)).expect("remembered").is_ended());
        assert!(!see(&viewers, "a", "index.m3u8", at(62)).expect("room").is_ended());
    }

    #[test]
    fn a_crowd_is_bounded_and_makes_room_once_it_is_gone() {
        let viewers = Viewers::default();
        let now = at(0);
        let mut unlisted = 0;
        for n in 0..100_000 {
            unlisted += u32::from(see(&viewers, &n.to_string(), "index.m3u8", now).is_none());
        }
        assert!(unlisted > 30_000, "{unlisted}");
        assert!(viewers.list().len() <= SHARDS * VIEWERS_PER_SHARD_MAX);
        assert!((0..1000).all(|n| see(&viewers, &format!("new {n}"), "index.m3u8", at(40)).is_some()));
    }
}
