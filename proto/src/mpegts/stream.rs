//! What an elementary stream is, by its type and descriptors (ISO/IEC 13818-1 table 2-34, ETSI EN 300 468,
//! SCTE 35, ATSC A/53).

use flambeau_media::track::Language;

use crate::codec::nal::Nals;
use crate::codec::{self, aac, ac3, h264, h265, mpeg_audio, opus};

/// What is done with an elementary stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// AAC in ADTS.
    AacAdts,
    /// AAC in LATM.
    AacLatm,
    /// AC-3 or E-AC-3: its frames tell which.
    Ac3,
    /// MPEG audio, layers I to III.
    MpegAudio,
    /// Opus of this `channel_config_code`.
    Opus(u8),
    /// SCTE-35 splice information sections.
    Scte35,
    /// Picture that the media lane does not package.
    OtherVideo,
    /// Sound that the media lane does not package.
    OtherAudio,
    /// Anything else.
    Other,
}

impl Kind {
    /// Pictures.
    pub fn is_video(self) -> bool {
        matches!(self, Self::H264 | Self::H265 | Self::OtherVideo)
    }

    /// Pictures or sound.
    pub fn is_audio_or_video(self) -> bool {
        !matches!(self, Self::Scte35 | Self::Other)
    }

    /// The media lane packages it.
    pub fn is_packaged(self) -> bool {
        self.framer().is_some()
    }

    /// What makes Samples of it.
    pub fn framer(self) -> Option<Box<dyn codec::Framer>> {
        Some(match self {
            Self::H264 => Box::new(h264::Framer::default()),
            Self::H265 => Box::new(h265::Framer::default()),
            Self::AacAdts => Box::new(aac::adts::Framer::new(aac::adts::Adts::default())),
            Self::AacLatm => Box::new(aac::latm::Framer::new(aac::latm::Latm::default())),
            Self::Ac3 => Box::new(ac3::Framer::new(ac3::Ac3::default())),
            Self::MpegAudio => Box::new(mpeg_audio::Framer::new(mpeg_audio::MpegAudio::default())),
            Self::Opus(config) => Box::new(opus::Framer::new(opus::Opus::new(config))),
            Self::Scte35 | Self::OtherVideo | Self::OtherAudio | Self::Other => return None,
        })
    }
}

/// What the first bytes of an access unit tell of decoding from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// Nothing.
    No,
    /// Parameter sets come with it: most encoders send them at random access points alone, some everywhere.
    Likely,
    /// It is a random access point.
    Certain,
}

impl Kind {
    /// Looks at the elementary stream's bytes that a unit begins with, as far as they are at hand.
    pub fn entry(self, start: &[u8]) -> Entry {
        let of = |nal: &[u8]| match self {
            Self::H264 => h264::entry(nal),
            Self::H265 => h265::entry(nal),
            // MPEG-1 and MPEG-2 video, whose start codes are the same: sequence_header_code.
            Self::OtherVideo if nal.first() == Some(&0xb3) => Entry::Certain,
            _ => Entry::No,
        };
        Nals::new(start).map(|range| of(&start[range])).max().unwrap_or(Entry::No)
    }
}

/// The descriptors of a loop, as tag and content. One that runs over the end ends the loop.
#[derive(Debug, Clone)]
pub struct Descriptors<'a>(pub &'a [u8]);

impl<'a> Iterator for Descriptors<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let &[tag, len] = self.0.first_chunk()?;
        let content = self.0.get(2..2 + usize::from(len))?;
        self.0 = &self.0[2 + usize::from(len)..];
        Some((tag, content))
    }
}

/// The descriptors of an elementary stream that matter here.
#[derive(Debug, Clone, Copy, Default)]
struct Hints<'a> {
    registration: Option<&'a [u8]>,
    language: Option<Language>,
    tags: Tags,
    opus_config: Option<u8>,
}

