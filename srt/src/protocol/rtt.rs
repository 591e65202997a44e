//! The round-trip time, smoothed as draft-sharabayko-srt 4.10 has it.

use std::time::Duration;

/// A smoothed round-trip time and its mean deviation.
#[derive(Debug, Clone, Copy)]
pub struct Rtt {
    smoothed_us: u32,
    variance_us: u32,
    measured: bool,
}

impl Default for Rtt {
    /// 100 ms, give or take 50 ms, until there is a sample (draft-sharabayko-srt 4.10).
    fn default() -> Self {
        Self { smoothed_us: 100_000, variance_us: 50_000, measured: false }
    }
}

impl Rtt {
    /// Takes in one sample of the time between an ACK and its ACKACK.
    pub fn sample(&mut self, sample: Duration) {
        let sample_us = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX).min(RTT_MAX_US);
        if !self.measured {
            *self = Self { smoothed_us: sample_us, variance_us: sample_us / 2, measured: true };
            return;
        }
        let deviation_us = self.smoothed_us.abs_diff(sample_us);
        self.variance_us = (self.variance_us * 3 + deviation_us) / 4;
        self.smoothed_us = (self.smoothed_us * 7 + sample_us) / 8;
    }

    /// Takes in what the receiver of our data reports of its own measurement.
    pub fn adopt(&mut self, smoothed_us: u32, variance_us: u32) {
        let (smoothed_us, variance_us) = (smoothed_us.min(RTT_MAX_US), variance_us.min(RTT_MAX_US));
        *self = Self { smoothed_us, variance_us, measured: true };
    }

    /// The smoothed round-trip time.
    pub fn smoothed(&self) -> Duration {
        Duration::from_micros(self.smoothed_us.into())
    }

    /// The mean deviation.
    pub fn variance(&self) -> Duration {
        Duration::from_micros(self.variance_us.into())
    }

    /// How long an answer may take before it counts as missing: RTT + 4 deviations.
    pub fn patience(&self) -> Duration {
        self.smoothed() + 4 * self.variance()
    }
}

/// No path that this protocol serves is longer; a peer cannot stretch our timers past it.
const RTT_MAX_US: u32 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_replaces_the_guess_and_later_ones_are_smoothed() {
        let mut rtt = Rtt::default();
        rtt.sample(Duration::from_millis(40));
        assert_eq!((rtt.smoothed(), rtt.variance()), (Duration::from_millis(40), Duration::from_millis(20)));
        rtt.sample(Duration::from_millis(80));
        assert_eq!(rtt.smoothed(), Duration::from_millis(45));
        assert_eq!(rtt.variance(), Duration::from_millis(25));
        assert_eq!(rtt.patience(), Duration::from_millis(145));
    }
}
