//! SRT handshakes written by hand, for callers that no library would be.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::seconds;

/// A caller that says as much of the handshake as it is told.
pub(crate) struct RawCaller {
    socket: UdpSocket,
    socket_id: u32,
}

impl RawCaller {
    /// A caller from a loopback address.
    pub(crate) async fn new(from: [u8; 4], to: SocketAddr, socket_id: u32) -> Self {
        let from = SocketAddr::new(IpAddr::V4(Ipv4Addr::from(from)), 0);
        let socket = UdpSocket::bind(from).await.expect("a loopback port");
        socket.connect(to).await.expect("connected");
        Self { socket, socket_id }
    }

    /// Says hello and hears nothing back.
    pub(crate) async fn induce(&self) {
        self.socket.send(&handshake(self.socket_id, 4, 2, INDUCTION, 0, &[])).await.expect("sent");
    }

    /// Says hello and answers with the cookie it got; None when the listener stays silent.
    pub(crate) async fn conclude(&self, stream_id: &str) -> Option<()> {
        self.induce().await;
        let induced = self.hear().await?;
        let mut extensions = vec![0, 1, 0, 3];
        // Version 1.5.1; TSBPD both ways, encryption, late drop, periodic NAK, retransmission flag; 120 ms.
        extensions.extend([0, 1, 5, 1, 0, 0, 0, 0x3F, 0, 120, 0, 120]);
        let words = stream_id.len().div_ceil(4);
        extensions.extend([0, 5, 0, words as u8]);
        for word in stream_id.as_bytes().chunks(4) {
            // Each word of the text is turned round (the draft, 3.2.1.3).
            let mut turned = [0; 4];
            turned[..word.len()].copy_from_slice(word);
            extensions.extend(turned.iter().rev());
        }
        let datagram = handshake(self.socket_id, 5, 1 | 4, CONCLUSION, induced.cookie, &extensions);
        self.socket.send(&datagram).await.expect("sent");
        Some(())
    }

    /// Goes through the whole handshake and returns how the listener answered: a rejection's code, or none.
    pub(crate) async fn answer(&self, stream_id: &str) -> Result<(), u32> {
        self.conclude(stream_id).await.expect("the listener answers an induction");
        loop {
            let heard = self.hear().await.expect("the listener answers a conclusion");
            match heard.kind {
                CONCLUSION => return Ok(()),
                1000.. => return Err(heard.kind - 1000),
                _ => {}
            }
        }
    }

    /// Sends whatever bytes.
    pub(crate) async fn send(&self, bytes: &[u8]) {
        // The listener may be gone or its buffer full: that is what such a test is about.
        let _ = self.socket.send(bytes).await;
    }

    async fn hear(&self) -> Option<Heard> {
        let mut buffer = [0; 1500];
        loop {
            let len = timeout(seconds(5), self.socket.recv(&mut buffer)).await.ok()?.ok()?;
            let word = |index: usize| {
                let bytes = buffer.get(index * 4..index * 4 + 4)?;
                Some(u32::from_be_bytes(bytes.try_into().ok()?))
            };
            if len >= 64 && word(0)? == HANDSHAKE {
                return Some(Heard { kind: word(9)?, cookie: word(11)? });
            }
        }
    }
}

fn handshake(socket_id: u32, version: u32, field: u32, kind: u32, cookie: u32, extensions: &[u8]) -> Vec<u8> {
    let isn = 0x1234_5678;
    let header = [HANDSHAKE, 0, 0, 0];
    let body = [version, field, isn, 1500, 8192, kind, socket_id, cookie, 0x0100_007F, 0, 0, 0];
    let words = header.iter().chain(&body);
    words.flat_map(|word| word.to_be_bytes()).chain(extensions.iter().copied()).collect()
}

/// The `n`-th datagram of a flood: a hello, or an answer to one with a cookie that nobody gave.
pub(crate) fn flood_datagram(n: u32) -> Vec<u8> {
    match n % 2 {
        0 => handshake(n | 1, 4, 2, INDUCTION, 0, &[]),
        _ => handshake(n, 5, 0, CONCLUSION, n.wrapping_mul(0x9E37_79B9), &[]),
    }
}

struct Heard {
    kind: u32,
    cookie: u32,
}

/// The first word of a control packet of type 0.
const HANDSHAKE: u32 = 0x8000_0000;
const INDUCTION: u32 = 1;
const CONCLUSION: u32 = u32::MAX;
