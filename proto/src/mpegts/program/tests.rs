use proptest::prelude::*;

use super::super::psi::crc32;
use super::*;

/// A section of the long syntax with its CRC.
fn section(table: u8, extension: u16, version: u8, current: bool, part: (u8, u8), body: &[u8]) -> Vec<u8> {
    let len = (5 + body.len() + 4) as u16;
    let [a, b] = (0xb000 | len).to_be_bytes();
    let [c, d] = extension.to_be_bytes();
    let mut data = vec![table, a, b, c, d, 0xc0 | version << 1 | u8::from(current), part.0, part.1];
    data.extend_from_slice(body);
    data.extend(crc32(&data).to_be_bytes());
    data
}

fn pat(version: u8, part: (u8, u8), programs: &[(u16, u16)]) -> Vec<u8> {
    let entry = |&(number, pid): &(u16, u16)| [number.to_be_bytes(), (0xe000 | pid).to_be_bytes()].concat();
    let body: Vec<u8> = programs.iter().flat_map(entry).collect();
    section(0, 1, version, true, part, &body)
}

/// A PMT of streams as (type, PID, descriptors).
fn pmt(number: u16, version: u8, streams: &[(u8, u16, &[u8])]) -> Vec<u8> {
    let pcr = streams.first().map_or(NULL_PID, |stream| stream.1);
    let mut body = [(0xe000 | pcr).to_be_bytes(), 0xf000u16.to_be_bytes()].concat();
    for (stream_type, pid, descriptors) in streams {
        body.push(*stream_type);
        body.extend((0xe000 | pid).to_be_bytes());
        body.extend((0xf000 | descriptors.len() as u16).to_be_bytes());
        body.extend_from_slice(descriptors);
    }
    section(2, number, version, true, (0, 0), &body)
}

/// Pushes a section as packets; whether the programme followed changed.
fn push(tracker: &mut Tracker, pid: u16, section: &[u8]) -> bool {
    let payload = [&[0], section].concat();
    let pieces = payload.chunks(184).enumerate();
    pieces.fold(false, |changed, (index, piece)| changed | tracker.push(pid, piece, index == 0).program)
}

fn pids(tracker: &Tracker) -> Option<(u16, Vec<u16>)> {
    tracker.program().map(|(pmt, _)| (pmt.number, pmt.streams.iter().map(|stream| stream.pid).collect()))
}

const VIDEO: (u8, u16, &[u8]) = (0x1b, 0x100, &[]);
const AUDIO: (u8, u16, &[u8]) = (0x0f, 0x101, &[]);

#[test]
fn the_first_programme_with_picture_or_sound_is_followed_whichever_comes_first() {
    let mut tracker = Tracker::new();
    push(&mut tracker, 0, &pat(0, (0, 0), &[(0, 0x10), (1, 0x20), (2, 0x21), (3, 0x22)]));
    let (data, second, third) =
        (pmt(1, 0, &[(0x05, 0x90, &[])]), pmt(2, 0, &[VIDEO, AUDIO]), pmt(3, 0, &[(0x1b, 0x200, &[])]));
    assert!(!push(&mut tracker, 0x22, &third), "two before it are not known yet");
    assert!(!push(&mut tracker, 0x20, &data), "it has neither");
    assert!(push(&mut tracker, 0x21, &second));
    assert_eq!(pids(&tracker), Some((2, vec![0x100, 0x101])));
    assert!(!push(&mut tracker, 0x21, &second), "nothing changed");
}

#[test]
fn a_programme_before_it_that_never_comes_is_not_waited_for() {
    let mut tracker = Tracker::new();
    push(&mut tracker, 0, &pat(0, (0, 0), &[(1, 0x20), (2, 0x21)]));
    let second = pmt(2, 0, &[VIDEO]);
    assert!(!push(&mut tracker, 0x21, &second));
    assert!(push(&mut tracker, 0x21, &second));
}

