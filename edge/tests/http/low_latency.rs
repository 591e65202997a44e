//! Blocking reload and hinted Parts: never early, never left hanging.

use std::time::{Duration, Instant};

use flambeau_media::channel::{Change, Playlist};

use crate::common::{Client, Node, TARGET, advance, channel, start, start_with};

const PLAYLIST: &str = "/athletics/v/index.m3u8";

/// A client that waits on the server, known to do so.
async fn waiting(node: &Node, path: &str) -> Client {
    let before = node.stats().blocked;
    let mut client = node.connect().await;
    client.send("GET", path, &[]).await;
    node.until("waiting", |stats| stats.blocked > before).await;
    client
}

#[tokio::test]
async fn a_playlist_that_is_there_is_answered_at_once() {
    let node = start();
    for query in [
        "_HLS_msn=100",
        "_HLS_msn=0",
        "_HLS_msn=101&_HLS_part=1",
        "_HLS_msn=100&_HLS_part=99",
        "_HLS_skip=YES",
    ] {
        let answer = node.get(&format!("{PLAYLIST}?{query}"), &[]).await;
        assert_eq!(answer.status, 200, "{query}");
        assert!(answer.text().contains("#EXT-X-X:101.2"));
    }
    assert_eq!(node.stats().blocked_served, 0);
}

#[tokio::test]
async fn a_reload_waits_for_its_part_and_no_longer() {
    let node = start();
    let mut client = waiting(&node, &format!("{PLAYLIST}?_HLS_msn=101&_HLS_part=3")).await;
    advance(&node.channel, 101, 3);
    assert!(!client.is_closed(Duration::from_millis(100)).await);
    assert_eq!(node.stats().blocked, 1, "answered early");
    advance(&node.channel, 101, 4);
    let answer = client.answer(false).await;
    assert!(answer.text().contains("#EXT-X-X:101.4"), "{}", answer.text());
    assert_eq!(answer.field("cache-control"), "public, max-age=12");
    assert_eq!((node.stats().blocked, node.stats().blocked_served), (0, 1));
}

#[tokio::test]
async fn a_reload_of_a_segment_waits_for_all_of_it() {
    let node = start();
    let mut client = waiting(&node, &format!("{PLAYLIST}?_HLS_msn=101")).await;
    advance(&node.channel, 101, 10);
    assert!(!client.is_closed(Duration::from_millis(100)).await);
    assert_eq!(node.stats().blocked, 1, "answered early");
    advance(&node.channel, 102, 0);
    assert!(client.answer(false).await.text().contains("#EXT-X-X:102.0"));
}

#[tokio::test]
async fn a_part_past_the_last_means_the_first_of_the_next_segment() {
    let node = start();
    let mut client = waiting(&node, &format!("{PLAYLIST}?_HLS_msn=101&_HLS_part=5")).await;
    for parts in 3..=5 {
        advance(&node.channel, 101, parts);
    }
    // The Segment ends with five Parts, 0 to 4.
    advance(&node.channel, 102, 0);
    assert!(!client.is_closed(Duration::from_millis(100)).await);
    assert_eq!(node.stats().blocked, 1, "answered early");
    advance(&node.channel, 102, 1);
    assert!(client.answer(false).await.text().contains("#EXT-X-X:102.1"));
}

#[tokio::test]
async fn what_no_player_asks_is_refused() {
    let node = start();
    for query in [
        "_HLS_msn=104",
        "_HLS_msn=18446744073709551616",
        "_HLS_msn=-1",
        "_HLS_msn=abc",
        "_HLS_msn=",
        "_HLS_part=1",
        "_HLS_msn=101&_HLS_part=-1",
        "_HLS_msn=101&_HLS_part=1000",
        "_HLS_msn=1&_HLS_msn=2",
    ] {
        let answer = node.get(&format!("{PLAYLIST}?{query}"), &[]).await;
        assert_eq!((answer.status, answer.field("cache-control")), (400, "no-store"), "{query}");
    }
    assert_eq!(node.stats().blocked, 0);
}

#[tokio::test]
async fn directives_mean_nothing_to_a_multivariant_playlist() {
    let node = start();
    assert_eq!(node.get("/athletics/index.m3u8?_HLS_msn=abc", &[]).await.status, 200);
}

#[tokio::test]
async fn a_wait_in_vain_ends_after_three_target_durations() {
    let node = start();
    let began = Instant::now();
    let late = format!("{PLAYLIST}?_HLS_msn=102");
    let reload = node.get(&late, &[]);
    let part = node.get("/athletics/v/101.2.m4s", &[]);
    let (reload, part) = tokio::join!(reload, part);
    let took = began.elapsed();
    assert!(took >= TARGET * 3 && took < TARGET * 4, "{took:?}");
    assert_eq!((reload.status, reload.field("retry-after")), (503, "1"));
    assert_eq!((part.status, part.field("cache-control")), (404, "no-store"));
    assert_eq!((node.stats().blocked, node.stats().blocked_timed_out), (0, 2));
}

