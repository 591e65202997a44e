//! From the source's clock to UTC.
//!
//! A transport stream's times count from nowhere. [`ClockMap`] pairs the PCR with the wall clock of the node
//! that took it in, and keeps that pairing: within a Segment the offset never moves, so durations are those of
//! the stream. A source that runs fast or slow is followed by small steps at Segment boundaries; one that jumps
//! is anchored anew, which the caller declares as a discontinuity.

use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::time::CLOCK_90K;

/// How far the source may be off before it is followed.
const SLEW_ABOVE: i64 = ticks(20);
/// The most it is followed by at a Segment boundary.
pub(crate) const STEP_MAX: Duration = Duration::from_millis(2);
const SLEW_STEP: i64 = ticks(STEP_MAX.as_millis() as i64);
/// Off by more than this, it did not drift: it jumped.
const JUMP_ABOVE: i64 = ticks(500);
/// How long an error without a declared jump must last to count as one. A sender that stalls and catches up is
/// late for a while and then right again.
const JUMP_AFTER: i64 = ticks(3000);
/// Time constant of the smoothing: long against network jitter, short against quartz drift.
const SMOOTHING: f64 = ticks(4000) as f64;

const fn ticks(ms: i64) -> i64 {
    ms * CLOCK_90K as i64 / 1000
}

/// The map from source time to UTC, both in 90 kHz ticks.
#[derive(Debug, Default)]
pub(crate) struct ClockMap {
    anchor: Option<Anchor>,
}

#[derive(Debug)]
struct Anchor {
    /// UTC less PCR, as it is held.
    offset: i64,
    /// By how much media is presented after its PCR: taken off, so that nothing lies in the future.
    lead: i64,
    /// Smoothed error of `offset`.
    error: f64,
    /// Wall clock of the last observation.
    last: i64,
    /// Since when the error has been beyond a jump.
    off_since: Option<i64>,
}

/// What an observation of the clock meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    /// It is the first one.
    Anchored,
    /// The clock goes on.
    Steady,
    /// The clock jumped; the map has been anchored anew.
    Jumped,
}

impl ClockMap {
    /// Takes in a reading of the source's clock and the wall clock's reading at the same instant.
    ///
    /// `suspect`: the stream or the Feed said that the clock may have jumped.
    pub(crate) fn observe(&mut self, pcr: i64, utc: Utc, suspect: bool) -> Observed {
        let now = utc.ticks(CLOCK_90K);
        let Some(anchor) = &mut self.anchor else {
            self.anchor = Some(Anchor::new(pcr, now));
            return Observed::Anchored;
        };
        let error = now - pcr - anchor.offset;
        let elapsed = (now - anchor.last).max(0) as f64;
        anchor.last = now;
        if error.abs() <= JUMP_ABOVE {
            anchor.off_since = None;
            anchor.error += (error as f64 - anchor.error) * elapsed / (elapsed + SMOOTHING);
            return Observed::Steady;
        }
        let since = *anchor.off_since.get_or_insert(now);
        if !suspect && now - since < JUMP_AFTER {
            return Observed::Steady;
        }
        self.anchor = Some(Anchor::new(pcr, now));
        Observed::Jumped
    }

    /// What to add to a source time to get UTC; none before the first observation.
    pub(crate) fn offset(&self) -> Option<i64> {
        self.anchor.as_ref().map(|anchor| anchor.offset - anchor.lead)
    }

    /// Takes `ticks` off the offset for good: by so much media would lie in the future.
    pub(crate) fn hold_back(&mut self, ticks: i64) {
        if let Some(anchor) = &mut self.anchor {
            anchor.lead += ticks;
        }
    }

    /// A Segment ends: follows the source by a small step if it has drifted.
    pub(crate) fn step(&mut self) {
        if let Some(anchor) = &mut self.anchor
            && anchor.error.abs() > SLEW_ABOVE as f64
        {
            let step = (anchor.error as i64).clamp(-SLEW_STEP, SLEW_STEP);
            anchor.offset += step;
            anchor.error -= step as f64;
        }
    }

