//! A broadcaster that pulls a Feed over SRT, and accounts for every packet of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flambeau_media::Utc;
use flambeau_srt::endpoint::{Dial, Role, Session, Sink, Verdict, connect};
use flambeau_srt::protocol::receiver::Payload;
use tokio_util::sync::CancellationToken;

use crate::clock::{Ledger, feed_number};
use crate::tally::Record;

/// Pulls until it is told to stop; a session that ends is an error, and begun anew.
pub async fn pull(dial: Dial, feed: &str, record: Arc<Record>, stop: CancellationToken) {
    let inbox = Arc::new(Mutex::new(Inbox::new(feed, Instant::now())));
    while !stop.is_cancelled() {
        lock(&inbox).silent_since = None;
        let sink = Receiver { inbox: inbox.clone() };
        let called = connect(dial.clone(), Role::Receive(Box::new(sink)), stop.clone()).await;
        let failed = match called {
            Ok(session) => follow(&session, &inbox, &record).await.to_string(),
            Err(error) => error.to_string(),
        };
        if !stop.is_cancelled() {
            record.error(failed);
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    lock(&inbox).note(&record);
}

/// Counts what a session brings until it ends.
async fn follow(
    session: &Session,
    inbox: &Mutex<Inbox>,
    record: &Record,
) -> flambeau_srt::protocol::connection::CloseReason {
    let closed = session.closed();
    tokio::pin!(closed);
    loop {
        let reason = tokio::select! {
            reason = &mut closed => Some(reason),
            () = tokio::time::sleep(COUNT_EVERY) => None,
        };
        lock(inbox).note(record);
        if let Some(reason) = reason {
            return reason;
        }
    }
}

/// What the session's thread leaves for us: locked once a delivery, which is some packets, and once a note.
struct Inbox {
    ledger: Ledger,
    asked: Instant,
    started: Option<Instant>,
    /// When the last bytes came.
    silent_since: Option<Instant>,
    bytes: u64,
    stalls: u64,
    stalled: Duration,
    latencies: Vec<u64>,
}

impl Inbox {
    fn new(feed: &str, asked: Instant) -> Self {
        let ledger = Ledger::new(feed_number(feed));
        let (started, silent_since, latencies) = (None, None, Vec::new());
        Self { ledger, asked, started, silent_since, bytes: 0, stalls: 0, stalled: Duration::ZERO, latencies }
    }

    fn take(&mut self, payloads: &mut Vec<Payload>) {
        let (now, utc) = (Instant::now(), Utc::now().0);
        self.started.get_or_insert(now);
        let silent = self.silent_since.replace(now).map(|since| now.saturating_duration_since(since));
        if let Some(silent) = silent.filter(|silent| *silent > SILENCE_MAX) {
            self.stalls += 1;
            self.stalled += silent;
        }
        for payload in payloads.drain(..) {
            self.bytes += payload.data.len() as u64;
            let latencies = &mut self.latencies;
            self.ledger.take(&payload.data, |sent| {
                if latencies.len() < LATENCIES_MAX {
                    latencies.push(u64::try_from(utc - sent).unwrap_or(0));
                }
            });
        }
    }

    fn note(&mut self, record: &Record) {
        record.latencies(&std::mem::take(&mut self.latencies));
        let startup = self.started.map(|at| at.saturating_duration_since(self.asked).as_millis() as u64);
        record.count(|counts| {
            counts.bytes = self.bytes;
            counts.startup_ms = startup;
            counts.stalls = self.stalls;
            counts.stalled_ms = self.stalled.as_millis() as u64;
            counts.set_ledger(self.ledger.counts());
        });
    }
}

struct Receiver {
    inbox: Arc<Mutex<Inbox>>,
}

impl Sink for Receiver {
    fn deliver(&mut self, payloads: &mut Vec<Payload>) -> Verdict {
        lock(&self.inbox).take(payloads);
        Verdict::Continue
    }
}

fn lock(inbox: &Mutex<Inbox>) -> std::sync::MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A live stream is never silent for so long.
const SILENCE_MAX: Duration = Duration::from_millis(500);
/// Before a broadcaster calls again.
const RETRY: Duration = Duration::from_secs(1);
/// How often what came is counted.
const COUNT_EVERY: Duration = Duration::from_millis(500);
/// Latencies between two counts: far more than there are marks.
const LATENCIES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Group;

    #[test]
    fn silence_is_a_stall_and_what_is_no_stream_an_error() {
        let mut inbox = Inbox::new("f", Instant::now());
        let payload = |byte| Payload { data: vec![byte; 188].into(), time: Instant::now(), lost_before: 0 };
        inbox.take(&mut vec![payload(0x47)]);
        inbox.silent_since = Instant::now().checked_sub(Duration::from_secs(2));
        inbox.take(&mut vec![payload(0)]);
        let record = Arc::new(Group::default()).record("p");
        inbox.note(&record);
        let counts = record.counts();
        assert_eq!((counts.bytes, counts.packets, counts.stalls, counts.errors_total()), (376, 1, 1, 188));
        assert!(counts.stalled_ms >= 2000 && counts.startup_ms.is_some());
    }
}
