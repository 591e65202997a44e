//! The outline of what an HTTP/2 client sends: where frames begin and end, and how many ask for work and bring none.

use std::time::Instant;

/// Follows a client's bytes from the first of the connection preface on (RFC 9113 3.4 and 4.1). What is in a frame is
/// the affair of whoever parses it.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; FRAME_HEAD_BYTES],
    head_len: usize,
    /// Bytes of the present frame that are still to come.
    left: usize,
    /// A header block has begun and not ended (RFC 9113 4.3).
    in_block: bool,
    units: u64,
    allowance: Allowance,
}

impl Frames {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            head: [0; FRAME_HEAD_BYTES],
            head_len: 0,
            left: PREFACE.len(),
            in_block: false,
            units: 0,
            allowance: Allowance { frames: FRUITLESS_BURST, at: now },
        }
    }

    /// Takes what came. False: the client has sent more frames without fruit than anyone needs.
    #[must_use]
    pub(super) fn read(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        let mut fruitless = 0;
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
            } else {
                let taken = (FRAME_HEAD_BYTES - self.head_len).min(bytes.len());
                self.head[self.head_len..][..taken].copy_from_slice(&bytes[..taken]);
                self.head_len += taken;
                bytes = &bytes[taken..];
                if self.head_len < FRAME_HEAD_BYTES {
                    break;
                }
                self.head_len = 0;
                fruitless += u32::from(self.begin());
            }
            if self.left == 0 && !self.in_block {
                self.units += 1;
            }
        }
        fruitless == 0 || self.allowance.take(fruitless, now)
    }

    /// The number of the frame or header block that has begun and not ended; None: nothing is half there.
    pub(super) fn unfinished(&self) -> Option<u64> {
        (self.left > 0 || self.head_len > 0 || self.in_block).then_some(self.units)
    }

    /// A frame's head is whole. Returns whether the frame is one that costs us and brings the client nothing.
    fn begin(&mut self) -> bool {
        let [a, b, c, kind, flags, ..] = self.head;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        match kind {
            HEADERS => self.in_block = flags & END_HEADERS == 0,
            CONTINUATION if flags & END_HEADERS != 0 => self.in_block = false,
            _ => {}
        }
        match kind {
            HEADERS | WINDOW_UPDATE | GOAWAY => false,
            DATA => self.left == 0,
            _ => true,
        }
    }
}

/// How many fruitless frames a client may still send: so many at once, and so many a second for good.
#[derive(Debug)]
struct Allowance {
    frames: f64,
    at: Instant,
}

impl Allowance {
    fn take(&mut self, frames: u32, now: Instant) -> bool {
        let regained = now.saturating_duration_since(self.at).as_secs_f64() * FRUITLESS_PER_SECOND;
        self.at = now;
        self.frames = (self.frames + regained).min(FRUITLESS_BURST) - f64::from(frames);
        self.frames >= 0.0
    }
}

/// What an HTTP/2 client says first (RFC 9113 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEAD_BYTES: usize = 9;
// RFC 9113 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// RST_STREAM (CVE-2023-44487), PING, SETTINGS, PRIORITY, CONTINUATION, empty DATA and unknown frames. A player resets
/// a stream for each request it gives up, a CDN's node for each of its clients that goes away: hundreds at a time.
const FRUITLESS_BURST: f64 = 1000.0;
const FRUITLESS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![0, (len >> 8) as u8, len as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEAD_BYTES + len, 0);
        frame
    }

    fn begun(now: Instant) -> Frames {
        let mut frames = Frames::new(now);
        assert_eq!(frames.unfinished(), Some(0));
        assert!(frames.read(PREFACE, now));
        assert_eq!(frames.unfinished(), None);
        frames
    }

    #[test]
    fn a_header_block_ends_with_its_last_continuation() {
        let now = Instant::now();
        let mut frames = begun(now);
        assert!(frames.read(&frame(HEADERS, 0, 20), now));
        let block = frames.unfinished();
        assert!(block.is_some());
        assert!(frames.read(&frame(CONTINUATION, 0, 0), now));
        assert_eq!(frames.unfinished(), block);
        assert!(frames.read(&frame(CONTINUATION, END_HEADERS, 3), now));
        assert_eq!(frames.unfinished(), None);
    }

    #[test]
    fn resets_without_end_are_too_many_and_a_few_a_second_are_not() {
        let now = Instant::now();
        let mut frames = begun(now);
        let reset = frame(3, 0, 4);
        for _ in 0..1000 {
            assert!(frames.read(&reset, now));
        }
        assert!(!frames.read(&reset, now));
        assert!(frames.read(&reset, now + Duration::from_secs(1)));
        let mut frames = begun(now);
        for tick in 0..10_000 {
            assert!(frames.read(&reset, now + Duration::from_millis(10 * tick)));
        }
    }

    #[test]
    fn requests_and_windows_are_not_counted() {
        let now = Instant::now();
        let mut frames = begun(now);
        for _ in 0..5000 {
            assert!(frames.read(&frame(HEADERS, END_HEADERS, 30), now));
            assert!(frames.read(&frame(WINDOW_UPDATE, 0, 4), now));
            assert!(frames.read(&frame(DATA, 0, 100), now));
        }
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_changes_nothing(
            kinds in prop::collection::vec((0_u8..12, any::<u8>(), 0_usize..70), 0..20),
            cuts in prop::collection::vec(1_usize..40, 1..50),
        ) {
            let now = Instant::now();
            let bytes: Vec<u8> =
                kinds.into_iter().flat_map(|(kind, flags, len)| frame(kind, flags, len)).collect();
            let (mut whole, mut cut) = (begun(now), begun(now));
            let fits = whole.read(&bytes, now);
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            let mut cut_fits = true;
            while !rest.is_empty() {
                let at = cuts.next().map_or(1, |cut| *cut).min(rest.len());
                cut_fits &= cut.read(&rest[..at], now);
                rest = &rest[at..];
            }
            prop_assert_eq!((fits, whole.unfinished()), (cut_fits, cut.unfinished()));
        }
    }
}
