//! Broadcasters that pull over SRT.

mod admit;
mod feed_source;
mod pulls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use flambeau_config::Policy;
use flambeau_config::schema::EdgeSrt;
use flambeau_media::directory::Directory;
use flambeau_srt::endpoint::{Listener, ListenerSettings, ListenerStats};
use tokio_util::sync::CancellationToken;

pub use feed_source::{Progress, Stage};
pub use pulls::{Pull, Pulls};

/// What every admission needs.
struct Room {
    config: EdgeSrt,
    policy: Policy,
    directory: Arc<Directory>,
    pulls: Pulls,
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
    pub fn bind(
        config: &EdgeSrt,
        policy: Policy,
        directory: Arc<Directory>,
        shutdown: CancellationToken,
    ) -> io::Result<Self> {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let settings = ListenerSettings { sessions_max: config.sessions_max, workers };
        let listener = Listener::bind(config.listen, settings, shutdown)?;
        let room = Room { config: config.clone(), policy, directory, pulls: Pulls::default() };
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

    /// Admits broadcasters until `closing`; the sessions there are go on.
    pub async fn run(mut self, closing: CancellationToken) {
        while let Some(Some(request)) = closing.run_until_cancelled(self.listener.accept()).await {
            // The listener bounds how many are undecided at a time.
            tokio::spawn(admit::admit(self.room.clone(), request));
        }
    }
}
