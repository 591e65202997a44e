use std::process::Command;
use std::sync::OnceLock;

use flambeau_media::FeedId;
use flambeau_media::Utc;
use flambeau_media::feed::{History, Incoming, Publisher};

use super::*;
use crate::Packager;
use crate::channel::PANIC;

const PACKET_BYTES: usize = 188;

/// Eight seconds of pictures and sound, a packet of PCR at least each 20 ms.
fn stream() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| {
        let arguments = "-v error -nostdin -f lavfi -i testsrc2=size=160x90:rate=25 -f lavfi -i sine=440 -t 8 \
                         -c:v libx264 -preset ultrafast -g 25 -sc_threshold 0 -c:a aac -f mpegts -";
        let output = Command::new("ffmpeg").args(arguments.split_whitespace()).output();
        output.expect("ffmpeg is needed").stdout
    })
}

struct House {
    live: Live,
    directory: Arc<Directory>,
    packager: Packager,
    shutdown: CancellationToken,
}

impl House {
    fn new(config: &Config) -> Self {
        let directory = Arc::new(Directory::default());
        let shutdown = CancellationToken::new();
        let live = Live::new(config.clone());
        let packager = crate::start(&live, directory.clone(), shutdown.clone());
        Self { live, directory, packager, shutdown }
    }

    fn stats(&self, name: &str) -> Option<Stats> {
        self.packager.stats().into_iter().find(|(id, _)| id.as_str() == name).map(|(_, stats)| stats)
    }

