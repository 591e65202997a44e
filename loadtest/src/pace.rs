//! Plays bytes out at a constant rate.

use std::time::Duration;

use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};

use crate::units::Rate;

/// Seven TS packets: what an SRT packet carries.
pub const CHUNK_BYTES: usize = 7 * 188;

/// Copies `source` to `out` at `rate` until it ends; returns the bytes written.
///
/// Each write is a few whole chunks and short enough for a pipe to take it in one piece, so a reader that takes
/// [`CHUNK_BYTES`] at a time stays on packet boundaries. A reader that holds up the pipe is caught up with.
pub async fn pace<R, W>(mut source: R, mut out: W, rate: Rate) -> io::Result<u64>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = vec![0; WRITE_BYTES_MAX];
    let start = Instant::now();
    let mut written = 0;
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match source.read(&mut buffer[filled..]).await? {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            out.flush().await?;
            return Ok(written);
        }
        // A timer rounds up to its tick: without the allowance each wait would come out longer than the last.
        let due = start + rate.time_of(written);
        if due > Instant::now() + TICK {
            sleep_until(due).await;
        }
        out.write_all(&buffer[..filled]).await?;
        out.flush().await?;
        written += filled as u64;
    }
}

/// The most chunks that a pipe takes in one piece (PIPE_BUF, 4,096 bytes).
const WRITE_BYTES_MAX: usize = 3 * CHUNK_BYTES;
/// The timer's tick.
const TICK: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_come_out_unchanged_and_at_their_rate() {
        let source: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
        let mut out = Vec::new();
        let start = Instant::now();
        let written = pace(&source[..], &mut out, Rate(8_000_000)).await.expect("no error in memory");
        assert_eq!(written, 1_000_000);
        assert!(out == source);
        let took = start.elapsed();
        assert!(took.abs_diff(Duration::from_secs(1)) < Duration::from_millis(10), "{took:?}");
    }
}
