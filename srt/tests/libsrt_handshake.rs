//! The handshake, the encryption and its key refresh against libsrt itself, over loopback: `srt-live-transmit` of Debian's
//! `srt-tools` on the other end of a plain socket.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps in vain")]

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flambeau_srt::protocol::crypto::{KeyConfirmation, KeyLength, KeyRefresh, Passphrase};
use flambeau_srt::protocol::handshake::caller::{Caller, CallerConfig, CallerError};
use flambeau_srt::protocol::handshake::listener::{self, Acceptance, Proposal};
use flambeau_srt::protocol::handshake::{CookieSecret, Handshake, HandshakeKind, Negotiated};
use flambeau_srt::protocol::packet::control::{
    write_ack, write_key_request, write_key_response, write_nak, write_shutdown,
};
use flambeau_srt::protocol::packet::{
    Ack, Boundary, Control, ControlBody, DATAGRAM_BYTES, DataHeader, FullAck, HEADER_BYTES, Key, Packet,
};
use flambeau_srt::protocol::reject::Reason;
use flambeau_srt::protocol::seq::SeqNo;
use flambeau_srt::protocol::stream_id::{Mode, StreamId};

const PACKETS: usize = 400;
const PAYLOAD_BYTES: usize = 1316;
const PASSPHRASE: &str = "a contribution passphrase";
const REFRESH: KeyRefresh = KeyRefresh { period: 100, announce: 40 };

/// A process that does not outlive its test.
struct Peer(Child);

