//! H.264 (ITU-T H.264, ISO/IEC 14496-10) in a byte stream.

use bytes::Bytes;
use flambeau_media::codec::{Codec, Picture};

use self::sps::Sps;
use super::bits::BitReader;
use super::nal::{PARAMETER_SET_BYTES_MAX, unescape, unescaped};
use super::video::{self, Configuration, Sets, Unit};
use crate::mpegts::stream::Entry;

pub mod sps;

/// Makes Samples of an H.264 byte stream. The two fields of a frame that are coded apart become one Sample.
pub type Framer = super::VideoFramer<Syntax>;

// ITU-T H.264, table 7-1.
const SLICE: u8 = 1;
const PARTITION_A: u8 = 2;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;
const FILLER: u8 = 12;
const SPS_EXTENSION: u8 = 13;
const SUBSET_SPS: u8 = 15;

/// The fields of a slice header that tell one picture from the next (ITU-T H.264, 7.4.1.2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pps: u32,
    /// `None` while the parameter sets are not known.
    sps: Option<u32>,
    first: bool,
    intra: bool,
    reference: bool,
    idr: Option<u32>,
    frame_num: u32,
    field: Option<Parity>,
    order: [i32; 3],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parity {
    Top,
    Bottom,
}

#[derive(Debug)]
struct Pps {
    sps: u32,
    bottom_field_pic_order: bool,
}

/// What is known of the stream's parameter sets.
#[derive(Debug, Default)]
pub struct Syntax {
    sps: Sets<Sps>,
    pps: Sets<Pps>,
    changed: bool,
    active: Option<u32>,
    codec: Option<Codec>,
}

impl video::Syntax for Syntax {
    type Head = Head;

    fn begins_unit(&self, nal: &[u8], unit: &Unit<Head>) -> bool {
        match kind(nal) {
            // 7.4.1.2.3: any of these after the last slice of a primary coded picture.
            SEI..=DELIMITER | 14..=18 => true,
            SLICE | PARTITION_A | IDR => match (&unit.head, self.head(nal)) {
                (Some(first), Some(head)) => differs(first, &head),
                _ => false,
            },
            _ => false,
        }
    }

    fn take(&mut self, nal: &[u8], unit: &mut Unit<Head>) -> bool {
        match kind(nal) {
            SLICE | PARTITION_A | IDR => self.take_slice(nal, unit),
            SEI => take_sei(nal, unit),
            SPS => {
                unit.sequence = true;
                self.take_sps(nal);
            }
            PPS => self.take_pps(nal),
            _ => {}
        }
        // ISO/IEC 14496-15 5.3: under `avc1` the parameter sets live in the sample entry alone; fillers are waste.
        !matches!(kind(nal), SPS | PPS | DELIMITER | FILLER | SPS_EXTENSION | SUBSET_SPS)
    }

    fn configuration(&mut self, head: &Head) -> Configuration {
        let Some(id) = head.sps else { return Configuration::Unknown };
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

    fn is_first_field(head: &Head) -> bool {
        head.field.is_some()
    }

    // 3.30, 3.31: complementary fields share frame_num and differ in parity; a reference field never completes
    // one that is none, and only the first field of a frame may be an IDR picture.
    fn is_second_field(first: &Head, second: &Head) -> bool {
        first.field.is_some()
            && second.field.is_some()
            && first.field != second.field
            && first.frame_num == second.frame_num
            && (first.reference || !second.reference)
            && (first.idr.is_some() || second.idr.is_none())
    }
}

impl Syntax {
    fn take_slice(&self, nal: &[u8], unit: &mut Unit<Head>) {
        let Some(head) = self.head(nal) else { return };
        unit.intra &= head.intra;
        unit.closed |= head.idr.is_some();
        unit.head.get_or_insert(head);
    }

    fn take_sps(&mut self, nal: &[u8]) {
        if self.sps.knows(nal) {
            return;
        }
        let Some(sps) = unescaped(nal).and_then(|data| Sps::parse(data.get(1..)?)) else { return };
        let id = sps.id;
        if self.sps.insert(id, nal, sps) {
            // 7.4.1.2.1: a picture parameter set is read by the sequence parameter set it refers to.
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
            bits.skip(8)?;
            let (id, sps) = (bits.ue()?, bits.ue()?);
            bits.flag()?;
            Some((id, Pps { sps, bottom_field_pic_order: bits.flag()? }))
        };
        // 7.4.2.2: pic_parameter_set_id is at most 255, seq_parameter_set_id at most 31.
        if let Some((id, pps)) = read(&mut bits).filter(|(id, pps)| *id < 256 && pps.sps < 32) {
            self.changed |= self.pps.insert(id, nal, pps);
        }
    }

