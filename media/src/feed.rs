//! A Feed's transport lane: one bounded ring of MPEG-TS, one writer, a cursor for each reader.
//!
//! The ring is addressed by byte: position 0 is the first byte the Feed ever carried, and a position keeps its
//! meaning as long as the Feed lives, through the venue's reconnects. A reader is a number, not a copy: an SRT
//! sender remembers at which position each packet began and reads the ring again to send it again.
//!
//! The writer never learns who reads. A reader that falls off the tail gets [`Lagged`] and rejoins at the
//! newest random access point.
//!
//! Locking: one read lock for a burst of packets (milliseconds of stream), one write lock for a batch that
//! arrived together; none for a packet.

mod ring;
mod subscriber;

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use crate::id::FeedId;
use crate::program::Program;
use crate::time::Utc;
use ring::Ring;
pub use ring::{Chunk, Reader, RingStats};
pub use subscriber::{Lagged, Subscriber};

/// The bytes of one MPEG-TS packet (ISO/IEC 13818-1, 2.4.3.2).
pub const TS_PACKET_BYTES: usize = 188;

/// How much of the past a Feed keeps. Whichever bound is met first applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Bytes of transport stream.
    pub bytes_max: usize,
    /// Age. It must exceed the greatest SRT latency a broadcaster asks for: a retransmission reads from here.
    pub age_max: Duration,
}

impl Default for History {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, age_max: Duration::from_secs(5) }
    }
}

/// Whether the venue is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A venue publishes.
    Live,
    /// The venue went away at this time; the Feed and its readers wait for it.
    Waiting(Instant),
    /// The venue did not come back: readers end.
    Closed,
}

/// One contribution of one programme.
#[derive(Debug)]
pub struct Feed {
    id: FeedId,
    ring: RwLock<Ring>,
    state: watch::Sender<State>,
    /// [`Utc`] of the last change of state.
    since: AtomicI64,
    head: watch::Sender<u64>,
    program: watch::Sender<Arc<Program>>,
    /// Counts the publishers there have been; the last one alone may write.
    generation: Mutex<u64>,
}

impl Feed {
    /// An empty Feed that waits for its venue.
    pub fn new(id: FeedId, history: History) -> Arc<Self> {
        Arc::new(Self {
            id,
            ring: RwLock::new(Ring::new(history)),
            state: watch::Sender::new(State::Waiting(Instant::now())),
            since: AtomicI64::new(Utc::now().0),
            head: watch::Sender::new(0),
            program: watch::Sender::new(Arc::default()),
            generation: Mutex::new(0),
        })
    }

    /// Its name.
    pub fn id(&self) -> &FeedId {
        &self.id
    }

    /// Whether the venue is there, and changes of that.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Since when it has been in its state: for Live, since its venue's present session began.
    pub fn since(&self) -> Utc {
        Utc(self.since.load(Relaxed))
    }

    /// What the stream says it carries, and changes of that.
    pub fn program(&self) -> watch::Receiver<Arc<Program>> {
        self.program.subscribe()
    }

    /// Totals of the ring, for metrics.
    pub fn stats(&self) -> RingStats {
        self.read().stats()
    }

    /// The rate in bits a second over the history it holds. None: it is not live, or not long enough.
    pub fn bit_rate(&self) -> Option<u64> {
        if *self.state.borrow() != State::Live {
            return None;
        }
        let ring = self.read();
        let (tail, head) = (ring.tail(), ring.head());
        let (first, first_bytes) = ring.arrival(tail)?;
        let (last, _) = ring.arrival(head.checked_sub(1)?)?;
        let seconds = last.checked_duration_since(first)?.as_secs_f64();
        // What arrived in between: the first batch came before the time that is measured.
        let bytes = head - tail - first_bytes as u64;
        (seconds >= 0.1).then(|| (bytes as f64 * 8.0 / seconds) as u64)
    }

    /// Becomes the Feed's writer, in place of any before: that one's writes are refused from now on.
    ///
    /// Who may take over is the caller's decision; see `directory`.
    pub fn publish(self: &Arc<Self>) -> Publisher {
        let mut generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        *generation += 1;
        self.write().mark_discontinuity();
        self.enter(State::Live);
        Publisher { feed: self.clone(), generation: *generation }
    }

