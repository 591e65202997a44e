//! The Segments of a Span, copied out of the index to be rendered.

use std::sync::Arc;
use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::archive::Span;

use super::description::Description;
use super::past::{Past, Rendition};
use super::timeline::{Entry, Stretch, Timeline};
use crate::segment::length;

/// A Segment and what it shares with others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) entry: Entry,
    pub(super) stretch: Stretch,
}

impl Item {
    pub(super) fn start_utc(&self) -> Utc {
        Utc::from_ticks(self.entry.start, self.stretch.timescale)
    }

    pub(super) fn end_utc(&self) -> Utc {
        Utc::from_ticks(self.entry.start + i64::from(self.entry.ticks), self.stretch.timescale)
    }

    pub(super) fn length(&self) -> Duration {
        length(u64::from(self.entry.ticks), self.stretch.timescale)
    }

    /// Its bytes are nowhere: they could not be written while they were in memory.
    pub(super) fn is_lost(&self) -> bool {
        !self.entry.copies.in_memory && !self.entry.copies.on_disk
    }
}

/// The Segments of one Rendition.
#[derive(Debug)]
pub(super) struct Items {
    pub(super) name: String,
    /// What the newest of them is.
    pub(super) description: Arc<Description>,
    /// At least one.
    pub(super) items: Vec<Item>,
    /// The description of each init segment among them.
    pub(super) descriptions: Vec<(u32, Arc<Description>)>,
}

impl Past {
    /// The Segments of one Rendition.
    pub(super) fn items(&self, name: &str, span: Span) -> Vec<Item> {
        let renditions = self.renditions();
        renditions.get(name).map(|rendition| items(&rendition.timeline, span)).unwrap_or_default()
    }

    /// The Segments of every Rendition that has some, in order of Track.
    pub(super) fn all_items(&self, span: Span) -> Vec<Items> {
        let renditions = self.renditions();
        let mut all: Vec<Items> =
            renditions.iter().filter_map(|(name, rendition)| all_of(name, rendition, span)).collect();
        all.sort_by_key(|items| items.description.track);
        all
    }

    /// No Segment is longer than this, in whole seconds.
    pub(super) fn target(&self) -> Duration {
        let renditions = self.renditions();
        let longest = renditions.values().map(|rendition| rendition.timeline.longest()).max();
        Duration::from_secs((longest.unwrap_or_default() + Duration::from_millis(500)).as_secs().max(1))
    }
}

fn all_of(name: &str, rendition: &Rendition, span: Span) -> Option<Items> {
    let items = items(&rendition.timeline, span);
    let newest = items.last()?;
    let of = |init: u32| rendition.inits.get(&init).map(|init| init.description.clone());
    let description = of(newest.stretch.init)?;
    let mut descriptions: Vec<(u32, Arc<Description>)> = Vec::new();
    for item in &items {
        let init = item.stretch.init;
        if descriptions.last().is_none_or(|(last, _)| *last != init) {
            descriptions.push((init, of(init)?));
        }
    }
    Some(Items { name: name.to_owned(), description, items, descriptions })
}

fn items(timeline: &Timeline, span: Span) -> Vec<Item> {
    let range = timeline.range(span.start, span.end);
    let entries = timeline.entries().range(range);
    entries.filter_map(|entry| Some(Item { entry: *entry, stretch: *timeline.stretch(entry)? })).collect()
}

/// Bits a second of the largest Segment and of all.
pub(super) fn bandwidth(items: &[Item]) -> (u64, u64) {
    let (mut peak, mut bits, mut seconds, mut longest) = (0.0f64, 0.0, 0.0, 0.0f64);
    for item in items.iter().rev() {
        let (b, s) = (f64::from(item.entry.bytes) * 8.0, item.length().as_secs_f64());
        bits += b;
        seconds += s;
        // RFC 8216bis 4.4.6.2: the peak counts runs of 0.5 to 1.5 target durations; a stub does not.
        longest = longest.max(s);
        if s > 0.0 && s >= longest / 2.0 {
            peak = peak.max(b / s);
        }
    }
    let average = if seconds > 0.0 { bits / seconds } else { 0.0 };
    (peak.max(average).ceil() as u64, average.ceil() as u64)
}
