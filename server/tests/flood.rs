//! Floods of handshakes: what they may not cost.

mod common;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::on_air::OnAir;
use common::raw::{RawCaller, flood_datagram};
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::{full, seconds, until};
use tokio::time::{sleep, timeout};

const FEED: &str = "athletics-main";

/// What the allocator may wander while a stream passes.
const GROWTH_MAX: u64 = 8_000_000;

/// Feeds without Channels, whose windows would fill meanwhile.
fn setup(edge: &str) -> Setup {
    let rest = format!(
        "[[feeds]]\nid = \"{FEED}\"\n[[feeds]]\nid = \"other\"\n[[broadcasters]]\nid = \"rtx\"\n\
         [[entitlements]]\nbroadcaster = \"rtx\"\nfeeds = [\"*\"]\n"
    );
    Setup { edge: edge.into(), rest, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_from_forged_addresses_costs_live_sessions_nothing_and_no_memory() {
    let scratch = Scratch::new("flood").await;
    let server = Server::start(&scratch, &setup("")).await;
    let mut on_air = OnAir::start(&scratch, &server, FEED, seconds(60)).await;
    // The history of the Feed fills.
    sleep(seconds(6)).await;
    let before = server.tool.memory();

    let count = if full() { 100_000 } else { 20_000 };
    let targets = [server.ingest, server.edge];
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let flooding = tokio::task::spawn_blocking(move || flood(targets, count, &told));
    until_flooded(&server).await;
    // Who calls in earnest meanwhile comes in: a caller says it four times a second until it is heard.
    let newcomer = RawCaller::new([127, 0, 0, 1], server.ingest, 81).await;
    let call = async {
        loop {
            let answer = newcomer.answer("#!::r=other,m=publish");
            if let Ok(answer) = timeout(Duration::from_millis(250), answer).await {
                return answer;
            }
        }
    };
    let answer = timeout(seconds(10), call).await;
    let during = !flooding.is_finished();
    stop.store(true, Ordering::Relaxed);
    let sent = flooding.await.expect("the flood");
    sleep(seconds(1)).await;

    assert!(answer == Ok(Ok(())) && during, "who called during the flood got {answer:?}");
    on_air.undisturbed().await;
    for lost in ["stat=\"pktRcvDrop\"", "stat=\"pktSndDrop\""] {
        assert_eq!(server.metric("flambeau_srt_session_total", &[lost]).await, 0.0, "{lost}");
    }
    let growth = server.tool.memory().saturating_sub(before);
    let mut seen = 0.0;
    for metric in ["inductions", "ignored_inductions", "rejections"] {
        seen += server.metric(&format!("flambeau_srt_{metric}_total"), &[]).await;
    }
    println!("{sent} handshakes sent, {seen} taken in; memory grew by {} kB", growth / 1_000);
    assert!(seen > 0.5 * f64::from(sent), "of {sent} handshakes {seen} came in");
    assert!(growth < GROWTH_MAX, "memory grew by {growth} bytes");
}

/// Waits until the server has seen something of it.
async fn until_flooded(server: &Server) {
    until(seconds(10), "the flood has begun", async || {
        let seen = server.metric("flambeau_srt_inductions_total", &[]).await;
        (seen > 100.0).then_some(())
    })
    .await;
}

/// Sends at least `count` handshakes to both ports, until told to stop, each from another loopback address, which never
/// hears the answer. Returns how many.
fn flood(targets: [SocketAddr; 2], count: u32, stop: &AtomicBool) -> u32 {
    let mut sent = 0;
    for n in (0..10 * count).take_while(|n| *n < count || !stop.load(Ordering::Relaxed)) {
        let from = Ipv4Addr::from_bits(0x7F01_0000 + n);
        let Ok(socket) = UdpSocket::bind((from, 0)) else { continue };
        // Conclusions and inductions come to each of the ports.
        let target = targets[(n / 2 % 2) as usize];
        sent += u32::from(socket.send_to(&flood_datagram(n), target).is_ok());
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_calls_too_often_is_told_so_and_others_come_in() {
    let scratch = Scratch::new("callers").await;
    let server =
        Server::start(&scratch, &setup("handshakes_per_second_max = 1\nbanned = [\"127.0.0.9\"]")).await;
    let request = format!("#!::r={FEED},m=request,u=rtx");
    let answers = async |from: [u8; 4], count: u32| {
        let mut answers = Vec::new();
        for n in 0..count {
            answers.push(RawCaller::new(from, server.edge, 100 + n).await.answer(&request).await);
        }
        answers
    };
    let often = answers([127, 0, 0, 5], 15).await;
    assert_eq!(often[..10], [Ok(()); 10], "as many as the rate allows in ten seconds come together");
    assert_eq!(often.last(), Some(&Err(1402)));
    assert_eq!(answers([127, 0, 0, 6], 1).await, [Ok(())]);
    assert_eq!(answers([127, 0, 0, 9], 1).await, [Err(1403)]);
    let turned_away =
        server.metric("flambeau_srt_rejections_total", &["code=\"1402\"", "listener=\"edge\""]).await;
    assert!(turned_away >= 1.0, "{turned_away}");
    assert!(server.tool.log().contains("handshakes_per_second_max"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_beyond_the_bandwidth_of_the_port_is_told_that_it_is_overloaded() {
    let scratch = Scratch::new("bandwidth").await;
    let server = Server::start(&scratch, &setup("bandwidth_total_max = \"6Mb/s\"")).await;
    let mut on_air = OnAir::start(&scratch, &server, FEED, seconds(30)).await;
    sleep(seconds(1)).await;
    let second = RawCaller::new([127, 0, 0, 1], server.edge, 300).await;
    assert_eq!(second.answer(&format!("#!::r={FEED},m=request,u=rtx")).await, Err(1402));
    // A Feed that is not there takes nothing.
    let waiting = RawCaller::new([127, 0, 0, 1], server.edge, 301).await;
    assert_eq!(waiting.answer("#!::r=other,m=request,u=rtx").await, Ok(()));
    on_air.undisturbed().await;
}
