//! A response's body that comes from disk, a piece at a time: a viewer holds no more of it than that.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flambeau_media::archive::{Pending, Source};
use http_body::{Body, Frame, SizeHint};

/// Bytes read at a time. A thousand viewers hold a hundred MiB.
const PIECE_BYTES: usize = 128 << 10;

/// A stretch of an object on disk, and how far it got.
pub(super) struct FromDisk {
    source: Arc<dyn Source>,
    left: Range<usize>,
    /// The piece that was read beforehand.
    first: Option<Bytes>,
    reading: Option<Pending<io::Result<Bytes>>>,
}

impl FromDisk {
    /// The bytes of `range`, nothing of which is read yet.
    pub(super) fn unread(source: Arc<dyn Source>, range: Range<usize>) -> Self {
        Self { source, left: range, first: None, reading: None }
    }

    /// The bytes of `range`, the first piece of which is read.
    pub(super) async fn begin(source: Arc<dyn Source>, range: Range<usize>) -> io::Result<Self> {
        let mut body = Self::unread(source, range);
        if let Some(reading) = body.next() {
            body.first = Some(reading.await?);
        }
        Ok(body)
    }

    fn next(&self) -> Option<Pending<io::Result<Bytes>>> {
        let end = self.left.end.min(self.left.start + PIECE_BYTES);
        (self.left.start < end).then(|| self.source.read(self.left.start..end))
    }
}

impl Body for FromDisk {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match self.first.take() {
            Some(piece) => piece,
            None => {
                if self.reading.is_none() {
                    self.reading = self.next();
                }
                let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
                let piece = ready!(reading.as_mut().poll(cx));
                self.reading = None;
                match piece {
                    Ok(piece) => piece,
                    Err(error) => {
                        // Nothing comes after an error.
                        self.left.start = self.left.end;
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        };
        self.left.start += piece.len();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
