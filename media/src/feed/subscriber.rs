//! A reader's cursor.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Chunk, Feed, State};

/// The reader was too slow: what it would read next is no longer held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the reader fell behind the Feed's history: {bytes_skipped} bytes are gone")]
pub struct Lagged {
    /// Bytes between the cursor and the oldest byte held.
    pub bytes_skipped: u64,
}

/// One reader of a Feed: a position, and a way to wait for more.
#[derive(Debug)]
pub struct Subscriber {
    feed: Arc<Feed>,
    position: u64,
    head: watch::Receiver<u64>,
    state: watch::Receiver<State>,
}

impl Subscriber {
    pub(super) fn new(feed: Arc<Feed>, position: u64) -> Self {
        let (head, state) = (feed.head.subscribe(), feed.state.subscribe());
        Self { feed, position, head, state }
    }

    /// The Feed read.
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The position of the next byte to read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next chunk without waiting; none when the cursor is at the head.
    ///
    /// On [`Lagged`] the cursor has already moved to the newest random access point, or to the head.
    pub fn try_next(&mut self) -> Result<Option<Chunk>, Lagged> {
        let ring = self.feed.read();
        match ring.chunk_at(self.position) {
            Ok(Some(chunk)) => {
                self.position += chunk.data.len() as u64;
                Ok(Some(chunk))
            }
            Ok(None) => Ok(None),
            Err(_) => {
                let rejoin = ring.random_access_since(self.position).unwrap_or(ring.head());
                let bytes_skipped = rejoin - self.position;
                self.position = rejoin;
                Err(Lagged { bytes_skipped })
            }
        }
    }

    /// Waits for the next chunk; none when the Feed has closed. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Lagged> {
        loop {
            self.head.borrow_and_update();
            if let Some(chunk) = self.try_next()? {
                return Ok(Some(chunk));
            }
            if *self.state.borrow_and_update() == State::Closed {
                return Ok(None);
            }
            // An error means that the Feed is gone, which this reader's own handle rules out.
            tokio::select! {
                _ = self.head.changed() => {}
                _ = self.state.changed() => {}
            }
        }
    }
}
