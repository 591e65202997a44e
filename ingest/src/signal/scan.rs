//! A cheap look at every packet: where a decoder can start, what the stream carries, how well it arrives.

use flambeau_media::program::Program;
use flambeau_proto::mpegts::packet::{Continuity, Packet, Step};
use flambeau_proto::mpegts::pes::{Head, Parsed};
use flambeau_proto::mpegts::program::Tracker;
use flambeau_proto::mpegts::stream::{Entry, Kind};
use flambeau_proto::mpegts::timeline::Timeline;
use flambeau_proto::mpegts::{NULL_PID, PACKET_BYTES, PIDS, packet};

/// A PAT at most this long before a random access point, in ticks of 90 kHz, is where a reader starts: 500 ms.
const PAT_AGE_MAX: i64 = 45_000;

/// The same in bytes.
const PAT_DISTANCE_MAX: u64 = 2 << 20;

/// The bit rate is measured over at least this long, in ticks of 90 kHz: 1 s.
const RATE_WINDOW: i64 = 90_000;

/// The PIDs told apart in the statistics; real streams have fewer than 60.
const PIDS_MAX: usize = 255;

const PAT_PID: u16 = 0;

/// What a run of packets showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanned {
    /// Feed position at which a decoder can start, when these packets complete such a point: the newest one.
    pub random_access: Option<u64>,
    /// The programme, when it became known or changed.
    pub program: Option<Program>,
}

/// How one PID fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PidStats {
    /// The PID.
    pub pid: u16,
    /// Packets since the start.
    pub packets: u64,
    /// Gaps in its continuity counter.
    pub continuity_errors: u64,
}

/// What a Scanner counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanStats {
    /// Packets since the start.
    pub packets: u64,
    /// Null packets (PID 0x1FFF) among them.
    pub null_packets: u64,
    /// Gaps in the continuity counters, of all PIDs together.
    pub continuity_errors: u64,
    /// Packets whose sender marked them damaged.
    pub transport_errors: u64,
    /// Packets without a sync byte, or with an adaptation field that does not fit.
    pub malformed_packets: u64,
    /// PSI sections that failed their CRC.
    pub crc_errors: u64,
    /// Rate of the whole stream by its PCR over the last second or more, in bits a second.
    pub bit_rate: Option<u64>,
}

/// Looks at a Feed's packets as they pass.
///
/// A decoder can start where a picture does that the stream marks so (`random_access_indicator`), or that is
/// an IDR, an IRAP or a recovery point by its first NAL units. The position told is that of the newest PAT
/// before it, unless that is over 500 ms or 2 MiB away. A programme without pictures can be entered at each PAT.
/// Nothing is allocated for a packet but where the stream's tables change.
#[derive(Debug)]
pub struct Scanner {
    tracker: Tracker,
    timeline: Timeline,
    roles: Box<[Role; PIDS]>,
    /// Index into `pids` + 1.
    slots: Box<[u8; PIDS]>,
    pids: Vec<Tracked>,
    /// What the first pictures of the programme are coded with.
    video: Option<Kind>,
    program_known: bool,
    /// The stream marks its random access points: parameter sets alone are none then.
    marks: bool,
    clock: Option<i64>,
    pat: Option<Pat>,
    /// PCR and position that the bit rate is measured from.
    rate_since: Option<(i64, u64)>,
    stats: ScanStats,
}

/// What the Scanner does with a PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Role {
    table: bool,
    video: bool,
    clock: bool,
}

#[derive(Debug)]
struct Tracked {
    stats: PidStats,
    continuity: Continuity,
}

/// The newest PAT.
#[derive(Debug, Clone, Copy)]
struct Pat {
    position: u64,
    clock: Option<i64>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A Scanner that has seen nothing yet.
    pub fn new() -> Self {
        let mut scanner = Self {
            tracker: Tracker::new(),
            timeline: Timeline::default(),
            roles: Box::new([Role::default(); PIDS]),
            slots: Box::new([0; PIDS]),
            pids: Vec::new(),
            video: None,
            program_known: false,
            marks: false,
            clock: None,
            pat: None,
            rate_since: None,
            stats: ScanStats::default(),
        };
        scanner.assign_roles();
        scanner
    }

    /// Looks at whole packets, the first of which has the Feed position `position`.
    pub fn scan(&mut self, position: u64, packets: &[u8]) -> Scanned {
        let mut scanned = Scanned::default();
        let positions = (position..).step_by(PACKET_BYTES);
        for (position, data) in positions.zip(packets.chunks_exact(PACKET_BYTES)) {
            self.stats.packets += 1;
            if packet::pid(data) == NULL_PID {
                self.stats.null_packets += 1;
                continue;
            }
            match Packet::parse(data) {
                Ok(packet) if packet.damaged => self.stats.transport_errors += 1,
                Ok(packet) => self.packet(position, &packet, &mut scanned),
                Err(_) => self.stats.malformed_packets += 1,
            }
        }
        scanned
    }

    /// Bytes are missing before the next packet: no continuity error is counted over the gap.
    pub fn discontinuity(&mut self) {
        self.pids.iter_mut().for_each(|tracked| tracked.continuity.reset());
        self.tracker.lose_all();
        self.timeline.lose();
        self.rate_since = None;
    }

