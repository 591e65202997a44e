//! Reads what a player would of CMAF: the time of each fragment, and the stamps in its pictures.

use crate::clock::Stamp;

/// Bytes that are no CMAF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A box whose length does not fit.
    #[error("a box of an impossible length")]
    Length,
    /// No length of a second.
    #[error("an init segment without a media header")]
    NoTimescale,
    /// Samples without their time.
    #[error("a fragment without its decoding time or a length of its samples")]
    NoTime,
    /// It ends in the middle of a fragment.
    #[error("it ends within a fragment")]
    Cut,
    /// Larger than any fragment.
    #[error("a fragment of more than {BYTES_MAX} bytes")]
    TooLarge,
}

/// What an init segment says (ISO/IEC 14496-12, 8.4.2 and 8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init {
    /// Ticks a second.
    pub timescale: u32,
    default_duration: u32,
    default_size: u32,
}

impl Init {
    /// Reads an init segment.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let moov = child(bytes, b"moov").ok_or(Error::NoTimescale)?;
        let media = child(moov, b"trak").and_then(|trak| child(trak, b"mdia"));
        let header = media.and_then(|mdia| child(mdia, b"mdhd")).ok_or(Error::NoTimescale)?;
        // Version 1 has times of 64 bits before it.
        let at = if header.first() == Some(&1) { 20 } else { 12 };
        let timescale = u32_at(header, at).filter(|scale| *scale > 0).ok_or(Error::NoTimescale)?;
        let trex = child(moov, b"mvex").and_then(|mvex| child(mvex, b"trex")).unwrap_or_default();
        let default_duration = u32_at(trex, 12).unwrap_or(0);
        Ok(Self { timescale, default_duration, default_size: u32_at(trex, 16).unwrap_or(0) })
    }
}

/// One `moof` with its `mdat`: a CMAF chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Decoding time of its first Sample, in ticks.
    pub start: u64,
    /// All its Samples, in ticks.
    pub duration: u64,
    /// Presentation time less decoding time of its first Sample, in ticks.
    pub offset: i64,
    /// How many Samples it has.
    pub samples: usize,
    /// The stamps of its pictures, each with the picture's presentation time in ticks.
    pub stamps: Vec<(i64, Stamp)>,
}

/// Takes fragments as their bytes come.
#[derive(Debug)]
pub struct Reader {
    init: Init,
    buffer: Vec<u8>,
}

struct Sample {
    end: usize,
    time: i64,
}

impl Reader {
    /// A reader of fragments of the Track of `init`.
    pub fn new(init: Init) -> Self {
        Self { init, buffer: Vec::new() }
    }

    /// Takes in more bytes and hands out each fragment that is whole.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Fragment)) -> Result<(), Error> {
        self.buffer.extend_from_slice(bytes);
        let (mut at, mut pending) = (0, None);
        while let Some((kind, body, end)) = box_at(&self.buffer, at)? {
            match kind {
                b"moof" => pending = Some(at),
                b"mdat" => {
                    if let Some(moof) = pending.take() {
                        sink(self.fragment(moof, at, body.start..end)?);
                    }
                }
                _ => {}
            }
            at = end;
        }
        self.buffer.drain(..pending.unwrap_or(at));
        if self.buffer.len() > BYTES_MAX { Err(Error::TooLarge) } else { Ok(()) }
    }

    /// That was all.
    pub fn finish(self) -> Result<(), Error> {
        if self.buffer.is_empty() { Ok(()) } else { Err(Error::Cut) }
    }

    /// The fragment whose `moof` starts at `moof` and ends before `data`.
    fn fragment(
        &self,
        moof: usize,
        moof_end: usize,
        data: std::ops::Range<usize>,
    ) -> Result<Fragment, Error> {
        let (_, body, _) = box_at(&self.buffer, moof)?.ok_or(Error::Length)?;
        let traf = child(&self.buffer[body.start..moof_end], b"traf").ok_or(Error::NoTime)?;
        let tfdt = child(traf, b"tfdt").ok_or(Error::NoTime)?;
        let start = if tfdt.first() == Some(&1) { u64_at(tfdt, 4) } else { u32_at(tfdt, 4).map(u64::from) };
        let start = start.ok_or(Error::NoTime)?;
        let defaults = self.defaults(child(traf, b"tfhd").ok_or(Error::NoTime)?);
        let mut samples = Vec::new();
        let mut time = start;
        for (kind, run) in children(traf) {
            if kind == b"trun" {
                read_run(run, defaults, (moof, data.start), &mut time, &mut samples).ok_or(Error::NoTime)?;
            }
        }
        let stamps = Stamp::find(&self.buffer[data.clone()]).filter_map(|(at, stamp)| {
            let of = samples.partition_point(|sample| sample.end <= data.start + at);
            Some((samples.get(of)?.time, stamp))
        });
        let stamps = stamps.collect();
        let offset = samples.first().map_or(0, |sample| sample.time - start as i64);
        Ok(Fragment { start, duration: time - start, offset, samples: samples.len(), stamps })
    }

    /// Length and size of Samples that do not tell their own (ISO/IEC 14496-12, 8.8.7).
    fn defaults(&self, tfhd: &[u8]) -> (u32, u32) {
        let flags = u32_at(tfhd, 0).unwrap_or(0);
        let mut at = 8 + if flags & 1 != 0 { 8 } else { 0 } + if flags & 2 != 0 { 4 } else { 0 };
        let mut field = |bit: u32, otherwise: u32| {
            if flags & bit == 0 {
                return otherwise;
            }
            at += 4;
            u32_at(tfhd, at - 4).unwrap_or(otherwise)
        };
        (field(8, self.init.default_duration), field(16, self.init.default_size))
    }
}

