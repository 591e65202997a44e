//! What taking a Feed apart costs.

use std::hint::black_box;
use std::process::Command;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flambeau_proto::mpegts::demux::Demuxer;

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
    output.stdout
}

fn demux(criterion: &mut Criterion) {
    let data = stream();
    let mut group = criterion.benchmark_group("mpegts");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("demux", |bencher| {
        bencher.iter(|| {
            let mut demuxer = Demuxer::new();
            for packets in data.chunks(7 * 188) {
                demuxer.push(packets, &mut |event| drop(black_box(event)));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, demux);
criterion_main!(benches);
