//! Venues' encoders.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flambeau_loadtest::pace::pace;
use flambeau_loadtest::units::Rate;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::scratch::Scratch;
use super::srt::Srt;
use super::stream::Stream;
use super::tool::Tool;
use super::until;

/// A program that publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoder {
    Ffmpeg,
    SrtLiveTransmit,
    Gstreamer,
}

impl Encoder {
    pub(crate) const ALL: [Self; 3] = [Self::Ffmpeg, Self::SrtLiveTransmit, Self::Gstreamer];

    /// Publishes `stream` in real time.
    pub(crate) fn publish(self, scratch: &Scratch, name: &str, stream: &Stream, to: &Srt) -> Publisher {
        match self {
            Self::Ffmpeg => {
                let reference = scratch.file(&format!("{name}-reference.ts"));
                let mut command = Command::new("ffmpeg");
                command.args(["-hide_banner", "-nostdin", "-v", "error", "-re", "-i"]).arg(&stream.path);
                // The same multiplexer twice, with the same input: what the file gets is what is published.
                let copy =
                    ["-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "mpegts", "-flush_packets", "1", "-y"];
                command.args(copy).arg(to.ffmpeg_url()).args(copy).arg(&reference);
                let tool = Tool::start(scratch, name, command);
                Publisher { tool, reference: Some(reference), all_sent: Arc::default(), feeding: None }
            }
            Self::SrtLiveTransmit => {
                let tool = srt_live_transmit(scratch, name, to);
                Publisher::fed(tool, Some(CONNECTED), stream.bytes.clone(), stream.rate)
            }
            Self::Gstreamer => {
                let mut command = Command::new("gst-launch-1.0");
                command.args(["-q", "fdsrc", "fd=0", "blocksize=1316", "!", "srtsink"]).args(to.gstreamer());
                command.args(["sync=false", "wait-for-connection=true"]);
                Publisher::fed(
                    Tool::start_with(scratch, name, command, Stdio::piped(), None),
                    None,
                    stream.bytes.clone(),
                    stream.rate,
                )
            }
        }
    }
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ffmpeg => "ffmpeg",
            Self::SrtLiveTransmit => "srt-live-transmit",
            Self::Gstreamer => "GStreamer srtsink",
        })
    }
}

/// srt-live-transmit from its standard input. It throws away what it reads before it is connected.
fn srt_live_transmit(scratch: &Scratch, name: &str, to: &Srt) -> Tool {
    let mut command = Command::new("srt-live-transmit");
    command.args(["-chunk:1316", "-a:no", "file://con"]).arg(to.url());
    Tool::start_with(scratch, name, command, Stdio::piped(), None)
}

/// What srt-live-transmit prints once it may be fed.
const CONNECTED: &str = "SRT target connected";

/// An encoder at work. Dropping it kills it.
pub(crate) struct Publisher {
    pub(crate) tool: Tool,
    /// The bytes it publishes, where they differ from the stream's.
    pub(crate) reference: Option<PathBuf>,
    all_sent: Arc<AtomicBool>,
    feeding: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Publishes whatever bytes with srt-live-transmit: for what is not TS.
    pub(crate) fn of_bytes(scratch: &Scratch, name: &str, bytes: Vec<u8>, rate: Rate, to: &Srt) -> Self {
        Self::fed(srt_live_transmit(scratch, name, to), Some(CONNECTED), bytes.into(), rate)
    }

    /// Feeds `bytes` to an encoder, once its log says `ready`.
    fn fed(mut tool: Tool, ready: Option<&'static str>, bytes: Arc<[u8]>, rate: Rate) -> Self {
        let mut stdin = tool.child.stdin.take().expect("it has a pipe");
        let all_sent = Arc::new(AtomicBool::new(false));
        let (done, log) = (all_sent.clone(), tool.log_file().to_owned());
        let feeding = tokio::spawn(async move {
            while ready
                .is_some_and(|ready| !std::fs::read_to_string(&log).is_ok_and(|log| log.contains(ready)))
            {
                sleep(Duration::from_millis(5)).await;
            }
            // Fails when the encoder is killed: that is a test's business, not this task's.
            if pace(&bytes[..], &mut stdin, rate).await.is_ok() {
                done.store(true, Ordering::Release);
                // At the end of its input an encoder leaves at once, with what it still holds.
                std::future::pending::<()>().await;
            }
        });
        Self { tool, reference: None, all_sent, feeding: Some(feeding) }
    }

    /// Waits until the encoder was given every byte.
    pub(crate) async fn all_sent(&self, limit: Duration) {
        until(limit, "the encoder takes the whole stream", async || {
            self.all_sent.load(Ordering::Acquire).then_some(())
        })
        .await;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if let Some(feeding) = &self.feeding {
            feeding.abort();
        }
    }
}