/// DVB descriptor tags that name a private stream's content (ETSI EN 300 468, table 12).
#[derive(Debug, Clone, Copy, Default)]
struct Tags {
    ac3: bool,
    eac3: bool,
    aac: bool,
    dts: bool,
    ac4: bool,
    teletext: bool,
    subtitles: bool,
    vbi: bool,
}

impl<'a> Hints<'a> {
    fn read(descriptors: &'a [u8]) -> Self {
        let mut hints = Self::default();
        for (tag, content) in Descriptors(descriptors) {
            match tag {
                0x05 => hints.registration = hints.registration.or(content.get(..4)),
                // ISO_639_language_descriptor; teletext, VBI teletext and subtitling begin with their language too.
                0x0a | 0x46 | 0x56 | 0x59 => {
                    let letters = content.first_chunk::<3>().copied();
                    hints.language = hints.language.or(letters.and_then(Language::from_letters));
                    match tag {
                        0x46 | 0x56 => hints.tags.teletext = true,
                        0x59 => hints.tags.subtitles = true,
                        _ => {}
                    }
                }
                0x45 => hints.tags.vbi = true,
                0x6a => hints.tags.ac3 = true,
                0x7a => hints.tags.eac3 = true,
                0x7b => hints.tags.dts = true,
                0x7c => hints.tags.aac = true,
                // Extension descriptors: the first byte is their own tag; 0x80 is Opus, user defined.
                0x7f => match content {
                    [0x80, config, ..] => hints.opus_config = Some(*config),
                    [0x15, ..] => hints.tags.ac4 = true,
                    _ => {}
                },
                _ => {}
            }
        }
        hints
    }
}

/// What a PMT's entry is: its kind, how an operator knows it, and its language.
pub fn identify(
    stream_type: u8,
    descriptors: &[u8],
    splice_program: bool,
) -> (Kind, String, Option<Language>) {
    let hints = Hints::read(descriptors);
    let (kind, label) = by_type(stream_type, &hints, splice_program);
    let label = match (kind, label) {
        (_, Some(label)) => label.to_owned(),
        (_, None) => match hints.registration {
            Some(id) if id.iter().all(u8::is_ascii_graphic) => {
                format!("unknown {stream_type:#04x} {}", String::from_utf8_lossy(id))
            }
            _ => format!("unknown {stream_type:#04x}"),
        },
    };
    (kind, label, hints.language)
}

fn by_type(stream_type: u8, hints: &Hints<'_>, splice_program: bool) -> (Kind, Option<&'static str>) {
    let (kind, label) = match stream_type {
        0x01 => (Kind::OtherVideo, "MPEG-1 video"),
        0x02 => (Kind::OtherVideo, "MPEG-2 video"),
        0x03 | 0x04 => (Kind::MpegAudio, "MPEG audio"),
        0x05 => (Kind::Other, "private sections"),
        0x06 => return private(hints),
        0x0b => (Kind::Other, "DSM-CC"),
        0x0f => (Kind::AacAdts, "AAC"),
        0x10 => (Kind::OtherVideo, "MPEG-4 video"),
        0x11 => (Kind::AacLatm, "AAC (LATM)"),
        0x15 => (Kind::Other, "timed metadata"),
        0x1b => (Kind::H264, "H.264"),
        0x21 => (Kind::OtherVideo, "JPEG 2000"),
        0x24 => (Kind::H265, "HEVC"),
        0x2d | 0x2e => (Kind::OtherAudio, "MPEG-H audio"),
        0x32 => (Kind::OtherVideo, "JPEG XS"),
        0x33 => (Kind::OtherVideo, "VVC"),
        0x42 | 0xd2 | 0xd4 => (Kind::OtherVideo, "AVS"),
        0x81 => (Kind::Ac3, "AC-3"),
        0x87 => (Kind::Ac3, "E-AC-3"),
        // SCTE 35 8.1: 0x86 is SCTE-35 where the program says so by its registration; else it is DTS-HD.
        0x86 if splice_program || hints.registration == Some(b"CUEI") => (Kind::Scte35, "SCTE-35"),
        0x86 if !hints.tags.dts => (Kind::Scte35, "SCTE-35"),
        0x82 | 0x85 | 0x86 | 0x8a => (Kind::OtherAudio, "DTS"),
        0xea => (Kind::OtherVideo, "VC-1"),
        _ => return (Kind::Other, None),
    };
    (kind, Some(label))
}