    /// The smoothed error, in microseconds.
    pub(crate) fn drift_us(&self) -> i64 {
        let error = self.anchor.as_ref().map_or(0.0, |anchor| anchor.error);
        (error * 1e6 / f64::from(CLOCK_90K)) as i64
    }
}

impl Anchor {
    fn new(pcr: i64, now: i64) -> Self {
        Self { offset: now - pcr, lead: 0, error: 0.0, last: now, off_since: None }
    }
}

/// A length of time in 90 kHz ticks.
pub(crate) fn ticks_of(duration: Duration) -> i64 {
    (duration.as_micros() * u128::from(CLOCK_90K) / 1_000_000) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_351_881_000_000;

    /// Feeds `seconds` of PCR, 25 a second, from a source that runs `ppm` fast; steps at each 2 s.
    fn run(clock: &mut ClockMap, from: i64, seconds: i64, ppm: i64) -> i64 {
        let mut pcr = 0;
        for n in 0..seconds * 25 {
            let micros = n * 40_000;
            pcr = from + micros * 9 / 100 * (1_000_000 + ppm) / 1_000_000;
            assert_ne!(clock.observe(pcr, Utc(START + micros), false), Observed::Jumped);
            if n % 50 == 0 {
                clock.step();
            }
        }
        pcr
    }

    #[test]
    fn a_true_clock_keeps_its_offset() {
        let mut clock = ClockMap::default();
        clock.observe(1000, Utc(START), false);
        let offset = clock.offset();
        run(&mut clock, 1000, 100, 0);
        assert_eq!(clock.offset(), offset);
    }

    #[test]
    fn a_clock_that_runs_fast_is_followed_in_small_steps() {
        let mut clock = ClockMap::default();
        // 100 ppm: 360 ms in an hour.
        let pcr = run(&mut clock, 0, 3600, 100);
        let utc = Utc(START + (3600 * 25 - 1) * 40_000);
        let error = utc.ticks(CLOCK_90K) - pcr - clock.offset().expect("anchored");
        assert!(error.abs() < ticks(30), "{error} ticks off after an hour");
    }

    #[test]
    fn a_step_moves_by_two_milliseconds_at_most() {
        let mut clock = ClockMap::default();
        clock.observe(0, Utc(START), false);
        let mut last = clock.offset().expect("anchored");
        for n in 1..1000 {
            clock.observe(n * 3600, Utc(START + n * 40_000 + 200_000), false);
            clock.step();
            let offset = clock.offset().expect("anchored");
            assert!((offset - last).abs() <= SLEW_STEP);
            last = offset;
        }
        assert!((last - (Utc(START + 200_000).ticks(CLOCK_90K))).abs() <= SLEW_ABOVE);
    }

    #[test]
    fn a_stall_that_is_caught_up_is_no_jump() {
        let mut clock = ClockMap::default();
        clock.observe(0, Utc(START), false);
        let offset = clock.offset();
        for n in 1..50 {
            let late = if n < 25 { 1_500_000 } else { 0 };
            assert_eq!(clock.observe(n * 3600, Utc(START + n * 40_000 + late), false), Observed::Steady);
        }
        assert_eq!(clock.offset(), offset);
    }

    #[test]
    fn a_jump_that_is_told_or_that_lasts_anchors_anew() {
        let mut clock = ClockMap::default();
        clock.observe(0, Utc(START), false);
        assert_eq!(clock.observe(1 << 33, Utc(START + 40_000), true), Observed::Jumped);
        assert_eq!(clock.offset(), Some(Utc(START + 40_000).ticks(CLOCK_90K) - (1 << 33)));
        let mut observed = Vec::new();
        for n in 0..100 {
            observed.push(clock.observe(n * 3600, Utc(START + 80_000 + n * 40_000), false));
        }
        assert_eq!(observed.iter().filter(|&&o| o == Observed::Jumped).count(), 1);
        assert_eq!(observed[75], Observed::Jumped);
    }

    #[test]
    fn a_told_jump_that_is_none_changes_nothing() {
        let mut clock = ClockMap::default();
        clock.observe(0, Utc(START), false);
        assert_eq!(clock.observe(3600, Utc(START + 41_000), true), Observed::Steady);
        assert_eq!(clock.offset(), Some(Utc(START).ticks(CLOCK_90K)));
    }
}
