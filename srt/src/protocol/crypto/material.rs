//! The key material message (the draft, 3.2.2): stream keys, wrapped.

use std::ops::Deref;

use super::cipher::{KEY_BYTES_MAX, KeyEncryptingKey, StreamKey};
use super::{KeyLength, WrongPassphrase};
use crate::protocol::packet::Key;

/// Key material as it travels: read, but still wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMaterial {
    keys: KeySet,
    length: KeyLength,
    salt: [u8; SALT_BYTES],
    wrapped: [u8; WRAPPED_BYTES_MAX],
}

/// Which keys a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeySet {
    /// The even key.
    Even,
    /// The odd key.
    Odd,
    /// Both, the even one first.
    Both,
}

impl KeySet {
    const fn flags(self) -> u8 {
        match self {
            Self::Even => 0b01,
            Self::Odd => 0b10,
            Self::Both => 0b11,
        }
    }

    const fn count(self) -> usize {
        match self {
            Self::Even | Self::Odd => 1,
            Self::Both => 2,
        }
    }
}

impl KeyMaterial {
    /// Reads a message.
    ///
    /// # Errors
    /// Whatever the message does not fulfil; [`KeyMaterialError::Cipher`] is a mode of encryption other than ours.
    pub fn parse(message: &[u8]) -> Result<Self, KeyMaterialError> {
        // The length is settled before any field of the body is looked at: it decides where the fields are.
        let Some((head, rest)) = message.split_first_chunk::<HEAD_BYTES>() else {
            return Err(KeyMaterialError::Length { bytes: message.len(), expected: HEAD_BYTES });
        };
        if head[0] != VERSION_AND_TYPE || head[1..3] != SIGNATURE {
            return Err(KeyMaterialError::Signature);
        }
        let keys = match head[3] & 0b11 {
            0b01 => KeySet::Even,
            0b10 => KeySet::Odd,
            0b11 => KeySet::Both,
            _ => return Err(KeyMaterialError::NoKeys),
        };
        if (head[8], head[9]) != (CIPHER_AES_CTR, AUTHENTICATION_NONE) {
            return Err(KeyMaterialError::Cipher { cipher: head[8], authentication: head[9] });
        }
        if head[10] != ENCAPSULATION_SRT {
            return Err(KeyMaterialError::Encapsulation(head[10]));
        }
        if usize::from(head[14]) * 4 != SALT_BYTES {
            return Err(KeyMaterialError::SaltLength(usize::from(head[14]) * 4));
        }
        let key_bytes = usize::from(head[15]) * 4;
        let length = KeyLength::from_bytes(key_bytes).ok_or(KeyMaterialError::KeyLength(key_bytes))?;
        let wrapped_bytes = keys.count() * key_bytes + WRAP_BYTES;
        let expected = HEAD_BYTES + SALT_BYTES + wrapped_bytes;
        match rest.split_first_chunk() {
            Some((salt, body)) if body.len() == wrapped_bytes => {
                let mut wrapped = [0; WRAPPED_BYTES_MAX];
                wrapped[..wrapped_bytes].copy_from_slice(body);
                Ok(Self { keys, length, salt: *salt, wrapped })
            }
            _ => Err(KeyMaterialError::Length { bytes: message.len(), expected }),
        }
    }

    /// The message.
    pub fn message(&self) -> KeyMessage {
        let mut bytes = [0; MESSAGE_BYTES_MAX];
        bytes[0] = VERSION_AND_TYPE;
        bytes[1..3].copy_from_slice(&SIGNATURE);
        bytes[3] = self.keys.flags();
        bytes[8] = CIPHER_AES_CTR;
        bytes[9] = AUTHENTICATION_NONE;
        bytes[10] = ENCAPSULATION_SRT;
        bytes[14] = (SALT_BYTES / 4) as u8;
        bytes[15] = (self.length.bytes() / 4) as u8;
        bytes[HEAD_BYTES..HEAD_BYTES + SALT_BYTES].copy_from_slice(&self.salt);
        let wrapped = self.wrapped();
        let end = HEAD_BYTES + SALT_BYTES + wrapped.len();
        bytes[HEAD_BYTES + SALT_BYTES..end].copy_from_slice(wrapped);
        KeyMessage { bytes, length: end }
    }

    /// The keys it carries.
    pub fn keys(&self) -> KeySet {
        self.keys
    }

    /// The length of its keys.
    pub fn key_length(&self) -> KeyLength {
        self.length
    }

    pub(super) fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    fn wrapped(&self) -> &[u8] {
        &self.wrapped[..self.keys.count() * self.length.bytes() + WRAP_BYTES]
    }

    /// Wraps one key, or the even and the odd key.
    pub(super) fn wrap(
        wrapping: &KeyEncryptingKey,
        salt: &[u8; SALT_BYTES],
        length: KeyLength,
        keys: &[&StreamKey],
    ) -> Self {
        let set = match keys {
            [key] if key.key() == Key::Odd => KeySet::Odd,
            [_] => KeySet::Even,
            _ => KeySet::Both,
        };
        let mut plain = [0; 2 * KEY_BYTES_MAX];
        let plain = &mut plain[..set.count() * length.bytes()];
        for key in keys {
            let second = set == KeySet::Both && key.key() == Key::Odd;
            let start = if second { length.bytes() } else { 0 };
            plain[start..start + length.bytes()].copy_from_slice(key.bytes());
        }
        let mut wrapped = [0; WRAPPED_BYTES_MAX];
        wrapping.wrap(plain, &mut wrapped[..plain.len() + WRAP_BYTES]);
        Self { keys: set, length, salt: *salt, wrapped }
    }

