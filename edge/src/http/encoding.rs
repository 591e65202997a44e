//! Which content coding a client takes (RFC 9110 12.5.3), and the one there is.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// Whether the client would rather have gzip than the text as it is.
pub(super) fn prefers_gzip(fields: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for value in fields.get_all(ACCEPT_ENCODING) {
        // What is not ASCII names no coding.
        for element in value.to_str().unwrap_or("").split(',') {
            let (coding, parameters) = element.split_once(';').unwrap_or((element, ""));
            let coding = coding.trim();
            let weight = Some(weight(parameters));
            // RFC 9110 8.4.1.3: x-gzip is gzip.
            if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
                gzip = gzip.max(weight);
            } else if coding.eq_ignore_ascii_case("identity") {
                identity = weight;
            } else if coding == "*" {
                any = weight;
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    // Identity is always allowed, and last where nothing is said of it.
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// A weight in thousandths (RFC 9110 12.4.2); one that is malformed counts as none at all.
fn weight(parameters: &str) -> u16 {
    let Some(value) = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    }) else {
        return 1000;
    };
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    let thousandths = format!("{decimals:0<3}").parse().unwrap_or(0);
    match whole {
        "0" => thousandths,
        "1" => 1000,
        _ => 0,
    }
}

/// The text as gzip (RFC 1952).
pub(super) fn gzip(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), LEVEL);
    // Writing to memory cannot fail; should it, an empty coding would be as wrong as half of one.
    match encoder.write_all(text).and_then(|()| encoder.finish()) {
        Ok(coded) => coded.into(),
        Err(_) => Bytes::new(),
    }
}

/// A Playlist is mostly repetition: more effort saves little of it, and it is compressed for each Part.
const LEVEL: Compression = Compression::new(4);

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn prefers(values: &[&str]) -> bool {
        let fields = values.iter().map(|value| (ACCEPT_ENCODING, value.parse().expect("a value"))).collect();
        prefers_gzip(&fields)
    }

    #[test]
    fn gzip_is_sent_to_who_takes_it_gladly() {
        for takes in [
            &["gzip"][..],
            &["gzip, deflate, br, zstd"],
            &["GZIP;q=0.5"],
            &["x-gzip"],
            &["*"],
            &["br;q=1.0, gzip;q=0.8, *;q=0.1"],
            &["identity;q=0.5, gzip"],
            &["identity;q=0, *"],
            &["br", "gzip"],
            &["gzip ; Q=0.001"],
            &["gzip;q=1, identity;q=1"],
        ] {
            assert!(prefers(takes), "{takes:?}");
        }
    }

    #[test]
    fn nobody_else_gets_it() {
        for takes in [
            &[][..],
            &[""],
            &["identity"],
            &["br, deflate"],
            &["gzip;q=0"],
            &["*, gzip;q=0"],
            &["gzip;q=0.000"],
            &["gzip;q=0.5, identity"],
            &["gzip;q=0.5, identity;q=0.6"],
            &["*;q=0"],
            &["gzipped"],
            &["gzip;q=2"],
            &["gzip;q=x"],
            &["gzip;q=0.1234"],
        ] {
            assert!(!prefers(takes), "{takes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_field_panics(value in "[ -~]{0,60}") {
            let _ = prefers(&[&value]);
        }

        #[test]
        fn what_is_compressed_reads_back(text in prop::collection::vec(any::<u8>(), 0..3000)) {
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&gzip(&text)[..]).read_to_end(&mut back).expect("gzip");
            prop_assert_eq!(back, text);
        }
    }
}
