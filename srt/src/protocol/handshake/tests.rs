//! Caller and listener against each other, and conclusions that no caller of good will sends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::caller::{Caller, CallerConfig, CallerError};
use super::extension::{append, append_text};
use super::listener::{self, Acceptance, Fault, Proposal, Rejection};
use super::*;
use crate::protocol::crypto::{KeyLength, KeyMaterialError, KeyMessage, KeyRefresh, KeyState, Passphrase};
use crate::protocol::packet::{Control, ControlBody, Key, Packet, WireError};
use crate::protocol::reject::Reason;
use crate::protocol::seq::SeqNo;
use crate::protocol::stream_id::{Mode, StreamId, StreamIdError};

const MINUTE: u64 = 29_000_000;
const SECRET: CookieSecret = CookieSecret::from_bytes([9; 32]);

fn caller_address() -> SocketAddr {
    "192.0.2.7:40001".parse().unwrap()
}

fn config() -> CallerConfig {
    CallerConfig {
        peer: "198.51.100.1:9000".parse().unwrap(),
        socket_id: 0x1234,
        isn: SeqNo::new(1000),
        mtu: 1500,
        flow_window: 8192,
        stream_id: StreamId::access("athletics-main", Mode::Publish).with("u", "rtx"),
        latency_ms: 200,
        passphrase: None,
        key_length: KeyLength::Aes256,
        key_refresh: KeyRefresh::default(),
        timeout: Duration::from_secs(3),
    }
}

fn acceptance() -> Acceptance {
    Acceptance {
        socket_id: 0x9876,
        isn: None,
        mtu: 1400,
        flow_window: 4096,
        latency_ms: 120,
        crypto: None,
        timestamp: 0,
    }
}

fn passphrase() -> Passphrase {
    Passphrase::new("a contribution passphrase").unwrap()
}

