//! A session on its worker.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::wheel::{self, Wheel};
use crate::endpoint::gate::Place;
use crate::endpoint::listener::Shared as ListenerShared;
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
    pub(in crate::endpoint) _place: Option<Arc<Place>>,
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
    /// The kernel cuts runs into datagrams on its path.
    pub(super) in_runs: bool,
    /// Its next turn.
    pub(super) turn: wheel::Slot,
    /// How far its bursts are apart.
    interval: Duration,
    /// Since when its source has had nothing.
    dry: Option<Instant>,
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
        Self {
            opening,
            touched: false,
            in_runs: true,
            turn: wheel::Slot::MAX,
            interval: BURST,
            dry: None,
            reported: now,
            _counted: counted,
        }
    }

    /// Takes in that time has passed, and hands over what is due.
    pub(super) fn receive(&mut self, now: Instant, payloads: &mut Vec<Payload>) {
        self.touched = false;
        let Opening { connection, role, .. } = &mut self.opening;
        connection.handle_timeout(now);
        connection.deliver_early(now, self.interval / 2, payloads);
        self.interval = next_interval(self.interval, payloads.len());
        if !payloads.is_empty()
            && let Role::Receive(sink) = role
            && sink.deliver(payloads) == Verdict::Close
        {
            connection.close();
        }
        payloads.clear();
    }

    /// Whether a datagram that came asks for something now: all else waits for the next turn.
    pub(super) fn is_urgent(&self) -> bool {
        self.opening.connection.is_urgent()
    }

    /// Fills a burst; payloads only where `payloads_too`.
    pub(super) fn transmit(&mut self, now: Instant, burst: &mut Burst, payloads_too: bool) -> usize {
        let source = match &mut self.opening.role {
            Role::Send(source) if payloads_too => Some(source.as_mut() as _),
            Role::Send(_) | Role::Receive(_) => None,
        };
        self.opening.connection.poll_transmit(now, source, burst)
    }

    /// Publishes the session's numbers where that is due, and says why the session is over if it is.
    pub(super) fn report(&mut self, now: Instant) -> Option<CloseReason> {
        let Opening { connection, end, .. } = &mut self.opening;
        let closed = connection.closed();
        if closed.is_some() || now.saturating_duration_since(self.reported) >= REPORT {
            end.shared.update(connection.stats(now), connection.heard());
            self.reported = now;
        }
        closed
    }

    /// When the session's next turn is due, now that it has sent `payloads`.
    pub(super) fn next_turn(&mut self, now: Instant, wheel: &Wheel, payloads: usize, full: bool) -> Instant {
        let Role::Send(_) = self.opening.role else {
            let due = self.opening.connection.timeout(now).min(self.reported + REPORT);
            // What is due at about the same time is looked after at the same time, at the turn nearest to it.
            let nearest = due.checked_sub(self.interval / 2).unwrap_or(now).max(now);
            return wheel.next_multiple(nearest, self.interval);
        };
        if full {
            return now + FULL;
        }
        if payloads > 0 {
            self.dry = None;
            self.interval = next_interval(self.interval, payloads);
            return wheel.next_multiple(now, self.interval) + STEP;
        }
        // A source has no way to call: it is asked again, less often once it has been silent for a while.
        let dry = *self.dry.get_or_insert(now);
        let is_dry = now.saturating_duration_since(dry) >= DRY;
        wheel.next_multiple(now, if is_dry { 3 * BURST } else { BURST }) + STEP
    }
}

/// The interval after one of `interval` had so many payloads. A receiver's socket takes some dozens of datagrams at a time: a
/// fast stream goes in bursts that are no larger, only more frequent.
fn next_interval(interval: Duration, payloads: usize) -> Duration {
    match payloads {
        0 => interval,
        payloads if payloads > BURST_PAYLOADS => (interval / 2).max(BURST / 4),
        payloads if payloads < BURST_PAYLOADS / 3 => (interval * 2).min(BURST),
        _ => interval,
    }
}

/// How often a session's numbers are published.
const REPORT: Duration = Duration::from_millis(200);

/// What a session sends, or hands over, goes in bursts this far apart: a send call costs as much as three datagrams in it, and a stream of
/// 10 Mb/s has eight datagrams in this time. It is the most that a payload waits.
const BURST: Duration = Duration::from_millis(8);

/// Datagrams of a burst beyond which bursts come twice as often, and again; with a third of them, half as often.
const BURST_PAYLOADS: usize = 24;

/// A session that has more to send than a burst takes sends the next one so long after.
const FULL: Duration = Duration::from_millis(2);

/// Senders have their turns so long after the receivers, whose payloads they send on: what waits for its turn here need not
/// wait for one there too.
const STEP: Duration = Wheel::SLOT;

/// A source that had nothing for so long is asked a third as often: what resumes then waits three bursts at most.
const DRY: Duration = Duration::from_secs(1);
