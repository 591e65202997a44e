//! Who may pull: decided before the handshake ends, one task a caller.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flambeau_config::policy::{Denied, Pull as Right};
use flambeau_media::{BroadcasterId, FeedId, Utc};
use flambeau_srt::endpoint::{AcceptError, Acceptance, Request, Role};
use flambeau_srt::protocol::connection::Settings;
use flambeau_srt::protocol::crypto::Passphrase;
use flambeau_srt::protocol::pacer::Bandwidth;
use flambeau_srt::protocol::reject::{Reason, Refusal};
use flambeau_srt::protocol::stream_id::Mode;

use super::Room;
use super::demand::Share;
use super::feed_source::{FeedSource, Progress};
use super::pulls::Pull;

/// Decides on a caller and, if it is admitted, stays until its session ends.
pub(super) async fn admit(room: Arc<Room>, request: Request) {
    let peer = request.peer();
    let turned_away = |refusal: &Refusal| {
        tracing::warn!(%peer, code = refusal.reason.code(), "puller turned away: {}", refusal.why);
    };
    let Vetted { feed, right, passphrase, acceptance } = match vet(&room, &request) {
        Ok(vetted) => vetted,
        Err(refusal) => {
            turned_away(&refusal);
            return request.reject(refusal.reason).await;
        }
    };
    let encrypted = request.encryption().is_some();
    let unlocked = match request.unlock(passphrase).await {
        Ok(unlocked) => unlocked,
        Err(AcceptError::Refused(reason)) => {
            return tracing::warn!(%peer, %feed, code = reason.code(), "puller turned away: {reason}");
        }
        Err(AcceptError::Closed) => return,
    };
    // Once it has proven who it is: nobody else can take what there is for those who may pull.
    let _share = match share(&room, &feed) {
        Ok(share) => share,
        Err(refusal) => {
            turned_away(&refusal);
            return unlocked.reject(refusal.reason).await;
        }
    };
    let progress = Progress::default();
    let wait = room.live.current().edge.srt.wait_for_feed;
    let source = FeedSource::new(room.directory.clone(), feed.clone(), wait, progress.clone());
    // An error: the port is closed.
    let Ok(session) = unlocked.accept(acceptance, Role::Send(Box::new(source))).await else { return };
    let broadcaster = right.broadcaster.clone();
    let broadcaster_name = broadcaster.as_ref().map(BroadcasterId::as_str);
    tracing::info!(%peer, %feed, broadcaster = broadcaster_name, encrypted, "puller connected");
    let pull = Pull {
        id: SESSIONS.fetch_add(1, Ordering::Relaxed),
        feed,
        broadcaster,
        session: session.clone(),
        since: Utc::now(),
        encrypted,
        progress,
        right,
        ended: Arc::default(),
    };
    room.pulls.add(pull.clone());
    // The configuration may have changed since it was vetted.
    room.review_one(pull.clone());
    let reason = session.closed().await;
    room.pulls.remove(&session);
    let total = session.stats().total;
    let (sent, retransmitted, dropped) = (total.pkt_sent_unique, total.pkt_retrans, total.pkt_snd_drop);
    let why = pull.ended.get().cloned().or_else(|| pull.progress.end()).unwrap_or_else(|| reason.to_string());
    tracing::info!(%peer, feed = %pull.feed, sent, retransmitted, dropped, "puller disconnected: {why}");
}

/// A caller that may pull.
struct Vetted {
    feed: FeedId,
    right: Right,
    passphrase: Option<Passphrase>,
    acceptance: Acceptance,
}

/// What can be told from the request alone.
fn vet(room: &Room, request: &Request) -> Result<Vetted, Refusal> {
    if !room.policy.may_call_edge(request.peer().ip()) {
        let why = "its address may not call (sources and banned of [edge.srt])";
        return Err(Refusal::new(Reason::Forbidden, why));
    }
    let stream_id = request.stream_id();
    if matches!(stream_id.mode(), Some(Mode::Publish | Mode::Bidirectional)) {
        return Err(Refusal::new(
            Reason::BadMode,
            "this port gives feeds out (m=request); publish to the port of [ingest.srt]",
        ));
    }
    let id = match stream_id.resource() {
        Some(resource) => FeedId::from_str(resource)
            .map_err(|error| Refusal::new(Reason::BadRequest, format!("{resource:?}: {error}")))?,
        None => only_feed(room)?,
    };
    let right = room.policy.may_pull_feed(stream_id.user(), &id).map_err(|denied| {
        let reason = match denied {
            Denied::Unauthenticated => Reason::Unauthorized,
            Denied::Forbidden => Reason::Forbidden,
            Denied::NotFound => Reason::NotFound,
        };
        Refusal::new(reason, format!("feed {id}: {denied}"))
    })?;
    let config = &room.live.current().edge.srt;
    if config.wait_for_feed.is_zero() && room.directory.feed(&id).is_none() {
        return Err(Refusal::new(Reason::NotFound, format!("feed {id} is not live, and wait_for_feed is 0")));
    }
    let passphrase = right.passphrase.as_ref().map(|secret| Passphrase::new(secret.expose()));
    let passphrase =
        passphrase.transpose().map_err(|error| Refusal::new(Reason::ServerError, error.to_string()))?;
    let bandwidth =
        config.bandwidth_max.map_or(Bandwidth::Unlimited, |max| Bandwidth::Max(max.bits_per_second()));
    let settings = Settings { bandwidth, idle_timeout: config.idle_timeout };
    let acceptance = Acceptance { latency: config.latency, settings };
    Ok(Vetted { feed: id, right, passphrase, acceptance })
}

/// What a pull of `feed` takes of the port's bandwidth.
fn share(room: &Room, feed: &FeedId) -> Result<Share, Refusal> {
    let max = room.live.current().edge.srt.bandwidth_total_max;
    room.demand.take(feed, &room.directory, max).ok_or_else(|| {
        let max = max.map(|max| format!(" ({max})")).unwrap_or_default();
        let why = format!("feed {feed} would take what is sent over bandwidth_total_max{max} of [edge.srt]");
        Refusal::new(Reason::Overload, why)
    })
}

/// The feed of a puller that cannot give a stream id (some receivers have no field for one): the only one that is live.
fn only_feed(room: &Room) -> Result<FeedId, Refusal> {
    match room.directory.feeds().as_slice() {
        [feed] => Ok(feed.id().clone()),
        feeds => {
            let why = format!(
                "the stream id names no feed and {} are live: set streamid to FEED or #!::r=FEED,m=request",
                feeds.len()
            );
            Err(Refusal::new(Reason::BadRequest, why))
        }
    }
}

/// The number of the next session.
static SESSIONS: AtomicU64 = AtomicU64::new(1);