    /// The even and the odd key, as far as they are there.
    pub(super) fn unwrap_keys(
        &self,
        wrapping: &KeyEncryptingKey,
    ) -> Result<[Option<StreamKey>; 2], WrongPassphrase> {
        let mut plain = [0; 2 * KEY_BYTES_MAX];
        let plain = &mut plain[..self.keys.count() * self.length.bytes()];
        if !wrapping.unwrap(self.wrapped(), plain) {
            return Err(WrongPassphrase);
        }
        let (first, second) = plain.split_at(self.length.bytes());
        let key = |key, bytes: &[u8]| {
            let mut whole = [0; KEY_BYTES_MAX];
            whole[..bytes.len()].copy_from_slice(bytes);
            Some(StreamKey::new(key, self.length, &whole, &self.salt))
        };
        Ok(match self.keys {
            KeySet::Even => [key(Key::Even, first), None],
            KeySet::Odd => [None, key(Key::Odd, first)],
            KeySet::Both => [key(Key::Even, first), key(Key::Odd, second)],
        })
    }
}

/// A message of key material, or the status that answers one: at most 104 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyMessage {
    bytes: [u8; MESSAGE_BYTES_MAX],
    length: usize,
}

impl KeyMessage {
    /// The answer that says no: four bytes, the lowest first (libsrt sends them in its machine's order, which is that).
    pub fn status(state: KeyState) -> Self {
        let mut bytes = [0; MESSAGE_BYTES_MAX];
        bytes[0] = state as u8;
        Self { bytes, length: 4 }
    }
}

impl Deref for KeyMessage {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// What an answer to key material says where it does not repeat it (libsrt `SRT_KM_STATE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum KeyState {
    /// The peer has a passphrase and was sent no key material.
    Unsecured = 0,
    /// The exchange is under way.
    Securing = 1,
    /// The keys are known.
    Secured = 2,
    /// The peer has no passphrase.
    NoSecret = 3,
    /// The peer's passphrase is another one.
    BadSecret = 4,
    /// The peer uses another mode of encryption.
    BadCryptoMode = 5,
}

impl KeyState {
    /// The status of a four-byte answer, whichever byte order the peer's machine has.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let message: [u8; 4] = message.try_into().ok()?;
        let value = u32::from_le_bytes(message).min(u32::from_be_bytes(message));
        Some(match value {
            0 => Self::Unsecured,
            1 => Self::Securing,
            2 => Self::Secured,
            3 => Self::NoSecret,
            4 => Self::BadSecret,
            5 => Self::BadCryptoMode,
            _ => return None,
        })
    }
}

/// A message of key material that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyMaterialError {
    /// The length is not what the fields say.
    #[error("key material of {bytes} bytes where {expected} are expected")]
    Length {
        /// Bytes there are.
        bytes: usize,
        /// Bytes there should be, as far as it could be read.
        expected: usize,
    },
    /// Not version 1 of a key material message.
    #[error("the key material's version, type or signature is wrong")]
    Signature,
    /// Neither key is flagged.
    #[error("the key material carries no key")]
    NoKeys,
    /// Not AES in counter mode without authentication.
    #[error("cipher {cipher} with authentication {authentication} is not supported, only AES-CTR")]
    Cipher {
        /// The cipher's number.
        cipher: u8,
        /// The authentication's number.
        authentication: u8,
    },
    /// Keys for something else than SRT.
    #[error("stream encapsulation {0} is not SRT's")]
    Encapsulation(u8),
    /// A salt that is not 16 bytes long.
    #[error("a salt of {0} bytes where 16 are expected")]
    SaltLength(usize),
    /// Keys that are not 16, 24 or 32 bytes long.
    #[error("keys of {0} bytes: AES has 16, 24 or 32")]
    KeyLength(usize),
}

/// Bytes of the salt.
pub(super) const SALT_BYTES: usize = 16;

/// Bytes by which wrapping lengthens (RFC 3394, 2.2.1).
pub(super) const WRAP_BYTES: usize = 8;

const HEAD_BYTES: usize = 16;
const WRAPPED_BYTES_MAX: usize = 2 * KEY_BYTES_MAX + WRAP_BYTES;
const MESSAGE_BYTES_MAX: usize = HEAD_BYTES + SALT_BYTES + WRAPPED_BYTES_MAX;

/// The draft, 3.2.2: version 1, packet type 2 (key material).
const VERSION_AND_TYPE: u8 = 0x12;
/// The draft, 3.2.2: "HAI" in the letters of a plug-and-play vendor id.
const SIGNATURE: [u8; 2] = [0x20, 0x29];
const CIPHER_AES_CTR: u8 = 2;
const AUTHENTICATION_NONE: u8 = 0;
const ENCAPSULATION_SRT: u8 = 2;
