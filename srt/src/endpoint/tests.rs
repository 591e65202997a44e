//! Callers and listeners over loopback sockets.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::protocol::connection::{CloseReason, Settings};
use crate::protocol::crypto::{KeyLength, Passphrase};
use crate::protocol::handshake::caller::CallerError;
use crate::protocol::receiver::Payload;
use crate::protocol::reject::Reason;
use crate::protocol::sender::{Next, Source};
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
    fn next(&mut self, now: Instant, into: &mut [u8]) -> Next {
        if self.0 == PACKETS {
            return Next::End;
        }
        let position = self.0;
        self.0 += 1;
        self.again(position, &mut into[..1316]);
        Next::Payload { position, len: 1316, origin: now }
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
    Listener::bind(address, ListenerSettings { sessions_max: 4, workers: 2 }, shutdown.clone())
        .expect("a free port")
}

fn acceptance(passphrase: Option<&str>) -> Acceptance {
    Acceptance {
        passphrase: passphrase.map(|text| Passphrase::new(text).expect("long enough")),
        ..Acceptance::default()
    }
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
        let session = request
            .accept(acceptance(passphrase), Role::Receive(Box::new(Collect(sink))))
            .await
            .expect("agreed");
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
    let refused = request
        .accept(acceptance(Some("correct horse battery")), Role::Receive(Box::new(Collect(sink))))
        .await;
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
    let session =
        request.accept(acceptance(None), Role::Receive(Box::new(Collect(sink)))).await.expect("agreed");
    quick.await.expect("no panic").expect("connected");
    assert_eq!(session.closed().await, CloseReason::Peer);
    assert_eq!(received.try_iter().count() as u64, PACKETS);
    drop(undecided);
    let refused = slow.await.expect("no panic").expect_err("dropped");
    assert!(matches!(refused, ConnectError::Handshake(CallerError::Rejected(_))), "{refused}");
    shutdown.cancel();
}
