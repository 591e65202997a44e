//! What a connection gets for which there is no room.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Refuses connections politely, a few at a time; further ones are just closed.
#[derive(Debug)]
pub(super) struct Refusals(Arc<Semaphore>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(REFUSALS_MAX)))
    }
}

impl Refusals {
    /// Answers 503 and closes.
    pub(super) fn refuse(&self, stream: TcpStream) {
        let Ok(permit) = self.0.clone().try_acquire_owned() else { return };
        tokio::spawn(async move {
            say_and_close(stream, OVERLOADED).await;
            drop(permit);
        });
    }
}

/// Writes `last_words`, ends our side and reads on for a moment: a socket closed with unread input is reset,
/// and the client would lose what we said (RFC 9112 9.6).
pub(super) async fn say_and_close(mut stream: impl AsyncRead + AsyncWrite + Unpin, last_words: &[u8]) {
    let farewell = async {
        stream.write_all(last_words).await?;
        stream.shutdown().await?;
        let mut scrap = [0; 4096];
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            match stream.read(&mut scrap).await? {
                0 => break,
                bytes => left = left.saturating_sub(bytes),
            }
        }
        std::io::Result::Ok(())
    };
    // Whatever fails here, the socket closes when it is dropped, and there is nobody left to tell.
    drop(tokio::time::timeout(LINGER, farewell).await);
}

const OVERLOADED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 60\r\nretry-after: 5\r\n\
    cache-control: no-store\r\nconnection: close\r\n\r\n\
    Too many connections are open. Try again in a few seconds.\r\n";

/// The answer to a head that did not arrive in time (RFC 9110 15.5.9).
pub(super) const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 43\r\n\
    cache-control: no-store\r\nconnection: close\r\n\r\n\
    The request did not arrive whole in time.\r\n";

const REFUSALS_MAX: usize = 64;
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_answers_have_the_length_they_say() {
        for answer in [OVERLOADED, TOO_SLOW] {
            let text = std::str::from_utf8(answer).expect("ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
            assert!(head.contains(&format!("content-length: {}", body.len())), "{} is {}", head, body.len());
        }
    }
}
