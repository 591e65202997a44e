//! DASH Manifests of the past.

use std::collections::BTreeMap;
use std::time::Duration;

use flambeau_media::Utc;
use flambeau_proto::mpd;

use super::description::Description;
use super::excerpt::{Item, Items, bandwidth};
use super::format::init_file;
use crate::language;

/// The Manifest of these Renditions. `target`: the longest Segment.
pub(super) fn manifest(renditions: &[Items], target: Duration, ended: bool) -> String {
    let now = Utc::now();
    let mut periods: BTreeMap<u64, mpd::Period> = BTreeMap::new();
    let mut oldest = now;
    for rendition in renditions {
        let bandwidth = bandwidth(&rendition.items).0;
        for items in rendition.items.chunk_by(|a, b| a.stretch == b.stretch) {
            let Some(first) = items.first() else { continue };
            let (start, stretch) = (first.start_utc(), &first.stretch);
            let Some(description) = rendition.of(stretch.init) else { continue };
            let period = periods.entry(stretch.period).or_insert_with(|| mpd::Period {
                id: stretch.period.to_string(),
                start,
                ..mpd::Period::default()
            });
            period.start = period.start.min(start);
            oldest = oldest.min(start);
            let is_audio = |set: &mpd::AdaptationSet| matches!(set.content, mpd::Content::Audio(_));
            let main = !period.sets.iter().any(|set| is_audio(set) == description.sound().is_some());
            period.sets.extend(adaptation_set(&rendition.name, description, items, bandwidth, main));
        }
    }
    let manifest = mpd::Manifest {
        published: now,
        update_period: (!ended).then_some(target),
        time_shift: now.since(oldest),
        presentation_delay: target * 3,
        min_buffer: target,
        segment_duration_max: target,
        time_url: (!ended).then(|| "../time".into()),
        on_demand: ended,
        periods: periods.into_values().collect(),
        ..mpd::Manifest::default()
    };
    manifest.render()
}

impl Items {
    fn of(&self, init: u32) -> Option<&Description> {
        self.descriptions.iter().find(|(number, _)| *number == init).map(|(_, description)| &**description)
    }
}

fn adaptation_set(
    name: &str,
    description: &Description,
    items: &[Item],
    bandwidth: u64,
    main: bool,
) -> Option<mpd::AdaptationSet> {
    let content = match (description.picture(), description.sound()) {
        (Some(picture), _) => mpd::Content::Video(picture),
        (None, Some(sound)) => mpd::Content::Audio(sound),
        (None, None) => return None,
    };
    let stretch = items.first()?.stretch;
    let there = items.iter().filter(|item| !item.is_lost());
    let timeline = there.map(|item| (item.entry.start.max(0) as u64, u64::from(item.entry.ticks)));
    Some(mpd::AdaptationSet {
        id: u32::from(description.track),
        representation: name.to_owned(),
        content,
        language: language::tag(description.language()),
        main,
        cues: false,
        continues: None,
        codecs: description.codecs.clone(),
        bandwidth,
        timescale: stretch.timescale,
        init: format!("{name}/{}", init_file(stretch.init)),
        media: format!("{name}/t$Time$.m4s"),
        addressing: mpd::Addressing::Timeline(timeline.collect()),
    })
}
