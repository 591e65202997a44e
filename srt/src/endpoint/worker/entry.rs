//! A session on its worker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::endpoint::listener::{Shared as ListenerShared, Slot};
use crate::endpoint::session::{Role, Shared, Verdict};
use crate::endpoint::socket::Route;
use crate::protocol::burst::Burst;
use crate::protocol::connection::{CloseReason, Connection};
use crate::protocol::receiver::Payload;

/// A session to be.
pub(in crate::endpoint) struct Opening {
    pub(in crate::endpoint) route: Route,
    pub(in crate::endpoint) connection: Connection,
    pub(in crate::endpoint) role: Role,
    /// When our timestamps begin.
    pub(in crate::endpoint) opened: Instant,
    /// The handshake's answer: sent now, and again whenever the peer repeats its question.
    pub(in crate::endpoint) response: Option<Vec<u8>>,
    /// Its place among the port's callers.
    pub(in crate::endpoint) _slot: Option<Arc<Slot>>,
    /// Dropped last: who waits for the end finds the role gone, and the Feed released.
    pub(in crate::endpoint) end: End,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("route", &self.route).finish_non_exhaustive()
    }
}

/// Tells the session's owner of its end, whatever brought it about: a worker that panics, or a queue that is dropped
/// with the session in it, ends it as [`CloseReason::Failed`].
pub(in crate::endpoint) struct End {
    shared: Arc<Shared>,
    pub(super) reason: CloseReason,
}

impl End {
    pub(in crate::endpoint) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, reason: CloseReason::Failed }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.shared.end(self.reason);
    }
}

/// A session that is open.
pub(super) struct Entry {
    pub(super) opening: Opening,
    /// A datagram came since it was last driven.
    pub(super) touched: bool,
    /// The sweep may pass it over until then.
    pub(super) wake: Instant,
    reported: Instant,
    _counted: Counted,
}

struct Counted(Arc<ListenerShared>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Entry {
    pub(super) fn new(opening: Opening, listener: &Arc<ListenerShared>, now: Instant) -> Self {
        listener.sessions.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(listener.clone());
        Self { opening, touched: false, wake: now, reported: now, _counted: counted }
    }

    /// Takes in that time has passed, and hands over what is due.
    pub(super) fn receive(&mut self, now: Instant, payloads: &mut Vec<Payload>) {
        self.touched = false;
        let Opening { connection, role, .. } = &mut self.opening;
        connection.handle_timeout(now);
        connection.deliver(now, payloads);
        if !payloads.is_empty()
            && let Role::Receive(sink) = role
            && sink.deliver(payloads) == Verdict::Close
        {
            connection.close();
        }
        payloads.clear();
    }

    /// Fills a burst; payloads only where `payloads_too`.
    pub(super) fn transmit(&mut self, now: Instant, burst: &mut Burst, payloads_too: bool) {
        let source = match &mut self.opening.role {
            Role::Send(source) if payloads_too => Some(source.as_mut() as _),
            Role::Send(_) | Role::Receive(_) => None,
        };
        self.opening.connection.poll_transmit(now, source, burst);
    }

    /// Publishes the session's numbers where that is due, says when to come back, and why the session is over if it is.
    pub(super) fn report(&mut self, now: Instant) -> Option<CloseReason> {
        let Opening { connection, role, end, .. } = &mut self.opening;
        let closed = connection.closed();
        if closed.is_some() || now.saturating_duration_since(self.reported) >= REPORT {
            end.shared.update(connection.stats(now), connection.heard());
            self.reported = now;
        }
        self.wake = match role {
            // A source has no way to call: it is asked at each sweep.
            Role::Send(_) => now,
            Role::Receive(_) => connection.timeout(now).min(self.reported + REPORT),
        };
        closed
    }
}

/// How often a session's numbers are published.
const REPORT: Duration = Duration::from_millis(200);
