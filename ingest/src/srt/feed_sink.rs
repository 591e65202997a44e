//! From a session's payloads to the Feed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flambeau_media::directory::Directory;
use flambeau_media::feed::{History, Incoming, Publisher};
use flambeau_media::{FeedId, Utc};
use flambeau_srt::endpoint::{Sink, Verdict};
use flambeau_srt::protocol::receiver::Payload;

use crate::signal::align::AlignStats;
use crate::signal::scan::ScanStats;
use crate::signal::{Aligner, Scanner};

/// What a venue's stream looks like, for whoever watches.
#[derive(Debug, Clone, Default)]
pub struct Signal(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    scan: ScanStats,
    align: AlignStats,
    fault: Option<String>,
}

impl Signal {
    /// Packets, errors and the bit rate, at most a quarter of a second old.
    pub fn scan(&self) -> ScanStats {
        self.lock().scan
    }

    /// What had to be skipped to find whole packets.
    pub fn align(&self) -> AlignStats {
        self.lock().align
    }

    /// Why the stream was refused, once it was.
    pub fn fault(&self) -> Option<String> {
        self.lock().fault.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a session's payloads to its Feed. The Feed comes to be with the first whole TS packets: a session that
/// carries none, or nothing, makes none.
pub(super) struct FeedSink {
    feed: FeedId,
    history: History,
    directory: Arc<Directory>,
    signal: Signal,
    publisher: Option<Publisher>,
    position: u64,
    aligner: Aligner,
    scanner: Scanner,
    aligned: Vec<Aligned>,
    batch: Vec<Incoming>,
    reported: Instant,
    meter: Meter,
}

/// What a venue sends, held against what it may.
struct Meter {
    bits_per_second_max: Option<u64>,
    since: Instant,
    bytes: u64,
}

impl Meter {
    fn take(&mut self, payloads: &[Payload], now: Instant) -> Result<(), String> {
        let Some(max) = self.bits_per_second_max else { return Ok(()) };
        self.bytes += payloads.iter().map(|payload| payload.data.len() as u64).sum::<u64>();
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed < METER {
            return Ok(());
        }
        let rate = (self.bytes as f64 * 8.0 / elapsed.as_secs_f64()) as u64;
        (self.since, self.bytes) = (now, 0);
        if rate > max {
            let (rate, max) = (rate as f64 / 1e6, max as f64 / 1e6);
            return Err(format!("it sends {rate:.1} Mb/s, and bandwidth_max of [ingest.srt] is {max} Mb/s"));
        }
        Ok(())
    }
}

struct Aligned {
    data: bytes::Bytes,
    time: Instant,
    discontinuity: bool,
}

impl FeedSink {
    /// `bits_per_second_max`: what the venue may send over five seconds; none: any.
    pub(super) fn new(
        feed: FeedId,
        history: History,
        directory: Arc<Directory>,
        signal: Signal,
        bits_per_second_max: Option<u64>,
    ) -> Self {
        Self {
            feed,
            history,
            directory,
            signal,
            publisher: None,
            position: 0,
            aligner: Aligner::new(),
            scanner: Scanner::new(),
            aligned: Vec::new(),
            batch: Vec::new(),
            reported: Instant::now(),
            meter: Meter { bits_per_second_max, since: Instant::now(), bytes: 0 },
        }
    }

    fn align(&mut self, payloads: &mut Vec<Payload>) -> Result<(), String> {
        for Payload { data, time, lost_before } in payloads.drain(..) {
            let mut discontinuity = lost_before > 0;
            if discontinuity {
                self.aligner.discontinuity();
            }
            let aligned = &mut self.aligned;
            let pushed = self.aligner.push(data, &mut |data| {
                aligned.push(Aligned { data, time, discontinuity: std::mem::take(&mut discontinuity) });
            });
            pushed.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), String> {
        if self.aligned.is_empty() {
            return Ok(());
        }
        let publisher = match &self.publisher {
            Some(publisher) => publisher,
            None => {
                let publisher = self.directory.publish(&self.feed, self.history);
                self.position = publisher.position();
                self.publisher.insert(publisher)
            }
        };
        let (now, utc) = (Instant::now(), Utc::now());
        for Aligned { data, time, discontinuity } in self.aligned.drain(..) {
            if discontinuity {
                self.scanner.discontinuity();
            }
            let scanned = self.scanner.scan(self.position, &data);
            if let Some(program) = scanned.program {
                publisher.describe(program);
            }
            self.position += data.len() as u64;
            // A payload may be handed over a little before its time.
            let age = now.saturating_duration_since(time).as_micros() as i64
                - time.saturating_duration_since(now).as_micros() as i64;
            let (utc, random_access) = (Utc(utc.0 - age), scanned.random_access);
            self.batch.push(Incoming { data, time, utc, random_access, discontinuity });
        }
        publisher.write(&mut self.batch).map_err(|superseded| superseded.to_string())
    }

    fn report(&mut self) {
        if self.reported.elapsed() >= REPORT {
            self.reported = Instant::now();
            let mut seen = self.signal.lock();
            (seen.scan, seen.align) = (self.scanner.stats(), self.aligner.stats());
        }
    }
}

impl Sink for FeedSink {
    fn deliver(&mut self, payloads: &mut Vec<Payload>) -> Verdict {
        let metered = self.meter.take(payloads, Instant::now());
        let result = metered.and_then(|()| self.align(payloads)).and_then(|()| self.write());
        self.report();
        match result {
            Ok(()) => Verdict::Continue,
            Err(fault) => {
                self.signal.lock().fault = Some(fault);
                Verdict::Close
            }
        }
    }
}

const REPORT: Duration = Duration::from_millis(250);

/// Over how long a venue's rate is taken: a burst at its begin, or after a pause of the path, is no rate.
const METER: Duration = Duration::from_secs(5);
