//! Encryption: AES in counter mode under keys that travel wrapped by a passphrase (the draft, section 6).
//!
//! A passphrase gives a key-encrypting key (PBKDF2, 2048 rounds of HMAC-SHA1: about a millisecond, so it belongs into a
//! task of its own and never on the path of the packets); that key wraps the stream-encrypting keys (RFC 3394); those
//! encrypt the payloads. Both directions start with the caller's stream key, and each renews its own.

mod cipher;
mod decrypt;
mod encrypt;
mod material;
#[cfg(test)]
mod tests;

pub use decrypt::{Decryptor, KeyAnswer, KeyRefusal, NoKey};
pub use encrypt::{Encryptor, KeyConfirmation, KeyRefresh};
pub use material::{KeyMaterial, KeyMaterialError, KeyMessage, KeySet, KeyState};

use std::fmt;

use super::packet::Key;
use cipher::{KEY_BYTES_MAX, KeyEncryptingKey, StreamKey};

/// The length of the stream keys, and of the key that wraps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeyLength {
    /// 16 bytes.
    #[default]
    Aes128,
    /// 24 bytes.
    Aes192,
    /// 32 bytes.
    Aes256,
}

impl KeyLength {
    /// The length in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// The length of this many bytes, if it is one.
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            16 => Some(Self::Aes128),
            24 => Some(Self::Aes192),
            32 => Some(Self::Aes256),
            _ => None,
        }
    }
}

/// A passphrase. It never prints itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Box<[u8]>);

impl Passphrase {
    /// The fewest bytes a passphrase may have.
    pub const BYTES_MIN: usize = 10;
    /// The most bytes a passphrase may have.
    pub const BYTES_MAX: usize = 80;

    /// A passphrase of these bytes.
    ///
    /// # Errors
    /// Fewer than 10 or more than 80 bytes: libsrt takes no other (`SRTO_PASSPHRASE`).
    pub fn new(text: &str) -> Result<Self, PassphraseLength> {
        let bytes = text.len();
        if (Self::BYTES_MIN..=Self::BYTES_MAX).contains(&bytes) {
            Ok(Self(text.as_bytes().into()))
        } else {
            Err(PassphraseLength { bytes })
        }
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(***)")
    }
}

/// A passphrase that is too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a passphrase of {bytes} bytes: it must have 10 to 80")]
pub struct PassphraseLength {
    /// Its length.
    pub bytes: usize,
}

/// The encryption of both directions of a connection.
#[derive(Debug)]
pub struct CryptoPair {
    /// What is sent.
    pub encrypt: Encryptor,
    /// What is received.
    pub decrypt: Decryptor,
}

impl CryptoPair {
    /// New random keys, and the message that hands them to the peer: what a caller does.
    ///
    /// Takes about a millisecond (PBKDF2).
    pub fn generate(passphrase: &Passphrase, length: KeyLength, refresh: KeyRefresh) -> (Self, KeyMessage) {
        let mut salt = [0; material::SALT_BYTES];
        let mut key = [0; KEY_BYTES_MAX];
        rand::fill(&mut salt);
        rand::fill(&mut key);
        let wrapping = KeyEncryptingKey::derive(passphrase, &salt, length);
        let key = StreamKey::new(Key::Even, length, &key, &salt);
        let message = KeyMaterial::wrap(&wrapping, &salt, length, &[&key]).message();
        let mut decrypt = Decryptor::new(wrapping.clone(), salt, length);
        decrypt.install(key.clone());
        (Self { encrypt: Encryptor::new(wrapping, salt, length, key, refresh), decrypt }, message)
    }

    /// The keys that the peer's key material holds: what a listener does.
    ///
    /// Takes about a millisecond (PBKDF2).
    ///
    /// # Errors
    /// The key material was wrapped with another passphrase.
    pub fn unlock(
        material: &KeyMaterial,
        passphrase: &Passphrase,
        refresh: KeyRefresh,
    ) -> Result<Self, WrongPassphrase> {
        let salt = *material.salt();
        let length = material.key_length();
        let wrapping = KeyEncryptingKey::derive(passphrase, &salt, length);
        let keys = material.unwrap_keys(&wrapping)?;
        let first = keys[0].as_ref().or(keys[1].as_ref()).ok_or(WrongPassphrase)?.clone();
        let mut decrypt = Decryptor::new(wrapping.clone(), salt, length);
        keys.into_iter().flatten().for_each(|key| decrypt.install(key));
        Ok(Self { encrypt: Encryptor::new(wrapping, salt, length, first, refresh), decrypt })
    }
}

/// Key material that this passphrase does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key material was wrapped with another passphrase")]
pub struct WrongPassphrase;
