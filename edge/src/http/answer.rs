//! The answers of the edge: heads, and how long a cache may keep what.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use flambeau_config::Denied;
use flambeau_media::Utc;
use flambeau_media::archive::{Excerpt, Stored};
use flambeau_media::channel::{Object, Playlist};
use http::header::{
    ACCEPT_RANGES, AGE, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::body::Pieces;
use super::conditional::{Selection, select};
use super::cors::METHODS;
use super::encoding::{gzip, prefers_gzip};

/// The media type of a Manifest (ISO/IEC 23009-1, annex C).
const MANIFEST: &str = "application/dash+xml";

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
        self.keep_with(age, String::new())
    }

    fn keep_with(self, age: Duration, stale: String) -> HeaderValue {
        let whose = match self {
            Self::Public => "public",
            Self::Private => "private",
        };
        // Digits, letters and signs only, which every field's value may hold.
        HeaderValue::try_from(format!("{whose}, max-age={}{stale}", age.as_secs())).unwrap_or(NO_STORE)
    }

    /// A client's own cache asks each time; one that many share keeps it.
    fn keep_shared(self, age: Duration) -> HeaderValue {
        let shared = match self {
            Self::Public => format!(", s-maxage={}", age.as_secs()),
            Self::Private => String::new(),
        };
        self.keep_with(Duration::ZERO, format!("{shared}{STALE_IF_ERROR}"))
    }

    // A day would do for a name that never changes its meaning; an hour bounds what a restarted node could leave behind.
    fn keep_object(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Public => "public, max-age=3600, immutable",
            Self::Private => "private, max-age=3600, immutable",
        })
    }
}

/// What there is to send, but for its bytes.
#[derive(Debug)]
pub(super) struct Representation {
    /// Its strong entity tag, quotes included.
    pub(super) etag: String,
    pub(super) len: usize,
    pub(super) content_type: &'static str,
    keep: HeaderValue,
}

/// An object, or what the request's conditions select of it.
pub(super) fn object(method: &Method, fields: &HeaderMap, object: &Object, audience: Audience) -> Response {
    let of = Representation {
        etag: etag_of_object(object.created, object.len),
        len: object.len,
        content_type: object.content_type,
        keep: audience.keep_object(),
    };
    represent(method, fields, of, |range| Body::new(Pieces::of(object.pieces.clone(), range)))
}

/// An object that is on disk, as if it were in memory.
pub(super) fn of_stored(stored: &Stored, audience: Audience) -> Representation {
    Representation {
        etag: etag_of_object(stored.created, stored.len),
        len: stored.len,
        content_type: stored.content_type,
        keep: audience.keep_with(stored.keep, ", immutable".into()),
    }
}

fn etag_of_object(created: Utc, len: usize) -> String {
    format!("\"{:x}-{len:x}\"", created.0)
}

/// What the request's conditions select; `body` is asked for its bytes.
pub(super) fn represent(
    method: &Method,
    fields: &HeaderMap,
    of: Representation,
    body: impl FnOnce(Range<usize>) -> Body,
) -> Response {
    let selection = select(method, fields, &of.etag, of.len);
    let mut response = match selection.clone() {
        Selection::Whole => Response::new(body(0..of.len)),
        Selection::Stretch(range) => {
            let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, of.len);
            let mut response = Response::new(body(range));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, CONTENT_RANGE, content_range);
            response
        }
        Selection::Unsatisfiable => {
            let mut response = sentence(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("The object has {} bytes, and none of those asked for.", of.len),
            );
            set(&mut response, CONTENT_RANGE, format!("bytes */{}", of.len));
            return response;
        }
        Selection::PreconditionFailed => return precondition_failed(),
        Selection::NotModified => status_alone(StatusCode::NOT_MODIFIED),
    };
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, of.keep);
    head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if selection != Selection::NotModified {
        head.insert(CONTENT_TYPE, HeaderValue::from_static(of.content_type));
    }
    set(&mut response, ETAG, of.etag);
    response
}

/// A Segment in the making: what there is of it, and the rest as it comes. It has no length and no entity tag before
/// it is whole, and a Range of it is ignored (RFC 9110 14.2). A cache keeps what ended as it should as the whole
/// Segment; a response that is broken off is incomplete (RFC 9112 8, RFC 9113 8.1.1), and not kept.
pub(super) fn growing(content_type: &'static str, body: Body, audience: Audience) -> Response {
    let mut response = Response::new(body);
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, audience.keep_object());
    head.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// How a Playlist was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// The Media Sequence Number it is to have was named.
    pub(super) addressed: bool,
    /// A Playlist Delta Update will do (RFC 8216bis 6.2.5.1).
    pub(super) skip: bool,
}

/// A Playlist or Manifest.
pub(super) fn playlist(
    method: &Method,
    fields: &HeaderMap,
    playlist: &Playlist,
    asked: Asked,
    audience: Audience,
) -> Response {
    text(method, fields, playlist, asked.skip, playlist_keep(playlist, asked.addressed, audience))
}

/// A Playlist or Manifest of the past.
pub(super) fn excerpt(
    method: &Method,
    fields: &HeaderMap,
    excerpt: &Excerpt,
    audience: Audience,
) -> Response {
    text(method, fields, &excerpt.playlist, false, audience.keep(excerpt.keep))
}

