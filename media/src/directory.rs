//! Which Feeds and Channels there are.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::channel::Channel;
use crate::feed::{Feed, History, Publisher, State};
use crate::id::{ChannelId, FeedId};

/// The one place where a room finds what another room made.
#[derive(Debug)]
pub struct Directory {
    feeds: RwLock<BTreeMap<FeedId, Arc<Feed>>>,
    channels: RwLock<BTreeMap<ChannelId, Arc<Channel>>>,
    changes: watch::Sender<u64>,
}

impl Default for Directory {
    fn default() -> Self {
        Self { feeds: RwLock::default(), channels: RwLock::default(), changes: watch::Sender::new(0) }
    }
}

impl Directory {
    /// The Feed of that name, whether its venue is there or only expected back.
    pub fn feed(&self, id: &FeedId) -> Option<Arc<Feed>> {
        self.feeds.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Every Feed, in order of name.
    pub fn feeds(&self) -> Vec<Arc<Feed>> {
        self.feeds.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Becomes the writer of the Feed of that name, in place of any before, and makes the Feed if there is none.
    pub fn publish(&self, id: &FeedId, history: History) -> Publisher {
        let publisher = {
            let mut feeds = self.feeds.write().unwrap_or_else(PoisonError::into_inner);
            feeds.entry(id.clone()).or_insert_with(|| Feed::new(id.clone(), history)).publish()
        };
        self.changed();
        publisher
    }

    /// Closes and forgets the Feeds whose venue has been away for `grace`; returns their names.
    pub fn reap(&self, grace: impl Fn(&FeedId) -> Duration) -> Vec<FeedId> {
        let now = Instant::now();
        let mut reaped = Vec::new();
        // Under the write lock, so that no venue can take up a Feed while it is being closed.
        self.feeds.write().unwrap_or_else(PoisonError::into_inner).retain(|id, feed| {
            let gone = match *feed.state().borrow() {
                State::Waiting(since) => now.saturating_duration_since(since) >= grace(id),
                State::Live | State::Closed => false,
            };
            if gone {
                feed.close();
                reaped.push(id.clone());
            }
            !gone
        });
        if !reaped.is_empty() {
            self.changed();
        }
        reaped
    }

    /// The Channel of that name.
    pub fn channel(&self, id: &str) -> Option<Arc<Channel>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Every Channel, in order of name.
    pub fn channels(&self) -> Vec<Arc<Channel>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Makes a Channel known, in place of one of the same name.
    pub fn open_channel(&self, channel: Arc<Channel>) {
        self.channels.write().unwrap_or_else(PoisonError::into_inner).insert(channel.id().clone(), channel);
        self.changed();
    }

    /// Forgets a Channel.
    pub fn close_channel(&self, id: &ChannelId) {
        self.channels.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.changed();
    }

    /// Counts the Feeds and Channels that came and went.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_outlives_its_venue_for_the_grace_and_no_longer() {
        let directory = Directory::default();
        let id: FeedId = "venue".parse().expect("an id");
        let publisher = directory.publish(&id, History::default());
        assert!(directory.reap(|_| Duration::ZERO).is_empty());
        drop(publisher);
        assert!(directory.reap(|_| Duration::from_secs(10)).is_empty());
        let same = directory.feed(&id).expect("within the grace");
        drop(directory.publish(&id, History::default()));
        assert!(Arc::ptr_eq(&same, &directory.feed(&id).expect("the same Feed")));
        assert_eq!(directory.reap(|_| Duration::ZERO), std::slice::from_ref(&id));
        assert_eq!(*same.state().borrow(), State::Closed);
        assert!(directory.feed(&id).is_none());
    }
}
