//! Accounts for every packet of a stream by its marks.

use std::ops::AddAssign;

use super::mark::{MARK_PID, Mark};
use crate::ts::{NULL_PID, PACKET_BYTES, SYNC_BYTE, pid};

/// What was found of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// TS packets that came.
    pub packets: u64,
    /// Marks among them.
    pub marks: u64,
    /// Packets that were sent and did not come.
    pub lost: u64,
    /// Packets that came and were not sent, or not there.
    pub surplus: u64,
    /// Stretches between two marks with all their packets, but other bytes or another order.
    pub altered: u64,
    /// Marks that came again or too late.
    pub disordered: u64,
    /// Marks of another Feed.
    pub foreign: u64,
    /// Times the venue began its stream anew.
    pub restarts: u64,
    /// Continuity counters that do not follow the one before (ISO/IEC 13818-1, 2.4.3.3).
    pub continuity: u64,
    /// Bytes that are no TS packet.
    pub malformed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.marks += other.marks;
        self.lost += other.lost;
        self.surplus += other.surplus;
        self.altered += other.altered;
        self.disordered += other.disordered;
        self.foreign += other.foreign;
        self.restarts += other.restarts;
        self.continuity += other.continuity;
        self.malformed += other.malformed;
    }
}

/// Checks the packets of one stream as they come.
#[derive(Debug)]
pub struct Ledger {
    feed: u64,
    last: Option<Mark>,
    /// Since the last mark.
    crc: crc32fast::Hasher,
    /// Since the last mark.
    packets: u64,
    counters: Box<[Counter]>,
    counts: Counts,
}

/// The continuity counter of a PID: none yet, or the last one.
type Counter = Option<u8>;

impl Ledger {
    /// A ledger of the Feed of that number; see [`super::feed_number`].
    pub fn new(feed: u64) -> Self {
        Self {
            feed,
            last: None,
            crc: crc32fast::Hasher::new(),
            packets: 0,
            counters: vec![None; PIDS].into(),
            counts: Counts::default(),
        }
    }

    /// What was found so far. What came after the last mark is not judged yet.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes in what came, whole packets; `sent` is told when each mark in it was sent.
    pub fn take(&mut self, bytes: &[u8], mut sent: impl FnMut(i64)) {
        for packet in bytes.chunks(PACKET_BYTES) {
            if packet.len() < PACKET_BYTES || packet[0] != SYNC_BYTE {
                self.counts.malformed += packet.len() as u64;
                continue;
            }
            self.counts.packets += 1;
            self.follow(packet);
            match Mark::read(packet).filter(|_| pid(packet) == MARK_PID) {
                Some(mark) => {
                    self.judge(mark);
                    sent(mark.sent);
                }
                None => {
                    self.crc.update(packet);
                    self.packets += 1;
                }
            }
        }
    }

    fn follow(&mut self, packet: &[u8]) {
        let (pid, counter, has_payload) = (pid(packet), packet[3] & 0x0F, packet[3] & 0x10 != 0);
        if pid == NULL_PID {
            return;
        }
        let Some(last) = self.counters.get_mut(usize::from(pid)) else { return };
        let expected = last.map(|last| if has_payload { (last + 1) & 0x0F } else { last });
        self.counts.continuity += u64::from(expected.is_some_and(|expected| expected != counter));
        *last = Some(counter);
    }

    fn judge(&mut self, mark: Mark) {
        self.counts.marks += 1;
        self.counts.foreign += u64::from(mark.feed != self.feed);
        match self.last {
            Some(last) if last.epoch == mark.epoch => {
                if mark.sequence <= last.sequence || mark.packets <= last.packets {
                    self.counts.disordered += 1;
                    return;
                }
                let sent = mark.packets - last.packets - 1;
                self.counts.lost += sent.saturating_sub(self.packets);
                self.counts.surplus += self.packets.saturating_sub(sent);
                // Where a mark is missing, what there is in its place is not what was sent.
                let same = mark.sequence == last.sequence + 1 && mark.crc == self.crc.clone().finalize();
                self.counts.altered += u64::from(sent == self.packets && !same);
            }
            Some(_) => self.counts.restarts += 1,
            None => {}
        }
        self.last = Some(mark);
        self.crc.reset();
        self.packets = 0;
    }
}

