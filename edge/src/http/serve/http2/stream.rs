//! One request of an HTTP/2 connection and its response.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderValue, Method, Request, Response, StatusCode, response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::http::serve::Limits;
use crate::http::serve::requests::{Requests, Sent};
use crate::http::stats::Event;

/// Answers a request. Ends early when the client resets the stream, or takes nothing of it for too long.
pub(super) async fn serve(
    requests: &Requests,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    limits: &Limits,
) {
    let shared = &requests.shared;
    let Some(request) = complete(request).await else { return };
    let is_head = request.method() == Method::HEAD;
    let place = shared.clients.open_stream(requests.peer.ip(), &shared.limits.now());
    let response = if place.is_err() {
        shared.stats.count(Event::TooManyStreams);
        requests.refuse(&request)
    } else {
        let answer = requests.answer(request);
        tokio::select! {
            response = answer => response,
            _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return,
        }
    };
    let (head, body) = response.into_parts();
    let has_body = !is_head && !body.is_end_stream() && may_have_body(head.status);
    let head = finished(head, &body);
    // An error: the client has reset the stream, or the connection has ended. Nobody is left to tell.
    let Ok(mut stream) = respond.send_response(head, !has_body) else { return };
    if has_body {
        match send(&mut stream, body, limits.write_timeout).await {
            Ok(()) => {}
            Err(Broken::Gone) => {}
            Err(Broken::Body) => stream.send_reset(Reason::INTERNAL_ERROR),
            Err(Broken::Stalled) => {
                shared.stats.count(Event::StreamStalled);
                stream.send_reset(Reason::CANCEL);
            }
        }
    }
}

/// The request with its body, of which the first data is there already where it comes soon: what is malformed is found
/// out before it is answered (RFC 9113 8.1.1). None: it is, and the stream has been reset.
async fn complete(request: Request<RecvStream>) -> Option<Request<Body>> {
    let (head, mut body) = request.into_parts();
    if body.is_end_stream() {
        return Some(Request::from_parts(head, Body::empty()));
    }
    let first = match timeout(FIRST_DATA, std::future::poll_fn(|cx| body.poll_data(cx))).await {
        Ok(Some(Ok(data))) => Some(data),
        Ok(Some(Err(_))) => return None,
        Ok(None) | Err(_) => None,
    };
    Some(Request::from_parts(head, Body::new(Upload { first, rest: body })))
}

/// The head, with what every response has.
fn finished(mut head: response::Parts, body: &Sent) -> Response<()> {
    if !head.headers.contains_key(DATE)
        && let Ok(now) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now()))
    {
        head.headers.insert(DATE, now);
    }
    if may_have_body(head.status)
        && let Some(len) = body.size_hint().exact()
    {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(len));
    }
    Response::from_parts(head, ())
}

// RFC 9110 6.4.1.
fn may_have_body(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Why a response breaks off.
enum Broken {
    /// The client reset the stream, or went away.
    Gone,
    /// The body failed: what was sent must not pass for all of it.
    Body,
    /// The client took nothing for too long.
    Stalled,
}

/// Sends a body, no more at a time than the client and the connection have room for.
async fn send(stream: &mut SendStream<Bytes>, mut body: Sent, patience: Duration) -> Result<(), Broken> {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = std::future::poll_fn(|cx| stream.poll_reset(cx)) => return Err(Broken::Gone),
        };
        let mut data = match frame {
            None => return stream.send_data(Bytes::new(), true).map_err(|_| Broken::Gone),
            Some(Err(_)) => return Err(Broken::Body),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        while !data.is_empty() {
            let room = room(stream, data.len().min(CHUNK_BYTES_MAX), patience).await?;
            let chunk = data.split_to(room.min(data.len()));
            let is_last = data.is_empty() && body.is_end_stream();
            stream.send_data(chunk, is_last).map_err(|_| Broken::Gone)?;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Waits until the stream has room for some of `wanted` bytes. Those in its buffer have their window already, so what
/// is sent within the room leaves with the connection's other bytes, whose clock the socket keeps.
async fn room(stream: &mut SendStream<Bytes>, wanted: usize, patience: Duration) -> Result<usize, Broken> {
    stream.reserve_capacity(wanted);
    if stream.capacity() > 0 {
        return Ok(stream.capacity());
    }
    let some = async {
        loop {
            match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(0)) => {}
                Some(Ok(room)) => return Ok(room),
                Some(Err(_)) | None => return Err(Broken::Gone),
            }
        }
    };
    timeout(patience, some).await.unwrap_or(Err(Broken::Stalled))
}

/// What a client sends along.
struct Upload {
    first: Option<Bytes>,
    rest: RecvStream,
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let data = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => std::task::ready!(self.rest.poll_data(cx)),
        };
        if let Some(Ok(data)) = &data {
            self.rest.flow_control().release_capacity(data.len())?;
        }
        Poll::Ready(data.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }
}

/// How long a request's body may be in coming before it is answered without. Only who sends one waits.
const FIRST_DATA: Duration = Duration::from_millis(50);
/// What one stream takes of the connection's window at a time, so that the streams take turns.
const CHUNK_BYTES_MAX: usize = 64 << 10;