/// Stream type 0x06, PES private data: the descriptors tell.
fn private(hints: &Hints<'_>) -> (Kind, Option<&'static str>) {
    let tags = hints.tags;
    let (kind, label) = match hints.registration {
        Some(b"AC-3") => (Kind::Ac3, "AC-3"),
        Some(b"EAC3") => (Kind::Ac3, "E-AC-3"),
        Some(b"Opus") => (Kind::Opus(hints.opus_config.unwrap_or(2)), "Opus"),
        Some(b"HEVC") => (Kind::H265, "HEVC"),
        Some(b"BSSD") => (Kind::OtherAudio, "SMPTE 302M"),
        Some(b"DTS1" | b"DTS2" | b"DTS3") => (Kind::OtherAudio, "DTS"),
        Some(b"AV01") => (Kind::OtherVideo, "AV1"),
        Some(b"VANC") => (Kind::Other, "SMPTE 2038"),
        Some(b"KLVA") => (Kind::Other, "KLV metadata"),
        Some(b"ID3 ") => (Kind::Other, "ID3 metadata"),
        _ if tags.eac3 => (Kind::Ac3, "E-AC-3"),
        _ if tags.ac3 => (Kind::Ac3, "AC-3"),
        _ if tags.aac => (Kind::AacLatm, "AAC (LATM)"),
        _ if tags.ac4 => (Kind::OtherAudio, "AC-4"),
        _ if tags.dts => (Kind::OtherAudio, "DTS"),
        _ if tags.teletext => (Kind::Other, "teletext"),
        _ if tags.subtitles => (Kind::Other, "DVB subtitles"),
        _ if tags.vbi => (Kind::Other, "VBI data"),
        _ => return (Kind::Other, None),
    };
    (kind, Some(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stream_type: u8, descriptors: &[u8]) -> (Kind, String, Option<String>) {
        let (kind, label, language) = identify(stream_type, descriptors, false);
        (kind, label, language.map(|language| language.to_string()))
    }

    #[test]
    fn streams_are_known_by_type_and_descriptor() {
        assert_eq!(of(0x1b, &[]), (Kind::H264, "H.264".into(), None));
        let french_ac3 = [0x0a, 4, b'f', b'r', b'a', 0, 0x6a, 1, 0];
        assert_eq!(of(0x06, &french_ac3), (Kind::Ac3, "AC-3".into(), Some("fra".into())));
        let teletext = [0x56, 5, b'g', b'e', b'r', 9, 0];
        assert_eq!(of(0x06, &teletext), (Kind::Other, "teletext".into(), Some("ger".into())));
        let opus = [5, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 6];
        assert_eq!(of(0x06, &opus), (Kind::Opus(6), "Opus".into(), None));
        assert_eq!(of(0x86, &[5, 4, b'C', b'U', b'E', b'I']), (Kind::Scte35, "SCTE-35".into(), None));
        assert_eq!(of(0x99, &[]), (Kind::Other, "unknown 0x99".into(), None));
        assert_eq!(of(0x06, &[5, 4, b'a', b'b', b'c', b'd']).1, "unknown 0x06 abcd");
    }

    #[test]
    fn a_descriptor_over_the_end_ends_the_loop() {
        assert_eq!(of(0x06, &[0x6a, 1, 0, 0x0a, 9, b'f']), (Kind::Ac3, "AC-3".into(), None));
    }
}
