//! Round trips of every packet, and the control packets that broke libsrt (its numbers 3320, 3322 and 3324).

use proptest::prelude::*;

use super::control::*;
use super::*;
use crate::protocol::seq::SeqNo;

const TIMESTAMP: u32 = 0x0102_0304;
const DESTINATION: u32 = 0x2a2b_2c2d;

/// What a written packet says when it is read.
fn read(buffer: &[u8; DATAGRAM_BYTES], length: usize) -> ControlBody<'_> {
    match Packet::parse(&buffer[..length]) {
        Ok(Packet::Control(control)) => {
            assert_eq!((control.timestamp, control.destination), (TIMESTAMP, DESTINATION));
            control.body
        }
        other => panic!("{other:?}"),
    }
}

/// A control packet of this type and body.
fn control(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x80 | (kind >> 8) as u8, kind as u8];
    datagram.resize(HEADER_BYTES, 0);
    datagram.extend(body);
    datagram
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn a_data_header_has_its_fields_where_the_draft_puts_them() {
    let header = DataHeader {
        sequence: SeqNo::new(0x1234_5678),
        boundary: Boundary::Solo,
        in_order: true,
        key: Key::Odd,
        retransmitted: true,
        message: 0x0112_3456,
        timestamp: TIMESTAMP,
        destination: DESTINATION,
    };
    let mut bytes = [0; HEADER_BYTES];
    header.write(&mut bytes);
    assert_eq!(bytes[..4], [0x12, 0x34, 0x56, 0x78]);
    assert_eq!(bytes[4..8], [0b1111_0101, 0x12, 0x34, 0x56]);
    assert_eq!(bytes[8..12], [1, 2, 3, 4]);
    assert_eq!(bytes[12..], [0x2a, 0x2b, 0x2c, 0x2d]);
    assert_eq!(destination(&bytes), Some(DESTINATION));
}

#[test]
fn a_data_packet_with_both_keys_is_refused() {
    let mut bytes = [0; HEADER_BYTES];
    bytes[4] = 0b0001_1000;
    assert_eq!(Packet::parse(&bytes), Err(WireError::BothKeys));
}

#[test]
fn packets_without_information_read_back() {
    let buffer = &mut [0; DATAGRAM_BYTES];
    let length = write_keep_alive(buffer, TIMESTAMP, DESTINATION);
    assert_eq!(read(buffer, length), ControlBody::KeepAlive);
    let length = write_shutdown(buffer, TIMESTAMP, DESTINATION);
    assert_eq!(read(buffer, length), ControlBody::Shutdown);
    let length = write_ack_ack(buffer, TIMESTAMP, DESTINATION, 77);
    assert_eq!(read(buffer, length), ControlBody::AckAck { number: 77 });
}

#[test]
fn packets_with_a_message_read_back() {
    let buffer = &mut [0; DATAGRAM_BYTES];
    let length = write_handshake(buffer, TIMESTAMP, DESTINATION, b"handshake");
    assert_eq!(read(buffer, length), ControlBody::Handshake(b"handshake"));
    let length = write_key_request(buffer, TIMESTAMP, DESTINATION, b"keys");
    assert_eq!(buffer[..4], [0xff, 0xff, 0, 3]);
    assert_eq!(read(buffer, length), ControlBody::KeyRequest(b"keys"));
    let length = write_key_response(buffer, TIMESTAMP, DESTINATION, b"keys");
    assert_eq!(read(buffer, length), ControlBody::KeyResponse(b"keys"));
}

#[test]
fn a_message_that_is_too_long_is_cut_off() {
    let buffer = &mut [0; DATAGRAM_BYTES];
    assert_eq!(write_handshake(buffer, 0, 0, &[7; 5000]), DATAGRAM_BYTES);
}