    /// The totals.
    pub fn stats(&self) -> ScanStats {
        ScanStats { crc_errors: self.tracker.crc_errors(), ..self.stats }
    }

    /// Each PID seen, null packets apart; the first 255 of a stream that has more.
    pub fn pids(&self) -> impl Iterator<Item = PidStats> + '_ {
        self.pids.iter().map(|tracked| tracked.stats)
    }

    fn packet(&mut self, position: u64, packet: &Packet<'_>, scanned: &mut Scanned) {
        let step = self.count(packet);
        let role = self.roles[usize::from(packet.pid)];
        if role == Role::default() || step == Step::Duplicate {
            return;
        }
        if let Some(base) = packet.adaptation.pcr.filter(|_| role.clock) {
            self.clock(base, packet.adaptation.discontinuity, position);
        }
        if role.table {
            self.table(position, packet, step, scanned);
        }
        if role.video && packet.unit_start && self.is_random_access(packet) {
            scanned.random_access = Some(self.entry(position));
        }
    }

    /// Counts a packet of its PID.
    fn count(&mut self, packet: &Packet<'_>) -> Step {
        let slot = &mut self.slots[usize::from(packet.pid)];
        if *slot == 0 {
            if self.pids.len() == PIDS_MAX {
                return Step::Next;
            }
            let stats = PidStats { pid: packet.pid, packets: 0, continuity_errors: 0 };
            self.pids.push(Tracked { stats, continuity: Continuity::default() });
            // At most PIDS_MAX.
            *slot = u8::try_from(self.pids.len()).unwrap_or(u8::MAX);
        }
        let Tracked { stats, continuity } = &mut self.pids[usize::from(*slot) - 1];
        stats.packets += 1;
        let step = continuity.step(packet.counter, packet.has_payload(), packet.adaptation.discontinuity);
        if step == Step::Gap {
            stats.continuity_errors += 1;
            self.stats.continuity_errors += 1;
        }
        step
    }

    fn clock(&mut self, base: u64, flagged: bool, position: u64) {
        let (pcr, jumped) = self.timeline.read(base, flagged);
        self.timeline.follow(pcr);
        self.clock = Some(pcr);
        if let Some(pat) = &mut self.pat {
            pat.clock.get_or_insert(pcr);
        }
        if jumped {
            self.rate_since = None;
        }
        let (since, from) = *self.rate_since.get_or_insert((pcr, position));
        let (ticks, bytes) = (pcr - since, position.saturating_sub(from));
        if ticks >= RATE_WINDOW {
            self.stats.bit_rate = bytes.checked_mul(8 * 90_000).map(|bits| bits / ticks.unsigned_abs());
            self.rate_since = Some((pcr, position));
        }
    }

    fn table(&mut self, position: u64, packet: &Packet<'_>, step: Step, scanned: &mut Scanned) {
        if packet.pid == PAT_PID && packet.unit_start {
            self.pat = Some(Pat { position, clock: self.clock });
        }
        if step == Step::Gap {
            self.tracker.lose(packet.pid);
        }
        let change = self.tracker.push(packet.pid, packet.payload, packet.unit_start);
        if change.program {
            scanned.program = self.tracker.program().map(|(pmt, pid)| pmt.describe(pid));
        }
        if change.program || change.pids {
            self.assign_roles();
        }
        let is_entry = change.program || packet.pid == PAT_PID && packet.unit_start;
        if is_entry && self.program_known && self.video.is_none() {
            scanned.random_access = self.pat.map(|pat| pat.position);
        }
    }

    fn assign_roles(&mut self) {
        self.roles.fill(Role::default());
        for pid in self.tracker.pids() {
            self.roles[usize::from(pid)].table = true;
        }
        let Some((pmt, _)) = self.tracker.program() else { return };
        self.program_known = true;
        if pmt.pcr_pid != NULL_PID {
            self.roles[usize::from(pmt.pcr_pid)].clock = true;
        }
        let video = pmt.video().map(|stream| (stream.pid, stream.kind));
        if let Some((pid, _)) = video {
            self.roles[usize::from(pid)].video = true;
        }
        self.video = video.map(|(_, kind)| kind);
        self.marks = false;
    }

    /// Whether a picture that decoding can start at begins in this packet.
    fn is_random_access(&mut self, packet: &Packet<'_>) -> bool {
        if packet.adaptation.random_access {
            self.marks = true;
            return true;
        }
        let (Some(kind), false) = (self.video, packet.scrambled) else { return false };
        let Parsed::Head(head) = Head::parse(packet.payload) else { return false };
        match kind.entry(&packet.payload[head.bytes..]) {
            Entry::Certain => true,
            Entry::Likely => !self.marks,
            Entry::No => false,
        }
    }

    /// Where a reader that wants the picture at `position` starts.
    fn entry(&self, position: u64) -> u64 {
        let near = |pat: &Pat| {
            let age = self.clock.zip(pat.clock).map_or(0, |(now, then)| now - then);
            position - pat.position <= PAT_DISTANCE_MAX && (0..=PAT_AGE_MAX).contains(&age)
        };
        self.pat.filter(near).map_or(position, |pat| pat.position)
    }
}

#[cfg(test)]
mod tests;
