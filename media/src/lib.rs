//! The nouns of Flambeau and its one hub.
//!
//! A venue's contribution is a [`Feed`](feed::Feed): a bounded ring of MPEG-TS that any number of readers
//! follow with a cursor each. What the packager makes of it is a [`Channel`](channel::Channel): immutable
//! Parts and Segments, and Playlists rendered once. The [`directory`] says which of them are live.
//! The rooms (`ingest`, `packager`, `edge`) meet here and nowhere else.

pub mod archive;
pub mod channel;
pub mod codec;
pub mod directory;
pub mod feed;
pub mod id;
pub mod program;
pub mod sample;
pub mod time;
pub mod track;

pub use id::{BroadcasterId, ChannelId, FeedId};
pub use sample::Sample;
pub use time::Utc;
pub use track::{Track, TrackId};
