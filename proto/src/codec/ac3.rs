//! AC-3 and E-AC-3 (ETSI TS 102 366).
//!
//! A stream may turn out to be the other of the two than its descriptor says: each frame tells by its `bsid`.

use bytes::{Bytes, BytesMut};
use flambeau_media::codec::{Codec, Sound};

use super::audio::{AudioFramer, Measure, Sounding, Syntax};
use super::bits::{BitReader, BitWriter};

/// Samples that six blocks of sound decode to: an access unit of either codec.
const UNIT_SAMPLES: u32 = 1536;

/// The most frames that make one access unit: 8 independent substreams, each with 8 dependent ones.
const UNIT_BYTES_MAX: usize = 72 * 4096;

/// Makes Samples of AC-3 and E-AC-3. The substreams of an E-AC-3 access unit become one Sample.
pub type Framer = AudioFramer<Ac3>;

/// Reads sync frames.
#[derive(Debug, Default)]
pub struct Ac3 {
    unit: Unit,
    told: Option<Codec>,
}

/// An E-AC-3 access unit in the making.
#[derive(Debug, Default)]
struct Unit {
    data: BytesMut,
    /// Of the independent substream 0, six make a whole.
    blocks: u32,
    first: Option<Frame>,
    substreams: Vec<Substream>,
}

/// An independent substream as `dec3` tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Substream {
    frame: Frame,
    dependents: u32,
    locations: u16,
}

/// A sync frame's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    kind: Kind,
    bytes: usize,
    sample_rate: u32,
    /// As coded.
    rate_code: u32,
    bsid: u32,
    bsmod: u32,
    acmod: u32,
    lfe: bool,
    blocks: u32,
    /// `frmsizecod` of AC-3.
    size_code: u32,
    /// `chanmap` of a dependent substream.
    channel_map: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ac3,
    Independent(u32),
    Dependent,
}

// TS 102 366 table 4.13, in kbit/s.
const BIT_RATES: [u32; 19] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];

const RATES: [u32; 3] = [48_000, 44_100, 32_000];

// Full bandwidth channels of each acmod (table 4.3).
const CHANNELS: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];

impl Frame {
    fn parse(data: &[u8]) -> Option<Self> {
        if data.get(..2)? != [0x0b, 0x77] {
            return None;
        }
        // bsid has the same place in both syntaxes (annex E.1.3.1.6): up to 10 is AC-3, 11 to 16 E-AC-3.
        match data.get(5)? >> 3 {
            0..=10 => Self::parse_ac3(data),
            11..=16 => Self::parse_eac3(data),
            _ => None,
        }
    }

    // 4.3.1, 4.3.2.
    fn parse_ac3(data: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(data);
        bits.skip(32)?;
        let (rate_code, size_code) = (bits.bits(2)?, bits.bits(6)?);
        let (bsid, bsmod, acmod) = (bits.bits(5)?, bits.bits(3)?, bits.bits(3)?);
        if acmod & 1 != 0 && acmod != 1 {
            bits.skip(2)?;
        }
        if acmod & 4 != 0 {
            bits.skip(2)?;
        }
        if acmod == 2 {
            bits.skip(2)?;
        }
        let lfe = bits.flag()?;
        let kilobits = *BIT_RATES.get(size_code as usize / 2)?;
        let words = match rate_code {
            0 => kilobits * 2,
            1 => kilobits * 320 / 147 + (size_code & 1),
            _ => kilobits * 3,
        };
        // bsid 9 and 10: half and quarter rates, outside the standard but on the air.
        let sample_rate = RATES.get(rate_code as usize)? >> bsid.saturating_sub(8);
        Some(Self {
            kind: Kind::Ac3,
            bytes: words as usize * 2,
            sample_rate,
            rate_code,
            bsid,
            bsmod,
            acmod,
            lfe,
            blocks: 6,
            size_code,
            channel_map: 0,
        })
    }