    /// A reader that starts at the next byte to come.
    pub fn subscribe(self: &Arc<Self>) -> Subscriber {
        let position = self.read().head();
        Subscriber::new(self.clone(), position)
    }

    /// Copies up to `into.len()` bytes that start at `position` and returns how many there were.
    ///
    /// Zero: the position is the head, or ahead of it. `Err`: it fell off the tail.
    pub fn copy(&self, position: u64, into: &mut [u8]) -> Result<usize, Lagged> {
        self.read().copy(position, into)
    }

    /// Takes the read lock for a burst of reads: hold it for microseconds, never across an await.
    pub fn read_burst(&self) -> Burst<'_> {
        Burst(self.read())
    }

    /// Ends the Feed for every reader. The directory calls it when the venue did not return.
    pub(crate) fn close(&self) {
        self.enter(State::Closed);
    }

    fn enter(&self, state: State) {
        self.since.store(Utc::now().0, Relaxed);
        self.state.send_replace(state);
    }

    fn read(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ring, held still for a burst of reads.
pub struct Burst<'a>(RwLockReadGuard<'a, Ring>);

impl Burst<'_> {
    /// The position after the last byte.
    pub fn head(&self) -> u64 {
        self.0.head()
    }

    /// The first position still held.
    pub fn tail(&self) -> u64 {
        self.0.tail()
    }

    /// As [`Feed::copy`].
    pub fn copy(&self, position: u64, into: &mut [u8]) -> Result<usize, Lagged> {
        self.0.copy(position, into)
    }

    /// Reads on from `position`, which is looked up once.
    pub fn reader(&self, position: u64) -> Result<Reader<'_>, Lagged> {
        self.0.reader(position)
    }

    /// When the byte at `position` was released to the Feed, and how many bytes on from it arrived with it.
    pub fn arrival(&self, position: u64) -> Option<(Instant, usize)> {
        self.0.arrival(position)
    }

    /// The newest random access point at or after `position`: where a decoder can start, its PAT included.
    pub fn random_access_since(&self, position: u64) -> Option<u64> {
        self.0.random_access_since(position)
    }
}

/// The right to write a Feed. Dropping it leaves the Feed waiting for its venue.
#[derive(Debug)]
pub struct Publisher {
    feed: Arc<Feed>,
    generation: u64,
}

/// Another publisher has taken the Feed over: this one must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Feed was taken over by a newer session of its venue")]
pub struct Superseded;

impl Publisher {
    /// The Feed written to.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Appends what arrived together, in order, and wakes the readers once. Leaves `batch` empty.
    pub fn write(&self, batch: &mut Vec<Incoming>) -> Result<(), Superseded> {
        if batch.is_empty() {
            return Ok(());
        }
        let generation = self.feed.generation.lock().unwrap_or_else(PoisonError::into_inner);
        if *generation != self.generation {
            return Err(Superseded);
        }
        let head = self.feed.write().append(batch);
        self.feed.head.send_replace(head);
        Ok(())
    }

    /// The position the next byte will have.
    pub fn position(&self) -> u64 {
        self.feed.read().head()
    }

    /// Declares what the stream carries.
    pub fn describe(&self, program: Program) {
        self.feed.program.send_replace(Arc::new(program));
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let generation = self.feed.generation.lock().unwrap_or_else(PoisonError::into_inner);
        if *generation == self.generation {
            self.feed.enter(State::Waiting(Instant::now()));
        }
    }
}

/// TS packets on their way into the ring.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Whole TS packets.
    pub data: Bytes,
    /// When the source's clock releases them.
    pub time: Instant,
    /// The same instant on the wall clock of the node that took the Feed in.
    pub utc: Utc,
    /// Position at which a decoder can start, if these bytes complete such a point.
    pub random_access: Option<u64>,
    /// Bytes are missing before these.
    pub discontinuity: bool,
}

#[cfg(test)]
mod tests;
