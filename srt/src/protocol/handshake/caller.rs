//! The caller's side: a state machine without I/O.
//!
//! ```text
//! loop {
//!     while let Some(datagram) = caller.poll_transmit(now)? { send }
//!     wait for a datagram or until caller.deadline();
//!     if let Some(negotiated) = caller.handle(datagram, now)? { connected }
//! }
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::extension::{append, append_text};
use super::listener::datagram;
use super::negotiated::{MTU_MAX, MTU_MIN, payload_max};
use super::{
    Extension, Extensions, Flags, Handshake, HandshakeExtension, HandshakeKind, MAGIC, Negotiated, OUR_FLAGS,
    OUR_VERSION,
};
use crate::protocol::crypto::{CryptoPair, KeyLength, KeyMessage, KeyRefresh, KeyState, Passphrase};
use crate::protocol::packet::{Control, ControlBody, Packet, WireError, set_timestamp};
use crate::protocol::reject::Reason;
use crate::protocol::seq::SeqNo;
use crate::protocol::stream_id::StreamId;

/// What a caller wants.
#[derive(Debug, Clone)]
pub struct CallerConfig {
    /// The listener's address.
    pub peer: SocketAddr,
    /// Our socket; not 0.
    pub socket_id: u32,
    /// The number of our first packet; should be random.
    pub isn: SeqNo,
    /// Our MTU, in bytes. Usually 1500.
    pub mtu: u32,
    /// Packets the listener may have under way: the size of our receive buffer.
    pub flow_window: u32,
    /// What we want. Empty: no Stream ID is sent.
    pub stream_id: StreamId,
    /// The latency we want in both directions, in milliseconds.
    pub latency_ms: u16,
    /// Encrypt with this passphrase.
    pub passphrase: Option<Passphrase>,
    /// The length of the keys, where there is a passphrase.
    pub key_length: KeyLength,
    /// When keys are replaced, where there is a passphrase.
    pub key_refresh: KeyRefresh,
    /// How long to try. Default of libsrt: 3 s.
    pub timeout: Duration,
}

/// The state of a call.
#[derive(Debug)]
pub struct Caller {
    config: CallerConfig,
    start: Instant,
    send_at: Instant,
    step: Step,
    /// The request that is repeated, its header included.
    request: Vec<u8>,
    crypto: Option<(CryptoPair, KeyMessage)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Induction,
    Conclusion,
    Done,
}

/// A call that has come to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// The listener has turned us down.
    #[error("the listener rejected the connection: {0} (code {code})", code = .0.code())]
    Rejected(Reason),
    /// The listener has accepted, but on terms that are not ours. It is to be told by a shutdown.
    #[error("the listener's answer is not acceptable: {0}")]
    Refused(Reason),
    /// No answer in time.
    #[error("the listener did not answer within {0:?}")]
    Timeout(Duration),
    /// The listener does not speak version 5 of the handshake.
    #[error("the listener speaks handshake version {0}, only 5 is supported")]
    Version(u32),
    /// The listener's answer cannot be read.
    #[error("the listener's answer is malformed: {0}")]
    Malformed(#[from] WireError),
}

impl Caller {
    /// Begins a call. The first datagram is due at once.
    ///
    /// Takes about a millisecond where there is a passphrase (PBKDF2).
    pub fn new(config: CallerConfig, now: Instant) -> Self {
        let crypto = config
            .passphrase
            .as_ref()
            .map(|passphrase| CryptoPair::generate(passphrase, config.key_length, config.key_refresh));
        let mut caller =
            Self { config, start: now, send_at: now, step: Step::Induction, request: Vec::new(), crypto };
        // The draft, 4.3.1.1: version 4 and extension field 2 in a caller's induction.
        let handshake = Handshake { version: 4, extension: 2, ..caller.handshake(HandshakeKind::Induction) };
        caller.request = datagram(0, LISTENER, &handshake.to_bytes());
        caller
    }

    /// When the connection began: timestamps count from here.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// When to call [`Caller::poll_transmit`] next.
    pub fn deadline(&self) -> Instant {
        self.send_at.min(self.start + self.config.timeout)
    }

    /// The datagram to send now, if one is due.
    ///
    /// # Errors
    /// The time is up.
    pub fn poll_transmit(&mut self, now: Instant) -> Result<Option<&[u8]>, CallerError> {
        if self.step == Step::Done {
            return Ok(None);
        }
        if now >= self.start + self.config.timeout {
            return Err(CallerError::Timeout(self.config.timeout));
        }
        if now < self.send_at {
            return Ok(None);
        }
        self.send_at = now + REPEAT;
        // The field is meant to wrap after 71 minutes.
        let timestamp = now.saturating_duration_since(self.start).as_micros() as u32;
        set_timestamp(&mut self.request, timestamp);
        Ok(Some(&self.request))
    }

