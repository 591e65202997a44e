//! Start-over: Playlists and Manifests that begin in the past, and the Segments they name that are on disk.
//!
//! `?start=TIME` begins there and goes on with the Channel; `&end=TIME` ends it. A TIME is a point of UTC as RFC 3339
//! writes it (`2026-11-22T16:00:00Z`), seconds since 1970, or seconds back from now (`-600`).

mod body;

use std::ops::Range;

use axum::body::Body;
use axum::response::Response;
use flambeau_media::Utc;
use flambeau_media::archive::{Missing, Span};
use flambeau_media::channel::Channel;
use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::answer::{self, Audience, Expected};
use super::conditional::{Selection, select};
use body::FromDisk;

/// The Playlist or Manifest of the past that a request asks for; None: it asks for none.
pub(super) async fn playlist(
    request: &Parts,
    channel: &Channel,
    path: &str,
    audience: Audience,
) -> Option<Response> {
    if !path.ends_with(".m3u8") && !path.ends_with(".mpd") {
        return None;
    }
    let span = match span(request.uri.query()?, Utc::now()) {
        Ok(span) => span?,
        Err(reason) => return Some(answer::bad_request(format!("{reason}."))),
    };
    let excerpt = match channel.archive() {
        Some(archive) => archive.excerpt(path, span).await,
        None => Err(Missing::NothingKept),
    };
    Some(match excerpt {
        Ok(excerpt) => answer::excerpt(&request.method, &request.headers, &excerpt, audience),
        Err(Missing::Busy) => answer::unavailable(reason(Missing::Busy)),
        Err(missing) => answer::not_found(reason(missing), Expected::Perhaps, audience),
    })
}

/// The object of the past at `path`; None: there is none.
pub(super) async fn object(
    request: &Parts,
    channel: &Channel,
    path: &str,
    audience: Audience,
) -> Option<Response> {
    let stored = channel.archive()?.object(path)?;
    let (method, fields) = (&request.method, &request.headers);
    let of = answer::of_stored(&stored, audience);
    let range = match select(method, fields, &of.etag, of.len) {
        Selection::Whole if method == Method::GET => Some(0..of.len),
        Selection::Stretch(range) => Some(range),
        _ => None,
    };
    // The first piece is read before the head is sent: what cannot be read is said so.
    let first = match range {
        Some(range) => match FromDisk::begin(stored.bytes.clone(), range).await {
            Ok(body) => Some(body),
            Err(error) => {
                tracing::warn!(channel = %channel.id(), path, %error, "a Segment cannot be read from disk");
                return Some(answer::unavailable("It cannot be read from disk at the moment."));
            }
        },
        None => None,
    };
    let body = |range: Range<usize>| {
        Body::new(first.unwrap_or_else(|| FromDisk::unread(stored.bytes.clone(), range)))
    };
    Some(answer::represent(method, fields, of, body))
}

/// Why a request's times are refused: the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSpan {
    #[error("{0} must be a time: 2026-11-22T16:00:00Z, seconds since 1970, or -600 for ten minutes ago")]
    NotATime(&'static str),
    #[error("{0} is given more than once")]
    Repeated(&'static str),
    #[error("end needs start")]
    EndWithoutStart,
    #[error("start is in the future")]
    Future,
    #[error("end must be after start")]
    EndNotAfterStart,
}

/// The Span a query asks for; None: it asks for none.
pub(super) fn span(query: &str, now: Utc) -> Result<Option<Span>, BadSpan> {
    let (mut start, mut end) = (None, None);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (into, name) = match name {
            START => (&mut start, START),
            END => (&mut end, END),
            _ => continue,
        };
        if into.replace(time(value, now).ok_or(BadSpan::NotATime(name))?).is_some() {
            return Err(BadSpan::Repeated(name));
        }
    }
    match (start, end) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(BadSpan::EndWithoutStart),
        (Some(start), _) if start > now => Err(BadSpan::Future),
        (Some(start), Some(end)) if end <= start => Err(BadSpan::EndNotAfterStart),
        (Some(start), end) => Ok(Some(Span { start, end })),
    }
}

fn time(text: &str, now: Utc) -> Option<Utc> {
    let text = percent_decode_str(text).decode_utf8().ok()?;
    if text.len() > TIME_BYTES_MAX {
        return None;
    }
    if let Some(back) = text.strip_prefix('-') {
        return Some(Utc(now.0.saturating_sub(micros(back)?)));
    }
    micros(&text).map(Utc).or_else(|| text.parse().ok())
}

/// Seconds, with or without decimals, in microseconds.
fn micros(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(decimals) || whole.len() > SECONDS_DIGITS_MAX {
        return None;
    }
    let fraction = decimals.bytes().chain(std::iter::repeat(b'0')).take(6);
    let fraction = fraction.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'));
    Some(whole.parse::<i64>().ok()? * 1_000_000 + fraction)
}

/// What is said of a Span of which there is nothing.
pub(super) fn reason(missing: Missing) -> &'static str {
    match missing {
        Missing::NoPlaylist => "The Channel has no Playlist of that name.",
        Missing::NothingKept => "Nothing of that time is kept: it is too long ago, or there was nothing.",
        Missing::Busy => "Too many ask for the past at once.",
    }
}

const START: &str = "start";
const END: &str = "end";
/// No time is written longer.
const TIME_BYTES_MAX: usize = 40;
/// Up to the year 5138.
const SECONDS_DIGITS_MAX: usize = 11;

#[cfg(test)]
mod tests;
