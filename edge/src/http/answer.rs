//! The answers of the edge: heads, and how long a cache may keep what.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use flambeau_config::Denied;
use flambeau_media::channel::{Object, Playlist};
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::body::Pieces;
use super::conditional::{Selection, select};
use super::cors::METHODS;

/// Who may keep a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Anyone: a shared cache too.
    Public,
    /// The client that showed its credentials.
    Private,
}

impl Audience {
    fn keep(self, age: Duration) -> HeaderValue {
        let whose = match self {
            Self::Public => "public",
            Self::Private => "private",
        };
        // Digits and letters only, which every field's value may hold.
        HeaderValue::try_from(format!("{whose}, max-age={}", age.as_secs())).unwrap_or(NO_STORE)
    }

    // A day would do for a name that never changes its meaning; an hour bounds what a restarted node could leave behind.
    fn keep_object(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Public => "public, max-age=3600, immutable",
            Self::Private => "private, max-age=3600, immutable",
        })
    }
}

/// An object, or what the request's conditions select of it.
pub(super) fn object(method: &Method, fields: &HeaderMap, object: &Object, audience: Audience) -> Response {
    let etag = format!("\"{:x}-{:x}\"", object.created.0, object.len);
    let selection = select(method, fields, &etag, object.len);
    let range = match &selection {
        Selection::Stretch(range) => range.clone(),
        _ => 0..object.len,
    };
    let mut response = match selection {
        Selection::Whole => Response::new(Body::new(Pieces::of(object.pieces.clone(), range))),
        Selection::Stretch(_) => {
            let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, object.len);
            let mut response = Response::new(Body::new(Pieces::of(object.pieces.clone(), range)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, CONTENT_RANGE, content_range);
            response
        }
        Selection::Unsatisfiable => {
            let mut response = sentence(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("The object has {} bytes, and none of those asked for.", object.len),
            );
            set(&mut response, CONTENT_RANGE, format!("bytes */{}", object.len));
            return response;
        }
        Selection::PreconditionFailed => return precondition_failed(),
        Selection::NotModified => status_alone(StatusCode::NOT_MODIFIED),
    };
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, audience.keep_object());
    head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if selection != Selection::NotModified {
        head.insert(CONTENT_TYPE, HeaderValue::from_static(object.content_type));
    }
    set(&mut response, ETAG, etag);
    response
}

/// A Playlist or Manifest. `addressed`: the request named the Media Sequence Number it waits for.
pub(super) fn playlist(
    method: &Method,
    fields: &HeaderMap,
    playlist: &Playlist,
    addressed: bool,
    audience: Audience,
) -> Response {
    let len = playlist.body.plain().len();
    let etag = match playlist.newest {
        Some(newest) => {
            format!("\"{:x}-{:x}-{}.{}\"", playlist.created.0, len, newest.sequence, newest.parts)
        }
        None => format!("\"{:x}-{:x}\"", playlist.created.0, len),
    };
    let mut response = match select(method, fields, &etag, len) {
        Selection::PreconditionFailed => return precondition_failed(),
        Selection::NotModified => status_alone(StatusCode::NOT_MODIFIED),
        // RFC 9110 14.2: a server may ignore Range, and nobody wants half a Playlist.
        Selection::Whole | Selection::Stretch(_) | Selection::Unsatisfiable => {
            let mut response = Response::new(Body::from(playlist.body.plain().clone()));
            let content_type = HeaderValue::from_static(playlist.content_type);
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            response
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, audience.keep(playlist_age(playlist, addressed)));
    set(&mut response, ETAG, etag);
    response
}

/// How long a Playlist stays good.
fn playlist_age(playlist: &Playlist, addressed: bool) -> Duration {
    let shortest = Duration::from_secs(1);
    match playlist.newest {
        // RFC 8216bis B.1: a blocking response is good for six target durations, a plain one for half of one.
        // That of a silent source answers nothing that was asked for.
        Some(_) if addressed && !playlist.silent => (playlist.target_duration * 6).max(shortest),
        Some(_) => (playlist.target_duration / 2).max(shortest),
        None => shortest,
    }
}

/// The node's clock (ISO/IEC 23009-1 5.8.5.7, `urn:mpeg:dash:utc:http-iso:2014`).
pub(super) fn time() -> Response {
    let mut response = Response::new(Body::from(flambeau_media::Utc::now().to_string()));
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, TEXT);
    head.insert(CACHE_CONTROL, NO_STORE);
    response
}

