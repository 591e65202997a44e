//! What a packet costs a connection, without the kernel: sent, and received and delivered.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flambeau_srt::protocol::burst::Burst;
use flambeau_srt::protocol::connection::{Connection, Settings};
use flambeau_srt::protocol::crypto::{CryptoPair, KeyLength, KeyMaterial, KeyRefresh, Passphrase};
use flambeau_srt::protocol::handshake::{Flags, Negotiated, Version};
use flambeau_srt::protocol::receiver::WINDOW_PACKETS;
use flambeau_srt::protocol::sender::{Outlet, Source, Supply};
use flambeau_srt::protocol::seq::SeqNo;
use flambeau_srt::protocol::stream_id::StreamId;

const PAYLOAD_BYTES: usize = 1316;
const PACKETS: u64 = 1_000;

struct Endless;

impl Source for Endless {
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply {
        while let Some(into) = out.room() {
            into[..PAYLOAD_BYTES].fill(0x47);
            out.put(0, PAYLOAD_BYTES, now);
        }
        Supply::Open
    }

    fn again(&mut self, _: u64, into: &mut [u8]) -> bool {
        into.fill(0x47);
        true
    }
}

/// Both ends of a connection as a handshake would leave them.
fn pair(key_length: Option<KeyLength>) -> (Connection, Connection, Instant) {
    let now = Instant::now();
    let (sending, receiving) = match key_length {
        Some(length) => {
            let passphrase = Passphrase::new("correct horse battery").expect("long enough");
            let (ours, message) = CryptoPair::generate(&passphrase, length, KeyRefresh::default());
            let material = KeyMaterial::parse(&message).expect("just made");
            let theirs = CryptoPair::unlock(&material, &passphrase, KeyRefresh::default());
            (Some(ours), Some(theirs.expect("the passphrase")))
        }
        None => (None, None),
    };
    let negotiated = |crypto| Negotiated {
        local_socket: 1,
        peer_socket: 2,
        send_isn: SeqNo::new(0),
        receive_isn: SeqNo::new(0),
        mtu: 1500,
        payload_max: 1456,
        send_latency: Duration::from_millis(120),
        receive_latency: Duration::from_millis(120),
        flow_window: WINDOW_PACKETS,
        peer_version: Version(0x01_05_03),
        peer_flags: Flags::default(),
        peer_timestamp: 0,
        stream_id: StreamId::default(),
        crypto,
    };
    let connection = |crypto| Connection::new(negotiated(crypto), now, Settings::default(), now);
    (connection(sending), connection(receiving), now)
}

/// Sends `PACKETS` or a burst more, while time passes as the pacer asks.
fn send(sender: &mut Connection, start: Instant, mut each: impl FnMut(&[u8])) {
    let (mut burst, mut now, mut sent) = (Burst::default(), start, 0);
    while sent < PACKETS {
        sender.poll_transmit(now, Some(&mut Endless), &mut burst);
        for (run, size) in burst.runs() {
            for datagram in run.chunks(size) {
                sent += 1;
                each(datagram);
            }
        }
        burst.clear();
        now += Duration::from_millis(2);
    }
}

fn packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("srt connection");
    group.throughput(Throughput::Elements(PACKETS));
    for (name, key_length) in
        [("clear", None), ("AES-128", Some(KeyLength::Aes128)), ("AES-256", Some(KeyLength::Aes256))]
    {
        group.bench_function(format!("send, {name}"), |bencher| {
            bencher.iter_batched_ref(
                || pair(key_length),
                |(sender, _, start)| {
                    send(sender, *start, |datagram| {
                        black_box(datagram);
                    });
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(format!("receive, {name}"), |bencher| {
            bencher.iter_batched_ref(
                || {
                    let (mut sender, receiver, start) = pair(key_length);
                    let mut datagrams = Vec::new();
                    send(&mut sender, start, |datagram| datagrams.push(datagram.to_vec()));
                    datagrams.truncate(PACKETS as usize);
                    (receiver, datagrams, Vec::new(), Burst::default(), start)
                },
                |(receiver, datagrams, payloads, burst, start)| {
                    for (n, datagram) in datagrams.iter_mut().enumerate() {
                        let now = *start + Duration::from_micros(500) * n as u32;
                        receiver.handle_datagram(now, datagram);
                        receiver.handle_timeout(now);
                        receiver.deliver(now, payloads);
                        receiver.poll_transmit(now, None, burst);
                        black_box(&payloads);
                        payloads.clear();
                        burst.clear();
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, packets);
criterion_main!(benches);
