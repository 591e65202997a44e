//! One venue's way through a [`Reel`].

use std::sync::Arc;
use std::time::Duration;

use flambeau_proto::mpegts::psi::crc32;

use super::{Fill, Reel, WRAP};
use crate::clock::{Mark, Stamp};
use crate::ts::{NULL_PID, PACKET_BYTES, pid};

/// Seven TS packets: what an SRT packet carries.
pub const CHUNK_BYTES: usize = 7 * PACKET_BYTES;

/// An endless stream made of a [`Reel`].
#[derive(Debug)]
pub struct Playout {
    reel: Arc<Reel>,
    feed: u64,
    epoch: i64,
    /// The next packet of the loop.
    index: usize,
    /// The next fill of the loop.
    fill: usize,
    loops: u64,
    packets: u64,
    marks: u64,
    pictures: u32,
    /// Of all packets since the last mark.
    crc: crc32fast::Hasher,
    /// The next continuity counter of each PID.
    counters: Box<[u8]>,
}

impl Playout {
    /// The stream of the Feed of that number, begun at `epoch`, in microseconds of UTC.
    pub fn new(reel: Arc<Reel>, feed: u64, epoch: i64) -> Self {
        Self {
            reel,
            feed,
            epoch,
            index: 0,
            fill: 0,
            loops: 0,
            packets: 0,
            marks: 0,
            pictures: 0,
            crc: crc32fast::Hasher::new(),
            counters: vec![0; PIDS].into(),
        }
    }

    /// When the next chunk is sent, counted from the stream's start: the time of its last packet.
    pub fn due(&self) -> Duration {
        let count = self.reel.times.len();
        let last = self.index + CHUNK_BYTES / PACKET_BYTES - 1;
        let (loops, index) = (self.loops + (last / count) as u64, last % count);
        let ticks =
            u128::from(loops) * u128::from(self.reel.length) * 300 + u128::from(self.reel.times[index]);
        Duration::from_nanos(u64::try_from(ticks * 1000 / 27).unwrap_or(u64::MAX))
    }

    /// Writes the next chunk, sent at `sent` in microseconds of UTC.
    pub fn write(&mut self, sent: i64, chunk: &mut [u8]) {
        for packet in chunk.chunks_exact_mut(PACKET_BYTES) {
            self.write_packet(sent, packet);
        }
    }

    /// Packets so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    fn write_packet(&mut self, sent: i64, packet: &mut [u8]) {
        let reel = self.reel.clone();
        let at = self.index * PACKET_BYTES;
        packet.copy_from_slice(&reel.packets[at..at + PACKET_BYTES]);
        let mut is_mark = false;
        while let Some(&(index, fill)) = reel.fills.get(self.fill)
            && index as usize == self.index
        {
            self.fill += 1;
            is_mark |= fill == Fill::Mark;
            self.fill_in(fill, sent, packet);
        }
        self.count_on(packet);
        if is_mark {
            let crc = std::mem::take(&mut self.crc).finalize();
            let (feed, epoch, sequence, packets) = (self.feed, self.epoch, self.marks, self.packets);
            Mark { feed, epoch, sequence, packets, sent, crc }.write(packet[3] & 0x0F, packet);
            self.marks += 1;
        } else {
            self.crc.update(packet);
        }
        self.packets += 1;
        self.index += 1;
        if self.index == reel.times.len() {
            (self.index, self.fill) = (0, 0);
            self.loops += 1;
        }
    }

    fn fill_in(&mut self, fill: Fill, sent: i64, packet: &mut [u8]) {
        let elapsed = self.loops.wrapping_mul(self.reel.length) % WRAP;
        match fill {
            Fill::Mark => {}
            Fill::Stamp(at) => {
                let stamp = Stamp { feed: self.feed, sent, picture: self.pictures };
                stamp.write(&mut packet[usize::from(at)..]);
                self.pictures = self.pictures.wrapping_add(1);
            }
            Fill::Pcr => {
                let at = self.reel.times[self.index] + elapsed * 300;
                write_pcr((self.reel.clock_start + at) % (WRAP * 300), &mut packet[6..12]);
            }
            Fill::Times(at, has_dts) => {
                let at = usize::from(at);
                for field in packet[at..].chunks_exact_mut(5).take(1 + usize::from(has_dts)) {
                    write_stamp(elapsed, field);
                }
            }
            Fill::Splice(at, len) => {
                splice(elapsed, self.loops, &mut packet[usize::from(at)..][..usize::from(len)]);
            }
        }
    }

    /// Sets the continuity counter: it counts packets with a payload (ISO/IEC 13818-1, 2.4.3.3).
    fn count_on(&mut self, packet: &mut [u8]) {
        let pid = usize::from(pid(packet));
        if pid == usize::from(NULL_PID) {
            return;
        }
        let Some(counter) = self.counters.get_mut(pid) else { return };
        if packet[3] & 0x10 != 0 {
            *counter = (*counter + 1) & 0x0F;
        }
        packet[3] = packet[3] & 0xF0 | *counter;
    }
}