#[test]
fn changes_of_a_pmt_are_told_and_what_is_only_announced_is_not() {
    let mut tracker = Tracker::new();
    push(&mut tracker, 0, &pat(0, (0, 0), &[(1, 0x20)]));
    assert!(push(&mut tracker, 0x20, &pmt(1, 0, &[VIDEO])));
    let body = [0xe1, 0x00, 0xf0, 0, 0x1b, 0xe1, 0x00, 0xf0, 0, 0x0f, 0xe1, 0x01, 0xf0, 0];
    assert!(!push(&mut tracker, 0x20, &section(2, 1, 1, false, (0, 0), &body)), "it is the next one");
    assert!(push(&mut tracker, 0x20, &section(2, 1, 1, true, (0, 0), &body)));
    assert_eq!(pids(&tracker), Some((1, vec![0x100, 0x101])));
    // Not every multiplexer counts its versions.
    assert!(push(&mut tracker, 0x20, &pmt(1, 1, &[VIDEO])));
    let mut damaged = pmt(1, 2, &[AUDIO]);
    damaged[12] ^= 1;
    assert!(!push(&mut tracker, 0x20, &damaged));
    assert_eq!(tracker.crc_errors(), 1);
}

#[test]
fn a_pat_of_several_sections_counts_once_it_is_whole() {
    let mut tracker = Tracker::new();
    push(&mut tracker, 0, &pat(3, (1, 1), &[(2, 0x21)]));
    assert_eq!(tracker.pids().collect::<Vec<_>>(), [0]);
    push(&mut tracker, 0, &pat(3, (0, 1), &[(1, 0x20)]));
    assert_eq!(tracker.pids().collect::<Vec<_>>(), [0, 0x20, 0x21]);
    push(&mut tracker, 0, &pat(4, (0, 0), &[(1, 0x30)]));
    assert_eq!(tracker.pids().collect::<Vec<_>>(), [0, 0x30]);
}

#[test]
fn a_pmt_over_several_packets_is_read() {
    let mut tracker = Tracker::new();
    push(&mut tracker, 0, &pat(0, (0, 0), &[(1, 0x20)]));
    let descriptor = [&[0x80, 200][..], &[0; 200]].concat();
    let streams: Vec<(u8, u16, &[u8])> = (0..4).map(|index| (0x0f, 0x100 + index, &descriptor[..])).collect();
    assert!(push(&mut tracker, 0x20, &pmt(1, 0, &streams)));
    assert_eq!(pids(&tracker), Some((1, vec![0x100, 0x101, 0x102, 0x103])));
}

#[test]
fn a_pmt_that_moves_or_a_programme_that_takes_another_s_place_is_followed() {
    let mut tracker = Tracker::new();
    push(&mut tracker, 0, &pat(0, (0, 0), &[(1, 0x20), (2, 0x21)]));
    push(&mut tracker, 0x20, &pmt(1, 0, &[VIDEO]));
    push(&mut tracker, 0x21, &pmt(2, 0, &[AUDIO]));
    assert!(push(&mut tracker, 0, &pat(1, (0, 0), &[(2, 0x21)])));
    assert_eq!(pids(&tracker), Some((2, vec![0x101])));
    assert!(push(&mut tracker, 0, &pat(2, (0, 0), &[(2, 0x30)])), "its PMT is elsewhere");
    assert!(push(&mut tracker, 0x30, &pmt(2, 0, &[AUDIO])));
    assert_eq!(pids(&tracker), Some((2, vec![0x101])));
}

#[test]
fn a_registration_of_the_programme_makes_type_0x86_splice_information() {
    let body = [
        &[0xe1, 0, 0xf0, 6, 5, 4, b'C', b'U', b'E', b'I'][..],
        &[0x1b, 0xe1, 0, 0xf0, 0, 0x86, 0xe1, 0xf4, 0xf0, 0],
    ]
    .concat();
    let data = section(2, 1, 0, true, (0, 0), &body);
    let parsed = Pmt::parse(&Section::parse(&data).expect("a section")).expect("a PMT");
    assert_eq!(parsed.streams[1].kind, Kind::Scte35);
}

proptest! {
    #[test]
    fn any_table_bodies_are_read_or_refused(
        bodies in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 0u8..3, 0u16..4), 0..20),
    ) {
        let mut tracker = Tracker::new();
        push(&mut tracker, 0, &pat(0, (0, 0), &[(1, 0x20), (2, 0x21), (3, 0x20)]));
        for (body, table, number) in bodies {
            for pid in [0, 0x20, 0x21] {
                push(&mut tracker, pid, &section(table, number, 1, true, (0, 0), &body));
            }
            prop_assert!(tracker.pids().count() <= PROGRAMS_MAX + 1);
        }
    }
}
