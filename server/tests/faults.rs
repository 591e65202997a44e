//! What happens around a Feed when one of its parts fails: the others go on.

mod common;

use common::http;
use common::on_air::OnAir;
use common::publish::{Encoder, Publisher};
use common::pull::{Puller, Receiver};
use common::raw::RawCaller;
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::srt::Srt;
use common::stream::{Stream, pictures, place};
use common::{full, seconds, until};
use tokio::time::{Duration, Instant, sleep};

const FEED: &str = "athletics-main";
const PASSPHRASE: &str = "bear-the-flame-2028";
/// The conflict code of SRT Access Control.
const CONFLICT: u32 = 1409;

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_killed_and_back_within_ten_seconds_keeps_every_puller() {
    // Longer than the idle timeout of 5 s: the dead session has been noticed by then.
    comes_back("back-late", seconds(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_back_before_its_dead_session_timed_out_takes_its_place() {
    comes_back("back-early", seconds(1)).await;
}

/// Kills an encoder, starts it again after `away`, and sees that every kind of receiver goes on.
async fn comes_back(name: &str, away: Duration) {
    let scratch = Scratch::new(name).await;
    let setup = Setup::feeds(&[FEED], Some(PASSPHRASE));
    let server = Server::start(&scratch, &setup).await;
    let stream = Stream::make(&scratch, seconds(30), 4).await;
    let key = Some((PASSPHRASE, 16));
    let request = Srt::request(server.edge, FEED, "rtx").encrypted(key);
    let publish = Srt::publish(server.ingest, FEED).encrypted(key);
    let pull = |receiver: &Receiver| receiver.pull(&scratch, &format!("pull-{receiver:?}"), &request);
    let mut pullers: Vec<Puller> = Receiver::ALL.iter().map(pull).collect();
    let mut first = Encoder::SrtLiveTransmit.publish(&scratch, "publish-first", &stream, &publish);
    all_receive(&pullers).await;
    sleep(seconds(2)).await;

    first.tool.signal("KILL");
    first.tool.ended(seconds(5)).await;
    sleep(away).await;
    for puller in &mut pullers {
        puller.tool.must_run();
    }
    let mut second = Encoder::SrtLiveTransmit.publish(&scratch, "publish-second", &stream, &publish);
    all_receive(&pullers).await;
    sleep(seconds(2)).await;
    all_receive(&pullers).await;
    second.tool.must_run();
    for puller in &mut pullers {
        puller.tool.must_run();
    }
    for (receiver, puller) in Receiver::ALL.iter().zip(&pullers) {
        if receiver.is_verbatim() {
            two_runs(&stream, &puller.bytes()).unwrap_or_else(|fault| panic!("{receiver}: {fault}"));
        }
    }
}

/// Checks that what was received is a run of what was published, then another from its start.
fn two_runs(stream: &Stream, received: &[u8]) -> Result<(), String> {
    let received = &received[..received.len() / 188 * 188];
    let head = &stream.bytes[..188 * 7];
    let again = (188..received.len()).step_by(188).find(|at| received[*at..].starts_with(head));
    let (before, after) = received.split_at(again.ok_or("nothing of the second encoder arrived")?);
    place(&stream.bytes, before)?;
    match place(&stream.bytes, after)? {
        0 => Ok(()),
        packet => Err(format!("the second encoder's stream begins at packet {packet}")),
    }
}

/// Waits until each puller has more than it has now.
async fn all_receive(pullers: &[Puller]) {
    let before: Vec<u64> = pullers.iter().map(Puller::received).collect();
    until(seconds(15), "every puller receives", async || {
        pullers.iter().zip(&before).all(|(puller, before)| puller.received() > *before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publisher_is_turned_away_as_a_conflict_and_the_first_goes_on() {
    let scratch = Scratch::new("conflict").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    let mut on_air = OnAir::start(&scratch, &server, FEED, seconds(30)).await;

    let stranger = RawCaller::new([127, 0, 0, 2], server.ingest, 77).await;
    assert_eq!(stranger.answer(&format!("#!::r={FEED},m=publish")).await, Err(CONFLICT));
    let neighbour = RawCaller::new([127, 0, 0, 1], server.ingest, 78).await;
    assert_eq!(neighbour.answer(&format!("#!::r={FEED},m=publish")).await, Err(CONFLICT));
    let publish = Srt::publish(server.ingest, FEED);
    let mut second = Encoder::SrtLiveTransmit.publish(&scratch, "publish-second", &on_air.stream, &publish);
    second.tool.ended(seconds(10)).await;

    on_air.undisturbed().await;
    let log = server.tool.log();
    assert!(log.contains("turned away") && log.contains("1409"), "the log does not say so: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_that_reconnects_again_and_again_does_not_grow_the_server() {
    let scratch = Scratch::new("reconnects").await;
    let (times, on, off) = if full() { (50, seconds(8), seconds(4)) } else { (5, seconds(5), seconds(3)) };
    let setup = Setup {
        rest: format!("[packager]\nwindow = \"10s\"\n{}", Setup::feeds(&[FEED], None).rest),
        ..Setup::default()
    };
    let server = Server::start(&scratch, &setup).await;
    let stream = Stream::make(&scratch, seconds(30), 8).await;
    let request = Srt::request(server.edge, FEED, "rtx");
    let mut puller = Receiver::SrtLiveTransmit.pull(&scratch, "pull", &request);
    let publish = Srt::publish(server.ingest, FEED);
    let mut memory = Vec::new();
    for time in 0..=times {
        let mut publisher =
            Encoder::SrtLiveTransmit.publish(&scratch, &format!("publish-{time}"), &stream, &publish);
        let before = puller.received();
        sleep(on).await;
        publisher.tool.must_run();
        puller.tool.must_run();
        assert!(puller.received() > before + 1_000_000, "connection {time} brought nothing");
        memory.push(server.tool.memory());
        publisher.tool.signal("KILL");
        publisher.tool.ended(seconds(5)).await;
        sleep(off).await;
    }
    // The history and the window of the Channel fill with the first connections.
    let (settled, last) = (memory[2], memory[memory.len() - 1]);
    println!(
        "memory after each connection, in MB: {:?}",
        memory.iter().map(|b| b / 1_000_000).collect::<Vec<_>>()
    );
    assert!(last < settled + GROWTH_MAX, "memory grew from {settled} to {last} bytes: {memory:?}");
}

/// What an allocator may wander; fifty reconnections that leak a history each would be two hundred megabytes.
const GROWTH_MAX: u64 = 16_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_puller_that_stops_is_dropped_alone() {
    let scratch = Scratch::new("stopped").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    let mut on_air = OnAir::start(&scratch, &server, FEED, seconds(60)).await;
    let request = Srt::request(server.edge, FEED, "rtx");
    let mut stopped = Receiver::SrtLiveTransmit.pull(&scratch, "pull-stopped", &request);
    until(seconds(10), "it receives", async || (stopped.received() > 0).then_some(())).await;

    stopped.tool.signal("STOP");
    until(seconds(15), "the server lets it go", async || {
        server.tool.log().contains("puller disconnected").then_some(())
    })
    .await;
    on_air.undisturbed().await;
    stopped.tool.signal("CONT");
    stopped.tool.ended(seconds(15)).await;
    on_air.undisturbed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_turns_newcomers_away_lets_sessions_run_out_and_ends_well() {
    let scratch = Scratch::new("drain").await;
    let mut setup = Setup::feeds(&[FEED, "other"], None);
    setup.rest += "[drain]\ngrace = \"4s\"\n";
    let server = Server::start(&scratch, &setup).await;
    let mut on_air = OnAir::start(&scratch, &server, FEED, seconds(60)).await;

    server.tool.signal("TERM");
    let asked = Instant::now();
    until(seconds(2), "it says that it is not ready", async || {
        http::get(server.admin, "/readyz").await.filter(|answer| answer.status == 503)
    })
    .await;
    let newcomer = RawCaller::new([127, 0, 0, 1], server.ingest, 79).await;
    let admitted = tokio::time::timeout(seconds(2), newcomer.answer("#!::r=other,m=publish")).await;
    assert!(!matches!(admitted, Ok(Ok(()))), "a newcomer was admitted during the drain");
    on_air.undisturbed().await;

    let Server { mut tool, .. } = server;
    let status = tool.ended(seconds(10)).await;
    assert!(status.success(), "SIGTERM ended it with {status}");
    assert!(asked.elapsed() >= seconds(3), "it did not give its sessions the grace of 4 s");
    let received = on_air.puller.bytes();
    let whole = &received[..received.len() / 188 * 188];
    place(&on_air.stream.bytes, whole).expect("what was received before the end is as published");
    on_air.puller.tool.ended(seconds(10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_whose_venue_stays_away_ends_for_its_pullers() {
    let scratch = Scratch::new("away").await;
    let setup = Setup {
        ingest: "reconnect_grace = \"2s\"\nidle_timeout = \"1s\"".into(),
        ..Setup::feeds(&[FEED], None)
    };
    let server = Server::start(&scratch, &setup).await;
    let OnAir { publisher, mut puller, .. } = OnAir::start(&scratch, &server, FEED, seconds(30)).await;
    let Publisher { tool, .. } = &publisher;
    tool.signal("KILL");
    puller.tool.ended(seconds(15)).await;
    until(seconds(5), "the Feed is gone", async || (!server.is_live(FEED).await).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_goes_on_when_its_encoder_comes_back() {
    let scratch = Scratch::new("player-back").await;
    let server = Server::start(&scratch, &Setup::feeds(&[FEED], None)).await;
    let stream = Stream::make(&scratch, seconds(40), 4).await;
    let publish = Srt::publish(server.ingest, FEED);
    let mut first = Encoder::SrtLiveTransmit.publish(&scratch, "publish-first", &stream, &publish);
    let path = format!("/{FEED}/index.m3u8");
    until(seconds(20), "the Channel is there", async || {
        http::get(server.http, &path).await.filter(|answer| answer.status == 200)
    })
    .await;
    let file = scratch.file("player.ts");
    let mut command = tokio::process::Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-v", "error", "-i"])
        .arg(format!("http://{}{path}", server.http));
    command.args(["-t", "16", "-map", "0:v", "-c", "copy", "-f", "mpegts", "-y"]).arg(&file);
    let mut player = common::tool::Tool::start(&scratch, "player", command);
    sleep(seconds(8)).await;
    first.tool.signal("KILL");
    first.tool.ended(seconds(5)).await;
    sleep(seconds(3)).await;
    let _second = Encoder::SrtLiveTransmit.publish(&scratch, "publish-second", &stream, &publish);
    player.must_run();
    let status = player.ended(seconds(40)).await;
    assert!(status.success(), "the player ended with {status}");
    let count = pictures(&file).await.expect("pictures that decode");
    assert!(count > 250, "{count} pictures only");
}
