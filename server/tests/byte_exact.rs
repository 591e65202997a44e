//! What a venue publishes is what broadcasters get: byte for byte, null packets and SCTE-35 included.

mod common;

use std::fmt::Write;
use std::time::Duration;

use common::publish::Publisher;
use common::pull::{HashingPuller, OUTPUT_BUFFER_BYTES};
use common::scratch::Scratch;
use common::server::{Server, Setup};
use common::srt::Srt;
use common::stream::Stream;
use common::{full, seconds, until};
use flambeau_loadtest::impair::{Proxy, Settings};
use flambeau_loadtest::ts;

const FEED: &str = "athletics-main";
const PASSPHRASE: &str = "bear-the-flame-2028";
const MEGABITS_PER_SECOND: u64 = 20;
/// Time for retransmission: twenty-five round trips, and room for a machine that is busy with other things.
const LATENCY_MS: u32 = 1000;

/// Null packets after the stream: a tenth of a second, whole reads of srt-live-transmit's input.
const TAIL_PACKETS: usize = 70 * 20;

#[tokio::test(flavor = "multi_thread")]
async fn one_puller_gets_every_byte() {
    exact("one", Case { pullers: 1, key: None, lossy: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_puller_gets_every_byte_under_aes_256() {
    exact("one-aes", Case { pullers: 1, key: Some((PASSPHRASE, 32)), lossy: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_puller_gets_every_byte_over_lossy_paths() {
    exact("one-lossy", Case { pullers: 1, key: None, lossy: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_puller_gets_every_byte_under_aes_256_over_lossy_paths() {
    exact("one-aes-lossy", Case { pullers: 1, key: Some((PASSPHRASE, 32)), lossy: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_pullers_get_every_byte() {
    exact("twenty", Case { pullers: 20, key: None, lossy: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_pullers_get_every_byte_under_aes_256() {
    exact("twenty-aes", Case { pullers: 20, key: Some((PASSPHRASE, 32)), lossy: false }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_pullers_get_every_byte_over_lossy_paths() {
    exact("twenty-lossy", Case { pullers: 20, key: None, lossy: true }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_pullers_get_every_byte_under_aes_256_over_lossy_paths() {
    exact("twenty-aes-lossy", Case { pullers: 20, key: Some((PASSPHRASE, 32)), lossy: true }).await;
}

/// How a stream is carried.
struct Case {
    pullers: usize,
    key: Option<(&'static str, u8)>,
    /// 2 % loss each way and a round trip of 40 ms, before the server and behind it.
    lossy: bool,
}

async fn exact(name: &str, case: Case) {
    let scratch = Scratch::new(&format!("byte-exact-{name}")).await;
    let length = seconds(if full() { 60 } else { 10 });
    let stream = Stream::make(&scratch, length, MEGABITS_PER_SECOND).await;
    let survey = ts::survey(&stream.bytes).expect("whole TS packets");
    assert!(survey.nulls > 0 && survey.splices > 0, "the stream lacks nulls or SCTE-35: {survey:?}");

    let server =
        Server::start(&scratch, &Setup::feeds(&[FEED], case.key.map(|(passphrase, _)| passphrase))).await;
    let paths = case.lossy.then(|| [lossy(server.ingest, 1), lossy(server.edge, 2)]);
    let [ingest, edge] = match &paths {
        Some(paths) => paths.each_ref().map(Proxy::address),
        None => [server.ingest, server.edge],
    };
    let request = Srt::request(edge, FEED, "rtx").encrypted(case.key).latency(LATENCY_MS);
    let mut pullers: Vec<_> = (0..case.pullers)
        .map(|index| HashingPuller::start(&scratch, &format!("pull-{index}"), &request, stream.bytes.len()))
        .collect();
    tokio::time::sleep(seconds(2)).await;
    for puller in &mut pullers {
        puller.tool.must_run();
    }

    let publish = Srt::publish(ingest, FEED).encrypted(case.key).latency(LATENCY_MS);
    let published = lasting(&stream);
    let most = published.len() as u64;
    let publisher = Publisher::of_bytes(&scratch, "publish", published, stream.rate, &publish);
    publisher.all_sent(length + seconds(10)).await;
    arrival(&mut pullers, stream.bytes.len() as u64).await;

    let mut faults = String::new();
    for (index, puller) in pullers.into_iter().enumerate() {
        let (received, hash) = puller.finish().await;
        if hash != stream.sha256() {
            let _ = writeln!(
                faults,
                "puller {index}: another SHA-256; {received} of {} bytes",
                stream.bytes.len()
            );
        }
        if received > most {
            let _ = writeln!(faults, "puller {index}: {received} bytes where {most} were published");
        }
    }
    let reports = paths.map(|paths| paths.map(|path| path.report()));
    assert!(faults.is_empty(), "{faults}{reports:#?}");
    for report in reports.into_iter().flatten() {
        assert!(report.up.lost > 0 && report.down.lost > 0, "the path lost nothing: {report:?}");
    }
}

/// The stream, and null packets after it. A venue does not end with its last picture: libsrt sends the very last
/// packet of a session once, so a receiver that never saw it cannot know of it.
fn lasting(stream: &Stream) -> Vec<u8> {
    let mut null = [0xff; ts::PACKET_BYTES];
    null[..4].copy_from_slice(&[0x47, 0x1f, 0xff, 0x10]);
    [&stream.bytes[..], &null.repeat(TAIL_PACKETS)].concat()
}

/// Waits until each puller has `bytes`, and a little longer, for what should not come.
async fn arrival(pullers: &mut [HashingPuller], bytes: u64) {
    let end = tokio::time::Instant::now() + seconds(15);
    until(seconds(20), "the pullers receive", async || {
        let all = pullers.iter().all(|puller| puller.received() + OUTPUT_BUFFER_BYTES >= bytes);
        (all || tokio::time::Instant::now() > end).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(u64::from(LATENCY_MS) + 500)).await;
}

fn lossy(to: std::net::SocketAddr, seed: u64) -> Proxy {
    let settings = Settings { seed, ..Settings::clean(to) }.both_ways(|link| {
        link.loss = "2%".parse().expect("a share");
        link.delay = Duration::from_millis(20);
    });
    Proxy::start(settings).expect("a proxy")
}
