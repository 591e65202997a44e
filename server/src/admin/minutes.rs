//! What a Feed or a Session was like, by the minute, for a day.

use std::collections::VecDeque;

use flambeau_media::Utc;

use super::samples::{Sample, Totals};

/// The minutes of a day: 16 bytes each.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    done: VecDeque<Minute>,
    current: Current,
}

#[derive(Debug, Clone, Copy)]
struct Minute {
    /// Since 1970.
    number: u32,
    /// Not a number where there was none, as below.
    megabits_per_second: f32,
    loss: f32,
    rtt_ms: f32,
}

/// The minute that passes.
#[derive(Debug, Default)]
struct Current {
    number: u32,
    /// The totals at the last look: what they have grown by since is of this minute.
    before: Option<Totals>,
    packets: u64,
    lost: u64,
    rtt_ms: Mean,
    bit_rate: Mean,
}

#[derive(Debug, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn take(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// One look.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look {
    pub(super) totals: Option<Totals>,
    pub(super) rtt_ms: Option<f64>,
    pub(super) bit_rate: Option<u64>,
}

impl Minutes {
    /// Takes in a look at `now`.
    pub(super) fn look(&mut self, now: Utc, look: Look) {
        let number = u32::try_from(now.0 / MINUTE_US).unwrap_or(0);
        if self.current.number != number {
            let before = self.current.before;
            let over = std::mem::replace(&mut self.current, Current { number, before, ..Current::default() });
            if over.number != 0 {
                if self.done.len() == MINUTES_MAX {
                    self.done.pop_front();
                }
                self.done.push_back(over.minute());
            }
        }
        let current = &mut self.current;
        if let (Some(before), Some(totals)) = (current.before, look.totals) {
            // Totals that have shrunk are of another session: they begin here.
            current.packets += totals.packets.saturating_sub(before.packets);
            current.lost += totals.lost.saturating_sub(before.lost);
        }
        current.before = look.totals.or(current.before);
        current.rtt_ms.take(look.rtt_ms);
        current.bit_rate.take(look.bit_rate.map(|rate| rate as f64));
    }

    /// The minutes that have passed, oldest first.
    pub(super) fn samples(&self) -> Vec<Sample> {
        self.done.iter().map(Minute::sample).collect()
    }
}

impl Current {
    fn minute(&self) -> Minute {
        let loss = (self.packets > 0).then(|| (self.lost as f64 / self.packets as f64).min(1.0));
        Minute {
            number: self.number,
            megabits_per_second: self.bit_rate.mean().map_or(f32::NAN, |rate| (rate / 1e6) as f32),
            loss: loss.map_or(f32::NAN, |loss| loss as f32),
            rtt_ms: self.rtt_ms.mean().map_or(f32::NAN, |rtt| rtt as f32),
        }
    }
}

impl Minute {
    fn at(&self) -> Utc {
        Utc(i64::from(self.number) * MINUTE_US)
    }

    fn sample(&self) -> Sample {
        let number = |value: f32| (!value.is_nan()).then_some(f64::from(value));
        Sample {
            at: self.at().to_string(),
            bit_rate: number(self.megabits_per_second).map(|rate| (rate * 1e6) as u64),
            loss: number(self.loss),
            rtt_ms: number(self.rtt_ms),
        }
    }
}

const MINUTE_US: i64 = 60_000_000;

/// A day.
const MINUTES_MAX: usize = 24 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_the_loss_and_the_mean_of_its_looks() {
        let mut minutes = Minutes::default();
        let start = 1_795_363_200_000_000;
        for second in 0..=120_u64 {
            let totals =
                Totals { packets: 1_000 + second * 100, lost: if second < 60 { second } else { 60 } };
            let (rtt_ms, bit_rate) = (Some(if second < 60 { 40.0 } else { 80.0 }), Some(10_000_000));
            let now = Utc(start + second as i64 * 1_000_000);
            minutes.look(now, Look { totals: Some(totals), rtt_ms, bit_rate });
        }
        let samples = minutes.samples();
        assert_eq!(samples.iter().map(|sample| sample.rtt_ms).collect::<Vec<_>>(), [Some(40.0), Some(80.0)]);
        let losses: Vec<f64> = samples.iter().filter_map(|sample| sample.loss).collect();
        assert!((losses[0] - 0.01).abs() < 1e-6 && losses[1] < 1e-3, "{losses:?}");
        assert_eq!(samples[0].bit_rate, Some(10_000_000));
        assert_eq!(samples[1].at, Utc(start + 60_000_000).to_string());
    }

    #[test]
    fn a_day_is_kept_and_no_more_and_what_was_away_has_no_figures() {
        let mut minutes = Minutes::default();
        for minute in 1..=2_000 {
            minutes.look(Utc(minute * MINUTE_US), Look::default());
        }
        let samples = minutes.samples();
        assert_eq!(samples.len(), 1_440);
        assert_eq!((samples[0].loss, samples[0].rtt_ms, samples[0].bit_rate), (None, None, None));
        assert_eq!(samples[1_439].at, Utc(1_999 * MINUTE_US).to_string());
    }

    #[test]
    fn a_session_that_begins_anew_loses_nothing_by_that() {
        let mut minutes = Minutes::default();
        for (second, packets, lost) in [(0, 9_000, 90), (1, 10, 0), (2, 110, 1), (60, 110, 1)] {
            let totals = Some(Totals { packets, lost });
            minutes.look(Utc(MINUTE_US + second * 1_000_000), Look { totals, ..Look::default() });
        }
        assert_eq!(minutes.samples()[0].loss.map(|loss| (loss * 1e4).round()), Some(100.0));
    }
}
