//! What is sent: new payloads as the cap allows, lost ones again while they still help.
//!
//! The sender owns no payload. It remembers of each packet in flight where its payload lies (a position that the
//! [`Source`] gave it) and reads it there again for a retransmission: 40 bytes a packet in flight.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::allowance::Allowance;
use super::pacer::{Bandwidth, Pacer};
use super::rtt::Rtt;
use super::seq::SeqNo;

/// Where a session's payloads come from. Called on the session's worker: it must not block.
pub trait Source: Send {
    /// Hands over payloads, oldest first, until there are none for now or `out` has no room: called once a burst, so that
    /// what a burst needs (a lock, a look at where it stands) is done once.
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply;

    /// Copies the payload at `position` again, `into.len()` bytes; false when it is no longer held.
    fn again(&mut self, position: u64, into: &mut [u8]) -> bool;
}

/// Where a [`Source`] puts its payloads: the burst that is about to be sent.
pub trait Outlet {
    /// Room for the next payload; none when the burst is full, or the receiver, or the cap on the rate.
    fn room(&mut self) -> Option<&mut [u8]>;

    /// The next payload is in the first `len` bytes of the room. `position`: where to read it again. `origin`: when it came
    /// to be; the receiver plays it at this time plus the latency.
    fn put(&mut self, position: u64, len: usize, origin: Instant);
}

/// Whether a [`Source`] goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Supply {
    /// It does.
    Open,
    /// Nothing comes any more: the session ends once all is acknowledged.
    Ended,
}

/// A packet in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    pub(super) position: u64,
    pub(super) origin: Instant,
    /// When it was last sent, in microseconds of the connection's life, wrapping.
    sent_us: u32,
    pub(super) len: u16,
    resent: bool,
    /// It is to be sent again.
    lost: bool,
    /// Copies of it that are to go after that.
    copies: u8,
}

/// What a retransmission has to meet: the path, and when its packet must be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) rtt: Rtt,
    /// A packet that is sent by its origin plus this is in time.
    pub(super) latency: Duration,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(super) struct Sender {
    /// The first packet not yet acknowledged; `flight[i]` is packet `first + i`.
    first: SeqNo,
    flight: VecDeque<Flight>,
    lost: VecDeque<SeqNo>,
    /// Of these a copy has gone, and another is to go when nothing else does.
    copied: VecDeque<SeqNo>,
    peer_window: u32,
    pub(super) pacer: Pacer,
    progress: Instant,
    probes: u32,
    allowance: Allowance,
    /// Quarters of a packet that may go as second and third copies.
    spare: u32,
}

impl Sender {
    pub(super) fn new(first: SeqNo, peer_window: u32, bandwidth: Bandwidth, now: Instant) -> Self {
        Self {
            first,
            flight: VecDeque::new(),
            lost: VecDeque::new(),
            copied: VecDeque::new(),
            peer_window: peer_window.max(1),
            pacer: Pacer::new(bandwidth, now),
            progress: now,
            probes: 0,
            allowance: Allowance::new(now),
            spare: SPARE_MAX,
        }
    }

    /// The number of the next new packet.
    pub(super) fn next(&self) -> SeqNo {
        self.first.plus(self.flight.len() as i32)
    }

    /// Packets sent and not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// Packets waiting to be sent again.
    pub(super) fn lost(&self) -> usize {
        self.lost.len()
    }

    /// Whether the receiver has room for a new packet.
    pub(super) fn has_room(&self) -> bool {
        self.flight.len() < FLIGHT_PACKETS_MAX.min(self.peer_window as usize)
    }

    /// Takes note of a new packet.
    pub(super) fn sent_new(&mut self, position: u64, len: u16, origin: Instant, now_us: u32, now: Instant) {
        if self.flight.is_empty() {
            self.progress = now;
        }
        self.spare = (self.spare + 1).min(SPARE_MAX);
        self.flight.push_back(Flight {
            position,
            origin,
            sent_us: now_us,
            len,
            resent: false,
            lost: false,
            copies: 0,
        });
    }

