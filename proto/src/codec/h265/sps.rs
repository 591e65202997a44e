//! The sequence parameter set of H.265 (ITU-T H.265, 7.3.2.2.1), as far as a server needs it.

use super::super::bits::BitReader;
use super::super::h264::sps::read_aspect;
use super::super::video::rate;

/// What a sequence parameter set says of the pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    /// `sps_seq_parameter_set_id`.
    pub id: u32,
    /// `sps_video_parameter_set_id`.
    pub vps: u32,
    /// Temporal sub-layers.
    pub sub_layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub temporal_id_nesting: bool,
    /// The general part of `profile_tier_level`: 12 bytes as they came.
    pub profile_tier_level: [u8; 12],
    /// `chroma_format_idc`.
    pub chroma_format: u8,
    /// Of luma and chroma, in bits.
    pub bit_depths: (u8, u8),
    /// The source is interlaced, by the profile's flags or because fields are coded as pictures.
    pub interlaced: bool,
    /// In luma samples, the conformance window applied.
    pub width: u16,
    /// In luma samples, the conformance window applied.
    pub height: u16,
    /// Sample aspect ratio; (1, 1) where the stream is silent.
    pub sample_aspect: (u16, u16),
    /// Pictures a second, in lowest terms.
    pub frame_rate: Option<(u32, u32)>,
}

impl Sps {
    /// Reads an RBSP, the NAL unit's header of two bytes left off.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(data);
        let vps = bits.bits(4)?;
        let sub_layers = bits.byte(3).filter(|&above| above <= 6)? + 1;
        let temporal_id_nesting = bits.flag()?;
        let profile_tier_level: [u8; 12] = data.get(1..13)?.try_into().ok()?;
        skip_profile_tier_level(&mut bits, usize::from(sub_layers) - 1)?;
        let mut sps = Self {
            id: bits.ue().filter(|&id| id < 16)?,
            vps,
            sub_layers,
            temporal_id_nesting,
            profile_tier_level,
            chroma_format: 0,
            bit_depths: (8, 8),
            // 7.4.4: general_interlaced_source_flag without general_progressive_source_flag.
            interlaced: profile_tier_level[5] & 0xc0 == 0x40,
            width: 0,
            height: 0,
            sample_aspect: (1, 1),
            frame_rate: None,
        };
        sps.read_size(&mut bits)?;
        // What follows serves the VUI alone; a set we cannot read to there still describes its pictures.
        let _ = sps.read_to_vui(&mut bits);
        Some(sps)
    }

    fn read_size(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        self.chroma_format = u8::try_from(bits.ue()?).ok().filter(|&format| format <= 3)?;
        let planes_apart = self.chroma_format == 3 && bits.flag()?;
        let (mut width, mut height) = (u64::from(bits.ue()?), u64::from(bits.ue()?));
        if bits.flag()? {
            let mut pair = || Some(u64::from(bits.ue()?) + u64::from(bits.ue()?));
            let (across, down) = (pair()?, pair()?);
            // Table 6-1: SubWidthC and SubHeightC.
            let (x, y) = match (planes_apart, self.chroma_format) {
                (false, 1) => (2, 2),
                (false, 2) => (2, 1),
                _ => (1, 1),
            };
            width = width.checked_sub(across * x)?;
            height = height.checked_sub(down * y)?;
        }
        self.width = u16::try_from(width).ok().filter(|&width| width > 0)?;
        self.height = u16::try_from(height).ok().filter(|&height| height > 0)?;
        let mut depth = || u8::try_from(bits.ue()?).ok().filter(|&above| above <= 7).map(|above| above + 8);
        self.bit_depths = (depth()?, depth()?);
        Some(())
    }

    fn read_to_vui(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        let order_bits = bits.ue().filter(|&log2| log2 <= 12)? as usize + 4;
        let orderings = if bits.flag()? { self.sub_layers } else { 1 };
        for _ in 0..u32::from(orderings) * 3 + 6 {
            bits.ue()?;
        }
        if bits.flag()? && bits.flag()? {
            skip_scaling_lists(bits)?;
        }
        bits.skip(2)?;
        if bits.flag()? {
            bits.skip(8)?;
            bits.ue()?;
            bits.ue()?;
            bits.skip(1)?;
        }
        skip_reference_sets(bits)?;
        if bits.flag()? {
            for _ in 0..bits.ue().filter(|&count| count <= 32)? {
                bits.skip(order_bits + 1)?;
            }
        }
        bits.skip(2)?;
        if bits.flag()? { self.read_vui(bits) } else { Some(()) }
    }

    /// Annex E.2.1, down to the timing.
    fn read_vui(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        if let Some(aspect) = read_aspect(bits)? {
            self.sample_aspect = aspect;
        }
        if bits.flag()? {
            bits.flag()?;
        }
        if bits.flag()? {
            bits.skip(4)?;
            if bits.flag()? {
                bits.skip(24)?;
            }
        }
        if bits.flag()? {
            bits.ue()?;
            bits.ue()?;
        }
        bits.flag()?;
        self.interlaced |= bits.flag()?;
        bits.flag()?;
        if bits.flag()? {
            for _ in 0..4 {
                bits.ue()?;
            }
        }
        if bits.flag()? {
            let units = u64::from(bits.bits(32)?);
            let scale = u64::from(bits.bits(32)?);
            self.frame_rate = rate(scale, units);
        }
        Some(())
    }
}

// 7.3.3: 88 bits of general profile, 8 of level, then each sub-layer's own where it has one.
fn skip_profile_tier_level(bits: &mut BitReader<'_>, above: usize) -> Option<()> {
    bits.skip(96)?;
    let mut present = [(false, false); 8];
    for sub_layer in present.iter_mut().take(above) {
        *sub_layer = (bits.flag()?, bits.flag()?);
    }
    if above > 0 {
        bits.skip((8 - above) * 2)?;
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Some(())
}

// 7.3.4.
fn skip_scaling_lists(bits: &mut BitReader<'_>) -> Option<()> {
    for size in 0..4u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.ue()?;
                continue;
            }
            if size > 1 {
                bits.se()?;
            }
            for _ in 0..64.min(1 << (4 + (size << 1))) {
                bits.se()?;
            }
        }
    }
    Some(())
}

// 7.3.7: each set may be coded as a difference to the one before it.
fn skip_reference_sets(bits: &mut BitReader<'_>) -> Option<()> {
    let count = bits.ue().filter(|&count| count <= 64)?;
    let mut pictures = 0;
    for set in 0..count {
        if set > 0 && bits.flag()? {
            bits.flag()?;
            bits.ue()?;
            let mut kept = 0;
            for _ in 0..=pictures {
                let used = bits.flag()?;
                if used || bits.flag()? {
                    kept += 1;
                }
            }
            pictures = kept;
        } else {
            let (before, after) = (bits.ue()?, bits.ue()?);
            // 7.4.8: no more than the decoded picture buffer holds.
            pictures = before.checked_add(after).filter(|&pictures| pictures <= 16)?;
            for _ in 0..pictures {
                bits.ue()?;
                bits.flag()?;
            }
        }
    }
    Some(())
}
