use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn wanted(sequence: u64, part: Option<u32>) -> Wanted {
    Wanted { sequence, part }
}

fn at(sequence: u64, parts: u32) -> Position {
    Position { sequence, parts }
}

/// Parts of the Segment before.
const TEN: u32 = 10;

#[test]
fn directives_are_read_among_other_parameters() {
    assert_eq!(Wanted::parse(""), Ok(None));
    assert_eq!(Wanted::parse("_HLS_skip=YES&token=a"), Ok(None));
    assert_eq!(Wanted::parse("a=b&_HLS_msn=7"), Ok(Some(wanted(7, None))));
    assert_eq!(Wanted::parse("_HLS_part=0&_HLS_msn=%37"), Ok(Some(wanted(7, Some(0)))));
}

#[test]
fn a_directive_that_is_no_number_is_refused() {
    for garbage in ["", "-1", "+1", "1.5", "abc", "1e3", "0x10", "%20", "1 ", "%ff", "١"] {
        let query = format!("_HLS_msn={garbage}");
        assert_eq!(Wanted::parse(&query), Err(BadDirective::NotANumber("_HLS_msn")), "{garbage}");
        let query = format!("_HLS_msn=1&_HLS_part={garbage}");
        assert_eq!(Wanted::parse(&query), Err(BadDirective::NotANumber("_HLS_part")), "{garbage}");
    }
    assert_eq!(Wanted::parse("_HLS_part=1"), Err(BadDirective::PartWithoutSequence));
    assert_eq!(Wanted::parse("_HLS_msn=1&_HLS_msn=1"), Err(BadDirective::Repeated("_HLS_msn")));
}

#[test]
fn a_delta_is_asked_for_in_the_standard_s_words_alone() {
    for asks in ["_HLS_skip=YES", "_HLS_skip=v2", "_HLS_msn=7&_HLS_skip=YES&_HLS_part=0"] {
        assert!(wants_delta(asks), "{asks}");
    }
    for asks_not in
        ["", "_HLS_skip", "_HLS_skip=", "_HLS_skip=yes", "_HLS_skip=NO", "_HLS_skip=v3", "x_HLS_skip=YES"]
    {
        assert!(!wants_delta(asks_not), "{asks_not}");
    }
}

#[test]
fn a_segment_is_there_once_the_next_has_begun() {
    assert!(!wanted(5, None).is_met(at(4, 9), TEN));
    assert!(!wanted(5, None).is_met(at(5, 10), TEN));
    assert!(wanted(5, None).is_met(at(6, 0), TEN));
    assert!(wanted(5, None).is_met(at(9, 3), TEN));
}

#[test]
fn a_part_is_there_once_it_is_counted() {
    assert!(!wanted(5, Some(3)).is_met(at(5, 3), TEN));
    assert!(wanted(5, Some(3)).is_met(at(5, 4), TEN));
    assert!(wanted(5, Some(3)).is_met(at(6, 0), TEN));
    assert!(!wanted(5, Some(0)).is_met(at(4, 10), TEN));
}

#[test]
fn an_index_past_the_last_part_means_the_first_of_the_next_segment() {
    assert!(!wanted(5, Some(10)).is_met(at(5, 10), TEN));
    assert!(!wanted(5, Some(10)).is_met(at(6, 0), TEN));
    assert!(wanted(5, Some(10)).is_met(at(6, 1), TEN));
    assert!(wanted(5, Some(99)).is_met(at(7, 0), TEN));
}

#[test]
fn the_future_ends_two_segments_and_three_seconds_of_parts_ahead() {
    let body = Bytes::from_static(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.2\n");
    let playlist = Playlist { body: body.into(), ..Playlist::default() };
    let check = |sequence, part| wanted(sequence, part).check(&playlist, at(100, 4));
    for ok in
        [check(0, None), check(102, None), check(100, Some(18)), check(101, Some(14)), check(99, Some(999))]
    {
        assert_eq!(ok, Ok(()));
    }
    let too_far = Err(BadDirective::TooFarAhead(at(100, 4)));
    for far in [check(103, None), check(u64::MAX, Some(0)), check(100, Some(19)), check(101, Some(u32::MAX))]
    {
        assert_eq!(far, too_far);
    }
}

#[test]
fn the_advance_part_limit_is_three_where_parts_are_long_or_unknown() {
    let limit =
        |text: &'static str| advance_parts_max(&Playlist { body: text.into(), ..Playlist::default() });
    assert_eq!(limit("#EXT-X-PART-INF:PART-TARGET=0.33334\n"), 9);
    assert_eq!(limit("#EXT-X-PART-INF:PART-TARGET=1.5\n"), 3);
    for odd in ["", "PART-TARGET=", "PART-TARGET=-1", "PART-TARGET=0", "PART-TARGET=x", "PART-TARGET=NaN"] {
        assert_eq!(limit(odd), 3, "{odd}");
    }
}

proptest! {
    #[test]
    fn no_query_panics(query in "((_HLS_msn|_HLS_part|_HLS_skip|x)(=[-+%0-9a-f]{0,24})?&?){0,4}") {
        if let Ok(Some(wanted)) = Wanted::parse(&query) {
            let playlist = Playlist::default();
            let _ = wanted.check(&playlist, at(u64::MAX, u32::MAX));
            let _ = wanted.check(&playlist, at(0, 0));
            let _ = wanted.is_met(at(0, 0), TEN);
        }
    }

    #[test]
    fn what_is_met_stays_met(sequence in 0_u64..20, part in prop::option::of(0_u32..15), from in 0_u64..20, parts in 0_u32..=10) {
        let wanted = wanted(sequence, part);
        if wanted.is_met(at(from, parts), TEN) {
            prop_assert!(wanted.is_met(at(from, parts + 1), TEN));
            prop_assert!(wanted.is_met(at(from + 1, 1), TEN));
        }
    }
}
