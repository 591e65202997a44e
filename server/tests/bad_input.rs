//! Hostile and broken input: each gets a clear error or is dropped and counted, and every other session goes on.

mod common;

use std::net::SocketAddr;

use common::http;
use common::on_air::OnAir;
use common::publish::{Encoder, Publisher};
use common::pull::Receiver;
use common::raw::RawCaller;
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::srt::Srt;
use common::{seconds, until};
use flambeau_loadtest::impair::{Proxy, Settings};
use flambeau_loadtest::units::Rate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Duration, Instant, sleep};

const FEED: &str = "athletics-main";
const OTHER: &str = "other";
const PASSPHRASE: &str = "bear-the-flame-2028";

async fn start(test: &str, setup: &Setup) -> (Scratch, Server, OnAir) {
    let scratch = Scratch::new(test).await;
    let server = Server::start(&scratch, setup).await;
    let on_air = OnAir::start(&scratch, &server, FEED, seconds(60)).await;
    (scratch, server, on_air)
}

/// Numbers that are as good as random, and the same each time (SplitMix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_datagrams_are_counted_and_disturb_nobody() {
    let (_scratch, server, mut on_air) = start("datagrams", &Setup::feeds(&[FEED], None)).await;
    let (malformed, stray) = ("flambeau_srt_malformed_datagrams_total", "flambeau_srt_stray_datagrams_total");
    let before = [server.metric(malformed, &[]).await, server.metric(stray, &[]).await];
    let memory = server.tool.memory();
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a loopback port");
    let mut noise = Noise(2028);
    for round in 0..10_000 {
        for port in [server.ingest, server.edge] {
            let datagram = hostile(&mut noise, round);
            // A full buffer of the server's loses it: as well.
            let _ = socket.send_to(&datagram, port).await;
        }
        if round % 50 == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }
    on_air.undisturbed().await;
    let after = [server.metric(malformed, &[]).await, server.metric(stray, &[]).await];
    assert!(after[0] > before[0] + 1000.0 && after[1] > before[1] + 1000.0, "{before:?} {after:?}");
    let grown = server.tool.memory().saturating_sub(memory);
    assert!(grown < 32_000_000, "memory grew by {grown} bytes");
}

