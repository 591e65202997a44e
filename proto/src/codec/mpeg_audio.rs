//! MPEG audio, layers I to III (ISO/IEC 11172-3 and 13818-3).

use bytes::Bytes;
use flambeau_media::codec::{Codec, Sound};

use super::audio::{AudioFramer, Measure, Sounding, Syntax};

/// Makes Samples of MPEG audio.
pub type Framer = AudioFramer<MpegAudio>;

/// Reads MPEG audio frames. A stream of free format bit rate is not read.
#[derive(Debug, Default)]
pub struct MpegAudio {
    last: Option<(u8, Sound)>,
}

/// A frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    layer: u8,
    sound: Sound,
    bytes: usize,
    samples: u32,
}

// ISO/IEC 11172-3, 2.4.2.3, in kbit/s; of layers I, II, III.
const BIT_RATES: [[u16; 14]; 3] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
];

// ISO/IEC 13818-3, 2.4.2.3: the low sampling frequencies; of layer I, and of layers II and III.
const BIT_RATES_LOW: [[u16; 14]; 2] = [
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

fn parse(head: [u8; 4]) -> Option<Frame> {
    if head[0] != 0xff || head[1] & 0xe0 != 0xe0 {
        return None;
    }
    // ID: 3 is MPEG-1, 2 is MPEG-2, 0 the unofficial 2.5.
    let shift = match head[1] >> 3 & 3 {
        3 => 0,
        2 => 1,
        0 => 2,
        _ => return None,
    };
    let layer = 4 - (head[1] >> 1 & 3);
    if layer == 4 {
        return None;
    }
    let low = shift > 0;
    let table = match (low, layer) {
        (false, layer) => &BIT_RATES[usize::from(layer) - 1],
        (true, 1) => &BIT_RATES_LOW[0],
        (true, _) => &BIT_RATES_LOW[1],
    };
    let kilobits = *table.get(usize::from(head[2] >> 4).checked_sub(1)?)?;
    let sample_rate = [44_100u32, 48_000, 32_000].get(usize::from(head[2] >> 2 & 3))? >> shift;
    let samples = match layer {
        1 => 384,
        3 if low => 576,
        _ => 1152,
    };
    let padding = usize::from(head[2] >> 1 & 1);
    // A slot is four bytes in layer I, else one.
    let slot = if layer == 1 { 4 } else { 1 };
    let slots = samples / 8 / slot * u32::from(kilobits) * 1000 / sample_rate;
    let channels = if head[3] >> 6 == 3 { 1 } else { 2 };
    let sound = Sound { sample_rate, channels };
    Some(Frame { layer, sound, bytes: (slots as usize + padding) * slot as usize, samples })
}

impl Syntax for MpegAudio {
    fn measure(&self, data: &[u8]) -> Measure {
        match data {
            [a, ..] if *a != 0xff => Measure::Nothing,
            &[a, b, c, d, ..] => {
                parse([a, b, c, d]).map_or(Measure::Nothing, |frame| Measure::Frame(frame.bytes))
            }
            _ => Measure::More,
        }
    }

    fn take(&mut self, frame: &[u8], sink: &mut dyn FnMut(Sounding)) -> Option<()> {
        let Frame { layer, sound, samples, .. } = parse(frame.get(..4)?.try_into().ok()?)?;
        let codec = (self.last != Some((layer, sound))).then_some(Codec::MpegAudio { layer, sound });
        self.last = Some((layer, sound));
        sink(Sounding { data: Bytes::copy_from_slice(frame), samples, rate: sound.sample_rate, codec });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lengths_are_those_of_the_standard() {
        let sound = Sound { sample_rate: 48_000, channels: 2 };
        // Layer II, 192 kbit/s, 48 kHz: 144 * 192000 / 48000 bytes.
        assert_eq!(parse([0xff, 0xfd, 0xa4, 0]), Some(Frame { layer: 2, sound, bytes: 576, samples: 1152 }));
        // Layer III, 128 kbit/s, 44.1 kHz, padded, mono.
        let sound = Sound { sample_rate: 44_100, channels: 1 };
        assert_eq!(
            parse([0xff, 0xfb, 0x92, 0xc0]),
            Some(Frame { layer: 3, sound, bytes: 418, samples: 1152 })
        );
        assert_eq!(parse([0xff, 0xfd, 0xf4, 0]), None);
    }
}
