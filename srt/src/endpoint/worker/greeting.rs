//! Handshakes that come to a listening worker: answered without state until the cookie is back, then put before
//! whoever decides.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Opening, Worker};
use crate::endpoint::gate::Place;
use crate::endpoint::listener::Shared;
use crate::endpoint::request::Request;
use crate::endpoint::socket::Route;
use crate::endpoint::waker::Commands;
use crate::protocol::handshake::listener::{self, Proposal};
use crate::protocol::handshake::{CookieSecret, Handshake, HandshakeKind};
use crate::protocol::packet::{Control, ControlBody, Packet, set_timestamp};
use crate::protocol::reject::{Reason, Refusal};

/// The callers of a worker between their cookie and the decision on them, and the ones already let in.
pub(in crate::endpoint) struct Greeter {
    secret: Arc<CookieSecret>,
    requests: mpsc::Sender<Request>,
    commands: Commands,
    shared: Arc<Shared>,
    callers: HashMap<(SocketAddr, u32), Caller>,
    expired: Instant,
    /// When the log last told of a caller that was turned away.
    told: Option<Instant>,
    /// When the answers so far would have been over, had they gone at the greatest rate.
    answered_until: Instant,
}

enum Caller {
    /// A decision is awaited as long as the request holds its place. A repeated conclusion changes nothing.
    Undecided(Weak<Place>),
    /// Let in as this session; a repeated conclusion gets the same answer again.
    Session { opened: Instant, response: Option<Vec<u8>> },
}

impl Greeter {
    pub(in crate::endpoint) fn new(
        secret: Arc<CookieSecret>,
        requests: mpsc::Sender<Request>,
        commands: Commands,
        shared: Arc<Shared>,
    ) -> Self {
        let now = Instant::now();
        let callers = HashMap::new();
        Self { secret, requests, commands, shared, callers, expired: now, told: None, answered_until: now }
    }

    pub(super) fn opened(&mut self, opening: &Opening) {
        let key = (opening.route.peer, opening.connection.negotiated().peer_socket);
        self.callers
            .insert(key, Caller::Session { opened: opening.opened, response: opening.response.clone() });
    }

    pub(super) fn closed(&mut self, opening: &Opening) {
        self.callers.remove(&(opening.route.peer, opening.connection.negotiated().peer_socket));
    }

    pub(super) fn dismissed(&mut self, route: Route, peer_socket: u32) {
        let key = (route.peer, peer_socket);
        if matches!(self.callers.get(&key), Some(Caller::Undecided(_))) {
            self.callers.remove(&key);
        }
    }

    /// Forgets callers whose request is gone without an answer, now and then.
    pub(super) fn expire(&mut self, now: Instant) {
        if now.saturating_duration_since(self.expired) >= EXPIRE_INTERVAL {
            self.expired = now;
            self.callers.retain(|_, caller| match caller {
                Caller::Undecided(place) => place.strong_count() > 0,
                Caller::Session { .. } => true,
            });
        }
    }

    /// The answer to a conclusion, or none while it is being decided on.
    fn conclude(&mut self, now: Instant, route: Route, proposal: Proposal) -> Option<Vec<u8>> {
        let key = (route.peer, proposal.socket_id);
        match self.callers.get(&key) {
            Some(Caller::Undecided(place)) if place.strong_count() > 0 => return None,
            Some(Caller::Session { opened, response }) => {
                let mut response = response.clone()?;
                set_timestamp(&mut response, now.saturating_duration_since(*opened).as_micros() as u32);
                return Some(response);
            }
            Some(Caller::Undecided(_)) | None => {}
        }
        Shared::count(&self.shared.conclusions);
        let place = match self.shared.gate.enter(route.peer.ip(), now) {
            Ok(place) => place,
            Err(refusal) => return Some(self.turn_away(now, route, &proposal, &refusal)),
        };
        let undecided = Caller::Undecided(Arc::downgrade(&place));
        let request = Request::new(route, proposal, now, self.commands.clone(), self.shared.clone(), place);
        match self.requests.try_send(request) {
            Ok(()) => {
                self.callers.insert(key, undecided);
                None
            }
            Err(TrySendError::Full(request)) => Some(request.turn_away(Reason::Backlog)),
            Err(TrySendError::Closed(request)) => Some(request.turn_away(Reason::Close)),
        }
    }

    fn turn_away(&mut self, now: Instant, route: Route, proposal: &Proposal, refusal: &Refusal) -> Vec<u8> {
        let Refusal { reason, why } = refusal;
        self.shared.count_rejection(*reason);
        // One line a second: a caller that comes again and again must not fill the log.
        if self.told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_INTERVAL) {
            self.told = Some(now);
            tracing::warn!(peer = %route.peer, code = reason.code(), "caller turned away: {why}");
        }
        listener::reject(proposal, *reason)
    }

    /// Whether there is time to answer one more first handshake. A flood of them, which costs its sender nothing, takes a
    /// tenth of a core at most; who calls in earnest asks again.
    fn may_answer(&mut self, now: Instant) -> bool {
        let paid_until = self.answered_until.max(now) + ANSWER_INTERVAL;
        let may = paid_until.saturating_duration_since(now) <= ANSWER_WINDOW;
        if may {
            self.answered_until = paid_until;
        }
        may
    }
}

impl Worker {
    /// Answers a packet that is for no session: only a handshake makes sense.
    pub(super) fn greet(&mut self, now: Instant, route: Route, datagram: &[u8]) {
        let Some(greeter) = &mut self.greeter else { return };
        let minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
        if let Some(handshake) = induction(datagram) {
            if !greeter.may_answer(now) {
                return Shared::count(&greeter.shared.inductions_ignored);
            }
            Shared::count(&greeter.shared.inductions);
            let response = listener::induction(&handshake, route.peer, &greeter.secret, minute);
            return self.answer(route, &response);
        }
        let response = match listener::conclusion(datagram, route.peer, &greeter.secret, minute) {
            Ok(proposal) => greeter.conclude(now, route, proposal),
            Err(rejection) => {
                tracing::debug!(peer = %route.peer, fault = %rejection.fault, "SRT handshake refused");
                greeter.shared.count_rejection(rejection.reason());
                rejection.datagram
            }
        };
        if let Some(response) = response {
            self.answer(route, &response);
        }
    }
}

/// The handshake of a datagram, if it is an induction.
fn induction(datagram: &[u8]) -> Option<Handshake> {
    let Ok(Packet::Control(Control { body: ControlBody::Handshake(body), .. })) = Packet::parse(datagram)
    else {
        return None;
    };
    let (handshake, _) = Handshake::parse(body).ok()?;
    (handshake.kind == HandshakeKind::Induction).then_some(handshake)
}

/// How often requests that are gone are looked for.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the log tells of callers that are turned away for their number.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// A worker answers 20,000 first handshakes a second, at five microseconds each.
const ANSWER_INTERVAL: Duration = Duration::from_micros(50);

/// So many of them may come together.
const ANSWER_WINDOW: Duration = Duration::from_millis(100);
