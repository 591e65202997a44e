//! Writing control packets. Every function returns the bytes it has written at the front of the buffer.

use super::{Ack, kind, subtype};
use crate::protocol::packet::{DATAGRAM_BYTES, HEADER_BYTES};
use crate::protocol::seq::SeqNo;

/// Bytes of the largest NAK: what an Ethernet frame leaves of an IPv6 datagram.
pub const NAK_BYTES_MAX: usize = DATAGRAM_BYTES - 48;

/// Writes a keep-alive.
pub fn write_keep_alive(buffer: &mut [u8; DATAGRAM_BYTES], timestamp: u32, destination: u32) -> usize {
    Writer::new(buffer, kind::KEEP_ALIVE, subtype::NONE, 0, timestamp, destination).at
}

/// Writes the end of a connection.
pub fn write_shutdown(buffer: &mut [u8; DATAGRAM_BYTES], timestamp: u32, destination: u32) -> usize {
    Writer::new(buffer, kind::SHUTDOWN, subtype::NONE, 0, timestamp, destination).at
}

/// Writes an acknowledgement. `number` counts the full ones; a light one says 0.
///
/// The measurements of a full one end with the first that is none.
pub fn write_ack(
    buffer: &mut [u8; DATAGRAM_BYTES],
    timestamp: u32,
    destination: u32,
    number: u32,
    ack: &Ack,
) -> usize {
    let mut writer = Writer::new(buffer, kind::ACK, subtype::NONE, number, timestamp, destination);
    writer.word(ack.sequence().value());
    if let Ack::Full(full) = ack {
        writer.word(full.rtt_us);
        writer.word(full.rtt_var_us);
        writer.word(full.buffer_available);
        let rates = [full.receive_rate_pps, full.link_capacity_pps, full.receive_rate_bps];
        for rate in rates.into_iter().map_while(|rate| rate) {
            writer.word(rate);
        }
    }
    writer.at
}

/// Writes the answer to the full acknowledgement of this number.
pub fn write_ack_ack(
    buffer: &mut [u8; DATAGRAM_BYTES],
    timestamp: u32,
    destination: u32,
    number: u32,
) -> usize {
    Writer::new(buffer, kind::ACK_ACK, subtype::NONE, number, timestamp, destination).at
}

/// Writes a loss report of as many ranges (first and last number) as one datagram holds.
///
/// The ranges that did not fit stay in the iterator where it is passed by reference.
pub fn write_nak(
    buffer: &mut [u8; DATAGRAM_BYTES],
    timestamp: u32,
    destination: u32,
    ranges: impl IntoIterator<Item = (SeqNo, SeqNo)>,
) -> usize {
    let mut writer = Writer::new(buffer, kind::NAK, subtype::NONE, 0, timestamp, destination);
    let mut ranges = ranges.into_iter();
    // Room is asked for before a range is taken, so that none is lost.
    while writer.at + 8 <= NAK_BYTES_MAX {
        let Some((first, last)) = ranges.next() else { break };
        if first == last {
            writer.word(first.value());
        } else {
            writer.word(first.value() | RANGE);
            writer.word(last.value());
        }
    }
    writer.at
}

/// Writes that the packets from `first` to `last` will not be sent again. `message` is 0 where it is not known.
pub fn write_drop_request(
    buffer: &mut [u8; DATAGRAM_BYTES],
    timestamp: u32,
    destination: u32,
    message: u32,
    (first, last): (SeqNo, SeqNo),
) -> usize {
    let mut writer = Writer::new(buffer, kind::DROP_REQUEST, subtype::NONE, message, timestamp, destination);
    writer.word(first.value());
    writer.word(last.value());
    writer.at
}

/// Writes a handshake. What does not fit into the buffer is cut off.
pub fn write_handshake(
    buffer: &mut [u8; DATAGRAM_BYTES],
    timestamp: u32,
    destination: u32,
    body: &[u8],
) -> usize {
    let mut writer = Writer::new(buffer, kind::HANDSHAKE, subtype::NONE, 0, timestamp, destination);
    writer.bytes(body);
    writer.at
}

/// Writes new key material. What does not fit into the buffer is cut off.
pub fn write_key_request(
    buffer: &mut [u8; DATAGRAM_BYTES],
    timestamp: u32,
    destination: u32,
    message: &[u8],
) -> usize {
    let mut writer = Writer::new(buffer, kind::USER_DEFINED, subtype::KEY_REQUEST, 0, timestamp, destination);
    writer.bytes(message);
    writer.at
}

/// Writes the answer to key material. What does not fit into the buffer is cut off.
pub fn write_key_response(
    buffer: &mut [u8; DATAGRAM_BYTES],
    timestamp: u32,
    destination: u32,
    message: &[u8],
) -> usize {
    let mut writer =
        Writer::new(buffer, kind::USER_DEFINED, subtype::KEY_RESPONSE, 0, timestamp, destination);
    writer.bytes(message);
    writer.at
}

struct Writer<'a> {
    buffer: &'a mut [u8; DATAGRAM_BYTES],
    at: usize,
}

impl<'a> Writer<'a> {
    fn new(
        buffer: &'a mut [u8; DATAGRAM_BYTES],
        kind: u16,
        subtype: u16,
        argument: u32,
        timestamp: u32,
        destination: u32,
    ) -> Self {
        let mut writer = Self { buffer, at: 0 };
        writer.word(CONTROL | u32::from(kind) << 16 | u32::from(subtype));
        writer.word(argument);
        writer.word(timestamp);
        writer.word(destination);
        debug_assert_eq!(writer.at, HEADER_BYTES);
        writer
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let room = &mut self.buffer[self.at..];
        let bytes = &bytes[..bytes.len().min(room.len())];
        room[..bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

/// The first bit of a control packet.
const CONTROL: u32 = 1 << 31;

/// The first bit of a loss list's word that begins a range.
const RANGE: u32 = 1 << 31;
