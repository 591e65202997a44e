use flambeau_media::codec::{Codec, Picture, Sound};
use flambeau_media::track::Language;
use flambeau_media::{Track, TrackId};

use super::*;

fn video(frame_rate: Option<(u32, u32)>) -> Track {
    let picture = Picture { width: 1280, height: 720, sample_aspect: (1, 1), frame_rate, interlaced: false };
    let codec = Codec::H264 { avcc: Bytes::from_static(&[1, 0x64, 0, 0x28]), picture };
    Track { id: TrackId(256), codec, language: Language::UNDETERMINED }
}

fn audio() -> Track {
    let sound = Sound { sample_rate: 48_000, channels: 2 };
    let codec = Codec::Aac { config: Bytes::from_static(&[0x11, 0x90]), sound };
    Track { id: TrackId(257), codec, language: Language::UNDETERMINED }
}

fn sample(time: i64, duration: Option<u32>) -> Placed {
    Placed { time, composition_offset: 0, duration, sync: true, data: Bytes::from_static(b"data") }
}

fn chunker(track: &Track) -> Chunker {
    Chunker::new(track, Duration::from_millis(200), 0, 1)
}

/// Places and pushes; panics where the Sample is refused.
fn push(chunker: &mut Chunker, time: i64, duration: Option<u32>) -> Option<Part> {
    let time = chunker.place(time).expect("a place on the timeline");
    chunker.push(sample(time, duration))
}

#[test]
fn a_part_holds_the_whole_frames_nearest_to_its_length() {
    for (rate, frames, target_ms) in
        [((25, 1), 5, 203), ((30_000, 1001), 6, 203), ((50, 1), 10, 203), ((24_000, 1001), 5, 211)]
    {
        let track = video(Some(rate));
        let mut chunker = chunker(&track);
        let mut parts = Vec::new();
        for n in 0..200i64 {
            parts.extend(push(&mut chunker, n * 90_000 * i64::from(rate.1) / i64::from(rate.0), None));
        }
        assert!(parts.iter().all(|part| part.samples == frames), "{rate:?}");
        assert_eq!(chunker.part_target(), Duration::from_millis(target_ms));
        assert!(parts.windows(2).all(|pair| pair[0].start + pair[0].duration as i64 == pair[1].start));
    }
}

#[test]
fn a_rate_that_the_stream_hides_is_measured() {
    let mut chunker = chunker(&video(None));
    let parts: Vec<_> = (0..100).filter_map(|n| push(&mut chunker, n * 3600, None)).collect();
    assert!(parts.iter().all(|part| part.samples == 5));
}

#[test]
fn a_cut_closes_the_part_early_and_the_next_starts_there() {
    let mut chunker = chunker(&video(Some((25, 1))));
    for n in 0..7 {
        push(&mut chunker, n * 3600, None);
    }
    let parts = chunker.cut(7 * 3600);
    assert_eq!(parts.iter().map(|part| part.samples).collect::<Vec<_>>(), [2]);
    assert!(chunker.is_empty());
    push(&mut chunker, 7 * 3600, None);
    assert_eq!(chunker.cut(8 * 3600)[0].start, 7 * 3600);
}

#[test]
fn jitter_of_an_audio_frame_does_not_move_the_count() {
    let mut chunker = chunker(&audio());
    let mut parts = Vec::new();
    for n in 0..100i64 {
        parts.extend(push(&mut chunker, n * 1024 + if n % 2 == 0 { 0 } else { 400 }, Some(1024)));
    }
    assert!(parts.windows(2).all(|pair| pair[0].start + pair[0].duration as i64 == pair[1].start));
    let frames: Vec<_> = parts.iter().map(|part| part.duration as f64 / 1024.0).collect();
    assert_eq!(frames, [10.0, 9.0, 10.0, 9.0, 9.0, 10.0, 9.0, 9.0, 10.0, 9.0]);
    assert_eq!(chunker.end(), Some(100 * 1024));
}

