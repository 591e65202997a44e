//! One elementary stream of a programme.

use std::fmt;
use std::str::FromStr;

use crate::codec::Codec;
use crate::time::CLOCK_90K;

/// A Track within its Feed. For a transport stream it is the PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u16);

/// A language of ISO 639-2: three lower-case letters. `und` where the stream is silent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language([u8; 3]);

impl Language {
    /// No language told.
    pub const UNDETERMINED: Self = Self(*b"und");

    /// The language of three letters in either case.
    pub fn from_letters(letters: [u8; 3]) -> Option<Self> {
        letters.iter().all(u8::is_ascii_alphabetic).then(|| Self(letters.map(|l| l.to_ascii_lowercase())))
    }

    /// The three letters.
    pub fn as_str(&self) -> &str {
        // Holds by construction: ASCII letters only.
        std::str::from_utf8(&self.0).unwrap_or("und")
    }
}

impl FromStr for Language {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        <[u8; 3]>::try_from(text.as_bytes()).ok().and_then(Self::from_letters).ok_or(())
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One elementary stream: video or audio of one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Track {
    /// Which of the Feed's.
    pub id: TrackId,
    /// Its codec and configuration.
    pub codec: Codec,
    /// Its language.
    pub language: Language,
}

impl Track {
    /// Pictures rather than sound.
    pub fn is_video(&self) -> bool {
        self.codec.picture().is_some()
    }

    /// Ticks a second of this Track in ISO BMFF: 90,000 for video, the sample rate for audio, so that an
    /// audio frame lasts a whole number of ticks.
    pub fn timescale(&self) -> u32 {
        self.codec.sound().map_or(CLOCK_90K, |sound| sound.sample_rate.max(1))
    }
}
