//! Packets on the wire (the draft, section 3): 16 bytes of header, then a payload or control information.
//!
//! Parsing borrows from the datagram and writing fills the caller's buffer, so neither allocates.

pub mod control;
mod data;
mod loss;
#[cfg(test)]
mod tests;

pub use control::{Ack, Control, ControlBody, FullAck};
pub use data::{Boundary, DataHeader, Key};
pub use loss::{LossError, LossList};

/// Bytes of a packet's header.
pub const HEADER_BYTES: usize = 16;

/// Bytes of the largest datagram: an Ethernet frame's payload. IP and UDP headers have to fit as well.
pub const DATAGRAM_BYTES: usize = 1500;

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Packet<'a> {
    /// A data packet: its header and its payload.
    Data(DataHeader, &'a [u8]),
    /// A control packet.
    Control(Control<'a>),
}

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// A datagram that is no packet, or a control packet whose information is cut short or contradicts itself.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        let Some((header, body)) = datagram.split_first_chunk::<HEADER_BYTES>() else {
            return Err(WireError::TooShort { bytes: datagram.len(), needed: HEADER_BYTES });
        };
        // The draft, 3: the first bit is 0 for a data packet and 1 for a control packet.
        if header[0] & 0x80 == 0 {
            Ok(Self::Data(DataHeader::parse(header)?, body))
        } else {
            Ok(Self::Control(Control::parse(header, body)?))
        }
    }

    /// The socket the packet is for; 0 asks the listener.
    pub fn destination(&self) -> u32 {
        match self {
            Self::Data(header, _) => header.destination,
            Self::Control(control) => control.destination,
        }
    }
}

/// The destination socket of a datagram, without reading more of it: what a demultiplexer needs.
pub fn destination(datagram: &[u8]) -> Option<u32> {
    if datagram.len() < HEADER_BYTES { None } else { word(datagram, 3) }
}

/// Sets the timestamp (microseconds since the connection began) of a packet that is sent again later than it was made.
pub fn set_timestamp(datagram: &mut [u8], timestamp: u32) {
    if let Some(field) = datagram.get_mut(8..12) {
        field.copy_from_slice(&timestamp.to_be_bytes());
    }
}

/// A datagram that cannot be read. The peer's fault: count it and drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// There are fewer bytes than the format needs.
    #[error("{bytes} bytes where at least {needed} are needed")]
    TooShort {
        /// Bytes there are.
        bytes: usize,
        /// Bytes the format needs.
        needed: usize,
    },
    /// The length does not belong to the format.
    #[error("a {what} of {bytes} bytes")]
    Length {
        /// What was being read.
        what: &'static str,
        /// Bytes there are.
        bytes: usize,
    },
    /// A field that holds a sequence number has its highest bit set.
    #[error("{0:#010x} is no sequence number")]
    Sequence(u32),
    /// A range ends before it begins.
    #[error("the range {first} to {last} runs backwards")]
    Reversed {
        /// Its first number.
        first: u32,
        /// Its last number.
        last: u32,
    },
    /// A data packet says that it is encrypted with both keys.
    #[error("a data packet names both keys")]
    BothKeys,
    /// A field of a handshake has a value that no peer may send.
    #[error("the handshake's {field} is {value}")]
    Handshake {
        /// The field.
        field: &'static str,
        /// Its value.
        value: u32,
    },
}

/// The 32-bit word at `index` (counted in words).
pub(crate) fn word(bytes: &[u8], index: usize) -> Option<u32> {
    bytes.get(index * 4..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}
