//! Sample entries: what a decoder is told of each codec.

use flambeau_media::Track;
use flambeau_media::codec::{Codec, Picture, Sound};

use super::boxes::Boxes;

/// `objectTypeIndication` of AAC (ISO/IEC 14496-1, table 5).
const OBJECT_TYPE_AAC: u8 = 0x40;
/// `objectTypeIndication` of ISO/IEC 11172-3 audio (ISO/IEC 14496-1, table 5).
const OBJECT_TYPE_MPEG_AUDIO: u8 = 0x6b;

pub(super) fn sample_entry(b: &mut Boxes, track: &Track) {
    match &track.codec {
        Codec::H264 { avcc, picture } => visual(b, *b"avc1", picture, *b"avcC", avcc),
        Codec::H265 { hvcc, picture } => visual(b, *b"hvc1", picture, *b"hvcC", hvcc),
        Codec::Aac { config, sound } => {
            audio(b, *b"mp4a", sound, |b| elementary_stream(b, OBJECT_TYPE_AAC, config));
        }
        Codec::MpegAudio { sound, .. } => {
            audio(b, *b"mp4a", sound, |b| elementary_stream(b, OBJECT_TYPE_MPEG_AUDIO, &[]));
        }
        Codec::Ac3 { dac3, sound } => audio(b, *b"ac-3", sound, |b| b.nest(*b"dac3", |b| b.bytes(dac3))),
        Codec::Eac3 { dec3, sound } => audio(b, *b"ec-3", sound, |b| b.nest(*b"dec3", |b| b.bytes(dec3))),
        Codec::Opus { dops, sound } => audio(b, *b"Opus", sound, |b| b.nest(*b"dOps", |b| b.bytes(dops))),
    }
}

/// ISO/IEC 14496-12, 12.1.3 `VisualSampleEntry`.
fn visual(b: &mut Boxes, kind: [u8; 4], picture: &Picture, config_kind: [u8; 4], config: &[u8]) {
    b.nest(kind, |b| {
        b.zeros(6);
        b.u16(1); // data_reference_index
        b.zeros(16);
        b.u16(picture.width);
        b.u16(picture.height);
        b.u32(0x0048_0000); // 72 dpi
        b.u32(0x0048_0000);
        b.u32(0);
        b.u16(1); // frame_count
        b.zeros(32); // compressorname
        b.u16(0x0018);
        b.u16(0xffff);
        b.nest(config_kind, |b| b.bytes(config));
        b.nest(*b"pasp", |b| {
            b.u32(u32::from(picture.sample_aspect.0));
            b.u32(u32::from(picture.sample_aspect.1));
        });
    });
}

/// ISO/IEC 14496-12, 12.2.3 `AudioSampleEntry`.
fn audio(b: &mut Boxes, kind: [u8; 4], sound: &Sound, config: impl FnOnce(&mut Boxes)) {
    b.nest(kind, |b| {
        b.zeros(6);
        b.u16(1); // data_reference_index
        b.zeros(8);
        b.u16(sound.channels);
        b.u16(16); // samplesize
        b.zeros(4);
        // 16.16; a rate that does not fit is left to the configuration.
        b.u32(u16::try_from(sound.sample_rate).map_or(0, |rate| u32::from(rate) << 16));
        config(b);
    });
}

/// `esds` (ISO/IEC 14496-14, 6.7.2) with the descriptors of ISO/IEC 14496-1, 7.2.6.
fn elementary_stream(b: &mut Boxes, object_type: u8, config: &[u8]) {
    const ES_DESCRIPTOR: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    const DECODER_SPECIFIC: u8 = 5;
    const SYNC_LAYER: u8 = 6;
    // An AudioSpecificConfig is a few bytes; a descriptor of one length byte holds 127.
    let config = &config[..config.len().min(64)];
    let specific_len = if config.is_empty() { 0 } else { 2 + config.len() };
    b.full(*b"esds", 0, 0, |b| {
        b.bytes(&[ES_DESCRIPTOR, (3 + 2 + 13 + specific_len + 3) as u8]);
        b.u16(0); // ES_ID: ISO/IEC 14496-14 3.1.2 leaves it 0 in a file
        b.u8(0);
        b.bytes(&[DECODER_CONFIG, (13 + specific_len) as u8, object_type]);
        b.u8(5 << 2 | 1); // streamType audio, reserved bit
        b.zeros(3 + 4 + 4); // bufferSizeDB, maxBitrate, avgBitrate: not known
        if !config.is_empty() {
            b.bytes(&[DECODER_SPECIFIC, config.len() as u8]);
            b.bytes(config);
        }
        b.bytes(&[SYNC_LAYER, 1, 2]);
    });
}
