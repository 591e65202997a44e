//! Who may publish: decided before the handshake ends, one task a caller.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flambeau_config::{BitRate, Secret};
use flambeau_media::feed::History;
use flambeau_media::{FeedId, Utc};
use flambeau_srt::endpoint::{AcceptError, Acceptance, Request, Role};
use flambeau_srt::protocol::connection::Settings;
use flambeau_srt::protocol::crypto::Passphrase;
use flambeau_srt::protocol::reject::{Reason, Refusal};
use flambeau_srt::protocol::stream_id::Mode;

use super::Room;
use super::feed_sink::{FeedSink, Signal};
use super::venues::{Claim, Venue};

/// Decides on a caller and, if it is admitted, stays until its session ends.
pub(super) async fn admit(room: Arc<Room>, request: Request) {
    let peer = request.peer();
    let (feed, passphrase, acceptance) = match vet(&room, &request) {
        Ok(vetted) => vetted,
        Err(Refusal { reason, why }) => {
            tracing::warn!(%peer, code = reason.code(), "publisher turned away: {why}");
            return request.reject(reason).await;
        }
    };
    let claim = match claim(&room, &feed.id, &request).await {
        Ok(claim) => claim,
        Err(Refusal { reason, why }) => {
            tracing::warn!(%peer, feed = %feed.id, code = reason.code(), "publisher turned away: {why}");
            return request.reject(reason).await;
        }
    };
    let user = request.stream_id().user().map(str::to_owned);
    let encrypted = request.encryption().is_some();
    let signal = Signal::default();
    let rate_max = room.live.current().ingest.srt.bandwidth_max.map(BitRate::bits_per_second);
    let sink = FeedSink::new(feed.id.clone(), feed.history, room.directory.clone(), signal.clone(), rate_max);
    let role = Role::Receive(Box::new(sink));
    match async { request.unlock(passphrase).await?.accept(acceptance, role).await }.await {
        Ok(session) => {
            tracing::info!(%peer, feed = %feed.id, user, encrypted, "venue connected");
            let before = claim.before.clone();
            let venue = Venue {
                id: SESSIONS.fetch_add(1, Ordering::Relaxed),
                feed: feed.id,
                user,
                session,
                since: Utc::now(),
                encrypted,
                signal,
                passphrase: feed.passphrase,
                ended: Arc::default(),
            };
            claim.keep(venue.clone());
            // The configuration may have changed since it was vetted.
            room.review_one(venue.clone());
            if let Some(before) = before {
                tracing::info!(feed = %venue.feed, peer = %before.session.peer(), "its dead session is replaced");
                before.end("its venue came back with another session").await;
            }
            watch(&room, venue).await;
        }
        Err(AcceptError::Refused(reason)) => {
            tracing::warn!(%peer, feed = %feed.id, code = reason.code(), "publisher turned away: {reason}");
        }
        Err(AcceptError::Closed) => {}
    }
}

struct Vetted {
    id: FeedId,
    history: History,
    passphrase: Option<Secret>,
}

