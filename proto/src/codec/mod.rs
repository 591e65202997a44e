//! Elementary streams: from the bytes a container carried to access units and what a player must know of them.
//!
//! A [`Framer`] of each codec takes what came with one time stamp (a PES packet's payload, of any number of
//! access units and parts of them) and gives Samples in ISO BMFF form, with a [`Codec`] before the first
//! Sample that needs it.

use flambeau_media::Sample;
use flambeau_media::codec::Codec;

pub mod aac;
pub mod ac3;
mod audio;
pub mod bits;
pub mod h264;
pub mod h265;
pub mod mpeg_audio;
pub mod nal;
pub mod opus;
mod video;

pub use audio::AudioFramer;
pub use video::VideoFramer;

/// Bytes that came together, with the time of the first access unit that begins in them.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// The elementary stream's bytes.
    pub data: &'a [u8],
    /// Presentation time, 90 kHz, wraps undone.
    pub pts: Option<i64>,
    /// Decoding time; where it is absent it equals `pts`.
    pub dts: Option<i64>,
    /// The container says that decoding can start here.
    pub random_access: bool,
}

/// What a [`Framer`] gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// The configuration of the Samples that follow: the first one, or a change.
    Codec(Codec),
    /// One access unit.
    Sample(Sample),
}

/// What a [`Framer`] could not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Losses {
    /// Times a frame's start had to be searched for.
    pub resyncs: u64,
    /// Access units dropped: unreadable, without their parameter sets, or without any time.
    pub units: u64,
}

/// Makes Samples of one elementary stream.
pub trait Framer: std::fmt::Debug + Send {
    /// Takes the next bytes and hands out what they complete.
    fn push(&mut self, chunk: Chunk<'_>, sink: &mut dyn FnMut(Framed));

    /// Bytes are missing before the next chunk: what is incomplete is dropped.
    fn reset(&mut self);

    /// The stream has ended: what only waited for the next unit's start comes out.
    fn flush(&mut self, sink: &mut dyn FnMut(Framed));

    /// What could not be used so far.
    fn losses(&self) -> Losses;
}
