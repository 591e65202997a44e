use proptest::prelude::*;

use super::super::{aac, ac3, mpeg_audio, opus};
use super::*;

/// Pushes chunks behind a sync word each, and checks what is kept.
fn push<S: Syntax>(syntax: S, sync: [u8; 2], chunks: &[Vec<u8>]) -> Result<(), TestCaseError> {
    let mut framer = AudioFramer::new(syntax);
    let (mut given, mut taken) = (0, 0);
    for (pts, chunk) in (0..).zip(chunks) {
        let data = [&sync[..], chunk].concat();
        given += data.len();
        let chunk = Chunk { data: &data, pts: Some(pts), dts: None, random_access: false };
        framer.push(chunk, &mut |framed| {
            if let Framed::Sample(sample) = framed {
                taken += sample.data.len();
            }
        });
        prop_assert!(framer.held.len() <= FRAME_BYTES_MAX && framer.stamps.len() <= chunks.len());
    }
    prop_assert!(taken <= given);
    Ok(())
}

#[test]
fn a_stream_of_another_codec_gives_nothing_and_counts_one_resync() {
    let mut framer = AudioFramer::new(mpeg_audio::MpegAudio::default());
    // ADTS frames of 8 bytes.
    let data = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x1f, 0xfc, 0].repeat(50);
    let mut out = 0;
    framer.push(Chunk { data: &data, pts: Some(0), dts: None, random_access: false }, &mut |_| out += 1);
    assert_eq!((out, framer.losses().resyncs), (0, 1));
}

proptest! {
    #[test]
    fn any_bytes_behind_a_sync_word_are_read_or_passed_over(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..40),
    ) {
        push(aac::adts::Adts::default(), [0xff, 0xf1], &chunks)?;
        push(aac::latm::Latm::default(), [0x56, 0xe0], &chunks)?;
        push(ac3::Ac3::default(), [0x0b, 0x77], &chunks)?;
        push(mpeg_audio::MpegAudio::default(), [0xff, 0xfd], &chunks)?;
        push(opus::Opus::new(2), [0x7f, 0xe0], &chunks)?;
    }
}
