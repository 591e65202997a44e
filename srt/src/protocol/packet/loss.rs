//! The loss list of a NAK (the draft, 3.2.5 and appendix A).

use crate::protocol::seq::SeqNo;

/// The numbers a peer reports as lost, read one range at a time.
///
/// It holds nothing but the datagram's bytes, so that it is bounded by them; whoever iterates clamps a range to what it
/// has sent. An entry that makes no sense is an error of its own and the entries after it are still read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossList<'a> {
    rest: &'a [u8],
}

/// An entry of a loss list that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LossError {
    /// A range begins with the last word: its end is missing.
    #[error("a range from {first} has no end")]
    NoEnd {
        /// Its first number.
        first: u32,
    },
    /// A range ends before it begins, or its end is marked as a beginning.
    #[error("the range {first} to {last:#x} runs backwards")]
    Reversed {
        /// Its first number.
        first: u32,
        /// The word of its end.
        last: u32,
    },
    /// Bytes after the last whole word.
    #[error("{bytes} bytes after the last word")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

impl<'a> LossList<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*word))
    }
}

impl Iterator for LossList<'_> {
    /// The first and the last number of a range, both lost.
    type Item = Result<(SeqNo, SeqNo), LossError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(word) = self.word() else {
            let bytes = self.rest.len();
            self.rest = &[];
            return (bytes > 0).then_some(Err(LossError::Trailing { bytes }));
        };
        if let Some(single) = SeqNo::from_field(word) {
            return Some(Ok((single, single)));
        }
        let first = SeqNo::new(word);
        let Some(word) = self.word() else {
            self.rest = &[];
            return Some(Err(LossError::NoEnd { first: first.value() }));
        };
        Some(match SeqNo::from_field(word) {
            Some(last) if !last.is_before(first) => Ok((first, last)),
            _ => Err(LossError::Reversed { first: first.value(), last: word }),
        })
    }
}
