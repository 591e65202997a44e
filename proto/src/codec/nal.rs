//! NAL units in a byte stream (ITU-T H.264 and H.265, annex B).

use std::ops::Range;

/// The largest parameter set kept, in bytes. Real ones have less than 300.
pub const PARAMETER_SET_BYTES_MAX: usize = 4096;

/// The NAL units of an Annex B byte stream, as ranges of it.
///
/// Bytes before the first start code belong to no unit here; [`Nals::lead`] tells how many there are.
#[derive(Debug, Clone)]
pub struct Nals<'a> {
    data: &'a [u8],
    /// Of the next unit's first byte; `None` at the end.
    next: Option<usize>,
    lead: usize,
}

impl<'a> Nals<'a> {
    /// The units of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        let first = start_code(data, 0);
        Self { data, next: first.map(|at| at + 3), lead: first.unwrap_or(data.len()) }
    }

    /// Bytes before the first start code, leading zeros counted in.
    pub fn lead(&self) -> usize {
        self.lead
    }
}

impl Iterator for Nals<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let start = self.next?;
            let following = start_code(self.data, start);
            self.next = following.map(|at| at + 3);
            let mut end = following.unwrap_or(self.data.len());
            // trailing_zero_8bits and the zero_byte of the next start code; a NAL unit never ends in a zero byte.
            while end > start && self.data[end - 1] == 0 {
                end -= 1;
            }
            if end > start {
                return Some(start..end);
            }
        }
    }
}

/// Where the next `00 00 01` at or after `from` begins.
fn start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at + 2 < data.len() {
        // The third byte decides how far to leap: most bytes are neither 0 nor 1.
        match data[at + 2] {
            0 => at += 1,
            1 if data[at] == 0 && data[at + 1] == 0 => return Some(at),
            _ => at += 3,
        }
    }
    None
}

/// A NAL unit's first bytes without their emulation prevention bytes (ITU-T H.264, 7.4.1). Gives how many there are.
pub fn unescape(nal: &[u8], into: &mut [u8]) -> usize {
    let (mut zeros, mut written) = (0, 0);
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        let Some(slot) = into.get_mut(written) else { break };
        *slot = byte;
        written += 1;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    written
}

/// A whole parameter set without its emulation prevention bytes; `None` when it is larger than any real one.
pub fn unescaped(nal: &[u8]) -> Option<Vec<u8>> {
    if nal.len() > PARAMETER_SET_BYTES_MAX {
        return None;
    }
    let mut data = vec![0; nal.len()];
    let len = unescape(nal, &mut data);
    data.truncate(len);
    Some(data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nals(data: &[u8]) -> Vec<&[u8]> {
        Nals::new(data).map(|range| &data[range]).collect()
    }

    #[test]
    fn start_codes_of_three_and_four_bytes_and_trailing_zeros_are_no_part_of_a_unit() {
        let data = [9, 0, 0, 0, 1, 5, 6, 0, 0, 1, 7, 0, 0, 0, 0, 0, 1, 0, 0, 1, 8, 1];
        assert_eq!(nals(&data), [&[5, 6][..], &[7], &[8, 1]]);
        assert_eq!(Nals::new(&data).lead(), 2);
    }

    #[test]
    fn emulation_prevention_is_undone_and_bounded() {
        let mut into = [0; 5];
        assert_eq!(unescape(&[1, 0, 0, 3, 1, 0, 0, 3, 0], &mut into), 5);
        assert_eq!(into, [1, 0, 0, 1, 0]);
    }

    proptest! {
        #[test]
        fn units_come_back_whatever_their_bytes(
            units in prop::collection::vec(prop::collection::vec(1u8.., 1..40), 0..10),
            long in any::<bool>(),
        ) {
            let mut data = Vec::new();
            for unit in &units {
                data.extend_from_slice(if long { &[0, 0, 0, 1] } else { &[0, 0, 1] });
                data.extend_from_slice(unit);
            }
            prop_assert_eq!(nals(&data), units);
        }

        #[test]
        fn the_quick_search_finds_what_a_slow_one_finds(data in prop::collection::vec(0u8..3, 0..200), from in 0usize..50) {
            let slow = (from..data.len()).find(|&at| data[at..].starts_with(&[0, 0, 1]));
            prop_assert_eq!(start_code(&data, from), slow);
        }
    }
}
