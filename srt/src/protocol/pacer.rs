//! A cap on what a session sends, retransmission included.

use std::time::{Duration, Instant};

/// How much a session may send, in bits a second on the wire (SRT, UDP and IP headers included).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bandwidth {
    /// As fast as a link of [`UNLIMITED_BPS`] takes it, so that no burst overruns a receiver's socket buffer.
    #[default]
    Unlimited,
    /// At most so much, new payloads and retransmissions together (libsrt's `SRTO_MAXBW`).
    Max(u64),
}

/// What [`Bandwidth::Unlimited`] is paced to: far above any feed, and what the endpoint reaches with a burst of 64
/// datagrams every 2 ms, so that a receiver's socket buffer meets nothing longer.
pub const UNLIMITED_BPS: u64 = 300_000_000;

/// IPv4 and UDP headers, as libsrt counts them.
const UDP_IP_HEADER_BYTES: i64 = 28;

/// The bucket holds this much time of the rate: two bursts of the endpoint, so that a late one costs no rate.
const DEPTH: Duration = Duration::from_millis(16);

/// The bucket holds at least this: less would never let a pair of packets pass together.
const DEPTH_BYTES_MIN: u64 = 3_000;

/// A token bucket.
#[derive(Debug)]
pub(super) struct Pacer {
    bytes_per_second: u64,
    depth_bytes: i64,
    /// Bytes that may go now. The last datagram may overdraw: the debt is paid before the next one goes.
    tokens: i64,
    refilled: Instant,
}

impl Pacer {
    pub(super) fn new(bandwidth: Bandwidth, now: Instant) -> Self {
        let bps = match bandwidth {
            Bandwidth::Unlimited => UNLIMITED_BPS,
            Bandwidth::Max(bps) => bps.max(8),
        };
        let bytes_per_second = bps / 8;
        let depth_bytes = (bytes_per_second * DEPTH.as_millis() as u64 / 1000).max(DEPTH_BYTES_MIN) as i64;
        Self { bytes_per_second, depth_bytes, tokens: depth_bytes, refilled: now }
    }

    /// Whether a datagram may go now.
    pub(super) fn is_open(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens > 0
    }

    /// Accounts for a datagram of `bytes`.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.tokens -= bytes as i64 + UDP_IP_HEADER_BYTES;
    }

    /// When the next datagram may go, if not now.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        let debt = u64::try_from(-self.tokens).ok()? + 1;
        Some(self.refilled + Duration::from_micros(debt * 1_000_000 / self.bytes_per_second.max(1) + 1))
    }

    fn refill(&mut self, now: Instant) {
        let elapsed_us = now.saturating_duration_since(self.refilled).as_micros() as u64;
        let earned = self.bytes_per_second.saturating_mul(elapsed_us.min(1_000_000)) / 1_000_000;
        if earned > 0 {
            self.tokens = (self.tokens + earned as i64).min(self.depth_bytes);
            self.refilled = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_second_the_rate_holds_whatever_the_demand() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Bandwidth::Max(8_000_000), start);
        let mut sent = 0;
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            while pacer.is_open(now) {
                pacer.spend(1332);
                sent += 1332 + 28;
            }
        }
        assert!((980_000..=1_018_000).contains(&sent), "{sent} bytes at 1 MB/s");
    }
}
