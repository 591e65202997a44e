//! What a Channel offers, as its players read it: from its Playlists and objects.

use flambeau_media::channel::{Channel, Playlist};
use serde::Serialize;
use utoipa::ToSchema;

/// One Rendition of a Channel.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Rendition {
    /// Its name: the first part of its paths.
    pub(super) name: String,
    /// Pictures or sound.
    pub(super) kind: Kind,
    /// Its `codecs` parameter (RFC 6381).
    codec: String,
    /// Pictures: their width in pixels.
    width: Option<u32>,
    /// Pictures: their height in pixels.
    height: Option<u32>,
    /// Pictures: how many a second.
    frame_rate: Option<f64>,
    /// Sound: its language (RFC 5646).
    language: Option<String>,
    /// In bits a second, over its newest Segments.
    bit_rate: Option<u64>,
}

/// Pictures or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

/// One Part of a Rendition.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Part {
    /// The Rendition's name.
    rendition: String,
    /// The number of its Segment.
    sequence: u64,
    /// Its place in the Segment, from 0.
    part: u32,
    /// When it was complete.
    #[schema(format = DateTime)]
    at: String,
    /// Its length in milliseconds.
    duration_ms: f64,
    /// Its size.
    bytes: usize,
    /// A player can start with it.
    independent: bool,
}

/// The Renditions, pictures first; none while there is nothing on air.
pub(super) fn renditions(channel: &Channel) -> Vec<Rendition> {
    let Some(index) = text(channel, "index.m3u8") else { return Vec::new() };
    let mut found: Vec<Rendition> = Vec::new();
    let mut sounds: Vec<(String, String, Option<String>)> = Vec::new();
    let mut lines = index.lines();
    while let Some(line) = lines.next() {
        if let Some(list) = line.strip_prefix("#EXT-X-MEDIA:") {
            let group = attribute(list, "GROUP-ID").unwrap_or_default();
            if let Some(uri) = attribute(list, "URI") {
                let language = attribute(list, "LANGUAGE").map(str::to_owned);
                sounds.push((group.to_owned(), uri.to_owned(), language));
            }
        } else if let Some(list) = line.strip_prefix("#EXT-X-STREAM-INF:") {
            let uri = lines.by_ref().find(|line| !line.starts_with('#')).unwrap_or_default();
            add_variant(channel, list, uri, &sounds, &mut found);
        }
    }
    found.sort_by_key(|rendition| rendition.kind == Kind::Audio);
    found
}

/// A variant's own Rendition, and those of its group of sounds.
fn add_variant(
    channel: &Channel,
    list: &str,
    uri: &str,
    sounds: &[(String, String, Option<String>)],
    into: &mut Vec<Rendition>,
) {
    let codecs = || attribute(list, "CODECS").unwrap_or_default().split(',').map(str::trim);
    let sound_codec = codecs().find(|codec| !is_video(codec)).unwrap_or_default();
    let group = attribute(list, "AUDIO");
    for (_, uri, language) in sounds.iter().filter(|(of, ..)| Some(of.as_str()) == group) {
        let sound =
            Rendition { language: language.clone(), ..rendition(channel, uri, Kind::Audio, sound_codec) };
        add(sound, into);
    }
    let size = attribute(list, "RESOLUTION").and_then(|size| size.split_once('x'));
    let own = match codecs().find(|codec| is_video(codec)) {
        Some(codec) => Rendition {
            width: size.and_then(|(width, _)| width.parse().ok()),
            height: size.and_then(|(_, height)| height.parse().ok()),
            frame_rate: attribute(list, "FRAME-RATE").and_then(|rate| rate.parse().ok()),
            ..rendition(channel, uri, Kind::Video, codec)
        },
        None => rendition(channel, uri, Kind::Audio, sound_codec),
    };
    add(own, into);
}

/// Adds a Rendition that is not there yet: several variants may have the same one.
fn add(rendition: Rendition, into: &mut Vec<Rendition>) {
    if !rendition.name.is_empty() && !into.iter().any(|known| known.name == rendition.name) {
        into.push(rendition);
    }
}

fn rendition(channel: &Channel, uri: &str, kind: Kind, codec: &str) -> Rendition {
    let name = uri.split('/').next().unwrap_or_default().to_owned();
    let (codec, bit_rate) = (codec.to_owned(), bit_rate(channel, &name));
    Rendition { name, kind, codec, width: None, height: None, frame_rate: None, language: None, bit_rate }
}

fn is_video(codec: &str) -> bool {
    ["avc", "hvc", "hev", "av01", "vp0", "dvh", "mp4v"].iter().any(|family| codec.starts_with(family))
}

/// Over the newest Segments that are held.
fn bit_rate(channel: &Channel, name: &str) -> Option<u64> {
    let playlist = tail(channel, name)?;
    let (mut bytes, mut seconds, mut length) = (0, 0.0, None::<f64>);
    for line in playlist.lines() {
        if let Some(duration) = line.strip_prefix("#EXTINF:") {
            length = duration.split(',').next().and_then(|duration| duration.parse().ok());
        } else if !line.starts_with('#')
            && let Some(length) = length.take()
            && let Some(object) = channel.object(&format!("{name}/{line}"))
        {
            bytes += object.len;
            seconds += length;
        }
    }
    (seconds > 0.0).then(|| (bytes as f64 * 8.0 / seconds) as u64)
}

