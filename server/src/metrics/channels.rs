//! The media lane: what the packager made, and what is held of it.

use std::fmt;
use std::sync::Arc;

use flambeau_media::ChannelId;
use flambeau_media::directory::Directory;
use flambeau_packager::Stats;

use super::{Collector, Sheet};

/// What asks the packager for its counts.
pub(crate) type PackagerStats = Arc<dyn Fn() -> Vec<(ChannelId, Stats)> + Send + Sync>;

/// Every Channel.
pub(crate) struct Channels {
    /// Where their objects are.
    pub(crate) directory: Arc<Directory>,
    /// Who makes them.
    pub(crate) packager: PackagerStats,
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").finish_non_exhaustive()
    }
}

impl Collector for Channels {
    fn collect(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        self.collect_made(sheet)?;
        let channels = self.directory.channels();
        let rows: Vec<_> =
            channels.iter().map(|channel| ([("channel", channel.id().as_str())], channel.held())).collect();
        sheet.gauges(
            "flambeau_channel_objects",
            "Parts, Segments and init segments that can be fetched",
            rows.iter().map(|(labels, (objects, _))| (labels.as_slice(), *objects as u64)),
        )?;
        sheet.gauges(
            "flambeau_channel_bytes",
            "Memory of the objects; a Segment shares that of its Parts",
            rows.iter().map(|(labels, (_, bytes))| (labels.as_slice(), *bytes as u64)),
        )
    }
}

impl Channels {
    fn collect_made(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let stats = (self.packager)();
        let rows: Vec<_> = stats.iter().map(|(id, stats)| ([("channel", id.as_str())], stats)).collect();
        let each = |value: fn(&Stats) -> u64| {
            rows.iter().map(move |(labels, stats)| (labels.as_slice(), value(stats)))
        };
        for (name, help, value) in COUNTERS {
            sheet.counters(name, help, each(*value))?;
        }
        sheet.gauges("flambeau_channel_running", "1 while it is packaged", each(|s| u64::from(s.running)))?;
        sheet.gauges("flambeau_channel_tracks", "Tracks packaged", each(|s| s.tracks as u64))?;
        sheet.gauges(
            "flambeau_channel_clock_drift_seconds",
            "How far the source's clock has gone off the wall clock since the Channel began",
            rows.iter().map(|(labels, stats)| (labels.as_slice(), stats.drift_us as f64 / 1e6)),
        )
    }
}

/// A family of counters: name, help, and where its value is.
type Counter = (&'static str, &'static str, fn(&Stats) -> u64);

const COUNTERS: &[Counter] = &[
    ("flambeau_channel_samples", "Samples packaged", |s| s.samples),
    ("flambeau_channel_samples_dropped", "Samples left out because they had no place in time", |s| {
        s.samples_dropped
    }),
    ("flambeau_channel_parts", "Parts made", |s| s.parts),
    ("flambeau_channel_segments", "Segments made", |s| s.segments),
    ("flambeau_channel_discontinuities", "Discontinuities declared", |s| s.discontinuities),
    ("flambeau_channel_restarts", "Restarts after a failure of ours", |s| s.restarts),
    ("flambeau_channel_lagged", "Times the packager fell behind the Feed's history", |s| s.lagged),
];
