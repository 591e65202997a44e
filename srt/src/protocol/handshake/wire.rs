//! The 48 bytes that every handshake begins with (the draft, 3.2.1).

use std::net::IpAddr;

use crate::protocol::packet::{WireError, word};
use crate::protocol::reject::Reason;
use crate::protocol::seq::SeqNo;

/// Bytes of a handshake without its extensions.
pub const HANDSHAKE_BYTES: usize = 48;

/// The value by which a listener says that it speaks version 5 (the draft, 4.3.1.1).
pub const MAGIC: u16 = 0x4a17;

/// A handshake without its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// 4 in a caller's induction, else 5.
    pub version: u32,
    /// The key length that is advertised, in units of 8 bytes; 0 where none is.
    pub encryption: u16,
    /// 2 in a caller's induction, [`MAGIC`] in a listener's, and flags of the extensions in a conclusion.
    pub extension: u16,
    /// The number of the first data packet.
    pub isn: SeqNo,
    /// The largest IP packet, headers included, in bytes.
    pub mtu: u32,
    /// Packets that may be under way without an acknowledgement.
    pub flow_window: u32,
    /// The step of the handshake.
    pub kind: HandshakeKind,
    /// The sender's socket.
    pub socket_id: u32,
    /// The listener's cookie; 0 in a caller's induction.
    pub cookie: u32,
    /// The address that the sender sees its peer at, as [`Handshake::address_field`] makes it.
    pub peer_address: [u8; 16],
}

/// The step of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandshakeKind {
    /// The first exchange, for the cookie.
    Induction,
    /// The second, for everything else.
    Conclusion,
    /// The first step of a rendezvous.
    WaveAHand,
    /// The last step of a rendezvous.
    Agreement,
    /// The end.
    Rejection(Reason),
    /// A step that does not exist.
    Other(u32),
}

impl HandshakeKind {
    /// The value of the field.
    pub const fn to_wire(self) -> u32 {
        match self {
            Self::WaveAHand => 0,
            Self::Induction => 1,
            Self::Conclusion => 0xffff_ffff,
            Self::Agreement => 0xffff_fffe,
            Self::Rejection(reason) => reason.to_wire(),
            Self::Other(value) => value,
        }
    }

    /// The step of a field's value.
    pub const fn from_wire(value: u32) -> Self {
        match value {
            0 => Self::WaveAHand,
            1 => Self::Induction,
            0xffff_ffff => Self::Conclusion,
            0xffff_fffe => Self::Agreement,
            value => match Reason::from_wire(value) {
                Some(reason) => Self::Rejection(reason),
                None => Self::Other(value),
            },
        }
    }
}

impl Handshake {
    /// Reads a handshake. Returns it and the bytes of its extensions, unread.
    ///
    /// # Errors
    /// Fewer than 48 bytes, or an initial sequence number that is none.
    pub fn parse(body: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let Some((fixed, extensions)) = body.split_first_chunk::<HANDSHAKE_BYTES>() else {
            return Err(WireError::TooShort { bytes: body.len(), needed: HANDSHAKE_BYTES });
        };
        let field = |index| word(fixed, index).unwrap_or_default();
        let mut peer_address = [0; 16];
        peer_address.copy_from_slice(&fixed[32..]);
        let handshake = Self {
            version: field(0),
            encryption: (field(1) >> 16) as u16,
            extension: (field(1) & 0xffff) as u16,
            isn: SeqNo::from_field(field(2)).ok_or(WireError::Sequence(field(2)))?,
            mtu: field(3),
            flow_window: field(4),
            kind: HandshakeKind::from_wire(field(5)),
            socket_id: field(6),
            cookie: field(7),
            peer_address,
        };
        Ok((handshake, extensions))
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; HANDSHAKE_BYTES] {
        let fields = [
            self.version,
            u32::from(self.encryption) << 16 | u32::from(self.extension),
            self.isn.value(),
            self.mtu,
            self.flow_window,
            self.kind.to_wire(),
            self.socket_id,
            self.cookie,
        ];
        let mut bytes = [0; HANDSHAKE_BYTES];
        for (place, field) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
            *place = field.to_be_bytes();
        }
        bytes[32..].copy_from_slice(&self.peer_address);
        bytes
    }

    /// An address as the field carries it: four bytes and twelve zeros for IPv4, sixteen bytes for IPv6, and every four
    /// of them backwards, for libsrt turns the words of an address that is in network order already.
    pub fn address_field(address: IpAddr) -> [u8; 16] {
        let mut field = [0; 16];
        match address.to_canonical() {
            IpAddr::V4(address) => field[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => field.copy_from_slice(&address.octets()),
        }
        field.as_chunks_mut::<4>().0.iter_mut().for_each(|word| word.reverse());
        field
    }
}
