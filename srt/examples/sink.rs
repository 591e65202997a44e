//! Callers that pull and do as little as they can, so that the server is what a bench measures.
//!
//! `sink HOST:PORT COUNT STREAMID BYTES [gro] [passphrase=P] [latency=MS]`
//!
//! COUNT callers, a socket each, on one thread. They acknowledge, ask for what is lost and hold nothing back: what is
//! encrypted stays so. `gro` takes datagrams in the runs the kernel has them in, as a network card's offload would leave
//! them, and tells how late they came: `latency` is the delay that the server was asked to keep, and what publishers
//! stamp into their payloads (`bench/libsrt.c`) is where it counts from. Says READY, and one line of JSON once each caller
//! has BYTES or nothing has come for three seconds.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use flambeau_srt::protocol::crypto::{KeyLength, KeyRefresh, Passphrase};
use flambeau_srt::protocol::handshake::Negotiated;
use flambeau_srt::protocol::handshake::caller::{Caller, CallerConfig};
use flambeau_srt::protocol::packet::control::{
    write_ack, write_ack_ack, write_keep_alive, write_nak, write_shutdown,
};
use flambeau_srt::protocol::packet::{Ack, ControlBody, DATAGRAM_BYTES, FullAck, HEADER_BYTES, Packet};
use flambeau_srt::protocol::seq::SeqNo;
use flambeau_srt::protocol::stream_id::StreamId;
use quinn_udp::{RecvMeta, UdpSocketState};

const WINDOW: usize = 8_192;

struct Puller {
    socket: UdpSocket,
    runs: Option<UdpSocketState>,
    negotiated: Negotiated,
    begin: Instant,
    /// The first packet that is missing, and the newest there is.
    next: SeqNo,
    newest: SeqNo,
    here: Vec<bool>,
    bytes: u64,
    gaps: u64,
    repeats: u64,
    acks: u32,
    said: SeqNo,
    acked: Instant,
    asked: Instant,
    open: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, count, stream_id, bytes, options @ ..] = &arguments[..] else {
        return Err("see the head of sink.rs".into());
    };
    let value = |name: &str| options.iter().find_map(|option| option.strip_prefix(name));
    let passphrase = value("passphrase=").map(Passphrase::new).transpose()?;
    let latency = Duration::from_millis(value("latency=").unwrap_or("120").parse()?);
    let gro = value("gro").is_some();
    let (address, expected): (SocketAddr, u64) = (address.parse()?, bytes.parse()?);
    let mut pullers = Vec::new();
    for index in 0..count.parse::<usize>()? {
        let stream_id = StreamId::bare(stream_id.replace("%d", &index.to_string()));
        pullers.push(Puller::call(address, stream_id, passphrase.clone(), gro)?);
        // The others must not fall silent meanwhile.
        pullers.iter_mut().for_each(|puller| puller.answer(Instant::now()));
    }
    println!("READY {}", pullers.len());
    let mut late = Late { latency, samples_us: Vec::new() };
    let mut buffer = vec![0; 65_536];
    let (mut last, mut before) = (Instant::now() + Duration::from_secs(30), 0);
    loop {
        for puller in &mut pullers {
            puller.receive(&mut buffer, &mut late)?;
            puller.answer(Instant::now());
        }
        let total: u64 = pullers.iter().map(|puller| puller.bytes).sum();
        if total > before {
            (last, before) = (Instant::now(), total);
        }
        let whole = pullers.iter().all(|puller| puller.bytes >= expected || !puller.open);
        if whole || last.elapsed() > Duration::from_secs(3) {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(4));
    }
    report(&mut pullers, expected, &mut late);
    Ok(())
}

fn report(pullers: &mut [Puller], expected: u64, late: &mut Late) {
    let sum = |of: fn(&Puller) -> u64| pullers.iter().map(of).sum::<u64>();
    let complete = pullers.iter().filter(|puller| puller.bytes == expected).count();
    let (bytes, gaps, repeats) = (sum(|p| p.bytes), sum(|p| p.gaps), sum(|p| p.repeats));
    let [p50, p99, most] = late.quantiles();
    println!(
        "{{\"complete\": {complete}, \"bytes\": {bytes}, \"gaps\": {gaps}, \"repeats\": {repeats}, \
         \"late_ms_p50\": {p50}, \"late_ms_p99\": {p99}, \"late_ms_max\": {most}}}"
    );
    for puller in pullers {
        let mut room = [0; DATAGRAM_BYTES];
        let len = write_shutdown(&mut room, puller.timestamp(), puller.negotiated.peer_socket);
        puller.send(&room[..len]);
    }
}

/// How much later than the latency payloads came.
struct Late {
    latency: Duration,
    samples_us: Vec<u32>,
}

impl Late {
    /// `arrived`: when, by the wall clock.
    fn sample(&mut self, payload: &[u8], arrived: Duration) {
        let Some((head, stamp)) = payload.get(4..20).and_then(|bytes| bytes.split_at_checked(8)) else {
            return;
        };
        if head != b"flambeau" {
            return;
        }
        let stamp = Duration::from_nanos(u64::from_ne_bytes(stamp.try_into().unwrap_or_default()));
        let late = arrived.saturating_sub(stamp).saturating_sub(self.latency);
        self.samples_us.push(late.as_micros() as u32);
    }

    fn quantiles(&mut self) -> [f64; 3] {
        self.samples_us.sort_unstable();
        let last = self.samples_us.len().saturating_sub(1);
        [last / 2, last * 99 / 100, last]
            .map(|index| f64::from(*self.samples_us.get(index).unwrap_or(&0)) / 1_000.0)
    }
}

