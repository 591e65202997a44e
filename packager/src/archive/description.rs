//! What a Playlist of the past must know of a Track, kept beside its init segment.

use std::io;
use std::path::Path;

use flambeau_media::Track;
use flambeau_media::codec::{Picture, Sound};
use flambeau_media::track::Language;
use serde::{Deserialize, Serialize};

use super::disk::read_small;

/// No description comes near.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// A Track as a viewer is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// Number of the Track.
    pub(crate) track: u16,
    /// Its `codecs` parameter (RFC 6381).
    pub(crate) codecs: String,
    /// ISO 639-2, three letters.
    language: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    video: Option<Video>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audio: Option<Audio>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Video {
    width: u16,
    height: u16,
    sample_aspect: (u16, u16),
    frame_rate: Option<(u32, u32)>,
    interlaced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Audio {
    sample_rate: u32,
    channels: u16,
}

impl Description {
    /// That of a Track.
    pub(crate) fn of(track: &Track) -> Self {
        let video = track.codec.picture().map(|picture| Video {
            width: picture.width,
            height: picture.height,
            sample_aspect: picture.sample_aspect,
            frame_rate: picture.frame_rate,
            interlaced: picture.interlaced,
        });
        let audio = track.codec.sound();
        let audio = audio.map(|sound| Audio { sample_rate: sound.sample_rate, channels: sound.channels });
        let (codecs, language) = (track.codec.rfc6381(), track.language.to_string());
        Self { track: track.id.0, codecs, language, video, audio }
    }

    /// That in a file; None where there is none that can be used.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let read = read_small(path, FILE_BYTES_MAX)
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).map_err(io::Error::other));
        match read {
            Ok(description) => Some(description).filter(|d| d.video.is_some() != d.audio.is_some()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a file of the archive cannot be used");
                None
            }
        }
    }

    /// As it stands in a file.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).unwrap_or_default();
        json.push(b'\n');
        json
    }

    /// Its picture, where it is one.
    pub(crate) fn picture(&self) -> Option<Picture> {
        self.video.map(|video| Picture {
            width: video.width,
            height: video.height,
            sample_aspect: video.sample_aspect,
            frame_rate: video.frame_rate,
            interlaced: video.interlaced,
        })
    }

    /// Its sound, where it is one.
    pub(crate) fn sound(&self) -> Option<Sound> {
        self.audio.map(|audio| Sound { sample_rate: audio.sample_rate, channels: audio.channels })
    }

    /// Its language.
    pub(crate) fn language(&self) -> Language {
        self.language.parse().unwrap_or(Language::UNDETERMINED)
    }

    /// The media type of its Segments.
    pub(crate) fn content_type(&self) -> &'static str {
        if self.video.is_some() { "video/mp4" } else { "audio/mp4" }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use flambeau_media::TrackId;
    use flambeau_media::codec::Codec;

    use super::*;

    #[test]
    fn a_description_reads_back_as_written() {
        let picture = Picture {
            width: 1920,
            height: 1080,
            sample_aspect: (1, 1),
            frame_rate: Some((30_000, 1001)),
            interlaced: true,
        };
        let track = Track {
            id: TrackId(256),
            codec: Codec::H264 { avcc: Bytes::from_static(&[1, 0x64, 0, 0x28, 0xff]), picture },
            language: Language::UNDETERMINED,
        };
        let description = Description::of(&track);
        let read: Description = serde_json::from_slice(&description.to_json()).expect("it is JSON");
        assert_eq!(read, description);
        assert_eq!((read.picture(), read.sound()), (Some(picture), None));
        assert_eq!((read.codecs.as_str(), read.content_type()), ("avc1.640028", "video/mp4"));
    }
}