    // Annex E.1.2.2.
    fn parse_eac3(data: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(data);
        bits.skip(16)?;
        let (stream_type, substream) = (bits.bits(2)?, bits.bits(3)?);
        let kind = match stream_type {
            0 | 2 => Kind::Independent(substream),
            1 => Kind::Dependent,
            _ => return None,
        };
        let bytes = (bits.bits(11)? as usize + 1) * 2;
        let rate_code = bits.bits(2)?;
        let second = bits.bits(2)?;
        let (sample_rate, blocks) = match rate_code {
            3 => (RATES.get(second as usize)? / 2, 6),
            code => (RATES[code as usize], [1, 2, 3, 6][second as usize]),
        };
        let (acmod, lfe, bsid) = (bits.bits(3)?, bits.flag()?, bits.bits(5)?);
        let mut channel_map = 0;
        if kind == Kind::Dependent {
            for _ in 0..if acmod == 0 { 2 } else { 1 } {
                bits.skip(5)?;
                if bits.flag()? {
                    bits.skip(8)?;
                }
            }
            if bits.flag()? {
                channel_map = bits.bits(16)? as u16;
            }
        }
        Some(Self {
            kind,
            bytes,
            sample_rate,
            rate_code,
            bsid,
            bsmod: 0,
            acmod,
            lfe,
            blocks,
            size_code: 0,
            channel_map,
        })
    }

    fn channels(&self) -> u16 {
        CHANNELS[self.acmod as usize & 7] + u16::from(self.lfe)
    }

    /// The body of `dac3` (annex F.4).
    fn ac3(&self) -> Codec {
        let mut bits = BitWriter::new();
        bits.bits(2, self.rate_code).bits(5, self.bsid).bits(3, self.bsmod).bits(3, self.acmod);
        bits.bits(1, u32::from(self.lfe)).bits(5, self.size_code / 2).bits(5, 0);
        let sound = Sound { sample_rate: self.sample_rate, channels: self.channels() };
        Codec::Ac3 { dac3: Bytes::from(bits.finish()), sound }
    }
}

impl Syntax for Ac3 {
    fn measure(&self, data: &[u8]) -> Measure {
        match data {
            [a, ..] if *a != 0x0b => Measure::Nothing,
            [_, b, ..] if *b != 0x77 => Measure::Nothing,
            // The longest head that is read: that of a dependent substream.
            _ if data.len() < 14 => Measure::More,
            _ => Frame::parse(data).map_or(Measure::Nothing, |frame| Measure::Frame(frame.bytes)),
        }
    }

    fn begins_unit(&self, frame: &[u8]) -> bool {
        match Frame::parse(frame).map(|frame| frame.kind) {
            Some(Kind::Ac3) => true,
            Some(Kind::Independent(0)) => self.unit.blocks == 0 || self.unit.blocks >= 6,
            _ => false,
        }
    }

    fn take(&mut self, frame: &[u8], sink: &mut dyn FnMut(Sounding)) -> Option<()> {
        let head = Frame::parse(frame)?;
        match head.kind {
            Kind::Ac3 => {
                let codec = self.tell(head.ac3());
                let data = Bytes::copy_from_slice(frame);
                sink(Sounding { data, samples: UNIT_SAMPLES, rate: head.sample_rate, codec });
                Some(())
            }
            _ => self.unit.add(head, frame),
        }
    }

    fn settle(&mut self, sink: &mut dyn FnMut(Sounding)) {
        // Annex F.5: a Sample holds six blocks of every substream.
        if self.unit.blocks < 6 {
            return;
        }
        let unit = std::mem::take(&mut self.unit);
        let Some(first) = unit.first else { return };
        let codec = self.tell(unit.codec(&first));
        let data = unit.data.freeze();
        sink(Sounding { data, samples: unit.blocks * 256, rate: first.sample_rate, codec });
    }

    fn reset(&mut self) {
        self.unit = Unit::default();
    }
}

