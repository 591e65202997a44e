use proptest::prelude::*;

use super::super::{Chunk, Framed, Framer as _};
use super::*;

/// An AC-3 frame at 48 kHz of `frmsizecod` 8 (64 kbit/s: 256 bytes), 3/2 with low frequencies.
fn ac3_frame() -> Vec<u8> {
    let mut bits = BitWriter::new();
    bits.bits(16, 0x0b77).bits(16, 0).bits(2, 0).bits(6, 8).bits(5, 8).bits(3, 0).bits(3, 7);
    bits.bits(2, 1).bits(2, 1).bits(1, 1);
    let mut frame = bits.finish();
    frame.resize(256, 0x55);
    frame
}

/// An E-AC-3 frame at 48 kHz of `blocks` code, 2/0; with a channel map it is dependent.
fn eac3_frame(bytes: usize, blocks: u32, channel_map: Option<u16>) -> Vec<u8> {
    let mut bits = BitWriter::new();
    bits.bits(16, 0x0b77).bits(2, u32::from(channel_map.is_some())).bits(3, 0).bits(11, bytes as u32 / 2 - 1);
    bits.bits(2, 0).bits(2, blocks).bits(3, 2).bits(1, 0).bits(5, 16).bits(5, 31).bits(1, 0);
    if let Some(map) = channel_map {
        bits.bits(1, 1).bits(16, u32::from(map));
    }
    let mut frame = bits.finish();
    frame.resize(bytes, 0x55);
    frame
}

fn push(framer: &mut Framer, data: &[u8], pts: i64) -> Vec<Framed> {
    let mut out = Vec::new();
    let chunk = Chunk { data, pts: Some(pts), dts: None, random_access: false };
    framer.push(chunk, &mut |framed| out.push(framed));
    out
}

fn lengths(out: &[Framed]) -> Vec<(usize, i64)> {
    let sample = |framed: &Framed| match framed {
        Framed::Sample(sample) => Some((sample.data.len(), sample.pts)),
        Framed::Codec(_) => None,
    };
    out.iter().filter_map(sample).collect()
}

#[test]
fn ac_3_of_five_channels_and_low_frequencies() {
    let mut framer = Framer::new(Ac3::default());
    let out = push(&mut framer, &[ac3_frame(), ac3_frame()].concat(), 0);
    assert_eq!(lengths(&out), [(256, 0), (256, 2880)]);
    let Framed::Codec(Codec::Ac3 { dac3, sound }) = &out[0] else { panic!("{out:?}") };
    assert_eq!(*sound, Sound { sample_rate: 48_000, channels: 6 });
    // fscod 0, bsid 8, bsmod 0, acmod 7, lfeon 1, bit_rate_code 4.
    assert_eq!(dac3[..], [0b0001_0000, 0b0011_1100, 0b1000_0000]);
}

#[test]
fn a_dependent_substream_joins_its_independent_one() {
    let mut framer = Framer::new(Ac3::default());
    // Lrs and Rrs.
    let (main, more) = (eac3_frame(200, 3, None), eac3_frame(100, 3, Some(1 << 9)));
    let out = push(&mut framer, &[&main[..], &more, &main, &more].concat(), 90);
    assert_eq!(lengths(&out), [(300, 90), (300, 90 + 2880)]);
    let Framed::Codec(Codec::Eac3 { dec3, sound }) = &out[0] else { panic!("{out:?}") };
    assert_eq!(sound.channels, 4);
    // data_rate 75, one substream; fscod 0, bsid 16, acmod 2, one dependent, chan_loc bit 1.
    assert_eq!(dec3[..], [0x02, 0x58, 0b0010_0000, 0b0000_0100, 0b0000_0010, 0b0000_0010]);
}

#[test]
fn short_frames_join_to_six_blocks() {
    let mut framer = Framer::new(Ac3::default());
    // Two blocks each: three frames make a Sample, over the PES packets' bounds too.
    let frame = eac3_frame(80, 1, None);
    let mut out = push(&mut framer, &[&frame[..], &frame].concat(), 0);
    out.extend(push(&mut framer, &[&frame[..], &frame].concat(), 1920));
    out.extend(push(&mut framer, &[&frame[..], &frame].concat(), 3840));
    assert_eq!(lengths(&out), [(240, 0), (240, 2880)]);
}

proptest! {
    #[test]
    fn any_bytes_behind_a_sync_word_are_read_or_passed_over(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40)) {
        let mut framer = Framer::new(Ac3::default());
        for piece in pieces {
            push(&mut framer, &[&[0x0b, 0x77][..], &piece].concat(), 0);
        }
    }
}
