//! Callers and listeners over loopback sockets.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::protocol::connection::{CloseReason, Settings};
use crate::protocol::crypto::{KeyLength, KeyRefresh, Passphrase};
use crate::protocol::handshake::caller::{Caller, CallerConfig, CallerError};
use crate::protocol::receiver::Payload;
use crate::protocol::reject::Reason;
use crate::protocol::sender::{Outlet, Source, Supply};
use crate::protocol::seq::SeqNo;
use crate::protocol::stream_id::StreamId;

struct Collect(SyncSender<Vec<u8>>);

impl Sink for Collect {
    fn deliver(&mut self, payloads: &mut Vec<Payload>) -> Verdict {
        for payload in payloads.drain(..) {
            if self.0.try_send(payload.data.to_vec()).is_err() {
                return Verdict::Close;
            }
        }
        Verdict::Continue
    }
}

struct Numbers(u64);

impl Source for Numbers {
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply {
        while self.0 < PACKETS {
            let position = self.0;
            let Some(into) = out.room() else { return Supply::Open };
            into[..1316].fill(position as u8);
            out.put(position, 1316, now);
            self.0 += 1;
        }
        Supply::Ended
    }

    fn again(&mut self, position: u64, into: &mut [u8]) -> bool {
        into.fill(position as u8);
        true
    }
}

const PACKETS: u64 = 500;

fn dial(listener: &Listener, passphrase: Option<&str>) -> Dial {
    Dial {
        address: listener.local_addr(),
        stream_id: StreamId::bare("feed"),
        latency: Duration::from_millis(60),
        passphrase: passphrase.map(|text| Passphrase::new(text).expect("long enough")),
        key_length: KeyLength::Aes192,
        settings: Settings::default(),
    }
}

fn listen(shutdown: &CancellationToken) -> Listener {
    let address = "127.0.0.1:0".parse().expect("an address");
    Listener::bind(
        address,
        ListenerSettings { limits: Limits { sessions_max: 4, ..Limits::default() }, workers: 2 },
        shutdown.clone(),
    )
    .expect("a free port")
}

