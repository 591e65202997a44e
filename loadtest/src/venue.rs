//! A venue: publishes an endless stream over SRT.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flambeau_media::Utc;
use flambeau_srt::endpoint::{Dial, Role, Session, connect};
use flambeau_srt::protocol::sender::{Outlet, Source, Supply};
use tokio_util::sync::CancellationToken;

use crate::clock::feed_number;
use crate::reel::{CHUNK_BYTES, Playout, Reel};
use crate::tally::Record;

/// Publishes until it is told to stop; a session that ends is an error, and begun anew.
pub async fn publish(dial: Dial, feed: &str, reel: Arc<Reel>, record: Arc<Record>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let source =
            Broadcast::new(Playout::new(reel.clone(), feed_number(feed), Utc::now().0), dial.latency);
        let asked = Instant::now();
        let called = connect(dial.clone(), Role::Send(Box::new(source)), stop.clone()).await;
        let session = match called {
            Ok(session) => session,
            Err(error) => {
                record.error(error.to_string());
                pause(&stop).await;
                continue;
            }
        };
        record.count(|counts| {
            counts.startup_ms.get_or_insert(asked.elapsed().as_millis() as u64);
        });
        let reason = follow(&session, &record).await;
        if !stop.is_cancelled() {
            record.error(reason.to_string());
            pause(&stop).await;
        }
    }
}

async fn pause(stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(RETRY) => {}
        () = stop.cancelled() => {}
    }
}

/// Counts what a session sends until it ends.
async fn follow(session: &Session, record: &Record) -> flambeau_srt::protocol::connection::CloseReason {
    let before = record.counts();
    let closed = session.closed();
    tokio::pin!(closed);
    loop {
        let reason = tokio::select! {
            reason = &mut closed => Some(reason),
            () = tokio::time::sleep(COUNT_EVERY) => None,
        };
        let sent = session.stats().total;
        record.count(|counts| {
            counts.bytes = before.bytes + sent.pkt_sent_unique * CHUNK_BYTES as u64;
            counts.requests = before.requests + sent.pkt_sent_unique;
            counts.packets_lost = before.packets_lost + sent.pkt_snd_drop;
        });
        if let Some(reason) = reason {
            return reason;
        }
    }
}

/// The stream as an SRT session takes it: chunks when they are due, and again when they were lost.
struct Broadcast {
    playout: Playout,
    /// Our clock and the wall's at the stream's start.
    started: Option<(Instant, Utc)>,
    /// Chunks that may be asked for again, and the position of the first.
    held: VecDeque<(Instant, Box<[u8; CHUNK_BYTES]>)>,
    first: u64,
    /// How long they may be.
    keep: Duration,
}

impl Broadcast {
    fn new(playout: Playout, latency: Duration) -> Self {
        Self { playout, started: None, held: VecDeque::new(), first: 0, keep: latency + KEEP }
    }

    /// Room for a chunk: of one that is too old to be asked for again, or new.
    fn chunk(&mut self, now: Instant) -> Box<[u8; CHUNK_BYTES]> {
        let keep = self.keep;
        match self.held.pop_front_if(|(sent, _)| now.saturating_duration_since(*sent) > keep) {
            Some((_, chunk)) => {
                self.first += 1;
                chunk
            }
            None => Box::new([0; CHUNK_BYTES]),
        }
    }
}

impl Source for Broadcast {
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply {
        let (began, utc) = *self.started.get_or_insert_with(|| (now, Utc::now()));
        loop {
            let after = self.playout.due();
            let due = began + after;
            if due > now {
                return Supply::Open;
            }
            let Some(room) = out.room().and_then(|room| room.get_mut(..CHUNK_BYTES)) else {
                return Supply::Open;
            };
            let mut chunk = self.chunk(now);
            self.playout.write(utc.plus(after).0, &mut chunk[..]);
            room.copy_from_slice(&chunk[..]);
            let position = self.first + self.held.len() as u64;
            self.held.push_back((now, chunk));
            out.put(position, CHUNK_BYTES, due);
        }
    }

    fn again(&mut self, position: u64, into: &mut [u8]) -> bool {
        let index = position.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let held = index.and_then(|index| self.held.get(index)).filter(|_| into.len() == CHUNK_BYTES);
        held.is_some_and(|(_, chunk)| {
            into.copy_from_slice(&chunk[..]);
            true
        })
    }
}

/// Beyond the latency: a sender keeps a packet for a second at least before it gives it up.
const KEEP: Duration = Duration::from_secs(2);
/// Before a venue calls again.
const RETRY: Duration = Duration::from_secs(1);
/// How often what was sent is counted.
const COUNT_EVERY: Duration = Duration::from_millis(500);
