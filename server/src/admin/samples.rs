//! What the feeds and the sessions were like lately: one look a second, ten minutes kept.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flambeau_edge::http::Viewer;
use flambeau_edge::srt::{Pull, Pulls};
use flambeau_ingest::srt::{Venue, Venues};
use flambeau_media::{FeedId, Utc};
use flambeau_srt::protocol::stats::{Counters, Stats};
use serde::Serialize;
use utoipa::ToSchema;

use super::Sources;
use super::minutes::{Look, Minutes};

/// A Feed at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct Sample {
    /// When.
    #[schema(format = DateTime)]
    pub(super) at: String,
    /// In bits a second; null while it is not live.
    pub(super) bit_rate: Option<u64>,
    /// The fraction of packets that went missing on the way, over the last ten seconds or the minute; most come again.
    pub(super) loss: Option<f64>,
    /// The round-trip time in milliseconds.
    pub(super) rtt_ms: Option<f64>,
}

/// What was seen lately.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    feeds: BTreeMap<FeedId, VecDeque<Sample>>,
    /// A day of each Feed that is configured or there.
    minutes: BTreeMap<FeedId, Minutes>,
    sessions: HashMap<String, Track>,
    viewers: HashMap<String, Sent>,
}

/// The bytes of a viewer at the last look, and what it took since the one before.
#[derive(Debug, Default)]
struct Sent {
    total: u64,
    /// Of the last seconds, newest last: a viewer takes a Segment at a time.
    lately: VecDeque<u64>,
    seen: bool,
}

/// A session's totals at the last looks, oldest first.
#[derive(Debug, Default)]
struct Track {
    totals: VecDeque<Totals>,
    latest: Interval,
    /// A day, as long as it lives.
    minutes: Minutes,
    seen: bool,
}

/// What a session counted between the last two looks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Interval {
    /// The totals at the last look.
    until: Counters,
    /// How much they had grown since the one before.
    pub(super) counts: Counters,
    /// From the one to the other: by the session's age.
    pub(super) length: Duration,
    age: Duration,
}

impl Interval {
    fn advance(&mut self, stats: &Stats) {
        *self = Self {
            until: stats.total,
            counts: stats.total.since(&self.until),
            length: stats.age.saturating_sub(self.age),
            age: stats.age,
        };
    }
}

/// Packets of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    /// Those that there should be.
    pub(super) packets: u64,
    /// Those that went missing on the way.
    pub(super) lost: u64,
}

impl Totals {
    fn of_venue(total: &Counters) -> Self {
        Self { packets: total.pkt_recv_unique + total.pkt_rcv_drop, lost: total.pkt_rcv_loss }
    }

    fn of_pull(total: &Counters) -> Self {
        Self { packets: total.pkt_sent_unique, lost: total.pkt_snd_loss }
    }
}

impl Samples {
    /// Looks at everything once.
    pub(super) fn take(&self, sources: &Sources) {
        let venues = sources.venues.as_ref().map(Venues::list).unwrap_or_default();
        let pulls = sources.pulls.as_ref().map(Pulls::list).unwrap_or_default();
        let mut state = self.lock();
        let now = Utc::now();
        for venue in &venues {
            let stats = venue.session.stats();
            state.track(publish_id(venue), Totals::of_venue(&stats.total), now, &stats, stats.receive_bps);
        }
        for pull in &pulls {
            let stats = pull.session.stats();
            state.track(pull_id(pull), Totals::of_pull(&stats.total), now, &stats, stats.send_bps);
        }
        for viewer in sources.viewers() {
            state.sent(viewer_id(&viewer), viewer.bytes);
        }
        state.sessions.retain(|_, track| std::mem::take(&mut track.seen));
        state.viewers.retain(|_, sent| std::mem::take(&mut sent.seen));
        let by_feed: HashMap<&FeedId, &Venue> = venues.iter().map(|venue| (&venue.feed, venue)).collect();
        let (at, config) = (now.to_string(), sources.live.current());
        for feed in sources.directory.feeds() {
            let venue = by_feed.get(feed.id());
            let sample = Sample {
                at: at.clone(),
                bit_rate: feed.bit_rate(),
                loss: venue.and_then(|venue| state.loss(&publish_id(venue))),
                rtt_ms: venue.map(|venue| venue.session.stats().rtt.as_secs_f64() * 1e3),
            };
            keep(state.feeds.entry(feed.id().clone()).or_default(), sample);
        }
        state.look_at_feeds(now, sources, &by_feed);
        state.feeds.retain(|id, samples| {
            if sources.directory.feed(id).is_some() {
                return true;
            }
            keep(samples, Sample { at: at.clone(), bit_rate: None, loss: None, rtt_ms: None });
            config.feeds.iter().any(|feed| feed.id == *id)
        });
    }

    /// What a Feed was like, oldest first.
    pub(super) fn of_feed(&self, id: &str) -> Vec<Sample> {
        self.lock().feeds.get(id).map(|samples| samples.iter().cloned().collect()).unwrap_or_default()
    }

