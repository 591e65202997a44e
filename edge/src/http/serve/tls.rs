//! TLS 1.3 by the operator's certificate, which is read again when its files change.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use flambeau_config::Certificate;
use flambeau_config::certificate::CertificateError;
use flambeau_media::Utc;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::{Instant, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::wire::Wire;
use crate::http::stats::{Event, Stats};

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The PEM file of the certificate and those that vouch for it.
    pub certificate: PathBuf,
    /// The PEM file of its key.
    pub key: PathBuf,
}

/// The TLS side of a listener; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    /// Of the files as they were before they were first read.
    first: Stamp,
    stats: Arc<Stats>,
}

/// The certificate shown to whoever says hello from now on. Open connections do not look again.
#[derive(Debug)]
struct Shown {
    certificate: RwLock<Certificate>,
    files: RwLock<CertificateFiles>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certificate.read().unwrap_or_else(PoisonError::into_inner).certified())
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The library does not take the settings; a fault of ours.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// Shows the certificate that is in `files`.
    pub(super) fn new(files: CertificateFiles, stats: Arc<Stats>) -> Result<Self, TlsError> {
        let first = Stamp::of(files.clone());
        let certificate = Certificate::load(&files.certificate, &files.key)?;
        report(&certificate, &files, &stats);
        let shown = Arc::new(Shown { certificate: RwLock::new(certificate), files: RwLock::new(files) });
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(shown.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), shown, first, stats })
    }

    /// Shakes hands with a client.
    pub(super) async fn greet(&self, wire: Wire, patience: Duration) -> io::Result<TlsStream<Wire>> {
        match timeout(patience, TlsAcceptor::from(self.config.clone()).accept(wire)).await {
            Ok(Ok(stream)) => {
                self.stats.count(Event::Handshake);
                Ok(stream)
            }
            Ok(Err(error)) => {
                self.stats.count(Event::HandshakeFailed);
                Err(error)
            }
            Err(_) => {
                self.stats.count(Event::HandshakeTimeout);
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Takes the certificate from other files from now on.
    pub(super) fn set_files(&self, files: CertificateFiles) {
        *self.shown.files.write().unwrap_or_else(PoisonError::into_inner) = files;
    }

    /// Reads the files again whenever they have changed, and warns of the end. Dropping the future ends it.
    pub(super) async fn follow(&self) {
        let (mut seen, mut tried) = (Some(self.first.clone()), Some(self.first.clone()));
        let mut warned = Instant::now();
        let mut ticks = interval(POLL);
        loop {
            ticks.tick().await;
            let stamp = self.stamp().await;
            if stamp != seen {
                // Two files are not replaced at once: they are read when they have been still for a moment.
                seen = stamp;
            } else if stamp != tried {
                tried = stamp;
                self.reload().await;
                warned = Instant::now();
            } else if warned.elapsed() > WARN_AGAIN {
                let certificate = self.shown.certificate.read().unwrap_or_else(PoisonError::into_inner);
                report(&certificate, &self.files(), &self.stats);
                warned = Instant::now();
            }
        }
    }

    async fn reload(&self) {
        let files = self.files();
        let loading = files.clone();
        let load = move || Certificate::load(&loading.certificate, &loading.key);
        match tokio::task::spawn_blocking(load).await {
            Ok(Ok(certificate)) => {
                tracing::info!(file = %files.certificate.display(), until = %certificate.not_after(),
                    "the certificate was read again: connections from now on see it");
                self.stats.count(Event::CertificateLoaded);
                report(&certificate, &files, &self.stats);
                *self.shown.certificate.write().unwrap_or_else(PoisonError::into_inner) = certificate;
            }
            Ok(Err(error)) => {
                self.stats.count(Event::CertificateRejected);
                tracing::error!(key = format!("edge.http.{}", error.part.key()), %error, remedy = error.remedy(),
                    "the changed certificate cannot be used: the one before stays");
            }
            Err(error) => tracing::error!(%error, "the certificate could not be read again"),
        }
    }

    fn files(&self) -> CertificateFiles {
        self.shown.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn stamp(&self) -> Option<Stamp> {
        let files = self.files();
        tokio::task::spawn_blocking(|| Stamp::of(files)).await.ok()
    }
}

/// By what a change of the files is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    files: CertificateFiles,
    of_each: [Option<(SystemTime, u64)>; 2],
}

impl Stamp {
    fn of(files: CertificateFiles) -> Self {
        let of_each = [&files.certificate, &files.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        });
        Self { files, of_each }
    }
}

/// Tells until when the certificate holds, and warns where that is soon.
fn report(certificate: &Certificate, files: &CertificateFiles, stats: &Stats) {
    stats.certificate_holds_until(certificate.not_after());
    if let Some(fault) = certificate.untimely(Utc::now()) {
        tracing::warn!(file = %files.certificate.display(), key = "edge.http.certificate",
            "the certificate {fault}: renew it, the files are read again by themselves");
    }
}

const POLL: Duration = Duration::from_secs(2);
const WARN_AGAIN: Duration = Duration::from_secs(24 * 3600);
