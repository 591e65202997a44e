//! Packets made of parts of others.

use crate::ts::{PACKET_BYTES, SYNC_BYTE};

/// A whole packet that carries `payload`, filled up by its adaptation field (ISO/IEC 13818-1, 2.4.3.4).
///
/// `field`: what the adaptation field is to begin with, from its flags on; empty for none. `payload` has at least
/// a byte, and fits. The continuity counter is left at 0.
pub(super) fn packet(pid: u16, unit_start: bool, field: &[u8], payload: &[u8]) -> [u8; PACKET_BYTES] {
    let mut packet = [0xFF; PACKET_BYTES];
    let start = u8::from(unit_start) << 6;
    packet[..3].copy_from_slice(&[SYNC_BYTE, start | (pid >> 8) as u8, pid as u8]);
    let spare = PACKET_BYTES - HEAD_BYTES - payload.len();
    packet[3] = if spare == 0 { 0x10 } else { 0x30 };
    if spare > 0 {
        packet[4] = (spare - 1) as u8;
    }
    if spare > 1 {
        // The flags: none but those told.
        packet[5] = 0;
        let len = field.len().min(spare - 1);
        packet[5..5 + len].copy_from_slice(&field[..len]);
    }
    packet[PACKET_BYTES - payload.len()..].copy_from_slice(payload);
    packet
}

/// Where a packet's payload begins; [`PACKET_BYTES`] when it has none.
pub(super) fn payload_start(packet: &[u8]) -> usize {
    match packet[3] & 0x30 {
        0x10 => HEAD_BYTES,
        0x30 => (HEAD_BYTES + 1 + usize::from(packet[4])).min(PACKET_BYTES),
        _ => PACKET_BYTES,
    }
}

/// A packet's adaptation field from its flags on.
pub(super) fn field(packet: &[u8]) -> &[u8] {
    if packet[3] & 0x20 == 0 { &[] } else { &packet[5..payload_start(packet).max(5)] }
}

const HEAD_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_payload_makes_a_whole_packet_that_reads_back() {
        for len in 1..=184 {
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let whole = packet(0x1234, len % 2 == 0, &[], &payload);
            assert_eq!(&whole[payload_start(&whole)..], payload);
            assert_eq!(crate::ts::pid(&whole), 0x1234);
            assert!(field(&whole).iter().skip(1).all(|&byte| byte == 0xFF));
        }
    }

    #[test]
    fn a_pcr_stays_in_its_field() {
        let field = [0x10, 1, 2, 3, 4, 0x7E, 5];
        let whole = packet(256, true, &field, &[9; 100]);
        assert!(crate::ts::pcr(&whole).is_some());
        assert_eq!(super::field(&whole)[..7], field);
    }
}
