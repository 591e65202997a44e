//! HLS Playlists of the past. They name whole Segments, and no Parts: who starts in the past is not in a hurry.

use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::archive::Span;
use flambeau_proto::m3u8;

use super::excerpt::{Item, Items, bandwidth};
use super::format::init_file;
use crate::language;
use crate::render::unique;

/// The Playlist of one Rendition, none of whose Segments is longer than `target`.
pub(super) fn media(items: &[Item], target: Duration, ended: bool) -> String {
    let maps: Vec<String> = items.iter().map(|item| init_file(item.stretch.init)).collect();
    let mut segments = Vec::with_capacity(items.len());
    let mut before: Option<&Item> = None;
    for (item, map) in items.iter().zip(&maps) {
        let discontinuity = before.is_some_and(|b| b.stretch.discontinuities != item.stretch.discontinuities);
        if let Some(before) = before {
            let missing = Missing { discontinuity, map, length_max: target };
            missing.tell(before, item, &mut segments);
        }
        segments.push(m3u8::Segment {
            uri: format!("{}.m4s", item.entry.number),
            duration: Some(item.end_utc().written_since(item.start_utc())),
            discontinuity,
            gap: item.is_lost(),
            map,
            start: item.start_utc(),
            parts: Vec::new(),
        });
        before = Some(item);
    }
    let first = items.first();
    let playlist = m3u8::Media {
        target_duration: target,
        sequence: first.map_or(0, |item| item.entry.sequence),
        discontinuity_sequence: first.map_or(0, |item| item.stretch.discontinuities),
        segments,
        excerpt: true,
        ended,
        ..m3u8::Media::default()
    };
    playlist.render()
}

/// What stands in a Playlist for Segments that are missing: as many as the sequence numbers leave out.
struct Missing<'a> {
    /// Each stands for a discontinuity: what was between two of them was lost.
    discontinuity: bool,
    map: &'a str,
    length_max: Duration,
}

impl<'a> Missing<'a> {
    fn tell(&self, before: &Item, after: &Item, segments: &mut Vec<m3u8::Segment<'a>>) {
        let count = u32::try_from(after.entry.sequence - before.entry.sequence - 1).unwrap_or(0);
        let length = after.start_utc().since(before.end_utc()) / count.max(1);
        let length = length.clamp(LENGTH_MIN, self.length_max);
        segments.extend((0..count).map(|n| m3u8::Segment {
            uri: format!("{}.m4s", before.entry.number + 1 + u64::from(n)),
            duration: Some(length),
            discontinuity: self.discontinuity,
            gap: true,
            map: self.map,
            start: before.end_utc().plus(length * n),
            ..m3u8::Segment::default()
        }));
    }
}

/// A Segment of nothing has a length all the same.
const LENGTH_MIN: Duration = Duration::from_millis(10);

/// The Playlist that names the Renditions there are in `span`.
pub(super) fn multivariant(renditions: &[Items], span: Span) -> String {
    let mut playlist = m3u8::Multivariant::default();
    for rendition in renditions {
        let description = &rendition.description;
        let (peak, average) = bandwidth(&rendition.items);
        let uri = format!("{}/index.m3u8?{}", rendition.name, query(span));
        let codecs = description.codecs.clone();
        if let Some(picture) = description.picture() {
            playlist.videos.push(m3u8::Video {
                uri,
                codecs,
                picture,
                bandwidth: peak,
                bandwidth_average: average,
                iframes: None,
            });
        } else if let Some(sound) = description.sound() {
            let name = unique(language::name(description.language()), &playlist.audios);
            playlist.audios.push(m3u8::Audio {
                uri,
                codecs,
                name,
                language: language::tag(description.language()),
                sound,
                bandwidth: peak,
                bandwidth_average: average,
            });
        }
    }
    playlist.render()
}

/// A Span as an address says it: by absolute times, so that it stays the same.
fn query(span: Span) -> String {
    let point = |utc: Utc| Utc(utc.0.max(0));
    match span.end {
        Some(end) => format!("start={}&end={}", point(span.start), point(end)),
        None => format!("start={}", point(span.start)),
    }
}
