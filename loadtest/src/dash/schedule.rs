//! Which Segment comes next, and when it can be asked for: a pure decision on the Manifests it was given.

use std::time::Duration;

use flambeau_media::Utc;

use super::manifest::{Manifest, Period, Segments, Track};

/// A Segment to fetch.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// Where it is, seen from the Manifest.
    pub uri: String,
    /// Its init segment, seen from the Manifest.
    pub init: String,
    /// When it can be asked for.
    pub available: Utc,
    /// Seconds from the media's time to that of the presentation.
    pub offset: f64,
    /// It is the first of a Period.
    pub period: bool,
    /// Media was left out before it.
    pub skipped: bool,
    /// When it starts, since the epoch.
    starts: Duration,
    /// When its Period starts, since the epoch.
    period_starts: Duration,
}

impl Fetch {
    /// Whether its Period is over before it begins, by a Manifest that is newer than the one it is from.
    pub fn is_beyond(&self, manifest: &Manifest) -> bool {
        let at = manifest.periods.iter().position(|period| period.start == self.period_starts);
        at.and_then(|at| manifest.end_of(at)).is_some_and(|end| end <= self.starts)
    }
}

/// What was fetched last: the Period, and the time after it in ticks since the Period's start. A Manifest may go over
/// from numbers to a list, and back.
#[derive(Debug, Clone, PartialEq)]
struct Cursor {
    period: String,
    start: Duration,
    at: u64,
}

/// The schedule of one track.
#[derive(Debug)]
pub struct Schedule {
    is_video: bool,
    cursor: Option<Cursor>,
}

impl Schedule {
    /// The schedule of the pictures, or of the sound.
    pub fn new(is_video: bool) -> Self {
        Self { is_video, cursor: None }
    }

    /// The next Segment the Manifest tells of, for a client whose clock says `now` and that plays `delay` behind.
    pub fn next(&mut self, manifest: &Manifest, now: Utc, delay: Duration) -> Option<Fetch> {
        let Some(cursor) = self.cursor.clone() else {
            return self.first(manifest, now, delay);
        };
        let at = manifest
            .periods
            .iter()
            .position(|period| period.id == cursor.period && period.start == cursor.start);
        // The Period has gone from the Manifest, and with it what was to come: on at the live edge.
        let Some(at) = at else {
            let later = manifest.periods.iter().any(|period| period.start > cursor.start);
            let fetch = self.first(manifest, now, delay).filter(|_| later)?;
            return Some(Fetch { skipped: true, ..fetch });
        };
        if let Some(fetch) = self.in_period(manifest, at, cursor.at) {
            return Some(fetch);
        }
        let next = manifest.periods.get(at + 1)?;
        let track = self.track(next)?;
        let from = match &track.segments {
            Segments::Even(_) => 0,
            Segments::Listed(listed) => listed.first()?.0.saturating_sub(track.offset),
        };
        let fetch = self.in_period(manifest, at + 1, from)?;
        Some(Fetch { period: true, ..fetch })
    }

    /// The first Segment that starts at `from` or after it, in ticks since the Period's start.
    fn in_period(&mut self, manifest: &Manifest, at: usize, from: u64) -> Option<Fetch> {
        let (period, end) = (manifest.periods.get(at)?, manifest.end_of(at));
        let track = self.track(period)?;
        match &track.segments {
            Segments::Even(length) => {
                let index = (from + length / 2) / length;
                if end.is_some_and(|end| period.start + ticks(track, index * length) >= end) {
                    return None;
                }
                self.advance(period, (index + 1) * length);
                Some(even(manifest, period, track, track.first + index, *length))
            }
            Segments::Listed(listed) => {
                // A Segment may start a little off the grid of its number.
                let late = |(start, length): &(u64, u64)| start + length / 2 < track.offset + from;
                let index = listed.partition_point(late);
                let &(start, length) = listed.get(index)?;
                let elapsed = start.saturating_sub(track.offset);
                self.advance(period, elapsed + length);
                let number = track.first + index as u64;
                let skipped = index == 0 && elapsed > from + length / 2 && listed.len() > 1;
                Some(Fetch { skipped, ..listed_at(manifest, period, track, number, start, length) })
            }
        }
    }

    /// Where to start: at the newest Segment that begins no later than `delay` ago.
    fn first(&mut self, manifest: &Manifest, now: Utc, delay: Duration) -> Option<Fetch> {
        let wanted = now.since(manifest.epoch).saturating_sub(delay);
        let period =
            manifest.periods.iter().rfind(|period| period.start <= wanted).or(manifest.periods.first())?;
        let track = self.track(period)?;
        let into = wanted.saturating_sub(period.start);
        match &track.segments {
            Segments::Even(length) => {
                let index = (into.as_secs_f64() * track.timescale as f64) as u64 / length;
                self.advance(period, (index + 1) * length);
                Some(even(manifest, period, track, track.first + index, *length))
            }
            Segments::Listed(listed) => {
                let at = track.offset + (into.as_secs_f64() * track.timescale as f64) as u64;
                let index = listed.partition_point(|(start, _)| *start <= at).saturating_sub(1);
                let &(start, length) = listed.get(index)?;
                self.advance(period, start.saturating_sub(track.offset) + length);
                Some(listed_at(manifest, period, track, track.first + index as u64, start, length))
            }
        }
    }

    fn advance(&mut self, period: &Period, at: u64) {
        self.cursor = Some(Cursor { period: period.id.clone(), start: period.start, at });
    }

    fn track<'a>(&self, period: &'a Period) -> Option<&'a Track> {
        period.tracks.iter().find(|track| track.is_video == self.is_video)
    }
}

/// A Segment by its number (5.3.9.5.3): it is there once it is whole, or so much earlier as the Manifest says.
fn even(manifest: &Manifest, period: &Period, track: &Track, number: u64, length: u64) -> Fetch {
    let start = track.offset + number.saturating_sub(track.first) * length;
    listed_at(manifest, period, track, number, start, length)
}

fn listed_at(
    manifest: &Manifest,
    period: &Period,
    track: &Track,
    number: u64,
    start: u64,
    length: u64,
) -> Fetch {
    let end = period.start + ticks(track, (start + length).saturating_sub(track.offset));
    Fetch {
        uri: fill(&track.media, number, start),
        init: track.init.clone(),
        available: manifest.epoch.plus(end.saturating_sub(track.early)),
        offset: period.start.as_secs_f64() - track.offset as f64 / track.timescale as f64,
        period: false,
        skipped: false,
        starts: period.start + ticks(track, start.saturating_sub(track.offset)),
        period_starts: period.start,
    }
}

/// Fills in a template (5.3.9.4.4), `$Number%05d$` included.
fn fill(template: &str, number: u64, time: u64) -> String {
    let mut filled = String::with_capacity(template.len() + 20);
    let mut parts = template.split('$');
    filled.push_str(parts.next().unwrap_or_default());
    while let Some(name) = parts.next() {
        let (name, format) = name.split_once('%').unwrap_or((name, ""));
        let width = format.trim_end_matches('d').parse::<usize>().unwrap_or(0).min(20);
        match name {
            "Number" => filled.push_str(&format!("{number:0width$}")),
            "Time" => filled.push_str(&format!("{time:0width$}")),
            "" => filled.push('$'),
            _ => {}
        }
        filled.push_str(parts.next().unwrap_or_default());
    }
    filled
}

fn ticks(track: &Track, ticks: u64) -> Duration {
    let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(track.timescale);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