    /// Reads a slice header as far as its picture is told from others (7.3.3).
    fn head(&self, nal: &[u8]) -> Option<Head> {
        let mut data = [0; 64];
        let len = unescape(&nal[..nal.len().min(80)], &mut data);
        let mut bits = BitReader::new(&data[..len]);
        bits.skip(8)?;
        let first = bits.ue()? == 0;
        let slice_type = bits.ue()?;
        let mut head = Head {
            pps: bits.ue()?,
            sps: None,
            first,
            intra: matches!(slice_type % 5, 2 | 4),
            reference: nal[0] & 0x60 != 0,
            idr: (kind(nal) == IDR).then_some(0),
            frame_num: 0,
            field: None,
            order: [0; 3],
        };
        let Some(pps) = self.pps.find(head.pps) else { return Some(head) };
        let Some(sps) = self.sps.find(pps.sps) else { return Some(head) };
        head.sps = Some(sps.id);
        if sps.separate_colour_plane {
            bits.skip(2)?;
        }
        head.frame_num = bits.bits(sps.frame_num_bits)?;
        if !sps.frame_mbs_only && bits.flag()? {
            head.field = Some(if bits.flag()? { Parity::Bottom } else { Parity::Top });
        }
        if head.idr.is_some() {
            head.idr = Some(bits.ue()?);
        }
        match sps.order {
            sps::Order::Lsb { bits: count } => {
                head.order[0] = bits.bits(count)? as i32;
                if pps.bottom_field_pic_order && head.field.is_none() {
                    head.order[1] = bits.se()?;
                }
            }
            sps::Order::Deltas { always_zero: false } => {
                head.order[0] = bits.se()?;
                if pps.bottom_field_pic_order && head.field.is_none() {
                    head.order[1] = bits.se()?;
                }
            }
            sps::Order::Deltas { always_zero: true } | sps::Order::Decoding => {}
        }
        Some(head)
    }

    /// The configuration of pictures that use sequence parameter set `id` (ISO/IEC 14496-15, 5.3.3.1.2).
    fn codec(&self, id: u32) -> Option<Codec> {
        let (sps, sps_nal) = (self.sps.find(id)?, self.sps.nal(id)?);
        let mut pps_nals = self.pps.nals(|pps| pps.sps == id);
        pps_nals.truncate(255);
        let mut record = vec![1];
        record.extend_from_slice(sps_nal.get(1..4)?);
        record.extend_from_slice(&[0xfc | 3, 0xe0 | 1]);
        video::put_set(&mut record, sps_nal);
        record.push(u8::try_from(pps_nals.len()).ok().filter(|&count| count > 0)?);
        for nal in pps_nals {
            video::put_set(&mut record, nal);
        }
        if !matches!(sps_nal[1], 66 | 77 | 88) {
            let depths =
                [0xfc | sps.chroma_format, 0xf8 | (sps.bit_depths.0 - 8), 0xf8 | (sps.bit_depths.1 - 8)];
            record.extend_from_slice(&depths);
            record.push(0);
        }
        let picture = Picture {
            width: sps.width,
            height: sps.height,
            sample_aspect: sps.sample_aspect,
            frame_rate: sps.frame_rate,
            interlaced: !sps.frame_mbs_only,
        };
        Some(Codec::H264 { avcc: Bytes::from(record), picture })
    }
}

fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |byte| byte & 0x1f)
}

// 7.4.1.2.4: the first slice of a primary coded picture differs from the last one of the picture before in any
// of these. While the parameter sets are unknown, the first macroblock's number tells.
fn differs(first: &Head, head: &Head) -> bool {
    if first.sps.is_none() || head.sps.is_none() {
        return head.first;
    }
    first.pps != head.pps
        || first.frame_num != head.frame_num
        || first.field != head.field
        || first.reference != head.reference
        || first.idr != head.idr
        || first.order != head.order
}

/// Looks for a recovery point message (ITU-T H.264, D.1.8) among the unit's.
fn take_sei<H>(nal: &[u8], unit: &mut Unit<H>) {
    let mut data = [0; 512];
    let len = unescape(nal.get(1..).unwrap_or_default(), &mut data);
    let mut rest = &data[..len];
    while let Some((kind, payload, after)) = sei_message(rest) {
        if kind == 6 {
            unit.recovery = true;
            unit.gradual |= BitReader::new(payload).ue().is_some_and(|frames| frames > 0);
        }
        rest = after;
    }
}

/// What a NAL unit tells of decoding from its access unit on, as far as it is at hand.
pub(crate) fn entry(nal: &[u8]) -> Entry {
    match kind(nal) {
        IDR => Entry::Certain,
        SPS => Entry::Likely,
        SEI => {
            let mut unit = Unit::<Head>::default();
            take_sei(nal, &mut unit);
            if unit.recovery { Entry::Certain } else { Entry::No }
        }
        _ => Entry::No,
    }
}

/// The first message of an SEI (7.3.2.3.1): its type, its payload, and what follows it.
pub(crate) fn sei_message(data: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let number = |data: &mut &[u8]| {
        let mut value = 0;
        loop {
            let (&byte, rest) = data.split_first()?;
            *data = rest;
            value += usize::from(byte);
            if byte != 0xff {
                return Some(value);
            }
        }
    };
    let mut rest = data;
    let (kind, size) = (number(&mut rest)?, number(&mut rest)?);
    Some((kind, rest.get(..size)?, &rest[size..]))
}

#[cfg(test)]
mod tests;
