use std::process::Command;

use proptest::prelude::*;

use super::*;

/// A transport stream that ffmpeg makes of a test picture (input 0) and a tone (input 1).
fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"])
        .args(["-f", "lavfi", "-i", "sine=sample_rate=48000"])
        .args(args)
        .args(["-f", "mpegts", "-"])
        .output()
        .expect("ffmpeg is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn h264() -> Vec<u8> {
    let video = ["-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-g", "12", "-keyint_min", "12"];
    let rest =
        ["-sc_threshold", "0", "-c:a", "mp2", "-t", "4", "-muxrate", "2M", "-metadata:s:a:0", "language=eng"];
    ffmpeg(&[&video[..], &rest].concat())
}

/// Scans in pieces of seven packets: all that was shown.
fn scan(scanner: &mut Scanner, data: &[u8]) -> (Vec<u64>, Vec<Program>) {
    let (mut points, mut programs) = (Vec::new(), Vec::new());
    for (position, packets) in (0..).step_by(7 * PACKET_BYTES).zip(data.chunks(7 * PACKET_BYTES)) {
        let scanned = scanner.scan(position, packets);
        points.extend(scanned.random_access);
        programs.extend(scanned.program);
    }
    (points, programs)
}

fn pid_at(data: &[u8], position: u64) -> u16 {
    packet::pid(&data[usize::try_from(position).expect("small")..])
}

#[test]
fn random_access_points_are_the_pats_before_the_key_pictures() {
    let data = h264();
    let mut scanner = Scanner::new();
    let (points, programs) = scan(&mut scanner, &data);
    // 100 frames, a key frame every 12.
    assert_eq!(points.len(), 9);
    assert!(points.iter().all(|&position| pid_at(&data, position) == PAT_PID));
    assert_eq!(programs.len(), 1);
    let labels: Vec<_> = programs[0].streams.iter().map(|stream| stream.label.as_str()).collect();
    assert_eq!(labels, ["H.264", "MPEG audio"]);
    assert_eq!(programs[0].streams[1].language.as_deref(), Some("eng"));
    let stats = scanner.stats();
    assert_eq!((stats.continuity_errors, stats.malformed_packets, stats.crc_errors), (0, 0, 0));
    assert!(stats.null_packets > 0, "the stream is of constant rate");
    let rate = stats.bit_rate.expect("a rate");
    assert!((1_990_000..2_010_000).contains(&rate), "{rate}");
    assert!(scanner.pids().any(|pid| pid.pid == 256 && pid.packets > 100));
}

#[test]
fn key_pictures_without_a_mark_are_known_by_their_nal_units() {
    let mut data = h264();
    for packet in data.chunks_exact_mut(PACKET_BYTES) {
        if packet[3] & 0x20 != 0 && packet[4] > 0 {
            packet[5] &= !0x40;
        }
    }
    let (points, _) = scan(&mut Scanner::new(), &data);
    assert_eq!(points.len(), 9);
}

#[test]
fn a_pat_too_far_back_is_not_where_a_reader_starts() {
    let data = h264();
    // Only the first PAT stays, and the last key picture is over 500 ms behind it.
    let mut pats = 0;
    let kept: Vec<u8> = data
        .chunks_exact(PACKET_BYTES)
        .filter(|packet| {
            let is_pat = packet::pid(packet) == PAT_PID;
            pats += usize::from(is_pat);
            !is_pat || pats == 1
        })
        .flatten()
        .copied()
        .collect();
    let (points, _) = scan(&mut Scanner::new(), &kept);
    let pids: Vec<_> = points.iter().map(|&position| pid_at(&kept, position)).collect();
    assert_eq!(pids[0], PAT_PID);
    assert!(pids.len() == 9 && pids[2..].iter().all(|&pid| pid == 256));
}

#[test]
fn a_programme_of_sound_alone_is_entered_at_each_pat() {
    let data = ffmpeg(&["-map", "1:a", "-c:a", "aac", "-t", "2"]);
    let (points, programs) = scan(&mut Scanner::new(), &data);
    assert_eq!(programs.len(), 1);
    let pats = (0..).step_by(PACKET_BYTES).take(data.len() / PACKET_BYTES);
    assert_eq!(points, pats.filter(|&position| pid_at(&data, position) == PAT_PID).collect::<Vec<_>>());
}

#[test]
fn missing_packets_are_counted_for_their_pid_unless_they_are_known_to_be_missing() {
    let data = h264();
    let packets: Vec<&[u8]> = data.chunks_exact(PACKET_BYTES).collect();
    let video: Vec<usize> = (0..packets.len()).filter(|&at| packet::pid(packets[at]) == 256).collect();
    let (before, after) = (&packets[..video[50]], &packets[video[51]..]);
    let mut scanner = Scanner::new();
    scanner.scan(0, &before.concat());
    scanner.scan(0, &after.concat());
    assert_eq!(scanner.stats().continuity_errors, 1);
    assert!(scanner.pids().any(|pid| pid.pid == 256 && pid.continuity_errors == 1));
    let mut scanner = Scanner::new();
    scanner.scan(0, &before.concat());
    scanner.discontinuity();
    scanner.scan(0, &after.concat());
    assert_eq!(scanner.stats().continuity_errors, 0);
}

proptest! {
    #[test]
    fn any_packets_are_scanned(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), PACKET_BYTES), 0..300)) {
        let mut data = packets.concat();
        for packet in data.chunks_exact_mut(PACKET_BYTES) {
            packet[0] = 0x47;
            packet[1] &= 0x7f;
        }
        let mut scanner = Scanner::new();
        scan(&mut scanner, &data);
        prop_assert!(scanner.pids().count() <= PIDS_MAX);
    }
}
