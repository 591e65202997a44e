//! The transport lane: a Feed's ring and state.

use std::fmt;
use std::sync::Arc;

use flambeau_media::directory::Directory;
use flambeau_media::feed::{Feed, RingStats, State};

use super::{Collector, Sheet};

/// Every Feed of the directory.
#[derive(Debug)]
pub(crate) struct Feeds(pub(crate) Arc<Directory>);

impl Collector for Feeds {
    fn collect(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let feeds = self.0.feeds();
        let rows: Vec<_> = feeds
            .iter()
            .map(|feed| ([("feed", feed.id().as_str())], feed.stats(), feed.bit_rate()))
            .collect();
        let each = |value: fn(&RingStats) -> u64| {
            rows.iter().map(move |(labels, stats, _)| (labels.as_slice(), value(stats)))
        };
        sheet.counters(
            "flambeau_feed_received_bytes",
            "Transport stream taken in",
            each(|s| s.bytes_total),
        )?;
        sheet.counters(
            "flambeau_feed_discontinuities",
            "Times that bytes of the Feed were missing, a venue's return included",
            each(|s| s.discontinuities_total),
        )?;
        sheet.gauges("flambeau_feed_history_bytes", "Transport stream held", each(|s| s.bytes_held))?;
        sheet.gauges(
            "flambeau_feed_bits_per_second",
            "Rate of the Feed over the history held",
            rows.iter().map(|(labels, _, rate)| (labels.as_slice(), rate.unwrap_or(0))),
        )?;
        let states: Vec<_> = feeds
            .iter()
            .flat_map(|feed| {
                let is = state(feed);
                STATES.map(|s| ([("feed", feed.id().as_str()), ("state", s)], u64::from(s == is)))
            })
            .collect();
        sheet.gauges(
            "flambeau_feed_state",
            "1 for the state the Feed is in, 0 for the others",
            states.iter().map(|(labels, value)| (labels.as_slice(), *value)),
        )
    }
}

/// The name of a Feed's state.
pub(crate) fn state(feed: &Feed) -> &'static str {
    match *feed.state().borrow() {
        State::Live => "live",
        State::Waiting(_) => "waiting",
        State::Closed => "closed",
    }
}

const STATES: [&str; 3] = ["live", "waiting", "closed"];
