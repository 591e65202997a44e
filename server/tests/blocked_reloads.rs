//! What a thousand blocked reloads cost, and how soon after its Part they are answered.
//!
//! A measurement, of a release build on a machine with nothing else to do:
//! `cargo test --release -p flambeau-server --test blocked_reloads -- --ignored --nocapture`.
//! `FLAMBEAU_RELOADS` is their number, `FLAMBEAU_RELOADS_SECONDS` how long each of its three phases lasts:
//!
//! - **alone**: nobody asks. What the server costs then is taken off what it costs in the two others.
//! - **held**: each client asks for the first Part of the next Segment as soon as it has an answer, so that it is
//!   held while about ten Parts go by.
//! - **followed**: each client asks for the very next Part, as players do: every one is answered at every Part.
//!
//! The delay of an answer is the time from the Part's `at` of `/api/v1/channels` (when it could first be asked for)
//! to the moment at which the head of the answer is at the client's socket, by the kernel. Both are this machine's clock.
#![allow(clippy::print_stdout, reason = "a measurement prints what it measured")]

#[path = "blocked_reloads/client.rs"]
mod client;
mod common;

use std::collections::HashMap;
use std::time::Duration;

use client::{Answered, Clients, Position, Step};
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::srt::Srt;
use common::tool::Tool;
use common::{seconds, until};
use flambeau_media::time::Utc;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

const FEED: &str = "athletics";
const CORE_SHARE_MAX: f64 = 0.05;
const DELAY_MAX: Duration = Duration::from_millis(20);
/// Of the system's `USER_HZ`: clock ticks a second in /proc.
const TICKS: f64 = 100.0;

#[tokio::test]
#[ignore = "measures: a release build, and the machine for itself"]
async fn a_thousand_blocked_reloads_cost_little_and_are_answered_at_once() {
    let number = from_environment("FLAMBEAU_RELOADS", 1000);
    let length = seconds(from_environment("FLAMBEAU_RELOADS_SECONDS", 60));
    let scratch = Scratch::new("blocked-reloads").await;
    let mut setup = Setup::feeds(&[FEED], None);
    // Twice: those of one phase may still be closing when those of the next come.
    setup.http = format!(
        "connections_max = 100000\nconnections_per_address_max = {}\nrequests_per_second_max = 1000000\n",
        2 * number + 100
    );
    let server = Server::start(&scratch, &setup).await;
    let _venue = venue(&scratch, &server);
    let playlist = media_playlist(&server).await;

    let alone = core_share(&server, length).await;
    println!("alone: {:.2} % of a core", alone * 100.0);
    let held = measure(&server, &playlist, number, Step::Segment, length, alone).await;
    let followed = measure(&server, &playlist, number, Step::Part, length, alone).await;
    for (name, phase) in [("held", &held), ("followed", &followed)] {
        println!("{name}: {number} blocked reloads, {phase}");
    }
    assert!(held.core_share < CORE_SHARE_MAX, "held reloads cost {:.2} % of a core", held.core_share * 100.0);
    for (name, phase) in [("held", &held), ("followed", &followed)] {
        assert!(phase.p99 < DELAY_MAX, "{name}: p99 is {:?}", phase.p99);
    }
}

/// What a phase came to.
struct Phase {
    /// Beyond what the server costs alone.
    core_share: f64,
    answers: usize,
    p50: Duration,
    p99: Duration,
    max: Duration,
    answers_per_second: f64,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.core_share / self.answers_per_second * 1e6;
        write!(
            f,
            "{:.2} % of a core, {:.0} answers a second ({each:.1} us each), {} of them after the Part by \
             p50 {:?}, p99 {:?}, max {:?}",
            self.core_share * 100.0,
            self.answers_per_second,
            self.answers,
            self.p50,
            self.p99,
            self.max
        )
    }
}

async fn measure(
    server: &Server,
    playlist: &str,
    number: usize,
    step: Step,
    length: Duration,
    alone: f64,
) -> Phase {
    let clients = Clients::start(server.http, playlist, number, step).await;
    // All of them are connected, and in step.
    sleep(seconds(5)).await;
    clients.take();
    let begin = Instant::now();
    let before = cpu_seconds(server);
    let mut made: HashMap<Position, Utc> = HashMap::new();
    while begin.elapsed() < length {
        sleep(seconds(1)).await;
        made.extend(parts(server).await);
    }
    let wall = begin.elapsed().as_secs_f64();
    let core_share = (cpu_seconds(server) - before) / wall - alone;
    let answered = clients.take();
    let answers_per_second = answered.len() as f64 / wall;
    let mut delays: Vec<Duration> = answered.iter().filter_map(|answer| delay(answer, &made)).collect();
    assert!(
        delays.len() > answered.len() / 2,
        "of {} answers the Parts of {} are known",
        answered.len(),
        delays.len()
    );
    delays.sort_unstable();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize];
    Phase { core_share, answers: delays.len(), p50: at(0.5), p99: at(0.99), max: at(1.0), answers_per_second }
}

fn delay(answer: &Answered, made: &HashMap<Position, Utc>) -> Option<Duration> {
    made.get(&answer.position).map(|made| answer.at.since(*made))
}

/// The newest Parts of the video and since when they are there.
async fn parts(server: &Server) -> Vec<(Position, Utc)> {
    let channel = server.admin(&format!("/api/v1/channels/{FEED}")).await.json();
    let parts = channel["parts"].as_array().unwrap_or_else(|| panic!("no Parts in {channel}"));
    let one = |part: &serde_json::Value| {
        let position = (part["sequence"].as_u64()?, u32::try_from(part["part"].as_u64()?).ok()?);
        Some((position, part["at"].as_str()?.parse().ok()?))
    };
    parts.iter().filter_map(one).collect()
}

/// A venue that costs little: what is measured is not it.
fn venue(scratch: &Scratch, server: &Server) -> Tool {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1"]);
    command.args(["-g", "50", "-sc_threshold", "0", "-b:v", "500k", "-f", "mpegts"]);
    command.arg(Srt::publish(server.ingest, FEED).ffmpeg_url());
    Tool::start(scratch, "venue", command)
}

/// The path of the video's media Playlist, once it has a window.
async fn media_playlist(server: &Server) -> String {
    let multivariant = format!("/{FEED}/index.m3u8");
    until(seconds(30), "the Channel has a window", async || {
        let text = common::http::get(server.http, &multivariant).await?.text();
        let line = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?;
        let path = format!("/{FEED}/{line}");
        let media = common::http::get(server.http, &path).await?.text();
        (media.matches("#EXTINF").count() >= 5).then_some(path)
    })
    .await
}

/// The share of a core that the server takes during `length`.
async fn core_share(server: &Server, length: Duration) -> f64 {
    let (begin, before) = (Instant::now(), cpu_seconds(server));
    sleep(length).await;
    (cpu_seconds(server) - before) / begin.elapsed().as_secs_f64()
}

/// User and system time of the server so far.
fn cpu_seconds(server: &Server) -> f64 {
    let path = format!("/proc/{}/stat", server.tool.pid());
    let stat = std::fs::read_to_string(path).expect("it runs");
    // The second field, in brackets, may hold anything; utime and stime are the 14th and the 15th.
    let fields = stat.rsplit_once(") ").expect("a name in brackets").1.split(' ').skip(11).take(2);
    fields.map(|ticks| ticks.parse::<f64>().expect("a number of ticks")).sum::<f64>() / TICKS
}

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