/// Reads a `trun` (ISO/IEC 14496-12, 8.8.8). `from`: where the `moof` and the `mdat`'s data begin.
fn read_run(
    run: &[u8],
    (duration, size): (u32, u32),
    from: (usize, usize),
    time: &mut u64,
    samples: &mut Vec<Sample>,
) -> Option<()> {
    let (flags, count) = (u32_at(run, 0)?, u32_at(run, 4)?);
    let mut at = 8;
    let mut end = match (flags & 1 != 0, samples.last()) {
        (true, _) => {
            at += 4;
            from.0.checked_add_signed(u32_at(run, 8)? as i32 as isize)?
        }
        (false, Some(last)) => last.end,
        (false, None) => from.1,
    };
    at += if flags & 4 != 0 { 4 } else { 0 };
    for _ in 0..count {
        let mut field = |bit: u32| {
            if flags & bit == 0 {
                return Some(None);
            }
            at += 4;
            u32_at(run, at - 4).map(Some)
        };
        let duration = field(0x100)?.unwrap_or(duration);
        let size = field(0x200)?.unwrap_or(size);
        field(0x400)?;
        let offset = field(0x800)?.unwrap_or(0) as i32;
        // A run whose Samples have neither length nor size is endless for a few bytes.
        if duration == 0 && size == 0 || samples.len() >= SAMPLES_MAX {
            return None;
        }
        end = end.checked_add(size as usize)?;
        samples.push(Sample { end, time: *time as i64 + i64::from(offset) });
        *time = time.checked_add(u64::from(duration))?;
    }
    Some(())
}

/// A box's kind, where its body begins, and where it ends.
type Located<'a> = (&'a [u8; 4], std::ops::Range<usize>, usize);

/// The box that begins at `at`; None while it is not whole.
fn box_at(bytes: &[u8], at: usize) -> Result<Option<Located<'_>>, Error> {
    let (Some(short), Some(kind)) = (u32_at(bytes, at), bytes.get(at + 4..).and_then(<[u8]>::first_chunk))
    else {
        return Ok(None);
    };
    let (head, size) = match short {
        1 => match u64_at(bytes, at + 8) {
            Some(size) => (16, usize::try_from(size).unwrap_or(usize::MAX)),
            None => return Ok(None),
        },
        size => (8, size as usize),
    };
    if size < head || size > BYTES_MAX {
        return Err(Error::Length);
    }
    let end = at + size;
    Ok((end <= bytes.len()).then_some((kind, at + head..end, end)))
}

fn children(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (kind, body, end) = box_at(bytes, at).ok()??;
        at = end;
        Some((kind, &bytes[body]))
    })
}

fn child<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(bytes).find(|(found, _)| *found == kind).map(|(_, body)| body)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// No box is larger.
const BYTES_MAX: usize = 64 << 20;
/// No fragment has more.
const SAMPLES_MAX: usize = 100_000;

#[cfg(test)]
mod tests;
