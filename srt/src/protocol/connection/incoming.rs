//! What a datagram changes.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{CloseReason, Connection, State, UDP_IP_HEADER_BYTES};
use crate::protocol::crypto::{KeyMessage, KeyState};
use crate::protocol::packet::{
    Ack, Control, ControlBody, DATAGRAM_BYTES, DataHeader, HEADER_BYTES, Key, LossList, Packet,
};
use crate::protocol::receiver::Place;

impl Connection {
    /// Takes in a datagram that was addressed to this connection by its peer. A payload is decrypted where it is, and
    /// copied once, if it is wanted. What makes no sense is counted (`pktRcvInvalid`) and dropped.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &mut [u8]) {
        if self.closed().is_some() {
            return;
        }
        let header = match Packet::parse(datagram) {
            Ok(Packet::Data(header, _)) => header,
            Ok(Packet::Control(control)) => {
                self.heard = now;
                return self.handle_control(now, &control);
            }
            Err(_) => {
                self.counters.pkt_rcv_invalid += 1;
                return;
            }
        };
        self.heard = now;
        let payload = &mut datagram[HEADER_BYTES..];
        // No packet is larger than an Ethernet frame: what would be costs memory and is nobody's stream.
        if payload.len() > DATAGRAM_BYTES - HEADER_BYTES {
            self.counters.pkt_rcv_invalid += 1;
            return;
        }
        self.handle_data(now, &header, payload);
    }

    fn handle_data(&mut self, now: Instant, header: &DataHeader, payload: &mut [u8]) {
        self.counters.pkt_recv += 1;
        self.counters.byte_recv += (HEADER_BYTES + payload.len()) as u64 + UDP_IP_HEADER_BYTES;
        self.counters.pkt_rcv_retrans += u64::from(header.retransmitted);
        match self.receiver.place(header.sequence, now) {
            Place::New { gap } => {
                if let Some((first, last)) = gap {
                    self.counters.pkt_rcv_loss += last.minus(first).unsigned_abs() as u64 + 1;
                    self.pending.report_loss(first, last);
                }
            }
            Place::Duplicate => return,
            Place::Belated => {
                self.counters.pkt_rcv_belated += 1;
                return;
            }
            Place::BeyondWindow => {
                self.counters.pkt_rcv_invalid += 1;
                return;
            }
        }
        self.acknowledger.received();
        if self.decrypt(header, payload) {
            self.counters.pkt_recv_unique += 1;
            self.receiver.insert(now, header.sequence, header.timestamp, Bytes::copy_from_slice(payload));
        } else {
            self.counters.pkt_rcv_undecrypt += 1;
            self.receiver.give_up(header.sequence);
        }
    }

    fn decrypt(&self, header: &DataHeader, payload: &mut [u8]) -> bool {
        match (&self.crypto, header.key) {
            // A clear packet on an encrypted connection did not come from our peer: it is not played.
            (Some(_), Key::None) | (None, Key::Even | Key::Odd) => false,
            (None, Key::None) => true,
            (Some(crypto), key) => crypto.decrypt.decrypt(key, header.sequence, payload).is_ok(),
        }
    }

    fn handle_control(&mut self, now: Instant, control: &Control<'_>) {
        match control.body {
            ControlBody::Ack { number, ack } => self.handle_ack(now, number, &ack),
            ControlBody::Nak(losses) => self.handle_nak(now, losses),
            ControlBody::AckAck { number } => self.handle_ack_ack(now, number, control.timestamp),
            ControlBody::DropRequest { first, last, .. } => {
                match self.receiver.give_up_range(first, last, now) {
                    Some(given_up) => self.counters.pkt_rcv_drop += u64::from(given_up),
                    None => self.counters.pkt_rcv_invalid += 1,
                }
            }
            ControlBody::Shutdown => {
                // What is already here still plays out at its time: a stream's end is not cut off.
                if matches!(self.state, State::Open) && !self.receiver.is_empty() {
                    let playing = self.negotiated.receive_latency + DRAIN_GRACE;
                    self.state = State::Draining(now + playing);
                } else {
                    self.end(CloseReason::Peer);
                }
            }
            ControlBody::KeyRequest(message) => {
                self.pending.key_response = Some(match &mut self.crypto {
                    Some(crypto) => crypto.decrypt.handle_key_request(message).message,
                    None => KeyMessage::status(KeyState::NoSecret),
                });
            }
            ControlBody::KeyResponse(message) => {
                if let Some(crypto) = &mut self.crypto {
                    crypto.encrypt.handle_key_response(message);
                }
            }
            ControlBody::KeepAlive | ControlBody::CongestionWarning | ControlBody::Handshake(_) => {}
            ControlBody::PeerError(_) | ControlBody::Unknown { .. } => self.counters.pkt_rcv_invalid += 1,
        }
    }

    fn handle_ack(&mut self, now: Instant, number: u32, ack: &Ack) {
        self.counters.pkt_recv_ack += 1;
        let window = match ack {
            Ack::Light(_) => None,
            Ack::Full(full) => Some(full.buffer_available),
        };
        if !self.sender.acknowledged(ack.sequence(), window, now) {
            self.counters.pkt_rcv_invalid += 1;
            return;
        }
        if let Ack::Full(full) = ack {
            self.rtt.adopt(full.rtt_us, full.rtt_var_us);
            self.pending.confirm(number);
        }
    }

    fn handle_nak(&mut self, now: Instant, losses: LossList<'_>) {
        self.counters.pkt_recv_nak += 1;
        let now_us = self.timestamp(now);
        let path = self.path();
        for range in losses {
            // What is no longer in flight was acknowledged or given up: the receiver may have missed that we said so.
            if let Ok((first, last)) = range
                && let Some(gone) = self.sender.gone(first, last)
            {
                self.pending.drop_request(gone);
            }
            let queued = range.ok().and_then(|range| self.sender.reported_lost(range, now, now_us, &path));
            match queued {
                Some(count) => self.counters.pkt_snd_loss += u64::from(count),
                None => self.counters.pkt_rcv_invalid += 1,
            }
        }
    }

    fn handle_ack_ack(&mut self, now: Instant, number: u32, timestamp: u32) {
        let Some(round_trip) = self.acknowledger.confirmed(number, now) else { return };
        self.rtt.sample(round_trip);
        let first = *self.rtt_first.get_or_insert(round_trip);
        let excess = self.rtt.smoothed().saturating_sub(first);
        self.receiver.observe_clock(now, timestamp, excess.min(Duration::from_secs(1)));
    }
}

/// Payloads play out at `origin + latency`; the origin may seem to lie a little ahead.
const DRAIN_GRACE: Duration = Duration::from_secs(1);
