//! How much work a peer may cause: its datagrams are small, and what they ask for need not be.

use std::time::Instant;

/// A bucket of steps: packets of a window that a peer's claim makes us walk.
#[derive(Debug)]
pub(super) struct Allowance {
    steps: u64,
    refilled: Instant,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { steps: STEPS_MAX, refilled: now }
    }

    /// Whether `steps` may be taken now; if so they are.
    pub(super) fn take(&mut self, steps: usize, now: Instant) -> bool {
        let elapsed_us = now.saturating_duration_since(self.refilled).as_micros().min(1_000_000) as u64;
        let earned = elapsed_us * STEPS_PER_SECOND / 1_000_000;
        if earned > 0 {
            self.steps = (self.steps + earned).min(STEPS_MAX);
            self.refilled = now;
        }
        match self.steps.checked_sub(steps as u64) {
            Some(left) => {
                self.steps = left;
                true
            }
            None => false,
        }
    }
}

/// Far more than the worst path of the fastest feed asks for. A step takes some nanoseconds: a percent of a core.
const STEPS_PER_SECOND: u64 = 1_000_000;

/// Several of the largest windows.
const STEPS_MAX: u64 = 131_072;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_held_to_the_rate_and_silence_refills() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let taken = |allowance: &mut Allowance, at| (0..1_000).filter(|_| allowance.take(16_384, at)).count();
        assert_eq!(taken(&mut allowance, start), 8);
        assert_eq!(taken(&mut allowance, start + Duration::from_millis(50)), 3);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(9)), 8);
    }
}
