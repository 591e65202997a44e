//! Playlists and Manifest of what is held.

use std::collections::BTreeMap;
use std::time::Duration;

use flambeau_media::channel::Playlist;
use flambeau_media::{TrackId, Utc};
use flambeau_proto::{m3u8, mpd};

use crate::language;
use crate::window::{Rendition, Segment};

/// What the Playlists of a Channel share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// No Segment is longer than this, rounded to the second.
    pub(crate) target_duration: Duration,
    /// How far back a player can seek.
    pub(crate) window: Duration,
    /// Length of a Segment as configured.
    pub(crate) segment: Duration,
    /// Nothing will follow.
    pub(crate) ended: bool,
    /// The source is silent: nobody knows when something follows.
    pub(crate) paused: bool,
}

/// The Playlist of one Rendition.
pub(crate) fn media(rendition: &Rendition, terms: &Terms) -> Playlist {
    let listed = rendition.listed().chain(&rendition.open);
    // The Segment in the making, or the one whose first Part is announced, is the last.
    let count = rendition.listed().len() + 1;
    let mut before: Option<&Segment> = None;
    let mut segments = Vec::with_capacity(count);
    for (index, segment) in listed.enumerate() {
        let is_open = rendition.open.as_ref().is_some_and(|open| std::ptr::eq(open, segment));
        // RFC 8216bis 6.2.2: Parts go when they are three target durations from the end. Whoever plays Parts is
        // a second from it.
        let recent = index + SEGMENTS_WITH_PARTS >= count;
        segments.push(m3u8::Segment {
            uri: segment.file(),
            duration: (!is_open).then(|| segment.duration()),
            discontinuity: before.is_some_and(|b| b.place.discontinuities != segment.place.discontinuities),
            map: &segment.init,
            start: segment.start_utc(),
            parts: if recent { parts(segment) } else { Vec::new() },
        });
        before = Some(segment);
    }
    let first = rendition.listed().next().or(rendition.open.as_ref());
    let next = rendition.next_part().filter(|_| !terms.paused);
    let playlist = m3u8::Media {
        target_duration: terms.target_duration,
        part_target: Some(rendition.part_target),
        sequence: first.map_or(0, |segment| segment.place.number),
        discontinuity_sequence: first.map_or(0, |segment| segment.place.discontinuities),
        segments,
        hint: next.clone(),
        discontinuity_follows: rendition.discontinuity_follows(),
        ended: terms.ended,
        ..m3u8::Media::default()
    };
    Playlist {
        body: playlist.render().into(),
        content_type: m3u8::CONTENT_TYPE,
        newest: rendition.position(),
        delta: None,
        parts_before: rendition.segments.back().map_or(0, |last| last.parts.len() as u32),
        hint: next.filter(|_| !terms.ended).map(|next| format!("{}/{next}", rendition.name)),
        silent: terms.paused,
        target_duration: terms.target_duration,
        created: Utc::now(),
    }
}

/// The newest Segments whose Parts are named, the one in the making among them.
const SEGMENTS_WITH_PARTS: usize = 3;

fn parts(segment: &Segment) -> Vec<m3u8::Part> {
    let timescale = segment.track.timescale();
    let part = |(n, part): (usize, &crate::chunker::Part)| m3u8::Part {
        uri: segment.part_file(n),
        duration: crate::window::length(part.duration, timescale),
        independent: part.independent,
    };
    segment.parts.iter().enumerate().map(part).collect()
}

/// The Playlist that names the Renditions.
pub(crate) fn multivariant(renditions: &[&Rendition], terms: &Terms) -> Playlist {
    let mut playlist = m3u8::Multivariant::default();
    for rendition in renditions {
        let Some(newest) = rendition.segments.back() else { continue };
        let codec = &newest.track.codec;
        let (bandwidth, bandwidth_average) = rendition.bandwidth();
        let (uri, codecs) = (rendition.playlist_path(), codec.rfc6381());
        if let Some(picture) = codec.picture() {
            let picture = *picture;
            playlist.videos.push(m3u8::Video { uri, codecs, picture, bandwidth, bandwidth_average });
        } else if let Some(sound) = codec.sound() {
            let language = newest.track.language;
            let name = unique(language::name(language), &playlist.audios);
            let (language, sound) = (language::tag(language), *sound);
            let audio = m3u8::Audio { uri, codecs, name, language, sound, bandwidth, bandwidth_average };
            playlist.audios.push(audio);
        }
    }
    text(playlist.render(), m3u8::CONTENT_TYPE, terms)
}

