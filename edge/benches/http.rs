//! What a request costs without a socket: a Part and a media Playlist through the service.

use std::hint::black_box;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use flambeau_config::{Config, Policy};
use flambeau_edge::http::{Stats, router};
use flambeau_media::channel::{Change, Channel, Kind, Object, Playlist, Position};
use flambeau_media::directory::Directory;
use http::Request;
use tokio_util::sync::CancellationToken;
use tower::Service as _;

fn directory() -> Arc<Directory> {
    let directory = Arc::new(Directory::default());
    let channel = Channel::new("athletics".parse().expect("an id"), "venue".parse().expect("an id"));
    // 200 ms of 20 Mb/s.
    let part = Object::new(Kind::Part, "video/mp4", vec![Bytes::from(vec![0; 500_000])]);
    let playlist = Playlist {
        body: vec![b'#'; 5000].into(),
        content_type: "application/vnd.apple.mpegurl",
        newest: Some(Position { sequence: 100, parts: 3 }),
        ..Playlist::default()
    };
    channel.commit(Change {
        objects: vec![("v256/100.0.m4s".into(), part)],
        playlists: vec![("v256/index.m3u8".into(), playlist)],
        ..Change::default()
    });
    directory.open_channel(channel);
    directory
}

fn requests(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = Config::lab();
    let policy = Policy::new(&config);
    let stats = Arc::new(Stats::default());
    let service = router(&config.edge.http, policy, directory(), stats, CancellationToken::new());
    for (name, path) in [
        ("part", "/athletics/v256/100.0.m4s"),
        ("playlist", "/athletics/v256/index.m3u8"),
        ("playlist_addressed", "/athletics/v256/index.m3u8?_HLS_msn=100&_HLS_part=2"),
    ] {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let request = Request::get(path).body(Body::empty()).expect("a request");
                let response = runtime.block_on(service.clone().call(request)).expect("infallible");
                assert_eq!(response.status(), 200);
                black_box(response)
            });
        });
    }
}

criterion_group!(benches, requests);
criterion_main!(benches);
