//! Which sessions pull which Feed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flambeau_media::{BroadcasterId, FeedId, Utc};
use flambeau_srt::endpoint::Session;

use super::feed_source::Progress;

/// A session that pulls a Feed.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The Feed.
    pub feed: FeedId,
    /// Who pulls; none in lab mode.
    pub broadcaster: Option<BroadcasterId>,
    /// The SRT session.
    pub session: Session,
    /// When it was admitted.
    pub since: Utc,
    /// Where it stands in the Feed.
    pub progress: Progress,
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
