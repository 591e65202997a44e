//! What the pulls take of the bandwidth that there is for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use flambeau_config::BitRate;
use flambeau_media::FeedId;
use flambeau_media::directory::Directory;

use super::pulls::Pulls;

/// Those on their way in: vetted, and not among the pulls yet. A handshake takes its time, and a crowd calls at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Entering(Arc<Mutex<Vec<FeedId>>>);

/// A pull on its way in, until this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    entering: Entering,
    feed: FeedId,
}

impl Entering {
    /// Lets a pull of `feed` in, if it and all others stay within `max` by the rates of their Feeds. A Feed that is not
    /// live counts as nothing: nobody knows its rate.
    pub(super) fn enter(
        &self,
        feed: &FeedId,
        pulls: &Pulls,
        directory: &Directory,
        max: Option<BitRate>,
    ) -> Option<Entry> {
        let mut entering = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(max) = max {
            let mut count: HashMap<FeedId, u64> = HashMap::from([(feed.clone(), 1)]);
            for feed in entering.iter().cloned().chain(pulls.list().into_iter().map(|pull| pull.feed)) {
                *count.entry(feed).or_default() += 1;
            }
            let rate = |id| directory.feed(id).and_then(|feed| feed.bit_rate()).unwrap_or(0);
            let demand: u64 = count.iter().map(|(id, count)| count.saturating_mul(rate(id))).sum();
            if demand > max.bits_per_second() {
                return None;
            }
        }
        entering.push(feed.clone());
        Some(Entry { entering: self.clone(), feed: feed.clone() })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entering = self.entering.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = entering.iter().position(|feed| *feed == self.feed) {
            entering.swap_remove(at);
        }
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
    fn those_on_their_way_in_count() {
        let (directory, pulls, entering) = (Directory::default(), Pulls::default(), Entering::default());
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
        let enter = || entering.enter(&feed, &pulls, &directory, max);
        let first = enter().expect("one");
        let second = enter().expect("two");
        assert!(enter().is_none(), "a third would take more than there is");
        drop(first);
        assert!(enter().is_some(), "who did not come in counts no longer");
        drop(second);
        let unknown: FeedId = "rowing".parse().expect("an id");
        assert!(entering.enter(&unknown, &pulls, &directory, Some(BitRate(1_000_000))).is_some());
    }
}
