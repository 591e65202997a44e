//! Venues over loopback sockets.

use std::time::{Duration, Instant};

use flambeau_config::schema::FeedConfig;
use flambeau_config::{Config, Secret};
use flambeau_media::FeedId;
use flambeau_media::feed::State;
use flambeau_srt::endpoint::{ConnectError, Dial, Role, Session, connect};
use flambeau_srt::protocol::connection::{CloseReason, Settings};
use flambeau_srt::protocol::crypto::{KeyLength, KeyRefresh, Passphrase};
use flambeau_srt::protocol::handshake::caller::{Caller, CallerConfig, CallerError};
use flambeau_srt::protocol::reject::Reason;
use flambeau_srt::protocol::sender::{Outlet, Source, Supply};
use flambeau_srt::protocol::seq::SeqNo;
use flambeau_srt::protocol::stream_id::StreamId;
use tokio::net::UdpSocket;

use super::*;

/// A payload each 5 ms, without an end.
struct Payloads {
    byte: u8,
    due: Instant,
}

impl Payloads {
    fn role(byte: u8) -> Role {
        Role::Send(Box::new(Self { byte, due: Instant::now() }))
    }
}

impl Source for Payloads {
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply {
        while self.due <= now
            && let Some(into) = out.room()
        {
            self.due += Duration::from_millis(5);
            self.again(0, &mut into[..1316]);
            out.put(0, 1316, now);
        }
        Supply::Open
    }

    fn again(&mut self, _: u64, into: &mut [u8]) -> bool {
        for packet in into.chunks_mut(188) {
            packet.fill(0xff);
            // A null packet, where `byte` is the sync byte.
            packet[..4].copy_from_slice(&[self.byte, 0x1f, 0xff, 0x10]);
        }
        true
    }
}

const TS: u8 = 0x47;

struct Port {
    address: SocketAddr,
    live: Live,
    directory: Arc<Directory>,
    venues: Venues,
    shutdown: CancellationToken,
}

impl Port {
    fn open(config: &Config) -> Self {
        let (directory, shutdown) = (Arc::<Directory>::default(), CancellationToken::new());
        let mut config = config.clone();
        config.ingest.srt.listen = "127.0.0.1:0".parse().expect("an address");
        let live = Live::new(config);
        let server = Server::bind(&live, directory.clone(), shutdown.clone()).expect("a free port");
        let (address, venues) = (server.local_addr(), server.venues());
        tokio::spawn(server.run(shutdown.clone()));
        Self { address, live, directory, venues, shutdown }
    }

    async fn publish(&self, byte: u8, passphrase: Option<&str>) -> Result<Session, ConnectError> {
        let dial = Dial {
            address: self.address,
            stream_id: StreamId::bare("venue"),
            latency: Duration::from_millis(60),
            passphrase: passphrase.map(|text| Passphrase::new(text).expect("long enough")),
            key_length: KeyLength::Aes128,
            settings: Settings::default(),
        };
        connect(dial, Payloads::role(byte), self.shutdown.clone()).await
    }

