//! The reader and the schema say the same.

use std::collections::BTreeSet;

use super::*;
use crate::json_schema;
use crate::units::{bytes, duration};

/// One entry in each list, so that each key of theirs is asked for.
const ONE_OF_EACH: &str = "feeds = [{}]\nchannels = [{}]\nbroadcasters = [{}]\nentitlements = [{}]\n";

#[test]
fn the_reader_and_the_schema_know_the_same_keys() {
    let report = Report::new(Path::new(""), ONE_OF_EACH);
    let document = DeValue::Table(DeTable::parse(ONE_OF_EACH).expect("it is TOML").into_inner());
    Draft::read(Section::root(&report, &document));
    let in_schema: BTreeSet<String> = json_schema::paths().into_iter().collect();
    assert_eq!(report.keys_asked(), in_schema);
}

/// A file that sets the key at `path` to `value` and has nothing else wrong with that key.
fn setting(path: &str, value: &str) -> String {
    let (section, key) = path.rsplit_once('.').expect("a key stands in a section");
    match section {
        "feeds" => format!("[[feeds]]\nid = \"a\"\n{key} = {value}\n"),
        "channels" => {
            format!("[[feeds]]\nid = \"a\"\n[[channels]]\nid = \"c\"\nfeed = \"a\"\n{key} = {value}\n")
        }
        _ => format!("[{section}]\n{key} = {value}\n[[feeds]]\nid = \"a\"\n"),
    }
}

/// Whether the reader finds the value out of bounds.
fn out_of_bounds(path: &str, value: &str) -> bool {
    found(&setting(path, value)).iter().any(|problem| problem.contains("is out of bounds"))
}

#[test]
fn the_reader_keeps_the_bounds_that_the_schema_says() {
    let mut bounded = 0;
    for key in json_schema::keys() {
        let (least, most) = (&key.schema["minimum"], &key.schema["maximum"]);
        if let (Some(least), Some(most)) = (least.as_u64(), most.as_u64()) {
            let outside = |value: u64| out_of_bounds(&key.path, &value.to_string());
            assert!(!outside(least) && !outside(most), "{}", key.path);
            assert!(outside(least - 1) && outside(most + 1), "{}", key.path);
            bounded += 1;
        }
        if let [least, most] = key.schema["x-range"].as_array().map_or(&[][..], Vec::as_slice) {
            let quoted = |text: String| format!("{text:?}");
            let outside = |value: String| out_of_bounds(&key.path, &quoted(value));
            let (least, most) = (least.as_str().expect("a quantity"), most.as_str().expect("a quantity"));
            assert!(!outside(least.into()) && !outside(most.into()), "{}", key.path);
            let (below, above) = beyond(&key.schema, least, most);
            assert!(below.is_none_or(outside) && outside(above), "{}", key.path);
            bounded += 1;
        }
    }
    assert!(bounded > 15, "{bounded}");
}

/// The next quantity below `least`, if there is one, and the next above `most`.
fn beyond(schema: &serde_json::Value, least: &str, most: &str) -> (Option<String>, String) {
    let smallest = |unit: &str, least: u64, most: u64| {
        (least.checked_sub(1).map(|below| format!("{below}{unit}")), format!("{}{unit}", most + 1))
    };
    match schema["format"].as_str() {
        Some("duration") => {
            let micros = |text| duration::parse(text).expect("a duration").as_micros() as u64;
            smallest("us", micros(least), micros(most))
        }
        Some("bytes") => {
            let bytes = |text| bytes::parse(text).expect("a size");
            smallest("B", bytes(least), bytes(most))
        }
        Some("bit-rate") => {
            let bits = |text: &str| text.parse::<BitRate>().expect("a rate").0;
            smallest("b/s", bits(least), bits(most))
        }
        other => panic!("{other:?} has no bounds"),
    }
}

#[test]
fn the_defaults_the_schema_says_are_right_and_change_nothing() {
    let sections = Config::default();
    let plain = serde_json::to_value(&sections).expect("it serialises");
    for key in json_schema::keys() {
        let Some(default) = key.schema.get("default") else { continue };
        let listed =
            ["feeds", "channels", "broadcasters", "entitlements"].iter().any(|l| key.path.starts_with(l));
        if listed {
            continue;
        }
        let config = parse(&setting(&key.path, &default.to_string()), Path::new("f.toml"));
        let mut read = serde_json::to_value(config.expect("a default is right")).expect("it serialises");
        read["feeds"] = serde_json::json!([]);
        assert_eq!(read, plain, "{}", key.path);
    }
}