    /// The next packet to send again, taken off the list; the caller sends it now.
    pub(super) fn take_lost(&mut self, now_us: u32) -> Option<(SeqNo, Flight)> {
        while let Some(sequence) = self.lost.pop_front() {
            let Some(flight) = self.flight_mut(sequence).filter(|flight| flight.lost) else { continue };
            (flight.lost, flight.sent_us, flight.resent) = (false, now_us, true);
            let flight = *flight;
            // A receiver that asks again and again makes no list that is longer than what is in flight.
            if flight.copies > 0 && self.copied.len() < self.flight.len() {
                self.copied.push_back(sequence);
            }
            return Some((sequence, flight));
        }
        None
    }

    /// The next packet to send one more copy of, which is less urgent than anything else: new packets must not wait for it,
    /// and between them lies some of what could take both.
    pub(super) fn take_copy(&mut self, now_us: u32) -> Option<(SeqNo, Flight)> {
        while let Some(sequence) = self.copied.pop_front() {
            let wanted = |flight: &&mut Flight| flight.copies > 0 && !flight.lost;
            let Some(flight) = self.flight_mut(sequence).filter(wanted) else { continue };
            (flight.copies, flight.sent_us) = (flight.copies - 1, now_us);
            let flight = *flight;
            if flight.copies > 0 {
                self.copied.push_back(sequence);
            }
            return Some((sequence, flight));
        }
        None
    }

    /// Everything before `sequence` has arrived. Returns false for a number that was never sent.
    pub(super) fn acknowledged(&mut self, sequence: SeqNo, window: Option<u32>, now: Instant) -> bool {
        let count = sequence.minus(self.first);
        if count > self.flight.len() as i32 {
            return false;
        }
        if count < 0 {
            // Overtaken by a later one: its window is out of date.
            return true;
        }
        // The receiver's room counts from the acknowledged packet on, so a light ACK, which does not tell the room, uses
        // some up (as in libsrt). At least one, lest we stop for good.
        self.peer_window = window.unwrap_or(self.peer_window.saturating_sub(count as u32)).max(1);
        if count > 0 {
            self.flight.drain(..count as usize);
            self.first = sequence;
            (self.progress, self.probes) = (now, 0);
        }
        true
    }

    /// The receiver misses `first..=last`. Returns how many of them are queued to be sent again, or none if the
    /// range holds numbers that were never sent, or the receiver asks for too many.
    pub(super) fn reported_lost(
        &mut self,
        (first, last): (SeqNo, SeqNo),
        now: Instant,
        now_us: u32,
        path: &Path,
    ) -> Option<u32> {
        let (from, to) = (first.minus(self.first).max(0), last.minus(self.first));
        if first.is_after(last) || to >= self.flight.len() as i32 {
            return None;
        }
        if !self.allowance.take(usize::try_from(to - from + 1).unwrap_or(0), now) {
            return None;
        }
        // What was sent again less than a round trip ago is still under way, whatever the receiver makes of the RTT.
        let under_way_us = path.rtt.smoothed().max(RESEND_INTERVAL_MIN).as_micros() as u32;
        let mut queued = 0;
        for index in from..=to {
            let flight = &mut self.flight[index as usize];
            let recent = flight.resent && now_us.wrapping_sub(flight.sent_us) < under_way_us;
            if !flight.lost && !recent {
                let spare = u8::try_from(self.spare / COPY).unwrap_or(u8::MAX);
                let more = path.copies_more(flight.origin, now).saturating_sub(flight.copies).min(spare);
                self.spare -= u32::from(more) * COPY;
                (flight.lost, flight.copies) = (true, flight.copies + more);
                self.lost.push_back(self.first.plus(index));
                queued += 1;
            }
        }
        Some(queued)
    }

    /// What of `first..=last` is no longer here to be sent again.
    pub(super) fn gone(&self, first: SeqNo, last: SeqNo) -> Option<(SeqNo, SeqNo)> {
        let end = if last.is_before(self.first) { last } else { self.first.prev() };
        (!first.is_after(end)).then_some((first, end))
    }

    /// Drops packets that are older than `age_max` at the receiver: they cannot play any more. Returns the range.
    pub(super) fn drop_too_late(&mut self, now: Instant, age_max: Duration) -> Option<(SeqNo, SeqNo)> {
        let late = |flight: &Flight| now.saturating_duration_since(flight.origin) > age_max;
        let count = self.flight.iter().take_while(|flight| late(flight)).count();
        if count == 0 {
            return None;
        }
        let first = self.first;
        self.flight.drain(..count);
        self.first = first.plus(count as i32);
        self.progress = now;
        Some((first, first.plus(count as i32 - 1)))
    }

