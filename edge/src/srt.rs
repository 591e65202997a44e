//! Broadcasters that pull over SRT.

mod admit;
mod demand;
mod feed_source;
mod pulls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use flambeau_config::{EdgeSrt, Live, Policy};
use flambeau_media::directory::Directory;
use flambeau_srt::endpoint::{Limits, Listener, ListenerSettings, ListenerStats};
use tokio_util::sync::CancellationToken;

use demand::Demand;
pub use feed_source::{Progress, Stage};
pub use pulls::{Pull, Pulls};

/// What every admission needs.
struct Room {
    live: Live,
    policy: Policy,
    directory: Arc<Directory>,
    pulls: Pulls,
    demand: Demand,
}

/// The SRT delivery port.
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
        let config = &live.current().edge.srt;
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let settings = ListenerSettings { limits: limits(config), workers };
        let listener = Listener::bind(config.listen, settings, shutdown)?;
        let room = Room {
            live: live.clone(),
            policy: live.policy(),
            directory,
            pulls: Pulls::default(),
            demand: Demand::default(),
        };
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

    /// The sessions that pull.
    pub fn pulls(&self) -> Pulls {
        self.room.pulls.clone()
    }

    /// Admits broadcasters until `closing`; the sessions there are go on. A change of the configuration ends those
    /// that it no longer allows, and no other.
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
                    self.listener.limit(limits(&changes.borrow_and_update().edge.srt));
                    self.room.review();
                }
            }
        }
    }
}

impl Room {
    /// Ends the sessions that the configuration of this moment does not allow.
    fn review(&self) {
        for pull in self.pulls.list() {
            self.review_one(pull);
        }
    }

    fn review_one(&self, pull: Pull) {
        if let Some(objection) = pull.objection(&self.policy) {
            tokio::spawn(async move { pull.end(objection).await });
        }
    }
}

fn limits(config: &EdgeSrt) -> Limits {
    Limits {
        sessions_max: config.sessions_max,
        sessions_per_address_max: config.sessions_per_address_max,
        handshakes_per_second_max: config.handshakes_per_second_max,
    }
}
