//! The header of a data packet (the draft, 3.1).

use super::{HEADER_BYTES, WireError};
use crate::protocol::seq::SeqNo;

/// The header of a data packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHeader {
    /// The packet's number.
    pub sequence: SeqNo,
    /// Where in its message the packet stands; [`Boundary::Solo`] in live mode.
    pub boundary: Boundary,
    /// Whether its message must be delivered in order. Live mode leaves it unset.
    pub in_order: bool,
    /// The key that the payload is encrypted with.
    pub key: Key,
    /// Whether it was sent before.
    pub retransmitted: bool,
    /// The number of its message: 26 bits.
    pub message: u32,
    /// Microseconds since the sender's connection began; wraps after 71 minutes.
    pub timestamp: u32,
    /// The receiver's socket.
    pub destination: u32,
}

/// Where in its message a packet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// Neither the first nor the last.
    Middle,
    /// The last of several.
    Last,
    /// The first of several.
    First,
    /// The only one.
    Solo,
}

/// The key a payload is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Key {
    /// None: the payload is in clear.
    None,
    /// The even key.
    Even,
    /// The odd key.
    Odd,
}

impl Key {
    /// The key that takes over from this one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Even => Self::Odd,
            Self::Odd => Self::Even,
        }
    }
}

impl DataHeader {
    /// Writes the header.
    pub fn write(&self, header: &mut [u8; HEADER_BYTES]) {
        let boundary: u32 = match self.boundary {
            Boundary::Middle => 0b00,
            Boundary::Last => 0b01,
            Boundary::First => 0b10,
            Boundary::Solo => 0b11,
        };
        let key: u32 = match self.key {
            Key::None => 0b00,
            Key::Even => 0b01,
            Key::Odd => 0b10,
        };
        let message = boundary << 30
            | u32::from(self.in_order) << 29
            | key << 27
            | u32::from(self.retransmitted) << 26
            | (self.message & MESSAGE_MASK);
        header[0..4].copy_from_slice(&self.sequence.value().to_be_bytes());
        header[4..8].copy_from_slice(&message.to_be_bytes());
        header[8..12].copy_from_slice(&self.timestamp.to_be_bytes());
        header[12..16].copy_from_slice(&self.destination.to_be_bytes());
    }

    pub(super) fn parse(header: &[u8; HEADER_BYTES]) -> Result<Self, WireError> {
        let [sequence, message, timestamp, destination] = words(header);
        Ok(Self {
            sequence: SeqNo::new(sequence),
            boundary: match message >> 30 {
                0b00 => Boundary::Middle,
                0b01 => Boundary::Last,
                0b10 => Boundary::First,
                _ => Boundary::Solo,
            },
            in_order: message & (1 << 29) != 0,
            key: match (message >> 27) & 0b11 {
                0b00 => Key::None,
                0b01 => Key::Even,
                0b10 => Key::Odd,
                // The draft, 3.1: 11b is used in control packets only.
                _ => return Err(WireError::BothKeys),
            },
            retransmitted: message & (1 << 26) != 0,
            message: message & MESSAGE_MASK,
            timestamp,
            destination,
        })
    }
}

pub(super) fn words(header: &[u8; HEADER_BYTES]) -> [u32; 4] {
    let (words, _) = header.as_chunks::<4>();
    [0, 1, 2, 3].map(|index| u32::from_be_bytes(words[index]))
}

const MESSAGE_MASK: u32 = (1 << 26) - 1;
