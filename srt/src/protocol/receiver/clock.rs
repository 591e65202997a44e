//! The peer's clock on ours.

use std::time::{Duration, Instant};

/// The peer's 32-bit microsecond timestamps on our clock: wraps undone, drift followed.
#[derive(Debug)]
pub(super) struct PeerClock {
    /// When the peer's timestamp was that.
    base: (Instant, u32),
    drift_us_sum: i64,
    drift_samples: u32,
}

impl PeerClock {
    pub(super) fn new(base: (Instant, u32)) -> Self {
        Self { base, drift_us_sum: 0, drift_samples: 0 }
    }

    /// When the peer's clock said `timestamp`: the time nearest to now of those that the wrap every 71 minutes leaves
    /// open, so that a session may be silent for as long as it likes. Nothing was sent in the future: a timestamp that
    /// says so is held to a second.
    pub(super) fn local(&self, now: Instant, timestamp: u32) -> Instant {
        let (at, of) = self.base;
        let present = of.wrapping_add(now.saturating_duration_since(at).as_micros() as u32);
        let ahead_us = timestamp.wrapping_sub(present).cast_signed();
        let step = Duration::from_micros(ahead_us.unsigned_abs().into());
        if ahead_us >= 0 { now + step.min(AHEAD_MAX) } else { now.checked_sub(step).unwrap_or(now) }
    }

    /// Takes in one look at the peer's clock: a control packet's timestamp, and how far the RTT is from its first.
    pub(super) fn observe(&mut self, now: Instant, timestamp: u32, rtt_excess: Duration) {
        let expected = self.local(now, timestamp) + rtt_excess / 2;
        let late_us = now.saturating_duration_since(expected).as_micros() as i64;
        let early_us = expected.saturating_duration_since(now).as_micros() as i64;
        // One absurd sample (a suspended machine) must not drag the mean.
        self.drift_us_sum += (late_us - early_us).clamp(-DRIFT_US_MAX, DRIFT_US_MAX);
        self.drift_samples += 1;
        if self.drift_samples == DRIFT_SAMPLES {
            let mean_us = self.drift_us_sum / i64::from(DRIFT_SAMPLES);
            let step = Duration::from_micros(mean_us.unsigned_abs());
            let (at, of) = self.base;
            let moved = if mean_us >= 0 { at + step } else { at.checked_sub(step).unwrap_or(at) };
            self.base = (moved, of);
            (self.drift_us_sum, self.drift_samples) = (0, 0);
        }
    }
}

/// ACK-to-ACKACK samples over which the peer's clock drift is averaged (libsrt's span).
const DRIFT_SAMPLES: u32 = 1_000;

/// One sample counts for so much at most.
const DRIFT_US_MAX: i64 = 100_000;

/// The most that a timestamp may be ahead: a handshake that was late on its way puts all that follows ahead of it.
const AHEAD_MAX: Duration = Duration::from_secs(1);
