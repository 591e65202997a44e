use proptest::prelude::*;

use super::super::{Chunk, Framed, Framer as _};
use super::*;

// The parameter sets that x265 writes for 640x360 at 50 frames a second, Main 10, with default scaling lists.
const VPS_NAL: &[u8] = &[
    0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
    0x00, 0x03, 0x00, 0x5a, 0x95, 0x94, 0x09,
];
const SPS_NAL: &[u8] = &[
    0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
    0x5a, 0xa0, 0x05, 0x02, 0x01, 0x71, 0xf2, 0xb6, 0x59, 0x59, 0x52, 0x93, 0x85, 0xe0, 0x2d, 0x01, 0x00,
    0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x32, 0x08,
];
const PPS_NAL: &[u8] = &[0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89];

/// A slice of this type; `first` of its picture.
fn slice(kind: u8, first: bool) -> Vec<u8> {
    // For an IRAP picture a flag comes before the parameter set's id, which is 0: one bit of 1.
    let head = match (first, (16..=23).contains(&kind)) {
        (true, true) => 0b1010_0000,
        (true, false) => 0b1100_0000,
        (false, _) => 0b0101_0000,
    };
    vec![kind << 1, 1, head, 0xaf]
}

fn stream(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&[0, 0, 1], *nal].concat()).collect()
}

fn push(framer: &mut Framer, nals: &[&[u8]], pts: i64) -> Vec<Framed> {
    let mut out = Vec::new();
    let data = stream(nals);
    let chunk = Chunk { data: &data, pts: Some(pts), dts: None, random_access: false };
    framer.push(chunk, &mut |framed| out.push(framed));
    out
}

fn samples(out: &[Framed]) -> Vec<(i64, bool)> {
    let sample = |framed: &Framed| match framed {
        Framed::Sample(sample) => Some((sample.pts, sample.sync)),
        Framed::Codec(_) => None,
    };
    out.iter().filter_map(sample).collect()
}

#[test]
fn the_configuration_record_holds_the_sets_behind_the_profile() {
    let out = push(&mut Framer::default(), &[VPS_NAL, SPS_NAL, PPS_NAL, &slice(20, true)], 0);
    let Framed::Codec(Codec::H265 { hvcc, picture }) = &out[0] else { panic!("{out:?}") };
    let expected = Picture {
        width: 640,
        height: 360,
        sample_aspect: (1, 1),
        frame_rate: Some((50, 1)),
        interlaced: false,
    };
    assert_eq!(*picture, expected);
    // Version, then the general profile, tier and level: the emulation prevention bytes are gone.
    assert_eq!(hvcc[..13], [1, 2, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 90]);
    // 4:2:0 of 10 bits; one sub-layer, nested, lengths of four bytes; three arrays.
    assert_eq!(hvcc[13..23], [0xf0, 0, 0xfc, 0xfd, 0xfa, 0xfa, 0, 0, 0x0f, 3]);
    let array = |kind: u8, nal: &[u8]| [&[0x80 | kind, 0, 1, 0, nal.len() as u8], nal].concat();
    let arrays = [array(32, VPS_NAL), array(33, SPS_NAL), array(34, PPS_NAL)].concat();
    assert_eq!(hvcc[23..], arrays);
}

#[test]
fn leading_pictures_of_a_cra_that_we_join_at_are_left_out() {
    let mut framer = Framer::default();
    assert!(push(&mut framer, &[&slice(1, true)], 0).is_empty());
    let sets = [VPS_NAL, SPS_NAL, PPS_NAL];
    let cra = slice(21, true);
    assert_eq!(samples(&push(&mut framer, &[&sets[..], &[&cra]].concat(), 9000)), [(9000, true)]);
    assert!(push(&mut framer, &[&slice(8, true)], 5400).is_empty());
    assert_eq!(samples(&push(&mut framer, &[&slice(1, true)], 12_600)), [(12_600, false)]);
    // Later ones are led up to by what was decoded.
    assert_eq!(samples(&push(&mut framer, &[&cra], 27_000)), [(27_000, true)]);
    assert_eq!(samples(&push(&mut framer, &[&slice(8, true)], 23_400)), [(23_400, false)]);
}

#[test]
fn pictures_are_told_apart_by_their_first_slice_segments() {
    let mut framer = Framer::default();
    let nals: &[&[u8]] = &[
        VPS_NAL,
        SPS_NAL,
        PPS_NAL,
        &slice(20, true),
        &slice(20, false),
        &slice(1, true),
        &slice(1, false),
        &slice(1, true),
    ];
    // Of one time stamp: the others follow by the frame rate.
    assert_eq!(samples(&push(&mut framer, nals, 0)), [(0, true), (1800, false), (3600, false)]);
}

#[test]
fn layers_above_the_base_are_left_out() {
    let mut framer = Framer::default();
    let mut upper = slice(1, true);
    upper[1] |= 8;
    let out = push(&mut framer, &[VPS_NAL, SPS_NAL, PPS_NAL, &slice(20, true), &upper], 0);
    let [Framed::Codec(_), Framed::Sample(sample)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(sample.data.len(), 4 + 4);
}

proptest! {
    #[test]
    fn any_nal_units_are_read_or_passed_over(
        units in prop::collection::vec((0u8..64, prop::collection::vec(any::<u8>(), 0..60)), 0..40),
    ) {
        let mut framer = Framer::default();
        push(&mut framer, &[VPS_NAL, SPS_NAL, PPS_NAL, &slice(20, true)], 0);
        for (kind, body) in units {
            push(&mut framer, &[&[&[kind << 1, 1][..], &body].concat()], 0);
        }
    }

    #[test]
    fn any_parameter_set_is_read_or_refused(flips in prop::collection::vec((0usize..44, 0u8..8), 0..30)) {
        let mut nal = SPS_NAL.to_vec();
        for (at, bit) in flips {
            nal[at] ^= 1 << bit;
        }
        if let Some(sps) = unescaped(&nal).and_then(|data| Sps::parse(&data[2..])) {
            prop_assert!(sps.width > 0 && sps.height > 0 && sps.bit_depths.0 <= 15);
        }
    }
}
