//! What is sent, most urgent first: answers, lost packets again, new packets.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::acknowledge::{Acknowledger, Due};
use super::{Connection, CryptoPair, KEEP_ALIVE, State, UDP_IP_HEADER_BYTES};
use crate::protocol::burst::Burst;
use crate::protocol::crypto::KeyMessage;
use crate::protocol::packet::control::{
    NAK_BYTES_MAX, write_ack, write_ack_ack, write_drop_request, write_keep_alive, write_key_request,
    write_key_response, write_nak, write_shutdown,
};
use crate::protocol::packet::{Ack, Boundary, DATAGRAM_BYTES, DataHeader, FullAck, HEADER_BYTES, Key};
use crate::protocol::sender::{Flight, Outlet, Sender, Source, Supply};
use crate::protocol::seq::SeqNo;
use crate::protocol::stats::Counters;

/// Answers that wait for the next transmission.
#[derive(Debug, Default)]
pub(super) struct Pending {
    confirmation: Option<u32>,
    losses: Vec<(SeqNo, SeqNo)>,
    key_request: Option<KeyMessage>,
    pub(super) key_response: Option<KeyMessage>,
    drop_requests: VecDeque<(SeqNo, SeqNo)>,
    pub(super) shutdown: bool,
}

impl Pending {
    /// An ACKACK is owed. It confirms the earlier ones too, for whoever sent them.
    pub(super) fn confirm(&mut self, number: u32) {
        self.confirmation = Some(number);
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

    /// Something is to be sent.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_urgent() || self.confirmation.is_some()
    }

    /// Something is to be sent that the peer waits for.
    pub(super) fn is_urgent(&self) -> bool {
        self.shutdown
            || self.key_response.is_some()
            || !self.drop_requests.is_empty()
            || !self.losses.is_empty()
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
    /// Returns how many payloads there are in it.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        source: Option<&mut dyn Source>,
        burst: &mut Burst,
    ) -> usize {
        let (before, packets) = (burst.len(), self.counters.pkt_sent);
        if self.pending.shutdown {
            self.pending.shutdown = false;
            let (timestamp, peer) = (self.timestamp(now), self.negotiated.peer_socket);
            burst.push(|room| Some(write_shutdown(room, timestamp, peer)));
        }
        // A peer that has shut down hears nothing any more.
        if matches!(self.state, State::Closed(_) | State::Draining(_)) {
            return 0;
        }
        self.transmit_answers(now, burst);
        if let Some(source) = source {
            self.transmit_lost(now, source, burst, Sender::take_lost);
            self.transmit_new(now, source, burst);
            self.transmit_lost(now, source, burst, Sender::take_copy);
        }
        self.transmit_confirmation(now, burst);
        if burst.len() == before && now.saturating_duration_since(self.spoke) >= KEEP_ALIVE {
            let (timestamp, peer) = (self.timestamp(now), self.negotiated.peer_socket);
            burst.push(|room| Some(write_keep_alive(room, timestamp, peer)));
        }
        if burst.len() > before {
            self.spoke = now;
        }
        (self.counters.pkt_sent - packets) as usize
    }

    /// Last, so that it goes with the payloads in one send: a run of datagrams may end with a shorter one.
    fn transmit_confirmation(&mut self, now: Instant, burst: &mut Burst) {
        if burst.is_full() {
            return;
        }
        if let Some(number) = self.pending.confirmation.take() {
            let (timestamp, peer) = (self.timestamp(now), self.negotiated.peer_socket);
            burst.push(|room| Some(write_ack_ack(room, timestamp, peer, number)));
        }
    }

    fn transmit_answers(&mut self, now: Instant, burst: &mut Burst) {
        let (timestamp, peer) = (self.timestamp(now), self.negotiated.peer_socket);
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

    fn transmit_lost(
        &mut self,
        now: Instant,
        source: &mut dyn Source,
        burst: &mut Burst,
        take: fn(&mut Sender, u32) -> Option<(SeqNo, Flight)>,
    ) {
        let now_us = self.timestamp(now);
        while !burst.is_full() && self.sender.pacer.is_open(now) {
            let Some((sequence, flight)) = take(&mut self.sender, now_us) else { break };
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
        if !matches!(self.state, State::Open) {
            return;
        }
        let mut departure = Departure {
            now,
            now_us: self.timestamp(now),
            epoch: self.epoch,
            peer: self.negotiated.peer_socket,
            payload_max: self.negotiated.payload_max.min(DATAGRAM_BYTES - HEADER_BYTES),
            rtt: self.rtt.smoothed(),
            sender: &mut self.sender,
            crypto: self.crypto.as_mut(),
            counters: &mut self.counters,
            key_request: &mut self.pending.key_request,
            burst,
        };
        if source.fill(now, &mut departure) == Supply::Ended {
            let linger = self.negotiated.send_latency + LINGER_MIN;
            self.state = State::Finishing(now + linger);
        }
    }

    fn account(&mut self, bytes: usize) {
        self.counters.pkt_sent += 1;
        self.counters.byte_sent += bytes as u64 + UDP_IP_HEADER_BYTES;
        self.sender.pacer.spend(bytes);
    }
}

/// New payloads on their way into a burst.
struct Departure<'a> {
    now: Instant,
    now_us: u32,
    epoch: Instant,
    peer: u32,
    payload_max: usize,
    rtt: Duration,
    sender: &'a mut Sender,
    crypto: Option<&'a mut CryptoPair>,
    counters: &'a mut Counters,
    key_request: &'a mut Option<KeyMessage>,
    burst: &'a mut Burst,
}

impl Outlet for Departure<'_> {
    fn room(&mut self) -> Option<&mut [u8]> {
        let open = !self.burst.is_full() && self.sender.has_room() && self.sender.pacer.is_open(self.now);
        open.then(|| &mut self.burst.room()[HEADER_BYTES..HEADER_BYTES + self.payload_max])
    }

    fn put(&mut self, position: u64, len: usize, origin: Instant) {
        let len = len.min(self.payload_max);
        let sequence = self.sender.next();
        let room = self.burst.room();
        let (head, body) = room.split_first_chunk_mut::<HEADER_BYTES>().expect("a datagram has a header");
        let encrypt = |crypto: &&mut CryptoPair| crypto.encrypt.encrypt(sequence, &mut body[..len]);
        let key = self.crypto.as_ref().map_or(Key::None, encrypt);
        data_header(sequence, key, micros(self.epoch, origin), self.peer, false).write(head);
        let bytes = self.burst.commit(HEADER_BYTES + len);
        // What is older than the connection plays as if it were as old: its time has not passed yet.
        let origin = origin.max(self.epoch);
        self.sender.sent_new(position, len as u16, origin, self.now_us, self.now);
        self.sender.pacer.spend(bytes);
        if let Some(crypto) = &mut self.crypto
            && let Some(request) = crypto.encrypt.on_packet_sent(sequence, self.now, self.rtt)
        {
            *self.key_request = Some(*request);
        }
        self.counters.pkt_sent_unique += 1;
        self.counters.pkt_sent += 1;
        self.counters.byte_sent += bytes as u64 + UDP_IP_HEADER_BYTES;
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

/// Ranges of one loss report: what a datagram holds.
const LOSS_RANGES_MAX: usize = (NAK_BYTES_MAX - HEADER_BYTES) / 8;

/// The tail of a finished stream may be sent again for the latency and this.
const LINGER_MIN: Duration = Duration::from_secs(1);
