//! TLS 1.3 by the operator's certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flambeau_config::Config;
use flambeau_edge::http::{Server, StartError};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::common::{Node, PATIENCE, start_with};

const SEGMENT: &str = "/athletics/v/100.m4s";

/// A directory with a certificate of that name and its key.
fn files(name: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("flambeau-tls-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory).expect("the temporary directory can be written");
    renew(&directory, name);
    directory
}

fn renew(directory: &Path, name: &str) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![format!("{name}.example")]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(directory.join("c.pem"), certificate.pem()).expect("the directory is ours");
    fs::write(directory.join("k.pem"), key.serialize_pem()).expect("the directory is ours");
}

fn start(directory: &Path, patience: Duration) -> Node {
    start_with(&Config::lab(), |http| {
        http.certificate = Some(directory.join("c.pem"));
        http.key = Some(directory.join("k.pem"));
        http.header_timeout = patience;
    })
}

/// Takes any certificate, and remembers it.
#[derive(Debug)]
struct Seen(CryptoProvider, Mutex<Vec<u8>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.1.lock().expect("no panic") = certificate.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Shakes hands; returns the connection and the certificate it was shown.
async fn connect(node: &Node, protocols: &[&str]) -> (TlsStream<TcpStream>, Vec<u8>) {
    let seen = Arc::new(Seen(ring::default_provider(), Mutex::default()));
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(seen.clone())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(node.address).await.expect("it listens");
    let name = ServerName::try_from("edge.example").expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
    let certificate = seen.1.lock().expect("no panic").clone();
    (stream, certificate)
}

async fn get(stream: &mut TlsStream<TcpStream>) -> String {
    let request = format!("GET {SEGMENT} HTTP/1.1\r\nHost: edge\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut said = Vec::new();
    // A head, and a thousand bytes.
    let read = async {
        loop {
            let end = said.windows(4).position(|window| window == b"\r\n\r\n");
            if end.is_some_and(|end| said.len() >= end + 4 + 1000) {
                return String::from_utf8_lossy(&said).into_owned();
            }
            assert!(stream.read_buf(&mut said).await.expect("an answer") > 0, "closed");
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("an answer in time")
}

#[tokio::test]
async fn both_protocols_are_spoken_as_the_client_likes() {
    let node = start(&files("both"), PATIENCE);
    for (offered, agreed) in
        [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"][..], Some("http/1.1")), (&[][..], None)]
    {
        let (mut stream, _) = connect(&node, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes));
        if agreed == Some("h2") {
            let (mut send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
            tokio::spawn(connection);
            let request = http::Request::get(format!("https://edge{SEGMENT}")).body(()).expect("a request");
            let answer = send.send_request(request, true).expect("a stream").0.await.expect("a response");
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["content-length"]),
                (200, &"1000".parse().expect("text"))
            );
        } else {
            assert!(get(&mut stream).await.starts_with("HTTP/1.1 200 "));
        }
    }
    assert_eq!((node.stats().handshakes, node.stats().http2_connections), (3, 1));
    assert!(node.stats().certificate_until > 0);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_then_on_and_a_broken_one_is_not() {
    let directory = files("first");
    let node = start(&directory, PATIENCE * 6);
    let (mut open, first) = connect(&node, &["http/1.1"]).await;
    renew(&directory, "second");
    node.until("taken", |stats| stats.certificates_loaded == 1).await;
    let (_, second) = connect(&node, &["http/1.1"]).await;
    assert_ne!(first, second);
    fs::write(directory.join("c.pem"), "not a certificate").expect("the directory is ours");
    node.until("refused", |stats| stats.certificates_rejected == 1).await;
    let (mut later, third) = connect(&node, &["http/1.1"]).await;
    assert_eq!(second, third);
    for stream in [&mut open, &mut later] {
        assert!(get(stream).await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn who_says_no_hello_or_another_one_is_let_go() {
    let node = start(&files("strangers"), Duration::from_millis(500));
    let silent = TcpStream::connect(node.address).await.expect("it listens");
    node.until("timed out", |stats| stats.handshakes_timed_out == 1).await;
    drop(silent);
    // A ClientHello of TLS 1.2 (RFC 5246 7.4.1.2): TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, no extensions.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    for stranger in [&hello[..], b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n"] {
        let mut stream = TcpStream::connect(node.address).await.expect("it listens");
        stream.write_all(stranger).await.expect("it reads");
        let mut said = Vec::new();
        drop(tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("it closes"));
        // An alert (RFC 8446 6), and nothing else.
        assert!(said.is_empty() || said[0] == 21, "{said:?}");
    }
    node.until("counted", |stats| stats.handshakes_failed == 2).await;
    assert!(get(&mut connect(&node, &[]).await.0).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_certificate_that_does_not_parse_is_told_at_the_start() {
    let directory = files("broken");
    fs::write(directory.join("c.pem"), "hello").expect("the directory is ours");
    let config = Config::lab();
    let mut http = config.edge.http.clone();
    http.listen = "127.0.0.1:0".parse().expect("an address");
    http.certificate = Some(directory.join("c.pem"));
    http.key = Some(directory.join("k.pem"));
    let policy = flambeau_config::Policy::new(&config);
    let error = Server::bind(&http, policy, Arc::default(), Default::default()).expect_err("no certificate");
    assert!(matches!(error, StartError::Tls(_)));
    assert!(error.to_string().contains("c.pem has no PEM section"), "{error}");
    assert_eq!(error.key(), "edge.http.certificate");
    assert!(error.remedy().is_some_and(|remedy| remedy.contains("fullchain.pem")));
}
