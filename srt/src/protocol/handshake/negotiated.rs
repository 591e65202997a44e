//! What a handshake has settled.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Flags, Version};
use crate::protocol::crypto::CryptoPair;
use crate::protocol::packet::HEADER_BYTES;
use crate::protocol::seq::SeqNo;
use crate::protocol::stream_id::StreamId;

/// What both sides of a connection have agreed on.
#[derive(Debug)]
pub struct Negotiated {
    /// Our socket: the destination of what we receive.
    pub local_socket: u32,
    /// The peer's socket: the destination of what we send.
    pub peer_socket: u32,
    /// The number of the first packet we send.
    pub send_isn: SeqNo,
    /// The number of the first packet we receive.
    pub receive_isn: SeqNo,
    /// The largest IP packet, headers included, in bytes: the smaller one of both sides'.
    pub mtu: u32,
    /// The largest payload of a data packet, in bytes.
    pub payload_max: usize,
    /// How long after its origin the peer delivers what we send.
    pub send_latency: Duration,
    /// How long after its origin we deliver what the peer sends.
    pub receive_latency: Duration,
    /// Packets that may be under way to the peer without an acknowledgement.
    pub flow_window: u32,
    /// The peer's SRT version.
    pub peer_version: Version,
    /// What the peer supports.
    pub peer_flags: Flags,
    /// The timestamp of the peer's concluding handshake: the peer's connection began so many microseconds before it
    /// arrived, which is the base of timestamp-based delivery (the draft, 4.5.1.1).
    pub peer_timestamp: u32,
    /// What the caller asked for.
    pub stream_id: StreamId,
    /// The encryption, where there is one.
    pub crypto: Option<CryptoPair>,
}

/// The largest payload of a data packet: what IP, UDP and SRT headers leave of the MTU.
pub(super) fn payload_max(mtu: u32, peer: SocketAddr) -> usize {
    let ip_bytes = match peer.ip().to_canonical() {
        IpAddr::V4(_) => 20,
        IpAddr::V6(_) => 40,
    };
    (mtu as usize).saturating_sub(ip_bytes + UDP_BYTES + HEADER_BYTES)
}

/// The smallest MTU worth speaking: one TS packet behind IPv6, UDP and SRT headers.
pub(super) const MTU_MIN: u32 = 188 + 40 + 8 + 16;

/// The largest MTU: an Ethernet frame's payload.
pub(super) const MTU_MAX: u32 = 1500;

const UDP_BYTES: usize = 8;
