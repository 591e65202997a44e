//! The listener's side, without state: every answer follows from the datagram, the secret and the minute.
//!
//! An induction is answered and forgotten, so a flood of them costs a hash each and no memory. A conclusion that brings
//! the right cookie back becomes a [`Proposal`]; whoever decides about it then calls [`Proposal::unlock`],
//! [`accept`] or [`reject`], as late as it likes. A caller repeats its conclusion every 250 ms: recognise it by the
//! peer's address and [`Proposal::socket_id`], and send the stored answer again with its timestamp set anew
//! ([`set_timestamp`](crate::protocol::packet::set_timestamp)).

mod fault;

pub use fault::{Fault, Rejection};

use std::net::SocketAddr;
use std::time::Duration;

use super::extension::append;
use super::negotiated::{MTU_MAX, MTU_MIN, payload_max};
use super::{
    CookieSecret, Extension, Extensions, Flags, HANDSHAKE_BYTES, Handshake, HandshakeExtension,
    HandshakeKind, MAGIC, Negotiated, OUR_FLAGS, OUR_VERSION, Version,
};
use crate::protocol::crypto::{CryptoPair, KeyLength, KeyMaterial, KeyRefresh, Passphrase};
use crate::protocol::packet::control::write_handshake;
use crate::protocol::packet::{Control, ControlBody, DATAGRAM_BYTES, HEADER_BYTES, Packet};
use crate::protocol::reject::Reason;
use crate::protocol::seq::SeqNo;
use crate::protocol::stream_id::{StreamId, StreamIdError};

/// Bytes of the answer to an induction.
pub const INDUCTION_BYTES: usize = HEADER_BYTES + HANDSHAKE_BYTES;

/// Answers an induction with a cookie. The answer is no longer than the question, so it amplifies nothing.
///
/// `minute`: minutes of any clock that does not jump; cookies hold for this one and the next.
pub fn induction(
    handshake: &Handshake,
    peer: SocketAddr,
    secret: &CookieSecret,
    minute: u64,
) -> [u8; INDUCTION_BYTES] {
    let answer = Handshake {
        // The draft, 4.3.1.1: the listener answers with version 5 and the magic value.
        version: 5,
        encryption: 0,
        extension: MAGIC,
        cookie: secret.cookie(peer, minute),
        peer_address: Handshake::address_field(peer.ip()),
        ..*handshake
    };
    let mut buffer = [0; DATAGRAM_BYTES];
    write_handshake(&mut buffer, 0, handshake.socket_id, &answer.to_bytes());
    *buffer.first_chunk().expect("an induction is shorter than a datagram")
}

/// Reads a conclusion.
///
/// # Errors
/// A datagram that is to be ignored or answered with a rejection: the error holds the answer, if there is to be one.
pub fn conclusion(
    datagram: &[u8],
    peer: SocketAddr,
    secret: &CookieSecret,
    minute: u64,
) -> Result<Proposal, Rejection> {
    let packet = Packet::parse(datagram).map_err(|error| Rejection::silent(error.into()))?;
    let Packet::Control(Control { timestamp, body: ControlBody::Handshake(body), .. }) = packet else {
        return Err(Rejection::silent(Fault::NotAConclusion));
    };
    let (handshake, extensions) = Handshake::parse(body).map_err(|error| Rejection::silent(error.into()))?;
    if handshake.kind != HandshakeKind::Conclusion {
        return Err(Rejection::silent(Fault::NotAConclusion));
    }
    // Without the cookie the sender may be anyone: an answer would go to whoever owns the address.
    if !secret.accepts(handshake.cookie, peer, minute) {
        return Err(Rejection::silent(Fault::Cookie));
    }
    propose(&handshake, extensions, peer, timestamp)
        .map_err(|fault| Rejection { datagram: Some(refuse(&handshake, fault.reason(), 0)), fault })
}

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The caller's address.
    pub peer: SocketAddr,
    /// The caller's socket.
    pub socket_id: u32,
    /// The number of the caller's first packet.
    pub isn: SeqNo,
    /// The caller's MTU, in bytes.
    pub mtu: u32,
    /// The caller's flow window, in packets.
    pub flow_window: u32,
    /// What it wants.
    pub stream_id: StreamId,
    /// Its keys, still wrapped; none where it does not encrypt.
    pub key_material: Option<KeyMaterial>,
    /// The latencies it asks for.
    pub peer_latency: PeerLatency,
    /// Its SRT version.
    pub peer_version: Version,
    /// What it supports.
    pub flags: Flags,
    /// The timestamp of its conclusion, in microseconds.
    pub peer_timestamp: u32,
    handshake: Handshake,
}

/// The latencies a peer asks for, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerLatency {
    /// How long it holds what it receives.
    pub receive_ms: u16,
    /// How long we are to hold what it sends.
    pub send_ms: u16,
}

