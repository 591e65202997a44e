//! A Feed on air with a receiver that must lose nothing, whatever else goes on.

use tokio::time::Duration;

use super::publish::{Encoder, Publisher};
use super::pull::{Puller, Receiver};
use super::scratch::Scratch;
use super::server::Server;
use super::srt::Srt;
use super::stream::{Stream, place};
use super::{seconds, until};

/// The Feed's venue and one receiver of it.
pub(crate) struct OnAir {
    pub(crate) stream: Stream,
    pub(crate) publisher: Publisher,
    pub(crate) puller: Puller,
}

impl OnAir {
    /// Publishes `feed` for up to `length`, and waits until the receiver receives.
    pub(crate) async fn start(scratch: &Scratch, server: &Server, feed: &str, length: Duration) -> Self {
        let stream = Stream::make(scratch, length, 4).await;
        let request = Srt::request(server.edge, feed, "rtx");
        let puller = Receiver::SrtLiveTransmit.pull(scratch, &format!("{feed}-pull"), &request);
        let publish = Srt::publish(server.ingest, feed);
        let publisher =
            Encoder::SrtLiveTransmit.publish(scratch, &format!("{feed}-publish"), &stream, &publish);
        let on_air = Self { stream, publisher, puller };
        on_air.receives().await;
        on_air
    }

    /// Waits until the receiver gets more than it has now.
    pub(crate) async fn receives(&self) {
        let before = self.puller.received();
        until(seconds(10), "the receiver receives", async || (self.puller.received() > before).then_some(()))
            .await;
    }

    /// Fails if the venue or the receiver has ended, or the receiver lost a packet or got one changed.
    pub(crate) async fn undisturbed(&mut self) {
        self.receives().await;
        self.publisher.tool.must_run();
        self.puller.tool.must_run();
        let mut received = self.puller.bytes();
        received.truncate(received.len() / 188 * 188);
        if let Err(fault) = place(&self.stream.bytes, &received) {
            panic!("the receiver was disturbed: {fault}");
        }
    }
}
