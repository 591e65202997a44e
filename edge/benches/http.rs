//! What a request costs without a socket: a Part and a Playlist through the service, and what it costs to wake those
//! who wait for a Part.

use std::hint::black_box;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flambeau_config::{Config, Policy};
use flambeau_edge::http::{Stats, router};
use flambeau_media::channel::{Change, Channel, Kind, Object, Playlist, Position};
use flambeau_media::directory::Directory;
use http::Request;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

fn playlist(sequence: u64, parts: u32) -> Playlist {
    Playlist {
        body: "#EXTINF:2,\n100.0.m4s\n".repeat(250).into(),
        content_type: "application/vnd.apple.mpegurl",
        newest: Some(Position { sequence, parts }),
        ..Playlist::default()
    }
}

fn commit(channel: &Channel, sequence: u64, parts: u32) {
    let playlists = vec![("v256/index.m3u8".into(), playlist(sequence, parts))];
    channel.commit(Change { playlists, ..Change::default() });
}

struct Node {
    runtime: Runtime,
    channel: Arc<Channel>,
    stats: Arc<Stats>,
    service: Router,
}

fn node() -> Node {
    let directory = Arc::new(Directory::default());
    let channel = Channel::new("athletics".parse().expect("an id"), "venue".parse().expect("an id"));
    // 200 ms of 20 Mb/s.
    let part = Object::new(Kind::Part, "video/mp4", vec![Bytes::from(vec![0; 500_000])]);
    channel.commit(Change { objects: vec![("v256/100.0.m4s".into(), part)], ..Change::default() });
    commit(&channel, 100, 3);
    directory.open_channel(channel.clone());
    let config = Config::lab();
    let stats = Arc::new(Stats::default());
    let policy = Policy::new(&config);
    let service = router(&config.edge.http, policy, directory, stats.clone(), CancellationToken::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    Node { runtime, channel, stats, service }
}

fn get(path: &str, gzip: bool) -> Request<Body> {
    let request = Request::get(path);
    let request = if gzip { request.header("accept-encoding", "gzip") } else { request };
    request.body(Body::empty()).expect("a request")
}

fn requests(criterion: &mut Criterion) {
    let node = node();
    for (name, path, gzip) in [
        ("part", "/athletics/v256/100.0.m4s", false),
        ("playlist", "/athletics/v256/index.m3u8", false),
        ("playlist_gzip", "/athletics/v256/index.m3u8", true),
        ("playlist_addressed", "/athletics/v256/index.m3u8?_HLS_msn=100&_HLS_part=2", false),
    ] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let answer = node.service.clone().call(get(path, gzip));
                let response = node.runtime.block_on(answer).expect("infallible");
                assert_eq!(response.status(), 200);
                black_box(response)
            });
        });
    }
}

/// From the commit of a Part to the last of a thousand answers, on one thread.
fn wake_up(criterion: &mut Criterion) {
    const WAITERS: u64 = 1000;
    let node = node();
    let mut sequence = 100;
    let mut group = criterion.benchmark_group("wake_up");
    group.throughput(Throughput::Elements(WAITERS));
    group.bench_function("blocked_reloads_1000", |bencher| {
        bencher.iter_batched(
            || {
                sequence += 1;
                commit(&node.channel, sequence, 1);
                let path = format!("/athletics/v256/index.m3u8?_HLS_msn={sequence}&_HLS_part=1");
                let mut waiters = JoinSet::new();
                for _ in 0..WAITERS {
                    let answer = node.service.clone().call(get(&path, false));
                    waiters.spawn_on(answer, node.runtime.handle());
                }
                node.runtime.block_on(async {
                    while node.stats.snapshot().blocked < WAITERS {
                        tokio::task::yield_now().await;
                    }
                });
                (waiters, sequence)
            },
            |(mut waiters, sequence)| {
                commit(&node.channel, sequence, 2);
                node.runtime.block_on(async {
                    while let Some(answer) = waiters.join_next().await {
                        black_box(answer.expect("no panic").expect("infallible"));
                    }
                });
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, requests, wake_up);
criterion_main!(benches);
