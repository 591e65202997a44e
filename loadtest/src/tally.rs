//! What clients count, and what it comes to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clock;

/// What one client counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Bytes of media, or of transport stream.
    pub bytes: u64,
    /// Requests, or packets of a venue.
    pub requests: u64,
    /// From the first request that was answered with a Playlist, or from the call, to the first picture or byte.
    pub startup_ms: Option<u64>,
    /// The greatest latency.
    pub latency_max_ms: u64,
    /// Times it stood still.
    pub stalls: u64,
    /// How long, altogether.
    pub stalled_ms: u64,
    /// Holes in the timeline that nothing had announced.
    pub holes: u64,
    /// Holes that a discontinuity or a gap had announced.
    pub gaps: u64,
    /// Pictures shown.
    pub pictures: u64,
    /// Pictures that the venue sent and the stream does not hold.
    pub pictures_lost: u64,
    /// TS packets that came.
    pub packets: u64,
    /// TS packets that did not come.
    pub packets_lost: u64,
    /// TS packets that came and were not sent, or not there.
    pub packets_surplus: u64,
    /// Stretches of TS packets with other bytes or in another order, marks out of order or of another Feed.
    pub stretches_altered: u64,
    /// Continuity counters that did not follow.
    pub continuity_errors: u64,
    /// Times the venue began anew.
    pub restarts: u64,
    /// Blocking reloads that were answered without what they waited for.
    pub early_reloads: u64,
    /// Preload hints that came to nothing.
    pub missed_hints: u64,
    /// Times it fell behind and left out media.
    pub skips: u64,
    /// Errors by kind.
    pub errors: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds another client's.
    pub fn add(&mut self, other: &Self) {
        self.bytes += other.bytes;
        self.requests += other.requests;
        self.startup_ms = self.startup_ms.max(other.startup_ms);
        self.latency_max_ms = self.latency_max_ms.max(other.latency_max_ms);
        self.stalls += other.stalls;
        self.stalled_ms += other.stalled_ms;
        self.holes += other.holes;
        self.gaps += other.gaps;
        self.pictures += other.pictures;
        self.pictures_lost += other.pictures_lost;
        self.packets += other.packets;
        self.packets_lost += other.packets_lost;
        self.packets_surplus += other.packets_surplus;
        self.stretches_altered += other.stretches_altered;
        self.continuity_errors += other.continuity_errors;
        self.restarts += other.restarts;
        self.early_reloads += other.early_reloads;
        self.missed_hints += other.missed_hints;
        self.skips += other.skips;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
    }

    /// Takes over what a ledger found.
    pub fn set_ledger(&mut self, found: clock::Counts) {
        self.packets = found.packets;
        // A stream without marks is known by its continuity counters alone: each jump is a packet at least.
        self.packets_lost = if found.marks > 0 { found.lost } else { found.continuity };
        self.packets_surplus = found.surplus;
        self.stretches_altered = found.altered + found.disordered + found.foreign;
        self.continuity_errors = found.continuity;
        self.restarts = found.restarts;
        if found.malformed > 0 {
            self.errors.insert("bytes that are no TS".into(), found.malformed);
        }
    }

    /// Errors of all kinds.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    /// How bad it was, for choosing whom to name: each fault counts as one.
    pub fn faults(&self) -> u64 {
        let media = self.stalls + self.holes + self.pictures_lost + self.skips + self.early_reloads;
        media + self.packets_lost + self.packets_surplus + self.stretches_altered + self.errors_total()
    }
}

/// One client's counts, while it runs.
#[derive(Debug)]
pub struct Record {
    /// Which client.
    pub name: String,
    counts: Mutex<Counts>,
    group: Arc<Group>,
}