/// On what terms a caller is accepted.
#[derive(Debug)]
pub struct Acceptance {
    /// Our new socket.
    pub socket_id: u32,
    /// The number of our first packet; none takes the caller's, as libsrt does.
    pub isn: Option<SeqNo>,
    /// Our MTU, in bytes; the smaller of both sides' is used.
    pub mtu: u32,
    /// Packets the caller may have under way: the size of our receive buffer.
    pub flow_window: u32,
    /// The latency we want in both directions, in milliseconds; the larger of both sides' is used.
    pub latency_ms: u16,
    /// What [`Proposal::unlock`] gave.
    pub crypto: Option<CryptoPair>,
    /// Microseconds since our connection began, usually 0.
    pub timestamp: u32,
}

impl Proposal {
    /// The length of its keys; none where it does not encrypt.
    pub fn key_length(&self) -> Option<KeyLength> {
        self.key_material.as_ref().map(KeyMaterial::key_length)
    }

    /// Opens the caller's keys with the passphrase that this request is to have.
    ///
    /// Takes about a millisecond where there is one (PBKDF2): not for the path of the packets.
    ///
    /// # Errors
    /// [`Reason::Unsecure`] where one side encrypts and the other does not, [`Reason::BadSecret`] where the passphrases
    /// differ: libsrt's codes with `SRTO_ENFORCEDENCRYPTION`, its default.
    pub fn unlock(
        &self,
        passphrase: Option<&Passphrase>,
        refresh: KeyRefresh,
    ) -> Result<Option<CryptoPair>, Reason> {
        match (&self.key_material, passphrase) {
            (None, None) => Ok(None),
            (Some(material), Some(passphrase)) => {
                CryptoPair::unlock(material, passphrase, refresh).map(Some).map_err(|_| Reason::BadSecret)
            }
            (Some(_), None) | (None, Some(_)) => Err(Reason::Unsecure),
        }
    }
}

/// Accepts a proposal: the datagram to send, and what is settled by it.
///
/// The caller may repeat its conclusion, for the datagram may be lost: keep it until the connection carries data.
pub fn accept(proposal: &Proposal, acceptance: Acceptance) -> (Vec<u8>, Negotiated) {
    let mtu = acceptance.mtu.clamp(MTU_MIN, MTU_MAX).min(proposal.mtu);
    let isn = acceptance.isn.unwrap_or(proposal.isn);
    // The draft, 4.4: the latency of a direction is the larger of what its two ends ask for. What the caller wants held
    // when it sends is what we hold when we receive, and the other way round.
    let receive_ms = acceptance.latency_ms.max(proposal.peer_latency.send_ms);
    let send_ms = acceptance.latency_ms.max(proposal.peer_latency.receive_ms);
    let key_answer = proposal.key_material.as_ref().filter(|_| acceptance.crypto.is_some());
    let handshake = Handshake {
        version: 5,
        encryption: key_answer.map_or(0, |material| (material.key_length().bytes() / 8) as u16),
        extension: Extension::FLAG_HANDSHAKE | key_answer.map_or(0, |_| Extension::FLAG_KEY),
        isn,
        mtu,
        flow_window: acceptance.flow_window,
        kind: HandshakeKind::Conclusion,
        socket_id: acceptance.socket_id,
        cookie: proposal.handshake.cookie,
        peer_address: Handshake::address_field(proposal.peer.ip()),
    };
    let mut body = handshake.to_bytes().to_vec();
    let response = HandshakeExtension {
        version: OUR_VERSION,
        flags: answer_flags(proposal.flags),
        receiver_delay_ms: receive_ms,
        sender_delay_ms: send_ms,
    };
    append(&mut body, Extension::HANDSHAKE_RESPONSE, &response.to_bytes());
    if let Some(material) = key_answer {
        append(&mut body, Extension::KEY_RESPONSE, &material.message());
    }
    let negotiated = Negotiated {
        local_socket: acceptance.socket_id,
        peer_socket: proposal.socket_id,
        send_isn: isn,
        receive_isn: proposal.isn,
        mtu,
        payload_max: payload_max(mtu, proposal.peer),
        send_latency: Duration::from_millis(send_ms.into()),
        receive_latency: Duration::from_millis(receive_ms.into()),
        flow_window: proposal.flow_window,
        peer_version: proposal.peer_version,
        peer_flags: proposal.flags,
        peer_timestamp: proposal.peer_timestamp,
        stream_id: proposal.stream_id.clone(),
        crypto: acceptance.crypto,
    };
    (datagram(acceptance.timestamp, proposal.socket_id, &body), negotiated)
}

/// Turns a proposal down: the datagram to send.
pub fn reject(proposal: &Proposal, reason: Reason) -> Vec<u8> {
    refuse(&proposal.handshake, reason, 0)
}

