//! An HTTP client of which many fit into a process.

mod path;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, RANGE, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

pub use path::resolve;

use crate::tally::Record;

type Connector = HttpsConnector<HttpConnector<At>>;

/// Why a request got no answer that is of use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection.
    #[error("connect")]
    Connect,
    /// No answer, or not all of it, in time.
    #[error("timeout")]
    Timeout,
    /// An answer, but not this one.
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    /// The answer ended too early.
    #[error("cut")]
    Cut,
    /// The answer is larger than it may be.
    #[error("too large")]
    TooLarge,
    /// The address is none.
    #[error("address")]
    Address,
    /// The body is not what it should be.
    #[error("{0}")]
    Content(String),
}

/// What all clients of a run share.
#[derive(Debug, Clone)]
pub struct Web {
    connector: Connector,
    http2: bool,
    base: Uri,
}

impl Web {
    /// Clients of `base`, as in `http://host:8080/`, which is at `address` whatever the name says. `authority`: a file
    /// of certificates to trust, in PEM; needed for `https`.
    pub fn new(base: Uri, address: SocketAddr, http2: bool, authority: Option<&Path>) -> io::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        if let Some(path) = authority {
            let certificates = CertificateDer::pem_file_iter(path).map_err(io::Error::other)?;
            for certificate in certificates {
                roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tcp = HttpConnector::new_with_resolver(At(address));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match http2 {
            true => builder.enable_http2().wrap_connector(tcp),
            false => builder.enable_http1().wrap_connector(tcp),
        };
        Ok(Self { connector, http2, base })
    }

    /// A client with connections of its own.
    pub fn client(&self, name: &str, token: Option<&str>, record: Arc<Record>) -> Visitor {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT).http2_only(self.http2);
        let agent = HeaderValue::try_from(format!("flambeau-loadtest {name}")).ok();
        let authorization = token.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
        let client = builder.build(self.connector.clone());
        Visitor { client, base: self.base.clone(), agent, authorization, record }
    }
}

/// A resolver of every name to one address.
#[derive(Debug, Clone, Copy)]
pub struct At(SocketAddr);

impl tower::Service<Name> for At {
    type Response = std::iter::Once<SocketAddr>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(std::iter::once(self.0)))
    }
}

/// One viewer: its connections and its counts.
#[derive(Debug, Clone)]
pub struct Visitor {
    client: Client<Connector, Empty<Bytes>>,
    base: Uri,
    agent: Option<HeaderValue>,
    authorization: Option<HeaderValue>,
    /// Its counts.
    pub record: Arc<Record>,
}

/// A stretch of bytes: the first, and how many; none: to the end.
pub type Stretch = (u64, Option<u64>);

impl Visitor {
    /// The whole body at `path`, within `patience`.
    pub async fn get(
        &self,
        path: &str,
        stretch: Option<Stretch>,
        patience: Duration,
    ) -> Result<Bytes, Error> {
        let mut whole = Vec::new();
        let take = |piece: &[u8]| {
            whole.extend_from_slice(piece);
            Ok(())
        };
        self.stream(path, stretch, patience, take).await?;
        Ok(whole.into())
    }

    /// Hands the body at `path` to `take` as it comes; each piece within `patience`.
    pub async fn stream(
        &self,
        path: &str,
        stretch: Option<Stretch>,
        patience: Duration,
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut body = self.send(path, stretch, patience).await?;
        let mut total = 0;
        loop {
            let frame = tokio::time::timeout(patience, body.frame()).await.map_err(|_| Error::Timeout)?;
            let Some(frame) = frame else { return Ok(()) };
            let Ok(piece) = frame.map_err(|_| Error::Cut)?.into_data() else { continue };
            total += piece.len();
            if total > BODY_BYTES_MAX {
                return Err(Error::TooLarge);
            }
            self.record.count(|counts| counts.bytes += piece.len() as u64);
            take(&piece)?;
        }
    }

    async fn send(
        &self,
        path: &str,
        stretch: Option<Stretch>,
        patience: Duration,
    ) -> Result<Incoming, Error> {
        let mut parts = self.base.clone().into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| Error::Address)?);
        let uri = Uri::from_parts(parts).map_err(|_| Error::Address)?;
        let mut request = Request::get(uri).body(Empty::new()).map_err(|_| Error::Address)?;
        let head = request.headers_mut();
        self.agent.iter().for_each(|agent| drop(head.insert(USER_AGENT, agent.clone())));
        self.authorization.iter().for_each(|token| drop(head.insert(AUTHORIZATION, token.clone())));
        if let Some((first, count)) = stretch {
            let last = count.map_or_else(String::new, |count| (first + count.saturating_sub(1)).to_string());
            head.insert(
                RANGE,
                HeaderValue::try_from(format!("bytes={first}-{last}")).map_err(|_| Error::Address)?,
            );
        }
        self.record.count(|counts| counts.requests += 1);
        let answer = tokio::time::timeout(patience, self.client.request(request)).await;
        let answer = answer.map_err(|_| Error::Timeout)?.map_err(|error| match error.is_connect() {
            true => Error::Connect,
            false => Error::Cut,
        })?;
        match answer.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(answer.into_body()),
            other => Err(Error::Status(other)),
        }
    }
}

/// A handshake takes no longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that nobody uses goes after this.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// No Segment is larger.
const BODY_BYTES_MAX: usize = 256 << 20;