    /// When nothing was acknowledged for too long, the newest packet is sent again: the receiver learns from it
    /// what else it misses, even the tail of a stream that has paused.
    pub(super) fn probe_due(&self, rtt: &Rtt) -> Option<Instant> {
        let backoff = 1 << self.probes.min(4);
        (!self.flight.is_empty() && self.lost.is_empty())
            .then(|| self.progress + (rtt.patience() + PROBE_GRACE) * backoff)
    }

    /// Queues the probe of [`Sender::probe_due`].
    pub(super) fn probe(&mut self, now: Instant) {
        (self.progress, self.probes) = (now, self.probes.saturating_add(1));
        let newest = self.next().plus(-1);
        if let Some(flight) = self.flight_mut(newest).filter(|flight| !flight.lost) {
            flight.lost = true;
            self.lost.push_back(newest);
        }
    }

    fn flight_mut(&mut self, sequence: SeqNo) -> Option<&mut Flight> {
        usize::try_from(sequence.minus(self.first)).ok().and_then(|index| self.flight.get_mut(index))
    }
}

impl Path {
    /// Copies beyond the first for a packet that is sent again now: as many as make up for the requests that there is no
    /// more time for.
    fn copies_more(&self, origin: Instant, now: Instant) -> u8 {
        let left = (origin + self.latency).saturating_duration_since(now);
        let round = self.rtt.smoothed() + (self.rtt.smoothed() / 2).max(ROUND_GRACE);
        match left {
            left if left < round => 3,
            left if left < 2 * round => 2,
            left if left < 3 * round => 1,
            _ => 0,
        }
    }
}

/// What a second copy costs of [`Sender::spare`]: there may be one to four new packets, so that a path that loses packets
/// because it is full is not made fuller by much.
const COPY: u32 = 4;

/// Second copies that may come together: of all that is lost in a second of a fast stream.
const SPARE_MAX: u32 = COPY * 2_048;

/// How long a receiver may take to ask again, beyond half a round trip.
const ROUND_GRACE: Duration = Duration::from_millis(30);

/// The most packets in flight, whatever window the peer offers: it bounds what a session costs (40 bytes each).
const FLIGHT_PACKETS_MAX: usize = 32_768;

