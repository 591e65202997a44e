//! The past: Segments kept on disk beyond what memory holds, and Playlists that start there.
//!
//! A Channel's `Past` is an index in memory of every Segment that can still be fetched. With a directory
//! (`[packager] archive`) each Segment is written once more, by a task of its own behind a bounded queue: a disk that
//! is slow, full or gone costs Segments of the past and nothing else. `format` says how it stands on disk, and why a
//! process that is killed at any byte loses no Segment that was whole. Without a directory the past reaches as far
//! back as memory does.

mod dash;
mod description;
mod disk;
mod excerpt;
mod format;
mod hls;
mod keeper;
mod past;
mod read;
mod rendering;
mod stats;
mod timeline;
mod writer;

pub(crate) use keeper::Archive;
pub(crate) use past::{Finished, Past};
pub use stats::Stats;