impl Record {
    /// Changes the counts.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut lock(&self.counts));
    }

    /// Counts an error of this kind.
    pub fn error(&self, kind: impl Into<String>) {
        let mut counts = lock(&self.counts);
        // Kinds are few; a server that makes up new ones does not get to fill our memory.
        let kind = if counts.errors.len() < ERROR_KINDS_MAX { kind.into() } else { "others".into() };
        *counts.errors.entry(kind).or_default() += 1;
    }

    /// Counts latencies, in microseconds.
    pub fn latencies(&self, latencies: &[u64]) {
        let Some(&max) = latencies.iter().max() else { return };
        self.count(|counts| counts.latency_max_ms = counts.latency_max_ms.max(max.div_ceil(1000)));
        let mut histogram = lock(&self.group.latency);
        latencies.iter().for_each(|&latency| histogram.saturating_record(latency.max(1)));
    }

    /// The counts by now.
    pub fn counts(&self) -> Counts {
        lock(&self.counts).clone()
    }
}

/// Clients of one kind.
#[derive(Debug)]
pub struct Group {
    records: Mutex<Vec<Arc<Record>>>,
    latency: Mutex<Histogram<u64>>,
}

impl Default for Group {
    fn default() -> Self {
        // From a microsecond to an hour, to three digits: the bounds are valid, and a histogram of them is 180 kB.
        let histogram = Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("valid bounds");
        Self { records: Mutex::default(), latency: Mutex::new(histogram) }
    }
}

impl Group {
    /// One more client.
    pub fn record(self: &Arc<Self>, name: impl Into<String>) -> Arc<Record> {
        let record = Record { name: name.into(), counts: Mutex::default(), group: self.clone() };
        let record = Arc::new(record);
        lock(&self.records).push(record.clone());
        record
    }

    /// Each client's name and counts.
    pub fn clients(&self) -> Vec<(String, Counts)> {
        lock(&self.records).iter().map(|record| (record.name.clone(), record.counts())).collect()
    }

    /// All clients' counts together.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        lock(&self.records).iter().for_each(|record| total.add(&lock(&record.counts)));
        total
    }

    /// The latency by now; None without any.
    pub fn latency(&self) -> Option<Spread> {
        Spread::of(&lock(&self.latency))
    }

    /// The start-up times of those who started.
    pub fn startup(&self) -> Option<Spread> {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 3).ok()?;
        for (_, counts) in self.clients() {
            counts.startup_ms.iter().for_each(|ms| histogram.saturating_record((ms * 1000).max(1)));
        }
        Spread::of(&histogram)
    }
}

/// A distribution, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// How many values.
    pub count: u64,
    /// Half are below.
    pub p50: f64,
    /// 95 of 100 are below.
    pub p95: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let ms = |micros: u64| (micros as f64 / 100.0).round() / 10.0;
        let at = |quantile| ms(histogram.value_at_quantile(quantile));
        let count = histogram.len();
        let (p50, p95, p99, max) = (at(0.5), at(0.95), at(0.99), ms(histogram.max()));
        (count > 0).then_some(Self { count, p50, p95, p99, max })
    }

    /// The 99th percentile as a length of time.
    pub fn p99(&self) -> Duration {
        Duration::from_secs_f64(self.p99 / 1000.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kinds of errors that are told apart.
const ERROR_KINDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_add_up_to_their_group() {
        let group = Arc::new(Group::default());
        for n in 1..=100 {
            let record = group.record(format!("c{n}"));
            record.count(|counts| counts.bytes = n);
            record.latencies(&[n * 1000]);
            record.error("status 404");
        }
        let (total, latency) = (group.total(), group.latency().expect("latencies"));
        assert_eq!((total.bytes, total.errors_total(), total.latency_max_ms), (5050, 100, 100));
        assert!((latency.p50 - 50.0).abs() < 1.1 && (latency.p99 - 99.0).abs() < 1.1, "{latency:?}");
        assert_eq!(group.startup(), None);
    }

    #[test]
    fn kinds_of_errors_are_bounded() {
        let record = Arc::new(Group::default()).record("c");
        (0..1000).for_each(|n| record.error(format!("status {n}")));
        assert!(record.counts().errors.len() <= ERROR_KINDS_MAX + 1);
        assert_eq!(record.counts().errors_total(), 1000);
    }
}