#[test]
fn acknowledgements_come_in_four_lengths() {
    let full = |words: usize| words_ack(&[100, 20_000, 5_000, 8_192, 1_000, 10_000, 1_316_000][..words]);
    assert_eq!(full(1), Ok(Ack::Light(SeqNo::new(100))));
    let expected = FullAck {
        sequence: SeqNo::new(100),
        rtt_us: 20_000,
        rtt_var_us: 5_000,
        buffer_available: 8_192,
        receive_rate_pps: Some(1_000),
        link_capacity_pps: Some(10_000),
        receive_rate_bps: Some(1_316_000),
    };
    assert_eq!(full(7), Ok(Ack::Full(expected)));
    assert_eq!(full(6), Ok(Ack::Full(FullAck { receive_rate_bps: None, ..expected })));
    assert_eq!(
        full(4),
        Ok(Ack::Full(FullAck {
            receive_rate_pps: None,
            link_capacity_pps: None,
            receive_rate_bps: None,
            ..expected
        }))
    );
    assert_eq!(full(2), Err(WireError::Length { what: "ACK", bytes: 8 }));
    assert_eq!(full(0), Err(WireError::TooShort { bytes: 0, needed: 4 }));
}

fn words_ack(fields: &[u32]) -> Result<Ack, WireError> {
    match Packet::parse(&control(2, &words(fields)))? {
        Packet::Control(Control { body: ControlBody::Ack { ack, .. }, .. }) => Ok(ack),
        other => panic!("{other:?}"),
    }
}

