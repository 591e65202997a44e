//! Calling a listener elsewhere.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::listener::Shared;
use super::request::random_socket_id;
use super::session::{Role, Session};
use super::socket::{Route, Socket};
use super::waker::{Commands, Waker};
use super::worker::{Command, End, Opening, start};
use crate::protocol::connection::{Connection, Settings};
use crate::protocol::crypto::{KeyLength, KeyRefresh, Passphrase};
use crate::protocol::handshake::Negotiated;
use crate::protocol::handshake::caller::{Caller, CallerConfig, CallerError};
use crate::protocol::packet::DATAGRAM_BYTES;
use crate::protocol::receiver::WINDOW_PACKETS;
use crate::protocol::seq::SeqNo;
use crate::protocol::stream_id::StreamId;

/// Whom to call, and what for.
#[derive(Debug, Clone)]
pub struct Dial {
    /// The listener.
    pub address: SocketAddr,
    /// The stream id, in the Access Control syntax or bare; empty for none.
    pub stream_id: StreamId,
    /// The least latency, for either direction.
    pub latency: Duration,
    /// The passphrase; none for a clear session.
    pub passphrase: Option<Passphrase>,
    /// The length of the keys we make.
    pub key_length: KeyLength,
    /// The bandwidth and the idle timeout.
    pub settings: Settings,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The handshake failed: no answer, or a rejection with its code.
    #[error(transparent)]
    Handshake(#[from] CallerError),
    /// The operating system refused the socket.
    #[error("the UDP socket: {0}")]
    Io(#[from] io::Error),
}

/// Calls a listener. The session has a thread and a socket of its own, and ends with `shutdown`.
///
/// # Errors
/// Nobody answers for 3 s, the listener turns us away, or there is no socket to be had.
pub async fn connect(dial: Dial, role: Role, shutdown: CancellationToken) -> Result<Session, ConnectError> {
    let any: SocketAddr =
        if dial.address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::from_std(Socket::bind(any, false)?)?;
    let (peer, settings) = (dial.address, dial.settings);
    let (negotiated, arrived, opened) = shake_hands(&socket, dial).await?;
    let (queue, receiver) = mpsc::channel::<Command>(COMMANDS_MAX);
    let waker = Waker::new()?;
    let commands = Commands::new(queue, waker.clone());
    let session = Session::new(peer, negotiated.local_socket, commands.clone());
    let opening = Opening {
        route: Route { peer, local: None },
        connection: Connection::new(negotiated, arrived, settings, opened),
        role,
        opened,
        response: None,
        _place: None,
        end: End::new(session.shared()),
    };
    // The queue is new and empty.
    commands.try_send(Command::Open(Box::new(opening)));
    let name = format!("srt-call-{}", peer.port());
    let mut post = Some((receiver, None));
    start(name, socket.into_std()?, waker, Arc::new(Shared::default()), shutdown, move || post.take())?;
    Ok(session)
}

/// The outcome of a handshake, when the answer came, and when our timestamps began.
async fn shake_hands(socket: &UdpSocket, dial: Dial) -> Result<(Negotiated, Instant, Instant), ConnectError> {
    let peer = dial.address;
    let config = CallerConfig {
        peer,
        socket_id: random_socket_id(),
        isn: SeqNo::new(rand::random()),
        mtu: DATAGRAM_BYTES as u32,
        flow_window: WINDOW_PACKETS,
        stream_id: dial.stream_id,
        latency_ms: u16::try_from(dial.latency.as_millis()).unwrap_or(u16::MAX),
        passphrase: dial.passphrase,
        key_length: dial.key_length,
        key_refresh: KeyRefresh::default(),
        timeout: CONNECT_TIMEOUT,
    };
    let mut caller = Caller::new(config, Instant::now());
    let mut buffer = [0; DATAGRAM_BYTES];
    loop {
        if let Some(datagram) = caller.poll_transmit(Instant::now())? {
            socket.send_to(datagram, peer).await?;
        }
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                let (len, from) = received?;
                let arrived = Instant::now();
                if from == peer && let Some(negotiated) = caller.handle(&buffer[..len], arrived)? {
                    return Ok((negotiated, arrived, caller.start()));
                }
            }
            () = tokio::time::sleep_until(caller.deadline().into()) => {}
        }
    }
}

/// How long a listener may take to answer (libsrt's `SRTO_CONNTIMEO`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Commands that wait for the session's worker.
const COMMANDS_MAX: usize = 16;
