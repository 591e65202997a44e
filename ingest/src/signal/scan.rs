//! A cheap look at every packet: where a decoder can start, what the stream carries, how well it arrives.

use flambeau_media::program::Program;

/// What a run of packets showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanned {
    /// Feed position at which a decoder can start, when these packets complete such a point.
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
    /// Rate of the whole stream by its PCR over the last second or more, in bits a second.
    pub bit_rate: Option<u64>,
}

/// Looks at a Feed's packets as they pass.
#[derive(Debug, Default)]
pub struct Scanner {
    stats: ScanStats,
}

impl Scanner {
    /// A Scanner that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at whole packets, the first of which has the Feed position `position`.
    pub fn scan(&mut self, position: u64, packets: &[u8]) -> Scanned {
        let _ = (position, packets);
        Scanned::default()
    }

    /// Bytes are missing before the next packet: no continuity error is counted over the gap.
    pub fn discontinuity(&mut self) {}

    /// The totals.
    pub fn stats(&self) -> ScanStats {
        self.stats
    }

    /// Each PID seen, null packets apart.
    pub fn pids(&self) -> impl Iterator<Item = PidStats> + '_ {
        std::iter::empty()
    }
}
