//! What an HTTP listener counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use flambeau_media::Utc;
use http::StatusCode;

/// Counters and gauges of one listener, written without a lock and read by [`Stats::snapshot`].
#[derive(Debug, Default)]
pub struct Stats {
    connections_open: AtomicU64,
    connections_total: AtomicU64,
    refused_total: AtomicU64,
    refused_per_address: AtomicU64,
    accept_errors: AtomicU64,
    /// By status class: index 0 is 1xx.
    responses: [AtomicU64; 5],
    bytes_sent: AtomicU64,
    requests_abandoned: AtomicU64,
    headers_too_large: AtomicU64,
    headers_malformed: AtomicU64,
    header_timeouts: AtomicU64,
    idle_timeouts: AtomicU64,
    write_timeouts: AtomicU64,
    panics: AtomicU64,
    blocked: AtomicU64,
    blocked_served: AtomicU64,
    blocked_timed_out: AtomicU64,
    denied: AtomicU64,
    http2_connections: AtomicU64,
    requests_limited: AtomicU64,
    streams_refused: AtomicU64,
    streams_stalled: AtomicU64,
    floods: AtomicU64,
    handshakes: AtomicU64,
    handshakes_failed: AtomicU64,
    handshakes_timed_out: AtomicU64,
    certificates_loaded: AtomicU64,
    certificates_rejected: AtomicU64,
    log_lines_dropped: AtomicU64,
    growing_broken_off: AtomicU64,
    requests_of_ended: AtomicU64,
    viewers_unlisted: AtomicU64,
    /// In seconds since 1970; 0: there is no certificate.
    certificate_until: AtomicU64,
}

/// The counts of [`Stats`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Connections open now.
    pub connections_open: u64,
    /// Connections accepted and admitted.
    pub connections_total: u64,
    /// Connections refused because the listener had its maximum.
    pub refused_total: u64,
    /// Connections refused because their address had its maximum.
    pub refused_per_address: u64,
    /// Failures of `accept`: the process ran out of file descriptors or memory.
    pub accept_errors: u64,
    /// Responses by status class; index 0 is 1xx, index 4 is 5xx.
    pub responses: [u64; 5],
    /// Bytes handed to the kernel, heads included.
    pub bytes_sent: u64,
    /// Requests whose client went away before the response began.
    pub requests_abandoned: u64,
    /// Connections closed because a request's head was larger than allowed.
    pub headers_too_large: u64,
    /// Connections closed because what they sent was not HTTP.
    pub headers_malformed: u64,
    /// Connections closed because a request's head did not arrive in time.
    pub header_timeouts: u64,
    /// Connections closed because no further request came.
    pub idle_timeouts: u64,
    /// Connections closed because the client did not take what it had asked for.
    pub write_timeouts: u64,
    /// Connections closed by a panic of ours.
    pub panics: u64,
    /// Requests that wait for a Part or a Playlist now.
    pub blocked: u64,
    /// Requests that waited and got what they waited for.
    pub blocked_served: u64,
    /// Requests that waited in vain.
    pub blocked_timed_out: u64,
    /// Requests refused for want of credentials or of an entitlement.
    pub denied: u64,
    /// Connections that speak HTTP/2, of `connections_total`.
    pub http2_connections: u64,
    /// Requests refused because their address made too many in a second.
    pub requests_limited: u64,
    /// Requests over HTTP/2 refused because too many were being answered.
    pub streams_refused: u64,
    /// Responses over HTTP/2 broken off because the client did not take them.
    pub streams_stalled: u64,
    /// Connections closed because of resets and other fruitless frames without end.
    pub floods: u64,
    /// TLS handshakes done.
    pub handshakes: u64,
    /// TLS handshakes that failed: another protocol or version, or a client that mistrusts the certificate.
    pub handshakes_failed: u64,
    /// TLS handshakes that did not end in time.
    pub handshakes_timed_out: u64,
    /// Times the certificate's files had changed and were taken.
    pub certificates_loaded: u64,
    /// Times the certificate's files had changed and could not be used.
    pub certificates_rejected: u64,
    /// Lines of the access log that were lost: the disk is too slow, or full.
    pub log_lines_dropped: u64,
    /// Responses with a Segment in the making broken off because it did not become whole.
    pub growing_broken_off: u64,
    /// Requests refused because the operator had ended their viewer.
    pub requests_of_ended: u64,
    /// Requests of viewers for whom the list had no room.
    pub viewers_unlisted: u64,
    /// Until when the certificate holds, in seconds since 1970; 0: there is none.
    pub certificate_until: u64,
}

/// One of the things a listener counts one by one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    RefusedTotal,
    RefusedPerAddress,
    AcceptError,
    RequestAbandoned,
    HeaderTooLarge,
    HeaderMalformed,
    HeaderTimeout,
    IdleTimeout,
    WriteTimeout,
    Panic,
    BlockedServed,
    BlockedTimedOut,
    Denied,
    Http2Connection,
    TooManyRequests,
    TooManyStreams,
    StreamStalled,
    Flooded,
    Handshake,
    HandshakeFailed,
    HandshakeTimeout,
    CertificateLoaded,
    CertificateRejected,
    LogLineDropped,
    GrowingBrokenOff,
    ViewerEnded,
    ViewerUnlisted,
}

