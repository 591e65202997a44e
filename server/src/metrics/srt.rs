//! The SRT ports and their sessions.

use std::fmt;

use flambeau_edge::srt::Pulls;
use flambeau_ingest::srt::Venues;
use flambeau_media::BroadcasterId;
use flambeau_srt::endpoint::ListenerStats;
use flambeau_srt::protocol::stats::Stats;

use super::{Collector, Labels, Sheet};

/// Both ports, with the value of their label `listener`.
#[derive(Debug)]
pub(crate) struct SrtPorts(pub(crate) Vec<(&'static str, ListenerStats)>);

impl Collector for SrtPorts {
    fn collect(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let rows: Vec<_> = self.0.iter().map(|(name, stats)| ([("listener", *name)], stats)).collect();
        let each = |value: fn(&ListenerStats) -> u64| {
            rows.iter().map(move |(labels, stats)| (labels.as_slice() as Labels<'_>, value(stats)))
        };
        sheet.gauges("flambeau_srt_sessions", "SRT sessions that are open", each(|s| s.sessions() as u64))?;
        sheet.counters(
            "flambeau_srt_datagrams",
            "Datagrams that came to the port",
            each(ListenerStats::datagrams),
        )?;
        sheet.counters(
            "flambeau_srt_stray_datagrams",
            "Datagrams for no session of their sender: late, guessed or forged",
            each(ListenerStats::datagrams_stray),
        )?;
        sheet.counters(
            "flambeau_srt_malformed_datagrams",
            "Datagrams that are no SRT packet",
            each(ListenerStats::datagrams_malformed),
        )?;
        sheet.counters(
            "flambeau_srt_inductions",
            "Handshakes answered with a cookie",
            each(ListenerStats::inductions),
        )?;
        sheet.counters(
            "flambeau_srt_ignored_inductions",
            "Handshakes that got no answer, too many came at a time",
            each(ListenerStats::inductions_ignored),
        )?;
        sheet.counters(
            "flambeau_srt_conclusions",
            "Callers that proved their address",
            each(ListenerStats::conclusions),
        )?;
        let rejections: Vec<_> = self
            .0
            .iter()
            .flat_map(|(name, stats)| {
                let codes = stats.rejections().into_iter();
                codes.map(move |(code, count)| (*name, code.to_string(), count))
            })
            .collect();
        let rejections: Vec<_> = rejections
            .iter()
            .map(|(name, code, count)| ([("listener", *name), ("code", code.as_str())], *count))
            .collect();
        sheet.counters(
            "flambeau_srt_rejections",
            "Handshakes turned down, by the code the caller got",
            rejections.iter().map(|(labels, count)| (labels.as_slice() as Labels<'_>, *count)),
        )?;
        sheet.counters(
            "flambeau_srt_send_failures",
            "Send calls that the kernel had no room for",
            each(ListenerStats::send_failures),
        )?;
        sheet.counters(
            "flambeau_srt_receive_failures",
            "Receive calls that failed",
            each(ListenerStats::receive_failures),
        )?;
        sheet.counters(
            "flambeau_srt_session_faults",
            "Sessions that a fault of this server ended, each alone",
            each(ListenerStats::session_faults),
        )
    }
}

/// Each session of the venues and the pullers.
#[derive(Debug)]
pub(crate) struct SrtSessions {
    /// Who publishes.
    pub(crate) venues: Option<Venues>,
    /// Who pulls.
    pub(crate) pulls: Option<Pulls>,
}

struct Row {
    feed: String,
    peer: String,
    broadcaster: String,
    direction: &'static str,
    stats: Stats,
}

impl SrtSessions {
    fn rows(&self) -> Vec<Row> {
        let venues = self.venues.iter().flat_map(Venues::list).map(|venue| Row {
            feed: venue.feed.to_string(),
            peer: venue.session.peer().to_string(),
            broadcaster: String::new(),
            direction: "in",
            stats: venue.session.stats(),
        });
        let pulls = self.pulls.iter().flat_map(Pulls::list).map(|pull| Row {
            feed: pull.feed.to_string(),
            peer: pull.session.peer().to_string(),
            broadcaster: pull.broadcaster.as_ref().map_or("", BroadcasterId::as_str).to_owned(),
            direction: "out",
            stats: pull.session.stats(),
        });
        venues.chain(pulls).collect()
    }
}

impl Collector for SrtSessions {
    fn collect(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let rows = self.rows();
        let labels: Vec<_> = rows
            .iter()
            .map(|row| {
                [
                    ("direction", row.direction),
                    ("feed", row.feed.as_str()),
                    ("peer", row.peer.as_str()),
                    ("broadcaster", row.broadcaster.as_str()),
                ]
            })
            .collect();
        let with = |value: fn(&Stats) -> f64| {
            labels.iter().zip(&rows).map(move |(labels, row)| (labels.as_slice(), value(&row.stats)))
        };
        sheet.gauges(
            "flambeau_srt_session_rtt_seconds",
            "Round-trip time (msRTT)",
            with(|s| s.rtt.as_secs_f64()),
        )?;
        sheet.gauges(
            "flambeau_srt_session_send_bits_per_second",
            "Rate sent over the last second (mbpsSendRate)",
            with(|s| s.send_bps as f64),
        )?;
        sheet.gauges(
            "flambeau_srt_session_receive_bits_per_second",
            "Rate received over the last second (mbpsRecvRate)",
            with(|s| s.receive_bps as f64),
        )?;
        sheet.gauges(
            "flambeau_srt_session_flight_packets",
            "Packets sent and not acknowledged (pktFlightSize)",
            with(|s| s.flight as f64),
        )?;
        sheet.gauges(
            "flambeau_srt_session_receive_buffer_packets",
            "Packets that wait for their time (pktRcvBuf)",
            with(|s| s.receive_held as f64),
        )?;
        sheet.gauges(
            "flambeau_srt_session_receive_latency_seconds",
            "Latency agreed for what is received (msRcvTsbPdDelay)",
            with(|s| s.receive_latency.as_secs_f64()),
        )?;
        sheet.gauges(
            "flambeau_srt_session_send_latency_seconds",
            "Latency agreed for what is sent (msSndTsbPdDelay)",
            with(|s| s.send_latency.as_secs_f64()),
        )?;
        let samples: Vec<_> = labels
            .iter()
            .zip(&rows)
            .flat_map(|(labels, row)| {
                let [direction, feed, peer, broadcaster] = *labels;
                row.stats
                    .total
                    .named()
                    .map(move |(name, value)| ([direction, feed, peer, broadcaster, ("stat", name)], value))
            })
            .collect();
        sheet.counters(
            "flambeau_srt_session",
            "Totals of the session under libsrt's names, in the label stat",
            samples.iter().map(|(labels, value)| (labels.as_slice(), *value)),
        )
    }
}
