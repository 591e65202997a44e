use proptest::prelude::*;

use super::super::bits::BitWriter;
use super::super::{Chunk, Framed, Framer as _};
use super::*;

fn ue(bits: &mut BitWriter, value: u32) {
    let code = value + 1;
    let len = 32 - code.leading_zeros() as usize;
    bits.bits(len - 1, 0).bits(len, code);
}

/// Annex B, the payload escaped.
fn nal(head: u8, bits: BitWriter) -> Vec<u8> {
    let mut data = vec![0, 0, 0, 1, head];
    let mut zeros = 0;
    for byte in bits.finish() {
        if zeros == 2 && byte <= 3 {
            data.push(3);
            zeros = 0;
        }
        data.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    data
}

/// Main profile, 720x576, `interlaced` in fields or frames; frame_num and order of 4 bits.
fn sps(interlaced: bool) -> Vec<u8> {
    let mut bits = BitWriter::new();
    bits.bits(8, 77).bits(8, 0).bits(8, 30);
    for value in [0, 0, 0, 0, 1] {
        ue(&mut bits, value);
    }
    bits.bits(1, 0);
    ue(&mut bits, 44);
    ue(&mut bits, if interlaced { 17 } else { 35 });
    match interlaced {
        true => bits.bits(2, 0),
        false => bits.bits(1, 1),
    };
    // direct_8x8_inference; no cropping; VUI: sample aspect 64:45 (extended), nothing else but 50 fields a second.
    bits.bits(1, 1).bits(1, 0).bits(1, 1).bits(1, 1).bits(8, 255).bits(16, 64).bits(16, 45);
    bits.bits(3, 0).bits(1, 1).bits(32, 1).bits(32, 50).bits(1, 1).bits(1, 1);
    nal(0x67, bits)
}

fn pps() -> Vec<u8> {
    let mut bits = BitWriter::new();
    ue(&mut bits, 0);
    ue(&mut bits, 0);
    bits.bits(2, 0).bits(1, 1);
    nal(0x68, bits)
}

#[derive(Clone, Copy)]
struct Slice {
    kind: u8,
    first_macroblock: u32,
    slice_type: u32,
    frame_num: u32,
    /// Bottom rather than top; `None` for a frame.
    field: Option<bool>,
    order: u32,
}

impl Slice {
    fn nal(self) -> Vec<u8> {
        let mut bits = BitWriter::new();
        ue(&mut bits, self.first_macroblock);
        ue(&mut bits, self.slice_type);
        ue(&mut bits, 0);
        bits.bits(4, self.frame_num);
        if let Some(bottom) = self.field {
            bits.bits(1, 1).bits(1, u32::from(bottom));
        }
        if self.kind == IDR {
            ue(&mut bits, 0);
        }
        bits.bits(4, self.order).bits(32, 0xdead_beef);
        nal(0x60 | self.kind, bits)
    }
}

const I: u32 = 7;
const P: u32 = 5;

fn field(kind: u8, slice_type: u32, frame_num: u32, bottom: bool) -> Vec<u8> {
    let order = frame_num * 2 + u32::from(bottom);
    Slice { kind, first_macroblock: 0, slice_type, frame_num, field: Some(bottom), order }.nal()
}

fn push(framer: &mut Framer, data: &[u8], pts: Option<i64>) -> Vec<Framed> {
    let mut out = Vec::new();
    framer.push(Chunk { data, pts, dts: pts, random_access: false }, &mut |framed| out.push(framed));
    out
}

fn samples(out: &[Framed]) -> Vec<(i64, bool, usize)> {
    let sample = |framed: &Framed| match framed {
        Framed::Sample(sample) => Some((sample.pts, sample.sync, count(&sample.data))),
        Framed::Codec(_) => None,
    };
    out.iter().filter_map(sample).collect()
}

/// NAL units of a length-prefixed Sample.
fn count(mut data: &[u8]) -> usize {
    let mut count = 0;
    while let Some((len, rest)) = data.split_first_chunk::<4>() {
        data = &rest[u32::from_be_bytes(*len) as usize..];
        count += 1;
    }
    count
}

#[test]
fn the_two_fields_of_a_frame_become_one_sample() {
    let mut framer = Framer::default();
    let mut out = Vec::new();
    let mut at = 0;
    for frame_num in 0..3 {
        for bottom in [false, true] {
            let first = frame_num == 0 && !bottom;
            let head = if first { [sps(true), pps()].concat() } else { Vec::new() };
            let slice = if first { field(IDR, I, 0, false) } else { field(SLICE, P, frame_num, bottom) };
            out.extend(push(&mut framer, &[head, slice].concat(), Some(at)));
            at += 1800;
        }
    }
    assert_eq!(samples(&out), [(0, true, 2), (3600, false, 2), (7200, false, 2)]);
    let Framed::Codec(codec) = &out[0] else { panic!("{out:?}") };
    let picture = Picture {
        width: 720,
        height: 576,
        sample_aspect: (64, 45),
        frame_rate: Some((25, 1)),
        interlaced: true,
    };
    assert_eq!(codec.picture(), Some(&picture));
}

#[test]
fn a_field_without_its_other_one_stands_alone() {
    let mut framer = Framer::default();
    let start = [sps(true), pps(), field(IDR, I, 0, false), field(SLICE, P, 0, true)].concat();
    let mut out = push(&mut framer, &start, Some(0));
    out.extend(push(&mut framer, &field(SLICE, P, 1, false), Some(3600)));
    out.extend(push(&mut framer, &field(SLICE, P, 2, false), Some(7200)));
    framer.flush(&mut |framed| out.push(framed));
    assert_eq!(samples(&out), [(0, true, 2), (3600, false, 1), (7200, false, 1)]);
}

fn frame(kind: u8, slice_type: u32, frame_num: u32, first_macroblock: u32) -> Vec<u8> {
    Slice { kind, first_macroblock, slice_type, frame_num, field: None, order: frame_num * 2 }.nal()
}

#[test]
fn pictures_without_delimiters_are_told_apart_by_their_slices() {
    let mut framer = Framer::default();
    let slices = [
        sps(false),
        pps(),
        frame(IDR, I, 0, 0),
        frame(IDR, I, 0, 800),
        frame(SLICE, P, 1, 0),
        frame(SLICE, P, 1, 800),
        frame(SLICE, P, 2, 0),
    ];
    let out = push(&mut framer, &slices.concat(), Some(9000));
    // The later two have no time of their own: a frame further each.
    assert_eq!(samples(&out), [(9000, true, 2), (12_600, false, 2), (16_200, false, 1)]);
}

#[test]
fn nothing_comes_out_before_a_picture_that_can_be_decoded() {
    let mut framer = Framer::default();
    assert!(push(&mut framer, &frame(SLICE, P, 3, 0), Some(0)).is_empty());
    let out = push(&mut framer, &[sps(false), pps(), frame(SLICE, P, 4, 0)].concat(), Some(3600));
    assert!(out.is_empty(), "parameter sets without an intra picture: {out:?}");
    assert!(push(&mut framer, &frame(SLICE, I, 5, 0), Some(7200)).is_empty(), "an intra picture alone");
    // A recovery point of frame count 0 with an intra picture: an open GOP.
    let recovery = vec![0, 0, 0, 1, SEI, 6, 1, 0xc4, 0x80];
    let open = push(&mut framer, &[recovery, frame(SLICE, I, 6, 0)].concat(), Some(18_000));
    assert_eq!(samples(&open), [(18_000, true, 2)]);
    let leading = push(&mut framer, &frame(SLICE, P, 7, 0), Some(14_400));
    assert!(leading.is_empty(), "it is shown before the picture we joined at");
    assert_eq!(samples(&push(&mut framer, &frame(SLICE, P, 7, 0), Some(21_600))).len(), 1);
}

#[test]
fn chunks_that_do_not_begin_with_a_picture_are_read_with_a_picture_s_delay() {
    let pictures: Vec<Vec<u8>> = (0..6)
        .map(|index| match index {
            0 => [sps(false), pps(), frame(IDR, I, 0, 0)].concat(),
            index => frame(SLICE, P, index, 0),
        })
        .collect();
    let stream = pictures.concat();
    let mut framer = Framer::default();
    // The first chunk ends within the second picture, as do the ones after it.
    let (first, rest) = stream.split_at(pictures[0].len() + 6);
    let mut out = push(&mut framer, first, Some(0));
    for (index, chunk) in (1..).zip(rest.chunks(pictures[1].len())) {
        out.extend(push(&mut framer, chunk, Some(index * 3600)));
    }
    framer.flush(&mut |framed| out.push(framed));
    let times: Vec<i64> = samples(&out).iter().map(|sample| sample.0).collect();
    // The second picture is cut before it is known that chunks are no pictures.
    assert_eq!(times.first(), Some(&0));
    assert!(times.ends_with(&[3600, 7200, 10_800, 14_400]), "{times:?}");
}

#[test]
fn a_new_sequence_parameter_set_is_told_before_the_picture_it_applies_to() {
    let mut framer = Framer::default();
    push(&mut framer, &[sps(false), pps(), frame(IDR, I, 0, 0)].concat(), Some(0));
    let out = push(
        &mut framer,
        &[sps(true), pps(), field(IDR, I, 0, false), field(SLICE, P, 0, true)].concat(),
        Some(3600),
    );
    assert!(
        matches!(&out[0], Framed::Codec(codec) if codec.picture().is_some_and(|picture| picture.interlaced))
    );
    assert_eq!(samples(&out), [(3600, true, 2)]);
    let same = push(
        &mut framer,
        &[sps(true), pps(), field(IDR, I, 0, false), field(SLICE, P, 0, true)].concat(),
        Some(7200),
    );
    assert_eq!(same.len(), 1, "the same sets again change nothing: {same:?}");
}

proptest! {
    #[test]
    fn any_nal_units_are_read_or_passed_over(
        units in prop::collection::vec((0u8..24, prop::collection::vec(any::<u8>(), 0..60)), 0..40),
    ) {
        let mut framer = Framer::default();
        push(&mut framer, &[sps(true), pps(), field(IDR, I, 0, false)].concat(), Some(0));
        for (kind, body) in units {
            let data = [&[0, 0, 1, 0x60 | kind][..], &body].concat();
            push(&mut framer, &data, Some(0));
        }
    }

    #[test]
    fn any_parameter_set_is_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
        for profile in [66, 100] {
            let mut data = data.clone();
            data.insert(0, profile);
            if let Some(sps) = Sps::parse(&data) {
                prop_assert!(sps.width > 0 && sps.height > 0 && sps.bit_depths.0 <= 14);
            }
        }
    }
}
