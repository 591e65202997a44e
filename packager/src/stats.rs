//! What a Channel's packager has done, for metrics and the API.

use flambeau_proto::mpegts::demux;

/// Totals of one Channel since it was opened; they outlive a restart of its packager.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// A packager runs: the Feed is there, or expected back.
    pub running: bool,
    /// Tracks packaged now.
    pub tracks: usize,
    /// Samples packaged.
    pub samples: u64,
    /// Samples that were left out: before the first random access point, doubled, or of another clock.
    pub samples_dropped: u64,
    /// Parts made.
    pub parts: u64,
    /// Segments made.
    pub segments: u64,
    /// Discontinuities declared.
    pub discontinuities: u64,
    /// Times the packager was restarted after a panic.
    pub restarts: u64,
    /// Times the packager fell behind the Feed's history.
    pub lagged: u64,
    /// What the demultiplexer of the running packager met.
    pub demux: demux::Stats,
    /// By how much the source's clock is off the wall clock as it was anchored, smoothed, in microseconds.
    pub drift_us: i64,
    /// The last error, as an operator reads it.
    pub last_error: Option<String>,
}

impl Stats {
    /// These totals and those of a packager that went on after them.
    pub(crate) fn plus(&self, later: &Self) -> Self {
        Self {
            running: later.running,
            tracks: later.tracks,
            samples: self.samples + later.samples,
            samples_dropped: self.samples_dropped + later.samples_dropped,
            parts: self.parts + later.parts,
            segments: self.segments + later.segments,
            discontinuities: self.discontinuities + later.discontinuities,
            restarts: self.restarts + later.restarts,
            lagged: self.lagged + later.lagged,
            demux: later.demux,
            drift_us: later.drift_us,
            last_error: later.last_error.clone().or_else(|| self.last_error.clone()),
        }
    }
}
