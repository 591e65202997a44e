//! Audio frames out of a byte stream: what all codecs with a sync word have in common.

use bytes::Bytes;
use flambeau_media::Sample;
use flambeau_media::codec::Codec;
use flambeau_media::time::CLOCK_90K;

use super::{Chunk, Framed, Framer, Losses};

/// The longest frame of any codec here: an Opus packet of 48 frames (RFC 6716, 3.2.5).
const FRAME_BYTES_MAX: usize = 62 << 10;

/// The longest head of a frame: an Opus control header.
const HEAD_BYTES_MAX: usize = 1 << 10;

/// What may be a frame's start turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A frame of this many bytes, its head included.
    Frame(usize),
    /// More bytes are needed to tell.
    More,
    /// No frame begins here.
    Nothing,
}

/// One access unit of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sounding {
    /// Its bytes, as ISO BMFF carries them.
    pub data: Bytes,
    /// Samples of each channel it decodes to.
    pub samples: u32,
    /// Samples a second.
    pub rate: u32,
    /// Its configuration, when that is not the one of the unit before.
    pub codec: Option<Codec>,
}

/// A codec's frames.
pub trait Syntax: std::fmt::Debug + Send {
    /// Looks for a frame's head at the first byte of `data`.
    fn measure(&self, data: &[u8]) -> Measure;

    /// Whether `frame` begins an access unit, rather than adding to the one before.
    fn begins_unit(&self, frame: &[u8]) -> bool {
        let _ = frame;
        true
    }

    /// Takes a whole frame; `None` when it is of no use.
    fn take(&mut self, frame: &[u8], sink: &mut dyn FnMut(Sounding)) -> Option<()>;

    /// Gives out an access unit that only waited for more frames of its own.
    fn settle(&mut self, sink: &mut dyn FnMut(Sounding)) {
        let _ = sink;
    }

    /// Bytes are missing: an access unit in the making is dropped.
    fn reset(&mut self) {}
}

/// Makes Samples of an audio byte stream, whose frames may lie across its chunks.
#[derive(Debug)]
pub struct AudioFramer<S: Syntax> {
    syntax: S,
    held: Vec<u8>,
    stamps: Vec<(usize, i64)>,
    /// The last frame's end is known to be the next one's start.
    locked: bool,
    /// Bytes are being passed over that are no frame.
    searching: bool,
    clock: Clock,
    losses: Losses,
}

/// The time of the next access unit: the last stamp, and the samples since.
#[derive(Debug, Default)]
struct Clock {
    anchor: Option<i64>,
    rate: u32,
    samples: u64,
}

impl Clock {
    fn set(&mut self, pts: i64) {
        *self = Self { anchor: Some(pts), ..Self::default() };
    }

    /// The time of a unit that lasts `samples`, and steps over it.
    fn step(&mut self, samples: u32, rate: u32) -> Option<i64> {
        let rate = rate.max(1);
        if self.rate != rate {
            *self = Self { anchor: self.now(), rate, samples: 0 };
        }
        let pts = self.now()?;
        self.samples += u64::from(samples);
        Some(pts)
    }

    fn now(&self) -> Option<i64> {
        let ticks = self.samples * u64::from(CLOCK_90K) / u64::from(self.rate.max(1));
        self.anchor?.checked_add_unsigned(ticks)
    }
}

impl<S: Syntax> AudioFramer<S> {
    /// A framer of this codec.
    pub fn new(syntax: S) -> Self {
        Self {
            syntax,
            held: Vec::new(),
            stamps: Vec::new(),
            locked: false,
            searching: false,
            clock: Clock::default(),
            losses: Losses::default(),
        }
    }

    /// Takes the frames of `data`; gives the bytes used.
    fn frames(&mut self, data: &[u8], sink: &mut dyn FnMut(Framed)) -> usize {
        let mut at = 0;
        loop {
            match self.measure(data, at) {
                Measure::More => return at,
                Measure::Nothing => {
                    if !std::mem::replace(&mut self.searching, true) {
                        self.losses.resyncs += 1;
                    }
                    self.locked = false;
                    at += 1;
                }
                Measure::Frame(len) => {
                    self.locked = true;
                    self.searching = false;
                    self.frame(&data[at..at + len], at, sink);
                    at += len;
                }
            }
        }
    }

