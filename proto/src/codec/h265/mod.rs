//! H.265 (ITU-T H.265, ISO/IEC 23008-2) in a byte stream.
//!
//! Only the base layer is packaged. Fields coded as pictures (`field_seq_flag`) stay Samples of their own.

use bytes::Bytes;
use flambeau_media::codec::{Codec, Picture};

use self::sps::Sps;
use super::bits::BitReader;
use super::nal::{PARAMETER_SET_BYTES_MAX, unescape, unescaped};
use super::video::{self, Configuration, Sets, Unit};
use crate::mpegts::stream::Entry;

pub mod sps;

/// Makes Samples of an H.265 byte stream.
pub type Framer = super::VideoFramer<Syntax>;

// ITU-T H.265, table 7-1.
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const FILLER: u8 = 38;

/// The first slice segment of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pps: u32,
}

#[derive(Debug)]
struct Pps {
    sps: u32,
}

/// What is known of the stream's parameter sets.
#[derive(Debug, Default)]
pub struct Syntax {
    vps: Sets<()>,
    sps: Sets<Sps>,
    pps: Sets<Pps>,
    changed: bool,
    active: Option<u32>,
    codec: Option<Codec>,
}

impl video::Syntax for Syntax {
    type Head = Head;

    // 7.4.2.4.4: what comes after the last VCL NAL unit of a picture begins the next access unit.
    fn begins_unit(&self, nal: &[u8], _unit: &Unit<Head>) -> bool {
        match kind(nal) {
            0..=31 => nal.get(2).is_some_and(|byte| byte & 0x80 != 0),
            32..=35 | 39 | 41..=44 | 48..=55 => true,
            _ => false,
        }
    }

    fn take(&mut self, nal: &[u8], unit: &mut Unit<Head>) -> bool {
        match kind(nal) {
            kind @ 0..=31 => take_slice(kind, nal, unit),
            VPS => self.take_vps(nal),
            SPS => self.take_sps(nal),
            PPS => self.take_pps(nal),
            _ => {}
        }
        // ISO/IEC 14496-15 8.3: under `hvc1` the parameter sets live in the sample entry alone.
        !matches!(kind(nal), VPS..=DELIMITER | FILLER | OTHER_LAYER)
    }

    fn configuration(&mut self, head: &Head) -> Configuration {
        let Some(id) = self.pps.find(head.pps).map(|pps| pps.sps) else { return Configuration::Unknown };
        if !self.changed && self.active == Some(id) {
            return Configuration::Same;
        }
        let Some(codec) = self.codec(id) else { return Configuration::Unknown };
        self.changed = false;
        self.active = Some(id);
        if self.codec.as_ref() == Some(&codec) {
            return Configuration::Same;
        }
        self.codec = Some(codec.clone());
        Configuration::New(codec)
    }

    fn frame_ticks(&self) -> Option<i64> {
        self.sps.find(self.active?)?.frame_rate.map(video::ticks)
    }

    fn is_first_field(_head: &Head) -> bool {
        false
    }

    fn is_second_field(_first: &Head, _second: &Head) -> bool {
        false
    }
}

impl Syntax {
    fn take_vps(&mut self, nal: &[u8]) {
        if let Some(&byte) = nal.get(2).filter(|_| nal.len() <= PARAMETER_SET_BYTES_MAX) {
            self.changed |= self.vps.insert(u32::from(byte >> 4), nal, ());
        }
    }

    fn take_sps(&mut self, nal: &[u8]) {
        if self.sps.knows(nal) {
            return;
        }
        let Some(sps) = unescaped(nal).and_then(|data| Sps::parse(data.get(2..)?)) else { return };
        let id = sps.id;
        if self.sps.insert(id, nal, sps) {
            self.pps.retain(|pps| pps.sps != id);
            self.changed = true;
        }
    }

