//! `flambeau loadtest run` against the server: it holds when all is well, and says so when it is not.

mod common;

use std::net::{SocketAddr, UdpSocket};

use common::scratch::Scratch;
use common::seconds;
use common::server::{Server, Setup};
use flambeau_loadtest::impair::{Proxy, Settings};
use serde_json::Value;
use tokio::process::Command;

const PASSPHRASE: &str = "bear-the-flame-2028";

/// How a run ended, and what it wrote.
struct Outcome {
    code: Option<i32>,
    report: Value,
    said: String,
}

impl Outcome {
    /// What clients of a kind found.
    fn group(&self, kind: &str) -> &Value {
        let groups = self.report["groups"].as_array().expect("groups");
        groups
            .iter()
            .find(|group| group["kind"] == kind)
            .unwrap_or_else(|| panic!("no {kind}: {}", self.said))
    }

    fn total(&self, kind: &str, count: &str) -> u64 {
        self.group(kind)["total"][count].as_u64().unwrap_or_else(|| panic!("no {count} of {kind}"))
    }
}

async fn run(scratch: &Scratch, ports: [SocketAddr; 3], line: &str) -> Outcome {
    let json = scratch.file("report.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_flambeau"));
    command.args(["loadtest", "run", "--json"]).arg(&json).args(line.split_whitespace()).kill_on_drop(true);
    for (flag, address) in ["--ingest-port", "--edge-port", "--http-port"].iter().zip(ports) {
        command.arg(flag).arg(address.port().to_string());
    }
    let output = tokio::time::timeout(seconds(120), command.output()).await;
    let output = output.expect("it ends").expect("it runs");
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    let report = std::fs::read(&json).unwrap_or_else(|error| panic!("{error}: {said}"));
    Outcome { code: output.status.code(), report: serde_json::from_slice(&report).expect("JSON"), said }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_venues_publish_reaches_every_kind_of_broadcaster_whole() {
    let scratch = Scratch::new("loadtest").await;
    let server = Server::start(&scratch, &Setup::feeds(&["load-1", "load-2"], Some(PASSPHRASE))).await;
    let pid = server.tool.child.id().expect("it runs");
    // Room for a machine that is busy with other things: this is a test of the bytes, not of the machine.
    let line = format!(
        "--venues 2 --srt-pulls 4 --hls 2 --hls-plain 1 --dash 2 --duration 10s --rate 3Mb/s --settle 5s \
         --publish-latency 500ms --pull-latency 500ms --publish-passphrase {PASSPHRASE} --passphrase {PASSPHRASE} \
         --broadcaster rtx --server-pid {pid} --max-stalls 10 --max-latency 20s --max-pull-latency 5s"
    );
    let outcome = run(&scratch, [server.ingest, server.edge, server.http], &line).await;
    assert_eq!((outcome.code, &outcome.report["held"]), (Some(0), &Value::Bool(true)), "{}", outcome.said);
    // It held because it looked, not because nothing came.
    assert!(outcome.total("venues", "bytes") > 2 * 10 * 300_000, "{}", outcome.said);
    assert!(outcome.total("srt_pulls", "packets") > 4 * 10 * 1_500, "{}", outcome.said);
    assert!(
        outcome.group("srt_pulls")["latency_ms"]["count"].as_u64() > Some(4 * 10 * 20),
        "{}",
        outcome.said
    );
    for (kind, clients) in [("hls", 2), ("hls_plain", 1), ("dash", 2)] {
        assert!(outcome.total(kind, "pictures") > clients * 10 * 15, "{kind}: {}", outcome.said);
    }
    let (pull, glass) = ("srt_pulls", "hls");
    let median = |kind: &str| outcome.group(kind)["latency_ms"]["p50"].as_f64().expect("a latency");
    // Twice the SRT latency, less the few milliseconds that a turn may come early at each end; and once, with the
    // hold-back.
    assert!(median(pull) >= 990.0 && median(glass) > 600.0, "{}", outcome.said);
    assert!(outcome.report["server"]["cpu_seconds"].as_f64() > Some(0.0), "{}", outcome.said);
    assert!(outcome.said.contains("held   lost: 0 of 0"), "{}", outcome.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_change_of_a_latency_a_label_and_a_limit_is_noticed_by_no_one() {
    let scratch = Scratch::new("loadtest-change").await;
    let mut setup = Setup::feeds(&["load-1", "load-2", "other"], None);
    setup.ingest = "latency = \"400ms\"\n".into();
    setup.edge = "latency = \"400ms\"\n".into();
    setup.http = "requests_per_second_max = 5000\n".into();
    let server = Server::start(&scratch, &setup).await;
    let line = "--venues 2 --srt-pulls 4 --hls 2 --hls-plain 1 --dash 2 --duration 15s --rate 3Mb/s --settle 4s \
                --broadcaster rtx --publish-latency 500ms --pull-latency 500ms --max-stalls 10 --max-latency 20s \
                --max-pull-latency 5s";
    let first = server.see("/api/v1/config").await["revision"].as_u64().expect("a number");
    let changed = async {
        // All are under way; then a change every second and a half until the end.
        tokio::time::sleep(seconds(8)).await;
        for (from, to) in [
            ("[[feeds]]\nid = \"other\"\n", "[[feeds]]\nid = \"other\"\nlabel = \"Rowing\"\n"),
            ("[[channels]]\nid = \"other\"\n", "[[channels]]\nid = \"other\"\nlabel = \"Rowing\"\n"),
            ("latency = \"400ms\"", "latency = \"450ms\""),
            ("latency = \"400ms\"", "latency = \"450ms\""),
            ("requests_per_second_max = 5000", "requests_per_second_max = 6000"),
            ("label = \"Rowing\"\n", "history = \"8s\"\n"),
        ] {
            server.change(from, to).await;
            tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        }
    };
    let ports = [server.ingest, server.edge, server.http];
    let (outcome, ()) = tokio::join!(run(&scratch, ports, line), changed);
    assert_eq!((outcome.code, &outcome.report["held"]), (Some(0), &Value::Bool(true)), "{}", outcome.said);
    assert_eq!(server.see("/api/v1/config").await["revision"], first + 6, "{}", outcome.said);
    for (kind, clients) in [("hls", 2), ("hls_plain", 1), ("dash", 2)] {
        assert!(outcome.total(kind, "pictures") > clients * 15 * 15, "{kind}: {}", outcome.said);
    }
    assert!(outcome.total("srt_pulls", "packets") > 4 * 15 * 1_500, "{}", outcome.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_loses_too_much_fails_the_run_and_is_named() {
    let scratch = Scratch::new("loadtest-lossy").await;
    let server = Server::start(&scratch, &Setup::feeds(&["load-1"], None)).await;
    let loss = "50%".parse().expect("a share");
    let delayed =
        Settings::clean(server.edge).both_ways(|way| way.delay = std::time::Duration::from_millis(40));
    let path = Proxy::start(Settings {
        down: flambeau_loadtest::impair::link::Conditions { loss, ..delayed.down.clone() },
        ..delayed
    })
    .expect("a proxy");
    let line = "--venues 1 --srt-pulls 2 --duration 5s --rate 3Mb/s --settle 1s --pull-latency 60ms --broadcaster rtx";
    let outcome = run(&scratch, [server.ingest, path.address(), server.http], line).await;
    assert_eq!((outcome.code, &outcome.report["held"]), (Some(1), &Value::Bool(false)), "{}", outcome.said);
    assert!(outcome.total("srt_pulls", "packets_lost") > 100, "{}", outcome.said);
    let limits = outcome.report["limits"].as_array().expect("limits");
    let lost = limits.iter().find(|limit| limit["limit"] == "lost").expect("the limit");
    assert_eq!(lost["held"], false);
    assert!(outcome.said.contains("not within the limits: lost "), "{}", outcome.said);
    // What was lost was lost behind the server, and what came was as it had been sent.
    assert_eq!(outcome.total("venues", "packets_lost"), 0, "{}", outcome.said);
    assert_eq!(outcome.total("srt_pulls", "stretches_altered"), 0, "{}", outcome.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_fails_the_run() {
    let scratch = Scratch::new("loadtest-alone").await;
    let nobody = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let line = "--venues 0 --srt-pulls 1 --hls 1 --duration 4s --settle 0s";
    let outcome = run(&scratch, [nobody; 3], line).await;
    assert_eq!(outcome.code, Some(1), "{}", outcome.said);
    assert!(outcome.said.contains("absent 2, at most 0 allowed"), "{}", outcome.said);
    assert!(outcome.said.contains("connect") && outcome.said.contains("never started"), "{}", outcome.said);
}
