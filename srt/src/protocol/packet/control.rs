//! Control packets (the draft, 3.2).

mod write;

pub use write::{
    NAK_BYTES_MAX, write_ack, write_ack_ack, write_drop_request, write_handshake, write_keep_alive,
    write_key_request, write_key_response, write_nak, write_shutdown,
};

use super::data::words;
use super::{HEADER_BYTES, LossList, WireError, word};
use crate::protocol::seq::SeqNo;

/// A control packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Control<'a> {
    /// Microseconds since the sender's connection began; wraps after 71 minutes.
    pub timestamp: u32,
    /// The receiver's socket; 0 asks the listener.
    pub destination: u32,
    /// What it says.
    pub body: ControlBody<'a>,
}

/// What a control packet says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ControlBody<'a> {
    /// A handshake and its extensions, unread.
    Handshake(&'a [u8]),
    /// The peer is there.
    KeepAlive,
    /// What has arrived.
    Ack {
        /// The number that the ACKACK repeats; 0 with a light one, which is not answered.
        number: u32,
        /// What has arrived.
        ack: Ack,
    },
    /// What has been lost.
    Nak(LossList<'a>),
    /// Congestion ahead; not used in practice.
    CongestionWarning,
    /// The peer ends the connection.
    Shutdown,
    /// The answer to a full ACK.
    AckAck {
        /// The number of that ACK.
        number: u32,
    },
    /// The sender will not send these packets again.
    DropRequest {
        /// The message they belong to; 0 where the sender does not tell.
        message: u32,
        /// The first of them.
        first: SeqNo,
        /// The last of them.
        last: SeqNo,
    },
    /// The peer's application failed; file mode only.
    PeerError(u32),
    /// New key material, unread.
    KeyRequest(&'a [u8]),
    /// The answer to key material, unread.
    KeyResponse(&'a [u8]),
    /// A type without a meaning here.
    Unknown {
        /// The control type.
        kind: u16,
        /// Its subtype.
        subtype: u16,
    },
}

/// An acknowledgement: every packet before its number has arrived or was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// The number alone, sent between full ones at high rates.
    Light(SeqNo),
    /// The number and the receiver's measurements.
    Full(FullAck),
}

impl Ack {
    /// The number after the last packet that is acknowledged.
    pub fn sequence(&self) -> SeqNo {
        match self {
            Self::Light(sequence) => *sequence,
            Self::Full(full) => full.sequence,
        }
    }
}

/// A full acknowledgement (the draft, 3.2.4), or a small one, which ends after `buffer_available`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullAck {
    /// The number after the last packet that is acknowledged.
    pub sequence: SeqNo,
    /// Round-trip time, in microseconds.
    pub rtt_us: u32,
    /// Variance of the round-trip time, in microseconds.
    pub rtt_var_us: u32,
    /// Room in the receiver's buffer, in packets.
    pub buffer_available: u32,
    /// Rate of arrival, in packets per second.
    pub receive_rate_pps: Option<u32>,
    /// Estimated capacity of the link, in packets per second.
    pub link_capacity_pps: Option<u32>,
    /// Rate of arrival, in bytes per second.
    pub receive_rate_bps: Option<u32>,
}

impl<'a> Control<'a> {
    pub(super) fn parse(header: &[u8; HEADER_BYTES], body: &'a [u8]) -> Result<Self, WireError> {
        let [kind, argument, timestamp, destination] = words(header);
        let subtype = (kind & 0xffff) as u16;
        let kind = ((kind >> 16) & 0x7fff) as u16;
        let body = match kind {
            kind::HANDSHAKE => ControlBody::Handshake(body),
            kind::KEEP_ALIVE => ControlBody::KeepAlive,
            kind::ACK => ControlBody::Ack { number: argument, ack: Ack::parse(body)? },
            kind::NAK => ControlBody::Nak(LossList::new(body)),
            kind::CONGESTION_WARNING => ControlBody::CongestionWarning,
            kind::SHUTDOWN => ControlBody::Shutdown,
            kind::ACK_ACK => ControlBody::AckAck { number: argument },
            kind::DROP_REQUEST => drop_request(argument, body)?,
            kind::PEER_ERROR => ControlBody::PeerError(argument),
            kind::USER_DEFINED if subtype == subtype::KEY_REQUEST => ControlBody::KeyRequest(body),
            kind::USER_DEFINED if subtype == subtype::KEY_RESPONSE => ControlBody::KeyResponse(body),
            kind => ControlBody::Unknown { kind, subtype },
        };
        Ok(Self { timestamp, destination, body })
    }
}

impl Ack {
    fn parse(body: &[u8]) -> Result<Self, WireError> {
        let sequence = sequence(body, 0)?;
        // libsrt: a light ACK has one word, a small one four, a full one six or seven, version 1.0.2's eight.
        if body.len() == 4 {
            return Ok(Self::Light(sequence));
        }
        if body.len() < 16 || !body.len().is_multiple_of(4) {
            return Err(WireError::Length { what: "ACK", bytes: body.len() });
        }
        Ok(Self::Full(FullAck {
            sequence,
            rtt_us: word(body, 1).unwrap_or_default(),
            rtt_var_us: word(body, 2).unwrap_or_default(),
            buffer_available: word(body, 3).unwrap_or_default(),
            receive_rate_pps: word(body, 4),
            link_capacity_pps: word(body, 5),
            receive_rate_bps: word(body, 6),
        }))
    }
}

fn drop_request<'a>(message: u32, body: &[u8]) -> Result<ControlBody<'a>, WireError> {
    let first = sequence(body, 0)?;
    let last = sequence(body, 1)?;
    if last.is_before(first) {
        return Err(WireError::Reversed { first: first.value(), last: last.value() });
    }
    Ok(ControlBody::DropRequest { message, first, last })
}

fn sequence(body: &[u8], index: usize) -> Result<SeqNo, WireError> {
    let field =
        word(body, index).ok_or(WireError::TooShort { bytes: body.len(), needed: (index + 1) * 4 })?;
    SeqNo::from_field(field).ok_or(WireError::Sequence(field))
}

/// Control types (the draft, table 1).
mod kind {
    pub(super) const HANDSHAKE: u16 = 0x0000;
    pub(super) const KEEP_ALIVE: u16 = 0x0001;
    pub(super) const ACK: u16 = 0x0002;
    pub(super) const NAK: u16 = 0x0003;
    pub(super) const CONGESTION_WARNING: u16 = 0x0004;
    pub(super) const SHUTDOWN: u16 = 0x0005;
    pub(super) const ACK_ACK: u16 = 0x0006;
    pub(super) const DROP_REQUEST: u16 = 0x0007;
    pub(super) const PEER_ERROR: u16 = 0x0008;
    pub(super) const USER_DEFINED: u16 = 0x7fff;
}

/// Subtypes of a user-defined control packet: the extension types of the handshake (the draft, table 5).
mod subtype {
    pub(super) const NONE: u16 = 0;
    pub(super) const KEY_REQUEST: u16 = 3;
    pub(super) const KEY_RESPONSE: u16 = 4;
}
