//! Streams that are damaged, joined, spliced, or laid out as few encoders do.

mod support;

use std::sync::OnceLock;

use flambeau_media::{Sample, TrackId};
use flambeau_proto::mpegts::demux::{Demuxer, Event};
use support::mux::{Mux, Pes};
use support::{Demuxed, Made, demux};

const VIDEO: u16 = 256;
const AUDIO: u16 = 257;
const FRAME: i64 = 3600;

/// 50 pictures without reordering and their sound, a key frame every 10.
fn plain() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| {
        made("plain.ts", "testsrc2=size=320x180:rate=25", &["-bf", "0", "-g", "10", "-t", "2"])
    })
}

/// The same with B-frames in open GOPs.
fn open() -> &'static [u8] {
    static STREAM: OnceLock<Vec<u8>> = OnceLock::new();
    STREAM.get_or_init(|| {
        let args = ["-bf", "2", "-g", "10", "-x264opts", "open_gop=1", "-t", "2"];
        made("open.ts", "testsrc2=size=320x180:rate=25", &args)
    })
}

fn made(name: &str, picture: &str, args: &[&str]) -> Vec<u8> {
    let codecs =
        ["-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"];
    let rest = ["-sc_threshold", "0", "-c:a", "mp2"];
    std::mem::take(&mut Made::new(name, picture, &[&codecs[..], &rest, args].concat()).data)
}

/// The pictures of [`plain`] as Annex B, each with its parameter sets where it is a key frame.
fn pictures() -> Vec<Vec<u8>> {
    let demuxed = demux(plain());
    let avcc = match &demuxed.track(VIDEO).codec {
        flambeau_media::codec::Codec::H264 { avcc, .. } => avcc.clone(),
        other => panic!("{other:?}"),
    };
    // One sequence and one picture parameter set (ISO/IEC 14496-15, 5.3.3.1).
    let sps_len = usize::from(u16::from_be_bytes([avcc[6], avcc[7]]));
    let pps_at = 8 + sps_len + 1;
    let pps_len = usize::from(u16::from_be_bytes([avcc[pps_at], avcc[pps_at + 1]]));
    let sets = [&avcc[8..8 + sps_len], &avcc[pps_at + 2..pps_at + 2 + pps_len]];
    let annex_b = |sample: &Sample| {
        let mut data = vec![0, 0, 0, 1, 9, 0xf0];
        let sets = sets.iter().filter(|_| sample.sync).map(|set| set.to_vec());
        let mut rest = &sample.data[..];
        let nals = std::iter::from_fn(|| {
            let (len, after) = rest.split_first_chunk::<4>()?;
            let (nal, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            rest = after;
            Some(nal.to_vec())
        });
        for nal in sets.chain(nals) {
            data.extend([0, 0, 1]);
            data.extend(nal);
        }
        data
    };
    demuxed.of(VIDEO).into_iter().map(annex_b).collect()
}

fn video(pts: Option<i64>, bounded: bool, data: &[u8]) -> Pes<'_> {
    Pes { pid: VIDEO, id: 0xe0, pts, dts: None, bounded, pcr: pts.map(|pts| pts - 9000), data }
}

/// A stream of video alone, whose PES packets `write` writes.
fn muxed(write: impl FnOnce(&mut Mux)) -> Demuxed {
    let mut mux = Mux::default();
    mux.program(0, VIDEO, &[(0x1b, VIDEO, &[])]);
    write(&mut mux);
    demux(&mux.data)
}

fn same_as_plain(demuxed: &Demuxed) {
    let plain = demux(plain());
    let (expected, samples) = (plain.of(VIDEO), demuxed.of(VIDEO));
    assert_eq!(samples.len(), expected.len());
    for (index, (sample, expected)) in (0i64..).zip(samples.iter().zip(expected)) {
        assert_eq!((sample.pts, sample.dts), (90_000 + index * FRAME, 90_000 + index * FRAME));
        assert_eq!((&sample.data, sample.sync), (&expected.data, expected.sync), "Sample {index}");
    }
}

#[test]
fn several_pictures_in_a_pes_packet_are_told_apart() {
    let demuxed = muxed(|mux| {
        for (index, group) in (0i64..).zip(pictures().chunks(5)) {
            mux.pes(video(Some(90_000 + index * 5 * FRAME), false, &group.concat()));
        }
    });
    same_as_plain(&demuxed);
}

