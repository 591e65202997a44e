//! A peer with a session that says anything.

use proptest::prelude::*;

use super::*;
use crate::protocol::packet::control::{
    write_ack, write_ack_ack, write_drop_request, write_key_request, write_nak, write_shutdown,
};
use crate::protocol::packet::{
    Ack, Boundary, DATAGRAM_BYTES, DataHeader, FullAck, HEADER_BYTES, Key, LossList,
};
use crate::protocol::receiver::WINDOW_PACKETS;

/// What the peer sends. Numbers are offsets to a position that both sides know.
#[derive(Debug, Clone)]
enum Said {
    Data { ahead: i32, timestamp: u32, key: Key, len: usize },
    Ack { ahead: i32, number: u32, full: bool, rtt_us: u32, window: u32 },
    AckAck { number: u32, timestamp: u32 },
    Nak(Vec<(i32, i32)>),
    Drop { ahead: i32, count: i32 },
    KeyRequest(Vec<u8>),
    Wait { ms: u64 },
}

fn ahead() -> impl Strategy<Value = i32> {
    prop_oneof![
        4 => -5..50i32,
        2 => -20_000..20_000i32,
        1 => -(1 << 30)..(1i32 << 30),
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let key = prop_oneof![Just(Key::None), Just(Key::Even), Just(Key::Odd)];
    prop_oneof![
        6 => (ahead(), any::<u32>(), key, 0..1_480usize)
            .prop_map(|(ahead, timestamp, key, len)| Said::Data { ahead, timestamp, key, len }),
        3 => (ahead(), any::<u32>(), any::<bool>(), any::<u32>(), any::<u32>())
            .prop_map(|(ahead, number, full, rtt_us, window)| Said::Ack { ahead, number, full, rtt_us, window }),
        2 => (0..200u32, any::<u32>()).prop_map(|(number, timestamp)| Said::AckAck { number, timestamp }),
        3 => prop::collection::vec((ahead(), 0..40_000i32), 0..180).prop_map(Said::Nak),
        2 => (ahead(), -5..40_000i32).prop_map(|(ahead, count)| Said::Drop { ahead, count }),
        1 => prop::collection::vec(any::<u8>(), 0..120).prop_map(Said::KeyRequest),
        3 => (0..300u64).prop_map(|ms| Said::Wait { ms }),
    ]
}

fn datagram(said: &Said, receive: SeqNo, send: SeqNo) -> Vec<u8> {
    let mut room = [0; DATAGRAM_BYTES];
    let len = match said {
        Said::Data { ahead, timestamp, key, len } => {
            let header = DataHeader {
                sequence: receive.plus(*ahead),
                boundary: Boundary::Solo,
                in_order: false,
                key: *key,
                retransmitted: false,
                message: 1,
                timestamp: *timestamp,
                destination: 77,
            };
            let (head, _) = room.split_first_chunk_mut::<HEADER_BYTES>().expect("room");
            header.write(head);
            HEADER_BYTES + len
        }
        Said::Ack { ahead, number, full, rtt_us, window } => {
            let sequence = send.plus(*ahead);
            let ack = if *full {
                Ack::Full(FullAck {
                    sequence,
                    rtt_us: *rtt_us,
                    rtt_var_us: *rtt_us,
                    buffer_available: *window,
                    receive_rate_pps: None,
                    link_capacity_pps: None,
                    receive_rate_bps: None,
                })
            } else {
                Ack::Light(sequence)
            };
            write_ack(&mut room, 0, 77, *number, &ack)
        }
        Said::AckAck { number, timestamp } => write_ack_ack(&mut room, *timestamp, 77, *number),
        Said::Nak(ranges) => {
            let ranges = ranges.iter().map(|&(from, count)| (send.plus(from), send.plus(from + count)));
            write_nak(&mut room, 0, 77, ranges)
        }
        Said::Drop { ahead, count } => {
            let first = receive.plus(*ahead);
            write_drop_request(&mut room, 0, 77, 0, (first, first.plus(*count)))
        }
        Said::KeyRequest(message) => write_key_request(&mut room, 0, 77, message),
        Said::Wait { .. } => 0,
    };
    room[..len].to_vec()
}

/// As much as anyone takes.
struct Endless(u64);

impl Source for Endless {
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply {
        while let Some(into) = out.room() {
            into[..188].fill(0x47);
            self.0 += 188;
            out.put(self.0, 188, now);
        }
        Supply::Open
    }

    fn again(&mut self, position: u64, _: &mut [u8]) -> bool {
        position.is_multiple_of(3)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_peer_says_memory_is_bounded(script in prop::collection::vec(said(), 1..300), secret: bool) {
        let refresh = secret.then(KeyRefresh::default);
        let mut pair = Pair::new(CLEAN, 120, refresh, Settings::default());
        let mut source = Endless(0);
        let (mut burst, mut payloads) = (Burst::default(), Vec::new());
        for said in &script {
            if let Said::Wait { ms } = said {
                pair.now += Duration::from_millis(*ms);
            }
            let (receive, send) = (pair.sender.receiver.acknowledged(), pair.sender.sender.next().plus(-20));
            let bytes = datagram(said, receive, send);
            pair.sender.handle_datagram(pair.now, &mut bytes.clone());
            pair.sender.handle_timeout(pair.now);
            pair.sender.deliver(pair.now, &mut payloads);
            payloads.clear();
            burst.clear();
            pair.sender.poll_transmit(pair.now, Some(&mut source), &mut burst);
            prop_assert!(burst.len() <= Burst::DATAGRAMS_MAX + 4);
            prop_assert!(pair.sender.timeout(pair.now) <= pair.now + Duration::from_secs(70));
            let stats = pair.sender.stats(pair.now);
            prop_assert!(pair.sender.receiver.span() <= WINDOW_PACKETS as usize);
            prop_assert!(stats.receive_held <= WINDOW_PACKETS as usize);
            prop_assert!(stats.flight <= 32_768);
        }
    }

    #[test]
    fn any_loss_list_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..1_500)) {
        let mut room = [0; DATAGRAM_BYTES];
        let header = write_nak(&mut room, 0, 77, std::iter::empty());
        let mut datagram = room[..header].to_vec();
        datagram.extend_from_slice(&bytes);
        let Ok(Packet::Control(Control { body: ControlBody::Nak(list), .. })) = Packet::parse(&datagram) else {
            panic!("a loss report")
        };
        let count = LossList::count(list);
        prop_assert!(count <= bytes.len() / 4 + 1);
    }
}

#[test]
fn a_shutdown_plays_out_no_longer_than_the_latency() {
    let mut pair = Pair::new(CLEAN, 120, None, Settings::default());
    let said = Said::Data { ahead: 5, timestamp: 4_000_000, key: Key::None, len: 188 };
    let (receive, send) = (pair.receiver.receiver.acknowledged(), pair.receiver.sender.next());
    pair.receiver.handle_datagram(pair.now, &mut datagram(&said, receive, send));
    let mut room = [0; DATAGRAM_BYTES];
    let len = write_shutdown(&mut room, 0, 77);
    pair.receiver.handle_datagram(pair.now, &mut room[..len]);
    assert_eq!(pair.receiver.closed(), None);
    pair.receiver.handle_timeout(pair.now + Duration::from_millis(1_200));
    assert_eq!(pair.receiver.closed(), Some(CloseReason::Peer));
}
