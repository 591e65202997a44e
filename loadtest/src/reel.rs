//! A stretch of transport stream that is played out as one endless stream.
//!
//! [`Reel`] is prepared once and shared by all venues; a [`Playout`] is one venue's way through it: continuity
//! counters, PCR, PTS and splice times go on from loop to loop, and the clocks of [`crate::clock`] are filled in.

mod cut;
mod playout;
mod prepare;

use std::time::Duration;

pub use playout::{CHUNK_BYTES, Playout};

use crate::ts;
use crate::units::Rate;

/// Why a transport stream cannot be looped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no transport stream with one programme.
    #[error(transparent)]
    Stream(#[from] ts::Error),
    /// It has no clock to send it by.
    #[error("it has fewer than two PCRs on the PID its PMT names")]
    NoClock,
    /// It has too few pictures.
    #[error("it has {0} pictures with a time stamp: at least 2 are needed to know how long it is")]
    NoPictures(usize),
    /// Pictures and clock do not cover the same time, so there would be a jump at each loop.
    #[error(
        "its pictures last {pictures:?} and its PCR {clock:?}: they must be within a tenth of each other"
    )]
    Uneven {
        /// From the first picture's decoding time to that after the last.
        pictures: Duration,
        /// From the first packet to the last by PCR.
        clock: Duration,
    },
    /// It is longer than can be counted.
    #[error("it is larger than 4 GiB")]
    TooLarge,
}

/// What is filled in when a packet is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// The whole packet is a mark.
    Mark,
    /// The text of a stamp begins at this byte.
    Stamp(u8),
    /// The packet has a PCR.
    Pcr,
    /// A PTS begins at this byte, and a DTS after it where told.
    Times(u8, bool),
    /// A splice information section begins at this byte and has this length.
    Splice(u8, u8),
}

/// A transport stream prepared for looping.
#[derive(Debug)]
pub struct Reel {
    packets: Vec<u8>,
    /// When each packet is sent, in ticks of 27 MHz since the loop's start.
    times: Vec<u64>,
    /// By packet, in order.
    fills: Vec<(u32, Fill)>,
    /// The PCR at time zero.
    clock_start: u64,
    /// Ticks of 90 kHz that a loop lasts.
    length: u64,
    /// Pictures that carry a stamp.
    pictures: usize,
}

impl Reel {
    /// Prepares a stream of one programme.
    pub fn new(ts: Vec<u8>) -> Result<Self, Error> {
        prepare::prepare(ts)
    }

    /// How long a loop lasts.
    pub fn length(&self) -> Duration {
        Duration::from_nanos(self.length * 100_000 / 9)
    }

    /// The mean bit rate.
    pub fn rate(&self) -> Rate {
        let bits = self.packets.len() as u128 * 8 * 90_000;
        Rate(u64::try_from(bits / u128::from(self.length.max(1))).unwrap_or(u64::MAX))
    }

    /// Pictures of a loop that carry a stamp; 0 where they are of a codec that stamps are not made for.
    pub fn pictures(&self) -> usize {
        self.pictures
    }
}

/// The PTS, DTS and PCR base wrap after so many ticks of 90 kHz (ISO/IEC 13818-1, 2.4.2.2).
const WRAP: u64 = 1 << 33;

#[cfg(test)]
mod tests;