#[test]
fn a_picture_over_several_pes_packets_is_joined() {
    for bounded in [false, true] {
        let demuxed = muxed(|mux| {
            for (index, picture) in (0i64..).zip(pictures()) {
                for (part, data) in picture.chunks(400).enumerate() {
                    mux.pes(video((part == 0).then_some(90_000 + index * FRAME), bounded, data));
                }
            }
        });
        same_as_plain(&demuxed);
    }
}

#[test]
fn pes_packets_that_begin_within_pictures_are_read() {
    let pictures = pictures();
    let demuxed = muxed(|mux| {
        // Each PES packet has the tail of one picture and the head of the next, whose time it bears.
        let mut tail: &[u8] = &[0xff; 50];
        for (index, picture) in (0i64..).zip(&pictures) {
            let (head, rest) = picture.split_at(picture.len() / 2);
            mux.pes(video(Some(90_000 + index * FRAME), false, &[tail, head].concat()));
            tail = rest;
        }
        mux.pes(video(None, false, tail));
    });
    same_as_plain(&demuxed);
}

#[test]
fn packets_sent_twice_count_once() {
    let twice: Vec<u8> = plain().chunks_exact(188).flat_map(|packet| [packet, packet].concat()).collect();
    let (once, twice) = (demux(plain()), demux(&twice));
    assert_eq!(once.samples, twice.samples);
    assert_eq!(twice.stats.continuity_errors, 0);
}

#[test]
fn a_missing_packet_costs_one_picture_and_is_counted() {
    let packets: Vec<&[u8]> = plain().chunks_exact(188).collect();
    let is_body = |packet: &&[u8]| packet[1] & 0x5f == 1 && packet[2] == 0 && packet[3] & 0x20 == 0;
    let victim =
        packets.iter().skip(packets.len() / 2).position(is_body).expect("a packet") + packets.len() / 2;
    let kept: Vec<u8> = [&packets[..victim], &packets[victim + 1..]].concat().concat();
    let (whole, damaged) = (demux(plain()), demux(&kept));
    assert_eq!(damaged.stats.continuity_errors, 1);
    assert_eq!(damaged.samples.len(), whole.samples.len() - 1);
    assert!(damaged.samples.iter().all(|sample| whole.samples.contains(sample)), "none is damaged");
    assert_eq!(damaged.tracks.len(), whole.tracks.len());
}

#[test]
fn a_known_gap_drops_what_was_begun_without_an_error() {
    let (mut demuxer, mut all) = (Demuxer::new(), Demuxed::default());
    let packets: Vec<&[u8]> = plain().chunks_exact(188).collect();
    let middle = packets.len() / 2;
    packets[..middle].iter().for_each(|packet| demuxer.push(packet, &mut |event| all.take(event)));
    demuxer.discontinuity();
    packets[middle + 20..].iter().for_each(|packet| demuxer.push(packet, &mut |event| all.take(event)));
    demuxer.flush(&mut |event| all.take(event));
    assert_eq!(demuxer.stats().continuity_errors, 0);
    let whole = demux(plain());
    assert!(all.samples.len() > whole.samples.len() - 30);
    assert!(all.samples.iter().all(|sample| whole.samples.contains(sample)), "none is damaged");
    assert!(all.clocks.iter().all(|&(_, jumped)| !jumped), "a step over a gap is no jump");
}

#[test]
fn a_join_within_a_group_of_pictures_starts_at_the_next_random_access_point() {
    for stream in [plain(), open()] {
        let whole = demux(stream);
        for start in (1..stream.len() / 188 / 2).step_by(7) {
            let joined = demux(&stream[start * 188..]);
            let samples = joined.of(VIDEO);
            assert!(samples[0].sync, "join at {start}");
            assert!(
                samples.iter().all(|sample| sample.pts >= samples[0].pts),
                "no picture leans on lost ones"
            );
            assert!(samples.iter().all(|sample| whole.of(VIDEO).contains(sample)));
            assert!(joined.of(AUDIO).len() > 10);
        }
    }
}