#[tokio::test]
async fn an_announced_part_is_sent_once_it_is_there() {
    let node = start();
    let mut client = waiting(&node, "/athletics/v/101.2.m4s").await;
    advance(&node.channel, 101, 3);
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.text()), (200, "part 101.2"));
    assert_eq!(answer.field("cache-control"), "public, max-age=3600, immutable");
    assert_eq!(node.get("/athletics/v/101.9.m4s", &[]).await.status, 404);
}

#[tokio::test]
async fn a_part_whose_announcement_is_taken_back_is_not_found() {
    let node = start();
    let mut client = waiting(&node, "/athletics/v/101.2.m4s").await;
    advance(&node.channel, 102, 0);
    assert_eq!(client.answer(false).await.status, 404);
}

#[tokio::test]
async fn the_end_of_a_playlist_answers_whoever_waits() {
    let node = start();
    let mut client = waiting(&node, &format!("{PLAYLIST}?_HLS_msn=102")).await;
    let last = node.channel.playlist("v/index.m3u8").expect("there").borrow().clone();
    let ended = Playlist { body: "#EXTM3U\n#EXT-X-ENDLIST\n".into(), hint: None, ..Playlist::clone(&last) };
    node.channel.commit(Change { playlists: vec![("v/index.m3u8".into(), ended)], ..Change::default() });
    assert!(client.answer(false).await.text().contains("#EXT-X-ENDLIST"));
    assert_eq!(node.get(&format!("{PLAYLIST}?_HLS_msn=200"), &[]).await.status, 200);
}

#[tokio::test]
async fn while_the_source_is_silent_a_waiter_gets_the_playlist_as_it_is() {
    let node = start();
    let mut client = waiting(&node, &format!("{PLAYLIST}?_HLS_msn=102")).await;
    let last = node.channel.playlist("v/index.m3u8").expect("there").borrow().clone();
    let silent = Playlist { hint: None, silent: true, ..Playlist::clone(&last) };
    node.channel.commit(Change { playlists: vec![("v/index.m3u8".into(), silent)], ..Change::default() });
    let answer = client.answer(false).await;
    assert_eq!((answer.status, answer.text()), (200, std::str::from_utf8(last.body.plain()).expect("UTF-8")));
}

#[tokio::test]
async fn a_channel_that_is_restarted_lets_its_waiters_go() {
    let node = start();
    let mut reload = waiting(&node, &format!("{PLAYLIST}?_HLS_msn=102")).await;
    let mut part = waiting(&node, "/athletics/v/101.2.m4s").await;
    let Node { channel: old, directory, .. } = &node;
    directory.open_channel(channel("athletics"));
    old.commit(Change { withdraw: vec!["v/index.m3u8".into()], ..Change::default() });
    assert_eq!(reload.answer(false).await.status, 503);
    assert_eq!(part.answer(false).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiters_that_go_away_leave_nothing() {
    let node = start_with(&flambeau_config::Config::lab(), |http| http.connections_per_address_max = 2000);
    for round in 0..3 {
        let mut clients = Vec::new();
        for _ in 0..1000 {
            let mut client = node.connect().await;
            client.send("GET", &format!("{PLAYLIST}?_HLS_msn=102"), &[]).await;
            clients.push(client);
        }
        node.until("a thousand waiters", |stats| stats.blocked == 1000).await;
        drop(clients);
        node.until("no waiter and no connection", |stats| stats.blocked == 0 && stats.connections_open == 0)
            .await;
        assert_eq!(node.stats().requests_abandoned, 1000 * (round + 1));
    }
    assert_eq!(node.get(PLAYLIST, &[]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_waiters_are_answered_by_one_part() {
    let node = start_with(&flambeau_config::Config::lab(), |http| http.connections_per_address_max = 2000);
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let mut client = node.connect().await;
        client.send("GET", &format!("{PLAYLIST}?_HLS_msn=101&_HLS_part=2"), &[]).await;
        clients.push(client);
    }
    node.until("a thousand waiters", |stats| stats.blocked == 1000).await;
    advance(&node.channel, 101, 3);
    let playlist = node.channel.playlist("v/index.m3u8").expect("there").borrow().clone();
    for client in &mut clients {
        assert_eq!(client.answer(false).await.body, *playlist.body.plain());
    }
    assert_eq!((node.stats().blocked_served, node.stats().blocked), (1000, 0));
}