fn text(method: &Method, fields: &HeaderMap, playlist: &Playlist, skip: bool, keep: HeaderValue) -> Response {
    let delta = playlist.delta.as_ref().filter(|_| skip);
    let text = delta.unwrap_or(&playlist.body);
    // Compressed by the first who asks, for all. What fits into a packet gains nothing.
    let zipped = (text.plain().len() >= GZIP_BYTES_MIN && prefers_gzip(fields)).then(|| text.gzip(gzip));
    let etag = etag_of(playlist, delta.is_some(), zipped.is_some());
    let bytes = zipped.unwrap_or(text.plain());
    let mut response = match select(method, fields, &etag, bytes.len()) {
        Selection::PreconditionFailed => return precondition_failed(),
        Selection::NotModified => status_alone(StatusCode::NOT_MODIFIED),
        // RFC 9110 14.2: a server may ignore Range, and nobody wants half a Playlist.
        Selection::Whole | Selection::Stretch(_) | Selection::Unsatisfiable => {
            let mut response = Response::new(Body::from(bytes.clone()));
            let head = response.headers_mut();
            head.insert(CONTENT_TYPE, HeaderValue::from_static(playlist.content_type));
            if zipped.is_some() {
                head.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            response
        }
    };
    let head = response.headers_mut();
    head.insert(CACHE_CONTROL, keep);
    head.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    if playlist.newest.is_some() && !playlist.silent {
        // The time since it was true, for a client that reckons how far behind it is (RFC 8216bis, "CDN Tune-in").
        // While the source is silent there is no newer one: it is true now.
        head.insert(AGE, HeaderValue::from(flambeau_media::Utc::now().since(playlist.created).as_secs()));
    }
    set(&mut response, ETAG, etag);
    response
}

/// A tag for each of a Playlist's representations (RFC 9110 8.8.3.3).
fn etag_of(playlist: &Playlist, delta: bool, zipped: bool) -> String {
    let form = match (delta, zipped) {
        (false, false) => "",
        (false, true) => "-z",
        (true, false) => "-d",
        (true, true) => "-dz",
    };
    let (created, len) = (playlist.created.0, playlist.body.plain().len());
    match playlist.newest {
        Some(newest) => format!("\"{created:x}-{len:x}-{}.{}{form}\"", newest.sequence, newest.parts),
        None => format!("\"{created:x}-{len:x}{form}\""),
    }
}

/// How long a cache may keep a Playlist, and what it may do with an old one (RFC 5861).
fn playlist_keep(playlist: &Playlist, addressed: bool, audience: Audience) -> HeaderValue {
    let shortest = Duration::from_secs(1);
    match playlist.newest {
        // RFC 8216bis B.1: a blocking response is good for six target durations, a plain one for half of one.
        // That of a silent source answers nothing that was asked for.
        Some(_) if addressed && !playlist.silent => {
            audience.keep((playlist.target_duration * 6).max(shortest))
        }
        // An old media Playlist puts players behind: a cache serves it when we are not to be reached, not to save time.
        Some(_) => {
            audience.keep_with((playlist.target_duration / 2).max(shortest), STALE_IF_ERROR.to_owned())
        }
        // A player asks for the Manifest when it wants to know what is new: its own cache is not to answer, and one
        // shared by all for a second.
        None if playlist.content_type == MANIFEST => audience.keep_shared(shortest),
        // A multivariant Playlist changes seldom: who asks need not wait for us.
        None => audience.keep_with(shortest, format!(", stale-while-revalidate=2{STALE_IF_ERROR}")),
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

/// When something that is not there may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is about to: no cache keeps that it was not there.
    Soon,
    /// It may: a cache keeps that for a second.
    Perhaps,
    /// It was there and will not come again.
    Never,
}

/// 404. How long a cache keeps it depends on whether it may come to be.
pub(super) fn not_found(text: impl Into<String>, expected: Expected, audience: Audience) -> Response {
    let mut response = sentence(StatusCode::NOT_FOUND, text);
    response.headers_mut().insert(
        CACHE_CONTROL,
        match expected {
            Expected::Soon => NO_STORE,
            Expected::Perhaps => audience.keep(Duration::from_secs(1)),
            Expected::Never => audience.keep(Duration::from_secs(10)),
        },
    );
    response
}

/// 403 for whom the operator ended.
pub(super) fn ended() -> Response {
    sentence(StatusCode::FORBIDDEN, "The operator ended this session. It may begin again in a minute.")
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
        Denied::NotFound => {
            not_found("There is no Channel of that name.", Expected::Perhaps, Audience::Private)
        }
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
/// How long players are better served with an old Playlist than with none: a restart, a failover.
const STALE_IF_ERROR: &str = ", stale-if-error=60";
const GZIP_BYTES_MIN: usize = 700;
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
        let keep = |playlist: &Playlist, addressed| {
            let value = playlist_keep(playlist, addressed, Audience::Public);
            value.to_str().expect("ASCII").strip_prefix("public, max-age=").expect("public").to_owned()
        };
        assert_eq!(keep(&media, true), "24");
        assert_eq!(keep(&media, false), "2, stale-if-error=60");
        let silent = Playlist { silent: true, ..media.clone() };
        assert_eq!(keep(&silent, true), "2, stale-if-error=60");
        assert_eq!(keep(&Playlist::default(), true), "1, stale-while-revalidate=2, stale-if-error=60");
        let manifest = Playlist { content_type: MANIFEST, ..Playlist::default() };
        assert_eq!(keep(&manifest, true), "0, s-maxage=1, stale-if-error=60");
        let quick = Playlist { target_duration: Duration::from_millis(900), ..media };
        assert_eq!(keep(&quick, false), "1, stale-if-error=60");
    }

    #[test]
    fn each_representation_has_its_own_tag() {
        let list = Playlist { newest: Some(Position { sequence: 7, parts: 3 }), ..Playlist::default() };
        let all = [false, true].map(|delta| [false, true].map(|zipped| etag_of(&list, delta, zipped)));
        let tags: std::collections::BTreeSet<_> = all.iter().flatten().collect();
        assert_eq!(tags.len(), 4, "{all:?}");
    }
}
