//! From the Feed's ring to a session's packets.
//!
//! The source is a position in the ring. A retransmission reads the ring again, so a session costs no copy of the
//! stream.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flambeau_media::FeedId;
use flambeau_media::directory::Directory;
use flambeau_media::feed::{Feed, State, TS_PACKET_BYTES};
use flambeau_srt::protocol::sender::{Outlet, Source, Supply};
use tokio::sync::watch;

/// Where a session stands in its Feed, for whoever watches.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stage: Mutex<Stage>,
    lagged: AtomicU64,
}

/// What a session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// The Feed is not there yet.
    #[default]
    Waiting,
    /// The Feed is there; the next random access point is awaited.
    Joining,
    /// It receives the stream.
    Following,
    /// The Feed did not come in time.
    TimedOut,
    /// The Feed ended.
    Ended,
    /// It fell behind the Feed's history again and again.
    TooSlow,
}

impl Progress {
    /// What the session is doing.
    pub fn stage(&self) -> Stage {
        *self.0.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Times that it fell behind the Feed's history.
    pub fn lagged(&self) -> u64 {
        self.0.lagged.load(Ordering::Relaxed)
    }

    /// Why the session's stream ended, if it did.
    pub fn end(&self) -> Option<String> {
        match self.stage() {
            Stage::Waiting | Stage::Joining | Stage::Following => None,
            Stage::TimedOut => Some("the feed did not appear within wait_for_feed".into()),
            Stage::Ended => Some("the feed ended".into()),
            Stage::TooSlow => Some("too slow: it fell behind the feed's history again and again".into()),
        }
    }

    fn set(&self, stage: Stage) {
        *self.0.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}

enum At {
    Waiting {
        until: Instant,
        changes: watch::Receiver<u64>,
    },
    Joining {
        feed: Following,
        until: Instant,
        newest_known: Option<u64>,
    },
    Following(Following),
    /// Over; what is in flight may be asked for again.
    Ended(Option<Following>),
}

#[derive(Clone)]
struct Following {
    feed: Arc<Feed>,
    state: watch::Receiver<State>,
    position: u64,
}

/// A session's place in a Feed.
pub(super) struct FeedSource {
    directory: Arc<Directory>,
    id: FeedId,
    at: At,
    progress: Progress,
    lags: Lags,
}

/// How often a session fell behind lately.
#[derive(Default)]
struct Lags {
    times: u32,
    last: Option<Instant>,
}

impl Lags {
    /// Takes note of one; true when it is one too many.
    fn is_too_slow(&mut self, now: Instant) -> bool {
        let lately = self.last.is_some_and(|last| now.saturating_duration_since(last) < LAG_FORGOTTEN);
        self.times = if lately { self.times + 1 } else { 1 };
        self.last = Some(now);
        self.times > LAGS_MAX
    }
}

impl FeedSource {
    /// A source that waits up to `wait` for the Feed to be there.
    pub(super) fn new(directory: Arc<Directory>, id: FeedId, wait: Duration, progress: Progress) -> Self {
        let now = Instant::now();
        let mut changes = directory.changes();
        changes.borrow_and_update();
        let at = match directory.feed(&id) {
            Some(feed) => {
                progress.set(Stage::Joining);
                let feed = Following::at_head(feed);
                let newest_known = feed.feed.read_burst().random_access_since(0);
                At::Joining { feed, until: now + JOIN_WAIT, newest_known }
            }
            None => At::Waiting { until: now + wait, changes },
        };
        Self { directory, id, at, progress, lags: Lags::default() }
    }

    fn end(&mut self, stage: Stage) -> Supply {
        self.progress.set(stage);
        self.at = match std::mem::replace(&mut self.at, At::Ended(None)) {
            At::Following(following) => At::Ended(Some(following)),
            _ => At::Ended(None),
        };
        Supply::Ended
    }

    /// Takes up a Feed that has come to be since the session began: it gets the stream from the first byte.
    fn look_for_feed(&mut self, now: Instant) -> Option<Supply> {
        let At::Waiting { until, changes } = &mut self.at else { return None };
        let found = match changes.has_changed() {
            Ok(true) => {
                changes.borrow_and_update();
                self.directory.feed(&self.id)
            }
            _ => None,
        };
        match found {
            Some(feed) => {
                let position = feed.read_burst().tail();
                self.follow(Following { position, ..Following::at_head(feed) });
                None
            }
            None if now >= *until => Some(self.end(Stage::TimedOut)),
            None => Some(Supply::Open),
        }
    }

    /// Starts at a random access point that is newer than the session, or, where none comes in time, at the next
    /// packet.
    fn look_for_start(&mut self, now: Instant) -> Option<Supply> {
        let At::Joining { feed, until, newest_known } = &self.at else { return None };
        let (newest, head) = {
            let ring = feed.feed.read_burst();
            (ring.random_access_since(0), ring.head())
        };
        let position = if newest > *newest_known { newest } else { (now >= *until).then_some(head) };
        match position {
            Some(position) => {
                let feed = Following { position, ..feed.clone() };
                self.follow(feed);
                None
            }
            None if feed.is_closed() => Some(self.end(Stage::Ended)),
            None => Some(Supply::Open),
        }
    }

    fn follow(&mut self, feed: Following) {
        self.progress.set(Stage::Following);
        self.at = At::Following(feed);
    }

    fn lagged(&mut self, now: Instant) -> Supply {
        self.progress.0.lagged.fetch_add(1, Ordering::Relaxed);
        let At::Following(following) = &mut self.at else { return Supply::Open };
        if self.lags.is_too_slow(now) {
            return self.end(Stage::TooSlow);
        }
        following.rejoin();
        Supply::Open
    }
}

impl Source for FeedSource {
    fn fill(&mut self, now: Instant, out: &mut dyn Outlet) -> Supply {
        if let Some(supply) = self.look_for_feed(now).or_else(|| self.look_for_start(now)) {
            return supply;
        }
        let At::Following(following) = &mut self.at else { return Supply::Ended };
        match following.fill(out) {
            Filled::AtHead if following.is_closed() => self.end(Stage::Ended),
            Filled::AtHead | Filled::Full => Supply::Open,
            Filled::Lagged => self.lagged(now),
        }
    }

    fn again(&mut self, position: u64, into: &mut [u8]) -> bool {
        match &self.at {
            At::Following(following) | At::Ended(Some(following)) => {
                following.feed.copy(position, into) == Ok(into.len())
            }
            _ => false,
        }
    }
}

enum Filled {
    /// With all there is for now.
    AtHead,
    Full,
    Lagged,
}

impl Following {
    fn at_head(feed: Arc<Feed>) -> Self {
        let position = feed.read_burst().head();
        Self { state: feed.state(), feed, position }
    }

    /// Whole TS packets from the position on, as many as a payload takes, for as long as there is room: one lock and one
    /// look into the ring for all of them. Packets that arrived together leave together; ones that came in smaller
    /// payloads are joined where they are already here.
    fn fill(&mut self, out: &mut dyn Outlet) -> Filled {
        let ring = self.feed.read_burst();
        let Ok(mut reader) = ring.reader(self.position) else { return Filled::Lagged };
        while !reader.is_at_head() {
            let Some(room) = out.room() else { return Filled::Full };
            let len_max = room.len().min(PAYLOAD_BYTES_MAX) / TS_PACKET_BYTES * TS_PACKET_BYTES;
            let Some((len @ 1.., origin)) = reader.read(&mut room[..len_max]) else { break };
            out.put(self.position, len, origin);
            self.position += len as u64;
        }
        Filled::AtHead
    }

    /// Goes on at the newest random access point, or at the head.
    fn rejoin(&mut self) {
        let ring = self.feed.read_burst();
        self.position = ring.random_access_since(self.position).unwrap_or(ring.head());
    }

    fn is_closed(&self) -> bool {
        *self.state.borrow() == State::Closed
    }
}

/// A random access point is awaited so long; a stream may have none (an encoder with endless GOPs, data alone).
const JOIN_WAIT: Duration = Duration::from_secs(2);

/// Seven TS packets: what every SRT receiver takes, and what fits an Ethernet frame.
const PAYLOAD_BYTES_MAX: usize = 7 * TS_PACKET_BYTES;

/// A session that falls off the ring more often than this, each time soon after the last, cannot follow the stream.
const LAGS_MAX: u32 = 10;

/// A lag is forgotten after this without another.
const LAG_FORGOTTEN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use flambeau_media::Utc;
    use flambeau_media::feed::{History, Incoming, Publisher};

    use super::*;

    fn write(publisher: &Publisher, byte: u8, random_access: Option<u64>) {
        let data = vec![byte; PAYLOAD_BYTES_MAX].into();
        let incoming =
            Incoming { data, time: Instant::now(), utc: Utc(0), random_access, discontinuity: false };
        publisher.write(&mut vec![incoming]).expect("the only writer");
    }

    fn fixture() -> (Arc<Directory>, FeedId) {
        (Arc::default(), "venue".parse().expect("an id"))
    }

    /// A burst of one payload.
    #[derive(Default)]
    struct One {
        room: Vec<u8>,
        put: Option<(u64, usize)>,
    }

    impl Outlet for One {
        fn room(&mut self) -> Option<&mut [u8]> {
            self.room.resize(1_456, 0);
            self.put.is_none().then_some(&mut self.room)
        }

        fn put(&mut self, position: u64, len: usize, _: Instant) {
            self.put = Some((position, len));
        }
    }

    fn first_byte(source: &mut FeedSource, now: Instant) -> Option<u8> {
        let mut out = One::default();
        source.fill(now, &mut out);
        let (_, len) = out.put?;
        assert_eq!(len, PAYLOAD_BYTES_MAX);
        Some(out.room[0])
    }

    #[test]
    fn a_puller_that_came_first_gets_the_stream_from_its_first_byte() {
        let (directory, id) = fixture();
        let wait = Duration::from_secs(30);
        let mut source = FeedSource::new(directory.clone(), id.clone(), wait, Progress::default());
        let now = Instant::now();
        assert_eq!(first_byte(&mut source, now), None);
        let publisher = directory.publish(&id, History::default());
        for byte in 1..4 {
            write(&publisher, byte, None);
        }
        assert_eq!([first_byte(&mut source, now), first_byte(&mut source, now)], [Some(1), Some(2)]);
    }

    #[test]
    fn a_puller_that_joins_starts_at_a_random_access_point_or_after_two_seconds() {
        let (directory, id) = fixture();
        let publisher = directory.publish(&id, History::default());
        write(&publisher, 1, Some(0));
        let progress = Progress::default();
        let mut quick = FeedSource::new(directory.clone(), id.clone(), JOIN_WAIT, progress);
        let mut patient = FeedSource::new(directory.clone(), id.clone(), JOIN_WAIT, Progress::default());
        let now = Instant::now();
        write(&publisher, 2, None);
        assert_eq!(first_byte(&mut quick, now), None);
        write(&publisher, 3, Some(2 * PAYLOAD_BYTES_MAX as u64));
        assert_eq!(first_byte(&mut quick, now), Some(3));

        let mut blind = FeedSource::new(directory, id, JOIN_WAIT, Progress::default());
        write(&publisher, 4, None);
        assert_eq!(first_byte(&mut blind, now), None);
        assert_eq!(first_byte(&mut blind, now + JOIN_WAIT + Duration::from_secs(1)), None);
        write(&publisher, 5, None);
        assert_eq!(first_byte(&mut blind, now), Some(5));
        assert_eq!(first_byte(&mut patient, now), Some(3));
    }

    #[test]
    fn the_tail_of_a_feed_that_ended_can_be_sent_again() {
        let (directory, id) = fixture();
        let wait = Duration::from_secs(30);
        let mut source = FeedSource::new(directory.clone(), id.clone(), wait, Progress::default());
        let publisher = directory.publish(&id, History::default());
        write(&publisher, 7, None);
        let (now, mut into) = (Instant::now(), [0; PAYLOAD_BYTES_MAX]);
        let mut out = One::default();
        assert_eq!(source.fill(now, &mut out), Supply::Open);
        let (position, _) = out.put.expect("a payload");
        drop(publisher);
        assert_eq!(directory.reap(|_| Duration::ZERO).len(), 1);
        assert_eq!(source.fill(now, &mut One::default()), Supply::Ended);
        assert!(source.again(position, &mut into));
        assert_eq!(into, [7; PAYLOAD_BYTES_MAX]);
    }

    #[test]
    fn a_session_that_lags_now_and_then_is_kept_and_one_that_lags_all_the_time_is_not() {
        let start = Instant::now();
        let seconds = |n: u32| start + Duration::from_secs(n.into());
        let mut rare = Lags::default();
        assert!((0..100).all(|n| !rare.is_too_slow(seconds(n * 3_600))));
        let mut steady = Lags::default();
        assert_eq!((0..100).position(|n| steady.is_too_slow(seconds(n * 5))), Some(10));
    }

    #[test]
    fn a_feed_that_never_comes_ends_the_pull() {
        let (directory, id) = fixture();
        let progress = Progress::default();
        let mut source = FeedSource::new(directory, id, Duration::from_secs(1), progress.clone());
        let late = Instant::now() + Duration::from_secs(2);
        assert_eq!(source.fill(late, &mut One::default()), Supply::Ended);
        assert_eq!(progress.stage(), Stage::TimedOut);
    }
}
