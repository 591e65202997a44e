//! From payloads of any size to whole transport stream packets.

use bytes::{Bytes, BytesMut};
use flambeau_proto::mpegts::{PACKET_BYTES, SYNC_BYTE};

/// Sync bytes in a row, a packet apart, that make a packet boundary. Random bytes have them once in 10^12 places.
const CONFIRMATIONS: usize = 5;

/// Bytes searched in vain before a stream that never had a packet boundary is refused: 26 ms of 20 Mb/s.
const SEARCHED_BYTES_MAX: u64 = 64 << 10;

/// The same for a stream that had one and lost it.
const RESEARCHED_BYTES_MAX: u64 = 1 << 20;

/// The sender's payload is no MPEG transport stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an MPEG transport stream: no packet boundary in {searched} bytes")]
pub struct NotTransportStream {
    /// Bytes searched in vain.
    pub searched: u64,
}

/// What an [`Aligner`] met so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlignStats {
    /// Bytes skipped in search of a packet boundary, or left of a packet whose rest is missing.
    pub skipped_bytes: u64,
    /// Times the packet boundary was lost after it had been found.
    pub sync_losses: u64,
    /// Packets passed on although their sync byte was damaged.
    pub sync_byte_errors: u64,
}

/// Cuts a byte stream at packet boundaries, without a copy where payloads already hold whole packets.
///
/// What comes out is what came in, byte for byte, but for what lies before a packet boundary.
#[derive(Debug, Default)]
pub struct Aligner {
    /// What is left of earlier payloads: less than a packet, or the window of the search.
    held: BytesMut,
    aligned: bool,
    was_aligned: bool,
    searched: u64,
    stats: AlignStats,
}

impl Aligner {
    /// An Aligner that has not found the boundary yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next payload and hands whole packets, one or more at a time, to `sink`.
    ///
    /// # Errors
    /// [`NotTransportStream`] once too much was searched in vain; the session should end.
    pub fn push(&mut self, payload: Bytes, sink: &mut impl FnMut(Bytes)) -> Result<(), NotTransportStream> {
        let mut rest = payload;
        while !rest.is_empty() {
            rest = match (self.aligned, self.held.is_empty()) {
                (true, true) => self.pass(rest, sink),
                (true, false) => self.complete(rest, sink),
                (false, _) => self.search(rest)?,
            };
        }
        Ok(())
    }

    /// Bytes are missing before the next payload: a packet begun is dropped, and the boundary is looked for anew.
    pub fn discontinuity(&mut self) {
        self.skip(self.held.len());
        self.held.clear();
        self.aligned = false;
    }

    /// What it met so far.
    pub fn stats(&self) -> AlignStats {
        self.stats
    }

    /// Passes the whole packets on that `payload` begins with; gives what is to be looked at again.
    fn pass(&mut self, mut payload: Bytes, sink: &mut impl FnMut(Bytes)) -> Bytes {
        let count = payload.len() / PACKET_BYTES;
        let synced = payload.chunks_exact(PACKET_BYTES).filter(|packet| packet[0] == SYNC_BYTE).count();
        // A damaged byte is the stream's own: most of the others tell that the boundary still holds.
        if synced * 2 > count || count == 0 && payload[0] == SYNC_BYTE {
            self.stats.sync_byte_errors += (count - synced) as u64;
            let packets = payload.split_to(count * PACKET_BYTES);
            if !packets.is_empty() {
                sink(packets);
            }
            self.held.extend_from_slice(&payload);
            return Bytes::new();
        }
        let good = payload.chunks_exact(PACKET_BYTES).take_while(|packet| packet[0] == SYNC_BYTE).count();
        let packets = payload.split_to(good * PACKET_BYTES);
        if !packets.is_empty() {
            sink(packets);
        }
        self.aligned = false;
        self.stats.sync_losses += 1;
        payload
    }

    /// Completes the packet begun in an earlier payload; gives what follows it.
    fn complete(&mut self, mut payload: Bytes, sink: &mut impl FnMut(Bytes)) -> Bytes {
        let missing = PACKET_BYTES - self.held.len();
        self.held.extend_from_slice(&payload.split_to(missing.min(payload.len())));
        if self.held.len() == PACKET_BYTES {
            sink(self.held.split().freeze());
        }
        payload
    }

    /// Looks for a packet boundary; gives the bytes from there on, or nothing while there is none.
    fn search(&mut self, payload: Bytes) -> Result<Bytes, NotTransportStream> {
        const WINDOW: usize = (CONFIRMATIONS - 1) * PACKET_BYTES;
        let data = if self.held.is_empty() {
            payload
        } else {
            self.held.extend_from_slice(&payload);
            self.held.split().freeze()
        };
        let is_boundary = |at: usize| {
            (0..CONFIRMATIONS).all(|packet| data.get(at + packet * PACKET_BYTES) == Some(&SYNC_BYTE))
        };
        let last = data.len().saturating_sub(WINDOW);
        if let Some(at) = (0..last).find(|&at| is_boundary(at)) {
            self.skip(at);
            self.aligned = true;
            self.was_aligned = true;
            self.searched = 0;
            return Ok(data.slice(at..));
        }
        self.skip(last);
        self.searched += last as u64;
        self.held.extend_from_slice(&data[last..]);
        let max = if self.was_aligned { RESEARCHED_BYTES_MAX } else { SEARCHED_BYTES_MAX };
        if self.searched > max {
            return Err(NotTransportStream { searched: self.searched });
        }
        Ok(Bytes::new())
    }

    fn skip(&mut self, bytes: usize) {
        self.stats.skipped_bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests;