    async fn feed_is(&self, expected: fn(State) -> bool) {
        let id: FeedId = "venue".parse().expect("an id");
        for _ in 0..300 {
            if self.directory.feed(&id).is_some_and(|feed| expected(*feed.state().borrow())) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the feed did not come to that state within three seconds");
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn code(result: Result<Session, ConnectError>) -> u32 {
    match result {
        Err(ConnectError::Handshake(CallerError::Rejected(reason))) => reason.code(),
        other => panic!("{other:?} where a rejection was expected"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_publisher_is_a_conflict_and_the_first_is_undisturbed() {
    let port = Port::open(&Config::lab());
    let first = port.publish(TS, None).await.expect("admitted");
    port.feed_is(|state| state == State::Live).await;
    for _ in 0..3 {
        assert_eq!(code(port.publish(TS, None).await), Reason::Conflict.code());
    }
    assert_eq!(first.close_reason(), None);
    assert_eq!(port.venues.list().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_passphrase_leaves_the_place_free() {
    let mut config = Config::default();
    let mut feed = FeedConfig::new("venue".parse().expect("an id"));
    feed.passphrase = Some(Secret::new("correct horse battery"));
    config.feeds.push(feed);
    let port = Port::open(&config);
    for _ in 0..3 {
        assert_eq!(code(port.publish(TS, Some("not the secret")).await), Reason::BadSecret.code());
        assert_eq!(code(port.publish(TS, None).await), Reason::Unsecure.code());
    }
    assert!(port.venues.list().is_empty());
    port.publish(TS, Some("correct horse battery")).await.expect("admitted");
    port.feed_is(|state| state == State::Live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_at_the_door_does_not_keep_the_venue_out() {
    let port = Port::open(&Config::lab());
    let id: FeedId = "venue".parse().expect("an id");
    let claim = port.venues.claim(&id).expect("free");
    let publishing = async { port.publish(TS, None).await.map(|_| ()) };
    let failing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(claim);
    };
    let (published, ()) = tokio::join!(publishing, failing);
    published.expect("admitted once the stranger has failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_of_something_else_makes_no_feed_and_is_closed() {
    let port = Port::open(&Config::lab());
    let session = port.publish(0x00, None).await.expect("admitted");
    assert_eq!(session.closed().await, CloseReason::Peer);
    assert!(port.directory.feeds().is_empty());
    port.publish(TS, None).await.expect("the place is free again");
    port.feed_is(|state| state == State::Live).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_whose_session_is_dead_takes_its_own_place() {
    let port = Port::open(&Config::lab());
    // A session that was admitted and is never heard again.
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    socket.connect(port.address).await.expect("connected");
    let config = CallerConfig {
        peer: port.address,
        socket_id: 7,
        isn: SeqNo::new(1),
        mtu: 1500,
        flow_window: 8192,
        stream_id: StreamId::bare("venue"),
        latency_ms: 60,
        passphrase: None,
        key_length: KeyLength::Aes128,
        key_refresh: KeyRefresh::default(),
        timeout: Duration::from_secs(3),
    };
    let mut caller = Caller::new(config, Instant::now());
    let mut room = [0; 1500];
    loop {
        let datagram = caller.poll_transmit(Instant::now()).expect("in time").expect("a datagram").to_vec();
        socket.send(&datagram).await.expect("sent");
        let len = socket.recv(&mut room).await.expect("an answer");
        if caller.handle(&room[..len], Instant::now()).expect("accepted").is_some() {
            break;
        }
    }
    let dead = port.venues.list().remove(0);
    port.publish(TS, None).await.expect("admitted in its own place");
    assert_eq!(dead.session.closed().await, CloseReason::Local);
    port.feed_is(|state| state == State::Live).await;
    assert_eq!(port.venues.list().len(), 1);
}

fn configured(passphrase: &str, users: &[&str]) -> Config {
    let mut feed = FeedConfig::new("venue".parse().expect("an id"));
    feed.passphrase = Some(Secret::new(passphrase));
    feed.users = users.iter().map(|user| (*user).to_owned()).collect();
    Config { feeds: vec![feed], ..Config::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_ends_the_venue_that_is_no_longer_allowed_and_no_other_change_does() {
    const SECRET: &str = "correct horse battery";
    let port = Port::open(&configured(SECRET, &[]));
    let publish = async || port.publish(TS, Some(SECRET)).await.expect("admitted");
    let session = publish().await;
    port.feed_is(|state| state == State::Live).await;

    let mut harmless = configured(SECRET, &[]);
    harmless.feeds[0].label = Some("Main".into());
    harmless.ingest.srt.latency = Duration::from_millis(400);
    port.live.apply(harmless);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((session.close_reason(), port.venues.list()[0].encrypted), (None, true));
    let later = port.live.current().ingest.srt.latency;
    assert_eq!(later, Duration::from_millis(400));

    for next in [configured("another horse battery", &[]), configured(SECRET, &["crew"]), Config::default()] {
        port.live.apply(configured(SECRET, &[]));
        let session = match port.venues.list().is_empty() {
            true => publish().await,
            false => session.clone(),
        };
        port.live.apply(next);
        assert_eq!(session.closed().await, CloseReason::Peer);
        port.feed_is(|state| matches!(state, State::Waiting(_))).await;
        while !port.venues.list().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_limit_of_sessions_holds_for_those_to_come() {
    let mut config = Config::lab();
    let port = Port::open(&config);
    let session = port.publish(TS, None).await.expect("admitted");
    config.ingest.srt.sessions_max = 1;
    port.live.apply(config);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(code(port.publish(TS, None).await), Reason::Overload.code());
    assert_eq!(session.close_reason(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_venue_that_sends_more_than_it_may_is_ended_after_five_seconds() {
    let mut config = Config::lab();
    config.ingest.srt.bandwidth_max = Some(flambeau_config::BitRate(1_000_000));
    let port = Port::open(&config);
    let session = port.publish(TS, None).await.expect("admitted");
    port.feed_is(|state| state == State::Live).await;
    let venue = port.venues.list().remove(0);
    assert_eq!(session.closed().await, CloseReason::Peer);
    let fault = venue.signal.fault().expect("a reason");
    assert!(fault.contains("bandwidth_max"), "{fault}");
}
