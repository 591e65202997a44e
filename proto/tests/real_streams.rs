//! What the demultiplexer makes of ffmpeg's streams, beside what ffprobe makes of them.

mod support;

use flambeau_media::Sample;
use flambeau_media::codec::{Codec, Picture, Sound};
use flambeau_proto::mpegts::demux::Stats;
use support::{Demuxed, Made, Probed, demux, ffmpeg};

const PERIOD: i64 = 1 << 33;

/// The NAL units of an Annex B access unit, found the slow way.
fn nal_units(data: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..data.len().saturating_sub(2)).filter(|&at| data[at..].starts_with(&[0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([data.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| {
            let unit = &data[start + 3..end];
            let zeros = unit.iter().rev().take_while(|&&byte| byte == 0).count();
            &unit[..unit.len() - zeros]
        })
        .collect()
}

/// The Sample that an Annex B access unit should become.
fn length_prefixed(unit: &[u8], left_out: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut data = Vec::new();
    for nal in nal_units(unit).into_iter().filter(|nal| !left_out(nal[0])) {
        data.extend_from_slice(&u32::try_from(nal.len()).expect("small").to_be_bytes());
        data.extend_from_slice(nal);
    }
    data
}

fn same_times(samples: &[&Sample], probed: &[Probed], tolerance: i64) {
    assert_eq!(samples.len(), probed.len(), "as many Samples as ffprobe has packets");
    // ffprobe may place a stream that begins just before the wrap below zero.
    let apart = |a: i64, b: i64| ((a - b + PERIOD / 2).rem_euclid(PERIOD) - PERIOD / 2).abs();
    for (index, (sample, packet)) in samples.iter().zip(probed).enumerate() {
        assert!(apart(sample.pts, packet.pts) <= tolerance, "{index}: pts {} and {packet:?}", sample.pts);
        assert!(apart(sample.dts, packet.dts) <= tolerance, "{index}: dts {} and {packet:?}", sample.dts);
    }
}

fn same_video(made: &Made, demuxed: &Demuxed, pid: u16, format: &str, left_out: impl Fn(u8) -> bool) {
    let (probed, samples) = (made.probe(pid), demuxed.of(pid));
    same_times(&samples, &probed, 0);
    let stream = made.elementary(pid, format);
    assert_eq!(stream.len(), probed.iter().map(|packet| packet.size).sum::<usize>());
    let mut rest = &stream[..];
    for (index, (sample, packet)) in samples.iter().zip(&probed).enumerate() {
        let (unit, after) = rest.split_at(packet.size);
        rest = after;
        assert_eq!(sample.data, length_prefixed(unit, &left_out), "the bytes of Sample {index}");
        assert_eq!(sample.sync, packet.key, "Sample {index} and {packet:?}");
    }
}

fn same_audio(made: &Made, demuxed: &Demuxed, pid: u16, head_bytes: usize) {
    let (probed, samples) = (made.probe(pid), demuxed.of(pid));
    same_times(&samples, &probed, 1);
    for (sample, packet) in samples.iter().zip(&probed) {
        assert_eq!(sample.data.len(), packet.size - head_bytes);
    }
}

fn h264_left_out(head: u8) -> bool {
    matches!(head & 0x1f, 7 | 8 | 9 | 12)
}

fn h265_left_out(head: u8) -> bool {
    matches!(head >> 1 & 0x3f, 32..=35 | 38)
}

const STEREO: Sound = Sound { sample_rate: 48_000, channels: 2 };

fn clean(stats: Stats) -> Stats {
    Stats { packets: stats.packets, ..Stats::default() }
}

#[test]
fn interlaced_pictures_with_b_frames_and_two_sounds_come_out_as_ffprobe_lists_them() {
    let made = Made::new(
        "1080i50.ts",
        "testsrc2=size=1920x1080:rate=25",
        &[
            "-t",
            "2",
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-map",
            "2:a",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-pix_fmt",
            "yuv420p",
            "-bf",
            "2",
            "-g",
            "12",
            "-flags",
            "+ilme+ildct",
            "-x264opts",
            "tff=1:open_gop=1",
            "-c:a:0",
            "mp2",
            "-c:a:1",
            "ac3",
            "-metadata:s:a:0",
            "language=eng",
            "-metadata:s:a:1",
            "language=fra",
            "-mpegts_flags",
            "system_b",
        ],
    );
    let demuxed = demux(&made.data);
    assert_eq!(demuxed.stats, clean(demuxed.stats));
    same_video(&made, &demuxed, 256, "h264", h264_left_out);
    same_audio(&made, &demuxed, 257, 0);
    same_audio(&made, &demuxed, 258, 0);
    let picture = Picture {
        width: 1920,
        height: 1080,
        sample_aspect: (1, 1),
        frame_rate: Some((25, 1)),
        interlaced: true,
    };
    assert_eq!(demuxed.track(256).codec.picture(), Some(&picture));
    assert!(demuxed.track(256).codec.rfc6381().starts_with("avc1.64"));
    assert_eq!(demuxed.track(257).codec, Codec::MpegAudio { layer: 2, sound: STEREO });
    assert_eq!(demuxed.track(257).language.as_str(), "eng");
    assert_eq!(demuxed.track(258).codec.name(), "AC-3");
    assert_eq!(demuxed.track(258).language.as_str(), "fra");
    let [program] = demuxed.programs.as_slice() else { panic!("one programme: {:?}", demuxed.programs) };
    let labels: Vec<_> = program.streams.iter().map(|stream| stream.label.as_str()).collect();
    assert_eq!(labels, ["H.264", "MPEG audio", "AC-3"]);
    assert!(demuxed.clocks.iter().all(|&(_, jumped)| !jumped) && demuxed.clocks.len() > 15);
}

#[test]
fn hevc_and_adts_come_out_as_ffprobe_lists_them() {
    let made = Made::new(
        "hevc.ts",
        "testsrc2=size=640x368:rate=30000/1001,setsar=4/3",
        &[
            "-t",
            "2",
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-c:v",
            "libx265",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p10le",
            "-x265-params",
            "bframes=2:keyint=15:open-gop=1:log-level=none",
            "-c:a",
            "aac",
        ],
    );
    let demuxed = demux(&made.data);
    assert_eq!(demuxed.stats, clean(demuxed.stats));
    same_video(&made, &demuxed, 256, "hevc", h265_left_out);
    same_audio(&made, &demuxed, 257, 7);
    let picture = Picture {
        width: 640,
        height: 368,
        sample_aspect: (4, 3),
        frame_rate: Some((30_000, 1001)),
        interlaced: false,
    };
    assert_eq!(demuxed.track(256).codec.picture(), Some(&picture));
    assert!(demuxed.track(256).codec.rfc6381().starts_with("hvc1.2."), "Main 10");
    assert_eq!(demuxed.track(257).codec.sound(), Some(&STEREO));
    assert_eq!(demuxed.track(257).codec.rfc6381(), "mp4a.40.2");
}

#[test]
fn e_ac_3_and_opus_come_out_as_ffprobe_lists_them() {
    let made = Made::new(
        "eac3.ts",
        "testsrc2=size=320x180:rate=50",
        &["-t", "2", "-map", "1:a", "-map", "2:a", "-c:a:0", "eac3", "-c:a:1", "libopus"],
    );
    let demuxed = demux(&made.data);
    assert_eq!(demuxed.stats, clean(demuxed.stats));
    same_audio(&made, &demuxed, 256, 0);
    same_audio(&made, &demuxed, 257, 0);
    assert_eq!(demuxed.track(256).codec.name(), "E-AC-3");
    assert_eq!(demuxed.track(256).codec.sound(), Some(&STEREO));
    assert_eq!(demuxed.track(257).codec.name(), "Opus");
    assert!(demuxed.of(257).iter().all(|sample| sample.duration == Some(960)));
}

#[test]
fn latm_decodes_to_the_same_sound() {
    let made = Made::new(
        "latm.ts",
        "testsrc2=size=320x180:rate=25",
        &["-t", "2", "-map", "1:a", "-c:a", "aac", "-mpegts_flags", "latm"],
    );
    let demuxed = demux(&made.data);
    assert_eq!(demuxed.stats, clean(demuxed.stats));
    same_times(&demuxed.of(256), &made.probe(256), 1);
    assert_eq!(demuxed.track(256).codec.sound(), Some(&STEREO));
    // As ADTS, for a decoder: AAC LC, 48 kHz, stereo.
    let mut adts = Vec::new();
    for sample in demuxed.of(256) {
        let len = sample.data.len() + 7;
        let head =
            [0xff, 0xf1, 0x4c, 0x80 | (len >> 11) as u8, (len >> 3) as u8, (len << 5) as u8 | 0x1f, 0xfc];
        adts.extend_from_slice(&head);
        adts.extend_from_slice(&sample.data);
    }
    let file = support::path("latm.aac");
    std::fs::write(&file, adts).expect("a writable directory");
    let decode = |path: &std::path::Path| ffmpeg(&["-i", support::text(path), "-f", "md5", "-"]);
    assert_eq!(decode(&file), decode(&made.path));
    let _ = std::fs::remove_file(file);
}

#[test]
fn times_go_on_over_the_wrap_and_stay_together() {
    let made = Made::new(
        "wrap.ts",
        "testsrc2=size=320x180:rate=25",
        &[
            "-t",
            "4",
            "-map",
            "0:v",
            "-map",
            "1:a",
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-g",
            "25",
            "-c:a",
            "aac",
            "-output_ts_offset",
            "95441",
        ],
    );
    let demuxed = demux(&made.data);
    assert_eq!(demuxed.stats, clean(demuxed.stats));
    same_times(&demuxed.of(256), &made.probe(256), 0);
    same_times(&demuxed.of(257), &made.probe(257), 1);
    for pid in [256, 257] {
        let samples = demuxed.of(pid);
        assert!(samples.windows(2).all(|pair| (1..=3600).contains(&(pair[1].dts - pair[0].dts))));
        assert!(samples[0].pts < PERIOD && samples[samples.len() - 1].pts > PERIOD, "the wrap is within");
    }
    assert!(demuxed.clocks.windows(2).all(|pair| pair[1].0 > pair[0].0 && !pair[1].1));
}
