use bytes::Bytes;
use flambeau_media::codec::{Codec, Picture, Sound};
use flambeau_media::{Track, TrackId, Utc};
use mp4_atom::{Any, Decode, Moof, Moov};
use proptest::prelude::*;

use super::*;

const PICTURE: Picture =
    Picture { width: 1440, height: 1080, sample_aspect: (4, 3), frame_rate: Some((25, 1)), interlaced: true };
const SOUND: Sound = Sound { sample_rate: 48_000, channels: 2 };
// As x264 writes it: High profile, level 4.0.
const AVCC: &[u8] = &[
    1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 0x1b, 0x67, 0x64, 0, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5,
    0xc0, 0x44, 0, 0, 0x03, 0, 0x04, 0, 0, 0x03, 0, 0xc8, 0x3c, 0x60, 0xc6, 0x58, 1, 0, 6, 0x68, 0xeb, 0xe3,
    0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0,
];

fn track(codec: Codec) -> Track {
    Track { id: TrackId(256), codec, language: "fra".parse().expect("a language") }
}

fn atoms(bytes: &[u8]) -> Vec<Any> {
    let mut rest = bytes;
    let mut atoms = Vec::new();
    while !rest.is_empty() {
        atoms.push(Any::decode(&mut rest).expect("whole boxes"));
    }
    atoms
}

fn moov(codec: Codec) -> Moov {
    let bytes = init_segment(&track(codec));
    let Ok([Any::Ftyp(ftyp), Any::Moov(moov)]) = <[Any; 2]>::try_from(atoms(&bytes)) else {
        panic!("an init segment is ftyp and moov");
    };
    assert!(ftyp.compatible_brands.contains(&b"cmfc".into()));
    moov
}

#[test]
fn a_picture_reads_back_with_its_language_shape_and_configuration() {
    let moov = moov(Codec::H264 { avcc: Bytes::from_static(AVCC), picture: PICTURE });
    let trak = &moov.trak[0];
    assert_eq!(trak.mdia.mdhd.language, "fra");
    assert_eq!(trak.mdia.mdhd.timescale, 90_000);
    assert_eq!((trak.tkhd.width.integer(), trak.tkhd.height.integer()), (1920, 1080));
    let mp4_atom::Codec::Avc1(avc1) = &trak.mdia.minf.stbl.stsd.codecs[0] else { panic!("avc1") };
    assert_eq!((avc1.visual.width, avc1.visual.height), (1440, 1080));
    assert_eq!(avc1.pasp.as_ref().map(|pasp| (pasp.h_spacing, pasp.v_spacing)), Some((4, 3)));
    assert_eq!(avc1.avcc.sequence_parameter_sets, [&AVCC[8..35]]);
    assert!(moov.mvex.is_some());
}

#[test]
fn each_sound_reads_back_as_its_codec() {
    let aac = moov(Codec::Aac { config: Bytes::from_static(&[0x11, 0x90]), sound: SOUND });
    let mp4_atom::Codec::Mp4a(mp4a) = &aac.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!("mp4a") };
    assert_eq!(mp4a.audio.channel_count, 2);
    assert_eq!(mp4a.esds.es_desc.dec_config.object_type_indication, 0x40);
    assert_eq!(aac.trak[0].mdia.mdhd.timescale, 48_000);

    let mp2 = init_segment(&track(Codec::MpegAudio { layer: 2, sound: SOUND }));
    let at = mp2.windows(4).position(|four| four == b"esds").expect("an esds");
    assert_eq!(mp2[at + 8..at + 16], [3, 21, 0, 0, 0, 4, 13, 0x6b]);

    let ac3 = moov(Codec::Ac3 { dac3: Bytes::from_static(&[0x10, 0x11, 0x40]), sound: SOUND });
    assert!(matches!(ac3.trak[0].mdia.minf.stbl.stsd.codecs[0], mp4_atom::Codec::Ac3(_)));
    let dops = Bytes::from_static(&[0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0, 0, 0]);
    let opus = moov(Codec::Opus { dops, sound: SOUND });
    assert!(matches!(opus.trak[0].mdia.minf.stbl.stsd.codecs[0], mp4_atom::Codec::Opus(_)));
}

fn moof_of(bytes: &[u8]) -> (Moof, Vec<u8>) {
    let mut moof = None;
    for atom in atoms(bytes) {
        match atom {
            Any::Moof(found) => moof = Some(found),
            Any::Mdat(mdat) => return (moof.expect("moof goes before mdat"), mdat.data),
            _ => {}
        }
    }
    panic!("no mdat");
}

