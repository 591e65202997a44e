//! Recovery over paths that lose packets, beside libsrt's own under the same seed.
//!
//! One stream of numbered packets takes three ways at a time: from libsrt to the server, from the server to libsrt, and from
//! libsrt to libsrt; each over a path of its own with the same fate. `--nocapture` shows the table.

mod common;

use std::collections::VecDeque;
use std::net::SocketAddr;

use common::publish::Publisher;
use common::pull::{Puller, Receiver};
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::srt::Srt;
use common::{full, seconds};
use flambeau_loadtest::impair::link::{Conditions, Outage};
use flambeau_loadtest::impair::{Proxy, Settings};
use flambeau_loadtest::units::Rate;
use tokio::process::Command;
use tokio::time::{Duration, Instant, sleep};

const FEED: &str = "athletics-main";
const RATE: Rate = Rate(20_000_000);
const RTT: Duration = Duration::from_millis(100);
/// What the server may send: headers and all that is sent again included.
const CAP_BPS: f64 = 60e6;
const SEED: u64 = 2028;

/// What a path does.
#[derive(Clone, Copy)]
struct Trial {
    name: &'static str,
    loss: &'static str,
    outage: bool,
    /// Latency in round trips.
    round_trips: u32,
    /// There is time to ask for each packet often enough: none may be missing.
    whole: bool,
}

