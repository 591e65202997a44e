//! Datagrams on their way out, side by side in one buffer, so that the kernel takes a run of them in one call.

use std::ops::Range;

use super::packet::DATAGRAM_BYTES;

/// Datagrams for one destination.
#[derive(Debug, Default)]
pub struct Burst {
    /// Grows to what is needed and stays: a datagram costs no clearing.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Burst {
    /// The most datagrams that a burst holds: what UDP segmentation offload takes in one call (Linux `UDP_MAX_SEGMENTS`).
    pub const DATAGRAMS_MAX: usize = 64;

    /// The datagrams so far.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Nothing to send.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// No room for another datagram.
    pub fn is_full(&self) -> bool {
        self.ends.len() >= Self::DATAGRAMS_MAX
    }

    /// Forgets the datagrams and keeps the memory.
    pub fn clear(&mut self) {
        self.ends.clear();
    }

    /// Adds a datagram: `write` fills the front of a buffer and returns how many bytes it used; none takes it back.
    pub fn push(&mut self, write: impl FnOnce(&mut [u8; DATAGRAM_BYTES]) -> Option<usize>) -> Option<usize> {
        let len = write(self.room())?;
        Some(self.commit(len))
    }

    /// Room for the next datagram.
    pub fn room(&mut self) -> &mut [u8; DATAGRAM_BYTES] {
        let start = self.end();
        if self.bytes.len() < start + DATAGRAM_BYTES {
            self.bytes.resize((start + DATAGRAM_BYTES).next_power_of_two(), 0);
        }
        self.bytes[start..].first_chunk_mut().expect("the buffer was just grown by that much")
    }

    /// The next datagram is the first `len` bytes of [`Burst::room`].
    pub fn commit(&mut self, len: usize) -> usize {
        let len = len.min(DATAGRAM_BYTES).min(self.bytes.len() - self.end());
        self.ends.push(self.end() + len);
        len
    }

    fn end(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The datagrams in runs that one send call can carry: all of a run have the first one's size, but for a
    /// shorter last one. Each run is its bytes and that size.
    pub fn runs(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let mut index = 0;
        std::iter::from_fn(move || {
            let first = self.range(index)?;
            let (size, start, mut end) = (first.len(), first.start, first.end);
            index += 1;
            while let Some(next) =
                self.range(index).filter(|next| next.len() <= size && next.end - start <= RUN_BYTES_MAX)
            {
                (index, end) = (index + 1, next.end);
                if next.len() < size {
                    break;
                }
            }
            Some((&self.bytes[start..end], size))
        })
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(index)?;
        Some(index.checked_sub(1).map_or(0, |before| self.ends[before])..end)
    }
}

/// The kernel refuses a send of 64 KiB, headers included.
const RUN_BYTES_MAX: usize = 65_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_cut_where_a_datagram_is_longer_or_the_last_was_shorter() {
        let mut burst = Burst::default();
        for len in [16, 1332, 1332, 1332, 600, 1332, 44] {
            burst.push(|room| {
                room[..len].fill(len as u8);
                Some(len)
            });
        }
        assert_eq!(burst.push(|_| None), None);
        let runs: Vec<_> = burst.runs().map(|(bytes, size)| (bytes.len(), size)).collect();
        assert_eq!(runs, [(16, 16), (3 * 1332 + 600, 1332), (1332 + 44, 1332)]);
        assert_eq!(burst.len(), 7);
    }
}
