//! The programme's clock: 33-bit wraps undone, jumps found (ISO/IEC 13818-1, 2.4.2.1 and 2.4.3.5).

use flambeau_media::time::CLOCK_90K;

/// The period of PTS, DTS and the PCR base.
const PERIOD: i64 = 1 << 33;

const SECOND: i64 = CLOCK_90K as i64;

/// A PCR further on than this from the last one is a jump; the standard allows 100 ms, multiplexers take up to 1 s.
const STEP_MAX: i64 = 2 * SECOND;

/// The same where bytes are known to be missing between the two.
const STEP_OVER_LOSS_MAX: i64 = 10 * SECOND;

/// A time stamp is at most this far from the clock: decoders hold no more (2.4.2.6 allows 10 s for stills).
pub const STAMP_DISTANCE_MAX: i64 = 10 * SECOND;

/// One reference for every clock value of a programme, so that its tracks stay aligned over a wrap.
#[derive(Debug, Default)]
pub struct Timeline {
    /// The last value that was believed.
    anchor: Option<i64>,
    anchored: Anchor,
    lost: bool,
}

/// What the reference is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Anchor {
    Pcr,
    /// No PCR came yet, or a stamp jumped before its PCR did.
    #[default]
    Stamp,
}

impl Timeline {
    /// A PCR base with wraps undone, and whether the clock jumped. `flagged`: the stream says so.
    pub fn read(&self, base: u64, flagged: bool) -> (i64, bool) {
        let pcr = self.unwrap(base);
        let jumped = match (self.anchor, self.anchored) {
            (Some(last), Anchor::Pcr) => {
                let max = if self.lost { STEP_OVER_LOSS_MAX } else { STEP_MAX };
                flagged || !(0..=max).contains(&(pcr - last))
            }
            // A jump was declared by the stamp that came first.
            (Some(last), Anchor::Stamp) => (pcr - last).abs() > STAMP_DISTANCE_MAX,
            (None, _) => false,
        };
        (pcr, jumped)
    }

    /// Believes a PCR that was [read](Timeline::read): it is the reference now.
    pub fn follow(&mut self, pcr: i64) {
        self.anchor = Some(pcr);
        self.anchored = Anchor::Pcr;
        self.lost = false;
    }

    /// A time stamp with wraps undone. Without a PCR the stamps themselves are the reference.
    pub fn stamp(&mut self, value: u64) -> i64 {
        let stamp = self.unwrap(value);
        if self.anchored == Anchor::Stamp && self.is_near(stamp) {
            self.anchor = Some(stamp);
        }
        stamp
    }

    /// Whether a stamp is plausible beside the clock.
    pub fn is_near(&self, stamp: i64) -> bool {
        self.anchor.is_none_or(|anchor| (stamp - anchor).abs() <= STAMP_DISTANCE_MAX)
    }

    /// Believes a stamp that is far from the clock: the clock jumped, though no PCR has told yet.
    pub fn jump(&mut self, stamp: i64) {
        self.anchor = Some(stamp);
        self.anchored = Anchor::Stamp;
    }

    /// Bytes are missing: the clock may step further than usual.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// The value congruent to `value` that is nearest to the reference.
    fn unwrap(&self, value: u64) -> i64 {
        let value = (value % PERIOD as u64) as i64;
        let Some(anchor) = self.anchor else { return value };
        let ahead = (value - anchor).rem_euclid(PERIOD);
        anchor + if ahead >= PERIOD / 2 { ahead - PERIOD } else { ahead }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pcr(timeline: &mut Timeline, base: u64, flagged: bool) -> (i64, bool) {
        let (pcr, jumped) = timeline.read(base, flagged);
        timeline.follow(pcr);
        (pcr, jumped)
    }

    #[test]
    fn clock_and_stamps_stay_together_over_the_wrap() {
        let mut timeline = Timeline::default();
        let end = PERIOD as u64;
        assert_eq!(pcr(&mut timeline, end - 900, false), (PERIOD - 900, false));
        assert_eq!(timeline.stamp(100), PERIOD + 100);
        assert_eq!(timeline.stamp(end - 200), PERIOD - 200);
        assert_eq!(pcr(&mut timeline, 900, false), (PERIOD + 900, false));
        assert_eq!(timeline.stamp(end - 100), PERIOD - 100);
    }

    #[test]
    fn a_clock_that_jumps_says_so_once() {
        let mut timeline = Timeline::default();
        let mut pcr = |base, flagged| pcr(&mut timeline, base, flagged);
        assert_eq!(pcr(900_000, false), (900_000, false));
        assert_eq!(pcr(903_000, false), (903_000, false));
        assert_eq!(pcr(90_000, false), (90_000, true));
        assert_eq!(pcr(93_000, false), (93_000, false));
        assert_eq!(pcr(96_000, true), (96_000, true));
        assert_eq!(pcr(96_000 + 450_000, false), (546_000, true));
    }

    #[test]
    fn a_step_over_a_known_loss_and_a_pcr_behind_its_stamp_s_jump_are_no_jumps() {
        let mut timeline = Timeline::default();
        pcr(&mut timeline, 546_000, false);
        timeline.lose();
        assert_eq!(pcr(&mut timeline, 546_000 + 450_000, false), (996_000, false));
        assert!(!timeline.is_near(50_000_000));
        timeline.jump(50_000_000);
        assert_eq!(pcr(&mut timeline, 49_990_000, false), (49_990_000, false));
    }

    proptest! {
        #[test]
        fn any_values_are_congruent_to_what_was_sent(
            values in prop::collection::vec((any::<u64>(), any::<bool>(), any::<bool>()), 0..50),
        ) {
            let mut timeline = Timeline::default();
            for (value, clock, flagged) in values {
                let undone = if clock { pcr(&mut timeline, value, flagged).0 } else { timeline.stamp(value) };
                prop_assert_eq!(undone.rem_euclid(PERIOD), (value % PERIOD as u64) as i64);
            }
        }
    }
}