/// RFC 8216bis 4.4.6.1.1: names differ within a group.
fn unique(name: String, audios: &[m3u8::Audio]) -> String {
    let taken = |name: &str| audios.iter().any(|audio| audio.name == name);
    if !taken(&name) {
        return name;
    }
    (2..).map(|n| format!("{name} {n}")).find(|name| !taken(name)).unwrap_or(name)
}

/// The Manifest. `tracks`: how many are packaged now.
pub(crate) fn manifest(renditions: &BTreeMap<TrackId, Rendition>, tracks: usize, terms: &Terms) -> Playlist {
    let mut periods: BTreeMap<u64, mpd::Period> = BTreeMap::new();
    for rendition in renditions.values() {
        let mut listed: Vec<&Segment> = rendition.listed().collect();
        while let Some(first) = listed.first() {
            let place = first.place;
            let rest = listed.partition_point(|segment| segment.place.period == place.period);
            let segments: Vec<_> = listed.drain(..rest.max(1)).collect();
            let period = periods.entry(place.period).or_insert_with(|| mpd::Period {
                id: place.period.to_string(),
                start: place.period_start,
                sets: Vec::new(),
            });
            let main = !period.sets.iter().any(|set| is_audio(set) != segments[0].track.is_video());
            period.sets.push(adaptation_set(rendition, &segments, main));
        }
    }
    // A Period that not every Track has reached yet would be taken for one without them.
    if periods.len() > 1 && periods.values().next_back().is_some_and(|newest| newest.sets.len() < tracks) {
        periods.pop_last();
    }
    let manifest = mpd::Manifest {
        published: Utc::now(),
        update_period: (!terms.ended).then_some(terms.segment),
        time_shift: terms.window,
        presentation_delay: terms.target_duration * 3,
        min_buffer: terms.target_duration,
        segment_duration_max: terms.target_duration,
        time_url: Some("../time".into()),
        periods: periods.into_values().collect(),
    };
    text(manifest.render(), mpd::CONTENT_TYPE, terms)
}

fn is_audio(set: &mpd::AdaptationSet) -> bool {
    matches!(set.content, mpd::Content::Audio(_))
}

/// `segments`: at least one.
fn adaptation_set(rendition: &Rendition, segments: &[&Segment], main: bool) -> mpd::AdaptationSet {
    let (name, first) = (&rendition.name, segments[0]);
    let codec = &first.track.codec;
    let content = match (codec.picture(), codec.sound()) {
        (Some(picture), _) => mpd::Content::Video(*picture),
        (None, Some(sound)) => mpd::Content::Audio(*sound),
        (None, None) => unreachable!("a codec is of pictures or of sound"),
    };
    mpd::AdaptationSet {
        id: u32::from(first.track.id.0),
        representation: name.clone(),
        content,
        language: language::tag(first.track.language),
        main,
        codecs: codec.rfc6381(),
        bandwidth: rendition.bandwidth().0,
        timescale: first.track.timescale(),
        init: format!("{name}/{}", first.init),
        media: format!("{name}/t$Time$.m4s"),
        timeline: segments.iter().map(|segment| (segment.start.max(0) as u64, segment.ticks)).collect(),
    }
}

fn text(text: String, content_type: &'static str, terms: &Terms) -> Playlist {
    Playlist {
        body: text.into(),
        content_type,
        newest: None,
        delta: None,
        parts_before: 0,
        hint: None,
        silent: false,
        target_duration: terms.target_duration,
        created: Utc::now(),
    }
}
