//! Playlists and Manifest of what is held.

mod manifest;

use std::time::Duration;

use flambeau_media::Utc;
use flambeau_media::channel::Playlist;
use flambeau_proto::m3u8::{self, Lines};

use crate::cues::Cues;
use crate::language;
use crate::segment::Segment;
use crate::window::Rendition;
pub(crate) use manifest::{Shelves, manifest};

/// What the Playlists of a Channel share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// No Segment is longer than this, rounded to the second.
    pub(crate) target_duration: Duration,
    /// How far back a player can seek.
    pub(crate) window: Duration,
    /// Length of a Segment as configured.
    pub(crate) segment: Duration,
    /// Length of a Part as configured.
    pub(crate) part: Duration,
    /// What the source did not send is told by a gap.
    pub(crate) gaps: bool,
    /// Nothing will follow.
    pub(crate) ended: bool,
    /// The source is silent: nobody knows when something follows.
    pub(crate) paused: bool,
}

/// The Playlist of one Rendition. `others`: all of the Channel's.
pub(crate) fn media<'a>(
    rendition: &Rendition,
    others: impl Iterator<Item = &'a Rendition>,
    cues: &Cues,
    terms: &Terms,
) -> Playlist {
    let listed = rendition.listed().chain(&rendition.open);
    let first = listed.clone().next();
    let next = rendition.next_part().filter(|_| !terms.paused);
    let skip_until = m3u8::Media::skip_boundary(terms.target_duration);
    let playlist = m3u8::Media {
        target_duration: terms.target_duration,
        part_target: Some(rendition.part_target),
        skip_until: Some(skip_until),
        sequence: first.map_or(0, |segment| segment.sequence),
        discontinuity_sequence: first
            .map_or(0, |first| first.place.discontinuities - u64::from(first.discontinuity)),
        date_ranges: cues.date_ranges(),
        hint: next.clone(),
        // Of a silent source gaps may come before.
        discontinuity_follows: rendition.discontinuity_follows() && !(terms.gaps && terms.paused),
        reports: others.filter(|other| other.name != rendition.name).filter_map(report).collect(),
        ended: terms.ended,
        ..m3u8::Media::default()
    };
    // Without the length and the name of the Segment, which tell that it is whole.
    let unfinished = rendition.segments.back().filter(|_| rendition.withholds_end());
    let unfinished =
        unfinished.map(|last| (last.sequence, Lines { tail: String::new(), ..last.lines.clone() }));
    let text = |skipped: usize| {
        let mut rest = listed.clone().skip(skipped).peekable();
        // What is left out may hold the init segment that the rest goes on with.
        let map = rest.peek().filter(|first| !first.tells_init).map(|first| &*first.init);
        playlist.assemble(skipped, map, rest.map(|segment| lines(segment, unfinished.as_ref())))
    };
    let skipped = rendition.before(skip_until);
    Playlist {
        body: text(0).into(),
        delta: (skipped > 0 && !terms.ended).then(|| text(skipped).into()),
        content_type: m3u8::CONTENT_TYPE,
        newest: rendition.position(),
        parts_before: rendition.parts_before(),
        hint: next.filter(|_| !terms.ended).map(|next| format!("{}/{next}", rendition.name)),
        silent: terms.paused,
        target_duration: terms.target_duration,
        created: Utc::now(),
    }
}

/// The lines of a Segment, or those that stand for it if it is the one of that number.
fn lines<'a>(segment: &'a Segment, instead: Option<&'a (u64, Lines)>) -> &'a Lines {
    instead.filter(|(sequence, _)| *sequence == segment.sequence).map_or(&segment.lines, |(_, lines)| lines)
}

/// How far another Rendition's Playlist has got; None: it has none yet.
fn report(other: &Rendition) -> Option<m3u8::Report> {
    let newest = other.newest().filter(|_| other.listed().len() > 0)?;
    Some(m3u8::Report {
        uri: format!("../{}", other.playlist_path()),
        last_sequence: newest.sequence,
        last_part: newest.parts.len().checked_sub(1).map(|last| last as u64),
    })
}

/// The Playlist of a Rendition's key frames.
pub(crate) fn keys(rendition: &Rendition, terms: &Terms) -> Playlist {
    let listed = rendition.listed();
    let first = listed.clone().find(|segment| segment.keys > 0);
    let playlist = m3u8::IFrames {
        target_duration: terms.target_duration,
        sequence: rendition.keys_before,
        discontinuity_sequence: first
            .map_or(0, |first| first.place.discontinuities - u64::from(first.discontinuity)),
        ended: terms.ended,
    };
    let map = first.filter(|first| !first.tells_init).map(|first| &*first.init);
    text(playlist.assemble(map, listed.map(|segment| segment.key_lines.as_str())), m3u8::CONTENT_TYPE, terms)
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
            let iframes = rendition.has_keys().then(|| (rendition.keys_path(), rendition.key_bandwidth()));
            let picture = *picture;
            playlist.videos.push(m3u8::Video { uri, codecs, picture, bandwidth, bandwidth_average, iframes });
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
pub(crate) fn unique(name: String, audios: &[m3u8::Audio]) -> String {
    let taken = |name: &str| audios.iter().any(|audio| audio.name == name);
    if !taken(&name) {
        return name;
    }
    (2..).map(|n| format!("{name} {n}")).find(|name| !taken(name)).unwrap_or(name)
}

fn text(text: String, content_type: &'static str, terms: &Terms) -> Playlist {
    Playlist {
        body: text.into(),
        content_type,
        target_duration: terms.target_duration,
        created: Utc::now(),
        ..Playlist::default()
    }
}
