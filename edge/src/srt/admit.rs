//! Who may pull: decided before the handshake ends, one task a caller.

use std::str::FromStr;
use std::sync::Arc;

use flambeau_config::policy::Denied;
use flambeau_media::{BroadcasterId, FeedId, Utc};
use flambeau_srt::endpoint::{AcceptError, Acceptance, Request, Role};
use flambeau_srt::protocol::connection::Settings;
use flambeau_srt::protocol::crypto::Passphrase;
use flambeau_srt::protocol::pacer::Bandwidth;
use flambeau_srt::protocol::reject::Reason;
use flambeau_srt::protocol::stream_id::Mode;

use super::Room;
use super::feed_source::{FeedSource, Progress};
use super::pulls::Pull;

/// Why a caller is turned away: the code it gets, and what the operator reads.
struct Refusal {
    reason: Reason,
    why: String,
}

fn refusal(reason: Reason, why: impl Into<String>) -> Refusal {
    Refusal { reason, why: why.into() }
}

/// Decides on a caller and, if it is admitted, stays until its session ends.
pub(super) async fn admit(room: Arc<Room>, request: Request) {
    let peer = request.peer();
    let (feed, broadcaster, acceptance) = match vet(&room, &request) {
        Ok(vetted) => vetted,
        Err(Refusal { reason, why }) => {
            tracing::warn!(%peer, code = reason.code(), "puller turned away: {why}");
            return request.reject(reason).await;
        }
    };
    let encrypted = request.encryption().is_some();
    let progress = Progress::default();
    let wait = room.config.wait_for_feed;
    let source = FeedSource::new(room.directory.clone(), feed.clone(), wait, progress.clone());
    match request.accept(acceptance, Role::Send(Box::new(source))).await {
        Ok(session) => {
            let broadcaster_name = broadcaster.as_ref().map(BroadcasterId::as_str);
            tracing::info!(%peer, %feed, broadcaster = broadcaster_name, encrypted, "puller connected");
            let pull = Pull { feed, broadcaster, session: session.clone(), since: Utc::now(), progress };
            room.pulls.add(pull.clone());
            let reason = session.closed().await;
            room.pulls.remove(&session);
            let total = session.stats().total;
            let (sent, retransmitted, dropped) =
                (total.pkt_sent_unique, total.pkt_retrans, total.pkt_snd_drop);
            let why = pull.progress.end().unwrap_or_else(|| reason.to_string());
            tracing::info!(%peer, feed = %pull.feed, sent, retransmitted, dropped, "puller disconnected: {why}");
        }
        Err(AcceptError::Refused(reason)) => {
            tracing::warn!(%peer, %feed, code = reason.code(), "puller turned away: {reason}");
        }
        Err(AcceptError::Closed) => {}
    }
}

/// What can be told from the request alone.
fn vet(room: &Room, request: &Request) -> Result<(FeedId, Option<BroadcasterId>, Acceptance), Refusal> {
    let stream_id = request.stream_id();
    if matches!(stream_id.mode(), Some(Mode::Publish | Mode::Bidirectional)) {
        return Err(refusal(
            Reason::BadMode,
            "this port gives feeds out (m=request); publish to the port of [ingest.srt]",
        ));
    }
    let id = match stream_id.resource() {
        Some(resource) => FeedId::from_str(resource)
            .map_err(|error| refusal(Reason::BadRequest, format!("{resource:?}: {error}")))?,
        None => only_feed(room)?,
    };
    let pull = room.policy.may_pull_feed(stream_id.user(), &id).map_err(|denied| {
        let reason = match denied {
            Denied::Unauthenticated => Reason::Unauthorized,
            Denied::Forbidden => Reason::Forbidden,
            Denied::NotFound => Reason::NotFound,
        };
        refusal(reason, format!("feed {id}: {denied}"))
    })?;
    if room.config.wait_for_feed.is_zero() && room.directory.feed(&id).is_none() {
        return Err(refusal(Reason::NotFound, format!("feed {id} is not live, and wait_for_feed is 0")));
    }
    let passphrase = pull.passphrase.as_ref().map(|secret| Passphrase::new(secret.expose()));
    let passphrase =
        passphrase.transpose().map_err(|error| refusal(Reason::ServerError, error.to_string()))?;
    let bandwidth =
        room.config.bandwidth_max.map_or(Bandwidth::Unlimited, |max| Bandwidth::Max(max.bits_per_second()));
    let settings = Settings { bandwidth, idle_timeout: room.config.idle_timeout };
    Ok((id, pull.broadcaster, Acceptance { passphrase, latency: room.config.latency, settings }))
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
            Err(refusal(Reason::BadRequest, why))
        }
    }
}
