//! A TLS certificate and its key, as the operator's files have them.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flambeau_media::Utc;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode as _;

/// A certificate that a TLS server can show: it parses, and the key is its own.
#[derive(Debug, Clone)]
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    not_before: Utc,
    not_after: Utc,
}

/// Which of the two files an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate and those that vouch for it: the key `certificate`.
    Chain,
    /// The private key: the key `key`.
    Key,
}

impl Part {
    /// The key of `[edge.http]` that names the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Chain => "certificate",
            Self::Key => "key",
        }
    }
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} {fault}", .path.display())]
pub struct CertificateError {
    /// The file at fault.
    pub path: PathBuf,
    /// Which of the two it is.
    pub part: Part,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a certificate's file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file has nothing of the kind.
    #[error("has no PEM section of the kind")]
    Missing,
    /// The file is not PEM (RFC 7468).
    #[error("is not PEM: {0}")]
    NotPem(String),
    /// What the PEM section holds does not parse.
    #[error("does not parse: {0}")]
    Malformed(String),
    /// The key belongs to another certificate.
    #[error("is the key of another certificate")]
    Mismatch,
}

impl CertificateError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        let path = self.path.display();
        match (&self.fault, self.part) {
            (Fault::Unreadable(_), _) => "give the path of a file that this user may read".to_owned(),
            (Fault::Mismatch, _) => format!(
                "give the key the certificate was issued for; `openssl pkey -in {path} -pubout` and `openssl x509 \
                 -pubkey -noout -in CERTIFICATE` print the same"
            ),
            (_, Part::Chain) => format!(
                "give a PEM file with the certificate first and then those that vouch for it, as `fullchain.pem`; \
                 `openssl x509 -in {path} -noout -subject` reads it"
            ),
            (_, Part::Key) => format!(
                "give a PEM file with the key alone and without a passphrase, as `privkey.pem`; `openssl pkey -in \
                 {path} -noout` reads it"
            ),
        }
    }
}

impl Certificate {
    /// Reads the certificate with its chain, and its key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, CertificateError> {
        let of_chain = |fault| CertificateError { path: certificate.into(), part: Part::Chain, fault };
        let of_key = |fault| CertificateError { path: key.into(), part: Part::Key, fault };
        let chain = text(certificate)
            .and_then(|text| {
                CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(Fault::from)
            })
            .map_err(of_chain)?;
        let first = chain.first().ok_or_else(|| of_chain(Fault::Missing))?;
        let parsed = x509_cert::Certificate::from_der(first)
            .map_err(|error| of_chain(Fault::Malformed(error.to_string())))?;
        let validity = parsed.tbs_certificate().validity();
        let (not_before, not_after) = (utc(validity.not_before), utc(validity.not_after));
        let key = text(key)
            .and_then(|text| PrivateKeyDer::from_pem_slice(&text).map_err(Fault::from))
            .map_err(of_key)?;
        let certified =
            CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => of_key(Fault::Mismatch),
                rustls::Error::InvalidCertificate(error) => of_chain(Fault::Malformed(format!("{error:?}"))),
                error => of_key(Fault::Malformed(error.to_string())),
            })?;
        Ok(Self { certified: Arc::new(certified), not_before, not_after })
    }

    /// The certificate with its key, for a TLS server.
    pub fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }

    /// From when it holds.
    pub fn not_before(&self) -> Utc {
        self.not_before
    }

    /// Until when it holds.
    pub fn not_after(&self) -> Utc {
        self.not_after
    }

    /// What is wrong with its dates at `now`, as a sentence without its end; None: it holds for two weeks and more.
    pub fn untimely(&self, now: Utc) -> Option<String> {
        if now > self.not_after {
            Some(format!("expired on {}", self.not_after))
        } else if now < self.not_before {
            Some(format!("holds from {} on only", self.not_before))
        } else if now.plus(EXPIRY_WARNING) > self.not_after {
            Some(format!("expires on {}", self.not_after))
        } else {
            None
        }
    }
}

impl From<pem::Error> for Fault {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::NoItemsFound => Self::Missing,
            error => Self::NotPem(error.to_string()),
        }
    }
}

fn text(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text))
        .map_err(Fault::Unreadable)?;
    Ok(text)
}

fn utc(time: x509_cert::time::Time) -> Utc {
    Utc(i64::try_from(time.to_unix_duration().as_micros()).unwrap_or(i64::MAX))
}

/// How long before its end a certificate is warned of: half of what an issuer's client that renews at a third of
/// ninety days has left.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests;
