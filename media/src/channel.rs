//! A Channel's media lane: immutable objects by path, and Playlists rendered once behind a `watch`.
//!
//! Paths are relative to the Channel's own address: `index.m3u8`, `manifest.mpd`, `v256/index.m3u8`,
//! `v256/t161582023609572.m4s`, `v256/887675941.3.m4s`. The packager writes, the edge reads; nothing is rendered,
//! copied or allocated for a viewer.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use crate::archive::Archive;
use crate::id::{ChannelId, FeedId};
use crate::time::Utc;

/// What an object is, which decides how long a cache may keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `ftyp` and `moov`: what a player needs before the first Segment.
    Init,
    /// A Part: a CMAF chunk.
    Part,
    /// A Segment: the Parts of it, one after the other.
    Segment,
}

/// An immutable object: a few pieces of bytes, sent one after the other.
#[derive(Debug, Clone)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its media type: `video/mp4`, `audio/mp4`.
    pub content_type: &'static str,
    /// Its bytes. A Segment shares those of its Parts.
    pub pieces: Arc<[Bytes]>,
    /// The sum of the pieces' lengths.
    pub len: usize,
    /// When it was complete.
    pub created: Utc,
}

impl Object {
    /// An object of these pieces.
    pub fn new(kind: Kind, content_type: &'static str, pieces: Vec<Bytes>) -> Self {
        let len = pieces.iter().map(Bytes::len).sum();
        Self { kind, content_type, pieces: pieces.into(), len, created: Utc::now() }
    }
}

/// A Segment in the making, for whoever takes it piece by piece as it comes.
#[derive(Debug, Clone, Default)]
pub struct Growing {
    /// Its media type.
    pub content_type: &'static str,
    /// The Parts there are so far.
    pub pieces: Vec<Bytes>,
    /// Nothing more comes: it is whole, or it was given up.
    pub ended: bool,
}

/// What becomes of a [`Growing`] Segment.
#[derive(Debug, Clone)]
pub enum Growth {
    /// It comes next: from here on it can be waited for. The media type is given.
    Begin(&'static str),
    /// A Part more.
    Piece(Bytes),
    /// It is whole and among the objects, or it was given up.
    End,
}

/// A text for many: as it was rendered, and compressed once for all who take it so.
#[derive(Debug, Clone, Default)]
pub struct Text {
    plain: Bytes,
    gzip: OnceLock<Bytes>,
}

impl Text {
    /// The text as it was rendered.
    pub fn plain(&self) -> &Bytes {
        &self.plain
    }

    /// The text compressed, by `compress` where nobody has asked before.
    pub fn gzip(&self, compress: impl FnOnce(&[u8]) -> Bytes) -> &Bytes {
        self.gzip.get_or_init(|| compress(&self.plain))
    }
}

impl<T: Into<Bytes>> From<T> for Text {
    fn from(plain: T) -> Self {
        Self { plain: plain.into(), gzip: OnceLock::new() }
    }
}

/// A rendered Playlist or Manifest.
#[derive(Debug, Clone, Default)]
pub struct Playlist {
    /// The text.
    pub body: Text,
    /// The text for a client that has an older one: a Playlist Delta Update (RFC 8216bis 6.2.5.1). None: there is
    /// nothing to skip.
    pub delta: Option<Text>,
    /// Its media type.
    pub content_type: &'static str,
    /// The newest Media Sequence Number it holds or has begun, and the number of Parts of it there are so far.
    /// None for a multivariant Playlist or a Manifest: those cannot be waited for.
    pub newest: Option<Position>,
    /// Parts of the Segment before that of `newest`.
    pub parts_before: u32,
    /// The path of the object that comes next, which a client may already ask for.
    pub hint: Option<String>,
    /// The source is silent: nobody knows when something comes.
    pub silent: bool,
    /// The target duration: a blocked request is given up after three of them.
    pub target_duration: Duration,
    /// When it was rendered.
    pub created: Utc,
}

/// A point of a media Playlist (RFC 8216bis 6.2.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Media Sequence Number of the Segment that is being made.
    pub sequence: u64,
    /// Parts of it that are there.
    pub parts: u32,
}

