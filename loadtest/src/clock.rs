//! The clocks a venue puts into its stream, so that whoever takes it can check it without knowing the source.
//!
//! [`Mark`] goes through the transport lane: a TS packet that tells what was sent since the last one, and when.
//! [`Stamp`] goes through the media lane: an SEI message in each picture that tells when it was sent.

mod ledger;
mod mark;
mod stamp;

pub use ledger::{Counts, Ledger};
pub use mark::{MARK_PID, Mark};
pub use stamp::{Codec, STAMP_TEXT_BYTES, Stamp};

/// A number for a Feed's name (64-bit FNV-1a): what its marks and stamps carry.
pub fn feed_number(feed: &str) -> u64 {
    feed.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
