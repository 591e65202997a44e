//! Makes the transport stream that byte-exact tests publish: constant bit rate, null packets, SCTE-35.
//!
//! ffmpeg encodes and multiplexes to an exact rate; SCTE-35 sections then take the place of null packets, so
//! that no PCR moves. The same recipe gives the same bytes.

mod splice;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;

use crate::units::Rate;

pub use self::splice::{SPLICE_PID, insert_splices};
pub(crate) use self::splice::{announce, pmt_pid_of, whole_section};

/// Bytes of a TS packet (ISO/IEC 13818-1, 2.4.3.2).
pub const PACKET_BYTES: usize = 188;
/// The PID of null packets (ISO/IEC 13818-1, table 2-3).
pub const NULL_PID: u16 = 0x1FFF;

/// What stream to make.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its length.
    pub length: Duration,
    /// Its bit rate, null packets included.
    pub rate: Rate,
    /// Programme time from one SCTE-35 section to the next.
    pub splice_every: Duration,
    /// Pictures and sound to encode, looped as needed; a test picture and a tone when none is given.
    pub input: Option<PathBuf>,
}

/// Why a stream could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// ffmpeg could not be started.
    #[error("cannot start ffmpeg: {0}; it makes the stream, install it")]
    Start(std::io::Error),
    /// ffmpeg failed.
    #[error("ffmpeg could not make the stream:\n{0}")]
    Encode(String),
    /// The bytes are not whole TS packets.
    #[error("byte {0} is not the start of a TS packet")]
    NotTs(usize),
    /// No PAT or PMT was found, or one longer than a packet.
    #[error("the stream has no PAT or PMT that fits into one packet")]
    NoProgram,
    /// The stream uses the PID that splices would take.
    #[error("the stream uses PID {SPLICE_PID} already")]
    PidTaken,
    /// There are no null packets, or too few, to put sections into.
    #[error("the stream has {0} null packets in the place of a section: raise the rate")]
    NoRoom(usize),
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a stream is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// TS packets.
    pub packets: usize,
    /// Null packets among them.
    pub nulls: usize,
    /// SCTE-35 packets among them.
    pub splices: usize,
    /// The rate between the first and the last PCR, in bits a second.
    pub bits_per_second: Option<u64>,
}

/// Makes the stream of a recipe in memory: 2.5 MB a second at 20 Mb/s.
pub async fn make(recipe: &Recipe) -> Result<Vec<u8>, Error> {
    let mut command = Command::new("ffmpeg");
    command.args(arguments(recipe)).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(Error::Start)?;
    if !output.status.success() {
        return Err(Error::Encode(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let mut ts = output.stdout;
    let every = recipe.rate.bytes_in(recipe.splice_every) as usize / PACKET_BYTES;
    insert_splices(&mut ts, every.max(1))?;
    Ok(ts)
}

/// As [`make`], into a file.
pub async fn make_file(recipe: &Recipe, out: &Path) -> Result<Survey, Error> {
    let ts = make(recipe).await?;
    tokio::fs::write(out, &ts).await.map_err(|source| Error::Write { path: out.into(), source })?;
    survey(&ts)
}

/// Counts what a stream is made of.
pub fn survey(ts: &[u8]) -> Result<Survey, Error> {
    let mut survey =
        Survey { packets: 0, nulls: 0, splices: 0, bits_per_second: rate(ts).map(|rate| rate.0) };
    for (index, packet) in ts.chunks(PACKET_BYTES).enumerate() {
        if packet.len() < PACKET_BYTES || packet[0] != SYNC_BYTE {
            return Err(Error::NotTs(index * PACKET_BYTES));
        }
        survey.packets += 1;
        survey.nulls += usize::from(pid(packet) == NULL_PID);
        survey.splices += usize::from(pid(packet) == SPLICE_PID);
    }
    Ok(survey)
}

/// The rate between the first and the last PCR of the first PID that has one.
pub fn rate(ts: &[u8]) -> Option<Rate> {
    let mut pcrs = ts
        .chunks_exact(PACKET_BYTES)
        .enumerate()
        .filter_map(|(index, packet)| pcr(packet).map(|pcr| (index, pid(packet), pcr)));
    let (first_index, pcr_pid, first) = pcrs.next()?;
    let (last_index, _, last) = pcrs.rfind(|(_, pid, _)| *pid == pcr_pid)?;
    // The PCR wraps after 2^33 ticks of 90 kHz (ISO/IEC 13818-1, 2.4.2.2).
    let ticks = (last + PCR_MODULUS - first) % PCR_MODULUS;
    let bits = ((last_index - first_index) * PACKET_BYTES * 8) as u128;
    let rate = (bits * u128::from(PCR_HZ) + u128::from(ticks) / 2).checked_div(u128::from(ticks))?;
    u64::try_from(rate).ok().map(Rate)
}

/// The PID of a packet.
pub fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1], packet[2]]) & 0x1FFF
}

/// The PCR of a packet that has one, in ticks of 27 MHz (ISO/IEC 13818-1, 2.4.3.5).
pub fn pcr(packet: &[u8]) -> Option<u64> {
    let has_adaptation = packet[3] & 0x20 != 0;
    if !has_adaptation || packet[4] < 7 || packet[5] & 0x10 == 0 {
        return None;
    }
    let base = u64::from(u32::from_be_bytes([packet[6], packet[7], packet[8], packet[9]])) << 1
        | u64::from(packet[10] >> 7);
    let extension = u64::from(packet[10] & 1) << 8 | u64::from(packet[11]);
    Some(base * 300 + extension)
}

/// What ffmpeg is told. Its rate for pictures leaves a quarter of the whole to sound, tables and nulls.
fn arguments(recipe: &Recipe) -> Vec<String> {
    let picture_rate = (recipe.rate.0 / 2).min(8_000_000).to_string();
    let mut arguments: Vec<String> = ["-hide_banner", "-nostdin", "-v", "error"].map(Into::into).to_vec();
    let mut add = |more: &[&str]| arguments.extend(more.iter().map(|text| (*text).to_owned()));
    match &recipe.input {
        Some(path) => {
            add(&["-stream_loop", "-1", "-i", &path.to_string_lossy(), "-map", "0:v:0", "-map", "0:a:0?"])
        }
        None => add(&[
            "-f",
            "lavfi",
            "-i",
            "testsrc2=size=1280x720:rate=25",
            "-f",
            "lavfi",
            "-i",
            "sine=frequency=440:sample_rate=48000",
        ]),
    }
    add(&["-t", &recipe.length.as_secs_f64().to_string(), "-map_metadata", "-1", "-threads", "1"]);
    add(&[
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-tune",
        "zerolatency",
        "-pix_fmt",
        "yuv420p",
        "-g",
        "25",
    ]);
    add(&["-b:v", &picture_rate, "-maxrate", &picture_rate, "-bufsize", &picture_rate]);
    add(&["-c:a", "aac", "-b:a", "128k", "-flags", "+bitexact"]);
    // A PES packet for each frame of sound, so that a loop can be cut between any two.
    add(&["-pes_payload_size", "0"]);
    add(&["-f", "mpegts", "-muxrate", &recipe.rate.0.to_string(), "-pcr_period", "20", "pipe:1"]);
    arguments
}

/// The first byte of a TS packet.
pub(crate) const SYNC_BYTE: u8 = 0x47;
const PCR_HZ: u64 = 27_000_000;
const PCR_MODULUS: u64 = (1 << 33) * 300;

#[cfg(test)]
mod tests;
