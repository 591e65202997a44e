//! Bytes on their way from the disk: a piece at a time, and few at a time.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use flambeau_media::archive::{Pending, Source};
use tokio::sync::Semaphore;

use super::stats::Counts;

/// Most reads of all viewers together that the disk is given at a time.
const READS_MAX: usize = 16;

/// How long a piece may take to come. A viewer's patience ends about then.
const READ_TIME_MAX: Duration = Duration::from_secs(10);

/// The right to read, shared by all.
#[derive(Debug, Clone)]
pub(crate) struct Desk(Arc<Semaphore>);

impl Default for Desk {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(READS_MAX)))
    }
}

/// A media file that viewers share: it is opened for the first, and closed behind the last.
#[derive(Debug)]
pub(crate) struct MediaFile {
    path: PathBuf,
    file: OnceLock<File>,
}

impl MediaFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: OnceLock::new() }
    }

    fn file(&self) -> io::Result<&File> {
        match self.file.get() {
            Some(file) => Ok(file),
            None => {
                let opened = File::open(&self.path)?;
                Ok(self.file.get_or_init(|| opened))
            }
        }
    }

    fn read(&self, at: u64, length: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.file()?.read_exact_at(&mut bytes, at)?;
        Ok(bytes.into())
    }
}

/// A Segment in a media file.
#[derive(Debug)]
pub(crate) struct Extract {
    pub(crate) file: Arc<MediaFile>,
    pub(crate) offset: u32,
    pub(crate) desk: Desk,
    pub(crate) counts: Arc<Counts>,
}

impl Source for Extract {
    fn read(&self, range: Range<usize>) -> Pending<io::Result<Bytes>> {
        let (file, desk, counts) = (self.file.clone(), self.desk.clone(), self.counts.clone());
        let at = u64::from(self.offset) + range.start as u64;
        Box::pin(async move {
            let read = async {
                // The permit goes with the read: one that hangs keeps it, however long the viewer waits.
                let permit = desk.0.acquire_owned().await.map_err(io::Error::other)?;
                let read = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    file.read(at, range.len())
                });
                read.await.map_err(io::Error::other)?
            };
            let read = tokio::time::timeout(READ_TIME_MAX, read).await;
            let read = read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            match &read {
                Ok(bytes) => counts.bytes_read.fetch_add(bytes.len() as u64, Relaxed),
                Err(_) => counts.read_failures.fetch_add(1, Relaxed),
            };
            read
        })
    }
}

/// An init segment, small enough to be held.
#[derive(Debug)]
pub(crate) struct Held(pub(crate) Bytes);

impl Source for Held {
    fn read(&self, range: Range<usize>) -> Pending<io::Result<Bytes>> {
        let within = self.0.len() >= range.end;
        let bytes = within.then(|| self.0.slice(range)).ok_or(io::ErrorKind::UnexpectedEof.into());
        Box::pin(std::future::ready(bytes))
    }
}
