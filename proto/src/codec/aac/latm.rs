//! AAC in LATM, synchronised by LOAS (ISO/IEC 14496-3, 1.7).
//!
//! One programme of one layer, as broadcasters send it; `audioMuxVersion` 0 and 1.

use bytes::Bytes;
use flambeau_media::codec::Codec;

use super::super::audio::{AudioFramer, Measure, Sounding, Syntax};
use super::super::bits::{BitReader, BitWriter};
use super::SpecificConfig;

/// Makes Samples of LATM in LOAS.
pub type Framer = AudioFramer<Latm>;

/// Reads `AudioSyncStream` frames.
#[derive(Debug, Default)]
pub struct Latm {
    config: Option<StreamConfig>,
    told: Option<Bytes>,
}

/// A `StreamMuxConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StreamConfig {
    specific: SpecificConfig,
    /// The `AudioSpecificConfig`, made byte aligned.
    config: Bytes,
    sub_frames: u32,
}

impl Syntax for Latm {
    // 1.7.2: syncword 0x2B7 of 11 bits, audioMuxLengthBytes of 13.
    fn measure(&self, data: &[u8]) -> Measure {
        match data {
            [a, ..] if *a != 0x56 => Measure::Nothing,
            [_, b, ..] if b & 0xe0 != 0xe0 => Measure::Nothing,
            [_, b, c, ..] => Measure::Frame(3 + (usize::from(b & 0x1f) << 8 | usize::from(*c))),
            _ => Measure::More,
        }
    }

    fn take(&mut self, frame: &[u8], sink: &mut dyn FnMut(Sounding)) -> Option<()> {
        let mut bits = BitReader::new(frame.get(3..)?);
        // AudioMuxElement(1): useSameStreamMux.
        if !bits.flag()? {
            self.config = Some(StreamConfig::read(&mut bits)?);
        }
        let config = self.config.as_ref()?;
        for _ in 0..=config.sub_frames {
            // PayloadLengthInfo with frameLengthType 0, then PayloadMux.
            let mut bytes = 0;
            loop {
                let part = bits.bits(8)? as usize;
                bytes += part;
                if part != 255 {
                    break;
                }
            }
            let mut payload = BitWriter::new();
            payload.copy(&mut bits, bytes * 8)?;
            let codec = (self.told.as_ref() != Some(&config.config))
                .then(|| Codec::Aac { config: config.config.clone(), sound: config.specific.sound });
            if codec.is_some() {
                self.told = Some(config.config.clone());
            }
            let (samples, rate) = (config.specific.samples, config.specific.sound.sample_rate);
            sink(Sounding { data: Bytes::from(payload.finish()), samples, rate, codec });
        }
        Some(())
    }
}

impl StreamConfig {
    // 1.7.3.1, table 1.42.
    fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        let version = bits.bits(1)?;
        if version == 1 {
            // audioMuxVersionA: anything but 0 is reserved.
            if bits.flag()? {
                return None;
            }
            read_value(bits)?;
        }
        let same_time_framing = bits.flag()?;
        let sub_frames = bits.bits(6)?;
        let (programs, layers) = (bits.bits(4)?, bits.bits(3)?);
        if !same_time_framing || programs != 0 || layers != 0 {
            return None;
        }
        let (specific, config) = if version == 0 {
            read_specific(bits)?
        } else {
            let len = read_value(bits)? as usize;
            let mut config = BitWriter::new();
            config.copy(bits, len)?;
            let config = Bytes::from(config.finish());
            (SpecificConfig::read(&mut BitReader::new(&config))?, config)
        };
        // frameLengthType 0: each payload tells its length. latmBufferFullness follows.
        if bits.bits(3)? != 0 {
            return None;
        }
        bits.skip(8)?;
        if bits.flag()? {
            skip_other_data(bits, version)?;
        }
        if bits.flag()? {
            bits.skip(8)?;
        }
        Some(Self { specific, config, sub_frames })
    }
}

/// An `AudioSpecificConfig` whose length is known only from reading it, and a byte aligned copy.
fn read_specific(bits: &mut BitReader<'_>) -> Option<(SpecificConfig, Bytes)> {
    let mut from = bits.clone();
    let specific = SpecificConfig::read(bits)?;
    let mut config = BitWriter::new();
    let len = bits.position() - from.position();
    config.copy(&mut from, len)?;
    Some((specific, Bytes::from(config.finish())))
}

fn skip_other_data(bits: &mut BitReader<'_>, version: u32) -> Option<()> {
    if version == 1 {
        read_value(bits)?;
        return Some(());
    }
    while bits.flag()? {
        bits.skip(8)?;
    }
    bits.skip(8)
}

// LatmGetValue(): one to four bytes.
fn read_value(bits: &mut BitReader<'_>) -> Option<u32> {
    let bytes = bits.bits(2)? as usize + 1;
    bits.bits(bytes * 8)
}

#[cfg(test)]
mod tests {
    use super::super::super::{Chunk, Framed, Framer as _};
    use super::*;

    fn loas(element: BitWriter) -> Vec<u8> {
        let element = element.finish();
        let mut frame = BitWriter::new();
        frame.bits(11, 0x2b7).bits(13, element.len() as u32);
        [frame.finish(), element].concat()
    }

    #[test]
    fn version_one_tells_the_length_of_its_configuration() {
        let mut element = BitWriter::new();
        // Not the same mux; version 1, A 0; taraBufferFullness; same framing, one sub-frame, programme and layer.
        element
            .bits(1, 0)
            .bits(1, 1)
            .bits(1, 0)
            .bits(2, 0)
            .bits(8, 0xff)
            .bits(1, 1)
            .bits(6, 0)
            .bits(4, 0)
            .bits(3, 0);
        // HE-AAC: SBR over LC at 24 kHz, 48 kHz after it, stereo.
        element.bits(2, 0).bits(8, 25).bits(5, 5).bits(4, 6).bits(4, 2).bits(4, 3).bits(5, 2).bits(3, 0);
        element.bits(3, 0).bits(8, 0xff).bits(1, 0).bits(1, 0).bits(8, 3).bits(24, 0x00a1_b2c3);
        let (mut framer, mut out) = (Framer::new(Latm::default()), Vec::new());
        let frame = loas(element);
        let chunk = Chunk { data: &frame, pts: Some(5), dts: None, random_access: false };
        framer.push(chunk, &mut |framed| out.push(framed));
        let [Framed::Codec(codec), Framed::Sample(sample)] = out.as_slice() else { panic!("{out:?}") };
        assert_eq!(codec.sound().map(|sound| (sound.sample_rate, sound.channels)), Some((48_000, 2)));
        assert_eq!((sample.pts, sample.duration, &sample.data[..]), (5, Some(2048), &[0xa1, 0xb2, 0xc3][..]));
    }
}