/// A packet is sent again so often at most.
const RESEND_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// An ACK leaves the receiver within 10 ms; a busy one may be late, and a probe too many costs a packet.
const PROBE_GRACE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(packets: u32) -> (Sender, Instant) {
        let now = Instant::now();
        let mut sender = Sender::new(SeqNo::new(0x7fff_ffff), 8192, Bandwidth::Unlimited, now);
        for n in 0..packets {
            sender.sent_new(u64::from(n) * 1316, 1316, now, 0, now);
        }
        (sender, now)
    }

    fn rtt() -> Rtt {
        let mut rtt = Rtt::default();
        rtt.adopt(20_000, 5_000);
        rtt
    }

    /// A path with time for many requests.
    fn path() -> Path {
        Path { rtt: rtt(), latency: Duration::from_secs(1) }
    }

    #[test]
    fn a_lost_packet_is_sent_again_from_its_position_once_a_round_trip() {
        let (mut sender, now) = sender(5);
        let lost = SeqNo::new(1);
        assert_eq!(sender.reported_lost((lost, lost), now, 1_000, &path()), Some(1));
        assert_eq!(sender.reported_lost((lost, lost), now, 1_000, &path()), Some(0));
        let (sequence, flight) = sender.take_lost(2_000).expect("one is lost");
        assert_eq!((sequence, flight.position), (lost, 2 * 1316));
        assert_eq!(sender.reported_lost((lost, lost), now, 3_000, &path()), Some(0));
        assert_eq!(sender.reported_lost((lost, lost), now, 23_000, &path()), Some(1));
    }

    #[test]
    fn a_receiver_that_asks_again_and_again_gets_a_packet_once_in_ten_milliseconds() {
        let (mut sender, now) = sender(100);
        let mut path = path();
        path.rtt.adopt(0, 0);
        let whole = (SeqNo::new(0x7fff_ffff), SeqNo::new(98));
        let mut queued = 0;
        for us in 0..100_000 {
            queued +=
                sender.reported_lost(whole, now + Duration::from_micros(us), us as u32, &path).unwrap_or(0);
            while sender.take_lost(us as u32).is_some() {}
        }
        assert!(queued <= 1_000, "{queued} packets in 100 ms");
    }

    #[test]
    fn a_light_ack_uses_up_the_window_it_does_not_tell() {
        let (mut sender, now) = sender(5);
        assert!(sender.acknowledged(SeqNo::new(0x7fff_ffff), Some(6), now));
        assert!(sender.has_room());
        // Of the room for six from the first packet on, four lie behind the acknowledged one.
        assert!(sender.acknowledged(SeqNo::new(3), None, now));
        assert_eq!((sender.in_flight(), sender.has_room()), (1, true));
        sender.sent_new(0, 1316, now, 0, now);
        assert!(!sender.has_room());
        // An older ACK that was overtaken opens nothing.
        assert!(sender.acknowledged(SeqNo::new(0), Some(8_000), now));
        assert!(!sender.has_room());
    }

    #[test]
    fn what_is_gone_of_a_report_is_known() {
        let (mut sender, now) = sender(5);
        assert!(sender.acknowledged(SeqNo::new(2), None, now));
        assert_eq!(sender.gone(SeqNo::new(0), SeqNo::new(1)), Some((SeqNo::new(0), SeqNo::new(1))));
        assert_eq!(sender.gone(SeqNo::new(0), SeqNo::new(3)), Some((SeqNo::new(0), SeqNo::new(1))));
        assert_eq!(sender.gone(SeqNo::new(2), SeqNo::new(3)), None);
    }

    #[test]
    fn reports_of_packets_never_sent_are_refused() {
        let (mut sender, now) = sender(5);
        assert_eq!(sender.reported_lost((SeqNo::new(2), SeqNo::new(9)), now, 0, &path()), None);
        assert_eq!(sender.reported_lost((SeqNo::new(3), SeqNo::new(1)), now, 0, &path()), None);
        assert!(!sender.acknowledged(SeqNo::new(5), None, now));
        assert!(sender.acknowledged(SeqNo::new(4), Some(0), now));
        assert_eq!(sender.in_flight(), 0);
        assert!(sender.has_room());
    }

    #[test]
    fn what_was_acknowledged_meanwhile_is_not_sent_again() {
        let (mut sender, now) = sender(5);
        assert_eq!(sender.reported_lost((SeqNo::new(0x7fff_ffff), SeqNo::new(1)), now, 0, &path()), Some(3));
        assert!(sender.acknowledged(SeqNo::new(1), None, now));
        assert_eq!(sender.take_lost(0).map(|(sequence, _)| sequence), Some(SeqNo::new(1)));
        assert!(sender.take_lost(0).is_none());
    }

    #[test]
    fn what_is_too_late_is_dropped_and_a_silent_tail_is_probed() {
        let (mut sender, now) = sender(3);
        assert_eq!(sender.drop_too_late(now + Duration::from_secs(1), Duration::from_secs(1)), None);
        let due = sender.probe_due(&rtt()).expect("three in flight");
        sender.probe(due);
        assert_eq!(sender.take_lost(0).map(|(sequence, _)| sequence), Some(SeqNo::new(1)));
        let late = now + Duration::from_millis(1_001);
        let range = sender.drop_too_late(late, Duration::from_secs(1));
        assert_eq!(range, Some((SeqNo::new(0x7fff_ffff), SeqNo::new(1))));
    }

    #[test]
    fn what_may_not_be_asked_for_again_in_time_goes_in_copies_as_far_as_the_stream_warrants() {
        let path = Path { latency: Duration::from_millis(160), ..path() };
        let sent = |sender: &mut Sender| {
            let first = std::iter::from_fn(|| sender.take_lost(0)).count();
            first + std::iter::from_fn(|| sender.take_copy(0)).count()
        };
        let copies = |late_ms: u64| {
            let (mut sender, now) = sender(5);
            let lost = (SeqNo::new(1), SeqNo::new(1));
            sender.reported_lost(lost, now + Duration::from_millis(late_ms), 0, &path);
            sent(&mut sender)
        };
        assert_eq!([0, 40, 80, 120].map(copies), [1, 2, 3, 4]);

        let (mut sender, now) = sender(8_000);
        let all = (SeqNo::new(0x7fff_ffff), SeqNo::new(7_998));
        assert_eq!(sender.reported_lost(all, now + Duration::from_millis(120), 0, &path), Some(8_000));
        assert_eq!(sent(&mut sender), 8_000 + 2_048);
    }
}
