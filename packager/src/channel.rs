//! The task of one Channel: from its Feed's cursor to the Channel's objects.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use flambeau_media::ChannelId;
use flambeau_media::channel::{Change, Channel};
use flambeau_media::feed::{Chunk, Feed, Lagged, State};
use tokio_util::sync::CancellationToken;

use crate::archive::Past;
use crate::packaging::{Packaging, Resume};
use crate::stats::Stats;
use crate::{Board, Timing};

/// How long it may work before others get their turn.
const TURN: Duration = Duration::from_millis(2);

/// A Feed without a packet for this long is silent. Players give a blocked reload little more: hls.js the longer of
/// three Parts and 0.8 target durations, 1.6 s.
const SILENCE: Duration = Duration::from_millis(800);
/// How often it is looked after a silent Feed.
const LOOK: Duration = Duration::from_millis(200);

/// What makes the packager panic in a test: no input is known that does.
#[cfg(test)]
pub(crate) const PANIC: &[u8] = b"panic";

/// One Channel's packager, with what survives the Feed.
#[derive(Debug)]
pub(crate) struct Worker {
    channel: Arc<Channel>,
    packaging: Packaging,
    past: Past,
    board: Board,
    /// Totals of what ran before a panic.
    before: Stats,
    lagged: u64,
    /// What an earlier packager left in the Channel goes with the first new commit.
    stale: bool,
}

/// Why a Worker stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The Feed is closed.
    FeedClosed,
    /// The process ends.
    Shutdown,
}

impl Worker {
    /// A Worker that goes on where `before` and `resume` tell.
    pub(crate) fn new(
        channel: Arc<Channel>,
        past: Past,
        timing: Timing,
        board: Board,
        resume: Resume,
    ) -> Self {
        let mut packaging = Packaging::new(channel.id().clone(), timing, resume);
        packaging.keep_finished();
        let before = {
            let board = board.lock().unwrap_or_else(PoisonError::into_inner);
            board.get(channel.id()).cloned().unwrap_or_default()
        };
        let stale = before != Stats::default();
        Self { channel, packaging, past, board, before, lagged: 0, stale }
    }

    /// Packages until the Feed closes or `shutdown` is cancelled. `ends`: with the Feed, the Channel ends.
    pub(crate) async fn run(
        mut self,
        feed: Arc<Feed>,
        ends: bool,
        shutdown: CancellationToken,
        resume: Arc<std::sync::Mutex<Resume>>,
    ) -> (Self, Stopped) {
        let mut subscriber = feed.subscribe();
        self.packaging.resume();
        self.report(true);
        let (mut turn, mut silent): (_, Option<Instant>) = (Instant::now(), None);
        let stopped = loop {
            if shutdown.is_cancelled() {
                break Stopped::Shutdown;
            }
            let next = match subscriber.try_next() {
                Ok(None) => {
                    self.report(true);
                    let since = *silent.get_or_insert_with(Instant::now);
                    let look = if since.elapsed() < SILENCE { SILENCE } else { LOOK };
                    tokio::select! {
                        () = shutdown.cancelled() => continue,
                        next = subscriber.next() => next,
                        () = tokio::time::sleep(look) => {
                            self.silence(since.elapsed());
                            continue;
                        }
                    }
                }
                next => next,
            };
            match next {
                Ok(Some(chunk)) => {
                    silent = None;
                    if self.take(&chunk) {
                        *resume.lock().unwrap_or_else(PoisonError::into_inner) =
                            self.packaging.resume_point();
                    }
                }
                Ok(None) => break Stopped::FeedClosed,
                Err(lagged) => self.lag(lagged),
            }
            if turn.elapsed() >= TURN {
                tokio::task::yield_now().await;
                turn = Instant::now();
            }
        };
        let change = self.packaging.finish(ends && stopped == Stopped::FeedClosed);
        self.commit(change);
        self.report(false);
        (self, stopped)
    }

    /// Packages a chunk. True: there is something new to be seen.
    fn take(&mut self, chunk: &Chunk) -> bool {
        #[cfg(test)]
        assert!(!chunk.data.starts_with(PANIC), "a packet that must not be");
        let change = self.packaging.push(chunk);
        self.commit(change)
    }

    fn silence(&mut self, length: Duration) {
        for change in [self.packaging.pause(), self.packaging.silence(length)] {
            self.commit(change);
        }
    }

    fn commit(&mut self, change: Option<Change>) -> bool {
        let Some(change) = change else { return false };
        if std::mem::take(&mut self.stale) {
            self.channel.clear();
        }
        self.channel.commit(change);
        for finished in self.packaging.take_finished() {
            self.past.take(finished);
        }
        true
    }

    fn lag(&mut self, lagged: Lagged) {
        self.lagged += 1;
        self.before.last_error = Some(lagged.to_string());
        tracing::warn!(
            channel = %self.channel.id(),
            bytes_skipped = lagged.bytes_skipped,
            "the packager fell behind the Feed's history: the machine is too slow for what it carries"
        );
        self.packaging.discontinuity();
    }

    fn report(&mut self, running: bool) {
        let mut stats = self.before.plus(self.packaging.stats());
        stats.lagged += self.lagged;
        stats.running = running;
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = board.get_mut(self.channel.id()) {
            *entry = stats;
        }
    }
}

/// Packages a transport stream without a Feed, a clock or a task: for benches and tests.
#[derive(Debug)]
pub struct Offline(Packaging);

impl Offline {
    /// A packager of one Channel.
    pub fn new(channel: ChannelId, timing: Timing) -> Self {
        Self(Packaging::new(channel, timing, Resume::default()))
    }

    /// Takes in what arrived together and returns what is new to be seen.
    pub fn push(&mut self, chunk: &Chunk) -> Option<Change> {
        self.0.push(chunk)
    }

    /// Ends the stream and returns what was in hand.
    pub fn finish(&mut self) -> Option<Change> {
        self.0.finish(true)
    }

    /// Totals so far.
    pub fn stats(&mut self) -> Stats {
        self.0.stats().clone()
    }
}

/// Whether a Feed's readers have ended.
pub(crate) fn is_closed(feed: &Feed) -> bool {
    *feed.state().borrow() == State::Closed
}

/// Whether a Feed's venue is there.
pub(crate) fn is_live(feed: &Feed) -> bool {
    *feed.state().borrow() == State::Live
}
