//! The sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1), as far as a server needs it.
//!
//! Lenient on purpose: encoders that under-declare their level or end a VUI early are on the air.

use super::super::bits::BitReader;
use super::super::video::rate;

/// What a sequence parameter set says of the pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    /// `seq_parameter_set_id`.
    pub id: u32,
    /// `chroma_format_idc`.
    pub chroma_format: u8,
    /// The three colour planes are coded apart.
    pub separate_colour_plane: bool,
    /// Of luma and chroma, in bits.
    pub bit_depths: (u8, u8),
    /// Bits of `frame_num`.
    pub frame_num_bits: usize,
    /// How output order is coded.
    pub order: Order,
    /// No field is coded, nor a macroblock as fields.
    pub frame_mbs_only: bool,
    /// In luma samples, cropping applied.
    pub width: u16,
    /// Of a frame in luma samples, cropping applied.
    pub height: u16,
    /// Sample aspect ratio; (1, 1) where the stream is silent.
    pub sample_aspect: (u16, u16),
    /// Frames a second, in lowest terms.
    pub frame_rate: Option<(u32, u32)>,
}

/// `pic_order_cnt_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// 0: its low bits are coded, this many.
    Lsb {
        /// `log2_max_pic_order_cnt_lsb`.
        bits: usize,
    },
    /// 1: differences to what is expected.
    Deltas {
        /// `delta_pic_order_always_zero_flag`.
        always_zero: bool,
    },
    /// 2: output order is decoding order.
    Decoding,
}

impl Sps {
    /// Reads an RBSP, the NAL unit's header byte left off.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(data);
        let profile = bits.byte(8)?;
        bits.skip(16)?;
        let id = bits.ue().filter(|&id| id < 32)?;
        let mut sps = Self {
            id,
            chroma_format: 1,
            separate_colour_plane: false,
            bit_depths: (8, 8),
            frame_num_bits: 0,
            order: Order::Decoding,
            frame_mbs_only: true,
            width: 0,
            height: 0,
            sample_aspect: (1, 1),
            frame_rate: None,
        };
        // 7.3.2.1.1: the profiles that carry a chroma format.
        if matches!(profile, 44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244) {
            sps.read_chroma(&mut bits)?;
        }
        sps.frame_num_bits = bits.ue().filter(|&log2| log2 <= 12)? as usize + 4;
        sps.order = read_order(&mut bits)?;
        bits.ue()?;
        bits.flag()?;
        sps.read_size(&mut bits)?;
        // A VUI cut short still leaves what was read of it.
        if bits.flag() == Some(true) {
            let _ = sps.read_vui(&mut bits);
        }
        Some(sps)
    }

    fn read_chroma(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        self.chroma_format = u8::try_from(bits.ue()?).ok().filter(|&format| format <= 3)?;
        if self.chroma_format == 3 {
            self.separate_colour_plane = bits.flag()?;
        }
        let mut depth = || u8::try_from(bits.ue()?).ok().filter(|&above| above <= 6).map(|above| above + 8);
        self.bit_depths = (depth()?, depth()?);
        bits.flag()?;
        if bits.flag()? {
            let lists = if self.chroma_format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag()? {
                    skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(())
    }

    fn read_size(&mut self, bits: &mut BitReader<'_>) -> Option<()> {
        let columns = u64::from(bits.ue()?) + 1;
        let rows = u64::from(bits.ue()?) + 1;
        self.frame_mbs_only = bits.flag()?;
        if !self.frame_mbs_only {
            bits.flag()?;
        }
        bits.flag()?;
        let fields = if self.frame_mbs_only { 1 } else { 2 };
        let (mut width, mut height) = (columns * 16, rows * 16 * fields);
        if bits.flag()? {
            let mut pair = || Some(u64::from(bits.ue()?) + u64::from(bits.ue()?));
            let (across, down) = (pair()?, pair()?);
            // 7-19 to 7-22: the crop unit.
            let (x, y) = match (self.separate_colour_plane, self.chroma_format) {
                (false, 1) => (2, 2),
                (false, 2) => (2, 1),
                _ => (1, 1),
            };
            width = width.checked_sub(across * x)?;
            height = height.checked_sub(down * y * fields)?;
        }
        self.width = u16::try_from(width).ok().filter(|&width| width > 0)?;
        self.height = u16::try_from(height).ok().filter(|&height| height > 0)?;
        Some(())
    }

    /// Annex E.1.1, down to the timing.
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
        if bits.flag()? {
            let units = u64::from(bits.bits(32)?);
            let scale = u64::from(bits.bits(32)?);
            // E.2.1: a tick is a field's length.
            self.frame_rate = rate(scale, units * 2);
        }
        Some(())
    }
}

fn read_order(bits: &mut BitReader<'_>) -> Option<Order> {
    match bits.ue()? {
        0 => Some(Order::Lsb { bits: bits.ue().filter(|&log2| log2 <= 12)? as usize + 4 }),
        1 => {
            let always_zero = bits.flag()?;
            bits.se()?;
            bits.se()?;
            for _ in 0..bits.ue().filter(|&count| count <= 255)? {
                bits.se()?;
            }
            Some(Order::Deltas { always_zero })
        }
        2 => Some(Order::Decoding),
        _ => None,
    }
}

// 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + i64::from(bits.se()?)).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

/// `aspect_ratio_info` of a VUI, the same in H.264 (table E-1) and H.265 (table E.1). The inner `None`: not told.
pub(crate) fn read_aspect(bits: &mut BitReader<'_>) -> Option<Option<(u16, u16)>> {
    const TABLE: [(u16, u16); 16] = [
        (1, 1),
        (12, 11),
        (10, 11),
        (16, 11),
        (40, 33),
        (24, 11),
        (20, 11),
        (32, 11),
        (80, 33),
        (18, 11),
        (15, 11),
        (64, 33),
        (160, 99),
        (4, 3),
        (3, 2),
        (2, 1),
    ];
    if !bits.flag()? {
        return Some(None);
    }
    Some(match bits.bits(8)? {
        255 => {
            let (x, y) = (bits.bits(16)? as u16, bits.bits(16)? as u16);
            (x > 0 && y > 0).then_some((x, y))
        }
        index => (index as usize).checked_sub(1).and_then(|index| TABLE.get(index)).copied(),
    })
}