/// libsrt `fillSrtHandshake_HSRSP`: what the caller did not offer is not answered.
fn answer_flags(peer: Flags) -> Flags {
    let mut flags = OUR_FLAGS.0;
    if !peer.contains(Flags::REXMIT) {
        flags &= !Flags::REXMIT.0;
    }
    if !peer.contains(Flags::TSBPD_RECEIVER) {
        flags &= !Flags::TSBPD_SENDER.0;
    }
    Flags(flags)
}

fn refuse(handshake: &Handshake, reason: Reason, timestamp: u32) -> Vec<u8> {
    let answer = Handshake { kind: HandshakeKind::Rejection(reason), extension: 0, ..*handshake };
    datagram(timestamp, handshake.socket_id, &answer.to_bytes())
}

pub(super) fn datagram(timestamp: u32, destination: u32, body: &[u8]) -> Vec<u8> {
    let mut buffer = [0; DATAGRAM_BYTES];
    let length = write_handshake(&mut buffer, timestamp, destination, body);
    buffer[..length].to_vec()
}

fn propose(
    handshake: &Handshake,
    extensions: &[u8],
    peer: SocketAddr,
    peer_timestamp: u32,
) -> Result<Proposal, Fault> {
    if handshake.version != 5 {
        return Err(Fault::HandshakeVersion(handshake.version));
    }
    if handshake.socket_id == 0 {
        return Err(Fault::Field { field: "socket id", value: 0 });
    }
    if handshake.mtu < MTU_MIN {
        return Err(Fault::Field { field: "MTU", value: handshake.mtu });
    }
    if handshake.flow_window == 0 {
        return Err(Fault::Field { field: "flow window", value: 0 });
    }
    let blocks = Blocks::read(extensions)?;
    let request = blocks.request.ok_or(Fault::Missing)?;
    if request.version < Version::HANDSHAKE_5 {
        return Err(Fault::SrtVersion(request.version));
    }
    if request.flags.contains(Flags::STREAM) {
        return Err(Fault::StreamInterface);
    }
    let delay = |flag, delay_ms| if request.flags.contains(flag) { delay_ms } else { 0 };
    Ok(Proposal {
        peer,
        socket_id: handshake.socket_id,
        isn: handshake.isn,
        mtu: handshake.mtu.min(MTU_MAX),
        flow_window: handshake.flow_window,
        stream_id: blocks.stream_id.unwrap_or_default(),
        key_material: blocks.key_material,
        peer_latency: PeerLatency {
            receive_ms: delay(Flags::TSBPD_RECEIVER, request.receiver_delay_ms),
            send_ms: delay(Flags::TSBPD_SENDER, request.sender_delay_ms),
        },
        peer_version: request.version,
        flags: request.flags,
        peer_timestamp,
        handshake: *handshake,
    })
}

/// The extensions of a caller's conclusion.
#[derive(Default)]
struct Blocks {
    request: Option<HandshakeExtension>,
    key_material: Option<KeyMaterial>,
    stream_id: Option<StreamId>,
    congestion: Option<()>,
}

impl Blocks {
    fn read(extensions: &[u8]) -> Result<Self, Fault> {
        let mut blocks = Self::default();
        for extension in Extensions::new(extensions) {
            let extension = extension?;
            match extension.kind {
                Extension::HANDSHAKE_REQUEST => {
                    let request = HandshakeExtension::parse(extension.body)?;
                    once(&mut blocks.request, request, extension.kind)?;
                }
                Extension::KEY_REQUEST => {
                    let material = KeyMaterial::parse(extension.body)?;
                    once(&mut blocks.key_material, material, extension.kind)?;
                }
                Extension::STREAM_ID => {
                    // The length is checked before the text is copied.
                    if extension.body.len() > StreamId::BYTES_MAX {
                        let bytes = extension.body.len();
                        return Err(StreamIdError::TooLong { bytes }.into());
                    }
                    let stream_id = StreamId::from_bytes(&extension.text())?;
                    once(&mut blocks.stream_id, stream_id, extension.kind)?;
                }
                Extension::CONGESTION => {
                    if extension.body.len() > CONGESTION_BYTES_MAX || extension.text() != b"live" {
                        return Err(Fault::Congestion);
                    }
                    once(&mut blocks.congestion, (), extension.kind)?;
                }
                Extension::FILTER => return Err(Fault::Filter),
                Extension::GROUP => return Err(Fault::Group),
                _ => {}
            }
        }
        Ok(blocks)
    }
}

fn once<T>(place: &mut Option<T>, value: T, kind: u16) -> Result<(), Fault> {
    if place.replace(value).is_some() { Err(Fault::Repeated(kind)) } else { Ok(()) }
}

/// The longest name of a congestion control (libsrt `CSrtConfig::MAX_CONG_LENGTH`).
const CONGESTION_BYTES_MAX: usize = 16;
