//! Which Segments a set has: `SegmentTemplate` (ISO/IEC 23009-1, 5.3.9.4).

use std::fmt::{self, Formatter};

use flambeau_media::Utc;

use super::render::{REFERENCE, escaped};
use super::{AdaptationSet, Addressing, Numbers};

impl AdaptationSet {
    /// When the last Segment that it names ends.
    pub(super) fn end(&self) -> Option<Utc> {
        let Addressing::Timeline(timeline) = &self.addressing else { return None };
        let (time, duration) = timeline.last()?;
        Some(Utc::from_ticks((time + duration) as i64, self.timescale))
    }

    /// The start of the Period on the Track's own timeline, in ticks.
    fn offset(&self, period_start_ms: i64) -> u64 {
        let offset = (i128::from(period_start_ms) * i128::from(self.timescale) + 500) / 1000;
        offset.max(0) as u64
    }

    /// `ProducerReferenceTime` (ISO/IEC 23009-1, 5.12.2): the media's time is UTC, so any point will do. The Parts
    /// carry the same as `prft`.
    pub(super) fn reference_time(
        &self,
        f: &mut Formatter<'_>,
        period_start_ms: i64,
        timing: &str,
    ) -> fmt::Result {
        if !matches!(self.addressing, Addressing::Numbers(_)) {
            return Ok(());
        }
        writeln!(
            f,
            "      <ProducerReferenceTime id=\"{REFERENCE}\" inband=\"true\" type=\"encoder\" \
             wallClockTime=\"{}\" presentationTime=\"{}\">{timing}</ProducerReferenceTime>",
            Utc(period_start_ms * 1000),
            self.offset(period_start_ms)
        )
    }

    pub(super) fn template(&self, f: &mut Formatter<'_>, period_start_ms: i64) -> fmt::Result {
        write!(
            f,
            "      <SegmentTemplate timescale=\"{}\" presentationTimeOffset=\"{}\" initialization=\"{}\" media=\"{}\"",
            self.timescale,
            self.offset(period_start_ms),
            escaped(&self.init),
            escaped(&self.media)
        )?;
        match &self.addressing {
            Addressing::Timeline(timeline) => {
                f.write_str(">\n        <SegmentTimeline>\n")?;
                runs(timeline).iter().try_for_each(|run| run.render(f))?;
                f.write_str("        </SegmentTimeline>\n      </SegmentTemplate>\n")
            }
            Addressing::Numbers(numbers) => numbers.render(f),
        }
    }
}

impl Numbers {
    /// `@startNumber` with `@duration` (5.3.9.5.3), and what tells that a Segment is sent as it is made (5.3.9.5.1).
    fn render(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, " startNumber=\"{}\" duration=\"{}\"", self.first, self.duration)?;
        if !self.ahead.is_zero() {
            let ahead = self.ahead.as_millis();
            write!(
                f,
                " availabilityTimeOffset=\"{}.{:03}\" availabilityTimeComplete=\"false\"",
                ahead / 1000,
                ahead % 1000
            )?;
        }
        f.write_str("/>\n")
    }
}

/// Segments of one length, one after the other: an `S` element.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Told only where it does not follow from the run before.
    pub(super) time: Option<u64>,
    pub(super) duration: u64,
    pub(super) repeat: u64,
}

pub(super) fn runs(timeline: &[(u64, u64)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut end = None;
    for &(time, duration) in timeline {
        match runs.last_mut() {
            Some(run) if end == Some(time) && run.duration == duration => run.repeat += 1,
            _ => runs.push(Run { time: (end != Some(time)).then_some(time), duration, repeat: 0 }),
        }
        end = Some(time + duration);
    }
    runs
}

impl Run {
    fn render(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("          <S")?;
        if let Some(time) = self.time {
            write!(f, " t=\"{time}\"")?;
        }
        write!(f, " d=\"{}\"", self.duration)?;
        if self.repeat > 0 {
            write!(f, " r=\"{}\"", self.repeat)?;
        }
        f.write_str("/>\n")
    }
}
