use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

/// A directory with the two files.
fn files(name: &str, certificate: &str, key: &str) -> (PathBuf, PathBuf) {
    let directory = std::env::temp_dir().join(format!("flambeau-certificate-{}-{name}", std::process::id()));
    fs::create_dir_all(&directory).expect("the temporary directory can be written");
    let (certificate_path, key_path) = (directory.join("c.pem"), directory.join("k.pem"));
    fs::write(&certificate_path, certificate).expect("the temporary directory can be written");
    fs::write(&key_path, key).expect("the temporary directory can be written");
    (certificate_path, key_path)
}

fn signed(until: (i32, u8, u8)) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["edge.example".into()]).expect("a name");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

#[test]
fn a_certificate_is_read_with_its_dates() {
    let (certificate, key) = signed((2030, 6, 1));
    let (certificate, key) = files("right", &certificate, &key);
    let loaded = Certificate::load(&certificate, &key).expect("it is right");
    assert_eq!(loaded.not_after().to_string(), "2030-06-01T00:00:00.000Z");
    let day = Duration::from_secs(24 * 3600);
    let untimely = |days: i64| loaded.untimely(Utc(loaded.not_after().0 - days * day.as_micros() as i64));
    assert_eq!(untimely(15), None);
    assert_eq!(untimely(13).as_deref(), Some("expires on 2030-06-01T00:00:00.000Z"));
    assert_eq!(untimely(-1).as_deref(), Some("expired on 2030-06-01T00:00:00.000Z"));
    assert_eq!(untimely(10_000).as_deref(), Some("holds from 2020-01-01T00:00:00.000Z on only"));
}

#[test]
fn what_is_no_certificate_is_told_with_file_and_remedy() {
    let (certificate, key) = signed((2030, 6, 1));
    let (_, other_key) = signed((2030, 6, 1));
    let broken = certificate.replacen("MII", "MIJ", 1);
    for (name, chain, private, part, says) in [
        ("empty", "", key.as_str(), Part::Chain, "has no PEM section"),
        ("text", "hello", &key, Part::Chain, "has no PEM section"),
        ("cut", &certificate[..100], &key, Part::Chain, "is not PEM"),
        ("broken", &broken, &key, Part::Chain, "does not parse"),
        ("key-empty", &certificate, "", Part::Key, "has no PEM section"),
        ("key-is-certificate", &certificate, &certificate, Part::Key, "has no PEM section"),
        ("key-of-another", &certificate, &other_key, Part::Key, "is the key of another certificate"),
    ] {
        let (chain, private) = files(name, chain, private);
        let error = Certificate::load(&chain, &private).expect_err(name);
        assert_eq!(error.part, part, "{name}: {error}");
        let file = if part == Part::Chain { &chain } else { &private };
        assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(error.remedy().contains("openssl"), "{}", error.remedy());
    }
    let nowhere =
        Certificate::load(Path::new("/nonexistent/c.pem"), Path::new("k.pem")).expect_err("no file");
    assert!(matches!(nowhere.fault, Fault::Unreadable(_)));
}
