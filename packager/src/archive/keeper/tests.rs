use flambeau_config::{ChannelConfig, Config};

use super::super::disk::tests::Scratch;
use super::super::past::tests::{finished, write};
use super::*;

fn config(scratch: &Scratch) -> Config {
    let mut config = Config::default();
    config.packager.archive = Some(scratch.0.clone());
    config.packager.archive_window = Duration::from_secs(3600);
    let mut channel = ChannelConfig::new("short".parse().expect("an id"), "feed".parse().expect("an id"));
    channel.archive_window = Some(Duration::from_secs(60));
    config.channels.push(channel);
    config
}

fn id(name: &str) -> ChannelId {
    name.parse().expect("an id")
}

async fn filled(archive: &Archive, name: &str, count: u64) -> Past {
    let past = archive.past(&id(name), Duration::from_secs(60));
    write(&past, 100..100 + count).await;
    past
}

#[tokio::test]
async fn each_channel_is_kept_as_long_as_it_says_and_one_that_was_deleted_as_any() {
    let scratch = Scratch::new();
    let live = Live::new(config(&scratch));
    let archive = Archive::open(&live).await;
    let (short, deleted) = (filled(&archive, "short", 5).await, filled(&archive, "deleted", 5).await);
    let later = Utc::now().plus(Duration::from_secs(600));
    archive.sweep_once(later).expect("swept");
    assert_eq!((short.bytes(), deleted.bytes()), (0, 5 * 1500));
    assert!(!scratch.0.join("short").exists());
    drop((short, deleted));
    archive.close().await;
    drop(archive);
    let archive = Archive::open(&live).await;
    assert_eq!(archive.on_disk(), [id("deleted")]);
    archive.sweep_once(Utc::now().plus(Duration::from_secs(4000))).expect("swept");
    assert!(!scratch.0.join("deleted").exists());
    assert!(archive.pasts().is_empty());
}

#[tokio::test]
async fn a_change_of_the_window_holds_from_now_on() {
    let scratch = Scratch::new();
    let live = Live::new(config(&scratch));
    let archive = Archive::open(&live).await;
    let past = filled(&archive, "c", 5).await;
    let mut changed = config(&scratch);
    changed.packager.archive_window = Duration::from_secs(60);
    live.apply(changed);
    archive.sweep_once(Utc::now().plus(Duration::from_secs(600))).expect("swept");
    assert_eq!(past.bytes(), 0);
}

#[tokio::test]
async fn beyond_its_bytes_the_oldest_go_first() {
    let scratch = Scratch::new();
    let mut config = config(&scratch);
    config.packager.archive_bytes_max = 60 * 1500;
    let archive = Archive::open(&Live::new(config)).await;
    let (a, b) = (filled(&archive, "a", 60).await, filled(&archive, "b", 30).await);
    archive.sweep_once(Utc::now()).expect("swept");
    // In turn: each file of half a minute holds fifteen.
    assert_eq!(a.bytes() + b.bytes(), 60 * 1500);
    assert_eq!((a.bytes(), b.bytes()), (45 * 1500, 15 * 1500));
    assert!(a.stats().oldest.is_some_and(|oldest| oldest > Utc(0)));
    assert_eq!(a.stats().segments, 45);
}

#[tokio::test]
async fn one_process_at_a_time_writes_there() {
    let scratch = Scratch::new();
    let live = Live::new(config(&scratch));
    let first = Archive::open(&live).await;
    let second = Archive::open(&live).await;
    assert!(first.stats().is_some() && second.stats().is_none());
    drop(first);
    assert!(Archive::open(&live).await.stats().is_some());
}

#[tokio::test]
async fn a_place_that_cannot_be_written_leaves_the_past_in_memory() {
    let scratch = Scratch::new();
    let wall = scratch.0.join("wall");
    fs::write(&wall, b"").expect("written");
    let mut config = config(&scratch);
    config.packager.archive = Some(wall.join("below"));
    let archive = Archive::open(&Live::new(config)).await;
    assert!(archive.stats().is_none());
    let past = archive.past(&id("c"), Duration::from_secs(60));
    past.take(finished(100, 0));
    assert!(!past.is_empty());
}
