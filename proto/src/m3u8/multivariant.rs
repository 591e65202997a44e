//! The Playlist that names the Renditions.

use std::fmt;

use flambeau_media::codec::{Picture, Sound};

use super::quoted;

/// A multivariant Playlist (RFC 8216bis 4.4.6): each Video with each group of Audio.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Multivariant {
    /// The pictures, best first.
    pub videos: Vec<Video>,
    /// The sounds. Those of one codec are a group; the first of a group is its default.
    pub audios: Vec<Audio>,
}

/// One video Rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Video {
    /// Where its Playlist is.
    pub uri: String,
    /// Its `codecs` parameter (RFC 6381).
    pub codecs: String,
    /// Its geometry and rate.
    pub picture: Picture,
    /// Bits a second of its largest Segment.
    pub bandwidth: u64,
    /// Bits a second of all its Segments.
    pub bandwidth_average: u64,
    /// The Playlist of its key frames, and bits a second of those.
    pub iframes: Option<(String, u64)>,
}

/// One audio Rendition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audio {
    /// Where its Playlist is.
    pub uri: String,
    /// Its `codecs` parameter (RFC 6381).
    pub codecs: String,
    /// What a viewer chooses by. Unique within its group.
    pub name: String,
    /// Its language (RFC 5646), where the stream tells.
    pub language: Option<String>,
    /// Its rate and layout.
    pub sound: Sound,
    /// Bits a second of its largest Segment.
    pub bandwidth: u64,
    /// Bits a second of all its Segments.
    pub bandwidth_average: u64,
}

/// The Audio of one codec.
struct Group<'a> {
    id: String,
    members: Vec<&'a Audio>,
}

impl Multivariant {
    /// The text of the Playlist.
    pub fn render(&self) -> String {
        self.to_string()
    }

    /// RFC 8216bis 4.4.6.2.1: the members of a group share their codec, so that a client can tell from a
    /// variant's CODECS whether it can play any of them. What every client decodes comes first: the first
    /// variant is where a client starts.
    fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for audio in &self.audios {
            let id = format!("audio-{}", family(&audio.codecs));
            match groups.iter_mut().find(|group| group.id == id) {
                Some(group) => group.members.push(audio),
                None => groups.push(Group { id, members: vec![audio] }),
            }
        }
        groups.sort_by_key(|group| !group.is_everywhere());
        groups
    }
}

impl Group<'_> {
    /// Every client decodes it, browsers included.
    fn is_everywhere(&self) -> bool {
        self.members.first().is_some_and(|audio| is_everywhere(&audio.codecs))
    }

    /// Each codecs parameter among the members, once.
    fn codecs(&self) -> Vec<&str> {
        let mut codecs: Vec<&str> = Vec::new();
        for audio in &self.members {
            if !codecs.contains(&audio.codecs.as_str()) {
                codecs.push(&audio.codecs);
            }
        }
        codecs
    }

    fn bandwidth(&self) -> u64 {
        self.members.iter().map(|audio| audio.bandwidth).max().unwrap_or(0)
    }

    fn bandwidth_average(&self) -> u64 {
        self.members.iter().map(|audio| audio.bandwidth_average).max().unwrap_or(0)
    }
}

impl fmt::Display for Multivariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n")?;
        if self.videos.is_empty() {
            // An audio-only service: each Audio is a variant of its own.
            return self.audios.iter().try_for_each(|audio| audio.variant(f));
        }
        let groups = self.groups();
        for group in &groups {
            for (n, audio) in group.members.iter().enumerate() {
                audio.rendition(f, &group.id, n == 0)?;
            }
        }
        for video in &self.videos {
            for group in &groups {
                video.variant(f, Some(group))?;
            }
        }
        // A browser that decodes none of the sounds still gets the pictures.
        if !groups.iter().any(Group::is_everywhere) {
            self.videos.iter().try_for_each(|video| video.variant(f, None))?;
        }
        self.videos.iter().try_for_each(|video| video.iframes(f))
    }
}

impl Video {
    /// EXT-X-STREAM-INF (RFC 8216bis 4.4.6.2).
    fn variant(&self, f: &mut fmt::Formatter<'_>, group: Option<&Group<'_>>) -> fmt::Result {
        let bandwidth = self.bandwidth + group.map_or(0, Group::bandwidth);
        let average = self.bandwidth_average + group.map_or(0, Group::bandwidth_average);
        let mut codecs = vec![self.codecs.as_str()];
        codecs.extend(group.map(Group::codecs).unwrap_or_default());
        write!(
            f,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\",RESOLUTION={}x{}",
            bandwidth.max(1),
            average.max(1),
            codecs.join(","),
            display_width(&self.picture),
            self.picture.height
        )?;
        if let Some((num, den)) = self.picture.frame_rate.filter(|(num, den)| *num > 0 && *den > 0) {
            write!(f, ",FRAME-RATE={:.3}", f64::from(num) / f64::from(den))?;
        }
        if let Some(group) = group {
            write!(f, ",AUDIO=\"{}\"", group.id)?;
        }
        writeln!(f, "\n{}", self.uri)
    }

    /// EXT-X-I-FRAME-STREAM-INF (RFC 8216bis 4.4.6.3).
    fn iframes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((uri, bandwidth)) = &self.iframes else { return Ok(()) };
        writeln!(
            f,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},CODECS=\"{}\",RESOLUTION={}x{},URI=\"{uri}\"",
            (*bandwidth).max(1),
            self.codecs,
            display_width(&self.picture),
            self.picture.height
        )
    }
}

impl Audio {
    /// EXT-X-MEDIA (RFC 8216bis 4.4.6.1).
    fn rendition(&self, f: &mut fmt::Formatter<'_>, group: &str, default: bool) -> fmt::Result {
        write!(f, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{group}\",NAME=\"{}\"", quoted(&self.name))?;
        if let Some(language) = &self.language {
            write!(f, ",LANGUAGE=\"{}\"", quoted(language))?;
        }
        writeln!(
            f,
            ",DEFAULT={},AUTOSELECT=YES,CHANNELS=\"{}\",URI=\"{}\"",
            if default { "YES" } else { "NO" },
            self.sound.channels,
            self.uri
        )
    }

    fn variant(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"\n{}",
            self.bandwidth.max(1),
            self.bandwidth_average.max(1),
            self.codecs,
            self.uri
        )
    }
}

/// The codec of a `codecs` parameter: AAC for each of its profiles.
fn family(codecs: &str) -> &str {
    match codecs {
        "mp4a.6B" => "mpeg",
        "ac-3" => "ac3",
        "ec-3" => "eac3",
        other if other.starts_with("mp4a.40") => "aac",
        other => other,
    }
}

fn is_everywhere(codecs: &str) -> bool {
    matches!(family(codecs), "aac" | "opus")
}

/// RFC 8216bis 4.4.6.2: RESOLUTION is the optimal size to display at, so square samples.
fn display_width(picture: &Picture) -> u32 {
    let (num, den) = picture.sample_aspect;
    (u32::from(picture.width) * u32::from(num.max(1)) + u32::from(den.max(1)) / 2) / u32::from(den.max(1))
}
