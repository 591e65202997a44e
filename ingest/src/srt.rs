//! Venues that publish over SRT.

mod admit;
mod feed_sink;
mod venues;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use flambeau_config::Policy;
use flambeau_config::schema::IngestSrt;
use flambeau_media::directory::Directory;
use flambeau_srt::endpoint::{Listener, ListenerSettings, ListenerStats};
use tokio_util::sync::CancellationToken;

pub use feed_sink::Signal;
pub use venues::{Venue, Venues};

/// What every admission needs.
struct Room {
    config: IngestSrt,
    policy: Policy,
    directory: Arc<Directory>,
    venues: Venues,
}

/// The SRT contribution port.
pub struct Server {
    listener: Listener,
    room: Arc<Room>,
}

impl Server {
    /// Binds the port. `shutdown` ends every session.
    ///
    /// # Errors
    /// The address is in use, or not ours to bind.
    pub fn bind(
        config: &IngestSrt,
        policy: Policy,
        directory: Arc<Directory>,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let settings = ListenerSettings { sessions_max: config.sessions_max, workers: worker_count() };
        let listener = Listener::bind(config.listen, settings, shutdown)?;
        let room = Room { config: config.clone(), policy, directory, venues: Venues::default() };
        Ok(Self { listener, room: Arc::new(room) })
    }

    /// The address bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The port's counters.
    pub fn stats(&self) -> ListenerStats {
        self.listener.stats()
    }

    /// The venues that publish.
    pub fn venues(&self) -> Venues {
        self.room.venues.clone()
    }

    /// Admits venues until `closing`; the sessions there are go on.
    pub async fn run(mut self, closing: CancellationToken) {
        while let Some(Some(request)) = closing.run_until_cancelled(self.listener.accept()).await {
            // The listener bounds how many are undecided at a time.
            tokio::spawn(admit::admit(self.room.clone(), request));
        }
    }
}

fn worker_count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
