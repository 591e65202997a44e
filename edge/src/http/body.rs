//! A response's body made of shared pieces of bytes, sent without a copy.

use std::convert::Infallible;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A stretch of an object's bytes: the pieces it shares with every other reader, and how far it got.
#[derive(Debug)]
pub(super) struct Pieces {
    pieces: Arc<[Bytes]>,
    next: usize,
    /// Bytes of the next piece that lie before the stretch.
    skip: usize,
    left: usize,
}

impl Pieces {
    /// The bytes of `range`, which lies within the pieces.
    pub(super) fn of(pieces: Arc<[Bytes]>, range: Range<usize>) -> Self {
        let (mut next, mut skip) = (0, range.start);
        while let Some(piece) = pieces.get(next).filter(|piece| piece.len() <= skip) {
            skip -= piece.len();
            next += 1;
        }
        Self { pieces, next, skip, left: range.len() }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.left > 0 {
            let Some(piece) = self.pieces.get(self.next) else { break };
            let end = piece.len().min(self.skip + self.left);
            let bytes = piece.slice(self.skip..end);
            self.next += 1;
            self.skip = 0;
            self.left -= bytes.len();
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    use super::*;

    fn collect(body: Pieces) -> Vec<u8> {
        let collected = futures_util::FutureExt::now_or_never(body.collect()).expect("never waits");
        collected.expect("never fails").to_bytes().to_vec()
    }

    #[test]
    fn a_piece_is_sent_as_it_is() {
        let piece = Bytes::from(vec![7; 1000]);
        let mut body = Pieces::of([piece.clone()].into(), 0..1000);
        let frame = futures_util::FutureExt::now_or_never(body.frame()).expect("never waits");
        let data = frame.expect("a frame").expect("never fails").into_data().expect("data");
        assert_eq!(data.as_ptr(), piece.as_ptr());
        assert!(body.is_end_stream());
    }

    proptest! {
        #[test]
        fn a_stretch_is_that_of_the_joined_pieces(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..8),
            a in 0_usize..170,
            b in 0_usize..170,
        ) {
            let joined = pieces.concat();
            let (a, b) = (a.min(joined.len()), b.min(joined.len()));
            let range = a.min(b)..a.max(b);
            let shared: Arc<[Bytes]> = pieces.into_iter().map(Bytes::from).collect();
            let body = Pieces::of(shared, range.clone());
            prop_assert_eq!(body.size_hint().exact(), Some(range.len() as u64));
            prop_assert_eq!(collect(body), &joined[range]);
        }
    }
}
