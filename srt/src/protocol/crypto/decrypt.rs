//! The receiving side: the keys the peer has announced.

use super::cipher::{KeyEncryptingKey, StreamKey};
use super::material::SALT_BYTES;
use super::{KeyLength, KeyMaterial, KeyMaterialError, KeyMessage, KeyState, WrongPassphrase};
use crate::protocol::packet::Key;
use crate::protocol::seq::SeqNo;

/// Decrypts payloads with the even or the odd key of the peer.
#[derive(Debug)]
pub struct Decryptor {
    wrapping: KeyEncryptingKey,
    salt: [u8; SALT_BYTES],
    length: KeyLength,
    even: Option<StreamKey>,
    odd: Option<StreamKey>,
}

/// A payload whose key is not known. It must be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payload names the key {key:?}, which is not known")]
pub struct NoKey {
    /// The key it names.
    pub key: Key,
}

/// The answer to a peer's new key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyAnswer {
    /// What to send back as a key response.
    pub message: KeyMessage,
    /// Why the keys were not taken, if they were not. The ones known so far stay.
    pub refusal: Option<KeyRefusal>,
}

/// Why new key material was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] KeyMaterialError),
    /// It was wrapped with another passphrase.
    #[error(transparent)]
    WrongPassphrase(#[from] WrongPassphrase),
    /// It comes with another salt or key length than the handshake's.
    #[error("the key material changes the salt or the key length within a connection")]
    Changed,
}

impl Decryptor {
    pub(super) fn new(wrapping: KeyEncryptingKey, salt: [u8; SALT_BYTES], length: KeyLength) -> Self {
        Self { wrapping, salt, length, even: None, odd: None }
    }

    pub(super) fn install(&mut self, key: StreamKey) {
        match key.key() {
            Key::Odd => self.odd = Some(key),
            Key::Even | Key::None => self.even = Some(key),
        }
    }

    /// Decrypts a payload in place.
    ///
    /// # Errors
    /// The key is not known. A payload in clear is refused as well: on an encrypted connection it is not the peer's.
    pub fn decrypt(&self, key: Key, sequence: SeqNo, payload: &mut [u8]) -> Result<(), NoKey> {
        let stream_key = match key {
            Key::None => None,
            Key::Even => self.even.as_ref(),
            Key::Odd => self.odd.as_ref(),
        };
        stream_key.ok_or(NoKey { key })?.apply(sequence, payload);
        Ok(())
    }

    /// Takes a peer's new keys, and answers.
    ///
    /// Cheap enough for the path of the packets: the salt must be that of the handshake (it is what a peer keeps within a
    /// connection), so that no stranger's message costs a key derivation.
    pub fn handle_key_request(&mut self, message: &[u8]) -> KeyAnswer {
        match self.take(message) {
            // The draft, 3.2.2: the message itself is the confirmation.
            Ok(material) => KeyAnswer { message: material.message(), refusal: None },
            Err(refusal) => {
                let state = match refusal {
                    KeyRefusal::Malformed(KeyMaterialError::Cipher { .. }) => KeyState::BadCryptoMode,
                    _ => KeyState::BadSecret,
                };
                KeyAnswer { message: KeyMessage::status(state), refusal: Some(refusal) }
            }
        }
    }

    fn take(&mut self, message: &[u8]) -> Result<KeyMaterial, KeyRefusal> {
        let material = KeyMaterial::parse(message)?;
        if *material.salt() != self.salt || material.key_length() != self.length {
            return Err(KeyRefusal::Changed);
        }
        for key in material.unwrap_keys(&self.wrapping)?.into_iter().flatten() {
            self.install(key);
        }
        Ok(material)
    }
}