/// One MP2 frame of 48 kHz, 192 kbit/s.
fn mp2() -> Vec<u8> {
    let mut frame = vec![0xff, 0xfd, 0xa4, 0x00];
    frame.resize(576, 0x11);
    frame
}

/// One AC-3 frame of 48 kHz, 64 kbit/s, 2/0.
fn ac3() -> Vec<u8> {
    let mut frame = vec![0x0b, 0x77, 0, 0, 8, 0x40, 0x40];
    frame.resize(256, 0x11);
    frame
}

#[test]
fn streams_come_late_change_their_type_and_go() {
    let (mp2, ac3) = (mp2(), ac3());
    let sound = |at: i64, data| Pes {
        pid: AUDIO,
        id: 0xc0,
        pts: Some(at),
        dts: None,
        bounded: true,
        pcr: None,
        data,
    };
    let pictures = pictures();
    let english: &[u8] = &[0x0a, 4, b'e', b'n', b'g', 0];
    let french: &[u8] = &[0x0a, 4, b'f', b'r', b'a', 0];
    let mut mux = Mux::default();
    mux.program(0, VIDEO, &[(0x1b, VIDEO, &[])]);
    mux.pes(video(Some(90_000), false, &pictures[0]));
    mux.pes(sound(90_000, &mp2));
    mux.program(1, VIDEO, &[(0x1b, VIDEO, &[]), (0x04, AUDIO, english)]);
    mux.pes(sound(92_000, &mp2));
    mux.pes(video(Some(93_600), false, &pictures[1]));
    mux.program(2, VIDEO, &[(0x1b, VIDEO, &[]), (0x04, AUDIO, french)]);
    mux.pes(sound(94_000, &mp2));
    mux.program(3, VIDEO, &[(0x1b, VIDEO, &[]), (0x81, AUDIO, french)]);
    mux.pes(sound(96_000, &ac3));
    mux.program(4, VIDEO, &[(0x1b, VIDEO, &[])]);
    mux.pes(sound(98_000, &ac3));
    let demuxed = demux(&mux.data);
    assert_eq!(demuxed.programs.len(), 5);
    let tracks: Vec<_> = demuxed
        .tracks
        .iter()
        .filter(|track| track.id == TrackId(AUDIO))
        .map(|track| (track.codec.name(), track.language.to_string()))
        .collect();
    assert_eq!(tracks, [("MP2", "eng".into()), ("MP2", "fra".into()), ("AC-3", "fra".into())]);
    assert_eq!(demuxed.gone, [TrackId(AUDIO); 2]);
    let times: Vec<_> = demuxed.of(AUDIO).iter().map(|sample| sample.pts).collect();
    assert_eq!(times, [92_000, 94_000, 96_000], "what is not in the PMT is not read");
    assert_eq!(demuxed.of(VIDEO).len(), 2);
}

#[test]
fn a_change_of_resolution_is_told_before_the_first_picture_it_applies_to() {
    let larger = made("larger.ts", "testsrc2=size=640x360:rate=25", &["-bf", "0", "-g", "10", "-t", "1"]);
    let (mut demuxer, mut widths) = (Demuxer::new(), Vec::new());
    let mut track = 0;
    for data in [plain(), &larger, plain()] {
        demuxer.push(data, &mut |event| match event {
            Event::Track(new) if new.id.0 == VIDEO => {
                track = new.codec.picture().map_or(0, |picture| picture.width);
            }
            Event::Sample(TrackId(VIDEO), _) if widths.last() != Some(&track) => widths.push(track),
            _ => {}
        });
    }
    assert_eq!(widths, [320, 640, 320]);
}

#[test]
fn a_clock_that_jumps_back_says_so_once_and_samples_follow_it() {
    let (mut demuxer, mut all) = (Demuxer::new(), Demuxed::default());
    let later = made(
        "later.ts",
        "testsrc2=size=320x180:rate=25",
        &["-bf", "0", "-g", "10", "-t", "2", "-output_ts_offset", "5000"],
    );
    for data in [later.as_slice(), plain()] {
        demuxer.push(data, &mut |event| all.take(event));
    }
    demuxer.flush(&mut |event| all.take(event));
    let jumps: Vec<_> = all.clocks.iter().filter(|clock| clock.1).collect();
    assert_eq!(jumps.len(), 1, "{:?}", all.clocks);
    assert!(jumps[0].0 < 90_000 * 3 && demuxer.stats().clock_jumps == 1);
    let (early, late): (Vec<&Sample>, Vec<&Sample>) =
        all.of(VIDEO).into_iter().partition(|sample| sample.pts > 90_000 * 4000);
    // The counters break where the streams meet, so the last picture of the first one may lack its end.
    assert_eq!((early.len(), late.len()), (49, 50));
    assert!(demux(plain()).of(VIDEO).iter().zip(late).all(|(a, b)| a.pts == b.pts));
}

