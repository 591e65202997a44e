//! The stream that is published, and what of it arrived.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flambeau_loadtest::pace::CHUNK_BYTES;
use flambeau_loadtest::ts::{PACKET_BYTES, Recipe, make};
use flambeau_loadtest::units::Rate;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::scratch::Scratch;
use super::tool::run;

/// srt-live-transmit takes ten chunks of its standard input at a time and waits for the last of them.
const INPUT_BYTES: usize = 10 * CHUNK_BYTES;

/// A transport stream of constant bit rate, with null packets and SCTE-35.
pub(crate) struct Stream {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) path: PathBuf,
    pub(crate) rate: Rate,
}

impl Stream {
    pub(crate) async fn make(scratch: &Scratch, length: Duration, megabits_per_second: u64) -> Self {
        let rate = Rate(megabits_per_second * 1_000_000);
        let recipe = Recipe { length, rate, splice_every: Duration::from_secs(1), input: None };
        let mut bytes = make(&recipe).await.expect("ffmpeg makes a stream");
        bytes.truncate(bytes.len() / INPUT_BYTES * INPUT_BYTES);
        let path = scratch.file("published.ts");
        std::fs::write(&path, &bytes).expect("a file in the scratch directory");
        Self { bytes: bytes.into(), path, rate }
    }

    pub(crate) fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

/// Finds `part` in `whole`, both of whole TS packets; the answer is the packet it starts at.
pub(crate) fn place(whole: &[u8], part: &[u8]) -> Result<usize, String> {
    if part.is_empty() || !part.len().is_multiple_of(PACKET_BYTES) {
        return Err(format!("{} bytes are not whole TS packets", part.len()));
    }
    let head = &part[..PACKET_BYTES];
    let starts = whole.chunks_exact(PACKET_BYTES).enumerate().filter(|(_, packet)| *packet == head);
    let mut furthest = 0;
    for (index, _) in starts {
        let there = &whole[index * PACKET_BYTES..];
        let pairs = there.chunks_exact(PACKET_BYTES).zip(part.chunks_exact(PACKET_BYTES));
        let same = pairs.take_while(|(a, b)| a == b).count();
        if same * PACKET_BYTES == part.len() {
            return Ok(index);
        }
        furthest = furthest.max(same);
    }
    Err(format!("of {} packets the first {furthest} are as published", part.len() / PACKET_BYTES))
}

/// Counts the pictures of a file that decode; an error is the decoder's complaint.
pub(crate) async fn pictures(file: &Path) -> Result<usize, String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", "v:0", "-count_frames"]);
    command.args(["-show_entries", "stream=nb_read_frames", "-of", "default=nw=1:nk=1"]).arg(file);
    let (status, out, complaints) = run(&mut command).await;
    if !status.success() || !complaints.is_empty() {
        return Err(complaints);
    }
    out.lines().next().and_then(|line| line.parse().ok()).ok_or_else(|| format!("no picture: {out:?}"))
}