fn losses(body: &[u8]) -> Vec<Result<(u32, u32), LossError>> {
    match Packet::parse(&control(3, body)) {
        Ok(Packet::Control(Control { body: ControlBody::Nak(list), .. })) => {
            list.map(|range| range.map(|(first, last)| (first.value(), last.value()))).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_loss_report_that_ends_within_a_range_is_an_error_after_what_came_before() {
    // libsrt 3324: the end of the range was read behind the packet.
    assert_eq!(losses(&words(&[5, 0x8000_0064])), [Ok((5, 5)), Err(LossError::NoEnd { first: 100 })]);
}

#[test]
fn a_loss_report_with_backward_ranges_keeps_its_good_ones() {
    let body = words(&[0x8000_0009, 3, 0x8000_0001, 0x8000_0002, 0x8000_0007, 8]);
    assert_eq!(
        losses(&body),
        [
            Err(LossError::Reversed { first: 9, last: 3 }),
            Err(LossError::Reversed { first: 1, last: 0x8000_0002 }),
            Ok((7, 8)),
        ]
    );
}

#[test]
fn bytes_after_the_last_word_of_a_loss_report_are_an_error() {
    assert_eq!(losses(&[0, 0, 0, 5, 1, 2]), [Ok((5, 5)), Err(LossError::Trailing { bytes: 2 })]);
    assert_eq!(losses(&[]), []);
}

#[test]
fn a_range_may_pass_over_the_highest_number() {
    assert_eq!(losses(&words(&[0xffff_ffff, 2])), [Ok((0x7fff_ffff, 2))]);
}

#[test]
fn a_drop_request_that_is_cut_short_is_refused() {
    // libsrt 3320: both words were read from packets that had none.
    for length in 0..8 {
        let refused = Packet::parse(&control(7, &[0; 8][..length])).map(drop);
        assert!(matches!(refused, Err(WireError::TooShort { .. })), "{length}");
    }
}

#[test]
fn a_drop_request_that_runs_backwards_is_refused() {
    // libsrt 3322 and its neighbours: a range outside the buffer wrapped around it. Whether a range lies in the window
    // is for the receiver to see; one that ends before it begins never gets there.
    let refused = Packet::parse(&control(7, &words(&[10, 9]))).map(drop);
    assert_eq!(refused, Err(WireError::Reversed { first: 10, last: 9 }));
    let refused = Packet::parse(&control(7, &words(&[0x8000_0001, 9]))).map(drop);
    assert_eq!(refused, Err(WireError::Sequence(0x8000_0001)));
}

#[test]
fn a_drop_request_reads_back() {
    let buffer = &mut [0; DATAGRAM_BYTES];
    let (first, last) = (SeqNo::MAX, SeqNo::new(4));
    let length = write_drop_request(buffer, TIMESTAMP, DESTINATION, 0, (first, last));
    assert_eq!(read(buffer, length), ControlBody::DropRequest { message: 0, first, last });
}

#[test]
fn a_loss_report_stops_at_one_datagram_and_loses_no_range() {
    let mut ranges = (0..1000).map(|index| (SeqNo::new(index * 10), SeqNo::new(index * 10 + 5)));
    let buffer = &mut [0; DATAGRAM_BYTES];
    let mut reported = 0;
    while reported < 1000 {
        let length = write_nak(buffer, TIMESTAMP, DESTINATION, &mut ranges);
        assert!(length <= NAK_BYTES_MAX);
        let ControlBody::Nak(list) = read(buffer, length) else { panic!("not a loss report") };
        for range in list {
            assert_eq!(range, Ok((SeqNo::new(reported * 10), SeqNo::new(reported * 10 + 5))));
            reported += 1;
        }
    }
}

#[test]
fn a_timestamp_is_set_in_place() {
    let buffer = &mut [0; DATAGRAM_BYTES];
    let length = write_handshake(buffer, 0, DESTINATION, b"handshake");
    set_timestamp(&mut buffer[..length], TIMESTAMP);
    assert_eq!(read(buffer, length), ControlBody::Handshake(b"handshake"));
    set_timestamp(&mut [], 0);
}

prop_compose! {
    fn any_header()(
        sequence: u32,
        boundary in prop::sample::select(&[Boundary::Middle, Boundary::Last, Boundary::First, Boundary::Solo]),
        in_order: bool,
        key in prop::sample::select(&[Key::None, Key::Even, Key::Odd]),
        retransmitted: bool,
        message in 0u32..1 << 26,
        timestamp: u32,
        destination: u32,
    ) -> DataHeader {
        let sequence = SeqNo::new(sequence);
        DataHeader { sequence, boundary, in_order, key, retransmitted, message, timestamp, destination }
    }
}

prop_compose! {
    fn any_ack()(sequence: u32, rtt_us: u32, rtt_var_us: u32, buffer_available: u32, rates in prop::collection::vec(any::<u32>(), 0..=3), light: bool) -> Ack {
        let sequence = SeqNo::new(sequence);
        if light {
            return Ack::Light(sequence);
        }
        Ack::Full(FullAck {
            sequence,
            rtt_us,
            rtt_var_us,
            buffer_available,
            receive_rate_pps: rates.first().copied(),
            link_capacity_pps: rates.get(1).copied(),
            receive_rate_bps: rates.get(2).copied(),
        })
    }
}

proptest! {
    #[test]
    fn any_datagram_is_read_or_refused(datagram in prop::collection::vec(any::<u8>(), 0..1600)) {
        if let Ok(Packet::Control(Control { body: ControlBody::Nak(list), .. })) = Packet::parse(&datagram) {
            // Every item has taken a byte at least.
            prop_assert!(list.count() <= datagram.len());
        }
        destination(&datagram);
    }

    #[test]
    fn any_control_packet_is_read_or_refused(kind in prop::sample::select(&[0u16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x7fff]), body in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(Packet::Control(Control { body: ControlBody::Nak(list), .. })) = Packet::parse(&control(kind, &body)) {
            prop_assert!(list.count() <= body.len());
        }
    }

    #[test]
    fn a_data_packet_reads_back(header in any_header(), payload in prop::collection::vec(any::<u8>(), 0..1456)) {
        let mut datagram = vec![0; HEADER_BYTES];
        header.write(datagram.first_chunk_mut().unwrap());
        datagram.extend(&payload);
        prop_assert_eq!(Packet::parse(&datagram), Ok(Packet::Data(header, &payload)));
    }

    #[test]
    fn an_acknowledgement_reads_back(number: u32, ack in any_ack()) {
        let buffer = &mut [0; DATAGRAM_BYTES];
        let length = write_ack(buffer, TIMESTAMP, DESTINATION, number, &ack);
        prop_assert_eq!(read(buffer, length), ControlBody::Ack { number, ack });
    }

    #[test]
    fn a_loss_report_reads_back(ranges in prop::collection::vec((any::<u32>(), 0i32..1000), 0..100)) {
        let ranges: Vec<_> = ranges.into_iter().map(|(first, more)| (SeqNo::new(first), SeqNo::new(first).plus(more))).collect();
        let buffer = &mut [0; DATAGRAM_BYTES];
        let length = write_nak(buffer, TIMESTAMP, DESTINATION, ranges.iter().copied());
        let ControlBody::Nak(list) = read(buffer, length) else { panic!("not a loss report") };
        prop_assert_eq!(list.collect::<Result<Vec<_>, _>>(), Ok(ranges));
    }
}
