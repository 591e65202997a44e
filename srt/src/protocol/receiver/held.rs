//! Which packets of the window are here: a bit each, so that the first one behind a gap is found without walking it.

use super::WINDOW_PACKETS;
use crate::protocol::seq::SeqNo;

/// The packets held, by number modulo the window.
#[derive(Debug)]
pub(super) struct Held {
    words: Box<[u64; WORDS]>,
    count: usize,
}

impl Held {
    pub(super) fn new() -> Self {
        Self { words: Box::new([0; WORDS]), count: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// `sequence` was not held and is now.
    pub(super) fn add(&mut self, sequence: SeqNo) {
        let (word, bit) = place(sequence);
        self.words[word] |= bit;
        self.count += 1;
    }

    /// `sequence` was held and is no more.
    pub(super) fn remove(&mut self, sequence: SeqNo) {
        let (word, bit) = place(sequence);
        self.words[word] &= !bit;
        self.count -= 1;
    }

    /// How far after `from` the first packet held lies.
    pub(super) fn first_from(&self, from: SeqNo) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let start = (from.value() % WINDOW_PACKETS) as usize;
        // The first word may be looked at twice: its end at first, its beginning once all others are empty.
        let (first, above) = (start / 64, u64::MAX << (start % 64));
        for turn in 0..=WORDS {
            let word = (first + turn) % WORDS;
            let mask = if turn == 0 { above } else { u64::MAX };
            let bits = self.words[word] & mask;
            if bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                return Some((index + WINDOW_PACKETS as usize - start) % WINDOW_PACKETS as usize);
            }
        }
        None
    }
}

fn place(sequence: SeqNo) -> (usize, u64) {
    let index = (sequence.value() % WINDOW_PACKETS) as usize;
    (index / 64, 1 << (index % 64))
}

/// 2^31 is a multiple of the window, so that the numbers' wrap changes nothing.
const WORDS: usize = WINDOW_PACKETS as usize / 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_packet_is_found_across_every_wrap() {
        let mut held = Held::new();
        let first = SeqNo::MAX.plus(-2);
        assert_eq!(held.first_from(first), None);
        for ahead in [0, 1, 3, 63, 64, 65, 16_320, 16_383] {
            held.add(first.plus(ahead));
            assert_eq!(held.first_from(first), Some(ahead as usize), "{ahead}");
            held.remove(first.plus(ahead));
        }
        held.add(first.plus(700));
        held.add(first.plus(900));
        assert_eq!((held.first_from(first), held.count()), (Some(700), 2));
        assert_eq!(held.first_from(first.plus(701)), Some(199));
    }
}
