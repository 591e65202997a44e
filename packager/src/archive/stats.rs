//! What the archive of a Channel counts.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use flambeau_media::Utc;

/// What a Channel's archive holds and has done since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Segments that can be fetched from disk.
    pub segments: u64,
    /// Bytes of media files on disk.
    pub bytes: u64,
    /// Segments written.
    pub written: u64,
    /// Segments that could not be written: the disk was full or failed.
    pub write_failures: u64,
    /// Segments that were not written because the disk was too slow.
    pub too_slow: u64,
    /// Segments that were found damaged or without their bytes at start.
    pub damaged: u64,
    /// Bytes read for viewers.
    pub bytes_read: u64,
    /// Reads that failed or took too long.
    pub read_failures: u64,
    /// Playlists and Manifests of the past that were rendered.
    pub rendered: u64,
    /// When the oldest Segment on disk starts.
    pub oldest: Option<Utc>,
}

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) bytes: AtomicU64,
    pub(crate) written: AtomicU64,
    pub(crate) write_failures: AtomicU64,
    pub(crate) too_slow: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) read_failures: AtomicU64,
    pub(crate) rendered: AtomicU64,
}

impl Counts {
    /// The counts of this moment.
    pub(crate) fn snapshot(&self) -> Stats {
        Stats {
            segments: 0,
            bytes: self.bytes.load(Relaxed),
            written: self.written.load(Relaxed),
            write_failures: self.write_failures.load(Relaxed),
            too_slow: self.too_slow.load(Relaxed),
            damaged: self.damaged.load(Relaxed),
            bytes_read: self.bytes_read.load(Relaxed),
            read_failures: self.read_failures.load(Relaxed),
            rendered: self.rendered.load(Relaxed),
            oldest: None,
        }
    }
}