#[test]
fn a_segment_names_its_brands_and_a_later_part_does_not() {
    let sample =
        FragmentSample { duration: 3600, composition_offset: 0, sync: true, data: Bytes::from_static(b"x") };
    let write = |starts_segment| {
        Fragment {
            sequence: 1,
            starts_segment,
            decode_time: 90_000,
            wall_clock: Utc(1_500_000),
            events: &[],
            samples: std::slice::from_ref(&sample),
        }
        .write()
    };
    let kinds = |bytes: &[u8]| atoms(bytes).iter().map(|atom| atom.kind().to_string()).collect::<Vec<_>>();
    assert_eq!(kinds(&write(true)), ["styp", "prft", "moof", "mdat"]);
    assert_eq!(kinds(&write(false)), ["prft", "moof", "mdat"]);
    let Any::Prft(prft) = &atoms(&write(false))[0] else { panic!("prft") };
    assert_eq!(prft.ntp_timestamp, (2_208_988_801 << 32) | 0x8000_0000);
    assert_eq!(prft.media_time, 90_000);
}

#[test]
fn an_event_reads_back_from_before_the_movie_fragment() {
    let sample =
        FragmentSample { duration: 3600, composition_offset: 0, sync: true, data: Bytes::from_static(b"x") };
    let event = |id, duration| EventMessage {
        id,
        timescale: 90_000,
        time: 161_581_669_293_000,
        duration,
        section: Bytes::from_static(&[0xfc, 0x30, 0x11]),
    };
    let bytes = Fragment {
        sequence: 1,
        starts_segment: true,
        decode_time: 90_000,
        wall_clock: Utc(1_500_000),
        events: &[event(1, Some(2_700_000)), event(2, None)],
        samples: std::slice::from_ref(&sample),
    }
    .write();
    let atoms = atoms(&bytes);
    let kinds: Vec<_> = atoms.iter().map(|atom| atom.kind().to_string()).collect();
    assert_eq!(kinds, ["styp", "prft", "emsg", "emsg", "moof", "mdat"]);
    let Any::Emsg(emsg) = &atoms[2] else { panic!("emsg") };
    assert_eq!((emsg.id, emsg.event_duration), (1, 2_700_000));
    assert_eq!(emsg.scheme_id_uri, EVENT_SCHEME);
    assert_eq!(emsg.message_data, [0xfc, 0x30, 0x11]);
    let Any::Emsg(emsg) = &atoms[3] else { panic!("emsg") };
    assert_eq!((emsg.id, emsg.event_duration), (2, u32::MAX));
    let (moof, mdat) = moof_of(&bytes);
    assert_eq!(mdat, b"x");
    let moof_at = bytes.windows(4).position(|four| four == b"moof").expect("a moof") - 4;
    let offset = moof.traf[0].trun[0].data_offset.expect("an offset") as usize;
    assert_eq!(bytes[moof_at + offset], b'x');
}

proptest! {
    #[test]
    fn a_fragment_reads_back_as_its_samples(
        samples in prop::collection::vec(
            (1u32..10_000, -20_000i32..20_000, any::<bool>(), prop::collection::vec(any::<u8>(), 0..50)),
            1..40,
        ),
        same_duration in any::<bool>(),
        decode_time in any::<u64>(),
    ) {
        let samples: Vec<_> = samples
            .into_iter()
            .map(|(duration, composition_offset, sync, data)| FragmentSample {
                duration: if same_duration { 1024 } else { duration },
                composition_offset,
                sync,
                data: data.into(),
            })
            .collect();
        let fragment = Fragment {
            sequence: 7,
            starts_segment: true,
            decode_time,
            wall_clock: Utc(0),
            events: &[],
            samples: &samples,
        };
        let bytes = fragment.write();
        let (moof, mdat) = moof_of(&bytes);
        prop_assert_eq!(moof.mfhd.sequence_number, 7);
        let traf = &moof.traf[0];
        prop_assert_eq!(traf.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time), Some(decode_time));
        let trun = &traf.trun[0];
        let payload: Vec<u8> = samples.iter().flat_map(|sample| sample.data.iter().copied()).collect();
        prop_assert_eq!(&mdat, &payload);
        let moof_at = bytes.windows(4).position(|four| four == b"moof").expect("a moof") - 4;
        let data = moof_at + trun.data_offset.expect("an offset") as usize;
        prop_assert_eq!(&bytes[data..], &payload[..]);
        prop_assert_eq!(trun.samples.len(), samples.len());
        let default_flags = traf.tfhd.default_sample_flags.expect("default flags");
        for (n, (entry, sample)) in trun.samples.iter().zip(&samples).enumerate() {
            prop_assert_eq!(entry.size, Some(sample.data.len() as u32));
            prop_assert_eq!(entry.duration.or(traf.tfhd.default_sample_duration), Some(sample.duration));
            prop_assert_eq!(entry.cts.unwrap_or(0), i64::from(sample.composition_offset));
            // mp4-atom puts first_sample_flags on the first entry.
            let flags = entry.flags.unwrap_or(default_flags);
            prop_assert_eq!(flags & 0x0001_0000 == 0, sample.sync, "sample {}", n);
        }
    }
}
