//! What a Channel keeps beyond its memory: Segments on disk, and Playlists that start in the past.
//!
//! The packager keeps it, the edge asks. Nothing of it is held in memory for a viewer but the piece that is being
//! sent, and nobody waits for the disk but who asked for what is there.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::channel::{Kind, Playlist};
use crate::time::Utc;

/// An answer that takes its time.
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A stretch of a Channel's past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// From when on. What is no longer kept is left out.
    pub start: Utc,
    /// Until when. None: it grows as long as the Channel does.
    pub end: Option<Utc>,
}

/// The Playlist or Manifest of a [`Span`].
#[derive(Debug, Clone)]
pub struct Excerpt {
    /// The text, shared by all who ask for the same Span.
    pub playlist: Arc<Playlist>,
    /// How long a cache may keep it.
    pub keep: Duration,
}

/// Why there is no [`Excerpt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The Channel has no Playlist at that path.
    #[error("there is no Playlist of that name")]
    NoPlaylist,
    /// Nothing of that Span is kept: it is too long ago, or the Channel was off the air.
    #[error("nothing of that time is kept")]
    NothingKept,
    /// Too many ask at once.
    #[error("too many ask for the past at once")]
    Busy,
}

/// An object that is not in memory.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What it is.
    pub kind: Kind,
    /// Its media type.
    pub content_type: &'static str,
    /// Its length in bytes.
    pub len: usize,
    /// When it was complete.
    pub created: Utc,
    /// How long a cache may keep it: no longer than it is kept here.
    pub keep: Duration,
    /// Its bytes.
    pub bytes: Arc<dyn Source>,
}

/// Where the bytes of a [`Stored`] object come from.
pub trait Source: fmt::Debug + Send + Sync {
    /// The bytes of `range`, which lies within the object. The reader asks for a piece at a time.
    fn read(&self, range: Range<usize>) -> Pending<io::Result<Bytes>>;
}

/// The past of one Channel.
pub trait Archive: fmt::Debug + Send + Sync {
    /// The object at `path`, which is no longer in memory.
    fn object(&self, path: &str) -> Option<Stored>;

    /// The Playlist or Manifest at `path` of a Span.
    fn excerpt(&self, path: &str, span: Span) -> Pending<Result<Excerpt, Missing>>;

    /// The object at `path` has left memory.
    fn released(&self, path: &str);

    /// Every object has left memory.
    fn cleared(&self);
}