    /// A whole frame at `at`. While the frames' boundary is not known, one counts only where a chunk begins or
    /// where another follows it.
    fn measure(&self, data: &[u8], at: usize) -> Measure {
        let rest = &data[at..];
        let len = match self.syntax.measure(rest) {
            Measure::Frame(len) if len == 0 || len > FRAME_BYTES_MAX => return Measure::Nothing,
            Measure::Frame(len) if len > rest.len() => return Measure::More,
            Measure::More if rest.len() > HEAD_BYTES_MAX => return Measure::Nothing,
            Measure::Frame(len) => len,
            other => return other,
        };
        if self.locked || self.stamps.iter().any(|&(offset, _)| offset == at) {
            return Measure::Frame(len);
        }
        match self.syntax.measure(&rest[len..]) {
            Measure::Frame(_) => Measure::Frame(len),
            other => other,
        }
    }

    fn frame(&mut self, frame: &[u8], at: usize, sink: &mut dyn FnMut(Framed)) {
        let Self { syntax, clock, losses, .. } = self;
        let begins = syntax.begins_unit(frame);
        if begins {
            syntax.settle(&mut |unit| deliver(unit, clock, losses, sink));
        }
        // 13818-1 2.4.3.7: the time stamp is that of the first access unit that commences in its packet.
        let due = self.stamps.iter().take_while(|&&(offset, _)| offset <= at).count();
        if let Some((_, pts)) = self.stamps.drain(..due).next_back().filter(|_| begins) {
            clock.set(pts);
        }
        if syntax.take(frame, &mut |unit| deliver(unit, clock, losses, sink)).is_none() {
            losses.units += 1;
        }
    }
}

fn deliver(unit: Sounding, clock: &mut Clock, losses: &mut Losses, sink: &mut dyn FnMut(Framed)) {
    if let Some(codec) = unit.codec {
        sink(Framed::Codec(codec));
    }
    match clock.step(unit.samples, unit.rate) {
        Some(pts) => sink(Framed::Sample(Sample {
            pts,
            dts: pts,
            duration: Some(unit.samples),
            sync: true,
            data: unit.data,
        })),
        None => losses.units += 1,
    }
}

impl<S: Syntax> Framer for AudioFramer<S> {
    fn push(&mut self, chunk: Chunk<'_>, sink: &mut dyn FnMut(Framed)) {
        if let Some(pts) = chunk.pts {
            self.stamps.push((self.held.len(), pts));
        }
        if self.held.is_empty() {
            let used = self.frames(chunk.data, sink);
            self.held.extend_from_slice(&chunk.data[used..]);
            self.rebase_stamps(used);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(chunk.data);
            let used = self.frames(&held, sink);
            held.drain(..used);
            self.rebase_stamps(used);
            self.held = held;
        }
        if self.held.is_empty() {
            let Self { syntax, clock, losses, .. } = self;
            syntax.settle(&mut |unit| deliver(unit, clock, losses, sink));
        }
    }

    fn reset(&mut self) {
        self.held.clear();
        self.stamps.clear();
        self.locked = false;
        self.clock = Clock::default();
        self.syntax.reset();
    }

    fn flush(&mut self, sink: &mut dyn FnMut(Framed)) {
        let Self { syntax, clock, losses, .. } = self;
        syntax.settle(&mut |unit| deliver(unit, clock, losses, sink));
        self.reset();
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

impl<S: Syntax> AudioFramer<S> {
    fn rebase_stamps(&mut self, used: usize) {
        self.stamps.retain_mut(|(offset, _)| match offset.checked_sub(used) {
            Some(rest) => {
                *offset = rest;
                true
            }
            None => false,
        });
    }
}

#[cfg(test)]
mod tests;