impl Stats {
    /// The counts of this moment.
    pub fn snapshot(&self) -> Snapshot {
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        Snapshot {
            connections_open: load(&self.connections_open),
            connections_total: load(&self.connections_total),
            refused_total: load(&self.refused_total),
            refused_per_address: load(&self.refused_per_address),
            accept_errors: load(&self.accept_errors),
            responses: std::array::from_fn(|class| load(&self.responses[class])),
            bytes_sent: load(&self.bytes_sent),
            requests_abandoned: load(&self.requests_abandoned),
            headers_too_large: load(&self.headers_too_large),
            headers_malformed: load(&self.headers_malformed),
            header_timeouts: load(&self.header_timeouts),
            idle_timeouts: load(&self.idle_timeouts),
            write_timeouts: load(&self.write_timeouts),
            panics: load(&self.panics),
            blocked: load(&self.blocked),
            blocked_served: load(&self.blocked_served),
            blocked_timed_out: load(&self.blocked_timed_out),
            denied: load(&self.denied),
            http2_connections: load(&self.http2_connections),
            requests_limited: load(&self.requests_limited),
            streams_refused: load(&self.streams_refused),
            streams_stalled: load(&self.streams_stalled),
            floods: load(&self.floods),
            handshakes: load(&self.handshakes),
            handshakes_failed: load(&self.handshakes_failed),
            handshakes_timed_out: load(&self.handshakes_timed_out),
            certificates_loaded: load(&self.certificates_loaded),
            certificates_rejected: load(&self.certificates_rejected),
            log_lines_dropped: load(&self.log_lines_dropped),
            growing_broken_off: load(&self.growing_broken_off),
            requests_of_ended: load(&self.requests_of_ended),
            viewers_unlisted: load(&self.viewers_unlisted),
            certificate_until: load(&self.certificate_until),
        }
    }

    pub(super) fn count(&self, event: Event) {
        let counter = match event {
            Event::RefusedTotal => &self.refused_total,
            Event::RefusedPerAddress => &self.refused_per_address,
            Event::AcceptError => &self.accept_errors,
            Event::RequestAbandoned => &self.requests_abandoned,
            Event::HeaderTooLarge => &self.headers_too_large,
            Event::HeaderMalformed => &self.headers_malformed,
            Event::HeaderTimeout => &self.header_timeouts,
            Event::IdleTimeout => &self.idle_timeouts,
            Event::WriteTimeout => &self.write_timeouts,
            Event::Panic => &self.panics,
            Event::BlockedServed => &self.blocked_served,
            Event::BlockedTimedOut => &self.blocked_timed_out,
            Event::Denied => &self.denied,
            Event::Http2Connection => &self.http2_connections,
            Event::TooManyRequests => &self.requests_limited,
            Event::TooManyStreams => &self.streams_refused,
            Event::StreamStalled => &self.streams_stalled,
            Event::Flooded => &self.floods,
            Event::Handshake => &self.handshakes,
            Event::HandshakeFailed => &self.handshakes_failed,
            Event::HandshakeTimeout => &self.handshakes_timed_out,
            Event::CertificateLoaded => &self.certificates_loaded,
            Event::CertificateRejected => &self.certificates_rejected,
            Event::LogLineDropped => &self.log_lines_dropped,
            Event::GrowingBrokenOff => &self.growing_broken_off,
            Event::ViewerEnded => &self.requests_of_ended,
            Event::ViewerUnlisted => &self.viewers_unlisted,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn response(&self, status: StatusCode) {
        // `StatusCode` holds 100 to 999; what is past 599 counts with the server's errors.
        let class = usize::from(status.as_u16() / 100 - 1).min(self.responses.len() - 1);
        self.responses[class].fetch_add(1, Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Relaxed);
    }

    /// Notes until when the certificate holds.
    pub(super) fn certificate_holds_until(&self, end: Utc) {
        self.certificate_until.store(u64::try_from(end.0 / 1_000_000).unwrap_or(0), Relaxed);
    }

    /// Counts a connection as open until the guard is dropped.
    pub(super) fn connection(&self) -> Gauge<'_> {
        self.connections_total.fetch_add(1, Relaxed);
        Gauge::raise(&self.connections_open)
    }

    /// Counts a request as waiting until the guard is dropped.
    pub(super) fn blocked(&self) -> Gauge<'_> {
        Gauge::raise(&self.blocked)
    }
}

/// One of a gauge, taken back when dropped.
#[derive(Debug)]
pub(super) struct Gauge<'a>(&'a AtomicU64);

impl<'a> Gauge<'a> {
    fn raise(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Relaxed);
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_count_in_the_class_of_their_status() {
        let stats = Stats::default();
        for status in [200, 206, 304, 404, 503, 999] {
            stats.response(StatusCode::from_u16(status).expect("a status"));
        }
        assert_eq!(stats.snapshot().responses, [0, 2, 1, 1, 2]);
    }

    #[test]
    fn a_gauge_falls_when_its_guard_goes() {
        let stats = Stats::default();
        let guard = stats.blocked();
        assert_eq!(stats.snapshot().blocked, 1);
        drop(guard);
        assert_eq!(stats.snapshot().blocked, 0);
    }
}