/// What of the stream did not arrive, in SRT packets, and the greatest rate of a second.
struct Outcome {
    into: u64,
    out_of: u64,
    libsrt: u64,
    rate_bps: f64,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_on_the_way_comes_again_in_time() {
    let paths = [
        ("1 % loss", "1%", false),
        ("3 % loss", "3%", false),
        ("10 % loss", "10%", false),
        ("300 ms away", "0%", true),
    ];
    let mut trials = Vec::new();
    for (name, loss, outage) in paths {
        for round_trips in [3, 4, 6] {
            // With libsrt as the sender a packet goes once in a round trip: three times in all within three of them. What a
            // path away for 300 ms took is not missed before what came after it is due.
            let whole = outage || round_trips >= enough(loss);
            trials.push(Trial { name, loss, outage, round_trips, whole });
        }
    }
    if !full() {
        trials.retain(|trial| matches!((trial.loss, trial.round_trips), ("3%", 4) | ("0%", 6)));
    }
    let mut faults = Vec::new();
    println!(
        "| path | latency | lost, libsrt to Flambeau | Flambeau to libsrt | libsrt to libsrt | greatest rate |"
    );
    println!("|---|---|---|---|---|---|");
    for trial in trials {
        let outcome = run(trial).await;
        let Outcome { into, out_of, libsrt, rate_bps } = outcome;
        let (Trial { name, round_trips, whole, .. }, rate) = (trial, rate_bps / 1e6);
        println!("| {name} | {round_trips} x RTT | {into} | {out_of} | {libsrt} | {rate:.1} Mb/s |");
        // libsrt beside it tells what could be had: where it loses packets (because there is no time, or the machine was away)
        // the server comes close to it as a receiver, which asks, and is no worse as a sender.
        let (into_max, out_of_max) =
            if whole && libsrt == 0 { (0, 0) } else { (2 * libsrt + 10, libsrt + 10) };
        if into > into_max || out_of > out_of_max {
            faults.push(format!("{name}, {round_trips} x RTT: {into} and {out_of} packets did not come"));
        }
        if rate_bps > CAP_BPS * 1.05 {
            faults.push(format!("{name}, {round_trips} x RTT: {rate} Mb/s are over the cap"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Round trips of latency that recover all of such a loss.
fn enough(loss: &str) -> u32 {
    match loss {
        "1%" => 3,
        "3%" => 4,
        _ => 6,
    }
}

async fn run(trial: Trial) -> Outcome {
    let scratch = Scratch::new("loss").await;
    let latency = RTT * trial.round_trips;
    let keys = format!("latency = \"{}ms\"\n", latency.as_millis());
    let setup = Setup {
        ingest: keys.clone(),
        edge: keys + "bandwidth_max = \"60Mb/s\"\n",
        rest: format!(
            "[[feeds]]\nid = \"{FEED}\"\nhistory = \"10s\"\n[[feeds]]\nid = \"clean\"\n[[broadcasters]]\nid = \"rtx\"\n\
             [[entitlements]]\nbroadcaster = \"rtx\"\nfeeds = [\"*\"]\n"
        ),
        ..Setup::default()
    };
    let server = Server::start(&scratch, &setup).await;
    let to_libsrt = free_udp();
    let path = |to| Proxy::start(settings(trial, to)).expect("a proxy");
    let (into, out_of, beside) = (path(server.ingest), path(server.edge), path(to_libsrt));
    let latency_ms = u32::try_from(latency.as_millis()).expect("seconds at most");
    let pull = |name: &str, feed: &str, through| {
        let from = Srt::request(server.edge, feed, "rtx").latency(latency_ms).through(through);
        Receiver::SrtLiveTransmit.pull(&scratch, name, &from)
    };
    let ways = [
        pull("pull-in", FEED, server.edge),
        pull("pull-out", "clean", out_of.address()),
        listen(&scratch, to_libsrt, latency_ms),
    ];
    sleep(seconds(1)).await;
    let length = if full() { seconds(20) } else { seconds(8) };
    let publish = |name: &str, feed: &str, to| {
        let to = Srt::publish(server.ingest, feed).latency(latency_ms).through(to);
        Publisher::of_bytes(&scratch, name, numbered(length), RATE, &to)
    };
    let publishers = [
        publish("publish-in", FEED, into.address()),
        publish("publish-out", "clean", server.ingest),
        publish("publish-libsrt", FEED, beside.address()),
    ];
    let rate_bps = greatest_rate(&out_of, length + seconds(1)).await;
    for publisher in &publishers {
        publisher.all_sent(seconds(20)).await;
    }
    sleep(latency + seconds(1)).await;
    let [into, out_of, libsrt] = ways.map(|way| missing(&way, length));
    Outcome { into, out_of, libsrt, rate_bps }
}

/// Half the round trip each way.
fn settings(trial: Trial, to: SocketAddr) -> Settings {
    let outage = Outage { every: seconds(5), length: Duration::from_millis(300) };
    let change = |conditions: &mut Conditions| {
        conditions.delay = RTT / 2;
        conditions.loss = trial.loss.parse().expect("a share");
        conditions.outage = trial.outage.then_some(outage);
    };
    Settings { seed: SEED, ..Settings::clean(to) }.both_ways(change)
}

/// libsrt as a listener that writes what it gets.
fn listen(scratch: &Scratch, at: SocketAddr, latency_ms: u32) -> Puller {
    let name = "pull-libsrt";
    let file = scratch.file(&format!("{name}.ts"));
    let mut command = Command::new("srt-live-transmit");
    command.arg("-a:no").arg(format!("srt://{at}?mode=listener&latency={latency_ms}")).arg("file://con");
    let out = std::fs::File::create(&file).expect("a scratch file");
    let tool =
        common::tool::Tool::start_with(scratch, name, command, std::process::Stdio::null(), Some(out.into()));
    Puller { tool, file }
}

/// A transport stream whose packets say which they are.
fn numbered(length: Duration) -> Vec<u8> {
    let count = RATE.0 / 8 * length.as_secs() / 188 / 70 * 70;
    let packet = |n: u64| {
        let mut packet = [0xA5; 188];
        packet[..4].copy_from_slice(&[0x47, 0x01, 0x00, 0x10 | (n % 16) as u8]);
        packet[4..12].copy_from_slice(&n.to_be_bytes());
        packet
    };
    (0..count).flat_map(packet).collect()
}

/// SRT packets that are missing from what arrived, which must reach almost to the stream's end.
fn missing(way: &Puller, length: Duration) -> u64 {
    let bytes = way.bytes();
    let numbers: Vec<u64> = bytes
        .chunks_exact(188)
        .map(|packet| u64::from_be_bytes(packet[4..12].try_into().expect("eight bytes")))
        .collect();
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
        panic!("nothing arrived: {}", way.tool.log())
    };
    assert!(numbers.is_sorted_by(|a, b| a < b), "packets are out of order");
    let second = RATE.0 / 8 / 188;
    assert!(
        *first < second && *last + 2 * second > second * length.as_secs(),
        "only {first} to {last} arrived"
    );
    (last - first + 1 - numbers.len() as u64).div_ceil(7)
}

/// The greatest rate from the server over a second, headers of UDP and IP included.
async fn greatest_rate(path: &Proxy, length: Duration) -> f64 {
    let (start, mut looks, mut greatest) = (Instant::now(), VecDeque::new(), 0.0_f64);
    while start.elapsed() < length {
        let (now, sent) = (Instant::now(), path.report().down);
        let bits = ((sent.bytes + 28 * sent.packets) * 8) as f64;
        while looks
            .front()
            .is_some_and(|(at, _): &(Instant, f64)| now.duration_since(*at) > Duration::from_millis(1_100))
        {
            looks.pop_front();
        }
        if let Some((at, before)) = looks.front()
            && now.duration_since(*at) >= seconds(1)
        {
            greatest = greatest.max((bits - before) / now.duration_since(*at).as_secs_f64());
        }
        looks.push_back((now, bits));
        sleep(Duration::from_millis(50)).await;
    }
    greatest
}

fn free_udp() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}