/// A packaged service.
#[derive(Debug)]
pub struct Channel {
    id: ChannelId,
    feed: FeedId,
    objects: RwLock<HashMap<String, Object>>,
    playlists: RwLock<HashMap<String, watch::Sender<Arc<Playlist>>>>,
    growing: RwLock<HashMap<String, watch::Sender<Arc<Growing>>>>,
    version: watch::Sender<u64>,
    archive: OnceLock<Arc<dyn Archive>>,
}

impl Channel {
    /// A Channel of a Feed, without objects yet.
    pub fn new(id: ChannelId, feed: FeedId) -> Arc<Self> {
        Arc::new(Self {
            id,
            feed,
            objects: RwLock::default(),
            playlists: RwLock::default(),
            growing: RwLock::default(),
            version: watch::Sender::new(0),
            archive: OnceLock::new(),
        })
    }

    /// Its name.
    pub fn id(&self) -> &ChannelId {
        &self.id
    }

    /// The Feed it is made of.
    pub fn feed(&self) -> &FeedId {
        &self.feed
    }

    /// The object at `path`.
    pub fn object(&self, path: &str) -> Option<Object> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// The Playlist at `path`, and its changes. The receiver errs once the Playlist is withdrawn.
    pub fn playlist(&self, path: &str) -> Option<watch::Receiver<Arc<Playlist>>> {
        self.playlists.read().unwrap_or_else(PoisonError::into_inner).get(path).map(watch::Sender::subscribe)
    }

    /// The Segment in the making at `path`, and its growth. Ask for the object first: what is whole no longer grows.
    pub fn growing(&self, path: &str) -> Option<watch::Receiver<Arc<Growing>>> {
        self.growing.read().unwrap_or_else(PoisonError::into_inner).get(path).map(watch::Sender::subscribe)
    }

    /// Gives it a past, once; it stays when the Channel is cleared.
    pub fn set_archive(&self, archive: Arc<dyn Archive>) {
        // A second one is of the same Channel: the first stands.
        let _ = self.archive.set(archive);
    }

    /// Its past, where it has one.
    pub fn archive(&self) -> Option<&Arc<dyn Archive>> {
        self.archive.get()
    }

    /// Whether some Playlist announces `path` as the object that comes next.
    pub fn is_hinted(&self, path: &str) -> bool {
        let playlists = self.playlists.read().unwrap_or_else(PoisonError::into_inner);
        playlists.values().any(|playlist| playlist.borrow().hint.as_deref() == Some(path))
    }

    /// Counts the times that [`Channel::commit`] made something new visible.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Objects held and their bytes, for metrics. A Part that a Segment shares counts once.
    pub fn held(&self) -> (usize, usize) {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let bytes = objects.values().filter(|object| object.kind != Kind::Segment).map(|object| object.len);
        (objects.len(), bytes.sum())
    }

    /// Adds, replaces and removes objects and Playlists as one change, then wakes whoever waits.
    pub fn commit(&self, change: Change) {
        if let Some(archive) = self.archive.get() {
            change.remove.iter().for_each(|path| archive.released(path));
        }
        {
            let mut objects = self.objects.write().unwrap_or_else(PoisonError::into_inner);
            for path in change.remove {
                objects.remove(&path);
            }
            objects.extend(change.objects);
        }
        self.grow(change.growth);
        {
            let mut playlists = self.playlists.write().unwrap_or_else(PoisonError::into_inner);
            for path in change.withdraw {
                playlists.remove(&path);
            }
            for (path, playlist) in change.playlists {
                let playlist = Arc::new(playlist);
                match playlists.get(&path) {
                    Some(sender) => drop(sender.send_replace(playlist)),
                    None => drop(playlists.insert(path, watch::Sender::new(playlist))),
                }
            }
        }
        self.version.send_modify(|version| *version += 1);
    }