/// A datagram that ends early, claims what is not so, or is noise altogether.
fn hostile(noise: &mut Noise, round: usize) -> Vec<u8> {
    let len = noise.next() as usize % 1473;
    match round % 5 {
        0 => noise.bytes(len),
        1 => noise.bytes(len % 16),
        // Each control type with whatever behind it, for a session that does not exist.
        2 => [vec![0x80, (noise.next() % 9) as u8, 0, 0], noise.bytes(len)].concat(),
        // A data packet.
        3 => [vec![noise.next() as u8 & 0x7F], noise.bytes(len.max(16))].concat(),
        // A handshake: version 4 or 5, then noise, for the listener (socket id 0).
        _ => {
            let mut datagram = noise.bytes(64 + len % 400);
            datagram[..4].copy_from_slice(&[0x80, 0, 0, 0]);
            datagram[12..20].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 4 + (round as u8 & 1)]);
            let kind: u32 = if noise.next() & 1 == 0 { 1 } else { u32::MAX };
            datagram[36..40].copy_from_slice(&kind.to_be_bytes());
            datagram
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_whose_packets_are_corrupted_on_the_way_disturb_no_other() {
    let (scratch, server, mut on_air) = start("corrupted", &Setup::feeds(&[FEED, OTHER], None)).await;
    let corrupt = |to: SocketAddr, seed| {
        let settings = Settings { seed, ..Settings::clean(to) }
            .both_ways(|link| link.corrupt = "2%".parse().expect("a share"));
        Proxy::start(settings).expect("a proxy")
    };
    let (ingest, edge) = (corrupt(server.ingest, 3), corrupt(server.edge, 4));
    let publish = Srt::publish(ingest.address(), OTHER);
    let _publisher = Encoder::SrtLiveTransmit.publish(&scratch, "publish-other", &on_air.stream, &publish);
    let request = Srt::request(edge.address(), OTHER, "rtx");
    let _puller = Receiver::SrtLiveTransmit.pull(&scratch, "pull-other", &request);
    until(seconds(20), "both paths carry packets and corrupt them", async || {
        let (up, down) = (ingest.report().up, edge.report().down);
        (up.corrupted > 50 && down.corrupted > 20).then_some(())
    })
    .await;
    on_air.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transport_stream_of_random_bytes_disturbs_no_other_feed() {
    let (scratch, mut server, mut on_air) = start("random-ts", &Setup::feeds(&[FEED, OTHER], None)).await;
    let mut bytes = Noise(11).bytes(10 * 188 * 7 * 500);
    for packet in bytes.chunks_mut(188) {
        packet[0] = 0x47;
    }
    let publish = Srt::publish(server.ingest, OTHER);
    let _publisher = Publisher::of_bytes(&scratch, "publish-random", bytes, Rate(10_000_000), &publish);
    server.live(OTHER).await;
    sleep(seconds(4)).await;
    on_air.undisturbed().await;
    server.tool.must_run();
    let log = server.tool.log();
    assert!(!log.contains("panicked"), "something panicked");
    // What repeats with every packet must not be logged with every packet.
    assert!(log.lines().count() < 200, "{} lines of log", log.lines().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_of_something_else_is_ended_and_the_log_says_why() {
    let (scratch, server, mut on_air) = start("not-ts", &Setup::feeds(&[FEED, OTHER], None)).await;
    let bytes: Vec<u8> = Noise(12).bytes(6_580_000).into_iter().map(|byte| byte & 0x3F).collect();
    let publish = Srt::publish(server.ingest, OTHER);
    let mut publisher = Publisher::of_bytes(&scratch, "publish-noise", bytes, Rate(5_000_000), &publish);
    publisher.tool.ended(seconds(15)).await;
    assert!(!server.is_live(OTHER).await);
    let log = server.tool.log();
    let line = log.lines().find(|line| line.contains("venue disconnected") && line.contains(OTHER));
    let line = line.unwrap_or_else(|| panic!("no word of it in the log:\n{log}"));
    assert!(line.to_lowercase().contains("transport stream"), "{line}");
    on_air.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_or_not_granted_is_turned_away_with_the_standard_s_code() {
    let mut setup = Setup::feeds(&[FEED], None);
    setup.rest += "[[broadcasters]]\nid = \"guest\"\n";
    let (_scratch, server, mut on_air) = start("unknown", &setup).await;
    let cases = [
        (server.ingest, "#!::r=no-such-feed,m=publish".to_owned(), 1404),
        (server.ingest, "no-such-feed".to_owned(), 1404),
        (server.ingest, "#!::r=../../etc/passwd,m=publish".to_owned(), 1400),
        (server.ingest, String::new(), 1400),
        (server.ingest, format!("#!::r={FEED},m=request"), 1405),
        (server.edge, format!("#!::r={FEED},m=publish,u=rtx"), 1405),
        (server.edge, format!("#!::r={FEED},m=request,u=guest"), 1403),
        (server.edge, format!("#!::r={FEED},m=request,u=nobody"), 1401),
        (server.edge, format!("#!::r={FEED},m=request"), 1401),
    ];
    for (index, (port, stream_id, code)) in cases.into_iter().enumerate() {
        let caller = RawCaller::new([127, 0, 0, 1], port, 100 + index as u32).await;
        assert_eq!(caller.answer(&stream_id).await, Err(code), "{stream_id:?} at {port}");
    }
    let request = Srt::request(server.edge, "no-such-feed", "rtx");
    let mut puller = Receiver::SrtLiveTransmit.pull(&_scratch, "pull-unknown", &request);
    puller.tool.ended(seconds(10)).await;
    on_air.undisturbed().await;
    assert!(server.metric("flambeau_srt_rejections_total", &[]).await >= 9.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_passphrase_is_turned_away_and_no_secret_reaches_the_log() {
    const WRONG: &str = "steal-the-flame-2028";
    let scratch = Scratch::new("passphrase").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], Some(PASSPHRASE))).await;
    let stream = common::stream::Stream::make(&scratch, seconds(20), 4).await;
    for (name, key) in [("wrong", Some((WRONG, 16))), ("none", None)] {
        let publish = Srt::publish(server.ingest, FEED).encrypted(key);
        let mut publisher =
            Encoder::SrtLiveTransmit.publish(&scratch, &format!("publish-{name}"), &stream, &publish);
        publisher.tool.ended(seconds(10)).await;
        let request = Srt::request(server.edge, FEED, "rtx").encrypted(key);
        let mut puller = Receiver::SrtLiveTransmit.pull(&scratch, &format!("pull-{name}"), &request);
        puller.tool.ended(seconds(10)).await;
        assert_eq!(puller.received(), 0);
    }
    assert!(!server.is_live(FEED).await);
    let caller = RawCaller::new([127, 0, 0, 1], server.ingest, 5).await;
    assert_eq!(
        caller.answer(&format!("#!::r={FEED},m=publish")).await,
        Err(11),
        "clear where a key is asked for"
    );
    let log = server.tool.log();
    assert!(log.contains("publisher turned away") && log.contains("puller turned away"), "{log}");
    assert!(!log.contains(PASSPHRASE) && !log.contains(WRONG), "a passphrase is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_half_open_handshakes_leave_service_and_memory_as_they_were() {
    let (_scratch, server, mut on_air) = start("half-open", &Setup::feeds(&[FEED, OTHER], None)).await;
    let memory = server.tool.memory();
    let started = Instant::now();
    for index in 0..1000 {
        for port in [server.ingest, server.edge] {
            RawCaller::new([127, 0, 0, 1], port, 1000 + index).await.induce().await;
        }
    }
    // Callers that prove their address and are never heard of again: pullers of a Feed that is not there.
    let mut answered = 0;
    for index in 0..1000 {
        let caller = RawCaller::new([127, 0, 0, 1], server.edge, 3000 + index).await;
        answered += usize::from(caller.conclude(&format!("#!::r={OTHER},m=request,u=rtx")).await.is_some());
    }
    assert!(answered > 990, "{answered} of 1000 were answered in {:?}", started.elapsed());
    on_air.undisturbed().await;
    let puller =
        Receiver::SrtLiveTransmit.pull(&_scratch, "pull-meanwhile", &Srt::request(server.edge, FEED, "rtx"));
    until(seconds(5), "a newcomer is served", async || (puller.received() > 0).then_some(())).await;
    until(seconds(20), "the half-open sessions are let go", async || {
        (server.metric("flambeau_srt_sessions", &[]).await <= 3.0).then_some(())
    })
    .await;
    on_air.undisturbed().await;
    let grown = server.tool.memory().saturating_sub(memory);
    println!("memory grew by {} kB over 3,000 half-open handshakes", grown / 1000);
    assert!(grown < 48_000_000, "memory grew by {grown} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reading_client_and_a_huge_header_disturb_nobody() {
    let mut setup = Setup::feeds(&[FEED], None);
    setup.http = "write_timeout = \"2s\"\nheader_timeout = \"2s\"\n".into();
    let (_scratch, server, mut on_air) = start("http", &setup).await;
    let segment = segment(&server).await;

    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "a".repeat(100_000));
    let answer = http::send(server.http, huge.as_bytes()).await;
    assert!(answer.is_some_and(|answer| matches!(answer.status, 400 | 431)), "a header of 100 kB is refused");

    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.http).await.expect("connected");
        // Many answers asked for and none of them read.
        let request = format!("GET {segment} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(40);
        stream.write_all(request.as_bytes()).await.expect("sent");
        slow.push(stream);
    }
    let mut silent = TcpStream::connect(server.http).await.expect("connected");
    silent.write_all(b"GET / HT").await.expect("sent");

    let asked = Instant::now();
    assert_eq!(server.get(&segment).await.status, 200);
    assert!(asked.elapsed() < seconds(2), "another client waited {:?}", asked.elapsed());
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(seconds(8), silent.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a client that never ends its request is kept");
    until(seconds(15), "slow readers are let go", async || {
        let open = server.metric("flambeau_http_connections", &["listener=\"edge\""]).await;
        (open <= 1.0).then_some(())
    })
    .await;
    drop(slow);
    on_air.undisturbed().await;
}

/// The path of a Segment that is there.
async fn segment(server: &Server) -> String {
    until(seconds(20), "a Segment is there", async || {
        let multivariant = http::get(server.http, &format!("/{FEED}/index.m3u8")).await?.text();
        let media = multivariant.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?.to_owned();
        let playlist = http::get(server.http, &format!("/{FEED}/{media}")).await?.text();
        let segment = playlist.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?;
        let folder = media.rsplit_once('/')?.0;
        Some(format!("/{FEED}/{folder}/{segment}"))
    })
    .await
}