impl Peer {
    fn start(arguments: &[&str]) -> Self {
        let child = Command::new("srt-live-transmit")
            .args(["-q", "-a:no", "-loglevel:error", "-chunk:1316"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("srt-live-transmit is installed");
        Self(child)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn stream() -> Vec<u8> {
    (0..PACKETS * PAYLOAD_BYTES).map(|at| (at % 251) as u8 ^ (at / PAYLOAD_BYTES) as u8).collect()
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    socket
}

/// Calls a libsrt listener that may still be starting.
fn call(
    socket: &UdpSocket,
    peer: SocketAddr,
    passphrase: Option<&str>,
    key_length: KeyLength,
) -> Result<(Negotiated, Instant), CallerError> {
    let config = CallerConfig {
        peer,
        socket_id: 0x1234_5678,
        isn: SeqNo::MAX.plus(-150),
        mtu: 1500,
        flow_window: 8192,
        stream_id: StreamId::access("football", Mode::Publish),
        latency_ms: 120,
        passphrase: passphrase.map(|text| Passphrase::new(text).unwrap()),
        key_length,
        key_refresh: REFRESH,
        timeout: Duration::from_secs(5),
    };
    let mut caller = Caller::new(config, Instant::now());
    let mut buffer = [0; DATAGRAM_BYTES];
    loop {
        if let Some(datagram) = caller.poll_transmit(Instant::now())? {
            socket.send_to(datagram, peer).ok();
        }
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(negotiated) = caller.handle(&buffer[..length], Instant::now())? {
            return Ok((negotiated, caller.start()));
        }
    }
}

/// Sends the stream to a libsrt listener, and returns what that has received.
fn publish(passphrase: Option<&str>, key_length: KeyLength) -> Vec<u8> {
    let peer = socket().local_addr().unwrap();
    let secret = passphrase.map_or(String::new(), |passphrase| format!("&passphrase={passphrase}"));
    let mut process =
        Peer::start(&[&format!("srt://127.0.0.1:{}?mode=listener{secret}", peer.port()), "file://con"]);
    let mut output = process.0.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        output.read_to_end(&mut received).map(|_| received)
    });
    let socket = socket();
    let (mut terms, start) = call(&socket, peer, passphrase, key_length).unwrap();
    assert!(terms.peer_version.0 >= 0x01_03_00, "{}", terms.peer_version);
    assert_eq!(terms.send_latency, Duration::from_millis(120));
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let (mut refreshes, mut odd, mut sent) = (0, 0, Vec::new());
    let mut buffer = [0; DATAGRAM_BYTES];
    for (index, payload) in stream().chunks_mut(PAYLOAD_BYTES).enumerate() {
        let sequence = terms.send_isn.plus(index as i32);
        let key = terms.crypto.as_ref().map_or(Key::None, |crypto| crypto.encrypt.encrypt(sequence, payload));
        odd += u32::from(key == Key::Odd);
        let header = DataHeader {
            sequence,
            boundary: Boundary::Solo,
            in_order: true,
            key,
            retransmitted: false,
            message: index as u32 + 1,
            timestamp: start.elapsed().as_micros() as u32,
            destination: terms.peer_socket,
        };
        header.write(buffer.first_chunk_mut().unwrap());
        buffer[HEADER_BYTES..][..PAYLOAD_BYTES].copy_from_slice(payload);
        sent.push(buffer[..HEADER_BYTES + PAYLOAD_BYTES].to_vec());
        socket.send_to(&sent[index], peer).unwrap();
        if let Some(crypto) = &mut terms.crypto
            && let Some(request) = crypto.encrypt.on_packet_sent(sequence, Instant::now(), Duration::ZERO)
        {
            let length = write_key_request(&mut buffer, 0, terms.peer_socket, request);
            socket.send_to(&buffer[..length], peer).unwrap();
        }
        // The wait for what comes back paces the stream.
        if let Some(answer) = key_answer(&socket, peer, &sent, terms.send_isn) {
            let crypto = terms.crypto.as_mut().expect("only who asks is answered");
            assert_eq!(crypto.encrypt.handle_key_response(&answer), KeyConfirmation::Confirmed);
            refreshes += 1;
        }
    }
    if passphrase.is_some() {
        assert!(refreshes >= 3, "{refreshes} key refreshes");
        assert!((100..300).contains(&odd), "{odd} packets under the odd key");
    }
    // The tool writes the rest of its buffer when it ends, and it ends when the connection does; what it holds for the
    // latency is lost then, so that is waited for.
    let delivered = Instant::now() + terms.send_latency * 3;
    while Instant::now() < delivered {
        key_answer(&socket, peer, &sent, terms.send_isn);
    }
    let length = write_shutdown(&mut buffer, 0, terms.peer_socket);
    socket.send_to(&buffer[..length], peer).unwrap();
    reader.join().unwrap().expect("the stream arrives")
}

/// Waits a moment for a packet: sends again what it reports as lost, and returns it where it answers key material.
fn key_answer(socket: &UdpSocket, peer: SocketAddr, sent: &[Vec<u8>], isn: SeqNo) -> Option<Vec<u8>> {
    let mut buffer = [0; DATAGRAM_BYTES];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    let Packet::Control(control) = Packet::parse(&buffer[..length]).unwrap() else {
        panic!("libsrt sends no data")
    };
    match control.body {
        ControlBody::KeyResponse(answer) => return Some(answer.to_vec()),
        ControlBody::Nak(lost) => {
            for (first, last) in lost.map(Result::unwrap) {
                let indices = first.minus(isn) as usize..=last.minus(isn) as usize;
                for datagram in &sent[indices] {
                    socket.send_to(datagram, peer).unwrap();
                }
            }
        }
        _ => {}
    }
    None
}

/// A listener of ours.
struct Answerer {
    socket: UdpSocket,
    secret: CookieSecret,
    buffer: [u8; DATAGRAM_BYTES],
}

impl Answerer {
    fn new() -> Self {
        Self { socket: socket(), secret: CookieSecret::random(), buffer: [0; DATAGRAM_BYTES] }
    }

    /// Waits for a conclusion.
    fn proposal(&mut self) -> Proposal {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            assert!(Instant::now() < deadline, "nobody calls");
            let Ok((length, peer)) = self.socket.recv_from(&mut self.buffer) else { continue };
            let datagram = &self.buffer[..length];
            let Ok(Packet::Control(Control { body: ControlBody::Handshake(body), .. })) =
                Packet::parse(datagram)
            else {
                continue;
            };
            let (handshake, _) = Handshake::parse(body).unwrap();
            if handshake.kind == HandshakeKind::Induction {
                let answer = listener::induction(&handshake, peer, &self.secret, 7);
                self.socket.send_to(&answer, peer).unwrap();
            } else {
                return listener::conclusion(datagram, peer, &self.secret, 7).unwrap();
            }
        }
    }

    /// Receives the stream from a libsrt caller.
    fn receive(&mut self, passphrase: Option<&str>, key_length: Option<KeyLength>) -> (Vec<u8>, u32) {
        let proposal = self.proposal();
        assert_eq!(proposal.key_length(), key_length);
        assert_eq!(proposal.stream_id.to_string(), "#!::r=football,m=publish");
        let passphrase = passphrase.map(|text| Passphrase::new(text).unwrap());
        let crypto = proposal.unlock(passphrase.as_ref(), KeyRefresh::default()).unwrap();
        let acceptance = Acceptance {
            socket_id: 99,
            isn: None,
            mtu: 1500,
            flow_window: 8192,
            latency_ms: 1000,
            crypto,
            timestamp: 0,
        };
        let (answer, mut terms) = listener::accept(&proposal, acceptance);
        self.socket.send_to(&answer, proposal.peer).unwrap();
        let mut received = vec![None; PACKETS];
        let (mut next, mut odd) = (0, 0);
        let deadline = Instant::now() + Duration::from_secs(10);
        while next < PACKETS {
            assert!(Instant::now() < deadline, "packet {next} is missing");
            let Ok((length, _)) = self.socket.recv_from(&mut self.buffer) else {
                self.report(&terms, &received, next, proposal.peer);
                continue;
            };
            match Packet::parse(&self.buffer[..length]).unwrap() {
                Packet::Data(header, payload) => {
                    let mut payload = payload.to_vec();
                    odd += u32::from(header.key == Key::Odd);
                    if let Some(crypto) = &terms.crypto {
                        crypto.decrypt.decrypt(header.key, header.sequence, &mut payload).unwrap();
                    }
                    let index = usize::try_from(header.sequence.minus(terms.receive_isn)).unwrap();
                    received[index] = Some(payload);
                    next += received[next..].iter().take_while(|payload| payload.is_some()).count();
                    if index % 16 == 15 {
                        self.report(&terms, &received, next, proposal.peer);
                    }
                }
                Packet::Control(Control { body: ControlBody::KeyRequest(message), .. }) => {
                    let crypto = terms.crypto.as_mut().expect("only an encrypted peer renews keys");
                    let answer = crypto.decrypt.handle_key_request(message);
                    assert_eq!(answer.refusal, None);
                    let length = write_key_response(&mut self.buffer, 0, terms.peer_socket, &answer.message);
                    self.socket.send_to(&self.buffer[..length], proposal.peer).unwrap();
                }
                Packet::Control(_) => {}
            }
        }
        (received.into_iter().flatten().flatten().collect(), odd)
    }

    /// Tells the peer what has come and what has not. libsrt 1.5.1 looks at its keys when it is acknowledged.
    fn report(&mut self, terms: &Negotiated, received: &[Option<Vec<u8>>], next: usize, peer: SocketAddr) {
        let sequence = |index: usize| terms.receive_isn.plus(index as i32);
        let full = FullAck {
            sequence: sequence(next),
            rtt_us: 1_000,
            rtt_var_us: 100,
            buffer_available: 8192,
            receive_rate_pps: None,
            link_capacity_pps: None,
            receive_rate_bps: None,
        };
        let length = write_ack(&mut self.buffer, 0, terms.peer_socket, next as u32 + 1, &Ack::Full(full));
        self.socket.send_to(&self.buffer[..length], peer).unwrap();
        let end = received.iter().rposition(Option::is_some).unwrap_or_default();
        let mut lost = (next..end).filter(|index| received[*index].is_none()).map(sequence).peekable();
        if lost.peek().is_some() {
            let ranges = lost.map(|sequence| (sequence, sequence));
            let length = write_nak(&mut self.buffer, 0, terms.peer_socket, ranges);
            self.socket.send_to(&self.buffer[..length], peer).unwrap();
        }
    }
}

/// Receives the stream that a libsrt caller sends, and counts its packets under the odd key.
fn subscribe(passphrase: Option<&str>, key_length: Option<KeyLength>) -> (Vec<u8>, u32) {
    let mut answerer = Answerer::new();
    let port = answerer.socket.local_addr().unwrap().port();
    let secret = passphrase.zip(key_length).map_or(String::new(), |(passphrase, key_length)| {
        let key_bytes = key_length.bytes();
        format!("&passphrase={passphrase}&pbkeylen={key_bytes}&kmrefreshrate=100")
    });
    let uri = format!("srt://127.0.0.1:{port}?mode=caller&streamid=#!::r=football,m=publish{secret}");
    let mut process = Peer::start(&["file://con", &uri]);
    let mut input = process.0.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        // The tool reads a payload at a time; without a pace it would send them all at once.
        stream().chunks(PAYLOAD_BYTES).try_for_each(|payload| {
            std::thread::park_timeout(Duration::from_millis(1));
            input.write_all(payload).and_then(|()| input.flush())
        })?;
        Ok::<_, std::io::Error>(input)
    });
    let received = answerer.receive(passphrase, key_length);
    drop(writer.join().unwrap().expect("the tool takes the stream"));
    received
}

