//! The two kinds of key, each expanded once.

use std::fmt;

use aes::cipher::array::{Array, ArraySize};
use aes::cipher::{InnerIvInit, KeyInit, StreamCipherCore};
use aes::{Aes128, Aes128Enc, Aes192, Aes192Enc, Aes256, Aes256Enc};
use aes_kw::AesKw;
use ctr::CtrCore;
use ctr::flavors::Ctr32BE;

use super::material::{SALT_BYTES, WRAP_BYTES};
use super::{KeyLength, Passphrase};
use crate::protocol::packet::Key;
use crate::protocol::seq::SeqNo;

/// The key that wraps stream keys.
#[derive(Clone)]
pub(super) enum KeyEncryptingKey {
    Aes128(AesKw<Aes128>),
    Aes192(AesKw<Aes192>),
    Aes256(AesKw<Aes256>),
}

impl KeyEncryptingKey {
    /// The draft, 6.1.4: PBKDF2 of the passphrase and the last 64 bits of the salt, as long as the keys it wraps.
    pub(super) fn derive(passphrase: &Passphrase, salt: &[u8; SALT_BYTES], length: KeyLength) -> Self {
        let mut key = [0; KEY_BYTES_MAX];
        let derived = &mut key[..length.bytes()];
        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(&passphrase.0, &salt[SALT_BYTES - 8..], ROUNDS, derived);
        Self::new(length, &key)
    }

    /// The key in the first bytes of `key`, as many as `length` has.
    pub(super) fn new(length: KeyLength, key: &[u8; KEY_BYTES_MAX]) -> Self {
        match length {
            KeyLength::Aes128 => Self::Aes128(AesKw::new(&first(key))),
            KeyLength::Aes192 => Self::Aes192(AesKw::new(&first(key))),
            KeyLength::Aes256 => Self::Aes256(AesKw::new(&first(key))),
        }
    }

    /// Wraps `keys` (a multiple of 8 bytes) into `wrapped`, which is 8 bytes longer.
    pub(super) fn wrap(&self, keys: &[u8], wrapped: &mut [u8]) {
        debug_assert_eq!(wrapped.len(), keys.len() + WRAP_BYTES);
        match self {
            Self::Aes128(key) => key.wrap_key(keys, wrapped).map(drop),
            Self::Aes192(key) => key.wrap_key(keys, wrapped).map(drop),
            Self::Aes256(key) => key.wrap_key(keys, wrapped).map(drop),
        }
        .expect("the lengths are those that RFC 3394 asks for");
    }

    /// Unwraps `wrapped` into `keys`, which is 8 bytes shorter. False where this is not the key that wrapped it.
    pub(super) fn unwrap(&self, wrapped: &[u8], keys: &mut [u8]) -> bool {
        match self {
            Self::Aes128(key) => key.unwrap_key(wrapped, keys).is_ok(),
            Self::Aes192(key) => key.unwrap_key(wrapped, keys).is_ok(),
            Self::Aes256(key) => key.unwrap_key(wrapped, keys).is_ok(),
        }
    }
}

impl fmt::Debug for KeyEncryptingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEncryptingKey(***)")
    }
}

/// A key that encrypts payloads: its bytes, its schedule and the salt of its counter.
#[derive(Clone)]
pub(super) struct StreamKey {
    key: Key,
    bytes: [u8; KEY_BYTES_MAX],
    length: KeyLength,
    schedule: Schedule,
    salt: [u8; 14],
}

#[derive(Clone)]
enum Schedule {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

impl StreamKey {
    /// The key in the first bytes of `bytes`, as many as `length` has.
    pub(super) fn new(
        key: Key,
        length: KeyLength,
        bytes: &[u8; KEY_BYTES_MAX],
        salt: &[u8; SALT_BYTES],
    ) -> Self {
        let schedule = match length {
            KeyLength::Aes128 => Schedule::Aes128(Aes128Enc::new(&first(bytes))),
            KeyLength::Aes192 => Schedule::Aes192(Aes192Enc::new(&first(bytes))),
            KeyLength::Aes256 => Schedule::Aes256(Aes256Enc::new(&first(bytes))),
        };
        Self { key, bytes: *bytes, length, schedule, salt: core::array::from_fn(|at| salt[at]) }
    }

    /// Which of the two it is.
    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Its bytes, to be wrapped.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length.bytes()]
    }

    /// Encrypts or decrypts a packet's payload in place: in counter mode both are the same.
    pub(super) fn apply(&self, sequence: SeqNo, payload: &mut [u8]) {
        // The draft, 6.1.2: the sequence number stands in the last 32 of 112 bits, they are combined with the salt, and
        // the 16 bits after them count the blocks. A payload has no more than 94, so the 32-bit counter never carries
        // into the sequence number.
        let mut counter = [0; 16];
        counter[..14].copy_from_slice(&self.salt);
        for (byte, number) in counter[10..14].iter_mut().zip(sequence.value().to_be_bytes()) {
            *byte ^= number;
        }
        let counter = &counter.into();
        let payload = payload.into();
        match &self.schedule {
            Schedule::Aes128(aes) => {
                CtrCore::<_, Ctr32BE>::inner_iv_init(aes, counter).apply_keystream_partial(payload);
            }
            Schedule::Aes192(aes) => {
                CtrCore::<_, Ctr32BE>::inner_iv_init(aes, counter).apply_keystream_partial(payload);
            }
            Schedule::Aes256(aes) => {
                CtrCore::<_, Ctr32BE>::inner_iv_init(aes, counter).apply_keystream_partial(payload);
            }
        }
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({:?}, ***)", self.key)
    }
}

/// The first bytes of `key`: as many as the cipher has that asks.
fn first<N: ArraySize>(key: &[u8; KEY_BYTES_MAX]) -> Array<u8, N> {
    Array::from_fn(|at| key[at])
}

/// Bytes of the longest key.
pub(super) const KEY_BYTES_MAX: usize = KeyLength::Aes256.bytes();

/// Rounds of PBKDF2 (the draft, 6.1.4).
const ROUNDS: u32 = 2048;
