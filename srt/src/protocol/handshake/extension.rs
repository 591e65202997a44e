//! The extensions of a conclusion (the draft, 3.2.1.1 to 3.2.1.4).

use std::fmt;

use crate::protocol::packet::{WireError, word};

/// One extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// Its type: one of the constants below.
    pub kind: u16,
    /// Its body: whole words.
    pub body: &'a [u8],
}

impl Extension<'_> {
    /// The caller's version, flags and latencies.
    pub const HANDSHAKE_REQUEST: u16 = 1;
    /// The listener's.
    pub const HANDSHAKE_RESPONSE: u16 = 2;
    /// The caller's key material.
    pub const KEY_REQUEST: u16 = 3;
    /// The listener's answer to it.
    pub const KEY_RESPONSE: u16 = 4;
    /// The Stream ID.
    pub const STREAM_ID: u16 = 5;
    /// The congestion control.
    pub const CONGESTION: u16 = 6;
    /// The packet filter.
    pub const FILTER: u16 = 7;
    /// The connection group.
    pub const GROUP: u16 = 8;

    /// The flag of a handshake's extension field for [`Extension::HANDSHAKE_REQUEST`] or its response.
    pub const FLAG_HANDSHAKE: u16 = 1;
    /// The flag for [`Extension::KEY_REQUEST`] or its response.
    pub const FLAG_KEY: u16 = 2;
    /// The flag for every other extension.
    pub const FLAG_CONFIG: u16 = 4;

    /// The body as text: the bytes of every word stand backwards, and zeros fill up the last word.
    pub fn text(&self) -> Vec<u8> {
        let mut text: Vec<u8> =
            self.body.as_chunks::<4>().0.iter().flat_map(|[a, b, c, d]| [*d, *c, *b, *a]).collect();
        let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        text.truncate(end);
        text
    }
}

/// The extensions of a handshake, one at a time. A length that does not fit is an error, and the end.
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    rest: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// The extensions in the bytes that follow a handshake.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Result<Extension<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        let Some(([kind_high, kind_low, words_high, words_low], rest)) = rest.split_first_chunk() else {
            return Some(Err(WireError::Length { what: "handshake extension", bytes: rest.len() }));
        };
        // The draft, 3.2.1: the length counts words of four bytes.
        let needed = usize::from(u16::from_be_bytes([*words_high, *words_low])) * 4;
        let Some((body, rest)) = rest.split_at_checked(needed) else {
            return Some(Err(WireError::TooShort { bytes: rest.len(), needed }));
        };
        self.rest = rest;
        Some(Ok(Extension { kind: u16::from_be_bytes([*kind_high, *kind_low]), body }))
    }
}

/// Appends an extension. The body must be whole words.
pub(super) fn append(out: &mut Vec<u8>, kind: u16, body: &[u8]) {
    debug_assert_eq!(body.len() % 4, 0, "an extension is whole words");
    out.extend(kind.to_be_bytes());
    out.extend(((body.len() / 4) as u16).to_be_bytes());
    out.extend(body);
}

/// Appends an extension of text, its words turned and filled up.
pub(super) fn append_text(out: &mut Vec<u8>, kind: u16, text: &str) {
    let mut body = text.as_bytes().to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    body.as_chunks_mut::<4>().0.iter_mut().for_each(|word| word.reverse());
    append(out, kind, &body);
}

/// The extension that settles latency and abilities, HSREQ and HSRSP (the draft, 3.2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeExtension {
    /// The sender's SRT version.
    pub version: Version,
    /// What it supports.
    pub flags: Flags,
    /// How long it holds what it receives, in milliseconds.
    pub receiver_delay_ms: u16,
    /// How long it wants its peer to hold what it sends, in milliseconds.
    pub sender_delay_ms: u16,
}

impl HandshakeExtension {
    /// Reads the body of the extension.
    ///
    /// # Errors
    /// Fewer than three words.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let field = |index| word(body, index).ok_or(WireError::TooShort { bytes: body.len(), needed: 12 });
        let delays = field(2)?;
        Ok(Self {
            version: Version(field(0)?),
            flags: Flags(field(1)?),
            // libsrt `SRT_HS_LATENCY_RCV` and `_SND`: the receiver's in the upper half, the sender's in the lower.
            receiver_delay_ms: (delays >> 16) as u16,
            sender_delay_ms: (delays & 0xffff) as u16,
        })
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; 12] {
        let delays = u32::from(self.receiver_delay_ms) << 16 | u32::from(self.sender_delay_ms);
        let mut bytes = [0; 12];
        let fields = [self.version.0, self.flags.0, delays];
        for (place, field) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
            *place = field.to_be_bytes();
        }
        bytes
    }
}

/// An SRT version: `0x010503` is 1.5.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u32);

impl Version {
    /// The first version that speaks handshake version 5.
    pub const HANDSHAKE_5: Self = Self(0x01_03_00);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0 >> 16, (self.0 >> 8) & 0xff, self.0 & 0xff)
    }
}

/// What a peer supports (the draft, table 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u32);

impl Flags {
    /// It sends with timestamps for timed delivery.
    pub const TSBPD_SENDER: Self = Self(1);
    /// It delivers by timestamps.
    pub const TSBPD_RECEIVER: Self = Self(1 << 1);
    /// It understands encryption. Always set.
    pub const CRYPT: Self = Self(1 << 2);
    /// It drops what is too late.
    pub const TLPKTDROP: Self = Self(1 << 3);
    /// It repeats loss reports.
    pub const PERIODIC_NAK: Self = Self(1 << 4);
    /// It marks retransmitted packets. Without it, the bit belongs to the message number.
    pub const REXMIT: Self = Self(1 << 5);
    /// It uses the stream interface, not the message interface.
    pub const STREAM: Self = Self(1 << 6);
    /// It understands packet filters.
    pub const PACKET_FILTER: Self = Self(1 << 7);

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