#[test]
fn parts_of_sound_leave_nothing_over_at_the_end_of_a_segment() {
    // AAC at 48 and 44.1 kHz, MP2, Opus.
    for (rate, frame) in [(48_000, 1024), (44_100, 1024), (48_000, 1152), (48_000, 960)] {
        for (parts, _) in segments_of_sound(rate, frame) {
            assert_eq!(parts.len(), 10, "{rate} {frame}");
        }
    }
}

#[test]
fn parts_of_sound_are_of_lengths_that_a_playlist_may_have() {
    // The frames of AC-3 and HE-AAC are too long for Parts that differ by one.
    for (rate, frame) in [(48_000, 1024), (44_100, 1024), (48_000, 1536), (48_000, 1152), (48_000, 2048)] {
        for (parts, target) in segments_of_sound(rate, frame) {
            assert!(parts.iter().all(|part| part.duration <= target), "{rate} {frame}");
            let (_, all_but_last) = parts.split_last().expect("Parts");
            assert!(all_but_last.iter().all(|part| part.duration * 100 >= target * 85), "{rate} {frame}");
        }
    }
}

/// The Parts of a minute of sound, in Segments of two seconds, each with the longest that the chunker tells of.
fn segments_of_sound(rate: u32, frame: u32) -> Vec<(Vec<Part>, u64)> {
    let mut track = audio();
    let Codec::Aac { sound, .. } = &mut track.codec else { unreachable!() };
    sound.sample_rate = rate;
    let mut chunker = chunker(&track);
    let (mut time, mut segments) = (0, Vec::new());
    for segment in 1..=30 {
        let mut parts = Vec::new();
        while time < segment * 2 * i64::from(rate) {
            parts.extend(push(&mut chunker, time, Some(frame)));
            time += i64::from(frame);
        }
        parts.extend(chunker.cut(time));
        let target = (chunker.part_target().as_secs_f64() * f64::from(rate)) as u64;
        segments.push((parts, target));
    }
    segments
}

#[test]
fn a_lost_audio_frame_stretches_the_one_before_and_a_doubled_one_is_left_out() {
    let mut chunker = chunker(&audio());
    push(&mut chunker, 0, Some(1024));
    push(&mut chunker, 1024, Some(1024));
    assert_eq!(chunker.place(1024), None);
    push(&mut chunker, 3 * 1024, Some(1024));
    let parts = chunker.cut(4 * 1024);
    assert_eq!(parts.iter().map(|part| part.duration).sum::<u64>(), 4 * 1024);
}

#[test]
fn where_the_stream_hides_its_rate_a_long_gap_gets_a_part_of_its_own() {
    let mut chunker = chunker(&video(None));
    let mut parts = Vec::new();
    for time in [0, 3600, 7200, 7200 + 40_000, 7200 + 43_600] {
        parts.extend(push(&mut chunker, time, None));
    }
    parts.extend(chunker.finish());
    assert_eq!(parts.iter().map(|part| part.duration).collect::<Vec<_>>(), [7200, 40_000, 7200]);
}

#[test]
fn parts_keep_their_length_where_pictures_are_missing() {
    for (first, missing) in (1..9).flat_map(|first| (1..12).map(move |missing| (first, missing))) {
        let mut chunker = chunker(&video(Some((25, 1))));
        let mut parts = Vec::new();
        for n in (0..100i64).filter(|n| !(first..first + missing).contains(n)) {
            parts.extend(push(&mut chunker, n * 3600, None));
            let newest = chunker.waiting.as_ref().expect("it waits for the next");
            assert_eq!(newest.time + i64::from(newest.composition_offset), n * 3600, "when it is presented");
            assert!(newest.composition_offset == 0 || n < first + missing + 8, "{first}+{missing}: {n}");
        }
        assert!(parts.iter().all(|part| part.duration == 18_000), "{first}+{missing}: {parts:?}");
        assert!(parts.windows(2).all(|pair| pair[0].start + 18_000 == pair[1].start));
        assert_eq!(chunker.end(), Some(360_000));
    }
}

#[test]
fn a_frame_that_goes_back_in_time_has_no_place() {
    let mut chunker = chunker(&video(Some((25, 1))));
    push(&mut chunker, 3600, None);
    assert_eq!(chunker.place(3600), None);
    assert_eq!(chunker.place(0), None);
    assert_eq!(chunker.place(3601), Some(3601));
}
