//! AAC in ADTS (ISO/IEC 14496-3, 1.A.2.2).

use bytes::Bytes;
use flambeau_media::codec::{Codec, Sound};

use super::super::audio::{AudioFramer, Measure, Sounding, Syntax};
use super::super::bits::{BitReader, BitWriter};

/// Samples an AAC frame decodes to.
const FRAME_SAMPLES: u32 = 1024;

/// Makes Samples of ADTS.
pub type Framer = AudioFramer<Adts>;

/// Reads ADTS frames.
#[derive(Debug, Default)]
pub struct Adts {
    last: Option<Head>,
}

/// The fixed header's part that makes the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    /// Object type less one.
    profile: u32,
    rate_index: u32,
    channels: u32,
}

/// A whole header.
#[derive(Debug, Clone, Copy)]
struct Frame {
    head: Head,
    header_bytes: usize,
    bytes: usize,
    blocks: u32,
}

fn parse(data: &[u8]) -> Option<Frame> {
    let mut bits = BitReader::new(data);
    // syncword, ID, layer 0.
    if bits.bits(12)? != 0xfff {
        return None;
    }
    bits.flag()?;
    if bits.bits(2)? != 0 {
        return None;
    }
    let crc = !bits.flag()?;
    let profile = bits.bits(2)?;
    let rate_index = bits.bits(4)?;
    bits.flag()?;
    let channels = bits.bits(3)?;
    bits.skip(4)?;
    let bytes = bits.bits(13)? as usize;
    bits.skip(11)?;
    let blocks = bits.bits(2)?;
    let header_bytes = if crc { 9 } else { 7 };
    super::sample_rate(rate_index)?;
    (bytes > header_bytes).then_some(Frame {
        head: Head { profile, rate_index, channels },
        header_bytes,
        bytes,
        blocks,
    })
}

impl Syntax for Adts {
    fn measure(&self, data: &[u8]) -> Measure {
        match data {
            [a, ..] if *a != 0xff => Measure::Nothing,
            [_, b, ..] if b & 0xf6 != 0xf0 => Measure::Nothing,
            _ if data.len() < 7 => Measure::More,
            _ => parse(data).map_or(Measure::Nothing, |frame| Measure::Frame(frame.bytes)),
        }
    }

    fn take(&mut self, frame: &[u8], sink: &mut dyn FnMut(Sounding)) -> Option<()> {
        let Frame { head, header_bytes, blocks, .. } = parse(frame)?;
        // Several raw data blocks in a frame cannot be told apart without decoding them; nobody sends them.
        if blocks != 0 {
            return None;
        }
        let sample_rate = super::sample_rate(head.rate_index)?;
        let channels = super::channels(head.channels)?;
        let codec = (self.last != Some(head))
            .then(|| Codec::Aac { config: head.specific_config(), sound: Sound { sample_rate, channels } });
        self.last = Some(head);
        let data = Bytes::copy_from_slice(frame.get(header_bytes..)?);
        sink(Sounding { data, samples: FRAME_SAMPLES, rate: sample_rate, codec });
        Some(())
    }
}

impl Head {
    /// The `AudioSpecificConfig` of the same stream: object type, rate, channels, an empty `GASpecificConfig`.
    fn specific_config(self) -> Bytes {
        let mut bits = BitWriter::new();
        bits.bits(5, self.profile + 1).bits(4, self.rate_index).bits(4, self.channels).bits(3, 0);
        Bytes::from(bits.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Chunk, Framed, Framer as _};
    use super::*;

    /// A frame of AAC LC, 48 kHz, stereo.
    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut bits = BitWriter::new();
        let bytes = payload.len() as u32 + 7;
        bits.bits(12, 0xfff)
            .bits(4, 1)
            .bits(2, 1)
            .bits(4, 3)
            .bits(1, 0)
            .bits(3, 2)
            .bits(4, 0)
            .bits(13, bytes);
        bits.bits(11, 0x7ff).bits(2, 0);
        [bits.finish(), payload.to_vec()].concat()
    }

    fn chunk(data: &[u8], pts: Option<i64>) -> Chunk<'_> {
        Chunk { data, pts, dts: None, random_access: false }
    }

    #[test]
    fn frames_across_chunks_get_interpolated_times() {
        let stream = [frame(&[1; 20]), frame(&[2; 30]), frame(&[3; 25])].concat();
        let (mut framer, mut out) = (Framer::new(Adts::default()), Vec::new());
        framer.push(chunk(&stream[..40], Some(900)), &mut |framed| out.push(framed));
        // This stamp is that of the third frame: the second one began in the chunk before.
        framer.push(chunk(&stream[40..], Some(10_000)), &mut |framed| out.push(framed));
        let samples: Vec<_> = out
            .iter()
            .filter_map(|framed| match framed {
                Framed::Sample(sample) => Some((sample.pts, sample.duration, sample.data.clone())),
                Framed::Codec(_) => None,
            })
            .collect();
        let expected = [
            (900, Some(1024), Bytes::from(vec![1; 20])),
            (900 + 1920, Some(1024), Bytes::from(vec![2; 30])),
            (10_000, Some(1024), Bytes::from(vec![3; 25])),
        ];
        assert_eq!(samples, expected);
        let config = Bytes::from_static(&[0x11, 0x90]);
        let sound = Sound { sample_rate: 48_000, channels: 2 };
        assert_eq!(out[0], Framed::Codec(Codec::Aac { config, sound }));
        assert_eq!(framer.losses().resyncs, 0);
    }

    #[test]
    fn a_join_within_a_frame_waits_for_two_heads_in_a_row() {
        let stream =
            [frame(&[0xff, 0xf1, 0x4c, 0x80, 0x01, 0, 0, 0, 0]), frame(&[2; 30]), frame(&[3; 9])].concat();
        let (mut framer, mut out) = (Framer::new(Adts::default()), Vec::new());
        framer.push(chunk(&stream[3..], Some(0)), &mut |framed| out.push(framed));
        let data: Vec<_> = out.iter().filter(|framed| matches!(framed, Framed::Sample(_))).collect();
        assert_eq!(data.len(), 2);
    }
}
