//! Which sessions pull which Feed.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use flambeau_config::{Policy, Pull as Right};
use flambeau_media::{BroadcasterId, FeedId, Utc};
use flambeau_srt::endpoint::Session;

use super::feed_source::Progress;

/// A session that pulls a Feed.
#[derive(Debug, Clone)]
pub struct Pull {
    /// Its number, from 1, among those since the process began.
    pub id: u64,
    /// The Feed.
    pub feed: FeedId,
    /// Who pulls; none in lab mode.
    pub broadcaster: Option<BroadcasterId>,
    /// The SRT session.
    pub session: Session,
    /// When it was admitted.
    pub since: Utc,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Where it stands in the Feed.
    pub progress: Progress,
    /// The right it was let in by.
    pub(super) right: Right,
    /// Why we ended it, once we did.
    pub(super) ended: Arc<OnceLock<String>>,
}

impl Pull {
    /// Why `policy` does not allow this session, if it does not.
    pub fn objection(&self, policy: &Policy) -> Option<String> {
        if !policy.may_call_edge(self.session.peer().ip()) {
            return Some("its address may no longer call (sources and banned of [edge.srt])".into());
        }
        let user = self.broadcaster.as_ref().map(BroadcasterId::as_str);
        match policy.may_pull_feed(user, &self.feed) {
            Err(denied) => Some(format!("it may no longer pull feed {}: {denied}", self.feed)),
            Ok(right) if right != self.right => {
                Some(format!("the passphrase of {} is another", user.unwrap_or("its broadcaster")))
            }
            Ok(_) => None,
        }
    }

    /// Ends the session; `why` is what the log says of it.
    pub async fn end(&self, why: impl Into<String>) {
        // The first reason is the reason.
        let _ = self.ended.set(why.into());
        self.session.close().await;
    }
}

/// The sessions that pull. The port's session limit bounds them.
#[derive(Debug, Clone, Default)]
pub struct Pulls(Arc<Mutex<Vec<Pull>>>);

impl Pulls {
    /// Every session, oldest first.
    pub fn list(&self) -> Vec<Pull> {
        self.lock().clone()
    }

    pub(super) fn add(&self, pull: Pull) {
        self.lock().push(pull);
    }

    pub(super) fn remove(&self, session: &Session) {
        self.lock().retain(|pull| !pull.session.is_same(session));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pull>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