    fn grow(&self, growth: Vec<(String, Growth)>) {
        if growth.is_empty() {
            return;
        }
        let mut growing = self.growing.write().unwrap_or_else(PoisonError::into_inner);
        for (path, growth) in growth {
            match growth {
                Growth::Begin(content_type) => {
                    let segment = Growing { content_type, ..Growing::default() };
                    growing.insert(path, watch::Sender::new(segment.into()));
                }
                Growth::Piece(piece) => {
                    if let Some(segment) = growing.get(&path) {
                        segment.send_modify(|segment| Arc::make_mut(segment).pieces.push(piece));
                    }
                }
                Growth::End => {
                    if let Some(segment) = growing.remove(&path) {
                        segment.send_modify(|segment| Arc::make_mut(segment).ended = true);
                    }
                }
            }
        }
    }

    /// Withdraws everything: a Channel that starts afresh must not serve what it no longer stands for.
    pub fn clear(&self) {
        self.objects.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.playlists.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.growing.write().unwrap_or_else(PoisonError::into_inner).clear();
        if let Some(archive) = self.archive.get() {
            archive.cleared();
        }
        self.version.send_modify(|version| *version += 1);
    }
}

/// What one Part's completion changes.
#[derive(Debug, Default)]
pub struct Change {
    /// Objects that appear.
    pub objects: Vec<(String, Object)>,
    /// What becomes of Segments in the making, by path.
    pub growth: Vec<(String, Growth)>,
    /// Paths of objects that go.
    pub remove: Vec<String>,
    /// Playlists rendered anew.
    pub playlists: Vec<(String, Playlist)>,
    /// Paths of Playlists that go.
    pub withdraw: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_shows_all_of_itself_and_wakes_the_waiting() {
        let channel = Channel::new("c".parse().expect("an id"), "f".parse().expect("an id"));
        let mut version = channel.version();
        assert!(channel.playlist("v/index.m3u8").is_none());
        channel.commit(Change {
            objects: vec![(
                "v/1.0.m4s".into(),
                Object::new(Kind::Part, "video/mp4", vec!["ab".into(), "c".into()]),
            )],
            playlists: vec![(
                "v/index.m3u8".into(),
                Playlist { hint: Some("v/1.1.m4s".into()), ..Playlist::default() },
            )],
            ..Change::default()
        });
        version.changed().await.expect("the channel lives");
        assert_eq!(channel.object("v/1.0.m4s").map(|object| object.len), Some(3));
        assert!(channel.is_hinted("v/1.1.m4s"));
        assert!(!channel.is_hinted("v/1.2.m4s"));
        assert_eq!(channel.held(), (1, 3));
    }

    #[test]
    fn a_segment_grows_until_it_ends() {
        let channel = Channel::new("c".parse().expect("an id"), "f".parse().expect("an id"));
        let grow = |growth| {
            channel.commit(Change { growth: vec![("v/1.m4s".into(), growth)], ..Change::default() });
        };
        grow(Growth::Begin("video/mp4"));
        let segment = channel.growing("v/1.m4s").expect("announced");
        assert!(segment.borrow().pieces.is_empty());
        grow(Growth::Piece("ab".into()));
        grow(Growth::Piece("c".into()));
        grow(Growth::End);
        assert!(channel.growing("v/1.m4s").is_none());
        assert!(segment.borrow().ended);
        assert_eq!(segment.borrow().pieces.concat(), b"abc");
    }

    #[test]
    fn a_text_is_compressed_once() {
        let text = Text::from("abc");
        assert_eq!(text.gzip(|plain| Bytes::copy_from_slice(&plain[..1])), "a");
        assert_eq!(text.gzip(|_| unreachable!("asked for the second time")), "a");
    }
}