/// What can be told from the request alone.
fn vet(room: &Room, request: &Request) -> Result<(Vetted, Option<Passphrase>, Acceptance), Refusal> {
    if !room.policy.may_call_ingest(request.peer().ip()) {
        let why = "its address may not call (sources and banned of [ingest.srt])";
        return Err(Refusal::new(Reason::Forbidden, why));
    }
    let stream_id = request.stream_id();
    if matches!(stream_id.mode(), Some(Mode::Request | Mode::Bidirectional)) {
        return Err(Refusal::new(
            Reason::BadMode,
            "this port takes feeds in (m=publish); pull from the port of [edge.srt]",
        ));
    }
    let Some(resource) = stream_id.resource() else {
        let why = "the stream id names no feed: set streamid to FEED or #!::r=FEED,m=publish";
        return Err(Refusal::new(Reason::BadRequest, why));
    };
    let id = FeedId::from_str(resource)
        .map_err(|error| Refusal::new(Reason::BadRequest, format!("{resource:?}: {error}")))?;
    let Some(policy) = room.policy.feed(&id) else {
        return Err(Refusal::new(Reason::NotFound, format!("no [[feeds]] entry has the id {id:?}")));
    };
    if !policy.allows_source(request.peer().ip()) {
        return Err(Refusal::new(
            Reason::Forbidden,
            format!("feed {id} may not be published from this address (sources)"),
        ));
    }
    if !policy.allows_user(stream_id.user()) {
        return Err(Refusal::new(Reason::Unauthorized, format!("feed {id} asks for one of its users (u=)")));
    }
    let passphrase = policy.passphrase.as_ref().map(|secret| Passphrase::new(secret.expose()));
    let passphrase =
        passphrase.transpose().map_err(|error| Refusal::new(Reason::ServerError, error.to_string()))?;
    let history = History { bytes_max: policy.history_bytes, age_max: policy.history };
    let config = &room.live.current().ingest.srt;
    let settings = Settings { idle_timeout: config.idle_timeout, ..Settings::default() };
    let vetted = Vetted { id, history, passphrase: policy.passphrase };
    Ok((vetted, passphrase, Acceptance { latency: config.latency, settings }))
}

/// Claims the Feed. One that is taken is given to a caller only if it is the same venue come back: the same address
/// and user, and the old session silent. (The passphrase is proven by the handshake that follows.) A claim by someone
/// else is waited for: it may be a stranger's, who fails in a moment, and must not keep the venue out.
async fn claim(room: &Room, feed: &FeedId, request: &Request) -> Result<Claim, Refusal> {
    let conflict = |why: &str| Refusal::new(Reason::Conflict, format!("feed {feed} {why}"));
    let turn = Instant::now() + TURN_MAX;
    let claim = loop {
        match room.venues.claim(feed) {
            Some(claim) => break claim,
            None if Instant::now() >= turn => return Err(conflict("is being claimed by another caller")),
            None => tokio::time::sleep(TURN_POLL).await,
        }
    };
    let Some(before) = &claim.before else { return Ok(claim) };
    let same_address = before.session.peer().ip() == request.peer().ip();
    if !same_address || before.user.as_deref() != request.stream_id().user() {
        return Err(conflict("is already published by another venue"));
    }
    let deadline = claim.at + SILENCE;
    while Instant::now() < deadline {
        if before.session.close_reason().is_some() {
            return Ok(claim);
        }
        if before.session.heard() > claim.at {
            return Err(conflict("is already published, and that session is alive"));
        }
        tokio::time::sleep(SILENCE / 20).await;
    }
    Ok(claim)
}

/// Waits for the session's end and says why it came.
async fn watch(room: &Room, venue: Venue) {
    let reason = venue.session.closed().await;
    room.venues.release(&venue);
    let total = venue.session.stats().total;
    let fault = venue.signal.fault().or_else(|| venue.ended.get().cloned());
    let (feed, peer) = (&venue.feed, venue.session.peer());
    match fault {
        Some(fault) => tracing::warn!(%feed, %peer, "venue disconnected: {fault}"),
        None => tracing::info!(
            %feed, %peer, received = total.pkt_recv_unique, lost = total.pkt_rcv_drop, "venue disconnected: {reason}"
        ),
    }
}

/// A session that is alive is heard within this: keep-alives come every second, of which one may be lost, and we look
/// five times a second. A caller gives up after 3 s.
const SILENCE: Duration = Duration::from_millis(2_300);

/// How long another's claim is waited for, and how often it is looked at.
const TURN_MAX: Duration = Duration::from_millis(500);
const TURN_POLL: Duration = Duration::from_millis(20);

/// The number of the next session.
static SESSIONS: AtomicU64 = AtomicU64::new(1);
