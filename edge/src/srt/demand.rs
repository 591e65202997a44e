//! What the pulls take of the bandwidth that there is for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flambeau_config::BitRate;
use flambeau_media::FeedId;
use flambeau_media::directory::Directory;

/// How many pulls there are of each Feed.
#[derive(Debug, Clone, Default)]
pub(super) struct Demand(Arc<Mutex<HashMap<FeedId, u64>>>);

/// A pull that counts, until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    demand: Demand,
    feed: FeedId,
}

impl Demand {
    /// Counts a pull of `feed`, if it and all others stay within `max` by the rates of their Feeds. A Feed that is not live
    /// counts as nothing: nobody knows its rate.
    pub(super) fn take(&self, feed: &FeedId, directory: &Directory, max: Option<BitRate>) -> Option<Share> {
        let mut counts = self.counts();
        if let Some(max) = max {
            let rate = |id| directory.feed(id).and_then(|feed| feed.bit_rate()).unwrap_or(0);
            let others = counts.iter().map(|(id, count)| count.saturating_mul(rate(id)));
            if others.sum::<u64>().saturating_add(rate(feed)) > max.bits_per_second() {
                return None;
            }
        }
        *counts.entry(feed.clone()).or_default() += 1;
        Some(Share { demand: self.clone(), feed: feed.clone() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<FeedId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.demand.counts();
        if let Some(count) = counts.get_mut(&self.feed) {
            *count -= 1;
        }
        counts.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use flambeau_media::Utc;
    use flambeau_media::feed::{History, Incoming};

    use super::*;

    #[test]
    fn no_more_are_let_in_than_there_is_bandwidth_for() {
        let (directory, demand) = (Directory::default(), Demand::default());
        let feed: FeedId = "athletics".parse().expect("an id");
        let publisher = directory.publish(&feed, History::default());
        let begin = Instant::now();
        for n in 0..20 {
            let time = begin + Duration::from_millis(50 * n);
            let data = Bytes::from(vec![0x47; 188 * 33]);
            let incoming = Incoming { data, time, utc: Utc(0), random_access: None, discontinuity: false };
            publisher.write(&mut vec![incoming]).expect("nobody has taken over");
        }
        // About a megabit a second.
        let max = Some(BitRate(2_500_000));
        let take = || demand.take(&feed, &directory, max);
        let first = take().expect("one");
        let second = take().expect("two");
        assert!(take().is_none(), "a third would take more than there is");
        drop(first);
        assert!(take().is_some(), "who is gone counts no longer");
        drop(second);
        let unknown: FeedId = "rowing".parse().expect("an id");
        assert!(demand.take(&unknown, &directory, Some(BitRate(1_000_000))).is_some());
    }
}
