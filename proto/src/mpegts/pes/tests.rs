use proptest::prelude::*;

use super::*;

/// A PTS or DTS of 33 bits, marker bits set.
fn stamp(prefix: u8, value: u64) -> [u8; 5] {
    let part = |shift: u32, bits: u32| (value >> shift & ((1 << bits) - 1)) as u8;
    [prefix << 4 | part(30, 3) << 1 | 1, part(22, 8), part(15, 7) << 1 | 1, part(7, 8), part(0, 7) << 1 | 1]
}

/// A PES packet; `bounded` tells its length.
fn pes(pts: Option<u64>, dts: Option<u64>, data: &[u8], bounded: bool) -> Vec<u8> {
    let mut fields = Vec::new();
    if let Some(pts) = pts {
        fields.extend(stamp(if dts.is_some() { 3 } else { 2 }, pts));
        fields.extend(dts.map(|dts| stamp(1, dts)).into_iter().flatten());
    }
    let flags = u8::from(pts.is_some()) << 7 | u8::from(dts.is_some()) << 6;
    let len = if bounded { (3 + fields.len() + data.len()) as u16 } else { 0 };
    let [high, low] = len.to_be_bytes();
    let mut packet = vec![0, 0, 1, 0xe0, high, low, 0x80, flags, fields.len() as u8];
    packet.extend(fields);
    packet.extend_from_slice(data);
    packet
}

/// Pushes PES packets in pieces of `size`; the units that become whole, and the last one.
fn units(assembler: &mut Assembler, packets: &[Vec<u8>], size: usize) -> Vec<(Vec<u8>, Option<u64>)> {
    let mut out = Vec::new();
    let mut keep = |assembler: &mut Assembler| {
        out.extend(assembler.unit().map(|unit| (unit.data.to_vec(), unit.pts)));
        assembler.reset();
    };
    for packet in packets {
        for (index, piece) in packet.chunks(size).enumerate() {
            if index == 0 && assembler.is_ended_by(piece) {
                keep(assembler);
            }
            let taken = if index == 0 { assembler.begin(piece, false) } else { assembler.take(piece) };
            if taken == Taken::Whole {
                keep(assembler);
            }
        }
    }
    keep(assembler);
    out
}

#[test]
fn stamps_of_33_bits_are_read() {
    let (pts, dts) = ((1 << 33) - 1, 0x1_2345_6789);
    let Parsed::Head(head) = Head::parse(&pes(Some(pts), Some(dts), &[7; 10], true)) else {
        panic!("a head")
    };
    assert_eq!(head, Head { bytes: 19, payload_bytes: Some(10), pts: Some(pts), dts: Some(dts) });
    assert_eq!(Head::parse(&[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80]), Parsed::More);
    assert_eq!(Head::parse(&[0, 0, 2]), Parsed::Malformed);
    assert_eq!(Head::parse(&[0, 0, 1, 0xbe, 0, 8, 0xff, 0xff, 0xff]), Parsed::Malformed);
    // A length shorter than the head.
    assert_eq!(Head::parse(&[0, 0, 1, 0xc0, 0, 2, 0x80, 0, 0]), Parsed::Malformed);
}

#[test]
fn a_picture_that_outgrows_its_bound_is_dropped() {
    let mut assembler = Assembler::audio();
    assembler.begin(&pes(Some(0), None, &[], false), false);
    let taken: Vec<_> = (0..257).map(|_| assembler.take(&[0; 1024])).collect();
    assert!(taken[..256].iter().all(|&taken| taken == Taken::More));
    assert_eq!(taken[256], Taken::Oversize);
    assert_eq!(assembler.take(&[0; 10]), Taken::Stray);
    assert!(assembler.unit().is_none());
}

#[test]
fn bounded_packets_that_each_were_a_picture_come_out_at_once() {
    let mut assembler = Assembler::video();
    let packet = pes(Some(1), None, &[1; 50], true);
    let mut taken = Vec::new();
    for _ in 0..40 {
        if assembler.is_ended_by(&packet) {
            assembler.reset();
        }
        taken.push(assembler.begin(&packet, false));
        if taken.last() == Some(&Taken::Whole) {
            assembler.reset();
        }
    }
    assert_eq!(taken[0], Taken::More);
    assert_eq!(taken[39], Taken::Whole);
}

#[test]
fn the_length_of_a_long_picture_modulo_64_kibibytes_is_seen_through() {
    let long = vec![1; 70_000];
    let mut wrapped = pes(Some(2), None, &long, false);
    let len = ((wrapped.len() - 6) as u16).to_be_bytes();
    wrapped[4..6].copy_from_slice(&len);
    let short = |pts| pes(Some(pts), None, &[2; 500], true);
    let lengths = |packets: &[Vec<u8>], assembler: &mut Assembler| -> Vec<usize> {
        units(assembler, packets, 184).into_iter().map(|(data, _)| data.len()).collect()
    };
    let mut assembler = Assembler::video();
    assert_eq!(lengths(&[wrapped.clone(), short(3)], &mut assembler), [70_000, 500]);
    // Once its lengths were believed it costs one picture, then never again.
    let believed: Vec<_> = (0..40).map(short).chain([wrapped.clone(), short(3), wrapped, short(4)]).collect();
    let lengths = lengths(&believed, &mut assembler);
    assert_eq!(lengths.len(), 44);
    assert!(lengths[40] < 70_000 && lengths[41..] == [500, 70_000, 500]);
}

proptest! {
    #[test]
    fn pictures_over_several_packets_are_joined(
        pictures in prop::collection::vec(prop::collection::vec(prop::collection::vec(1u8.., 1..300), 1..4), 1..8),
        bounded in any::<bool>(),
        size in 30usize..184,
    ) {
        let mut packets = Vec::new();
        for (index, parts) in pictures.iter().enumerate() {
            for (part, data) in parts.iter().enumerate() {
                packets.push(pes((part == 0).then_some(index as u64), None, data, bounded));
            }
        }
        let expected: Vec<_> =
            pictures.iter().enumerate().map(|(index, parts)| (parts.concat(), Some(index as u64))).collect();
        prop_assert_eq!(units(&mut Assembler::video(), &packets, size), expected);
    }

    #[test]
    fn a_head_over_several_packets_is_read(data in prop::collection::vec(any::<u8>(), 1..300), size in 1usize..20) {
        let packet = pes(Some(5), Some(4), &data, true);
        prop_assert_eq!(units(&mut Assembler::audio(), &[packet], size), vec![(data, Some(5))]);
    }

    #[test]
    fn any_payloads_are_bounded(payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..184), any::<bool>()), 0..100)) {
        let mut assembler = Assembler::audio();
        for (mut payload, start) in payloads {
            if start {
                let head = [0, 0, 1];
                payload.splice(..payload.len().min(3), head);
                assembler.is_ended_by(&payload);
                assembler.begin(&payload, false);
            } else {
                assembler.take(&payload);
            }
            prop_assert!(assembler.data.len() <= AUDIO_BYTES_MAX && assembler.head.len() <= HEAD_BYTES_MAX);
        }
    }
}
