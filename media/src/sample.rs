//! One timed access unit.

use bytes::Bytes;

/// One access unit: a coded frame (both its fields) or one audio frame, in ISO BMFF form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Presentation time: 90 kHz, 33-bit wraps undone, so it only grows but for a discontinuity.
    pub pts: i64,
    /// Decoding time, on the same clock.
    pub dts: i64,
    /// An audio frame's length in ticks of the Track's timescale; a video frame's is known from the next one.
    pub duration: Option<u32>,
    /// Decoding can start here.
    pub sync: bool,
    /// The coded bytes: length-prefixed NAL units, or one raw audio frame.
    pub data: Bytes,
}
