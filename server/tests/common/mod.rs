//! The binary in its surroundings: a running server, real encoders and pullers, and what they wrote.
//!
//! Every process is killed when its handle is dropped, its output goes to a file, and the files are shown when
//! a test fails. A tool that is missing fails the test.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::print_stderr, reason = "a test that fails shows the logs it leaves")]

pub(crate) mod http;
pub(crate) mod on_air;
pub(crate) mod publish;
pub(crate) mod pull;
pub(crate) mod raw;
pub(crate) mod scratch;
pub(crate) mod server;
pub(crate) mod srt;
pub(crate) mod stream;
pub(crate) mod tool;

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Whether the long versions are asked for: `FLAMBEAU_FULL=1`.
pub(crate) fn full() -> bool {
    std::env::var_os("FLAMBEAU_FULL").is_some_and(|value| value == "1")
}

/// Asks `question` again and again until it answers, for at most `limit`.
pub(crate) async fn until<T>(limit: Duration, what: &str, mut question: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
