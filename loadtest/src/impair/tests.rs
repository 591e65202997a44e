use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::*;

async fn server() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a loopback port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

async fn client(proxy: &Proxy) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a loopback port");
    socket.connect(proxy.address()).await.expect("connected");
    socket
}

async fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = vec![0; 2000];
    let received = timeout(Duration::from_secs(5), socket.recv_from(&mut buffer)).await;
    let (len, from) = received.ok()?.ok()?;
    buffer.truncate(len);
    Some((buffer, from))
}

#[tokio::test]
async fn each_client_has_an_address_of_its_own_and_gets_its_own_answers() {
    let (server, address) = server().await;
    let proxy = Proxy::start(Settings::clean(address)).expect("a proxy");
    let (a, b) = (client(&proxy).await, client(&proxy).await);
    a.send(b"from a").await.expect("sent");
    let (heard, a_seen) = receive(&server).await.expect("a's datagram");
    assert_eq!(heard, b"from a");
    b.send(b"from b").await.expect("sent");
    let (_, b_seen) = receive(&server).await.expect("b's datagram");
    assert_ne!(a_seen, b_seen);
    server.send_to(b"to a", a_seen).await.expect("sent");
    server.send_to(b"to b", b_seen).await.expect("sent");
    assert_eq!(receive(&a).await.expect("an answer").0, b"to a");
    assert_eq!(receive(&b).await.expect("an answer").0, b"to b");
    assert_eq!(proxy.report().clients, 2);
}

#[tokio::test]
async fn a_delay_each_way_makes_the_round_trip() {
    let (server, address) = server().await;
    let settings = Settings::clean(address).both_ways(|link| link.delay = Duration::from_millis(20));
    let proxy = Proxy::start(settings).expect("a proxy");
    let client = client(&proxy).await;
    let sent = std::time::Instant::now();
    client.send(b"ping").await.expect("sent");
    let (_, from) = receive(&server).await.expect("the ping");
    server.send_to(b"pong", from).await.expect("sent");
    receive(&client).await.expect("the pong");
    let round_trip = sent.elapsed();
    assert!(round_trip >= Duration::from_millis(40), "{round_trip:?}");
    assert!(round_trip < Duration::from_millis(200), "{round_trip:?}");
}

#[tokio::test]
async fn a_silent_client_is_forgotten_and_a_crowd_is_refused() {
    let (server, address) = server().await;
    let settings = Settings { clients_max: 1, idle: Duration::from_millis(200), ..Settings::clean(address) };
    let proxy = Proxy::start(settings).expect("a proxy");
    let (first, second) = (client(&proxy).await, client(&proxy).await);
    first.send(b"1").await.expect("sent");
    let (_, first_seen) = receive(&server).await.expect("the first client");
    second.send(b"2").await.expect("sent");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(proxy.report().refused, 1);
    second.send(b"3").await.expect("sent");
    let (heard, second_seen) = receive(&server).await.expect("room for the second client");
    assert_eq!(heard, b"3");
    assert_ne!(first_seen, second_seen);
}

#[tokio::test]
async fn what_is_lost_is_counted_and_the_rest_arrives() {
    let (server, address) = server().await;
    let settings = Settings::clean(address).both_ways(|link| link.loss = "50%".parse().expect("a share"));
    let proxy = Proxy::start(settings).expect("a proxy");
    let client = client(&proxy).await;
    for index in 0..100_u8 {
        client.send(&[index; 100]).await.expect("sent");
    }
    let mut heard = 0;
    while heard + proxy.report().up.lost < 100 {
        let (datagram, _) = receive(&server).await.expect("a datagram that was not lost");
        assert_eq!(datagram.len(), 100);
        heard += 1;
    }
    let report = proxy.report();
    assert_eq!((report.up.packets, report.up.delivered), (100, heard));
    assert!((20..80).contains(&heard), "{heard}");
}
