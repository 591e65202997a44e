//! AAC (ISO/IEC 14496-3) in its two framings: ADTS and LATM/LOAS.

use flambeau_media::codec::Sound;

use super::bits::BitReader;

pub mod adts;
pub mod latm;

// ISO/IEC 14496-3, table 1.18.
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// The rate of a `samplingFrequencyIndex`.
pub fn sample_rate(index: u32) -> Option<u32> {
    RATES.get(index as usize).copied()
}

/// The loudspeaker channels of a `channelConfiguration` (ISO/IEC 14496-3, table 1.19).
pub fn channels(configuration: u32) -> Option<u16> {
    match configuration {
        1..=6 => u16::try_from(configuration).ok(),
        7 | 12 | 14 => Some(8),
        11 => Some(7),
        _ => None,
    }
}

/// What an `AudioSpecificConfig` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecificConfig {
    /// What it decodes to, spectral band replication and parametric stereo applied where it tells of them.
    pub sound: Sound,
    /// Samples of each channel that an access unit decodes to.
    pub samples: u32,
}

impl SpecificConfig {
    /// Reads an `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1) of the object types that are on the air: AAC Main,
    /// LC, SSR, LTP, with SBR (HE-AAC) and PS (HE-AAC v2) where they are told explicitly. `None` for others.
    pub fn read(bits: &mut BitReader<'_>) -> Option<Self> {
        let mut object_type = read_object_type(bits)?;
        let mut rate = read_rate(bits)?;
        let configuration = bits.bits(4)?;
        let (sbr, ps) = (matches!(object_type, 5 | 29), object_type == 29);
        let core_rate = rate;
        if sbr {
            rate = read_rate(bits)?;
            object_type = read_object_type(bits)?;
        }
        if !matches!(object_type, 1..=4) {
            return None;
        }
        // GASpecificConfig (4.4.1).
        let core_samples = if bits.flag()? { 960 } else { 1024 };
        if bits.flag()? {
            bits.skip(14)?;
        }
        bits.flag()?;
        let channels = channels(configuration)?;
        let channels = if ps && channels == 1 { 2 } else { channels };
        let samples = u32::try_from(u64::from(rate) * core_samples / u64::from(core_rate)).ok()?;
        Some(Self { sound: Sound { sample_rate: rate, channels }, samples })
    }
}

fn read_object_type(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.bits(5)? {
        31 => Some(32 + bits.bits(6)?),
        object_type => Some(object_type),
    }
}

fn read_rate(bits: &mut BitReader<'_>) -> Option<u32> {
    match bits.bits(4)? {
        15 => bits.bits(24).filter(|rate| (1_000..=192_000).contains(rate)),
        index => sample_rate(index),
    }
}
