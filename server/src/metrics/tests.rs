use std::time::Instant;

use bytes::Bytes;
use flambeau_media::channel::{Change, Channel, Kind, Object};
use flambeau_media::directory::Directory;
use flambeau_media::feed::{History, Incoming};
use flambeau_media::{FeedId, Utc};
use std::sync::Arc;
use std::time::Duration;

use super::*;

fn directory() -> (Arc<Directory>, flambeau_media::feed::Publisher) {
    let directory = Arc::new(Directory::default());
    let id: FeedId = "venue-1".parse().expect("an id");
    let publisher = directory.publish(&id, History::default());
    let began = Instant::now();
    let incoming = |ms| Incoming {
        data: Bytes::from(vec![0x47; 1880]),
        time: began + Duration::from_millis(ms),
        utc: Utc::now(),
        random_access: None,
        discontinuity: false,
    };
    let mut batch = (0..=100).map(|n| incoming(n * 10)).collect();
    publisher.write(&mut batch).expect("the only publisher");
    let channel = Channel::new("athletics".parse().expect("an id"), id);
    channel.commit(Change {
        objects: vec![("v/1.0.m4s".into(), Object::new(Kind::Part, "video/mp4", vec!["abc".into()]))],
        ..Change::default()
    });
    directory.open_channel(channel);
    (directory, publisher)
}

fn rendered() -> String {
    let (directory, _publisher) = directory();
    let mut registry = Registry::new();
    registry.add(Box::new(Feeds(directory.clone())));
    let packager: channels::PackagerStats = Arc::new(|| {
        let stats = flambeau_packager::Stats { parts: 7, drift_us: -1500, ..Default::default() };
        vec![("athletics".parse().expect("an id"), stats)]
    });
    registry.add(Box::new(Channels { directory, packager }));
    let past: ArchiveStats = Arc::new(|| {
        let oldest = Some(Utc(1_795_363_200_500_000));
        let stats = flambeau_packager::archive::Stats { bytes: 5, too_slow: 3, oldest, ..Default::default() };
        Some(vec![("athletics".parse().expect("an id"), stats)])
    });
    registry.add(Box::new(Archive(past)));
    registry.add(Box::new(Http(vec![("edge", Arc::default()), ("admin", Arc::default())])));
    registry.render().expect("text")
}

#[test]
fn each_room_shows_its_counts() {
    let text = rendered();
    for line in [
        "flambeau_feed_received_bytes_total{feed=\"venue-1\"} 189880",
        "flambeau_feed_history_bytes{feed=\"venue-1\"} 189880",
        "flambeau_feed_bits_per_second{feed=\"venue-1\"} 1504000",
        "flambeau_feed_state{feed=\"venue-1\",state=\"live\"} 1",
        "flambeau_feed_state{feed=\"venue-1\",state=\"waiting\"} 0",
        "flambeau_channel_parts_total{channel=\"athletics\"} 7",
        "flambeau_channel_clock_drift_seconds{channel=\"athletics\"} -0.0015",
        "flambeau_channel_objects{channel=\"athletics\"} 1",
        "flambeau_channel_bytes{channel=\"athletics\"} 3",
        "flambeau_archive_open 1",
        "flambeau_archive_bytes{channel=\"athletics\"} 5",
        "flambeau_archive_lost_segments_total{channel=\"athletics\",reason=\"slow\"} 3",
        "flambeau_archive_oldest_timestamp_seconds{channel=\"athletics\"} 1795363200.5",
        "flambeau_http_responses_total{listener=\"admin\",class=\"5xx\"} 0",
        "flambeau_http_connections{listener=\"edge\"} 0",
    ] {
        assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("flambeau_build_info{version=\""));
    assert!(text.contains("process_cpu_seconds_total "));
}

/// What a Prometheus server asks of a page: each family declared once and before its samples, no sample twice, and
/// an end.
#[test]
fn the_page_keeps_the_text_format() {
    let text = rendered();
    assert!(text.ends_with("# EOF\n"));
    let (mut families, mut samples, mut family) = (Vec::new(), Vec::new(), ("", ""));
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            family = declared.split_once(' ').expect("a name and a type");
            assert!(!families.contains(&family.0), "{} is declared twice", family.0);
            families.push(family.0);
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').expect("a sample and its value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(!samples.contains(&sample), "{sample} is there twice");
        samples.push(sample);
        let name = sample.split('{').next().expect("a name");
        let expected =
            if family.1 == "counter" { format!("{}_total", family.0) } else { family.0.to_owned() };
        assert_eq!(name, expected, "a sample of another family");
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(legal), "{name}");
        assert!(name.starts_with("flambeau_") || name.starts_with("process_"), "{name}");
    }
    assert!(families.len() > 25, "{} families", families.len());
}