#[test]
fn libsrt_receives_in_clear() {
    assert!(publish(None, KeyLength::Aes128) == stream());
}

#[test]
fn libsrt_receives_every_key_length_across_key_refreshes() {
    for key_length in [KeyLength::Aes128, KeyLength::Aes192, KeyLength::Aes256] {
        assert!(publish(Some(PASSPHRASE), key_length) == stream(), "{key_length:?}");
    }
}

#[test]
fn libsrt_sends_in_clear() {
    assert!(subscribe(None, None).0 == stream());
}

#[test]
fn libsrt_sends_every_key_length_across_key_refreshes() {
    for key_length in [KeyLength::Aes128, KeyLength::Aes192, KeyLength::Aes256] {
        let (received, odd) = subscribe(Some(PASSPHRASE), Some(key_length));
        assert!(received == stream(), "{key_length:?}");
        assert!((1..400).contains(&odd), "{odd} packets under the odd key");
    }
}

#[test]
fn libsrt_rejects_a_wrong_passphrase_with_the_code_we_read() {
    let peer = socket().local_addr().unwrap();
    let uri = format!("srt://127.0.0.1:{}?mode=listener&passphrase={PASSPHRASE}", peer.port());
    for (passphrase, reason) in [(Some("another passphrase"), Reason::BadSecret), (None, Reason::Unsecure)] {
        let _process = Peer::start(&[&uri, "file://con"]);
        let refused = call(&socket(), peer, passphrase, KeyLength::Aes128);
        assert_eq!(refused.map(drop), Err(CallerError::Rejected(reason)));
    }
}

#[test]
fn libsrt_ends_its_call_on_our_rejection() {
    let mut answerer = Answerer::new();
    let port = answerer.socket.local_addr().unwrap().port();
    let _process =
        Peer::start(&["file://con", &format!("srt://127.0.0.1:{port}?mode=caller&streamid=football")]);
    let proposal = answerer.proposal();
    let rejection = listener::reject(&proposal, Reason::NotFound);
    answerer.socket.send_to(&rejection, proposal.peer).unwrap();
    // Without an answer it repeats its conclusion every 250 ms for three seconds.
    let deadline = Instant::now() + Duration::from_millis(1500);
    let mut repeated = 0;
    while Instant::now() < deadline {
        repeated += u32::from(answerer.socket.recv_from(&mut answerer.buffer).is_ok());
    }
    assert!(repeated <= 1, "{repeated} repetitions");
}