    /// Takes a datagram. Returns what is settled once the listener has accepted.
    ///
    /// Datagrams that do not belong to the handshake are ignored.
    ///
    /// # Errors
    /// The listener rejects, or its answer is unusable.
    pub fn handle(&mut self, datagram: &[u8], now: Instant) -> Result<Option<Negotiated>, CallerError> {
        let Ok(Packet::Control(Control { timestamp, destination, body: ControlBody::Handshake(body) })) =
            Packet::parse(datagram)
        else {
            return Ok(None);
        };
        if destination != self.config.socket_id || self.step == Step::Done {
            return Ok(None);
        }
        let (handshake, extensions) = Handshake::parse(body)?;
        match (handshake.kind, self.step) {
            (HandshakeKind::Rejection(reason), _) => {
                self.step = Step::Done;
                Err(CallerError::Rejected(reason))
            }
            (HandshakeKind::Induction, Step::Induction) => {
                self.conclude(&handshake)?;
                self.send_at = now;
                Ok(None)
            }
            (HandshakeKind::Conclusion, Step::Conclusion) => {
                self.step = Step::Done;
                self.settle(&handshake, extensions, timestamp).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn handshake(&self, kind: HandshakeKind) -> Handshake {
        Handshake {
            version: 5,
            encryption: 0,
            extension: 0,
            isn: self.config.isn,
            mtu: self.config.mtu.clamp(MTU_MIN, MTU_MAX),
            flow_window: self.config.flow_window,
            kind,
            socket_id: self.config.socket_id,
            cookie: 0,
            peer_address: Handshake::address_field(self.config.peer.ip()),
        }
    }

    fn conclude(&mut self, induction: &Handshake) -> Result<(), CallerError> {
        if induction.version != 5 || induction.extension != MAGIC {
            return Err(CallerError::Version(induction.version));
        }
        let has_stream_id = !self.config.stream_id.is_empty();
        let key_bytes = self.crypto.as_ref().map_or(0, |_| self.config.key_length.bytes());
        let handshake = Handshake {
            cookie: induction.cookie,
            encryption: (key_bytes / 8) as u16,
            extension: Extension::FLAG_HANDSHAKE
                | if key_bytes > 0 { Extension::FLAG_KEY } else { 0 }
                | if has_stream_id { Extension::FLAG_CONFIG } else { 0 },
            ..self.handshake(HandshakeKind::Conclusion)
        };
        let mut body = handshake.to_bytes().to_vec();
        let request = HandshakeExtension {
            version: OUR_VERSION,
            flags: OUR_FLAGS,
            receiver_delay_ms: self.config.latency_ms,
            sender_delay_ms: self.config.latency_ms,
        };
        append(&mut body, Extension::HANDSHAKE_REQUEST, &request.to_bytes());
        if let Some((_, message)) = &self.crypto {
            append(&mut body, Extension::KEY_REQUEST, message);
        }
        if has_stream_id {
            append_text(&mut body, Extension::STREAM_ID, &self.config.stream_id.to_string());
        }
        self.request = datagram(0, LISTENER, &body);
        self.step = Step::Conclusion;
        Ok(())
    }

    fn settle(
        &mut self,
        handshake: &Handshake,
        extensions: &[u8],
        peer_timestamp: u32,
    ) -> Result<Negotiated, CallerError> {
        if handshake.version != 5 {
            return Err(CallerError::Version(handshake.version));
        }
        for (field, value, least) in [
            ("socket id", handshake.socket_id, 1),
            ("MTU", handshake.mtu, MTU_MIN),
            ("flow window", handshake.flow_window, 1),
        ] {
            if value < least {
                return Err(WireError::Handshake { field, value }.into());
            }
        }
        let mut response = None;
        let mut key_answer = None;
        for extension in Extensions::new(extensions) {
            let extension = extension?;
            match extension.kind {
                Extension::HANDSHAKE_RESPONSE => response = Some(HandshakeExtension::parse(extension.body)?),
                Extension::KEY_RESPONSE => key_answer = Some(extension.body),
                Extension::FILTER => return Err(CallerError::Refused(Reason::Filter)),
                _ => {}
            }
        }
        let response = response.ok_or(CallerError::Refused(Reason::Rogue))?;
        let crypto = secure(self.crypto.take(), key_answer).map_err(CallerError::Refused)?;
        let mtu = handshake.mtu.min(self.config.mtu.clamp(MTU_MIN, MTU_MAX));
        // The listener has chosen the larger of both sides' already. Where it does not time a direction, ours holds.
        let latency = |flag, delay_ms: u16| {
            let delay_ms = if response.flags.contains(flag) { delay_ms } else { self.config.latency_ms };
            Duration::from_millis(delay_ms.into())
        };
        Ok(Negotiated {
            local_socket: self.config.socket_id,
            peer_socket: handshake.socket_id,
            send_isn: self.config.isn,
            receive_isn: handshake.isn,
            mtu,
            payload_max: payload_max(mtu, self.config.peer),
            send_latency: latency(Flags::TSBPD_RECEIVER, response.receiver_delay_ms),
            receive_latency: latency(Flags::TSBPD_SENDER, response.sender_delay_ms),
            flow_window: handshake.flow_window,
            peer_version: response.version,
            peer_flags: response.flags,
            peer_timestamp,
            stream_id: self.config.stream_id.clone(),
            crypto,
        })
    }
}

/// Whether the listener has taken our keys. Encryption is enforced: a listener that takes none gets no clear payloads.
fn secure(
    ours: Option<(CryptoPair, KeyMessage)>,
    answer: Option<&[u8]>,
) -> Result<Option<CryptoPair>, Reason> {
    match (ours, answer) {
        (None, None) => Ok(None),
        (Some((crypto, message)), Some(answer)) if *answer == *message => Ok(Some(crypto)),
        (Some(_), Some(answer)) => Err(match KeyState::parse(answer) {
            Some(KeyState::BadSecret) => Reason::BadSecret,
            Some(KeyState::BadCryptoMode) => Reason::Crypto,
            Some(_) => Reason::Unsecure,
            None => Reason::Rogue,
        }),
        (Some(_), None) | (None, Some(_)) => Err(Reason::Unsecure),
    }
}

/// The destination of what goes to a listener.
const LISTENER: u32 = 0;

/// How often a request is repeated (libsrt: 250 ms).
const REPEAT: Duration = Duration::from_millis(250);
