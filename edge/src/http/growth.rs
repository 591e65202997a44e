//! A Segment in the making, sent as it grows (LL-DASH: DASH-IF "Low-latency Modes for DASH", chunked transfer).

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use flambeau_media::channel::{Channel, Growing};
use tokio::sync::watch;
use tokio::time::timeout;

use super::stats::{Event, Stats};

/// What a response with a Segment in the making needs: references alone, to pieces that all share.
pub(super) struct Growth {
    pub(super) segment: watch::Receiver<Arc<Growing>>,
    /// Held weakly, so that a Channel that is withdrawn ends its readers.
    pub(super) channel: Weak<Channel>,
    pub(super) path: String,
    /// How long a piece may be in coming.
    pub(super) patience: Duration,
    pub(super) stats: Arc<Stats>,
}

/// Why a response breaks off. A cache must not take it for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Segment did not become whole")]
pub(super) struct BrokenOff;

impl Growth {
    /// The pieces there are, then each as it comes.
    pub(super) fn into_body(self) -> Body {
        let reading = Reading { growth: self, next: 0, bytes: 0 };
        Body::from_stream(futures_util::stream::unfold(Some(reading), |reading| async {
            let mut reading = reading?;
            match reading.piece().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(reading))),
                Ok(None) => None,
                Err(error) => {
                    reading.growth.stats.count(Event::GrowingBrokenOff);
                    Some((Err(error), None))
                }
            }
        }))
    }
}

/// How far a reader got.
struct Reading {
    growth: Growth,
    next: usize,
    bytes: usize,
}

impl Reading {
    /// The next piece, once it is there; None: that was all, and it is the whole Segment.
    async fn piece(&mut self) -> Result<Option<Bytes>, BrokenOff> {
        loop {
            {
                let segment = self.growth.segment.borrow_and_update();
                if let Some(piece) = segment.pieces.get(self.next) {
                    self.next += 1;
                    self.bytes += piece.len();
                    return Ok(Some(piece.clone()));
                }
                if segment.ended {
                    break;
                }
            }
            match timeout(self.growth.patience, self.growth.segment.changed()).await {
                Ok(Ok(())) => {}
                // Withdrawn, or silent for longer than any player waits.
                Ok(Err(_)) | Err(_) => return Err(BrokenOff),
            }
        }
        let whole = self.growth.channel.upgrade().and_then(|channel| channel.object(&self.growth.path));
        if whole.is_some_and(|object| object.len == self.bytes) { Ok(None) } else { Err(BrokenOff) }
    }
}

#[cfg(test)]
mod tests {
    use flambeau_media::channel::{Change, Growth as Step, Kind, Object};
    use http_body_util::BodyExt as _;

    use super::*;

    const PATH: &str = "v/1.m4s";

    fn begun() -> (Arc<Channel>, Arc<Stats>, Body) {
        begun_with(Duration::from_secs(5))
    }

    fn begun_with(patience: Duration) -> (Arc<Channel>, Arc<Stats>, Body) {
        let channel = Channel::new("c".parse().expect("an id"), "f".parse().expect("an id"));
        grow(&channel, Step::Begin("video/mp4"));
        let stats = Arc::new(Stats::default());
        let growth = Growth {
            segment: channel.growing(PATH).expect("announced"),
            channel: Arc::downgrade(&channel),
            path: PATH.into(),
            patience,
            stats: stats.clone(),
        };
        (channel, stats, growth.into_body())
    }

    fn grow(channel: &Channel, step: Step) {
        channel.commit(Change { growth: vec![(PATH.into(), step)], ..Change::default() });
    }

    fn end_whole(channel: &Channel, pieces: Vec<Bytes>) {
        let object = Object::new(Kind::Segment, "video/mp4", pieces);
        channel.commit(Change {
            objects: vec![(PATH.into(), object)],
            growth: vec![(PATH.into(), Step::End)],
            ..Change::default()
        });
    }

    async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
        body.frame().await.map(|frame| frame.map(|frame| frame.into_data().expect("data")))
    }

    #[tokio::test]
    async fn pieces_are_sent_as_they_are_until_the_segment_is_whole() {
        let (channel, _, mut body) = begun();
        let pieces = [Bytes::from(vec![1; 1000]), Bytes::from(vec![2; 500])];
        grow(&channel, Step::Piece(pieces[0].clone()));
        let first = next(&mut body).await.expect("a piece").expect("whole");
        assert_eq!(first.as_ptr(), pieces[0].as_ptr(), "copied");
        grow(&channel, Step::Piece(pieces[1].clone()));
        end_whole(&channel, pieces.to_vec());
        assert_eq!(next(&mut body).await.expect("a piece").expect("whole"), pieces[1]);
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test]
    async fn a_segment_that_is_given_up_breaks_the_response_off() {
        let (channel, stats, mut body) = begun();
        grow(&channel, Step::Piece("ab".into()));
        grow(&channel, Step::End);
        assert!(next(&mut body).await.expect("a piece").is_ok());
        assert!(next(&mut body).await.expect("an end").is_err());
        assert_eq!(stats.snapshot().growing_broken_off, 1);
    }

    #[tokio::test]
    async fn a_channel_that_is_withdrawn_breaks_the_response_off() {
        let (channel, _, mut body) = begun();
        grow(&channel, Step::Piece("ab".into()));
        assert!(next(&mut body).await.expect("a piece").is_ok());
        channel.clear();
        assert!(next(&mut body).await.expect("an end").is_err());
    }

    #[tokio::test]
    async fn a_piece_that_never_comes_is_not_waited_for_without_end() {
        let (_channel, _, mut body) = begun_with(Duration::from_millis(20));
        assert!(next(&mut body).await.expect("an end").is_err());
    }
}