/// ISO/IEC 13818-1, 2.4.3.5.
fn write_pcr(pcr: u64, field: &mut [u8]) {
    let (base, extension) = (pcr / 300, pcr % 300);
    field[..4].copy_from_slice(&((base >> 1) as u32).to_be_bytes());
    field[4] = ((base & 1) as u8) << 7 | 0x7E | (extension >> 8) as u8;
    field[5] = extension as u8;
}

/// Adds to a PTS or DTS (ISO/IEC 13818-1, 2.4.3.7).
fn write_stamp(add: u64, field: &mut [u8]) {
    let byte = |n: usize| u64::from(field[n]);
    let value = (byte(0) >> 1 & 7) << 30 | byte(1) << 22 | (byte(2) >> 1) << 15 | byte(3) << 7 | byte(4) >> 1;
    let value = (value + add) % WRAP;
    field[0] = field[0] & 0xF1 | ((value >> 30) as u8) << 1;
    field[1] = (value >> 22) as u8;
    field[2] = (value >> 14) as u8 | 1;
    field[3] = (value >> 7) as u8;
    field[4] = (value << 1) as u8 | 1;
}

/// Moves a splice information section in time (ANSI/SCTE 35, 9.6.1: `pts_adjustment`), and tells its event from that
/// of the loop before.
fn splice(add: u64, loops: u64, section: &mut [u8]) {
    const EVENT: usize = 14;
    let encrypted = section.get(4).is_none_or(|flags| flags & 0x80 != 0);
    if section.len() < EVENT + 4 || encrypted {
        return;
    }
    let low = u32::from_be_bytes([section[5], section[6], section[7], section[8]]);
    let adjustment = (u64::from(section[4] & 1) << 32 | u64::from(low)).wrapping_add(add) % WRAP;
    section[4] = section[4] & 0xFE | (adjustment >> 32) as u8;
    section[5..9].copy_from_slice(&(adjustment as u32).to_be_bytes());
    if section[EVENT - 1] == SPLICE_INSERT && section.len() >= EVENT + 8 {
        let event: [u8; 4] = [section[EVENT], section[EVENT + 1], section[EVENT + 2], section[EVENT + 3]];
        let event = u32::from_be_bytes(event).wrapping_add((loops as u32) << 16);
        section[EVENT..EVENT + 4].copy_from_slice(&event.to_be_bytes());
    }
    let end = section.len() - 4;
    let crc = crc32(&section[..end]);
    section[end..].copy_from_slice(&crc.to_be_bytes());
}

/// `splice_command_type` (ANSI/SCTE 35, table 7).
const SPLICE_INSERT: u8 = 0x05;
/// A PID has 13 bits.
const PIDS: usize = 1 << 13;
