//! How fast a transport stream becomes Parts, Segments and Playlists: 10 s of 1080p at 10 Mb/s with sound.

use std::process::Command;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flambeau_media::Utc;
use flambeau_media::feed::Chunk;
use flambeau_packager::{Offline, Timing};

/// The stream, and its chunks of seven packets as an SRT session brings them.
fn chunks() -> (usize, Vec<Chunk>) {
    let arguments = "-v error -nostdin -f lavfi -i testsrc2=size=1920x1080:rate=25 -f lavfi -i sine=440 -t 10 \
                     -c:v libx264 -preset ultrafast -g 25 -b:v 10M -minrate 10M -maxrate 10M -bufsize 5M \
                     -x264-params nal-hrd=cbr -c:a aac -f mpegts -";
    let output = Command::new("ffmpeg").args(arguments.split_whitespace()).output();
    let stream = output.expect("ffmpeg is needed").stdout;
    let pieces = stream.chunks(7 * 188);
    let count = pieces.len() as i64;
    let time = Instant::now();
    let mut position = 0;
    let chunk = |(n, piece): (usize, &[u8])| {
        position += piece.len() as u64;
        Chunk {
            position: position - piece.len() as u64,
            data: piece.to_vec().into(),
            time,
            utc: Utc(1_795_351_881_000_000 + n as i64 * 10_000_000 / count),
            discontinuity: false,
        }
    };
    (stream.len(), pieces.enumerate().map(chunk).collect())
}

fn packaging(criterion: &mut Criterion) {
    let (bytes, chunks) = chunks();
    let timing = Timing {
        part: std::time::Duration::from_millis(200),
        segment: std::time::Duration::from_secs(2),
        window: std::time::Duration::from_secs(600),
        memory_max: 1 << 30,
        low_latency_dash: true,
        hls_gaps: true,
    };
    let mut group = criterion.benchmark_group("packaging");
    group.sample_size(10).throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("1080p 10 Mb/s", |bencher| {
        bencher.iter_batched(
            || Offline::new("athletics".parse().expect("an id"), timing),
            |mut packager| {
                let changes = chunks.iter().filter_map(|chunk| packager.push(chunk)).count();
                assert!(changes > 0 && packager.finish().is_some());
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, packaging);
criterion_main!(benches);