/// The newest Parts of a Rendition, oldest first, at most `limit`.
pub(super) fn parts(channel: &Channel, name: &str, limit: usize) -> Vec<Part> {
    let Some(playlist) = tail(channel, name) else { return Vec::new() };
    let lists = playlist.lines().filter_map(|line| line.strip_prefix("#EXT-X-PART:"));
    let mut parts: Vec<Part> = lists.rev().filter_map(|list| part(channel, name, list)).take(limit).collect();
    parts.reverse();
    parts
}

fn part(channel: &Channel, name: &str, list: &str) -> Option<Part> {
    let uri = attribute(list, "URI")?;
    let object = channel.object(&format!("{name}/{uri}"))?;
    let mut numbers = uri.split('.');
    let duration: f64 = attribute(list, "DURATION")?.parse().ok()?;
    Some(Part {
        rendition: name.to_owned(),
        // An `x` marks a Segment that begins a discontinuity.
        sequence: numbers.next()?.trim_end_matches('x').parse().ok()?,
        part: numbers.next()?.parse().ok()?,
        at: object.created.to_string(),
        duration_ms: (duration * 1e6).round() / 1e3,
        bytes: object.len,
        independent: attribute(list, "INDEPENDENT") == Some("YES"),
    })
}

/// Whether a Rendition's source is silent; None: there is no Playlist of it.
pub(super) fn is_silent(channel: &Channel, name: &str) -> Option<bool> {
    Some(playlist(channel, &format!("{name}/index.m3u8"))?.silent)
}

fn playlist(channel: &Channel, path: &str) -> Option<std::sync::Arc<Playlist>> {
    channel.playlist(path).map(|playlist| playlist.borrow().clone())
}

fn text(channel: &Channel, path: &str) -> Option<String> {
    let playlist = playlist(channel, path)?;
    Some(String::from_utf8_lossy(playlist.body.plain()).into_owned())
}

/// The end of a media Playlist: a window of hours has a long one, and this is looked at each second.
fn tail(channel: &Channel, name: &str) -> Option<String> {
    let playlist = playlist(channel, &format!("{name}/index.m3u8"))?;
    let whole = playlist.body.plain();
    let start = whole.len().saturating_sub(TAIL_BYTES);
    let text = String::from_utf8_lossy(&whole[start..]);
    let text = if start == 0 { text.as_ref() } else { text.split_once('\n').map_or("", |(_, whole)| whole) };
    Some(text.to_owned())
}

/// The value of an attribute of an attribute list (RFC 8216bis 4.2), its quotes taken off.
fn attribute<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let (value, next) = quoted.split_once('"')?;
                (value, next.strip_prefix(',').unwrap_or(next))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim() == name {
            return Some(value);
        }
        rest = next;
    }
}

const TAIL_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use flambeau_media::channel::{Change, Kind as ObjectKind, Object};

    use super::*;

    fn channel() -> std::sync::Arc<Channel> {
        let channel = Channel::new("c".parse().expect("an id"), "f".parse().expect("an id"));
        let index = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio-mp4a\",NAME=\"A, b\",LANGUAGE=\"fr\",URI=\"a257/index.m3u8\"\n\
                     #EXT-X-STREAM-INF:BANDWIDTH=9,CODECS=\"avc1.64001F,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO=\"audio-mp4a\"\n\
                     v256/index.m3u8\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=9,URI=\"v256/iframes.m3u8\"\n";
        let media = "#EXTM3U\n#EXTINF:2.00000,\n7.m4s\n#EXT-X-PART:DURATION=0.20000,URI=\"8x.0.m4s\",INDEPENDENT=YES\n\
                     #EXT-X-PART:DURATION=0.20000,URI=\"8x.1.m4s\"\n#EXT-X-PART:DURATION=0.2,URI=\"gone.m4s\"\n";
        let playlist = |text: &str| Playlist { body: text.to_owned().into(), ..Playlist::default() };
        let object = |kind, bytes: usize| Object::new(kind, "video/mp4", vec![vec![0; bytes].into()]);
        channel.commit(Change {
            objects: vec![
                ("v256/7.m4s".into(), object(ObjectKind::Segment, 250_000)),
                ("v256/8x.0.m4s".into(), object(ObjectKind::Part, 5_000)),
                ("v256/8x.1.m4s".into(), object(ObjectKind::Part, 3_000)),
            ],
            playlists: vec![
                ("index.m3u8".into(), playlist(index)),
                ("v256/index.m3u8".into(), playlist(media)),
            ],
            ..Change::default()
        });
        channel
    }

    #[test]
    fn renditions_are_told_as_players_read_them() {
        let [video, audio] = &renditions(&channel())[..] else { panic!("two") };
        assert_eq!(
            (video.name.as_str(), video.kind, video.codec.as_str()),
            ("v256", Kind::Video, "avc1.64001F")
        );
        assert_eq!((video.width, video.height, video.frame_rate), (Some(1280), Some(720), Some(25.0)));
        assert_eq!((video.bit_rate, audio.bit_rate), (Some(1_000_000), None));
        assert_eq!((audio.name.as_str(), audio.codec.as_str()), ("a257", "mp4a.40.2"));
        assert_eq!(audio.language.as_deref(), Some("fr"));
    }

    #[test]
    fn the_newest_parts_are_told_with_their_size() {
        let parts = parts(&channel(), "v256", 30);
        let told: Vec<_> = parts.iter().map(|p| (p.sequence, p.part, p.bytes, p.independent)).collect();
        assert_eq!(told, [(8, 0, 5_000, true), (8, 1, 3_000, false)]);
        assert_eq!(parts[0].duration_ms, 200.0);
        assert_eq!(super::parts(&channel(), "v256", 1).len(), 1);
        assert_eq!(super::parts(&channel(), "a257", 1), []);
    }
}
