//! The past on disk.

use std::fmt;
use std::sync::Arc;

use flambeau_media::ChannelId;
use flambeau_packager::archive::Stats;

use super::{Collector, Sheet};

/// What asks the packager for what its archive counts; None: nothing is kept on disk.
pub(crate) type ArchiveStats = Arc<dyn Fn() -> Option<Vec<(ChannelId, Stats)>> + Send + Sync>;

/// Every Channel's archive.
pub(crate) struct Archive(pub(crate) ArchiveStats);

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").finish_non_exhaustive()
    }
}

impl Collector for Archive {
    fn collect(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let stats = (self.0)();
        sheet.gauges(
            "flambeau_archive_open",
            "1 while Segments are kept on disk, 0 where they are not to be or cannot be",
            [([].as_slice(), u64::from(stats.is_some()))],
        )?;
        let stats = stats.unwrap_or_default();
        let rows: Vec<_> = stats.iter().map(|(id, stats)| ([("channel", id.as_str())], stats)).collect();
        let each = |value: fn(&Stats) -> u64| {
            rows.iter().map(move |(labels, stats)| (labels.as_slice(), value(stats)))
        };
        sheet.gauges(
            "flambeau_archive_segments",
            "Segments that can be fetched from disk",
            each(|s| s.segments),
        )?;
        sheet.gauges("flambeau_archive_bytes", "Media on disk", each(|s| s.bytes))?;
        let oldest = rows.iter().filter_map(|(labels, stats)| Some((labels.as_slice(), stats.oldest?)));
        sheet.gauges(
            "flambeau_archive_oldest_timestamp_seconds",
            "When the oldest Segment on disk starts",
            oldest.map(|(labels, oldest)| (labels, oldest.0 as f64 / 1e6)),
        )?;
        sheet.counters("flambeau_archive_written_segments", "Segments written", each(|s| s.written))?;
        let lost: Vec<_> = stats
            .iter()
            .flat_map(|(id, stats)| {
                LOSSES
                    .iter()
                    .map(|(reason, count)| ([("channel", id.as_str()), ("reason", *reason)], count(stats)))
            })
            .collect();
        sheet.counters(
            "flambeau_archive_lost_segments",
            "Segments that are not on disk: the write failed, the disk was too slow, or they were found damaged",
            lost.iter().map(|(labels, count)| (labels.as_slice(), *count)),
        )?;
        sheet.counters("flambeau_archive_read_bytes", "Bytes read for viewers", each(|s| s.bytes_read))?;
        sheet.counters(
            "flambeau_archive_read_failures",
            "Reads for viewers that failed or took too long",
            each(|s| s.read_failures),
        )?;
        sheet.counters(
            "flambeau_archive_renderings",
            "Playlists and Manifests of the past that were rendered",
            each(|s| s.rendered),
        )
    }
}

/// A reason, and where its count is.
type Loss = (&'static str, fn(&Stats) -> u64);

const LOSSES: &[Loss] =
    &[("failed", |s| s.write_failures), ("slow", |s| s.too_slow), ("damaged", |s| s.damaged)];