/// A page.
pub(super) fn page(html: String) -> Response {
    let mut response = Response::new(Body::from(html));
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    head.insert(CACHE_CONTROL, NO_STORE);
    response
}

/// 404. A cache keeps it for a second: what is not there now may be soon.
pub(super) fn not_found(text: impl Into<String>, audience: Audience) -> Response {
    let mut response = sentence(StatusCode::NOT_FOUND, text);
    response.headers_mut().insert(CACHE_CONTROL, audience.keep(Duration::from_secs(1)));
    response
}

/// 503: to be asked again in a second.
pub(super) fn unavailable(text: &str) -> Response {
    let mut response = sentence(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// 400.
pub(super) fn bad_request(text: impl Into<String>) -> Response {
    sentence(StatusCode::BAD_REQUEST, text)
}

/// 405, with the methods there are.
pub(super) fn method_not_allowed() -> Response {
    let mut response = sentence(StatusCode::METHOD_NOT_ALLOWED, format!("The methods here are {METHODS}."));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// The answer to OPTIONS, without the fields of CORS.
pub(super) fn options() -> Response {
    let mut response = status_alone(StatusCode::NO_CONTENT);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// What someone without the right to watch gets.
pub(super) fn denied(denied: Denied) -> Response {
    match denied {
        Denied::Unauthenticated => {
            let mut response = sentence(StatusCode::UNAUTHORIZED, format!("{}.", capitalised(denied)));
            let head = response.headers_mut();
            // RFC 9110 11.6.1: each scheme we take.
            head.append(WWW_AUTHENTICATE, HeaderValue::from_static(BASIC));
            head.append(WWW_AUTHENTICATE, HeaderValue::from_static(BEARER));
            response
        }
        Denied::Forbidden => sentence(StatusCode::FORBIDDEN, format!("{}.", capitalised(denied))),
        Denied::NotFound => not_found("There is no Channel of that name.", Audience::Private),
    }
}

fn capitalised(denied: Denied) -> String {
    let text = denied.to_string();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

fn precondition_failed() -> Response {
    sentence(StatusCode::PRECONDITION_FAILED, "It has changed since you had it.")
}

/// An answer in words that no cache keeps.
fn sentence(status: StatusCode, text: impl Into<String>) -> Response {
    let mut text = text.into();
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

fn status_alone(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Sets a field to a text we made: numbers and ASCII punctuation, so it is a valid value.
fn set(response: &mut Response, name: http::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const BASIC: &str = "Basic realm=\"Flambeau\", charset=\"UTF-8\"";
const BEARER: &str = "Bearer realm=\"Flambeau\"";

#[cfg(test)]
mod tests {
    use flambeau_media::channel::Position;

    use super::*;

    #[test]
    fn a_playlist_lives_as_long_as_the_standard_says() {
        let media = Playlist {
            newest: Some(Position { sequence: 1, parts: 0 }),
            target_duration: Duration::from_secs(4),
            ..Playlist::default()
        };
        let age = |playlist: &Playlist, addressed| {
            Audience::Public.keep(playlist_age(playlist, addressed)).to_str().map(String::from).ok()
        };
        assert_eq!(age(&media, true).as_deref(), Some("public, max-age=24"));
        assert_eq!(age(&media, false).as_deref(), Some("public, max-age=2"));
        let silent = Playlist { silent: true, ..media.clone() };
        assert_eq!(age(&silent, true).as_deref(), Some("public, max-age=2"));
        assert_eq!(age(&Playlist::default(), true).as_deref(), Some("public, max-age=1"));
        let quick = Playlist { target_duration: Duration::from_millis(900), ..media };
        assert_eq!(age(&quick, false).as_deref(), Some("public, max-age=1"));
    }
}