    /// What a Feed was like in each minute of a day, oldest first.
    pub(super) fn day_of_feed(&self, id: &str) -> Vec<Sample> {
        self.lock().minutes.get(id).map(Minutes::samples).unwrap_or_default()
    }

    /// What a session counted lately, and what it was like in each minute of a day.
    pub(super) fn of_session(&self, session: &str) -> Option<(Interval, Vec<Sample>)> {
        self.lock().sessions.get(session).map(|track| (track.latest, track.minutes.samples()))
    }

    /// The fraction of a session's packets that went missing on the way over the last ten seconds.
    pub(super) fn loss(&self, session: &str) -> Option<f64> {
        self.lock().loss(session)
    }

    /// What a viewer took over the last ten seconds, in bits a second.
    pub(super) fn bit_rate(&self, viewer: &str) -> Option<u64> {
        let state = self.lock();
        let lately = &state.viewers.get(viewer)?.lately;
        (!lately.is_empty()).then(|| lately.iter().sum::<u64>() * 8 / lately.len() as u64)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn track(&mut self, id: String, totals: Totals, now: Utc, stats: &Stats, bit_rate: u64) {
        let track = self.sessions.entry(id).or_default();
        track.seen = true;
        track.latest.advance(stats);
        let rtt_ms = Some(stats.rtt.as_secs_f64() * 1e3);
        track.minutes.look(now, Look { totals: Some(totals), rtt_ms, bit_rate: Some(bit_rate) });
        track.totals.push_back(totals);
        if track.totals.len() > LOSS_SECONDS + 1 {
            track.totals.pop_front();
        }
    }

    /// The minutes go on while a Feed is away, as long as it is configured.
    fn look_at_feeds(&mut self, now: Utc, sources: &Sources, venues: &HashMap<&FeedId, &Venue>) {
        for feed in sources.directory.feeds() {
            let stats = venues.get(feed.id()).map(|venue| venue.session.stats());
            let look = Look {
                totals: stats.map(|stats| Totals::of_venue(&stats.total)),
                rtt_ms: stats.map(|stats| stats.rtt.as_secs_f64() * 1e3),
                bit_rate: feed.bit_rate(),
            };
            self.minutes.entry(feed.id().clone()).or_default().look(now, look);
        }
        let config = sources.live.current();
        self.minutes.retain(|id, minutes| {
            if sources.directory.feed(id).is_some() {
                return true;
            }
            minutes.look(now, Look::default());
            config.feeds.iter().any(|feed| feed.id == *id)
        });
    }

    fn sent(&mut self, id: String, total: u64) {
        let known = self.viewers.contains_key(&id);
        let sent = self.viewers.entry(id).or_default();
        if known {
            sent.lately.push_back(total.saturating_sub(sent.total));
        }
        if sent.lately.len() > LOSS_SECONDS {
            sent.lately.pop_front();
        }
        (sent.total, sent.seen) = (total, true);
    }

    fn loss(&self, session: &str) -> Option<f64> {
        let totals = &self.sessions.get(session)?.totals;
        fraction_lost(*totals.front()?, *totals.back()?)
    }
}

fn fraction_lost(first: Totals, last: Totals) -> Option<f64> {
    let packets = last.packets.saturating_sub(first.packets);
    let lost = last.lost.saturating_sub(first.lost);
    (packets > 0).then(|| (lost as f64 / packets as f64).min(1.0))
}

fn keep(samples: &mut VecDeque<Sample>, sample: Sample) {
    if samples.len() == SAMPLES_MAX {
        samples.pop_front();
    }
    samples.push_back(sample);
}

/// The id of a venue's session.
pub(super) fn publish_id(venue: &Venue) -> String {
    format!("srt-in-{}", venue.id)
}

/// The id of a pull.
pub(super) fn pull_id(pull: &Pull) -> String {
    format!("srt-out-{}", pull.id)
}

/// The id of a viewer.
pub(super) fn viewer_id(viewer: &Viewer) -> String {
    format!("http-{}", viewer.id)
}

/// Samples of a Feed: ten minutes.
const SAMPLES_MAX: usize = 600;

/// How far back a loss is told.
const LOSS_SECONDS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_that_of_the_last_ten_seconds() {
        let mut state = State::default();
        let track = |state: &mut State, totals| {
            state.track("s".into(), totals, Utc(0), &Stats::default(), 0);
        };
        track(&mut state, Totals { packets: 100, lost: 50 });
        assert_eq!(state.loss("s"), None);
        for n in 1..=20 {
            track(&mut state, Totals { packets: 100 + n * 100, lost: 50 + n });
        }
        assert_eq!(state.loss("s"), Some(0.01));
        for _ in 0..20 {
            track(&mut state, Totals { packets: 2_100, lost: 70 });
        }
        assert_eq!(state.loss("s"), None);
        assert_eq!(fraction_lost(Totals { packets: 1, lost: 0 }, Totals { packets: 2, lost: 9 }), Some(1.0));
    }
}
