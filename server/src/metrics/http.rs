//! The HTTP listeners.

use std::fmt;
use std::sync::Arc;

use flambeau_edge::http::{Snapshot, Stats};

use super::{Collector, Labels, Sheet};

/// Every HTTP listener, with the value of its label `listener`.
#[derive(Debug)]
pub(crate) struct Http(pub(crate) Vec<(&'static str, Arc<Stats>)>);

impl Collector for Http {
    fn collect(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let rows: Vec<_> =
            self.0.iter().map(|(name, stats)| ([("listener", *name)], stats.snapshot())).collect();
        let each = |value: fn(&Snapshot) -> u64| {
            rows.iter().map(move |(labels, stats)| (labels.as_slice() as Labels<'_>, value(stats)))
        };
        for (name, help, value) in GAUGES {
            sheet.gauges(name, help, each(*value))?;
        }
        for (name, help, value) in COUNTERS {
            sheet.counters(name, help, each(*value))?;
        }
        for (name, help, label, values) in LABELLED {
            let samples: Vec<_> = rows
                .iter()
                .flat_map(|(labels, stats)| {
                    values.iter().map(|(value, of)| ([labels[0], (*label, *value)], of(stats)))
                })
                .collect();
            sheet.counters(name, help, samples.iter().map(|(labels, value)| (labels.as_slice(), *value)))?;
        }
        Ok(())
    }
}

type Value = fn(&Snapshot) -> u64;
type Family = (&'static str, &'static str, Value);

const GAUGES: &[Family] = &[
    ("flambeau_http_connections", "Connections open", |s| s.connections_open),
    ("flambeau_http_requests_blocked", "Requests that wait for a Part or a Playlist", |s| s.blocked),
    (
        "flambeau_http_certificate_expiry_timestamp_seconds",
        "Until when the certificate holds; 0: there is none",
        |s| s.certificate_until,
    ),
];

const COUNTERS: &[Family] = &[
    ("flambeau_http_connections_accepted", "Connections taken", |s| s.connections_total),
    ("flambeau_http_accept_errors", "Failures to take a connection", |s| s.accept_errors),
    ("flambeau_http_sent_bytes", "Bytes sent, heads included", |s| s.bytes_sent),
    ("flambeau_http_requests_abandoned", "Requests whose client left before the response", |s| {
        s.requests_abandoned
    }),
    ("flambeau_http_requests_denied", "Requests refused for want of credentials or an Entitlement", |s| {
        s.denied
    }),
    ("flambeau_http_http2_connections", "Connections that speak HTTP/2, of those taken", |s| {
        s.http2_connections
    }),
    ("flambeau_http_streams_stalled", "HTTP/2 responses broken off because the client took nothing", |s| {
        s.streams_stalled
    }),
    ("flambeau_http_access_log_dropped", "Lines of the access log that were lost", |s| s.log_lines_dropped),
    (
        "flambeau_http_growing_broken_off",
        "Responses broken off because their Segment did not become whole",
        |s| s.growing_broken_off,
    ),
    ("flambeau_http_viewers_unlisted", "Requests of viewers for whom the list had no room", |s| {
        s.viewers_unlisted
    }),
    ("flambeau_http_panics", "Connections closed by a failure of ours", |s| s.panics),
];

/// A family with one label more: name, help, label, and each of the label's values.
type Labelled = (&'static str, &'static str, &'static str, &'static [(&'static str, Value)]);

const LABELLED: &[Labelled] = &[
    (
        "flambeau_http_connections_refused",
        "Connections refused by a limit",
        "limit",
        &[
            ("connections_max", |s| s.refused_total),
            ("connections_per_address_max", |s| s.refused_per_address),
        ],
    ),
    (
        "flambeau_http_requests_refused",
        "Requests refused, by why",
        "reason",
        &[
            ("requests_per_second_max", |s| s.requests_limited),
            ("streams_at_once", |s| s.streams_refused),
            ("ended_by_operator", |s| s.requests_of_ended),
        ],
    ),
    (
        "flambeau_http_tls_handshakes",
        "TLS handshakes, by how they ended",
        "result",
        &[
            ("done", |s| s.handshakes),
            ("failed", |s| s.handshakes_failed),
            ("timed_out", |s| s.handshakes_timed_out),
        ],
    ),
    (
        "flambeau_http_certificate_reloads",
        "Times the certificate's files had changed, by what came of it",
        "result",
        &[("taken", |s| s.certificates_loaded), ("refused", |s| s.certificates_rejected)],
    ),
    (
        "flambeau_http_connections_closed",
        "Connections closed because of the client",
        "reason",
        &[
            ("header_too_large", |s| s.headers_too_large),
            ("header_malformed", |s| s.headers_malformed),
            ("header_timeout", |s| s.header_timeouts),
            ("idle_timeout", |s| s.idle_timeouts),
            ("write_timeout", |s| s.write_timeouts),
            ("flood", |s| s.floods),
        ],
    ),
    (
        "flambeau_http_responses",
        "Responses by class of status",
        "class",
        &[
            ("1xx", |s| s.responses[0]),
            ("2xx", |s| s.responses[1]),
            ("3xx", |s| s.responses[2]),
            ("4xx", |s| s.responses[3]),
            ("5xx", |s| s.responses[4]),
        ],
    ),
    (
        "flambeau_http_waits",
        "Requests that waited for a Part or a Playlist, by how that ended",
        "result",
        &[("served", |s| s.blocked_served), ("in_vain", |s| s.blocked_timed_out)],
    ),
];
