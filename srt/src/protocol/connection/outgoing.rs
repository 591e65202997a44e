//! What is sent, most urgent first: answers, lost packets again, new packets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::acknowledge::{Acknowledger, Due};
use super::{Connection, KEEP_ALIVE, State, UDP_IP_HEADER_BYTES};
use crate::protocol::burst::Burst;
use crate::protocol::crypto::KeyMessage;
use crate::protocol::packet::control::{
    NAK_BYTES_MAX, write_ack, write_ack_ack, write_drop_request, write_keep_alive, write_key_request,
    write_key_response, write_nak, write_shutdown,
};
use crate::protocol::packet::{Ack, Boundary, DATAGRAM_BYTES, DataHeader, FullAck, HEADER_BYTES, Key};
use crate::protocol::sender::{Next, Source};
use crate::protocol::seq::SeqNo;

/// Answers that wait for the next transmission.
#[derive(Debug, Default)]
pub(super) struct Pending {
    confirmations: VecDeque<u32>,
    losses: Vec<(SeqNo, SeqNo)>,
    key_request: Option<KeyMessage>,
    pub(super) key_response: Option<KeyMessage>,
    drop_requests: VecDeque<(SeqNo, SeqNo)>,
    pub(super) shutdown: bool,
}

impl Pending {
    /// An ACKACK is owed.
    pub(super) fn confirm(&mut self, number: u32) {
        if self.confirmations.len() == CONFIRMATIONS_MAX {
            self.confirmations.pop_front();
        }
        self.confirmations.push_back(number);
    }

    /// The peer is to be told that these will not come. What does not fit is told when it asks again.
    pub(super) fn drop_request(&mut self, (first, last): (SeqNo, SeqNo)) {
        let full = self.drop_requests.len() == DROP_REQUESTS_MAX;
        match self.drop_requests.back_mut() {
            Some((_, end)) if end.next() == first => *end = last,
            _ if full => {}
            _ => self.drop_requests.push_back((first, last)),
        }
    }

    /// Something could not be sent yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.shutdown || !self.confirmations.is_empty() || !self.drop_requests.is_empty()
    }

    /// A NAK is owed. What does not fit is asked for by the periodic one.
    pub(super) fn report_loss(&mut self, first: SeqNo, last: SeqNo) {
        if self.losses.len() < LOSS_RANGES_MAX {
            self.losses.push((first, last));
        }
    }
}

impl Connection {
    /// Fills `burst` with what is to be sent now. A full burst means that there is more: send it and call again.
    pub fn poll_transmit(&mut self, now: Instant, source: Option<&mut dyn Source>, burst: &mut Burst) {
        let before = burst.len();
        if self.pending.shutdown {
            self.pending.shutdown = false;
            let (timestamp, peer) = (self.timestamp(now), self.negotiated.peer_socket);
            burst.push(|room| Some(write_shutdown(room, timestamp, peer)));
        }
        // A peer that has shut down hears nothing any more.
        if matches!(self.state, State::Closed(_) | State::Draining(_)) {
            return;
        }
        self.transmit_answers(now, burst);
        if let Some(source) = source {
            self.transmit_lost(now, source, burst);
            self.transmit_new(now, source, burst);
        }
        if burst.len() == before && now.saturating_duration_since(self.spoke) >= KEEP_ALIVE {
            let (timestamp, peer) = (self.timestamp(now), self.negotiated.peer_socket);
            burst.push(|room| Some(write_keep_alive(room, timestamp, peer)));
        }
        if burst.len() > before {
            self.spoke = now;
        }
    }

    fn transmit_answers(&mut self, now: Instant, burst: &mut Burst) {
        let (timestamp, peer) = (self.timestamp(now), self.negotiated.peer_socket);
        while !burst.is_full()
            && let Some(number) = self.pending.confirmations.pop_front()
        {
            burst.push(|room| Some(write_ack_ack(room, timestamp, peer, number)));
        }
        if let Some(response) = self.pending.key_response.take() {
            burst.push(|room| Some(write_key_response(room, timestamp, peer, &response)));
        }
        while !burst.is_full()
            && let Some(range) = self.pending.drop_requests.pop_front()
        {
            burst.push(|room| Some(write_drop_request(room, timestamp, peer, 0, range)));
        }
        if let Some(request) = self.pending.key_request.take() {
            burst.push(|room| Some(write_key_request(room, timestamp, peer, &request)));
        }
        if self.acknowledger.take_ask(&self.receiver, &self.rtt, now) {
            let patience = Acknowledger::ask_interval(&self.rtt);
            self.receiver.ask_again(now, patience, LOSS_RANGES_MAX, &mut self.pending.losses);
        }
        if !self.pending.losses.is_empty() {
            self.counters.pkt_sent_nak += 1;
            burst.push(|room| Some(write_nak(room, timestamp, peer, self.pending.losses.drain(..))));
        }
        if let Some(due) = self.acknowledger.take(&self.receiver, &self.rtt, now) {
            self.counters.pkt_sent_ack += 1;
            let (number, ack) = self.ack(due);
            burst.push(|room| Some(write_ack(room, timestamp, peer, number, &ack)));
        }
    }

