//! Broadcasters' receivers.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::scratch::Scratch;
use super::srt::Srt;
use super::tool::{Tool, length};

/// A program that pulls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    Ffmpeg,
    SrtLiveTransmit,
    Gstreamer,
    Vlc,
}

impl Receiver {
    pub(crate) const ALL: [Self; 4] = [Self::Ffmpeg, Self::SrtLiveTransmit, Self::Gstreamer, Self::Vlc];

    /// Whether it writes what it receives as it is; ffmpeg multiplexes anew.
    pub(crate) fn is_verbatim(self) -> bool {
        self != Self::Ffmpeg
    }

    /// Pulls into the file `NAME.ts`. ffmpeg ends by itself after `length`, on a whole picture.
    pub(crate) fn pull_for(self, scratch: &Scratch, name: &str, from: &Srt, length: Duration) -> Puller {
        self.start(scratch, name, from, Some(length))
    }

    /// Pulls into the file `NAME.ts`.
    pub(crate) fn pull(self, scratch: &Scratch, name: &str, from: &Srt) -> Puller {
        self.start(scratch, name, from, None)
    }

    fn start(self, scratch: &Scratch, name: &str, from: &Srt, length: Option<Duration>) -> Puller {
        let file = scratch.file(&format!("{name}.ts"));
        // srt-live-transmit writes to its standard output, the others to the file they are told.
        let stdout =
            (self == Self::SrtLiveTransmit).then(|| File::create(&file).expect("a scratch file").into());
        let tool = Tool::start_with(scratch, name, self.command(from, &file, length), Stdio::null(), stdout);
        Puller { tool, file }
    }

    fn command(self, from: &Srt, file: &Path, length: Option<Duration>) -> Command {
        match self {
            Self::Ffmpeg => {
                let mut command = Command::new("ffmpeg");
                command.args(["-hide_banner", "-nostdin", "-v", "error", "-analyzeduration", "1000000"]);
                command.arg("-i").arg(from.ffmpeg_url());
                if let Some(length) = length {
                    command.arg("-t").arg(length.as_secs().to_string());
                }
                command.args(["-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "mpegts", "-y"]).arg(file);
                command
            }
            Self::SrtLiveTransmit => srt_live_transmit(from),
            Self::Gstreamer => {
                let mut command = Command::new("gst-launch-1.0");
                // Without automatic reconnection a lost session ends the program, and a test sees it.
                command.args(["-q", "srtsrc"]).args(from.gstreamer()).arg("auto-reconnect=false");
                command.args(["!", "filesink", "buffer-mode=unbuffered"]);
                command.arg(format!("location={}", file.display()));
                command
            }
            Self::Vlc => {
                // VLC refuses root.
                let mut command = Command::new("setpriv");
                command.args([
                    "--reuid=nobody",
                    "--regid=nogroup",
                    "--clear-groups",
                    "cvlc",
                    "-v",
                    "--no-color",
                ]);
                command.arg("--demux=dump").arg(format!("--demuxdump-file={}", file.display()));
                command.args(from.vlc()).arg("vlc://quit");
                command.current_dir("/").env("HOME", std::env::temp_dir());
                command
            }
        }
    }
}

fn srt_live_transmit(from: &Srt) -> Command {
    let mut command = Command::new("srt-live-transmit");
    command.arg("-a:no").arg(from.url()).arg("file://con");
    command
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ffmpeg => "ffmpeg",
            Self::SrtLiveTransmit => "srt-live-transmit",
            Self::Gstreamer => "GStreamer srtsrc",
            Self::Vlc => "VLC",
        })
    }
}

/// A receiver at work that writes to a file.
pub(crate) struct Puller {
    pub(crate) tool: Tool,
    pub(crate) file: PathBuf,
}

impl Puller {
    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        length(&self.file)
    }

    /// What was received so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.file).unwrap_or_default()
    }
}

/// What srt-live-transmit may hold in its output buffer.
pub(crate) const OUTPUT_BUFFER_BYTES: u64 = 16 << 10;

/// srt-live-transmit at work, what it receives counted, and hashed as far as it matters.
pub(crate) struct HashingPuller {
    pub(crate) tool: Tool,
    received: Arc<AtomicU64>,
    hashing: JoinHandle<[u8; 32]>,
}

impl HashingPuller {
    /// Pulls, and hashes the first `length` bytes.
    pub(crate) fn start(scratch: &Scratch, name: &str, from: &Srt, length: usize) -> Self {
        let mut tool =
            Tool::start_with(scratch, name, srt_live_transmit(from), Stdio::null(), Some(Stdio::piped()));
        let mut out = tool.child.stdout.take().expect("it has a pipe");
        let received = Arc::new(AtomicU64::new(0));
        let count = received.clone();
        let hashing = tokio::spawn(async move {
            let (mut hash, mut left, mut buffer) = (Sha256::new(), length, vec![0; 64 << 10]);
            while let Ok(read @ 1..) = out.read(&mut buffer).await {
                hash.update(&buffer[..read.min(left)]);
                left -= read.min(left);
                count.fetch_add(read as u64, Ordering::AcqRel);
            }
            hash.finalize().into()
        });
        Self { tool, received, hashing }
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// Ends it; returns the number of bytes received and the SHA-256 of those that matter.
    pub(crate) async fn finish(mut self) -> (u64, [u8; 32]) {
        // Asked to end, it writes out what its output buffer still holds.
        self.tool.signal("INT");
        self.tool.ended(Duration::from_secs(10)).await;
        let hash = self.hashing.await.expect("hashing does not panic");
        (self.received.load(Ordering::Acquire), hash)
    }
}
