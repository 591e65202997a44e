use bytes::Bytes;
use flambeau_media::Utc;
use flambeau_proto::isobmff::{Fragment as Written, FragmentSample};
use proptest::prelude::*;

use super::*;
use crate::clock::Codec;

const INIT: Init = Init { timescale: 90_000, default_duration: 0, default_size: 0 };

fn stamp(picture: u32) -> Stamp {
    Stamp { feed: 5, sent: 1_000_000 + i64::from(picture), picture }
}

fn picture(number: u32) -> Bytes {
    let (mut nal, text) = Codec::H264.sei();
    stamp(number).write(&mut nal[text..]);
    nal.extend(vec![7; 100]);
    nal.into()
}

/// Two chunks of a stream of 25 pictures a second.
fn segment() -> Vec<u8> {
    let sample =
        |n: u32| FragmentSample { data: picture(n), duration: 3600, sync: n == 0, composition_offset: 7200 };
    let chunk = |first: u32| {
        let samples: Vec<_> = (first..first + 5).map(sample).collect();
        let written = Written {
            sequence: first,
            starts_segment: first == 0,
            decode_time: 900_000 + u64::from(first) * 3600,
            wall_clock: Utc(0),
            events: &[],
            samples: &samples,
        };
        written.write().to_vec()
    };
    [chunk(0), chunk(5)].concat()
}

fn read(bytes: &[u8], step: usize) -> Result<Vec<Fragment>, Error> {
    let (mut reader, mut fragments) = (Reader::new(INIT), Vec::new());
    for piece in bytes.chunks(step.max(1)) {
        reader.push(piece, |fragment| fragments.push(fragment))?;
    }
    reader.finish()?;
    Ok(fragments)
}

#[test]
fn fragments_of_our_own_writer_read_back_however_they_come() {
    let bytes = segment();
    for step in [1, 7, 1000, bytes.len()] {
        let fragments = read(&bytes, step).expect("whole fragments");
        assert_eq!(fragments.len(), 2);
        assert_eq!((fragments[0].start, fragments[0].duration, fragments[0].samples), (900_000, 18_000, 5));
        assert_eq!(fragments[1].start, 918_000);
        let expected: Vec<_> = (5..10).map(|n| (900_000 + i64::from(n) * 3600 + 7200, stamp(n))).collect();
        assert_eq!(fragments[1].stamps, expected);
    }
    assert_eq!(read(&bytes[..bytes.len() - 1], 100), Err(Error::Cut));
}

proptest! {
    #[test]
    fn any_bytes_are_taken(mut noise in prop::collection::vec(any::<u8>(), 0..300), at in 0_usize..600) {
        let _ = Init::read(&noise);
        let _ = read(&noise, 50);
        let mut bytes = segment();
        for (byte, noise) in bytes.iter_mut().skip(at).zip(noise.drain(..)) {
            *byte ^= noise;
        }
        let _ = read(&bytes, 100);
        let _ = Init::read(&bytes);
    }
}
