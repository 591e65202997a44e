//! A TS packet that tells what was sent before it, and when.

use crate::ts::{PACKET_BYTES, SYNC_BYTE, pid};

/// The PID of marks; the PMT lists it as private sections.
pub const MARK_PID: u16 = 501;

/// What a mark tells: a private section (ISO/IEC 13818-1, 2.4.4.10) in a packet of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The Feed; see [`super::feed_number`].
    pub feed: u64,
    /// When the stream began, in microseconds of UTC: another one is another stream.
    pub epoch: i64,
    /// Counts the marks of a stream.
    pub sequence: u64,
    /// TS packets of the stream before this one, marks included.
    pub packets: u64,
    /// When it was sent, in microseconds of UTC.
    pub sent: i64,
    /// CRC-32 (ISO-HDLC) of all packets between the mark before and this one.
    pub crc: u32,
}

impl Mark {
    /// Writes the mark as a whole TS packet with this continuity counter.
    pub fn write(&self, counter: u8, packet: &mut [u8]) {
        packet.fill(0xFF);
        packet[..4].copy_from_slice(&[
            SYNC_BYTE,
            0x40 | (MARK_PID >> 8) as u8,
            MARK_PID as u8,
            0x10 | counter & 0x0F,
        ]);
        // pointer_field, table_id, and a length without section syntax.
        packet[4..8].copy_from_slice(&[0, TABLE_ID, 0x70, (SECTION_BYTES - 3) as u8]);
        packet[8..12].copy_from_slice(&MAGIC);
        let fields = [self.feed, self.epoch as u64, self.sequence, self.packets, self.sent as u64];
        for (field, room) in fields.iter().zip(packet[12..].chunks_exact_mut(8)) {
            room.copy_from_slice(&field.to_be_bytes());
        }
        packet[52..56].copy_from_slice(&self.crc.to_be_bytes());
        let check = crc32fast::hash(&packet[..56]);
        packet[56..60].copy_from_slice(&check.to_be_bytes());
    }

    /// Reads the mark of a TS packet; None when it is none, or not as it was written.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let whole = packet.len() == PACKET_BYTES && packet[0] == SYNC_BYTE && pid(packet) == MARK_PID;
        if !whole || packet[8..12] != MAGIC || packet[60..].iter().any(|&byte| byte != 0xFF) {
            return None;
        }
        if packet[56..60] != crc32fast::hash(&packet[..56]).to_be_bytes() {
            return None;
        }
        let mut fields = packet[12..52]
            .chunks_exact(8)
            .map(|field| field.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte)));
        let mut next = || fields.next();
        Some(Self {
            feed: next()?,
            epoch: next()? as i64,
            sequence: next()?,
            packets: next()?,
            sent: next()? as i64,
            crc: u32::from_be_bytes([packet[52], packet[53], packet[54], packet[55]]),
        })
    }
}

/// User private (ISO/IEC 13818-1, table 2-31).
const TABLE_ID: u8 = 0xF0;
/// Which private section it is, and its version.
const MAGIC: [u8; 4] = *b"FLM1";
/// From `table_id` to the check at the end.
const SECTION_BYTES: usize = 55;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_as_it_was_written_and_not_when_a_bit_of_it_is_changed() {
        let mark = Mark { feed: u64::MAX, epoch: 7, sequence: 8, packets: 9, sent: -1, crc: 10 };
        let mut packet = [0; PACKET_BYTES];
        mark.write(3, &mut packet);
        assert_eq!(Mark::read(&packet), Some(mark));
        for byte in 0..PACKET_BYTES {
            let mut other = packet;
            other[byte] ^= 0x10;
            assert_eq!(Mark::read(&other), None, "byte {byte}");
        }
        assert_eq!(Mark::read(&packet[..100]), None);
    }
}
