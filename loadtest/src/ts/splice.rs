//! SCTE-35 sections in the place of null packets, and the PMT that announces them.

use flambeau_proto::mpegts::psi::crc32;

use super::{Error, NULL_PID, PACKET_BYTES, SYNC_BYTE, pcr, pid};

/// The PID that carries SCTE-35.
pub const SPLICE_PID: u16 = 500;

/// Puts an SCTE-35 section in the place of a null packet every `every` packets and lists its PID in each PMT.
///
/// The sections take turns: `splice_insert` out of the network, `splice_null`, `time_signal`. Returns how many
/// there are. No other packet moves or changes.
pub fn insert_splices(ts: &mut [u8], every: usize) -> Result<usize, Error> {
    let packets =
        ts.chunks(PACKET_BYTES).position(|packet| packet.len() < PACKET_BYTES || packet[0] != SYNC_BYTE);
    if let Some(index) = packets {
        return Err(Error::NotTs(index * PACKET_BYTES));
    }
    if ts.chunks_exact(PACKET_BYTES).any(|packet| pid(packet) == SPLICE_PID) {
        return Err(Error::PidTaken);
    }
    let pmt_pid = ts.chunks_exact(PACKET_BYTES).find_map(pmt_pid_of).ok_or(Error::NoProgram)?;
    let (mut count, mut next_at, mut clock, mut announced) = (0_usize, 0, None, false);
    for (index, packet) in ts.chunks_exact_mut(PACKET_BYTES).enumerate() {
        clock = pcr(packet).or(clock);
        if pid(packet) == pmt_pid {
            // ANSI/SCTE 35, 8.1: the stream, and the programme's registration.
            announce(packet, &REGISTRATION, &STREAM)?;
            announced = true;
        }
        let Some(now) = clock.filter(|_| announced && index >= next_at && pid(packet) == NULL_PID) else {
            continue;
        };
        let section = section(count as u32, now / 300);
        fill(packet, &section, count as u8);
        count += 1;
        next_at = index + every;
    }
    if count == 0 { Err(Error::NoRoom(0)) } else { Ok(count) }
}

/// The PMT's PID, if this packet is a PAT (ISO/IEC 13818-1, 2.4.4.3).
pub(crate) fn pmt_pid_of(packet: &[u8]) -> Option<u16> {
    let section = (pid(packet) == 0).then(|| whole_section(packet))??;
    let programs = packet.get(section.start + 8..section.end - 4)?;
    let program = programs.chunks_exact(4).find(|program| program[..2] != [0, 0])?;
    Some(u16::from_be_bytes([program[2], program[3]]) & 0x1FFF)
}

/// Where the section lies that starts and ends in this packet.
pub(crate) fn whole_section(packet: &[u8]) -> Option<std::ops::Range<usize>> {
    let (starts, has_payload) = (packet[1] & 0x40 != 0, packet[3] & 0x10 != 0);
    let payload = if packet[3] & 0x20 != 0 { 5 + usize::from(packet[4]) } else { 4 };
    let start = payload + 1 + usize::from(*packet.get(payload)?);
    let length = u16::from_be_bytes([*packet.get(start + 1)?, *packet.get(start + 2)?]) & 0xFFF;
    let end = start + 3 + usize::from(length);
    (starts && has_payload && length >= 13 - 4 + 4 && end <= packet.len()).then_some(start..end)
}

/// Adds an elementary stream to the PMT in `packet`, and descriptors to its programme.
pub(crate) fn announce(packet: &mut [u8], programme: &[u8], stream: &[u8]) -> Result<(), Error> {
    let range = whole_section(packet).ok_or(Error::NoProgram)?;
    let mut section = packet[range.start..range.end - 4].to_vec();
    let programme_info =
        usize::from(u16::from_be_bytes([section[10], section[11]]) & 0xFFF) + programme.len();
    section.splice(12..12, programme.iter().copied());
    section[10..12].copy_from_slice(&(0xF000 | programme_info as u16).to_be_bytes());
    section.extend(stream);
    let length = section.len() - 3 + 4;
    section[1..3].copy_from_slice(&(0xB000 | length as u16).to_be_bytes());
    section.extend(crc32(&section).to_be_bytes());
    let room =
        packet.get_mut(range.start..).filter(|room| room.len() >= section.len()).ok_or(Error::NoProgram)?;
    let (place, stuffing) = room.split_at_mut(section.len());
    place.copy_from_slice(&section);
    stuffing.fill(0xFF);
    Ok(())
}

