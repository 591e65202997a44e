use proptest::prelude::*;

use super::*;

const NOW: Utc = Utc(1_795_363_200_000_000);

fn at(seconds: i64) -> Utc {
    Utc(seconds * 1_000_000)
}

#[test]
fn a_time_is_said_in_three_ways() {
    let start = |query| span(query, NOW).map(|span| span.map(|span| span.start));
    assert_eq!(NOW.to_string(), "2026-11-22T16:00:00.000Z");
    for query in [
        "start=2026-11-22T15:50:00Z",
        "start=2026-11-22T15%3A50%3A00.000z",
        "start=1795362600",
        "start=1795362600.0",
        "start=-600",
        "_HLS_msn=7&start=-600&x",
    ] {
        assert_eq!(start(query), Ok(Some(at(1_795_362_600))), "{query}");
    }
    assert_eq!(start("start=-0.25"), Ok(Some(Utc(NOW.0 - 250_000))));
    assert_eq!(start("start=-99999999999"), Ok(Some(Utc(NOW.0 - 99_999_999_999_000_000))));
    for query in ["", "x", "starts=5", "&&=&"] {
        assert_eq!(start(query), Ok(None), "{query}");
    }
}

#[test]
fn an_end_comes_after_a_start() {
    let clip = span("end=-300&start=-600", NOW);
    assert_eq!(clip, Ok(Some(Span { start: at(1_795_362_600), end: Some(at(1_795_362_900)) })));
    assert_eq!(span("end=-300", NOW), Err(BadSpan::EndWithoutStart));
    assert_eq!(span("start=-300&end=-600", NOW), Err(BadSpan::EndNotAfterStart));
    assert_eq!(span("start=-300&end=-300", NOW), Err(BadSpan::EndNotAfterStart));
    assert_eq!(span("start=-300&start=-600", NOW), Err(BadSpan::Repeated("start")));
    assert_eq!(span("start=2026-11-22T16:00:01Z", NOW), Err(BadSpan::Future));
    assert_eq!(span("start=99999999999", NOW), Err(BadSpan::Future));
}

#[test]
fn what_is_no_time_is_refused() {
    for text in ["", "-", "--5", "now", "1e9", "+5", "5.", ".5", "999999999999", "%ff", "2026-11-22", "٣"] {
        assert_eq!(span(&format!("start={text}"), NOW), Err(BadSpan::NotATime("start")), "{text}");
    }
    assert_eq!(span("start=-5&end=", NOW), Err(BadSpan::NotATime("end")));
}

proptest! {
    #[test]
    fn no_query_panics(query in "((start|end)?=?[-0-9TZ:.&%]{0,30}|\\PC{0,20}){0,4}") {
        if let Ok(Some(span)) = span(&query, NOW) {
            prop_assert!(span.start <= NOW);
            prop_assert!(span.end.is_none_or(|end| end > span.start));
        }
    }

    #[test]
    fn a_time_that_was_printed_is_understood(back in 0_i64..5_000_000_000) {
        let start = Utc((NOW.0 - back) / 1000 * 1000);
        prop_assert_eq!(span(&format!("start={start}"), NOW), Ok(Some(Span { start, end: None })));
    }
}