impl Ac3 {
    /// The configuration, if it differs from the last one. The data rate of E-AC-3 alone makes no difference.
    fn tell(&mut self, codec: Codec) -> Option<Codec> {
        let same = match (&self.told, &codec) {
            (Some(Codec::Eac3 { dec3: a, sound: x }), Codec::Eac3 { dec3: b, sound: y }) => {
                // 13 bits of data_rate, then 3 of num_ind_sub.
                x == y && a.get(2..) == b.get(2..) && a[1] & 7 == b[1] & 7
            }
            (told, codec) => told.as_ref() == Some(codec),
        };
        if same {
            return None;
        }
        self.told = Some(codec.clone());
        Some(codec)
    }
}

impl Unit {
    fn add(&mut self, head: Frame, frame: &[u8]) -> Option<()> {
        match head.kind {
            Kind::Independent(id) => {
                // The frames of a unit are its substream 0's first: without it the rest is of no use.
                if id != 0 && self.first.is_none() {
                    return None;
                }
                if id == 0 {
                    self.blocks += head.blocks;
                    self.first.get_or_insert(head);
                }
                let known = |substream: &Substream| substream.frame.kind == head.kind;
                if !self.substreams.iter().any(known) {
                    self.substreams.push(Substream { frame: head, dependents: 0, locations: 0 });
                }
            }
            _ => {
                let substream = self.substreams.last_mut()?;
                let locations = locations(head.channel_map);
                if substream.locations | locations != substream.locations || substream.dependents == 0 {
                    substream.dependents += 1;
                }
                substream.locations |= locations;
            }
        }
        if self.data.len() + frame.len() > UNIT_BYTES_MAX {
            *self = Self::default();
            return None;
        }
        self.data.extend_from_slice(frame);
        Some(())
    }

    /// The body of `dec3` (annex F.6).
    fn codec(&self, first: &Frame) -> Codec {
        let samples = u64::from(self.blocks.max(1)) * 256;
        let kilobits = self.data.len() as u64 * 8 * u64::from(first.sample_rate) / samples / 1000;
        let mut bits = BitWriter::new();
        bits.bits(13, u32::try_from(kilobits).unwrap_or(u32::MAX).min(0x1fff));
        let substreams = &self.substreams[..self.substreams.len().min(8)];
        bits.bits(3, substreams.len().saturating_sub(1) as u32);
        for Substream { frame, dependents, locations } in substreams {
            bits.bits(2, frame.rate_code).bits(5, frame.bsid).bits(1, 0).bits(1, 0).bits(3, frame.bsmod);
            bits.bits(3, frame.acmod).bits(1, u32::from(frame.lfe)).bits(3, 0).bits(4, (*dependents).min(15));
            match dependents {
                0 => bits.bits(1, 0),
                _ => bits.bits(9, u32::from(*locations)),
            };
        }
        let extra = self.substreams.first().map_or(0, |substream| extra_channels(substream.locations));
        let sound = Sound { sample_rate: first.sample_rate, channels: first.channels() + extra };
        Codec::Eac3 { dec3: Bytes::from(bits.finish()), sound }
    }
}

/// `chan_loc` (table F.6.1) of a `chanmap` (table E.1.4): Lc/Rc, Lrs/Rrs, Cs, Ts, Lsd/Rsd, Lw/Rw, Lvh/Rvh, Cvh
/// from its least significant bit on, and LFE2.
fn locations(channel_map: u16) -> u16 {
    // Of chanmap, bit 0 is the most significant; 5 is Lc/Rc, 12 is Cvh, 14 is LFE2.
    let present = |bit: u16| channel_map >> (15 - bit) & 1;
    (0..8).map(|bit| present(bit + 5) << bit).sum::<u16>() | present(14) << 8
}

/// Loudspeaker channels that a `chan_loc` adds.
fn extra_channels(locations: u16) -> u16 {
    const PAIRS: u16 = 0b0_0111_0011;
    (locations.count_ones() + (locations & PAIRS).count_ones()) as u16
}

#[cfg(test)]
mod tests;
