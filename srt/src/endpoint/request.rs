//! A caller that asks to come in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::gate::Place;
use super::listener::Shared;
use super::session::{Role, Session};
use super::socket::Route;
use super::waker::Commands;
use super::worker::{Command, End, Opening};
use crate::protocol::connection::{Connection, Settings};
use crate::protocol::crypto::{CryptoPair, KeyLength, KeyRefresh, Passphrase};
use crate::protocol::handshake::Version;
use crate::protocol::handshake::listener::{self, Proposal};
use crate::protocol::packet::DATAGRAM_BYTES;
use crate::protocol::receiver::WINDOW_PACKETS;
use crate::protocol::reject::Reason;
use crate::protocol::stream_id::StreamId;

/// A caller whose address is proven and whose handshake waits for an answer. Dropping it turns the caller away.
#[derive(Debug)]
pub struct Request {
    route: Route,
    arrived: Instant,
    proposal: Option<Proposal>,
    commands: Commands,
    shared: Arc<Shared>,
    place: Option<Arc<Place>>,
}

/// A caller whose encryption is what was asked of it. Dropping it turns the caller away.
#[derive(Debug)]
pub struct Unlocked {
    request: Request,
    crypto: Option<CryptoPair>,
}

/// On what terms a caller is let in.
#[derive(Debug, Default)]
pub struct Acceptance {
    /// The least latency, for either direction; the caller may ask for more.
    pub latency: Duration,
    /// The bandwidth and the idle timeout.
    pub settings: Settings,
}

/// Why a caller could not be let in. It has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// The terms do not fit what the caller proposes: encryption, most often.
    #[error("{0}")]
    Refused(Reason),
    /// The listener has shut down.
    #[error("the listener has shut down")]
    Closed,
}

impl Request {
    pub(super) fn new(
        route: Route,
        proposal: Proposal,
        arrived: Instant,
        commands: Commands,
        shared: Arc<Shared>,
        place: Arc<Place>,
    ) -> Self {
        Self { route, arrived, proposal: Some(proposal), commands, shared, place: Some(place) }
    }

    /// Where the caller is.
    pub fn peer(&self) -> SocketAddr {
        self.route.peer
    }

    /// What the caller asks for.
    pub fn stream_id(&self) -> &StreamId {
        &self.proposal().stream_id
    }

    /// The length of the caller's keys; none when it wants a clear session.
    pub fn encryption(&self) -> Option<KeyLength> {
        self.proposal().key_length()
    }

    /// The caller's SRT version.
    pub fn version(&self) -> Version {
        self.proposal().peer_version
    }

    /// Opens the caller's keys with `passphrase`; none where the session is to be clear.
    ///
    /// Deriving the keys takes a millisecond or two of a blocking thread, so this never runs on a packet worker, and a
    /// few at a time in the whole process: a flood of callers must not take the processor from the packets.
    ///
    /// # Errors
    /// The encryption does not fit (the caller gets the standard's code), or the listener is gone.
    pub async fn unlock(mut self, passphrase: Option<Passphrase>) -> Result<Unlocked, AcceptError> {
        let proposal = self.take_proposal();
        let peer_socket = proposal.socket_id;
        let permit = UNLOCKING.acquire().await;
        let unlocking = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let crypto = proposal.unlock(passphrase.as_ref(), KeyRefresh::default());
            (proposal, crypto)
        });
        match unlocking.await {
            Ok((proposal, Ok(crypto))) => {
                self.proposal = Some(proposal);
                Ok(Unlocked { request: self, crypto })
            }
            Ok((proposal, Err(reason))) => {
                self.shared.count_rejection(reason);
                self.dismiss(peer_socket, Some(listener::reject(&proposal, reason))).await;
                Err(AcceptError::Refused(reason))
            }
            Err(_) => {
                self.dismiss(peer_socket, None).await;
                Err(AcceptError::Closed)
            }
        }
    }

    /// Turns the caller away.
    pub async fn reject(mut self, reason: Reason) {
        let proposal = self.take_proposal();
        self.shared.count_rejection(reason);
        self.dismiss(proposal.socket_id, Some(listener::reject(&proposal, reason))).await;
    }

    /// The datagram that turns the caller away, for a worker that sends it itself.
    pub(super) fn turn_away(mut self, reason: Reason) -> Vec<u8> {
        self.shared.count_rejection(reason);
        listener::reject(&self.take_proposal(), reason)
    }

    async fn dismiss(&self, peer_socket: u32, response: Option<Vec<u8>>) {
        // Where the worker has ended, nobody waits for an answer.
        self.commands.send(Command::Dismiss { route: self.route, peer_socket, response }).await;
    }

    fn proposal(&self) -> &Proposal {
        self.proposal.as_ref().expect("the proposal stays until the request is consumed")
    }

    fn take_proposal(&mut self) -> Proposal {
        self.proposal.take().expect("the proposal stays until the request is consumed")
    }
}

impl Unlocked {
    /// Lets the caller in.
    ///
    /// # Errors
    /// The listener is gone.
    pub async fn accept(self, acceptance: Acceptance, role: Role) -> Result<Session, AcceptError> {
        let Self { mut request, crypto } = self;
        let Acceptance { latency, settings } = acceptance;
        let terms = listener::Acceptance {
            socket_id: random_socket_id(),
            isn: None,
            mtu: DATAGRAM_BYTES as u32,
            flow_window: WINDOW_PACKETS,
            latency_ms: u16::try_from(latency.as_millis()).unwrap_or(u16::MAX),
            crypto,
            timestamp: 0,
        };
        let (response, negotiated) = listener::accept(&request.take_proposal(), terms);
        let opened = Instant::now();
        let session = Session::new(request.route.peer, negotiated.local_socket, request.commands.clone());
        let opening = Opening {
            route: request.route,
            connection: Connection::new(negotiated, request.arrived, settings, opened),
            role,
            opened,
            response: Some(response),
            _place: request.place.take(),
            end: End::new(session.shared()),
        };
        let sent = request.commands.send(Command::Open(Box::new(opening))).await;
        if sent { Ok(session) } else { Err(AcceptError::Closed) }
    }

    /// Turns the caller away after all.
    pub async fn reject(self, reason: Reason) {
        self.request.reject(reason).await;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let Some(proposal) = self.proposal.take() else { return };
        self.shared.count_rejection(Reason::Close);
        let (route, peer_socket) = (self.route, proposal.socket_id);
        let response = Some(listener::reject(&proposal, Reason::Close));
        // A full queue loses the courtesy alone: the worker forgets the caller by itself.
        self.commands.try_send(Command::Dismiss { route, peer_socket, response });
    }
}

/// Key derivations at a time.
static UNLOCKING: Semaphore = Semaphore::const_new(2);

/// A socket id that nobody can guess. 0 is the listener's, and libsrt keeps the two highest bits for groups.
pub(super) fn random_socket_id() -> u32 {
    loop {
        let id = rand::random::<u32>() & 0x3fff_ffff;
        if id != 0 {
            return id;
        }
    }
}
