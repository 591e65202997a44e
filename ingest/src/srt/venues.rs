//! Which venue publishes which Feed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use flambeau_config::{Policy, Secret};
use flambeau_media::FeedId;
use flambeau_media::Utc;
use flambeau_srt::endpoint::Session;

use super::feed_sink::Signal;

/// A venue's session.
#[derive(Debug, Clone)]
pub struct Venue {
    /// Its number, from 1, among those since the process began.
    pub id: u64,
    /// The Feed it publishes.
    pub feed: FeedId,
    /// The user it gave (`u=` of the Stream ID).
    pub user: Option<String>,
    /// The SRT session.
    pub session: Session,
    /// When it was admitted.
    pub since: Utc,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// What its stream looks like.
    pub signal: Signal,
    /// The passphrase it was let in with.
    pub(super) passphrase: Option<Secret>,
    /// Why we ended it, once we did.
    pub(super) ended: Arc<OnceLock<String>>,
}

impl Venue {
    /// Why `policy` does not allow this session, if it does not.
    pub fn objection(&self, policy: &Policy) -> Option<String> {
        if !policy.may_call_ingest(self.session.peer().ip()) {
            return Some("its address may no longer call (sources and banned of [ingest.srt])".into());
        }
        let feed = &self.feed;
        let Some(rules) = policy.feed(feed) else {
            return Some(format!("feed {feed} is no longer configured"));
        };
        if !rules.allows_source(self.session.peer().ip()) {
            return Some(format!("feed {feed} may no longer be published from this address (sources)"));
        }
        if !rules.allows_user(self.user.as_deref()) {
            return Some(format!("feed {feed} may no longer be published by this user (users)"));
        }
        (rules.passphrase != self.passphrase).then(|| format!("the passphrase of feed {feed} is another"))
    }

    /// Ends the session; `why` is what the log says of it.
    pub async fn end(&self, why: impl Into<String>) {
        // The first reason is the reason.
        let _ = self.ended.set(why.into());
        self.session.close().await;
    }
}

/// The venues that publish, by Feed: at most one each.
#[derive(Debug, Clone, Default)]
pub struct Venues(Arc<Mutex<BTreeMap<FeedId, Place>>>);

#[derive(Debug)]
enum Place {
    /// Someone is being admitted.
    Claimed {
        before: Option<Venue>,
    },
    Taken(Venue),
}

/// The right to take a Feed's place. Dropping it leaves the place as it was.
#[derive(Debug)]
pub(super) struct Claim {
    venues: Venues,
    feed: FeedId,
    /// Who held the place when it was claimed.
    pub(super) before: Option<Venue>,
    /// When it was claimed: a venue heard since is alive.
    pub(super) at: Instant,
    kept: bool,
}

impl Venues {
    /// Every venue, in order of Feed.
    pub fn list(&self) -> Vec<Venue> {
        let places = self.lock();
        let venue = |place: &Place| match place {
            Place::Claimed { before } => before.clone(),
            Place::Taken(venue) => Some(venue.clone()),
        };
        places.values().filter_map(venue).collect()
    }

    /// Claims the Feed's place, so that no other is admitted meanwhile; none while someone else claims it.
    pub(super) fn claim(&self, feed: &FeedId) -> Option<Claim> {
        let mut places = self.lock();
        let before = match places.remove(feed) {
            Some(claimed @ Place::Claimed { .. }) => {
                places.insert(feed.clone(), claimed);
                return None;
            }
            Some(Place::Taken(venue)) if venue.session.close_reason().is_none() => Some(venue),
            Some(Place::Taken(_)) | None => None,
        };
        places.insert(feed.clone(), Place::Claimed { before: before.clone() });
        Some(Claim { venues: self.clone(), feed: feed.clone(), before, at: Instant::now(), kept: false })
    }

    /// Forgets the venue whose session this was.
    pub(super) fn release(&self, venue: &Venue) {
        let mut places = self.lock();
        let same = |held: &Venue| held.session.is_same(&venue.session);
        match places.get_mut(&venue.feed) {
            Some(Place::Taken(held)) if same(held) => drop(places.remove(&venue.feed)),
            Some(Place::Claimed { before }) if before.as_ref().is_some_and(same) => *before = None,
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<FeedId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// Takes the place.
    pub(super) fn keep(mut self, venue: Venue) {
        self.kept = true;
        self.venues.lock().insert(self.feed.clone(), Place::Taken(venue));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let mut places = self.venues.lock();
        if let Some(Place::Claimed { before }) = places.remove(&self.feed)
            && let Some(venue) = before
        {
            places.insert(self.feed.clone(), Place::Taken(venue));
        }
    }
}