/// Turns a packet into one that carries `section` alone.
fn fill(packet: &mut [u8], section: &[u8], continuity: u8) {
    packet.fill(0xFF);
    let header = [SYNC_BYTE, 0x40 | (SPLICE_PID >> 8) as u8, SPLICE_PID as u8, 0x10 | continuity & 0xF, 0];
    packet[..5].copy_from_slice(&header);
    packet[5..5 + section.len()].copy_from_slice(section);
}

/// The `index`-th `splice_info_section` (ANSI/SCTE 35, 9.6), at `now` on the 90 kHz clock.
fn section(index: u32, now: u64) -> Vec<u8> {
    let at = splice_time(now + PREROLL);
    let (kind, command) = match index % 3 {
        0 => (SPLICE_INSERT, splice_insert(index + 1, at)),
        1 => (SPLICE_NULL, Vec::new()),
        _ => (TIME_SIGNAL, at.to_vec()),
    };
    // protocol_version, no encryption, pts_adjustment 0, cw_index, tier 0xFFF.
    let mut body =
        vec![0, 0, 0, 0, 0, 0, 0, 0xFF, 0xF0 | (command.len() >> 8) as u8, command.len() as u8, kind];
    body.extend(command);
    body.extend([0, 0]); // descriptor_loop_length
    let length = body.len() + 4;
    // table_id, then section_syntax_indicator 0, private_indicator 0, sap_type 3 and the length.
    let mut section = vec![0xFC, 0x30 | (length >> 8) as u8, length as u8];
    section.extend(body);
    section.extend(crc32(&section).to_be_bytes());
    section
}

/// A `splice_insert` of the whole programme, out of the network, that returns by itself (9.7.3).
fn splice_insert(event: u32, at: [u8; 5]) -> Vec<u8> {
    let mut command = event.to_be_bytes().to_vec();
    // Not cancelled; out of network, programme splice, with a duration, not immediate.
    command.extend([0x7F, 0xEF]);
    command.extend(at);
    // auto_return, then the duration of the break.
    command.push(0xFE | (BREAK >> 32) as u8);
    command.extend((BREAK as u32).to_be_bytes());
    command.extend([0, 1, 0, 0]); // unique_program_id, avail_num, avails_expected
    command
}

/// A `splice_time` with a time (9.8.1).
fn splice_time(pts: u64) -> [u8; 5] {
    let pts = pts & 0x1_FFFF_FFFF;
    let [high, rest @ ..] = (pts as u32).to_be_bytes();
    [0xFE | (pts >> 32) as u8, high, rest[0], rest[1], rest[2]]
}

/// `registration_descriptor` "CUEI" (ANSI/SCTE 35, 8.1).
const REGISTRATION: [u8; 6] = [0x05, 4, b'C', b'U', b'E', b'I'];
/// The PMT's entry: stream type 0x86, without descriptors.
const STREAM: [u8; 5] = [0x86, 0xE0 | (SPLICE_PID >> 8) as u8, SPLICE_PID as u8, 0xF0, 0];
const SPLICE_NULL: u8 = 0x00;
const SPLICE_INSERT: u8 = 0x05;
const TIME_SIGNAL: u8 = 0x06;
/// A splice is announced four seconds ahead (ANSI/SCTE 35 asks for four at least), in ticks of 90 kHz.
const PREROLL: u64 = 4 * 90_000;
/// A break of thirty seconds, in ticks of 90 kHz.
const BREAK: u64 = 30 * 90_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_no_remainder_under_its_crc() {
        for index in 0..3 {
            assert_eq!(crc32(&section(index, 0x1_2345_6789)), 0);
        }
    }
}
