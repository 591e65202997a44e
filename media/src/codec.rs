//! What a Track is coded with, and what a player must know of it before the first Sample.

use bytes::Bytes;

/// A codec and its configuration as ISO BMFF carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codec {
    /// H.264; the `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1). Samples are length-prefixed (4 bytes).
    H264 {
        /// The record.
        avcc: Bytes,
        /// The picture.
        picture: Picture,
    },
    /// H.265; the `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 8.3.3.1). Samples are length-prefixed (4 bytes).
    H265 {
        /// The record.
        hvcc: Bytes,
        /// The picture.
        picture: Picture,
    },
    /// AAC; the `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1). Samples are raw access units.
    Aac {
        /// The configuration.
        config: Bytes,
        /// The sound.
        sound: Sound,
    },
    /// AC-3; the body of `dac3` (ETSI TS 102 366, F.4).
    Ac3 {
        /// The configuration.
        dac3: Bytes,
        /// The sound.
        sound: Sound,
    },
    /// E-AC-3; the body of `dec3` (ETSI TS 102 366, F.6).
    Eac3 {
        /// The configuration.
        dec3: Bytes,
        /// The sound.
        sound: Sound,
    },
    /// MPEG-1 or MPEG-2 audio, layer II (or I, III: `layer`).
    MpegAudio {
        /// 1, 2 or 3.
        layer: u8,
        /// The sound.
        sound: Sound,
    },
    /// Opus; the body of `dOps` (Encapsulation of Opus in ISO BMFF, 4.3.2).
    Opus {
        /// The configuration.
        dops: Bytes,
        /// The sound.
        sound: Sound,
    },
}

/// The geometry and rate of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Width in luma samples, cropping applied.
    pub width: u16,
    /// Height of a frame in luma samples, cropping applied.
    pub height: u16,
    /// Sample aspect ratio, horizontal to vertical; (1, 1) where the stream is silent.
    pub sample_aspect: (u16, u16),
    /// Frames (not fields) a second as numerator and denominator, where the stream tells.
    pub frame_rate: Option<(u32, u32)>,
    /// Fields rather than frames may be coded.
    pub interlaced: bool,
}

/// The rate and layout of a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second.
    pub sample_rate: u32,
    /// Loudspeaker channels, the low-frequency one included.
    pub channels: u16,
}

impl Codec {
    /// The `codecs` parameter of RFC 6381 for this configuration: `avc1.640028`, `mp4a.40.2`.
    pub fn rfc6381(&self) -> String {
        match self {
            // ISO/IEC 14496-15 E.2: profile_idc, constraint flags, level_idc, in hex.
            Self::H264 { avcc, .. } => match avcc.get(1..4) {
                Some(p) => format!("avc1.{:02x}{:02x}{:02x}", p[0], p[1], p[2]),
                None => "avc1".into(),
            },
            Self::H265 { hvcc, .. } => hevc_rfc6381(hvcc),
            Self::Aac { config, .. } => format!("mp4a.40.{}", aac_object_type(config)),
            Self::Ac3 { .. } => "ac-3".into(),
            Self::Eac3 { .. } => "ec-3".into(),
            // RFC 6381 3.3 with the object type of ISO/IEC 11172-3 (mp4ra.org): 0x6B.
            Self::MpegAudio { .. } => "mp4a.6B".into(),
            Self::Opus { .. } => "opus".into(),
        }
    }

    /// The codec's name as an operator knows it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::H264 { .. } => "H.264",
            Self::H265 { .. } => "HEVC",
            Self::Aac { .. } => "AAC",
            Self::Ac3 { .. } => "AC-3",
            Self::Eac3 { .. } => "E-AC-3",
            Self::MpegAudio { layer: 1, .. } => "MP1",
            Self::MpegAudio { layer: 3, .. } => "MP3",
            Self::MpegAudio { .. } => "MP2",
            Self::Opus { .. } => "Opus",
        }
    }

    /// The picture of a video codec.
    pub fn picture(&self) -> Option<&Picture> {
        match self {
            Self::H264 { picture, .. } | Self::H265 { picture, .. } => Some(picture),
            _ => None,
        }
    }

    /// The sound of an audio codec.
    pub fn sound(&self) -> Option<&Sound> {
        match self {
            Self::H264 { .. } | Self::H265 { .. } => None,
            Self::Aac { sound, .. }
            | Self::Ac3 { sound, .. }
            | Self::Eac3 { sound, .. }
            | Self::MpegAudio { sound, .. }
            | Self::Opus { sound, .. } => Some(sound),
        }
    }
}

// ISO/IEC 14496-3 1.6.2.1: five bits, 31 escapes to six more.
fn aac_object_type(config: &[u8]) -> u8 {
    match config {
        [a, b, ..] if a >> 3 == 31 => 32 + ((a & 7) << 3 | b >> 5),
        [a, ..] => a >> 3,
        [] => 2,
    }
}

// ISO/IEC 14496-15 E.3: hvc1.<profile space+idc>.<compatibility, bits reversed>.<tier+level>.<constraint bytes>.
fn hevc_rfc6381(hvcc: &[u8]) -> String {
    let Some(record) = hvcc.get(..13) else { return "hvc1".into() };
    let space = ["", "A", "B", "C"][usize::from(record[1] >> 6)];
    let tier = if record[1] & 0x20 == 0 { 'L' } else { 'H' };
    let compatibility = u32::from_be_bytes([record[2], record[3], record[4], record[5]]).reverse_bits();
    let mut text = format!("hvc1.{space}{}.{compatibility:x}.{tier}{}", record[1] & 0x1f, record[12]);
    let constraints = &record[6..12];
    let used = constraints.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        text.push_str(&format!(".{byte:x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Picture =
        Picture { width: 1920, height: 1080, sample_aspect: (1, 1), frame_rate: None, interlaced: false };

    #[test]
    fn codecs_strings_are_those_of_rfc_6381() {
        let avcc = Bytes::from_static(&[1, 0x64, 0x00, 0x28, 0xff]);
        assert_eq!(Codec::H264 { avcc, picture: PICTURE }.rfc6381(), "avc1.640028");
        let hvcc = Bytes::from_static(&[1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93]);
        assert_eq!(Codec::H265 { hvcc, picture: PICTURE }.rfc6381(), "hvc1.1.6.L93.90");
        let sound = Sound { sample_rate: 48_000, channels: 2 };
        assert_eq!(Codec::Aac { config: Bytes::from_static(&[0x11, 0x90]), sound }.rfc6381(), "mp4a.40.2");
    }
}