/// Lets a caller in.
async fn admit(request: Request, passphrase: Option<&str>, role: Role) -> Result<Session, AcceptError> {
    let passphrase = passphrase.map(|text| Passphrase::new(text).expect("long enough"));
    request.unlock(passphrase).await?.accept(Acceptance::default(), role).await
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_cross_in_the_clear_and_encrypted() {
    for passphrase in [None, Some("correct horse battery")] {
        let shutdown = CancellationToken::new();
        let mut listener = listen(&shutdown);
        let (sink, received) = sync_channel(1_000);
        let calling = tokio::spawn(connect(
            dial(&listener, passphrase),
            Role::Send(Box::new(Numbers(0))),
            shutdown.clone(),
        ));
        let request = listener.accept().await.expect("a caller");
        assert_eq!(request.stream_id().resource(), Some("feed"));
        assert_eq!(request.encryption(), passphrase.map(|_| KeyLength::Aes192));
        let session =
            admit(request, passphrase, Role::Receive(Box::new(Collect(sink)))).await.expect("agreed");
        let caller = calling.await.expect("no panic").expect("connected");
        assert_eq!(session.closed().await, CloseReason::Peer);
        assert_eq!(caller.closed().await, CloseReason::Finished);
        let payloads: Vec<_> = received.try_iter().collect();
        assert_eq!(payloads.len() as u64, PACKETS);
        assert!(payloads.iter().enumerate().all(|(n, payload)| payload.iter().all(|&byte| byte == n as u8)));
        assert_eq!(session.stats().total.pkt_recv_unique, PACKETS);
        shutdown.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_turned_away_learns_the_reason() {
    let shutdown = CancellationToken::new();
    let mut listener = listen(&shutdown);
    let calling =
        tokio::spawn(connect(dial(&listener, None), Role::Send(Box::new(Numbers(0))), shutdown.clone()));
    listener.accept().await.expect("a caller").reject(Reason::NotFound).await;
    let refused = calling.await.expect("no panic").expect_err("turned away");
    assert!(matches!(refused, ConnectError::Handshake(CallerError::Rejected(Reason::NotFound))), "{refused}");

    let calling = tokio::spawn(connect(
        dial(&listener, Some("not the secret")),
        Role::Send(Box::new(Numbers(0))),
        shutdown.clone(),
    ));
    let (sink, _received) = sync_channel(1);
    let request = listener.accept().await.expect("a caller");
    let refused = admit(request, Some("correct horse battery"), Role::Receive(Box::new(Collect(sink)))).await;
    assert_eq!(refused.expect_err("another passphrase"), AcceptError::Refused(Reason::BadSecret));
    let refused = calling.await.expect("no panic").expect_err("turned away");
    assert!(
        matches!(refused, ConnectError::Handshake(CallerError::Rejected(Reason::BadSecret))),
        "{refused}"
    );
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_decision_holds_up_no_one_else() {
    let shutdown = CancellationToken::new();
    let mut listener = listen(&shutdown);
    let slow =
        tokio::spawn(connect(dial(&listener, None), Role::Send(Box::new(Numbers(0))), shutdown.clone()));
    let undecided = listener.accept().await.expect("a caller");
    let quick =
        tokio::spawn(connect(dial(&listener, None), Role::Send(Box::new(Numbers(0))), shutdown.clone()));
    let (sink, received) = sync_channel(1_000);
    let request = listener.accept().await.expect("another caller");
    let session = admit(request, None, Role::Receive(Box::new(Collect(sink)))).await.expect("agreed");
    quick.await.expect("no panic").expect("connected");
    assert_eq!(session.closed().await, CloseReason::Peer);
    assert_eq!(received.try_iter().count() as u64, PACKETS);
    drop(undecided);
    let refused = slow.await.expect("no panic").expect_err("dropped");
    assert!(matches!(refused, ConnectError::Handshake(CallerError::Rejected(_))), "{refused}");
    shutdown.cancel();
}

struct Panics;

impl Sink for Panics {
    fn deliver(&mut self, _: &mut Vec<Payload>) -> Verdict {
        panic!("a test of what a panic ends");
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("a test of what a panic at the end ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_sink_ends_that_session_alone() {
    let shutdown = CancellationToken::new();
    let address = "127.0.0.1:0".parse().expect("an address");
    let settings = ListenerSettings { limits: Limits { sessions_max: 4, ..Limits::default() }, workers: 1 };
    let mut listener = Listener::bind(address, settings, shutdown.clone()).expect("a free port");
    let good =
        tokio::spawn(connect(dial(&listener, None), Role::Send(Box::new(Numbers(0))), shutdown.clone()));
    let (sink, received) = sync_channel(1_000);
    let request = listener.accept().await.expect("a caller");
    let session = admit(request, None, Role::Receive(Box::new(Collect(sink)))).await.expect("agreed");
    good.await.expect("no panic").expect("connected");
    let bad =
        tokio::spawn(connect(dial(&listener, None), Role::Send(Box::new(Numbers(0))), shutdown.clone()));
    let request = listener.accept().await.expect("another caller");
    let faulty = admit(request, None, Role::Receive(Box::new(Panics))).await.expect("agreed");
    assert_eq!(faulty.closed().await, CloseReason::Failed);
    bad.await.expect("no panic").expect("connected").closed().await;
    assert_eq!(session.closed().await, CloseReason::Peer);
    assert_eq!(received.try_iter().count() as u64, PACKETS);
    assert!(listener.stats().session_faults() >= 1);
    // The worker lives: it takes another caller.
    let again =
        tokio::spawn(connect(dial(&listener, None), Role::Send(Box::new(Numbers(0))), shutdown.clone()));
    listener.accept().await.expect("a third caller").reject(Reason::NotFound).await;
    again.await.expect("no panic").expect_err("turned away");
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_sessions_is_the_ports_whatever_worker_they_come_to() {
    let shutdown = CancellationToken::new();
    let mut listener = listen(&shutdown);
    let calls: Vec<_> = (0..16)
        .map(|_| {
            tokio::spawn(connect(dial(&listener, None), Role::Send(Box::new(Numbers(0))), shutdown.clone()))
        })
        .collect();
    let mut requests = Vec::new();
    for _ in 0..4 {
        requests.push(listener.accept().await.expect("a caller"));
    }
    let fifth = tokio::time::timeout(Duration::from_millis(500), listener.accept()).await;
    assert!(fifth.is_err(), "a fifth caller where four are the limit");
    drop(requests);
    let mut overloads = 0;
    for call in calls {
        let refused = call.await.expect("no panic").expect_err("turned away");
        let overload = ConnectError::Handshake(CallerError::Rejected(Reason::Overload));
        overloads += usize::from(refused.to_string() == overload.to_string());
    }
    assert_eq!(overloads, 12);
    // The places are free again.
    let call =
        tokio::spawn(connect(dial(&listener, None), Role::Send(Box::new(Numbers(0))), shutdown.clone()));
    listener.accept().await.expect("a caller").reject(Reason::NotFound).await;
    call.await.expect("no panic").expect_err("turned away");
    shutdown.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_missed_the_answer_gets_it_again() {
    let shutdown = CancellationToken::new();
    let mut listener = listen(&shutdown);
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    socket.connect(listener.local_addr()).await.expect("connected");
    let config = CallerConfig {
        peer: listener.local_addr(),
        socket_id: 7,
        isn: SeqNo::new(1),
        mtu: 1500,
        flow_window: 8192,
        stream_id: StreamId::bare("feed"),
        latency_ms: 60,
        passphrase: None,
        key_length: KeyLength::Aes128,
        key_refresh: KeyRefresh::default(),
        timeout: Duration::from_secs(3),
    };
    let mut caller = Caller::new(config, Instant::now());
    let mut room = [0; 1500];
    let induction = caller.poll_transmit(Instant::now()).expect("in time").expect("a datagram").to_vec();
    socket.send(&induction).await.expect("sent");
    let len = socket.recv(&mut room).await.expect("a cookie");
    caller.handle(&room[..len], Instant::now()).expect("a cookie");
    let conclusion = caller.poll_transmit(Instant::now()).expect("in time").expect("a datagram").to_vec();
    socket.send(&conclusion).await.expect("sent");
    let (sink, _received) = sync_channel(1);
    let request = listener.accept().await.expect("a caller");
    let session = admit(request, None, Role::Receive(Box::new(Collect(sink)))).await.expect("agreed");
    let lost = socket.recv(&mut room).await.expect("an answer");
    let mut again = [0; 1500];
    for _ in 0..3 {
        socket.send(&conclusion).await.expect("sent");
        // Acknowledgements and keep-alives may come in between; a handshake has type 0.
        loop {
            let len = socket.recv(&mut again).await.expect("an answer");
            if again[..4] == [0x80, 0, 0, 0] {
                assert_eq!(len, lost);
                break;
            }
        }
        // All but the timestamp is the same.
        assert_eq!((&again[..8], &again[12..lost]), (&room[..8], &room[12..lost]));
    }
    assert_eq!((session.close_reason(), listener.stats().sessions()), (None, 1));
    let accepted = caller.handle(&again[..lost], Instant::now()).expect("accepted");
    assert!(accepted.is_some());
    shutdown.cancel();
    assert_eq!(session.closed().await, CloseReason::Local);
}
