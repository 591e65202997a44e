//! Conditional and partial requests (RFC 9110, 13 and 14).

use std::ops::Range;

use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderName, Method};

/// What of a representation a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    /// All of it: 200.
    Whole,
    /// A stretch of it: 206.
    Stretch(Range<usize>),
    /// The client has it already: 304.
    NotModified,
    /// It is not the one the client means: 412.
    PreconditionFailed,
    /// It has no byte of the stretch asked for: 416.
    Unsatisfiable,
}

/// Selects from a representation of `len` bytes with the strong entity tag `etag`, quotes included.
// The order is that of RFC 9110 13.2.2. There is no Last-Modified, so conditions on dates do not apply.
pub(super) fn select(method: &Method, fields: &HeaderMap, etag: &str, len: usize) -> Selection {
    if fields.contains_key(IF_MATCH) && !lists(fields, IF_MATCH, etag, false) {
        return Selection::PreconditionFailed;
    }
    if lists(fields, IF_NONE_MATCH, etag, true) {
        return Selection::NotModified;
    }
    // RFC 9110 14.2: Range is defined for GET alone.
    if method != Method::GET {
        return Selection::Whole;
    }
    // RFC 9110 13.1.5: a strong comparison; a date never matches.
    if fields.get(IF_RANGE).is_some_and(|condition| condition.as_bytes() != etag.as_bytes()) {
        return Selection::Whole;
    }
    let mut ranges = fields.get_all(RANGE).iter();
    match (ranges.next(), ranges.next()) {
        (Some(range), None) => range.to_str().map_or(Selection::Whole, |range| stretch(range, len)),
        _ => Selection::Whole,
    }
}

/// Whether a field lists the entity tag, or `*`. `weakly` is the weak comparison of RFC 9110 8.8.3.2.
fn lists(fields: &HeaderMap, name: HeaderName, etag: &str, weakly: bool) -> bool {
    let values = fields.get_all(name);
    // A tag of ours has no comma, so a comma within a tag of another's can only keep that one from matching.
    let tags = values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    tags.map(str::trim).any(|tag| {
        let opaque = if weakly { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
        opaque == etag || tag == "*"
    })
}

/// A single range (RFC 9110 14.1.2). What is malformed, of another unit or of several ranges is ignored, as 14.2 allows.
fn stretch(field: &str, len: usize) -> Selection {
    let Some((unit, set)) = field.split_once('=') else { return Selection::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Selection::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Selection::Whole;
    }
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(len),
        (Some(first), None) if last.is_empty() => first..len,
        (None, Some(suffix)) if first.is_empty() => len.saturating_sub(suffix)..len,
        _ => return Selection::Whole,
    };
    if range.is_empty() { Selection::Unsatisfiable } else { Selection::Stretch(range) }
}

/// A decimal number; one too large for us is as good as the largest.
fn number(text: &str) -> Option<usize> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(fields: &[(HeaderName, &str)]) -> Selection {
        let fields =
            fields.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        select(&Method::GET, &fields, "\"tag\"", 100)
    }

    #[test]
    fn a_single_range_selects_its_stretch() {
        for (range, selection) in [
            ("bytes=0-0", Selection::Stretch(0..1)),
            ("bytes=10-19", Selection::Stretch(10..20)),
            ("BYTES=90-", Selection::Stretch(90..100)),
            ("bytes=90-1000", Selection::Stretch(90..100)),
            ("bytes=-1", Selection::Stretch(99..100)),
            ("bytes=-1000", Selection::Stretch(0..100)),
            ("bytes=99-99999999999999999999999", Selection::Stretch(99..100)),
            ("bytes=100-", Selection::Unsatisfiable),
            ("bytes=99999999999999999999999-", Selection::Unsatisfiable),
            ("bytes=-0", Selection::Unsatisfiable),
        ] {
            assert_eq!(get(&[(RANGE, range)]), selection, "{range}");
        }
    }

    #[test]
    fn what_is_no_single_byte_range_gets_all() {
        for range in [
            "bytes=5-3",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=0-1,5-6",
            "items=0-1",
            "bytes",
            "",
            "bytes=0x1-2",
        ] {
            assert_eq!(get(&[(RANGE, range)]), Selection::Whole, "{range}");
        }
        assert_eq!(get(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=2-3")]), Selection::Whole);
    }

    #[test]
    fn a_range_of_another_version_gets_all() {
        assert_eq!(get(&[(RANGE, "bytes=0-9"), (IF_RANGE, "\"tag\"")]), Selection::Stretch(0..10));
        for condition in ["\"old\"", "W/\"tag\"", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(get(&[(RANGE, "bytes=0-9"), (IF_RANGE, condition)]), Selection::Whole, "{condition}");
        }
    }

    #[test]
    fn a_version_the_client_has_is_not_sent_again() {
        for condition in ["\"tag\"", "W/\"tag\"", "*", "\"a\", W/\"b\" ,\"tag\""] {
            assert_eq!(get(&[(IF_NONE_MATCH, condition), (RANGE, "bytes=0-9")]), Selection::NotModified);
        }
        for condition in ["\"other\"", "tag", "", ","] {
            assert_eq!(get(&[(IF_NONE_MATCH, condition)]), Selection::Whole, "{condition}");
        }
    }

    #[test]
    fn if_match_compares_strongly() {
        assert_eq!(get(&[(IF_MATCH, "\"tag\"")]), Selection::Whole);
        assert_eq!(get(&[(IF_MATCH, "*")]), Selection::Whole);
        assert_eq!(get(&[(IF_MATCH, "W/\"tag\"")]), Selection::PreconditionFailed);
        assert_eq!(get(&[(IF_MATCH, "\"other\"")]), Selection::PreconditionFailed);
    }

    #[test]
    fn head_has_no_ranges() {
        let fields = [(RANGE, "bytes=0-9".parse().expect("a value"))].into_iter().collect();
        assert_eq!(select(&Method::HEAD, &fields, "\"tag\"", 100), Selection::Whole);
    }

    proptest! {
        #[test]
        fn no_range_reaches_past_the_end(field in "(bytes=)?[-0-9,a-z ]{0,24}", len in 0_usize..1000) {
            if let Selection::Stretch(range) = stretch(&field, len) {
                prop_assert!(range.start < range.end && range.end <= len);
            }
        }
    }
}