impl Puller {
    fn call(
        peer: SocketAddr,
        stream_id: StreamId,
        passphrase: Option<Passphrase>,
        gro: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        let config = CallerConfig {
            peer,
            socket_id: rand::random_range(1..1 << 30),
            isn: SeqNo::new(rand::random()),
            mtu: 1500,
            flow_window: WINDOW as u32,
            stream_id,
            latency_ms: 120,
            passphrase,
            key_length: KeyLength::Aes256,
            key_refresh: KeyRefresh::default(),
            timeout: Duration::from_secs(5),
        };
        let mut caller = Caller::new(config, Instant::now());
        let mut buffer = [0; 2_048];
        socket.connect(peer)?;
        let negotiated = loop {
            if let Some(datagram) = caller.poll_transmit(Instant::now())? {
                socket.send(datagram)?;
            }
            socket.set_read_timeout(Some(Duration::from_millis(20)))?;
            match socket.recv(&mut buffer) {
                Ok(len) => {
                    if let Some(negotiated) = caller.handle(&buffer[..len], Instant::now())? {
                        break negotiated;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error.into()),
            }
        };
        socket.set_nonblocking(true)?;
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
        let runs = gro.then(|| UdpSocketState::new((&socket).into())).transpose()?;
        let (next, now) = (negotiated.receive_isn, Instant::now());
        Ok(Self {
            socket,
            runs,
            negotiated,
            begin: caller.start(),
            next,
            newest: next.prev(),
            here: vec![false; WINDOW],
            bytes: 0,
            gaps: 0,
            repeats: 0,
            acks: 0,
            said: next,
            acked: now,
            asked: now,
            open: true,
        })
    }

    fn receive(&mut self, buffer: &mut [u8], late: &mut Late) -> io::Result<()> {
        loop {
            let mut meta = [RecvMeta::default()];
            let received = match &self.runs {
                Some(state) => {
                    state.recv((&self.socket).into(), &mut [IoSliceMut::new(buffer)], &mut meta).map(|_| {
                        let RecvMeta { len, stride, .. } = meta[0];
                        (len, stride.max(1))
                    })
                }
                None => self.socket.recv(buffer).map(|len| (len, len.max(1))),
            };
            let (len, stride) = match received {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    self.open = false;
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            for datagram in buffer[..len].chunks(stride) {
                self.handle(datagram, meta[0].timestamp, late);
            }
        }
    }

    fn handle(&mut self, datagram: &[u8], arrived: Option<Duration>, late: &mut Late) {
        match Packet::parse(datagram) {
            Ok(Packet::Data(header, payload)) => {
                if let Some(arrived) = arrived {
                    late.sample(payload, arrived);
                }
                self.take(header.sequence, payload.len());
            }
            Ok(Packet::Control(control)) => match control.body {
                ControlBody::Shutdown => self.open = false,
                ControlBody::DropRequest { last, .. } if !last.is_before(self.next) => {
                    while !self.next.is_after(last) {
                        self.here[self.next.value() as usize % WINDOW] = false;
                        self.next = self.next.next();
                    }
                }
                ControlBody::Ack { number, ack: Ack::Full(_) } => {
                    self.write(|room, time, peer| write_ack_ack(room, time, peer, number));
                }
                _ => {}
            },
            Err(_) => {}
        }
    }

    fn take(&mut self, sequence: SeqNo, len: usize) {
        let ahead = sequence.minus(self.next);
        if ahead >= WINDOW as i32 - 1 {
            return;
        }
        if ahead < 0 || std::mem::replace(&mut self.here[sequence.value() as usize % WINDOW], true) {
            self.repeats += 1;
            return;
        }
        self.bytes += len as u64;
        let jump = sequence.minus(self.newest);
        if jump > 1 {
            self.gaps += jump as u64 - 1;
            self.ask(self.newest.next(), sequence.prev());
        }
        if jump > 0 {
            self.newest = sequence;
        }
        while std::mem::take(&mut self.here[self.next.value() as usize % WINDOW]) {
            self.next = self.next.next();
        }
    }

    fn ask(&self, first: SeqNo, last: SeqNo) {
        self.write(|room, time, peer| write_nak(room, time, peer, [(first, last)]));
    }

    /// A full ACK each 10 ms, as libsrt sends them, what is missing asked for each 50 ms, a sign of life each second.
    fn answer(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.acked);
        if self.next != self.said && since >= Duration::from_millis(10) {
            self.acks += 1;
            let full = FullAck {
                sequence: self.next,
                rtt_us: 1_000,
                rtt_var_us: 500,
                buffer_available: WINDOW as u32 / 2,
                receive_rate_pps: Some(1_000),
                link_capacity_pps: Some(10_000),
                receive_rate_bps: Some(1_000_000),
            };
            self.write(|room, time, peer| write_ack(room, time, peer, self.acks, &Ack::Full(full)));
            (self.said, self.acked) = (self.next, now);
        } else if since >= Duration::from_secs(1) {
            self.write(write_keep_alive);
            self.acked = now;
        }
        if self.newest.is_after(self.next)
            && now.saturating_duration_since(self.asked) > Duration::from_millis(50)
        {
            let mut last = self.next;
            while !self.here[last.next().value() as usize % WINDOW] {
                last = last.next();
            }
            self.ask(self.next, last);
            self.asked = now;
        }
    }

    fn write(&self, write: impl FnOnce(&mut [u8; DATAGRAM_BYTES], u32, u32) -> usize) {
        let mut room = [0; DATAGRAM_BYTES];
        let len = write(&mut room, self.timestamp(), self.negotiated.peer_socket);
        self.send(&room[..len.max(HEADER_BYTES)]);
    }

    fn send(&self, datagram: &[u8]) {
        // What is lost here is lost on the way.
        let _ = self.socket.send(datagram);
    }

    fn timestamp(&self) -> u32 {
        self.begin.elapsed().as_micros() as u32
    }
}