/// A PID has 13 bits.
const PIDS: usize = 1 << 13;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream of `stretches` of `each` packets and a mark after each.
    fn stream(stretches: usize, each: usize) -> Vec<[u8; PACKET_BYTES]> {
        let mut packets = Vec::new();
        let (mut crc, mut counter) = (crc32fast::Hasher::new(), 0_u8);
        for sequence in 0..stretches {
            for n in 0..each {
                let mut packet = [(sequence * 31 + n * 7) as u8; PACKET_BYTES];
                packet[..4].copy_from_slice(&[SYNC_BYTE, 1, 0, 0x10 | counter & 0x0F]);
                packet[4..8].copy_from_slice(&(packets.len() as u32).to_be_bytes());
                counter = counter.wrapping_add(1);
                crc.update(&packet);
                packets.push(packet);
            }
            let mark = Mark {
                feed: 1,
                epoch: 2,
                sequence: sequence as u64,
                packets: packets.len() as u64,
                sent: sequence as i64,
                crc: std::mem::take(&mut crc).finalize(),
            };
            let mut packet = [0; PACKET_BYTES];
            mark.write(sequence as u8, &mut packet);
            packets.push(packet);
        }
        packets
    }

    fn check(packets: &[[u8; PACKET_BYTES]]) -> Counts {
        let mut ledger = Ledger::new(1);
        ledger.take(&packets.concat(), |_| {});
        ledger.counts()
    }

    fn faults(counts: Counts) -> u64 {
        counts.lost + counts.surplus + counts.altered + counts.disordered + counts.malformed
    }

    #[test]
    fn a_whole_stream_is_found_whole_wherever_one_joins() {
        let packets = stream(10, 20);
        for from in 0..30 {
            let counts = check(&packets[from..]);
            assert_eq!((faults(counts), counts.continuity), (0, 0), "from {from}: {counts:?}");
        }
        let mut sent = Vec::new();
        Ledger::new(1).take(&packets.concat(), |at| sent.push(at));
        assert_eq!(sent, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_restart_is_told_from_a_loss_and_another_feed_from_ours() {
        let (first, mut second) = (stream(3, 5), stream(3, 5));
        for packet in &mut second {
            if let Some(mark) = Mark::read(packet) {
                Mark { epoch: 3, feed: 9, ..mark }.write(0, packet);
            }
        }
        let counts = check(&[first, second].concat());
        assert_eq!((counts.restarts, counts.foreign, counts.lost), (1, 3, 0));
    }

    #[test]
    fn losses_are_counted_to_the_packet() {
        let mut packets = stream(10, 20);
        packets.drain(40..75);
        let counts = check(&packets);
        assert_eq!((counts.lost, counts.surplus, counts.altered), (35, 0, 0), "{counts:?}");
        assert!(counts.continuity > 0);
    }

    proptest! {
        #[test]
        fn whatever_is_done_to_a_packet_between_two_marks_is_found(
            at in 21_usize..188,
            deed in 0..4,
            (byte, bit) in (0..PACKET_BYTES, 0..8),
            far in 1_usize..20,
        ) {
            let mut packets = stream(10, 20);
            match deed {
                0 => drop(packets.remove(at)),
                1 => packets.insert(at + far, packets[at]),
                2 => packets.swap(at, at + far),
                _ => packets[at][byte] ^= 1_u8 << bit,
            }
            prop_assert!(faults(check(&packets)) > 0);
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut ledger = Ledger::new(1);
            ledger.take(&bytes, |_| {});
            prop_assert!(ledger.counts().packets * 188 + ledger.counts().malformed == bytes.len() as u64);
        }
    }
}