#[test]
fn stamps_that_jump_before_their_clock_are_one_jump() {
    let sound = mp2();
    let pes =
        |at, pcr| Pes { pid: AUDIO, id: 0xc0, pts: Some(at), dts: None, bounded: true, pcr, data: &sound };
    let mut mux = Mux::default();
    mux.program(0, VIDEO, &[(0x04, AUDIO, &[])]);
    for index in 0..20 {
        mux.clock(VIDEO, 90_000 + index * 2160);
        mux.pes(pes(99_000 + index * 2160, None));
    }
    for index in 0..20 {
        if index > 8 {
            mux.clock(VIDEO, 90_000_000 + index * 2160);
        }
        mux.pes(pes(90_009_000 + index * 2160, None));
    }
    let demuxed = demux(&mux.data);
    assert_eq!(demuxed.clocks.iter().filter(|clock| clock.1).count(), 1);
    assert_eq!(demuxed.stats.clock_jumps, 1);
    // The first few might as well have been wrong.
    assert_eq!(demuxed.of(AUDIO).len(), 36);
    assert_eq!(demuxed.stats.dropped_units, 4);
}

#[test]
fn splice_information_comes_out_whole_with_its_time() {
    // A time_signal at 0x0001_0000, adjusted by 0x100, over no other packet's bounds.
    let mut splice =
        vec![0xfc, 0x30, 0x16, 0, 0, 0, 0, 1, 0, 0, 0xff, 0xf0, 0x05, 0x06, 0xfe, 0, 1, 0, 0, 0, 0];
    splice.extend(flambeau_proto::mpegts::psi::crc32(&splice).to_be_bytes());
    let mut mux = Mux::default();
    let descriptor: &[u8] = &[5, 4, b'C', b'U', b'E', b'I'];
    mux.program(0, VIDEO, &[(0x1b, VIDEO, &[]), (0x86, 500, descriptor)]);
    mux.clock(VIDEO, 50_000);
    mux.section(500, &splice);
    splice[8] ^= 1;
    mux.section(500, &splice);
    let demuxed = demux(&mux.data);
    assert_eq!(demuxed.splices, [(500, Some(0x0001_0100))]);
    assert_eq!(demuxed.stats.crc_errors, 1);
    assert_eq!(demuxed.programs[0].streams[1].label, "SCTE-35");
}

#[test]
fn damaged_and_scrambled_packets_are_counted_and_left_out() {
    let mut data = plain().to_vec();
    for (index, packet) in data.chunks_exact_mut(188).enumerate().skip(100) {
        match index % 50 {
            0 => packet[1] |= 0x80,
            1 => packet[3] |= 0x80,
            2 => packet[0] = 0,
            _ => {}
        }
    }
    let demuxed = demux(&data);
    let stats = demuxed.stats;
    assert!(stats.transport_errors > 0 && stats.scrambled > 0 && stats.malformed_packets > 0);
    assert!(demuxed.samples.len() > 30);
}

/// As in a venue whose encoder dies: a broken picture would be seen until the next key frame.
#[test]
fn a_stream_cut_off_anywhere_ends_with_a_whole_picture() {
    let whole = demux(plain());
    let (pictures, packets) = (whole.of(VIDEO), plain().len() / 188);
    let mut cut_off = 0;
    for length in packets / 2..packets {
        let demuxed = demux(&plain()[..length * 188]);
        let got = demuxed.of(VIDEO);
        for (index, (got, picture)) in got.iter().zip(&pictures).enumerate() {
            assert!(got.data == picture.data, "picture {index} of the first {length} packets");
        }
        cut_off += demuxed.stats.dropped_units;
    }
    assert!(cut_off > 0 && whole.stats.dropped_units == 0);
}
