use super::*;

/// 2 s.
const SEGMENT: i64 = 180_000;
/// 897,675,940.5 Segments after 1970.
const START: i64 = 897_675_940 * SEGMENT + SEGMENT / 2;

/// A leader that starts Segments.
struct Leader {
    stretches: Stretches,
    number: u64,
    period: u64,
}

impl Leader {
    fn new() -> Self {
        Self { stretches: Stretches::new(SEGMENT, true), number: START.div_euclid(SEGMENT) as u64, period: 1 }
    }

    fn start(&self, at: i64) -> Start {
        let place =
            Place { number: self.number, sequence: self.number, period: self.period, discontinuities: 0 };
        Start { place, at, source: at - START, due: (at / SEGMENT + 1) * SEGMENT - 9000 }
    }

    fn begin(&mut self, at: i64, interval: Option<i64>, end: i64) {
        self.period += 1;
        self.stretches.begin(self.start(at), interval, end);
        self.number += 1;
    }

    /// Segments that start at these times.
    fn cut(&mut self, starts: impl IntoIterator<Item = i64>) {
        for at in starts {
            self.stretches.cut(self.start(at));
            self.number += 1;
        }
    }

    fn all(&self) -> Vec<Stretch> {
        self.stretches.iter().copied().collect()
    }

    /// When a client that goes by the numbers takes the newest Segment to start.
    fn expected(&self) -> i64 {
        let newest = self.all().pop().expect("a stretch");
        let Rule::Numbers { first, start, segment } = newest.rule else { panic!("{newest:?}") };
        start + (self.number - 1 - first) as i64 * segment
    }
}

#[test]
fn a_short_first_segment_stays_out_and_the_phase_is_that_of_the_next() {
    let mut leader = Leader::new();
    leader.begin(START, None, 0);
    leader.cut([START + 60_000]);
    assert_eq!(leader.all()[0].rule, Rule::Undecided);
    leader.cut((1..100).map(|n| START + 60_000 + n * SEGMENT));
    assert_eq!(leader.expected(), START + 60_000 + 99 * SEGMENT);
    let all = leader.all();
    assert_eq!((all.len(), all[0].number), (1, START.div_euclid(SEGMENT) as u64 + 1));
    // Counted from 1970: the first number starts within the first Segment's length.
    assert!((SEGMENT..2 * SEGMENT).contains(&all[0].starts()), "{all:?}");
}

#[test]
fn segments_of_another_length_than_asked_for_are_counted_by_their_own() {
    let mut leader = Leader::new();
    leader.begin(START, None, 0);
    // 60 frames of 29.97 a second.
    leader.cut((1..500).map(|n| START + n * 180_180));
    assert_eq!((leader.expected(), leader.all().len()), (START + 499 * 180_180, 1));
}

#[test]
fn a_clock_that_drifts_starts_a_new_stretch_before_a_client_comes_too_early() {
    let mut leader = Leader::new();
    leader.begin(START, None, 0);
    // Late by 100 ppm.
    let times: Vec<i64> = (1..=2000).map(|n| START + n * (SEGMENT + 18)).collect();
    for at in times {
        // The first two tell the pace.
        leader.cut([at]);
        assert!((leader.expected() - at).abs() <= SEGMENT / 20);
    }
    leader.stretches.pace = Some(SEGMENT);
    let mut leader = Leader::new();
    leader.begin(START, None, 0);
    leader.cut([START + SEGMENT]);
    leader.cut((2..=2000).map(|n| START + n * SEGMENT + n * 18));
    let all = leader.all();
    assert!(
        all.len() > 1 && all.iter().all(|stretch| matches!(stretch.rule, Rule::Numbers { .. })),
        "{all:?}"
    );
    assert!(all[1..].iter().all(|stretch| stretch.goes_on));
}

#[test]
fn an_encoder_of_no_pace_has_its_segments_listed() {
    let listed = |starts: &[i64]| {
        let mut leader = Leader::new();
        leader.begin(START, None, 0);
        leader.cut(starts.iter().map(|at| START + at));
        let newest = leader.all().pop().expect("a stretch");
        assert_eq!(newest.rule, Rule::Listed, "{starts:?}");
        leader
    };
    // Key frames every 5 s; every 0.834 s; even at first.
    listed(&[450_000, 900_000]);
    listed(&[150_120, 375_300, 525_420]);
    let mut leader = listed(&[180_000, 360_000, 540_000, 800_000]);
    assert_eq!(leader.all().len(), 2);
    // It is not asked again once it comes back.
    leader.begin(START + 5_000_000, None, START + 1_000_000);
    assert_eq!(leader.all().len(), 3);
    assert_eq!(leader.all()[2].rule, Rule::Listed);
}

#[test]
fn after_a_break_a_client_can_go_by_number_from_the_first_part_on() {
    let mut leader = Leader::new();
    leader.begin(START, None, 0);
    leader.cut((1..50).map(|n| START + n * SEGMENT));
    // Back at another phase, with key frames every second.
    let back = (START + 60 * SEGMENT) / SEGMENT * SEGMENT + 27_000;
    leader.begin(back, Some(90_000), START + 51 * SEGMENT);
    assert!(matches!(leader.all()[1].rule, Rule::Numbers { .. }), "{:?}", leader.all());
    // The first cut is at the key frame after it is due.
    let first = back + 2 * 90_000;
    leader.cut([first, first + SEGMENT]);
    assert_eq!((leader.expected(), leader.all().len()), (first + SEGMENT, 2));
    assert!(!leader.all()[1].goes_on);
    // A guess that was wrong: the next stretch is right, and the encoder is not taken for irregular.
    let back = first + 20 * SEGMENT;
    leader.begin(back, Some(90_000), first + 5 * SEGMENT);
    leader.cut([back + 120_000, back + 120_000 + SEGMENT]);
    assert_eq!(leader.expected(), back + 120_000 + SEGMENT);
}

#[test]
fn another_set_of_tracks_is_another_stretch_of_the_same_rule() {
    let mut leader = Leader::new();
    leader.begin(START, None, 0);
    leader.cut((1..5).map(|n| START + n * SEGMENT));
    leader.period += 1;
    leader.cut([START + 5 * SEGMENT]);
    assert_eq!((leader.all().len(), leader.expected()), (2, START + 5 * SEGMENT));
    leader.stretches.forget_before(leader.number - 1);
    assert_eq!(leader.all().len(), 1);
}

proptest::proptest! {
    #[test]
    fn whatever_the_encoder_does_a_number_tells_its_time(
        frames in proptest::collection::vec(1i64..12, 1..200),
        interval in 3600i64..400_000,
        breaks in 0usize..50,
    ) {
        let mut leader = Leader::new();
        let mut at = START;
        leader.begin(at, None, 0);
        for (n, frames) in frames.iter().enumerate() {
            if breaks > 0 && n % (breaks + 1) == breaks {
                let end = at;
                at += frames * interval * 10;
                leader.begin(at, Some(interval), end);
            }
            at += frames * interval;
            leader.cut([at]);
            let newest = leader.all().pop().expect("a stretch");
            if let Rule::Numbers { first, start, segment } = newest.rule {
                let off = at - start - (leader.number - 1 - first) as i64 * segment;
                proptest::prop_assert!((-SEGMENT / 4..=SEGMENT / 20).contains(&off), "{} off", off);
            }
            let numbers: Vec<u64> = leader.all().iter().map(|stretch| stretch.number).collect();
            proptest::prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", numbers);
        }
    }
}
