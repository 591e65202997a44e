//! What every packet of every Feed costs before it is in the ring.

use std::hint::black_box;
use std::process::Command;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flambeau_ingest::signal::{Aligner, Scanner};

const PAYLOAD_BYTES: usize = 7 * 188;

/// Four seconds of 1080p25 at 20 Mb/s with null packets, as ffmpeg sends it.
fn stream() -> Vec<u8> {
    let source = "testsrc2=size=1920x1080:rate=25";
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine"])
        .args([
            "-t",
            "4",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-b:v",
            "17M",
            "-g",
            "25",
            "-c:a",
            "mp2",
        ])
        .args(["-muxrate", "20M", "-f", "mpegts", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut data = output.stdout;
    data.truncate(data.len() / PAYLOAD_BYTES * PAYLOAD_BYTES);
    data
}

fn signal(criterion: &mut Criterion) {
    let data = Bytes::from(stream());
    let payloads: Vec<Bytes> =
        (0..data.len()).step_by(PAYLOAD_BYTES).map(|at| data.slice(at..at + PAYLOAD_BYTES)).collect();
    let mut group = criterion.benchmark_group("signal");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("align", |bencher| {
        bencher.iter(|| {
            let mut aligner = Aligner::new();
            for payload in &payloads {
                aligner.push(payload.clone(), &mut |packets| drop(black_box(packets))).expect("packets");
            }
        });
    });
    group.bench_function("scan", |bencher| {
        bencher.iter(|| {
            let mut scanner = Scanner::new();
            for (position, payload) in (0..).step_by(PAYLOAD_BYTES).zip(&payloads) {
                black_box(scanner.scan(position, payload));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, signal);
criterion_main!(benches);
