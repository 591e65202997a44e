//! An SEI message in a picture that tells when it was sent.

use memchr::memmem::Finder;

/// When a picture was sent, and of which Feed it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The Feed; see [`super::feed_number`].
    pub feed: u64,
    /// When it was sent, in microseconds of UTC.
    pub sent: i64,
    /// Counts the pictures of a stream.
    pub picture: u32,
}

/// How pictures are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// ITU-T H.264.
    H264,
    /// ITU-T H.265.
    H265,
}

impl Codec {
    /// Whether a NAL unit with this first byte holds a slice.
    pub fn is_slice(self, first: u8) -> bool {
        match self {
            Self::H264 => matches!(first & 0x1F, 1..=5),
            Self::H265 => first >> 1 & 0x3F < 32,
        }
    }

    /// A `user_data_unregistered` SEI message in a NAL unit, start code included, and where its text begins.
    ///
    /// The text is digits: no byte of it can form a start code, so it can be written in place.
    pub fn sei(self) -> (Vec<u8>, usize) {
        let mut nal = vec![0, 0, 0, 1];
        match self {
            // ITU-T H.264, 7.3.1: nal_unit_type 6.
            Self::H264 => nal.push(6),
            // ITU-T H.265, 7.3.1.2: nal_unit_type 39 (prefix), temporal id 0.
            Self::H265 => nal.extend([39 << 1, 1]),
        }
        // ITU-T H.264, D.1.7: payload type 5, then its size.
        nal.extend([5, (UUID.len() + STAMP_TEXT_BYTES) as u8]);
        nal.extend(UUID);
        let text = nal.len();
        nal.resize(text + STAMP_TEXT_BYTES, b'0');
        // rbsp_trailing_bits.
        nal.push(0x80);
        (nal, text)
    }
}

impl Stamp {
    /// Writes the stamp as text of [`STAMP_TEXT_BYTES`].
    pub fn write(&self, text: &mut [u8]) {
        let digits = format!("{:016x}{:016x}{:08x}", self.feed, self.sent.max(0), self.picture);
        text[..STAMP_TEXT_BYTES].copy_from_slice(digits.as_bytes());
    }

    /// Finds each stamp in coded pictures, with the offset it stands at.
    pub fn find(bytes: &[u8]) -> impl Iterator<Item = (usize, Self)> + '_ {
        let finder = Finder::new(&UUID);
        let mut from = 0;
        std::iter::from_fn(move || {
            let at = from + finder.find(bytes.get(from..)?)?;
            from = at + UUID.len();
            Some((at, Self::read(bytes.get(from..from + STAMP_TEXT_BYTES).unwrap_or_default())))
        })
        .filter_map(|(at, stamp)| Some((at, stamp?)))
    }

    fn read(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() == STAMP_TEXT_BYTES)?;
        let (feed, rest) = text.split_at_checked(16)?;
        let (sent, picture) = rest.split_at_checked(16)?;
        Some(Self {
            feed: u64::from_str_radix(feed, 16).ok()?,
            sent: i64::from_str_radix(sent, 16).ok()?,
            picture: u32::from_str_radix(picture, 16).ok()?,
        })
    }
}

/// Whose user data it is.
const UUID: [u8; 16] = *b"flambeau-stamp-1";
/// Feed, time and number in hexadecimal.
pub const STAMP_TEXT_BYTES: usize = 40;

#[cfg(test)]
mod tests {
    use flambeau_proto::codec::nal::Nals;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stamp_is_one_nal_unit_whatever_it_says() {
        for (codec, kind) in [(Codec::H264, 6), (Codec::H265, 78)] {
            let (mut nal, text) = codec.sei();
            let stamp = Stamp { feed: 0, sent: 1, picture: 3 };
            stamp.write(&mut nal[text..]);
            let units: Vec<_> = Nals::new(&nal).collect();
            assert_eq!(units.len(), 1);
            assert_eq!(nal[units[0].start], kind);
            assert_eq!(Stamp::find(&nal).map(|(_, stamp)| stamp).collect::<Vec<_>>(), [stamp]);
        }
    }

    proptest! {
        #[test]
        fn stamps_are_found_in_any_bytes(
            before in prop::collection::vec(any::<u8>(), 0..300),
            feed in any::<u64>(),
            sent in 0..i64::MAX,
            picture in any::<u32>(),
            cut in 0_usize..60,
        ) {
            let (mut nal, text) = Codec::H264.sei();
            let stamp = Stamp { feed, sent, picture };
            stamp.write(&mut nal[text..]);
            let whole = [before.clone(), nal.clone(), before.clone(), nal[..cut].to_vec()].concat();
            prop_assert_eq!(Stamp::find(&whole).map(|(_, stamp)| stamp).collect::<Vec<_>>(), [stamp]);
        }
    }
}