fn parse(datagram: &[u8]) -> (Handshake, &[u8]) {
    match Packet::parse(datagram) {
        Ok(Packet::Control(Control { body: ControlBody::Handshake(body), .. })) => {
            Handshake::parse(body).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

/// Takes a call to the point where the listener has the conclusion.
fn conclude(caller: &mut Caller, now: Instant) -> Vec<u8> {
    let induction = caller.poll_transmit(now).unwrap().expect("an induction is due").to_vec();
    let answer = listener::induction(&parse(&induction).0, caller_address(), &SECRET, MINUTE);
    assert!(caller.handle(&answer, now).unwrap().is_none());
    caller.poll_transmit(now).unwrap().expect("a conclusion is due").to_vec()
}

fn propose(datagram: &[u8]) -> Result<Proposal, Rejection> {
    listener::conclusion(datagram, caller_address(), &SECRET, MINUTE)
}

/// A conclusion with these extensions and a good cookie.
fn conclusion(extensions: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = good_handshake().to_bytes().to_vec();
    extensions(&mut body);
    listener::datagram(0, 0, &body)
}

fn good_handshake() -> Handshake {
    Handshake {
        version: 5,
        encryption: 0,
        extension: Extension::FLAG_HANDSHAKE,
        isn: SeqNo::new(7),
        mtu: 1500,
        flow_window: 8192,
        kind: HandshakeKind::Conclusion,
        socket_id: 55,
        cookie: SECRET.cookie(caller_address(), MINUTE),
        peer_address: [0; 16],
    }
}

fn good_request() -> HandshakeExtension {
    HandshakeExtension { version: OUR_VERSION, flags: OUR_FLAGS, receiver_delay_ms: 300, sender_delay_ms: 80 }
}

fn append_request(body: &mut Vec<u8>) {
    append(body, Extension::HANDSHAKE_REQUEST, &good_request().to_bytes());
}

/// What a conclusion is refused with; its answer must carry the code of that.
fn fault(extensions: impl FnOnce(&mut Vec<u8>)) -> Fault {
    let rejection = propose(&conclusion(extensions)).expect_err("no caller of good will sends this");
    let answer = rejection.datagram.as_ref().expect("the cookie was good");
    assert_eq!(parse(answer).0.kind, HandshakeKind::Rejection(rejection.reason()));
    rejection.fault
}

#[test]
fn caller_and_listener_settle_the_same_terms() {
    let now = Instant::now();
    let mut caller = Caller::new(config(), now);
    let proposal = propose(&conclude(&mut caller, now)).unwrap();
    assert_eq!(proposal.stream_id, config().stream_id);
    assert_eq!((proposal.peer_latency.receive_ms, proposal.peer_latency.send_ms), (200, 200));
    assert_eq!(proposal.unlock(None, KeyRefresh::default()).unwrap().map(drop), None);

    let terms = Acceptance { isn: Some(SeqNo::new(77)), ..acceptance() };
    let (answer, ours) = listener::accept(&proposal, terms);
    let theirs = caller.handle(&answer, now).unwrap().expect("the listener accepted");
    assert_eq!((ours.local_socket, ours.peer_socket), (0x9876, 0x1234));
    assert_eq!((theirs.local_socket, theirs.peer_socket), (0x1234, 0x9876));
    assert_eq!((ours.send_isn, ours.receive_isn), (SeqNo::new(77), SeqNo::new(1000)));
    assert_eq!((theirs.send_isn, theirs.receive_isn), (SeqNo::new(1000), SeqNo::new(77)));
    assert_eq!((ours.mtu, theirs.mtu), (1400, 1400));
    assert_eq!((ours.payload_max, theirs.payload_max), (1356, 1356));
    assert_eq!((ours.flow_window, theirs.flow_window), (8192, 4096));
    for terms in [&ours, &theirs] {
        assert_eq!(terms.send_latency, Duration::from_millis(200));
        assert_eq!(terms.receive_latency, Duration::from_millis(200));
        assert_eq!(terms.peer_flags, OUR_FLAGS);
        assert_eq!(terms.peer_version.to_string(), "1.5.3");
        assert!(terms.crypto.is_none());
    }
    assert_eq!(caller.poll_transmit(now + Duration::from_secs(1)), Ok(None));
}

#[test]
fn the_latency_of_a_direction_is_the_larger_of_its_two_ends() {
    // The caller holds what it receives for 300 ms and wants 80 ms at our end; we want 120 ms for both.
    let proposal = propose(&conclusion(append_request)).unwrap();
    let (answer, terms) = listener::accept(&proposal, acceptance());
    assert_eq!(terms.send_latency, Duration::from_millis(300));
    assert_eq!(terms.receive_latency, Duration::from_millis(120));
    let extension = Extensions::new(parse(&answer).1).next().unwrap().unwrap();
    assert_eq!(extension.kind, Extension::HANDSHAKE_RESPONSE);
    let response = HandshakeExtension::parse(extension.body).unwrap();
    assert_eq!((response.receiver_delay_ms, response.sender_delay_ms), (120, 300));
}

#[test]
fn every_key_length_is_settled_and_decrypts_both_ways() {
    for key_length in [KeyLength::Aes128, KeyLength::Aes192, KeyLength::Aes256] {
        let now = Instant::now();
        let mut caller =
            Caller::new(CallerConfig { passphrase: Some(passphrase()), key_length, ..config() }, now);
        let proposal = propose(&conclude(&mut caller, now)).unwrap();
        assert_eq!(proposal.key_length(), Some(key_length));
        let crypto = proposal.unlock(Some(&passphrase()), KeyRefresh::default()).unwrap();
        let (answer, ours) = listener::accept(&proposal, Acceptance { crypto, ..acceptance() });
        let theirs = caller.handle(&answer, now).unwrap().expect("the listener accepted");
        let (ours, theirs) = (ours.crypto.unwrap(), theirs.crypto.unwrap());
        for (sender, receiver) in [(&ours, &theirs), (&theirs, &ours)] {
            let mut payload = *b"payload";
            let key = sender.encrypt.encrypt(SeqNo::new(5), &mut payload);
            assert_eq!(key, Key::Even);
            assert_ne!(&payload, b"payload");
            receiver.decrypt.decrypt(key, SeqNo::new(5), &mut payload).unwrap();
            assert_eq!(&payload, b"payload");
        }
    }
}

#[test]
fn encryption_on_one_side_only_is_refused() {
    let now = Instant::now();
    let clear = propose(&conclude(&mut Caller::new(config(), now), now)).unwrap();
    let refused = clear.unlock(Some(&passphrase()), KeyRefresh::default());
    assert_eq!(refused.map(drop), Err(Reason::Unsecure));

    let secret = CallerConfig { passphrase: Some(passphrase()), ..config() };
    let encrypted = propose(&conclude(&mut Caller::new(secret, now), now)).unwrap();
    assert_eq!(encrypted.unlock(None, KeyRefresh::default()).map(drop), Err(Reason::Unsecure));
    let wrong = Passphrase::new("another passphrase").unwrap();
    assert_eq!(encrypted.unlock(Some(&wrong), KeyRefresh::default()).map(drop), Err(Reason::BadSecret));
}

#[test]
fn a_rejection_reaches_the_caller_with_its_code() {
    for reason in [Reason::BadSecret, Reason::NotFound, Reason::Conflict, Reason::Other(2001)] {
        let now = Instant::now();
        let mut caller = Caller::new(config(), now);
        let proposal = propose(&conclude(&mut caller, now)).unwrap();
        let refused = caller.handle(&listener::reject(&proposal, reason), now);
        assert_eq!(refused.map(drop), Err(CallerError::Rejected(reason)));
    }
}

#[test]
fn a_caller_repeats_itself_and_gives_up() {
    let start = Instant::now();
    let mut caller = Caller::new(config(), start);
    let mut sent = 0;
    let failed = loop {
        let now = caller.deadline();
        match caller.poll_transmit(now) {
            Ok(Some(datagram)) => {
                let stamp = u32::from_be_bytes(datagram[8..12].try_into().unwrap());
                assert_eq!(u128::from(stamp), now.duration_since(start).as_micros());
                sent += 1;
            }
            Ok(None) => panic!("something is due at the deadline"),
            Err(error) => break error,
        }
    };
    assert_eq!((sent, failed), (12, CallerError::Timeout(Duration::from_secs(3))));
}

#[test]
fn a_caller_refuses_a_listener_that_does_not_take_its_keys() {
    let statuses = [
        (Some(KeyState::BadSecret), Reason::BadSecret),
        (Some(KeyState::NoSecret), Reason::Unsecure),
        (Some(KeyState::BadCryptoMode), Reason::Crypto),
        (None, Reason::Unsecure),
    ];
    for (status, reason) in statuses {
        let now = Instant::now();
        let mut caller = Caller::new(CallerConfig { passphrase: Some(passphrase()), ..config() }, now);
        conclude(&mut caller, now);
        let mut body = Handshake { socket_id: 9, ..good_handshake() }.to_bytes().to_vec();
        append(&mut body, Extension::HANDSHAKE_RESPONSE, &good_request().to_bytes());
        if let Some(status) = status {
            append(&mut body, Extension::KEY_RESPONSE, &KeyMessage::status(status));
        }
        let refused = caller.handle(&listener::datagram(0, 0x1234, &body), now);
        assert_eq!(refused.map(drop), Err(CallerError::Refused(reason)));
    }
}

#[test]
fn a_caller_ignores_what_is_not_for_it() {
    let now = Instant::now();
    let mut caller = Caller::new(config(), now);
    let conclusion = conclude(&mut caller, now);
    let (answer, _) = listener::accept(&propose(&conclusion).unwrap(), acceptance());
    let mut other = answer.clone();
    other[15] ^= 1;
    assert!(caller.handle(&other, now).unwrap().is_none());
    assert!(caller.handle(b"noise", now).unwrap().is_none());
    assert!(caller.handle(&answer, now).unwrap().is_some());
    assert!(caller.handle(&answer, now).unwrap().is_none());
}

#[test]
fn a_thousand_half_open_handshakes_leave_the_next_caller_undisturbed() {
    // A listener is three free functions: there is nothing in which a half-open handshake could be kept.
    for port in 1..=1000 {
        let peer = SocketAddr::from(([203, 0, 113, 9], port));
        let question =
            Handshake { version: 4, extension: 2, kind: HandshakeKind::Induction, ..good_handshake() };
        let answer = listener::induction(&question, peer, &SECRET, MINUTE);
        assert_eq!(answer.len(), listener::INDUCTION_BYTES);
        assert_eq!(parse(&answer).0.cookie, SECRET.cookie(peer, MINUTE));
    }
    let now = Instant::now();
    assert!(propose(&conclude(&mut Caller::new(config(), now), now)).is_ok());
}

#[test]
fn a_conclusion_without_the_right_cookie_gets_no_answer() {
    let datagram = conclusion(append_request);
    let stranger = "192.0.2.8:40001".parse().unwrap();
    for (peer, minute, accepted) in [
        (caller_address(), MINUTE + 1, true),
        (caller_address(), MINUTE + 2, false),
        (stranger, MINUTE, false),
    ] {
        let result = listener::conclusion(&datagram, peer, &SECRET, minute);
        let expected = Rejection { fault: Fault::Cookie, datagram: None };
        assert_eq!(result.err(), (!accepted).then_some(expected));
    }
    let rejection = propose(b"noise").expect_err("not a packet");
    assert_eq!(rejection.datagram, None);
}

#[test]
fn an_extension_longer_than_its_datagram_is_refused() {
    // libsrt 3317 came from trusting such a length: 0xffff words of key material, of which a few are there.
    for kind in 1..=9u16 {
        for words in [1u16, 2, 0x4000, 0xffff] {
            let refused = fault(|body| {
                append_request(body);
                body.extend(kind.to_be_bytes());
                body.extend(words.to_be_bytes());
            });
            assert_eq!(
                refused,
                Fault::Wire(WireError::TooShort { bytes: 0, needed: usize::from(words) * 4 })
            );
        }
    }
    let refused = fault(|body| {
        append_request(body);
        body.extend([0, 3]);
    });
    assert!(matches!(refused, Fault::Wire(WireError::Length { .. })));
}

#[test]
fn key_material_of_any_wrong_size_is_refused_in_a_handshake() {
    for words in (0..26).chain([27, 40, 300]) {
        let refused = fault(|body| {
            append_request(body);
            let mut material = vec![0x12, 0x20, 0x29, 3, 0, 0, 0, 0, 2, 0, 2, 0, 0, 0, 4, 8];
            material.resize(words * 4, 0x55);
            append(body, Extension::KEY_REQUEST, &material);
        });
        assert!(matches!(refused, Fault::KeyMaterial(KeyMaterialError::Length { .. })), "{words}");
        assert_eq!(refused.reason(), Reason::Rogue);
    }
}

#[test]
fn what_is_not_supported_is_refused_with_its_code() {
    let text = |kind, text: &'static str| {
        fault(move |body| {
            append_request(body);
            append_text(body, kind, text);
        })
    };
    assert_eq!(text(Extension::CONGESTION, "file").reason(), Reason::Congestion);
    assert_eq!(text(Extension::FILTER, "fec,cols:10").reason(), Reason::Filter);
    assert_eq!(text(Extension::GROUP, "grouping").reason(), Reason::Group);
    assert_eq!(text(Extension::STREAM_ID, "#!::nonsense").reason(), Reason::BadRequest);
    let request = |change: fn(&mut HandshakeExtension)| {
        fault(move |body| {
            let mut request = good_request();
            change(&mut request);
            append(body, Extension::HANDSHAKE_REQUEST, &request.to_bytes());
        })
    };
    assert_eq!(request(|request| request.version = Version(0x01_02_00)).reason(), Reason::Version);
    assert_eq!(request(|request| request.flags.0 |= Flags::STREAM.0).reason(), Reason::MessageApi);
    assert_eq!(fault(|_| {}), Fault::Missing);
    assert_eq!(
        fault(|body| {
            append_request(body);
            append_request(body);
        }),
        Fault::Repeated(Extension::HANDSHAKE_REQUEST)
    );
    assert_eq!(
        fault(|body| append(body, Extension::HANDSHAKE_REQUEST, &[0; 8])),
        Fault::Wire(WireError::TooShort { bytes: 8, needed: 12 })
    );
    assert_eq!(
        fault(|body| {
            append_request(body);
            append(body, Extension::STREAM_ID, &[b'a'; 516]);
        }),
        Fault::StreamId(StreamIdError::TooLong { bytes: 516 })
    );
}

#[test]
fn live_congestion_and_unknown_extensions_are_accepted() {
    let proposal = propose(&conclusion(|body| {
        append(body, 99, &[1, 2, 3, 4]);
        append_request(body);
        append_text(body, Extension::CONGESTION, "live");
        append_text(body, Extension::STREAM_ID, "football");
    }))
    .unwrap();
    assert_eq!(proposal.stream_id.resource(), Some("football"));
}

#[test]
fn a_handshake_with_impossible_fields_is_refused() {
    let refused = |change: fn(&mut Handshake)| {
        let mut handshake = good_handshake();
        change(&mut handshake);
        let mut body = handshake.to_bytes().to_vec();
        append_request(&mut body);
        propose(&listener::datagram(0, 0, &body)).expect_err("no caller of good will sends this").fault
    };
    assert_eq!(refused(|handshake| handshake.version = 4), Fault::HandshakeVersion(4));
    assert_eq!(refused(|handshake| handshake.socket_id = 0).reason(), Reason::Rogue);
    assert_eq!(refused(|handshake| handshake.mtu = 60).reason(), Reason::Rogue);
    assert_eq!(refused(|handshake| handshake.flow_window = 0).reason(), Reason::Rogue);
    assert_eq!(refused(|handshake| handshake.kind = HandshakeKind::WaveAHand), Fault::NotAConclusion);
}

#[test]
fn text_travels_with_its_words_turned() {
    let mut body = Vec::new();
    append_text(&mut body, Extension::STREAM_ID, "abcdef");
    assert_eq!(body, b"\0\x05\0\x02dcba\0\0fe");
    let extension = Extensions::new(&body).next().unwrap().unwrap();
    assert_eq!(extension.text(), b"abcdef");
}

#[test]
fn an_address_travels_with_its_words_turned() {
    let field = Handshake::address_field("192.0.2.7".parse().unwrap());
    assert_eq!(field[..5], [7, 2, 0, 192, 0]);
    let mapped = Handshake::address_field("::ffff:192.0.2.7".parse().unwrap());
    assert_eq!(field, mapped);
    let field = Handshake::address_field("2001:db8::1".parse().unwrap());
    assert_eq!(field, [0xb8, 0x0d, 1, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
}

prop_compose! {
    fn any_handshake()(
        version: u32, encryption: u16, extension: u16, isn: u32, mtu: u32, flow_window: u32, kind: u32,
        socket_id: u32, cookie: u32, peer_address: [u8; 16],
    ) -> Handshake {
        let (isn, kind) = (SeqNo::new(isn), HandshakeKind::from_wire(kind));
        Handshake { version, encryption, extension, isn, mtu, flow_window, kind, socket_id, cookie, peer_address }
    }
}

proptest! {
    #[test]
    fn a_handshake_reads_back(handshake in any_handshake()) {
        let bytes = handshake.to_bytes();
        prop_assert_eq!(Handshake::parse(&bytes), Ok((handshake, &[][..])));
    }

    #[test]
    fn a_handshake_extension_reads_back(version: u32, flags: u32, receiver_delay_ms: u16, sender_delay_ms: u16) {
        let request = HandshakeExtension { version: Version(version), flags: Flags(flags), receiver_delay_ms, sender_delay_ms };
        prop_assert_eq!(HandshakeExtension::parse(&request.to_bytes()), Ok(request));
    }

    #[test]
    fn text_reads_back(text in "[^\0]{0,100}") {
        let mut body = Vec::new();
        append_text(&mut body, Extension::STREAM_ID, &text);
        let extension = Extensions::new(&body).next().unwrap().unwrap();
        prop_assert_eq!(extension.text(), text.as_bytes());
    }

    #[test]
    fn any_extensions_after_a_good_cookie_are_read_or_refused(noise in prop::collection::vec(any::<u8>(), 0..1400)) {
        let proposed = propose(&conclusion(|body| body.extend(&noise)));
        prop_assert!(proposed.is_ok() || proposed.is_err_and(|rejection| rejection.datagram.is_some()));
    }

    #[test]
    fn any_blocks_after_a_good_request_are_read_or_refused(blocks in prop::collection::vec((0u16..12, prop::collection::vec(any::<u8>(), 0..30)), 0..6)) {
        let proposed = propose(&conclusion(|body| {
            append_request(body);
            for (kind, mut block) in blocks {
                block.truncate(block.len() / 4 * 4);
                append(body, kind, &block);
            }
        }));
        if let Ok(proposal) = proposed {
            listener::accept(&proposal, acceptance());
        }
    }

    #[test]
    fn any_answer_leaves_a_caller_standing(noise in prop::collection::vec(any::<u8>(), 0..200), induced: bool) {
        let now = Instant::now();
        let mut caller = Caller::new(config(), now);
        if induced {
            conclude(&mut caller, now);
        }
        let mut body = good_handshake().to_bytes().to_vec();
        append(&mut body, Extension::HANDSHAKE_RESPONSE, &good_request().to_bytes());
        body.extend(noise);
        caller.handle(&listener::datagram(0, 0x1234, &body), now).ok();
        caller.poll_transmit(now).ok();
    }
}
