//! Sockets, batches and workers around the sans-IO core.
//!
//! A worker is a thread with a socket and the sessions of its peers; sessions share nothing, so nothing is locked
//! for a packet. Several workers share a port by `SO_REUSEPORT`: the kernel keeps a peer on one of them.
//!
//! Policy stays with the caller: a [`Listener`] yields a [`Request`] before the handshake ends, and whoever holds it
//! may think as long as it likes (until the peer gives up) without holding up anyone else.

mod caller;
mod gate;
mod listener;
mod request;
mod session;
mod socket;
mod waker;
mod worker;

pub use caller::{ConnectError, Dial, connect};
pub use gate::Limits;
pub use listener::{Listener, ListenerSettings, ListenerStats};
pub use request::{AcceptError, Acceptance, Request, Unlocked};
pub use session::{Role, Session, Sink, Verdict};

#[cfg(test)]
mod tests;
