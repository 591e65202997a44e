//! What becomes of a request, whichever protocol brought it: limited, handed to the router, counted, logged.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tower::Service as _;

use super::connection::Shared;
use super::socket::Answering;
use crate::http::access_log::Line;
use crate::http::stats::{Event, Stats};
use crate::http::viewers::Watching;

/// Who a request comes from, among its extensions.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Peer(pub(in crate::http) SocketAddr);

/// The requests of one connection.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: SocketAddr,
}

impl Requests {
    /// Answers a request. Dropped before it has, the client went away.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response<Sent> {
        let began = Instant::now();
        let mut pending = self.pending(&request);
        let logged = tracing::enabled!(tracing::Level::DEBUG)
            .then(|| (request.method().clone(), request.uri().path().to_owned()));
        let mut response = self.route(request, began).await;
        pending.answered(response.status());
        if let Some((method, path)) = logged {
            let bytes = http_body::Body::size_hint(response.body()).exact();
            let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis());
            tracing::debug!(peer = %self.peer, %method, path, status, bytes, ms, "request");
        }
        let viewer = response.extensions_mut().remove::<Arc<Watching>>();
        let line = pending.line.take();
        let line = line.map(|line| line.answered(response.status(), viewer.as_deref()));
        response.map(|inner| Sent { inner, viewer, line, _answering: None })
    }

    fn pending(&self, request: &Request<Body>) -> Pending<'_> {
        let line = self.shared.access_log.as_ref().map(|log| log.line(self.peer.ip(), request));
        Pending { stats: &self.shared.stats, line, answered: false }
    }

    async fn route(&self, mut request: Request<Body>, now: Instant) -> Response<Body> {
        let per_second = self.shared.limits.now().requests_per_second_max;
        if !self.shared.clients.may_request(self.peer.ip(), per_second, now) {
            self.shared.stats.count(Event::TooManyRequests);
            return refusal(StatusCode::TOO_MANY_REQUESTS, TOO_MANY_REQUESTS);
        }
        request.extensions_mut().insert(Peer(self.peer));
        match self.shared.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The answer to a request for which there is no place.
    pub(super) fn refuse(&self, request: &Request<Body>) -> Response<Sent> {
        let mut pending = self.pending(request);
        let response = refusal(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_AT_ONCE);
        pending.answered(response.status());
        let line = pending.line.take().map(|line| line.answered(response.status(), None));
        response.map(|inner| Sent { inner, viewer: None, line, _answering: None })
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    head.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// A request without a response yet. Dropped as it is, its client went away.
struct Pending<'a> {
    stats: &'a Stats,
    line: Option<Line>,
    answered: bool,
}

impl Pending<'_> {
    fn answered(&mut self, status: StatusCode) {
        self.answered = true;
        self.stats.response(status);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.stats.count(Event::RequestAbandoned);
        }
    }
}

/// A response's body on its way. It ends its exchange and writes its line when it is dropped.
#[derive(Debug)]
pub(super) struct Sent {
    inner: Body,
    viewer: Option<Arc<Watching>>,
    line: Option<Line>,
    _answering: Option<Answering>,
}

impl Sent {
    /// Ends `answering` with itself.
    pub(super) fn ends(self, answering: Answering) -> Self {
        Self { _answering: Some(answering), ..self }
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.viewer.as_ref().is_some_and(|viewer| viewer.is_ended()) {
            return Poll::Ready(Some(Err(axum::Error::new(Ended))));
        }
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(bytes) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map(Bytes::len)
        {
            if let Some(viewer) = &self.viewer {
                viewer.took(bytes);
            }
            if let Some(line) = &mut self.line {
                line.sent(bytes);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Why a response breaks off.
#[derive(Debug, thiserror::Error)]
#[error("the operator ended this viewer's session")]
struct Ended;

const TOO_MANY_REQUESTS: &str = "Too many requests in a second. Ask again in a second.\n";
const TOO_MANY_AT_ONCE: &str = "Too many requests are being answered at once. Ask again in a second.\n";