    fn take_pps(&mut self, nal: &[u8]) {
        if nal.len() > PARAMETER_SET_BYTES_MAX {
            return;
        }
        let mut data = [0; 32];
        let len = unescape(nal, &mut data);
        let mut bits = BitReader::new(&data[..len]);
        let read = |bits: &mut BitReader<'_>| {
            bits.skip(16)?;
            Some((bits.ue()?, bits.ue()?))
        };
        // 7.4.3.3: pps_pic_parameter_set_id is at most 63, pps_seq_parameter_set_id at most 15.
        if let Some((id, sps)) = read(&mut bits).filter(|&(id, sps)| id < 64 && sps < 16) {
            self.changed |= self.pps.insert(id, nal, Pps { sps });
        }
    }

    /// The configuration of pictures that use sequence parameter set `id` (ISO/IEC 14496-15, 8.3.3.1.2).
    fn codec(&self, id: u32) -> Option<Codec> {
        let (sps, sps_nal) = (self.sps.find(id)?, self.sps.nal(id)?);
        let vps_nal = self.vps.nal(sps.vps)?;
        let pps_nals = self.pps.nals(|pps| pps.sps == id);
        let mut record = vec![1];
        record.extend_from_slice(&sps.profile_tier_level);
        // No minimum spatial segmentation, parallelism not told.
        record.extend_from_slice(&[0xf0, 0, 0xfc]);
        record.extend_from_slice(&[
            0xfc | sps.chroma_format,
            0xf8 | (sps.bit_depths.0 - 8),
            0xf8 | (sps.bit_depths.1 - 8),
        ]);
        // No average frame rate; constantFrameRate 0; lengths of four bytes.
        record.extend_from_slice(&[0, 0]);
        record.push(sps.sub_layers << 3 | u8::from(sps.temporal_id_nesting) << 2 | 3);
        record.push(3);
        for (kind, nals) in [(VPS, vec![vps_nal]), (SPS, vec![sps_nal]), (PPS, pps_nals)] {
            // `hvc1`: array_completeness is set.
            record.push(0x80 | kind);
            record
                .extend_from_slice(&u16::try_from(nals.len()).ok().filter(|&count| count > 0)?.to_be_bytes());
            for nal in nals {
                video::put_set(&mut record, nal);
            }
        }
        let picture = Picture {
            width: sps.width,
            height: sps.height,
            sample_aspect: sps.sample_aspect,
            frame_rate: sps.frame_rate,
            interlaced: sps.interlaced,
        };
        Some(Codec::H265 { hvcc: Bytes::from(record), picture })
    }
}

/// Stands for every NAL unit of a layer above the base: reserved, so it is none of the types we look for.
const OTHER_LAYER: u8 = 63;

fn kind(nal: &[u8]) -> u8 {
    match nal {
        // 7.3.1.2: nuh_layer_id has its high bit in the first byte.
        [a, b, ..] if a & 1 == 0 && b & 0xf8 == 0 => a >> 1 & 0x3f,
        _ => OTHER_LAYER,
    }
}

/// What a NAL unit tells of decoding from its access unit on, as far as it is at hand.
pub(crate) fn entry(nal: &[u8]) -> Entry {
    match kind(nal) {
        16..=23 => Entry::Certain,
        VPS | SPS => Entry::Likely,
        _ => Entry::No,
    }
}

fn take_slice(kind: u8, nal: &[u8], unit: &mut Unit<Head>) {
    // 7.4.2.2: 16 to 23 are IRAP pictures; of those, 19 and 20 are IDR.
    let random_access = (16..=23).contains(&kind);
    unit.intra &= random_access;
    unit.recovery |= random_access;
    unit.closed |= matches!(kind, 19 | 20);
    if unit.head.is_some() {
        return;
    }
    let mut data = [0; 16];
    let len = unescape(&nal[..nal.len().min(20)], &mut data);
    let mut bits = BitReader::new(&data[..len]);
    let read = |bits: &mut BitReader<'_>| {
        // The first flag says that this slice segment is the picture's first.
        bits.skip(16)?;
        let first = bits.flag()?;
        if random_access {
            bits.flag()?;
        }
        first.then_some(bits.ue()?)
    };
    unit.head = read(&mut bits).map(|pps| Head { pps });
}

#[cfg(test)]
mod tests;