    async fn until(&self, name: &str, reached: impl Fn(Option<&Stats>) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !reached(self.stats(name).as_ref()) {
            assert!(Instant::now() < deadline, "{:?}", self.packager.stats());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn publish(&self, name: &str) -> Publisher {
        let publisher = self.directory.publish(&name.parse().expect("an id"), History::default());
        self.until(name, |stats| stats.is_some_and(|stats| stats.running)).await;
        publisher
    }
}

/// Writes `data` as if it came over eight seconds, from `from` seconds on.
fn write(publisher: &Publisher, data: &[u8], from: i64) {
    write_within(publisher, data, from * 1_000_000, 8_000_000);
}

/// Writes `data` as if it came from `from` microseconds on over `length` of them.
fn write_within(publisher: &Publisher, data: &[u8], from: i64, length: i64) {
    let pieces = data.chunks(7 * PACKET_BYTES);
    let count = pieces.len() as i64;
    let now = std::time::Instant::now();
    let incoming = |(n, piece): (usize, &[u8])| Incoming {
        data: piece.to_vec().into(),
        time: now,
        utc: Utc(1_795_351_881_000_000 + from + n as i64 * length / count),
        random_access: None,
        discontinuity: false,
    };
    let mut batch = pieces.enumerate().map(incoming).collect();
    publisher.write(&mut batch).expect("the only publisher");
}

fn packets(count: usize) -> impl Fn(Option<&Stats>) -> bool {
    let count = count as u64;
    move |stats| stats.is_some_and(|stats| stats.demux.packets >= count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_restarts_that_channel_alone_and_its_numbers_go_on() {
    let house = House::new(&Config::lab());
    let (broken, sound) = (house.publish("broken").await, house.publish("sound").await);
    let total = stream().len() / PACKET_BYTES;
    write(&broken, stream(), 0);
    write(&sound, stream(), 0);
    house.until("broken", packets(total)).await;
    house.until("sound", packets(total)).await;
    let channel = house.directory.channel("broken").expect("open");
    let playlist =
        |channel: &Channel| channel.playlist("v256/index.m3u8").expect("a Playlist").borrow().clone();
    let before = playlist(&channel).newest.expect("a position");

    write(&broken, &[PANIC, &[0; PACKET_BYTES - PANIC.len()]].concat(), 8);
    house.until("broken", |stats| stats.is_some_and(|stats| stats.restarts == 1 && stats.running)).await;
    let stats = house.stats("broken").expect("open");
    assert!(stats.last_error.is_some_and(|error| error.contains("a packet that must not be")));
    // What was there stays until there is something new.
    assert_eq!(playlist(&channel).newest, Some(before));
    write(&broken, stream(), 9);
    house.until("broken", packets(total)).await;
    let after = playlist(&channel).newest.expect("a position");
    assert!(after.sequence > before.sequence, "{before:?}, then {after:?}");
    assert!(String::from_utf8_lossy(playlist(&channel).body.plain()).contains("DISCONTINUITY-SEQUENCE"));

    let other = house.stats("sound").expect("open");
    assert_eq!((other.restarts, other.running, other.last_error), (0, true, None));
    house.shutdown.cancel();
    house.packager.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_channel_closes_a_window_after_its_feed() {
    let mut config = Config::lab();
    config.packager.window = Duration::from_millis(500);
    let house = House::new(&config);
    let publisher = house.publish("venue").await;
    write(&publisher, stream(), 0);
    drop(publisher);
    house.directory.reap(|_| Duration::ZERO);
    house.until("venue", |stats| stats.is_some_and(|stats| !stats.running)).await;
    let channel = house.directory.channel("venue").expect("still open");
    let playlist = channel.playlist("v256/index.m3u8").expect("a Playlist").borrow().clone();
    assert!(playlist.body.plain().ends_with(b"#EXT-X-ENDLIST\n"));
    house.until("venue", |stats| stats.is_none()).await;
    assert!(house.directory.channel("venue").is_none());
    assert_eq!(channel.held(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_channel_goes_on_after_its_feed_was_closed() {
    let feed: FeedId = "venue".parse().expect("an id");
    let channel = ChannelConfig::new("athletics".parse().expect("an id"), feed.clone());
    let config = Config { channels: vec![channel], ..Config::default() };
    let house = House::new(&config);
    let publish = || house.directory.publish(&feed, History::default());
    let running = |stats: Option<&Stats>| stats.is_some_and(|stats| stats.running);
    let publisher = publish();
    house.until("athletics", running).await;
    write(&publisher, stream(), 0);
    drop(publisher);
    house.directory.reap(|_| Duration::ZERO);
    house.until("athletics", |stats| !running(stats)).await;
    let channel = house.directory.channel("athletics").expect("open");
    let text = || {
        let playlist = channel.playlist("v256/index.m3u8").expect("a Playlist").borrow().clone();
        String::from_utf8_lossy(playlist.body.plain()).into_owned()
    };
    // A player waits for it to come back.
    assert!(!text().contains("ENDLIST"));
    let listed = text().matches("#EXTINF").count();

    let publisher = publish();
    house.until("athletics", running).await;
    write(&publisher, stream(), 20);
    house.until("athletics", packets(stream().len() / PACKET_BYTES)).await;
    drop(publisher);
    house.directory.reap(|_| Duration::ZERO);
    house.until("athletics", |stats| !running(stats)).await;
    assert!(text().matches("#EXTINF").count() > listed);
    // One where it came back, and what follows the end does not go on from it either.
    assert_eq!(text().matches("#EXT-X-DISCONTINUITY\n").count(), 2);
    assert!(text().ends_with("#EXT-X-DISCONTINUITY\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packager_that_falls_behind_is_counted_and_goes_on() {
    let house = House::new(&Config::lab());
    let history = History { bytes_max: stream().len() / 2, ..History::default() };
    let publisher = house.directory.publish(&"venue".parse().expect("an id"), history);
    house.until("venue", |stats| stats.is_some_and(|stats| stats.running)).await;
    write(&publisher, stream(), 0);
    house.until("venue", |stats| stats.is_some_and(|stats| stats.lagged == 1)).await;
    let mut sent = 0;
    for (n, piece) in stream().chunks(stream().len() / 8 / PACKET_BYTES * PACKET_BYTES).enumerate() {
        write_within(&publisher, piece, 9_000_000 + n as i64 * 1_000_000, 1_000_000);
        sent += piece.len() / PACKET_BYTES;
        house.until("venue", packets(sent)).await;
    }
    let stats = house.stats("venue").expect("open");
    assert!(stats.segments >= 4 && stats.last_error.is_some_and(|error| error.contains("fell behind")));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_what_is_in_hand_and_leaves_no_end() {
    let house = House::new(&Config::lab());
    let publisher = house.publish("venue").await;
    write(&publisher, stream(), 0);
    house.until("venue", packets(stream().len() / PACKET_BYTES)).await;
    house.shutdown.cancel();
    house.packager.stopped().await;
    let channel = house.directory.channel("venue").expect("open");
    let playlist = channel.playlist("v256/index.m3u8").expect("a Playlist").borrow().clone();
    assert!(!playlist.body.plain().ends_with(b"#EXT-X-ENDLIST\n"));
    let seconds: f64 = String::from_utf8_lossy(playlist.body.plain())
        .lines()
        .filter_map(|line| line.strip_prefix("#EXTINF:")?.trim_end_matches(',').parse::<f64>().ok())
        .sum();
    assert!((seconds - 8.0).abs() < 0.1, "{seconds} s of 8");
}

/// One Feed and these Channels of it, their Segments of so many seconds.
fn with_channels(channels: &[(&str, u64)]) -> Config {
    let plan = |(name, segment): &(&str, u64)| {
        let mut plan = ChannelConfig::new(name.parse().expect("an id"), "venue".parse().expect("an id"));
        plan.segment = Some(Duration::from_secs(*segment));
        plan
    };
    Config { channels: channels.iter().map(plan).collect(), ..Config::default() }
}

fn newest(channel: &Channel) -> flambeau_media::channel::Position {
    let playlist = channel.playlist("v256/index.m3u8").expect("a Playlist").borrow().clone();
    playlist.newest.expect("a position")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_concerns_its_channel_alone_and_numbers_go_on() {
    let house = House::new(&with_channels(&[("changed", 2), ("removed", 2), ("kept", 2)]));
    let publisher = house.directory.publish(&"venue".parse().expect("an id"), History::default());
    let total = stream().len() / PACKET_BYTES;
    for name in ["changed", "removed", "kept"] {
        house.until(name, |stats| stats.is_some_and(|stats| stats.running)).await;
    }
    write(&publisher, stream(), 0);
    for name in ["changed", "removed", "kept"] {
        house.until(name, packets(total)).await;
    }
    let channel = |name: &str| house.directory.channel(name).expect("open");
    let (kept, changed, removed) = (channel("kept"), channel("changed"), channel("removed"));
    let before = newest(&changed);

    let mut config = with_channels(&[("changed", 1), ("kept", 2), ("added", 2)]);
    config.channels[1].label = Some("Kept".into());
    house.live.apply(config);
    house.until("removed", |stats| stats.is_none()).await;
    house.until("added", |stats| stats.is_some_and(|stats| stats.running)).await;
    house
        .until("changed", |stats| stats.is_some_and(|stats| stats.running && stats.demux.packets == 0))
        .await;
    assert!(house.directory.channel("removed").is_none());
    assert!(removed.playlist("v256/index.m3u8").is_none());
    write(&publisher, stream(), 8);
    house.until("kept", packets(2 * total)).await;
    house.until("changed", packets(total)).await;
    assert!(Arc::ptr_eq(&kept, &channel("kept")) && Arc::ptr_eq(&changed, &channel("changed")));
    let after = newest(&changed);
    assert!(after.sequence > before.sequence + 4, "{before:?}, then {after:?}");
    let stats = house.stats("kept").expect("open");
    // The stream itself begins again once.
    assert_eq!((stats.discontinuities, stats.restarts, stats.lagged), (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_another_feed_starts_afresh_and_its_numbers_go_on() {
    let house = House::new(&with_channels(&[("c", 2)]));
    let publisher = house.directory.publish(&"venue".parse().expect("an id"), History::default());
    let other = house.directory.publish(&"other".parse().expect("an id"), History::default());
    house.until("c", |stats| stats.is_some_and(|stats| stats.running)).await;
    let total = stream().len() / PACKET_BYTES;
    write(&publisher, stream(), 0);
    house.until("c", packets(total)).await;
    let first = house.directory.channel("c").expect("open");
    let before = newest(&first);

    let mut config = with_channels(&[("c", 2)]);
    config.channels[0].feed = "other".parse().expect("an id");
    house.live.apply(config);
    house.until("c", |stats| stats.is_some_and(|stats| stats.running && stats.demux.packets == 0)).await;
    write(&other, stream(), 8);
    house.until("c", packets(total)).await;
    let second = house.directory.channel("c").expect("open");
    assert_eq!(second.feed().as_str(), "other");
    assert!(first.playlist("v256/index.m3u8").is_none());
    assert!(newest(&second).sequence > before.sequence);
}
