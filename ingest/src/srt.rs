//! Venues that publish over SRT.

mod admit;
mod feed_sink;
mod venues;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use flambeau_config::{IngestSrt, Live, Policy};
use flambeau_media::directory::Directory;
use flambeau_srt::endpoint::{Limits, Listener, ListenerSettings, ListenerStats};
use tokio_util::sync::CancellationToken;

pub use feed_sink::Signal;
pub use venues::{Venue, Venues};

/// What every admission needs.
struct Room {
    live: Live,
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
    pub fn bind(live: &Live, directory: Arc<Directory>, shutdown: CancellationToken) -> io::Result<Self> {
        let config = &live.current().ingest.srt;
        let settings = ListenerSettings { limits: limits(config), workers: worker_count() };
        let listener = Listener::bind(config.listen, settings, shutdown)?;
        let room = Room { live: live.clone(), policy: live.policy(), directory, venues: Venues::default() };
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

    /// Admits venues until `closing`; the sessions there are go on. A change of the configuration ends those that it
    /// no longer allows, and no other.
    pub async fn run(mut self, closing: CancellationToken) {
        let mut changes = self.room.live.subscribe();
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                request = self.listener.accept() => match request {
                    // The listener bounds how many are undecided at a time.
                    Some(request) => drop(tokio::spawn(admit::admit(self.room.clone(), request))),
                    None => return,
                },
                Ok(()) = changes.changed() => {
                    self.listener.limit(limits(&changes.borrow_and_update().ingest.srt));
                    self.room.review();
                }
            }
        }
    }
}

impl Room {
    /// Ends the sessions that the configuration of this moment does not allow.
    fn review(&self) {
        for venue in self.venues.list() {
            self.review_one(venue);
        }
    }

    fn review_one(&self, venue: Venue) {
        if let Some(objection) = venue.objection(&self.policy) {
            tokio::spawn(async move { venue.end(objection).await });
        }
    }
}

fn worker_count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn limits(config: &IngestSrt) -> Limits {
    Limits {
        sessions_max: config.sessions_max,
        sessions_per_address_max: config.sessions_per_address_max,
        handshakes_per_second_max: config.handshakes_per_second_max,
    }
}
