use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

use flambeau_proto::mpegts::demux::{Demuxer, Event};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::*;
use crate::clock::{Ledger, Stamp};
use crate::ts::{PACKET_BYTES, Recipe, SPLICE_PID, make, pcr, pid, survey};

const SENT: i64 = 1_795_351_881_123_456;

async fn source(seconds_times_100: u64) -> Vec<u8> {
    let recipe = Recipe {
        length: Duration::from_millis(seconds_times_100 * 10),
        rate: Rate(3_000_000),
        splice_every: Duration::from_millis(500),
        input: None,
    };
    make(&recipe).await.expect("ffmpeg makes a stream")
}

/// `loops` of the reel, as sent.
fn played(reel: &Arc<Reel>, loops: usize) -> Vec<u8> {
    let mut playout = Playout::new(reel.clone(), 1, SENT);
    let packets = reel.times.len() * loops;
    let chunks = packets.div_ceil(7);
    let mut bytes = vec![0; chunks * CHUNK_BYTES];
    let mut before = Duration::ZERO;
    for chunk in bytes.chunks_exact_mut(CHUNK_BYTES) {
        let due = playout.due();
        assert!(due >= before, "{due:?} after {before:?}");
        before = due;
        playout.write(SENT + due.as_micros() as i64, chunk);
    }
    bytes.truncate(packets * PACKET_BYTES);
    bytes
}

#[tokio::test]
async fn loops_look_like_one_endless_stream() {
    let reel = Arc::new(Reel::new(source(128).await).expect("a reel"));
    assert_eq!((reel.length(), reel.pictures()), (Duration::from_millis(1280), 32));
    let bytes = played(&reel, 4);

    let mut ledger = Ledger::new(1);
    let mut marks = 0;
    ledger.take(&bytes, |_| marks += 1);
    let counts = ledger.counts();
    assert_eq!((counts.lost, counts.altered, counts.surplus, counts.continuity), (0, 0, 0, 0), "{counts:?}");
    assert!(marks >= 4 * 30, "{marks} marks");

    // The clock goes on at the rate of the bytes, over each loop's end.
    let pcrs: Vec<u64> = bytes.chunks(PACKET_BYTES).filter_map(pcr).collect();
    let steps: Vec<u64> = pcrs.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(steps.iter().all(|step| (1..27_000 * 60).contains(step)), "{steps:?}");

    // Pictures and sounds follow each other evenly.
    let mut times: BTreeMap<u16, Vec<i64>> = BTreeMap::new();
    let mut demuxer = Demuxer::new();
    demuxer.push(&bytes, &mut |event| {
        if let Event::Sample(track, sample) = event {
            times.entry(track.0).or_default().push(sample.dts);
        }
    });
    assert_eq!(times.len(), 2, "pictures and sound");
    for times in times.values() {
        let steps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let (least, most) = (steps.iter().min(), steps.iter().max());
        assert!(most <= least.map(|least| least + 1).as_ref(), "{steps:?}");
    }
}

#[tokio::test]
async fn every_picture_is_stamped_and_decodes() {
    let ts = source(128).await;
    let rate = survey(&ts).expect("whole packets").bits_per_second.expect("PCRs");
    let reel = Arc::new(Reel::new(ts).expect("a reel"));
    assert!(reel.rate().0.abs_diff(rate) < rate / 20, "{} for {rate}", reel.rate());
    let bytes = played(&reel, 3);
    let mut child = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-count_frames",
            "-show_entries",
            "stream=nb_read_frames",
        ])
        .args(["-of", "default=nw=1:nk=1", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ffprobe runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let (fed, output) = tokio::join!(
        async {
            let result = stdin.write_all(&bytes).await;
            drop(stdin);
            result
        },
        child.wait_with_output()
    );
    fed.expect("ffprobe reads all");
    let output = output.expect("it ends");
    let found = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(found.starts_with("96"), "{found}");

    let mut pictures: Vec<u32> = Vec::new();
    let payloads: Vec<u8> = bytes
        .chunks(PACKET_BYTES)
        .filter(|packet| pid(packet) == 256)
        .flat_map(|packet| packet[cut::payload_start(packet)..].to_vec())
        .collect();
    for (_, stamp) in Stamp::find(&payloads) {
        assert_eq!(stamp.feed, 1);
        assert!(stamp.sent >= SENT);
        pictures.push(stamp.picture);
    }
    assert_eq!(pictures, (0..96).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_splice_is_told_at_its_own_time_in_each_loop() {
    let reel = Arc::new(Reel::new(source(192).await).expect("a reel"));
    let bytes = played(&reel, 2);
    let mut sections =
        bytes.chunks(PACKET_BYTES).filter(|packet| pid(packet) == SPLICE_PID).map(|packet| &packet[5..]);
    let count = sections.clone().count() / 2;
    let mut adjusted = |by: u64| {
        for section in sections.by_ref().take(count) {
            assert_eq!(u64::from(u32::from_be_bytes([section[5], section[6], section[7], section[8]])), by);
            let len = 3 + usize::from(section[2]);
            assert_eq!(flambeau_proto::mpegts::psi::crc32(&section[..len]), 0);
        }
    };
    assert!(count > 0);
    adjusted(0);
    adjusted(reel.length);
}

#[test]
fn what_cannot_be_looped_is_refused_with_the_reason() {
    assert!(matches!(Reel::new(vec![0; 188]), Err(Error::Stream(_))));
    assert!(matches!(Reel::new(Vec::new()), Err(Error::Stream(_))));
    let mut null = vec![0xFF; 188];
    null[..4].copy_from_slice(&[0x47, 0x1F, 0xFF, 0x10]);
    assert!(Reel::new(null).is_err_and(|error| error.to_string().contains("PAT")));
}
