//! From transport stream packets to Samples.

use bytes::Bytes;
use flambeau_media::program::Program;
use flambeau_media::{Sample, Track, TrackId};

/// What a transport stream turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The programme, when it is first known and whenever it changes.
    Program(Program),
    /// A Track is new, or its codec configuration or language changed. Comes before the first Sample it applies to.
    Track(Track),
    /// One access unit of a Track that was announced.
    Sample(TrackId, Sample),
    /// The programme's clock.
    Clock {
        /// The PCR's base, 90 kHz, wraps undone, on the same reference as the Samples' times.
        pcr: i64,
        /// The clock jumped: by the stream's own flag, or because it plainly did.
        discontinuity: bool,
    },
    /// A whole SCTE-35 `splice_info_section`.
    Splice {
        /// The PID it came on.
        pid: u16,
        /// When its command takes effect, where it says so, on the same reference as the Samples' times.
        pts: Option<i64>,
        /// The section, CRC included.
        section: Bytes,
    },
    /// A Track has left the programme, or will come back as another codec.
    TrackGone(TrackId),
}

/// What went wrong in a stream so far, in events since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets read.
    pub packets: u64,
    /// Packets whose sender marked them damaged (`transport_error_indicator`).
    pub transport_errors: u64,
    /// Packets without the sync byte or with an adaptation field that does not fit.
    pub malformed_packets: u64,
    /// Gaps in a PID's continuity counter.
    pub continuity_errors: u64,
    /// PSI sections that failed their CRC.
    pub crc_errors: u64,
    /// PES packets that outgrew their bound and were dropped.
    pub oversize_pes: u64,
    /// PES packets dropped for a header that makes no sense.
    pub malformed_pes: u64,
    /// Times a codec's frames had to be searched for anew.
    pub resyncs: u64,
    /// Access units that could not be read or placed in time.
    pub dropped_units: u64,
    /// Packets that were scrambled, and so of no use here.
    pub scrambled: u64,
    /// Jumps of the programme's clock.
    pub clock_jumps: u64,
}

/// Takes one Feed's transport stream apart.
#[derive(Debug, Default)]
pub struct Demuxer {
    stats: Stats,
}

impl Demuxer {
    /// A demultiplexer that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads whole packets (a rest shorter than a packet is ignored) and hands what they complete to `sink`.
    pub fn push(&mut self, packets: &[u8], sink: &mut impl FnMut(Event)) {
        let _ = (packets, sink);
    }

    /// Bytes are missing before the next packet: what is incomplete is dropped.
    pub fn discontinuity(&mut self) {}

    /// The stream has ended: what is complete but for the next unit's start comes out.
    pub fn flush(&mut self, sink: &mut impl FnMut(Event)) {
        let _ = sink;
    }

    /// What went wrong so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }
}
