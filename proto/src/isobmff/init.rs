//! The init segment: `ftyp` and `moov` of one Track (ISO/IEC 23000-19, 7.3.1 "CMAF header").

use bytes::Bytes;
use flambeau_media::Track;
use flambeau_media::track::Language;

use super::TRACK_ID;
use super::boxes::Boxes;
use super::entry;

/// The CMAF header of `track`. The same Track gives the same bytes.
pub fn init_segment(track: &Track) -> Bytes {
    let mut b = Boxes::with_capacity(1024);
    b.nest(*b"ftyp", |b| {
        b.bytes(b"iso6");
        b.u32(0);
        // ISO/IEC 23000-19 7.2: `cmfc`, the structural brand of a CMAF Track.
        for brand in [b"iso6", b"cmfc", b"dash"] {
            b.bytes(brand);
        }
    });
    b.nest(*b"moov", |b| {
        movie_header(b, track.timescale());
        b.nest(*b"trak", |b| {
            track_header(b, track);
            b.nest(*b"mdia", |b| media(b, track));
        });
        b.nest(*b"mvex", |b| {
            b.full(*b"trex", 0, 0, |b| {
                b.u32(TRACK_ID);
                b.u32(1); // default_sample_description_index
                b.zeros(12); // duration, size, flags: each fragment gives its own
            });
        });
    });
    b.0.freeze()
}

fn movie_header(b: &mut Boxes, timescale: u32) {
    b.full(*b"mvhd", 0, 0, |b| {
        b.zeros(8); // creation and modification time: the same stream gives the same bytes
        b.u32(timescale);
        b.u32(0); // ISO/IEC 23000-19 7.5.1: duration is in the fragments
        b.u32(0x0001_0000); // rate 1.0
        b.u16(0x0100); // volume 1.0
        b.zeros(10);
        unity_matrix(b);
        b.zeros(24);
        b.u32(TRACK_ID + 1); // next_track_ID
    });
}

fn track_header(b: &mut Boxes, track: &Track) {
    // Enabled, in the movie, in the preview.
    b.full(*b"tkhd", 0, 7, |b| {
        b.zeros(8);
        b.u32(TRACK_ID);
        b.zeros(4 + 4 + 8 + 2); // reserved, duration, reserved, layer
        b.u16(u16::from(!track.is_video())); // alternate_group: languages of one sound
        b.u16(if track.is_video() { 0 } else { 0x0100 });
        b.zeros(2);
        unity_matrix(b);
        let (width, height) = track.codec.picture().map_or((0, 0), |picture| {
            // The size of presentation, 16.16: the width that square samples would have.
            let (num, den) = picture.sample_aspect;
            let wide = (u64::from(picture.width) * u64::from(num)) << 16;
            ((wide / u64::from(den.max(1))) as u32, u32::from(picture.height) << 16)
        });
        b.u32(width);
        b.u32(height);
    });
}

fn unity_matrix(b: &mut Boxes) {
    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        b.u32(value);
    }
}

fn media(b: &mut Boxes, track: &Track) {
    b.full(*b"mdhd", 0, 0, |b| {
        b.zeros(8);
        b.u32(track.timescale());
        b.u32(0);
        b.u16(packed_language(track.language));
        b.u16(0);
    });
    b.full(*b"hdlr", 0, 0, |b| {
        b.u32(0);
        b.bytes(if track.is_video() { b"vide" } else { b"soun" });
        b.zeros(12);
        b.bytes(if track.is_video() { b"video\0" } else { b"sound\0" });
    });
    b.nest(*b"minf", |b| {
        if track.is_video() {
            b.full(*b"vmhd", 0, 1, |b| b.zeros(8));
        } else {
            b.full(*b"smhd", 0, 0, |b| b.zeros(4));
        }
        b.nest(*b"dinf", |b| {
            b.full(*b"dref", 0, 0, |b| {
                b.u32(1);
                b.full(*b"url ", 0, 1, |_| {}); // 1: the media is in this very file
            });
        });
        b.nest(*b"stbl", |b| sample_table(b, track));
    });
}

/// ISO/IEC 23000-19 7.5.9 to 7.5.12: the tables are there and empty, the samples being in fragments.
fn sample_table(b: &mut Boxes, track: &Track) {
    b.full(*b"stsd", 0, 0, |b| {
        b.u32(1);
        entry::sample_entry(b, track);
    });
    b.full(*b"stts", 0, 0, |b| b.u32(0));
    b.full(*b"stsc", 0, 0, |b| b.u32(0));
    b.full(*b"stsz", 0, 0, |b| b.zeros(8));
    b.full(*b"stco", 0, 0, |b| b.u32(0));
}

/// Three letters of five bits each (ISO/IEC 14496-12, 8.4.2.3).
fn packed_language(language: Language) -> u16 {
    language.as_str().bytes().fold(0, |packed, letter| packed << 5 | u16::from(letter - 0x60) & 0x1f)
}