    fn ack(&self, due: Due) -> (u32, Ack) {
        let sequence = self.receiver.acknowledged();
        match due {
            Due::Light => (0, Ack::Light(sequence)),
            Due::Full { number } => {
                let pps = u32::try_from(self.rate.received_pps).unwrap_or(u32::MAX);
                let full = FullAck {
                    sequence,
                    rtt_us: self.rtt.smoothed().as_micros() as u32,
                    rtt_var_us: self.rtt.variance().as_micros() as u32,
                    buffer_available: self.receiver.available(),
                    receive_rate_pps: Some(pps),
                    // We do not estimate it: what arrives is what the link is known to carry.
                    link_capacity_pps: Some(pps),
                    receive_rate_bps: Some(u32::try_from(self.rate.received_bps / 8).unwrap_or(u32::MAX)),
                };
                (number, Ack::Full(full))
            }
        }
    }

    fn transmit_lost(&mut self, now: Instant, source: &mut dyn Source, burst: &mut Burst) {
        let now_us = self.timestamp(now);
        while !burst.is_full() && self.sender.lost() > 0 && self.sender.pacer.is_open(now) {
            let Some((sequence, flight)) = self.sender.take_lost(now_us) else { break };
            let (epoch, peer, crypto) = (self.epoch, self.negotiated.peer_socket, &self.crypto);
            let sent = burst.push(|room| {
                let (head, body) = room.split_first_chunk_mut::<HEADER_BYTES>()?;
                let payload = body.get_mut(..usize::from(flight.len))?;
                if !source.again(flight.position, payload) {
                    return None;
                }
                let key =
                    crypto.as_ref().map_or(Key::None, |crypto| crypto.encrypt.encrypt(sequence, payload));
                data_header(sequence, key, micros(epoch, flight.origin), peer, true).write(head);
                Some(HEADER_BYTES + payload.len())
            });
            match sent {
                Some(bytes) => {
                    self.counters.pkt_retrans += 1;
                    self.counters.byte_retrans += bytes as u64 + UDP_IP_HEADER_BYTES;
                    self.account(bytes);
                }
                // The source no longer holds it: the receiver need not wait for it.
                None => {
                    self.counters.pkt_snd_drop += 1;
                    self.pending.drop_request((sequence, sequence));
                }
            }
        }
    }

    fn transmit_new(&mut self, now: Instant, source: &mut dyn Source, burst: &mut Burst) {
        let payload_max = self.negotiated.payload_max.min(DATAGRAM_BYTES - HEADER_BYTES);
        while !burst.is_full()
            && matches!(self.state, State::Open)
            && self.sender.has_room()
            && self.sender.pacer.is_open(now)
        {
            let sequence = self.sender.next();
            let mut next = Next::Empty;
            let (epoch, peer, crypto) = (self.epoch, self.negotiated.peer_socket, &self.crypto);
            let sent = burst.push(|room| {
                let (head, body) = room.split_first_chunk_mut::<HEADER_BYTES>()?;
                next = source.next(now, &mut body[..payload_max]);
                let Next::Payload { len, origin, .. } = next else { return None };
                let payload = body.get_mut(..len)?;
                let key =
                    crypto.as_ref().map_or(Key::None, |crypto| crypto.encrypt.encrypt(sequence, payload));
                data_header(sequence, key, micros(epoch, origin), peer, false).write(head);
                Some(HEADER_BYTES + len)
            });
            match (next, sent) {
                (Next::Payload { position, len, origin }, Some(bytes)) => {
                    let now_us = self.timestamp(now);
                    // What is older than the connection plays as if it were as old: its time has not passed yet.
                    let origin = origin.max(self.epoch);
                    self.sender.sent_new(position, len as u16, origin, now_us, now);
                    self.refresh_key(sequence, now);
                    self.counters.pkt_sent_unique += 1;
                    self.account(bytes);
                }
                (Next::End, _) => {
                    let linger = self.negotiated.send_latency + LINGER_MIN;
                    self.state = State::Finishing(now + linger);
                }
                _ => return,
            }
        }
    }

    fn refresh_key(&mut self, sequence: SeqNo, now: Instant) {
        let Some(crypto) = &mut self.crypto else { return };
        if let Some(request) = crypto.encrypt.on_packet_sent(sequence, now, self.rtt.smoothed()) {
            self.pending.key_request = Some(*request);
        }
    }

    fn account(&mut self, bytes: usize) {
        self.counters.pkt_sent += 1;
        self.counters.byte_sent += bytes as u64 + UDP_IP_HEADER_BYTES;
        self.sender.pacer.spend(bytes);
    }
}

fn data_header(
    sequence: SeqNo,
    key: Key,
    timestamp: u32,
    destination: u32,
    retransmitted: bool,
) -> DataHeader {
    DataHeader {
        sequence,
        boundary: Boundary::Solo,
        in_order: true,
        key,
        retransmitted,
        // Live mode has one packet a message; the numbers run together and never meet 0.
        message: (sequence.value() & 0x03ff_ffff).max(1),
        timestamp,
        destination,
    }
}

/// Microseconds from the connection's begin to `at`, wrapping. What is older than the connection counts as its begin.
fn micros(epoch: Instant, at: Instant) -> u32 {
    at.saturating_duration_since(epoch).as_micros() as u32
}

/// Drop requests owed at most.
const DROP_REQUESTS_MAX: usize = 16;

/// ACKACKs owed at most: more come only from a peer that floods.
const CONFIRMATIONS_MAX: usize = 16;

/// Ranges of one loss report: what a datagram holds.
const LOSS_RANGES_MAX: usize = (NAK_BYTES_MAX - HEADER_BYTES) / 8;

/// The tail of a finished stream may be sent again for the latency and this.
const LINGER_MIN: Duration = Duration::from_secs(1);
