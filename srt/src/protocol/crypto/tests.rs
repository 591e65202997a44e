//! Vectors from RFC 3394 and from OpenSSL, round trips, and the key material that broke libsrt (its numbers 3317, 3319).

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::cipher::KeyEncryptingKey;
use super::*;
use crate::protocol::seq::SeqNo;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn passphrase() -> Passphrase {
    Passphrase::new("a contribution passphrase").unwrap()
}

fn unlock(material: &str) -> CryptoPair {
    let material = KeyMaterial::parse(&hex(material)).unwrap();
    CryptoPair::unlock(&material, &passphrase(), KeyRefresh::default()).unwrap()
}

/// A sender with short periods and its receiver.
fn pair(period: u32, announce: u32) -> (Encryptor, Decryptor) {
    let refresh = KeyRefresh { period, announce };
    let (caller, message) = CryptoPair::generate(&passphrase(), KeyLength::Aes256, refresh);
    let material = KeyMaterial::parse(&message).unwrap();
    let listener = CryptoPair::unlock(&material, &passphrase(), refresh).unwrap();
    (caller.encrypt, listener.decrypt)
}

#[test]
fn wrapping_follows_rfc_3394() {
    // RFC 3394, 4.1, 4.4, 4.3 and 4.6.
    let data = "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f";
    let key = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    for (key_bytes, data_bytes, wrapped) in [
        (16, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"),
        (24, 24, "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"),
        (32, 16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"),
        (32, 32, "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"),
    ] {
        let length = KeyLength::from_bytes(key_bytes).unwrap();
        let wrapping = KeyEncryptingKey::new(length, &hex(key).try_into().unwrap());
        let plain = hex(&data[..data_bytes * 2]);
        let mut out = vec![0; data_bytes + 8];
        wrapping.wrap(&plain, &mut out);
        assert_eq!(out, hex(wrapped));
        let mut back = vec![0; data_bytes];
        assert!(wrapping.unwrap(&out, &mut back));
        assert_eq!(back, plain);
        out[3] ^= 1;
        assert!(!wrapping.unwrap(&out, &mut back));
    }
}

// Made with OpenSSL: PBKDF2 and AES-ECB (for the wrapping) give the key material, AES-CTR the payload 0, 1, 2 … 39 of
// packet 0x7ffffffe.
const MATERIAL_128: &str = "12202901000000000200020000000404101112131415161718191a1b1c1d1e1f\
    31343d6fa2c3954710e481c0bda40007d6dceef314cb4608";
const MATERIAL_192: &str = "12202901000000000200020000000406101112131415161718191a1b1c1d1e1f\
    19bb2295e7f7a38f32a8b344e630bbb82b7b888baa0b7b832d67c13a3467c3c5";
const MATERIAL_256: &str = "12202901000000000200020000000408101112131415161718191a1b1c1d1e1f\
    4cf36cae5d16b41b6d4f40aa19b6d71fc4075f9bf6a51aaa9312bde680a1d2dfbb9a1b6477ba97c8";
const MATERIAL_256_BOTH: &str = "12202903000000000200020000000408101112131415161718191a1b1c1d1e1f\
    ee0a9db410e634c49325e0f7170b0beefe7b09aeda9f5b3395e0cdf2ee314d0974ce91bfa10e4ad874797c08967b7d95\
    63c5bbfc025c54636cdae1ffe4bb0cbb4aa2bdf3ecacdfc9";

#[test]
fn payloads_are_those_of_openssl() {
    let plain: Vec<u8> = (0..40).collect();
    for (material, cipher) in [
        (MATERIAL_128, "b07842f071610ecea743a85a0451ec253d105aec2284fd5076e891054e46b134159b2c5937a4540b"),
        (MATERIAL_192, "fd7dc5c9f7ce1f66c5daeb0687798ee9e3446e5351e103c05618d867fc32307387999719e7d3f06d"),
        (MATERIAL_256, "907c6d1d311aef9928a8b9a7af2676b1ad8b6c79aa2d1b6b9a30dcf149d647f17a5c46b481517e3c"),
        (
            MATERIAL_256_BOTH,
            "907c6d1d311aef9928a8b9a7af2676b1ad8b6c79aa2d1b6b9a30dcf149d647f17a5c46b481517e3c",
        ),
    ] {
        let crypto = unlock(material);
        let sequence = SeqNo::new(0x7fff_fffe);
        let mut payload = plain.clone();
        assert_eq!(crypto.encrypt.encrypt(sequence, &mut payload), Key::Even);
        assert_eq!(payload, hex(cipher));
        crypto.decrypt.decrypt(Key::Even, sequence, &mut payload).unwrap();
        assert_eq!(payload, plain);
    }
}

#[test]
fn both_keys_are_taken_from_a_message_of_both() {
    let mut payload = [1, 2, 3];
    assert!(unlock(MATERIAL_256_BOTH).decrypt.decrypt(Key::Odd, SeqNo::new(1), &mut payload).is_ok());
    let refused = unlock(MATERIAL_256).decrypt.decrypt(Key::Odd, SeqNo::new(1), &mut payload);
    assert_eq!(refused, Err(NoKey { key: Key::Odd }));
}

#[test]
fn a_clear_payload_is_refused_on_an_encrypted_connection() {
    let mut payload = [1, 2, 3];
    let refused = unlock(MATERIAL_256).decrypt.decrypt(Key::None, SeqNo::new(1), &mut payload);
    assert_eq!(refused, Err(NoKey { key: Key::None }));
    assert_eq!(payload, [1, 2, 3]);
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    let material = KeyMaterial::parse(&hex(MATERIAL_128)).unwrap();
    let wrong = Passphrase::new("another passphrase").unwrap();
    assert!(CryptoPair::unlock(&material, &wrong, KeyRefresh::default()).is_err());
}

#[test]
fn a_passphrase_has_a_length_and_never_prints_itself() {
    assert_eq!(Passphrase::new("too short"), Err(PassphraseLength { bytes: 9 }));
    assert_eq!(Passphrase::new(&"x".repeat(81)), Err(PassphraseLength { bytes: 81 }));
    assert!(!format!("{:?}", passphrase()).contains("contribution"));
    assert!(!format!("{:?}", unlock(MATERIAL_128)).contains("contribution"));
}

#[test]
fn key_material_of_a_wrong_length_is_refused() {
    // libsrt 3317 and 3319: key material longer than the buffer made for it, cut short, or not whole words.
    let good = hex(MATERIAL_256_BOTH);
    let (mut encrypt, mut decrypt) = pair(20, 10);
    let now = Instant::now();
    while encrypt.on_packet_sent(SeqNo::new(1), now, Duration::ZERO).is_none() {}
    for length in (0..good.len()).chain([good.len() + 1, good.len() + 4, 1400, 65_507]) {
        let mut message = good.clone();
        message.resize(length, 0x55);
        assert!(matches!(KeyMaterial::parse(&message), Err(KeyMaterialError::Length { .. })), "{length}");
        let answer = decrypt.handle_key_request(&message);
        assert!(matches!(answer.refusal, Some(KeyRefusal::Malformed(_))));
        assert_eq!(*answer.message, [4, 0, 0, 0]);
        assert_ne!(encrypt.handle_key_response(&message), KeyConfirmation::Confirmed);
    }
}

#[test]
fn key_material_that_claims_other_lengths_is_refused() {
    let good = hex(MATERIAL_256);
    let with = |at: usize, value: u8| {
        let mut message = good.clone();
        message[at] = value;
        KeyMaterial::parse(&message)
    };
    assert_eq!(with(0, 0x13), Err(KeyMaterialError::Signature));
    assert_eq!(with(2, 0), Err(KeyMaterialError::Signature));
    assert_eq!(with(3, 0), Err(KeyMaterialError::NoKeys));
    assert_eq!(with(3, 3), Err(KeyMaterialError::Length { bytes: 72, expected: 104 }));
    assert_eq!(with(8, 4), Err(KeyMaterialError::Cipher { cipher: 4, authentication: 0 }));
    assert_eq!(with(10, 1), Err(KeyMaterialError::Encapsulation(1)));
    assert_eq!(with(14, 0xff), Err(KeyMaterialError::SaltLength(1020)));
    assert_eq!(with(15, 0), Err(KeyMaterialError::KeyLength(0)));
    assert_eq!(with(15, 0xff), Err(KeyMaterialError::KeyLength(1020)));
}

#[test]
fn new_keys_under_another_salt_are_refused_without_a_key_derivation() {
    let (_, mut decrypt) = pair(20, 10);
    let answer = decrypt.handle_key_request(&hex(MATERIAL_256));
    assert_eq!(answer.refusal, Some(KeyRefusal::Changed));
}

#[test]
fn a_key_is_announced_confirmed_and_replaced() {
    let (mut encrypt, mut decrypt) = pair(100, 20);
    let now = Instant::now();
    let plain = *b"a transport stream packet";
    let mut first_transmissions = Vec::new();
    for number in 0..150 {
        let sequence = SeqNo::MAX.plus(number - 40);
        let mut payload = plain;
        let key = encrypt.encrypt(sequence, &mut payload);
        assert_eq!(key, if number < 100 { Key::Even } else { Key::Odd }, "packet {number}");
        first_transmissions.push((sequence, payload));
        decrypt.decrypt(key, sequence, &mut payload).unwrap();
        assert_eq!(payload, plain);
        if let Some(request) = encrypt.on_packet_sent(sequence, now, Duration::ZERO) {
            assert_eq!(number, 79);
            let answer = decrypt.handle_key_request(request);
            assert_eq!(answer.refusal, None);
            assert_eq!(encrypt.handle_key_response(&answer.message), KeyConfirmation::Confirmed);
            // A repeated answer does no harm.
            assert_eq!(encrypt.handle_key_response(&answer.message), KeyConfirmation::Confirmed);
        }
        // As long as the old key is held, a retransmission is the same bytes.
        if number == 110 {
            for (sequence, sent) in &first_transmissions {
                let mut again = plain;
                encrypt.encrypt(*sequence, &mut again);
                assert_eq!(again, *sent);
            }
        }
    }
}

#[test]
fn an_unanswered_announcement_is_repeated_and_the_key_stays() {
    let (mut encrypt, _) = pair(100, 20);
    let start = Instant::now();
    let mut requests = 0;
    for number in 0..1000u32 {
        // 1 ms a packet, so 920 ms are announced; an RTT of 100 ms repeats every 150 ms.
        let now = start + Duration::from_millis(number.into());
        let mut payload = [0; 4];
        assert_eq!(encrypt.encrypt(SeqNo::new(number), &mut payload), Key::Even);
        requests +=
            u32::from(encrypt.on_packet_sent(SeqNo::new(number), now, Duration::from_millis(100)).is_some());
    }
    assert_eq!(requests, 7);
    let refusal = KeyMessage::status(KeyState::BadSecret);
    assert_eq!(encrypt.handle_key_response(&refusal), KeyConfirmation::Refused(KeyState::BadSecret));
}

#[test]
fn a_status_is_read_in_either_byte_order() {
    assert_eq!(KeyState::parse(&KeyMessage::status(KeyState::NoSecret)), Some(KeyState::NoSecret));
    assert_eq!(KeyState::parse(&[0, 0, 0, 4]), Some(KeyState::BadSecret));
    assert_eq!(KeyState::parse(&[9, 0, 0, 0]), None);
    assert_eq!(KeyState::parse(&[4, 0, 0]), None);
}

proptest! {
    #[test]
    fn any_bytes_are_key_material_or_refused(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(material) = KeyMaterial::parse(&message) {
            prop_assert_eq!(KeyMaterial::parse(&material.message()), Ok(material));
        }
        KeyState::parse(&message);
    }

    #[test]
    fn a_damaged_message_installs_nothing(at in 0usize..104, bit in 0u8..8) {
        let mut message = hex(MATERIAL_256_BOTH);
        message[at] ^= 1 << bit;
        if let Ok(material) = KeyMaterial::parse(&message) {
            // Reserved fields may change; then the keys are the same.
            let wrapping = KeyEncryptingKey::derive(&passphrase(), &core::array::from_fn(|i| 0x10 + i as u8), KeyLength::Aes256);
            prop_assert_eq!(material.unwrap_keys(&wrapping).is_ok(), (4..14).contains(&at) || at == 3 || (16..32).contains(&at));
        }
    }
}
