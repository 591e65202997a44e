//! Clients that are slow, greedy or broken: each is dropped alone, and counted.

use std::time::{Duration, Instant};

use bytes::Bytes;
use flambeau_config::Config;
use flambeau_media::channel::{Change, Kind, Object};

use crate::common::{Node, PATIENCE, advance, start, start_with};

const PLAYLIST: &str = "/athletics/index.m3u8";

async fn serves_others(node: &Node) {
    assert_eq!(node.get(PLAYLIST, &[]).await.status, 200);
}

#[tokio::test]
async fn a_head_of_100_kb_gets_431_and_the_connection_closes() {
    let node = start();
    let mut client = node.connect().await;
    let field = format!("X-Long: {}", "a".repeat(100_000));
    let answer = client.ask("GET", PLAYLIST, &[&field]).await;
    assert_eq!(answer.status, 431);
    assert!(client.is_closed(PATIENCE).await);
    node.until("counted", |stats| stats.headers_too_large == 1).await;
    let just_over = format!("X-Long: {}", "a".repeat(16 << 10));
    assert_eq!(node.get(PLAYLIST, &[&just_over]).await.status, 431);
    let within = format!("X-Long: {}", "a".repeat(15 << 10));
    assert_eq!(node.get(PLAYLIST, &[&within]).await.status, 200);
    let many: Vec<String> = (0..200).map(|n| format!("X-{n}: a")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(node.get(PLAYLIST, &many).await.status, 431);
}

#[tokio::test]
async fn what_is_not_http_is_answered_and_closed() {
    let node = start();
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        let mut client = node.connect().await;
        client.write(garbage).await;
        assert_eq!(client.answer(false).await.status, 400);
        assert!(client.is_closed(PATIENCE).await);
    }
    node.until("counted", |stats| stats.headers_malformed == 3).await;
    serves_others(&node).await;
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_not_waited_for() {
    let node = start();
    let mut client = node.connect().await;
    let answer = client.ask("POST", PLAYLIST, &["Content-Length: 1000000000"]).await;
    assert_eq!(answer.status, 405);
    assert!(client.is_closed(PATIENCE).await);
}

#[tokio::test]
async fn a_head_that_trickles_in_is_given_up() {
    let node = start_with(&Config::lab(), |http| http.header_timeout = Duration::from_millis(300));
    let mut client = node.connect().await;
    let began = Instant::now();
    for byte in b"GET / HTTP/1.1\r\nHost: ".iter().cycle() {
        client.write(&[*byte]).await;
        if node.stats().header_timeouts == 1 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "each byte bought it time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.answer(false).await.status, 408);
    assert!(client.is_closed(PATIENCE).await);
}

#[tokio::test]
async fn silent_connections_are_closed_and_hinder_no_one() {
    let node = start_with(&Config::lab(), |http| http.header_timeout = Duration::from_millis(500));
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(node.connect().await);
    }
    node.until("300 connections", |stats| stats.connections_open == 300).await;
    serves_others(&node).await;
    for client in &mut silent {
        assert!(client.is_closed(PATIENCE).await);
    }
    node.until("counted", |stats| stats.header_timeouts == 300 && stats.connections_open == 0).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_later_than_a_slow_head() {
    let node = start_with(&Config::lab(), |http| {
        http.header_timeout = Duration::from_millis(200);
        http.idle_timeout = Duration::from_millis(800);
    });
    let mut client = node.connect().await;
    assert_eq!(client.ask("GET", PLAYLIST, &[]).await.status, 200);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(client.ask("GET", PLAYLIST, &[]).await.status, 200);
    let began = Instant::now();
    assert!(client.is_closed(PATIENCE).await);
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    assert_eq!((node.stats().idle_timeouts, node.stats().header_timeouts), (1, 0));
}

#[tokio::test]
async fn a_waiting_request_is_neither_idle_nor_late() {
    let node = start_with(&Config::lab(), |http| {
        http.header_timeout = Duration::from_millis(100);
        http.idle_timeout = Duration::from_millis(100);
        http.write_timeout = Duration::from_millis(100);
    });
    let mut client = node.connect().await;
    client.send("GET", "/athletics/v/index.m3u8?_HLS_msn=101&_HLS_part=2", &[]).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    advance(&node.channel, 101, 3);
    assert_eq!(client.answer(false).await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_again() {
    let node = start_with(&Config::lab(), |http| {
        http.connections_max = 3;
        http.connections_per_address_max = 2;
    });
    let first = node.connect().await;
    let _second = node.connect().await;
    let mut third = node.connect().await;
    let answer = third.ask("GET", PLAYLIST, &[]).await;
    assert_eq!((answer.status, answer.field("retry-after")), (503, "5"));
    assert!(third.is_closed(PATIENCE).await);
    assert_eq!((node.stats().refused_per_address, node.stats().connections_open), (1, 2));
    drop(first);
    node.until("a place", |stats| stats.connections_open == 1).await;
    serves_others(&node).await;
}

#[tokio::test]
async fn the_total_is_limited_too() {
    let node = start_with(&Config::lab(), |http| http.connections_max = 1);
    let _first = node.connect().await;
    node.until("one connection", |stats| stats.connections_open == 1).await;
    let mut second = node.connect().await;
    assert_eq!(second.ask("GET", PLAYLIST, &[]).await.status, 503);
    assert_eq!(node.stats().refused_total, 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_alone() {
    let node = start_with(&Config::lab(), |http| http.write_timeout = Duration::from_millis(500));
    let pieces: Vec<Bytes> = (0..64).map(|n| Bytes::from(vec![n; 1 << 20])).collect();
    let first = pieces[0].clone();
    let object = Object::new(Kind::Segment, "video/mp4", pieces);
    node.channel.commit(Change { objects: vec![("big".into(), object)], ..Change::default() });
    let mut slow = node.connect().await;
    let mut quick = node.connect().await;
    slow.send("GET", "/athletics/big", &[]).await;
    assert_eq!(quick.ask("GET", "/athletics/big", &[]).await.body.len(), 64 << 20);
    node.until("dropped", |stats| stats.write_timeouts == 1 && stats.connections_open == 1).await;
    assert_eq!(quick.ask("GET", PLAYLIST, &[]).await.status, 200);
    // What the slow one had not taken is held by nobody but the Channel (and this test).
    node.channel.commit(Change { remove: vec!["big".into()], ..Change::default() });
    assert!(first.is_unique(), "the body of a dropped client is still held");
}

#[tokio::test]
async fn a_client_that_reads_slowly_but_reads_gets_all() {
    let node = start_with(&Config::lab(), |http| http.write_timeout = Duration::from_millis(1000));
    let pieces: Vec<Bytes> = (0..16).map(|n| Bytes::from(vec![n; 1 << 20])).collect();
    let object = Object::new(Kind::Segment, "video/mp4", pieces);
    node.channel.commit(Change { objects: vec![("big".into(), object)], ..Change::default() });
    let mut slow = node.connect().await;
    slow.send("GET", "/athletics/big", &[]).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        let mut some = vec![0; 1 << 20];
        tokio::io::AsyncReadExt::read_exact(&mut slow.0, &mut some).await.expect("still served");
    }
    assert_eq!(node.stats().write_timeouts, 0);
}

#[tokio::test]
async fn a_drain_ends_idle_connections_and_lets_the_busy_finish() {
    let node = start();
    let mut idle = node.connect().await;
    assert_eq!(idle.ask("GET", PLAYLIST, &[]).await.status, 200);
    let mut busy = node.connect().await;
    busy.send("GET", "/athletics/v/index.m3u8?_HLS_msn=101&_HLS_part=2", &[]).await;
    node.until("waiting", |stats| stats.blocked == 1).await;
    node.shutdown.cancel();
    assert!(idle.is_closed(Duration::from_secs(1)).await);
    assert!(tokio::net::TcpStream::connect(node.address).await.is_err(), "it still listens");
    advance(&node.channel, 101, 3);
    let answer = busy.answer(false).await;
    assert_eq!((answer.status, answer.field("connection")), (200, "close"));
    drop((idle, busy));
    tokio::time::timeout(PATIENCE, node.running).await.expect("it ends").expect("without a panic");
}

#[tokio::test]
async fn a_drain_cuts_what_does_not_end_within_the_grace() {
    let node = start();
    let pieces = vec![Bytes::from(vec![0; 64 << 20])];
    let object = Object::new(Kind::Segment, "video/mp4", pieces);
    node.channel.commit(Change { objects: vec![("big".into(), object)], ..Change::default() });
    let mut slow = node.connect().await;
    slow.send("GET", "/athletics/big", &[]).await;
    let mut waiting = node.connect().await;
    waiting.send("GET", "/athletics/v/index.m3u8?_HLS_msn=102", &[]).await;
    node.until("waiting", |stats| stats.blocked == 1).await;
    let began = Instant::now();
    node.shutdown.cancel();
    // Whoever waits is told so before the end.
    assert_eq!(waiting.answer(false).await.status, 503);
    tokio::time::timeout(PATIENCE, node.running).await.expect("it ends").expect("without a panic");
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(5), "{took:?}");
}
