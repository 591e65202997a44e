//! Opus in a transport stream (Encapsulation of Opus in MPEG-TS, provisional, as ffmpeg writes it).
//!
//! The trims that a control header may carry are read over: a live player gains nothing by them.

use bytes::Bytes;
use flambeau_media::codec::{Codec, Sound};

use super::audio::{AudioFramer, Measure, Sounding, Syntax};
use super::bits::BitReader;

/// Opus always decodes at this rate.
const SAMPLE_RATE: u32 = 48_000;

/// Makes Samples of Opus in a transport stream.
pub type Framer = AudioFramer<Opus>;

/// Reads Opus access units behind their control headers.
#[derive(Debug)]
pub struct Opus {
    channel_config: u8,
    told: bool,
}

impl Opus {
    /// Opus of the `channel_config_code` that the PMT's extension descriptor has; 2 (stereo) where it has none.
    pub fn new(channel_config: u8) -> Self {
        Self { channel_config, told: false }
    }

    fn codec(&self) -> Option<Codec> {
        let (channels, family, map) = channel_mapping(self.channel_config)?;
        // Encapsulation of Opus in ISO BMFF 4.3.2: version 0, channels, PreSkip, InputSampleRate, OutputGain.
        let mut dops = vec![0, channels];
        dops.extend_from_slice(&0u16.to_be_bytes());
        dops.extend_from_slice(&SAMPLE_RATE.to_be_bytes());
        dops.extend_from_slice(&[0, 0, family]);
        dops.extend_from_slice(&map);
        let sound = Sound { sample_rate: SAMPLE_RATE, channels: u16::from(channels) };
        Some(Codec::Opus { dops: Bytes::from(dops), sound })
    }
}

/// Channels, ChannelMappingFamily, and StreamCount, CoupledCount, ChannelMapping of a `channel_config_code`.
fn channel_mapping(code: u8) -> Option<(u8, u8, Vec<u8>)> {
    // RFC 7845 5.1.1.2: the Vorbis orders.
    const MAPS: [&[u8]; 6] = [
        &[2, 1, 0, 2, 1],
        &[2, 2, 0, 1, 2, 3],
        &[3, 2, 0, 4, 1, 2, 3],
        &[4, 2, 0, 4, 1, 2, 3, 5],
        &[4, 3, 0, 4, 1, 2, 3, 5, 6],
        &[5, 3, 0, 6, 1, 2, 3, 4, 5, 7],
    ];
    match code {
        // 0 is dual mono: two streams of one channel, each of its own.
        0 => Some((2, 255, vec![2, 0, 0, 1])),
        1 | 2 => Some((code, 0, Vec::new())),
        3..=8 => Some((code, 1, MAPS[usize::from(code) - 3].to_vec())),
        _ => None,
    }
}

/// The header's length and that of the access unit behind it.
fn parse(data: &[u8]) -> Option<(usize, usize)> {
    let mut bits = BitReader::new(data);
    if bits.bits(11)? != 0x3ff {
        return None;
    }
    let (start_trim, end_trim, extension) = (bits.flag()?, bits.flag()?, bits.flag()?);
    bits.skip(2)?;
    let mut bytes = 0;
    loop {
        let part = bits.bits(8)? as usize;
        bytes += part;
        if part != 255 {
            break;
        }
    }
    bits.skip(16 * (usize::from(start_trim) + usize::from(end_trim)))?;
    if extension {
        let len = bits.bits(8)? as usize;
        bits.skip(len * 8)?;
    }
    Some((bits.position() / 8, bytes))
}

impl Syntax for Opus {
    fn measure(&self, data: &[u8]) -> Measure {
        match data {
            [a, ..] if *a != 0x7f => Measure::Nothing,
            [_, b, ..] if b & 0xe0 != 0xe0 => Measure::Nothing,
            _ => parse(data).map_or(Measure::More, |(head, unit)| Measure::Frame(head + unit)),
        }
    }

    fn take(&mut self, frame: &[u8], sink: &mut dyn FnMut(Sounding)) -> Option<()> {
        let (head, _) = parse(frame)?;
        let unit = frame.get(head..)?;
        let samples = samples(unit)?;
        let codec = if std::mem::replace(&mut self.told, true) { None } else { Some(self.codec()?) };
        sink(Sounding { data: Bytes::copy_from_slice(unit), samples, rate: SAMPLE_RATE, codec });
        Some(())
    }
}

/// Samples at 48 kHz that an Opus packet decodes to (RFC 6716, 3.1).
fn samples(unit: &[u8]) -> Option<u32> {
    let toc = *unit.first()?;
    let config = u32::from(toc >> 3);
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][config as usize % 4],
        12..=15 => [480, 960][config as usize % 2],
        _ => [120, 240, 480, 960][config as usize % 4],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(unit.get(1)? & 0x3f),
    };
    // RFC 6716 3.2.5: a packet holds at most 120 ms.
    Some(frame * frames).filter(|&samples| (1..=5760).contains(&samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_header_may_have_long_sizes_trims_and_an_extension() {
        assert_eq!(parse(&[0x7f, 0xe0, 0xff, 0x01]), Some((4, 256)));
        assert_eq!(parse(&[0x7f, 0xfc, 10, 0, 1, 0, 2, 1, 9]), Some((9, 10)));
        assert_eq!(parse(&[0x7f, 0xe0, 0xff]), None);
    }

    #[test]
    fn packet_durations_are_those_of_rfc_6716() {
        // CELT full band 20 ms, one frame; SILK narrow band 60 ms, two frames; code 3 of three 2.5 ms frames.
        assert_eq!(samples(&[31 << 3]), Some(960));
        assert_eq!(samples(&[3 << 3 | 1]), Some(5760));
        assert_eq!(samples(&[28 << 3 | 3, 3]), Some(360));
        assert_eq!(samples(&[3 << 3 | 3, 63]), None);
    }
}
