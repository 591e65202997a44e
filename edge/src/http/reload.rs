//! Blocking Playlist reload (RFC 8216bis 6.2.5.2), and the wait for a hinted Part.

use std::borrow::Cow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use flambeau_media::channel::{Channel, Growing, Object, Playlist, Position};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::stats::{Event, Stats};

/// The point of a media Playlist a client asks to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `_HLS_msn`.
    pub(super) sequence: u64,
    /// `_HLS_part`; None: the whole Segment.
    pub(super) part: Option<u32>,
}

/// Why a request's delivery directives are refused: the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadDirective {
    #[error("{0} must be a decimal number")]
    NotANumber(&'static str),
    #[error("{0} is given more than once")]
    Repeated(&'static str),
    // RFC 8216bis 6.2.5.2: _HLS_part requires _HLS_msn.
    #[error("_HLS_part needs _HLS_msn")]
    PartWithoutSequence,
    // RFC 8216bis 6.2.5.2: more than two Segments, or the Advance Part Limit, ahead.
    #[error("that is too far in the future: the newest Segment is {}, with {} Parts so far", .0.sequence, .0.parts)]
    TooFarAhead(Position),
}

/// Why a wait ended without what was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InVain {
    /// Three target durations have passed.
    TimedOut,
    /// The Channel or its Playlist was withdrawn, or the hint was.
    Withdrawn,
    /// The server is being stopped.
    Stopping,
}

impl Wanted {
    /// Reads a query's delivery directives. None: there are none to wait for.
    pub(super) fn parse(query: &str) -> Result<Option<Self>, BadDirective> {
        let (mut sequence, mut part) = (None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (into, name) = match name {
                SEQUENCE => (&mut sequence, SEQUENCE),
                PART => (&mut part, PART),
                _ => continue,
            };
            if into.replace(number(value).ok_or(BadDirective::NotANumber(name))?).is_some() {
                return Err(BadDirective::Repeated(name));
            }
        }
        match (sequence, part) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(BadDirective::PartWithoutSequence),
            // A part index past u32 is past any Segment's last Part.
            (Some(sequence), part) => {
                Ok(Some(Self { sequence, part: part.map(|part| u32::try_from(part).unwrap_or(u32::MAX)) }))
            }
        }
    }

    /// Refuses what no client that follows the Playlist would ask for.
    pub(super) fn check(&self, playlist: &Playlist, newest: Position) -> Result<(), BadDirective> {
        if has_ended(playlist) {
            return Ok(());
        }
        let far_sequence = self.sequence > newest.sequence.saturating_add(2);
        let parts = match self.sequence.cmp(&newest.sequence) {
            std::cmp::Ordering::Less => return Ok(()),
            std::cmp::Ordering::Equal => newest.parts,
            std::cmp::Ordering::Greater => 0,
        };
        let far_part =
            self.part.is_some_and(|part| part >= parts.saturating_add(advance_parts_max(playlist)));
        if far_sequence || far_part { Err(BadDirective::TooFarAhead(newest)) } else { Ok(()) }
    }

    /// Whether a Playlist whose newest position is this has what is wanted. `parts_before`: Parts of the Segment
    /// before that position's.
    fn is_met(&self, newest: Position, parts_before: u32) -> bool {
        let Some(part) = self.part else { return newest.sequence > self.sequence };
        if newest.sequence <= self.sequence {
            return newest.sequence == self.sequence && newest.parts > part;
        }
        // RFC 8216bis 6.2.5.2: an index past the last Part means the first Part of the next Segment, which has yet to
        // come when that Segment has only begun.
        let next_has_only_begun = newest.sequence - self.sequence == 1 && newest.parts == 0;
        !next_has_only_begun || part < parts_before
    }
}

/// While the source is silent there is no news to wait for, and a client's own patience ends (hls.js: 0.8 target
/// durations, a few times, then it gives the stream up): it gets the Playlist as it is after this share of one.
const SILENT_SHARE: f64 = 0.7;

/// Whether nothing more comes (RFC 8216bis 4.4.3.4): whoever waits is told so rather than left waiting.
fn has_ended(playlist: &Playlist) -> bool {
    playlist.body.plain().trim_ascii_end().ends_with(b"#EXT-X-ENDLIST")
}

/// The most a client may be ahead of the last Part: three seconds of them (RFC 8216bis 6.2.5.2).
fn advance_parts_max(playlist: &Playlist) -> u32 {
    let head = &playlist.body.plain()[..playlist.body.plain().len().min(PLAYLIST_HEAD_BYTES)];
    let target = std::str::from_utf8(head)
        .ok()
        .and_then(|head| head.split_once("PART-TARGET="))
        .and_then(|(_, rest)| rest.split([',', '\r', '\n']).next()?.trim().parse::<f64>().ok())
        .filter(|target| *target > 0.0);
    match target {
        // The quotient is positive and the conversion saturates.
        Some(target) if target < 1.0 => (3.0 / target).ceil() as u32,
        _ => 3,
    }
}

/// What every wait needs.
pub(super) struct Waiting<'a> {
    pub(super) stats: &'a Stats,
    pub(super) shutdown: &'a CancellationToken,
}

impl Waiting<'_> {
    /// Waits until the Playlist has what is wanted. Dropping the future ends the wait.
    pub(super) async fn for_playlist(
        &self,
        mut changes: watch::Receiver<Arc<Playlist>>,
        wanted: Wanted,
    ) -> Result<Arc<Playlist>, InVain> {
        let target_duration = changes.borrow().target_duration;
        let target = patience(target_duration);
        let while_silent = tokio::time::Instant::now() + target_duration.mul_f64(SILENT_SHARE);
        let until_met = async {
            loop {
                let playlist = changes.borrow_and_update().clone();
                let met = |newest| wanted.is_met(newest, playlist.parts_before);
                let is_met = playlist.newest.is_none_or(met);
                if is_met || has_ended(&playlist) {
                    return Ok(playlist);
                }
                tokio::select! {
                    biased;
                    changed = changes.changed() => changed.map_err(|_| InVain::Withdrawn)?,
                    () = tokio::time::sleep_until(while_silent), if playlist.silent => return Ok(playlist),
                }
            }
        };
        self.within(target, until_met).await
    }

    /// Waits until a Segment in the making has grown as far as is wanted, or has ended. Dropping the future ends the wait.
    pub(super) async fn for_growth(
        &self,
        segment: &mut watch::Receiver<Arc<Growing>>,
        is_enough: impl Fn(&Growing) -> bool,
        target: Duration,
    ) -> Result<(), InVain> {
        let until_grown = async {
            let grown = segment.wait_for(|segment| segment.ended || is_enough(segment)).await;
            grown.map(drop).map_err(|_| InVain::Withdrawn)
        };
        self.within(patience(target).max(GROWTH_MAX / 3), until_grown).await
    }

    /// Waits until a hinted object is there. Dropping the future ends the wait.
    ///
    /// The Channel is held weakly, so that one that is withdrawn ends its waiters.
    pub(super) async fn for_object(
        &self,
        channel: Weak<Channel>,
        path: &str,
        mut changes: watch::Receiver<u64>,
        target: Duration,
    ) -> Result<Object, InVain> {
        let until_there = async {
            loop {
                changes.borrow_and_update();
                {
                    let channel = channel.upgrade().ok_or(InVain::Withdrawn)?;
                    // Asked first, for the commit that brings the object withdraws the hint.
                    let hinted = channel.is_hinted(path);
                    if let Some(object) = channel.object(path) {
                        return Ok(object);
                    }
                    if !hinted {
                        return Err(InVain::Withdrawn);
                    }
                }
                changes.changed().await.map_err(|_| InVain::Withdrawn)?;
            }
        };
        self.within(patience(target), until_there).await
    }

    // RFC 8216bis 6.2.5.2: a server gives up after three target durations.
    async fn within<T>(
        &self,
        target: Duration,
        wait: impl Future<Output = Result<T, InVain>>,
    ) -> Result<T, InVain> {
        tokio::pin!(wait);
        // Whoever does not have to wait is not counted among those who did.
        if let Some(at_once) = futures_util::FutureExt::now_or_never(wait.as_mut()) {
            return at_once;
        }
        let _blocked = self.stats.blocked();
        let stopping = async {
            self.shutdown.cancelled().await;
            // What comes in time is still served: it is better for the player than an error.
            tokio::time::sleep(target).await;
        };
        let result = tokio::select! {
            // What was waited for first: at a Part a thousand waits end, and need not look at their clocks once more.
            biased;
            result = wait => result,
            () = tokio::time::sleep(target * 3) => Err(InVain::TimedOut),
            () = stopping => Err(InVain::Stopping),
        };
        self.stats.count(match result {
            Ok(_) => Event::BlockedServed,
            Err(_) => Event::BlockedTimedOut,
        });
        result
    }
}

/// A Segment in the making is waited for this long at least: while the source is away the packager answers it later.
const GROWTH_MAX: Duration = Duration::from_secs(18);

/// The target duration to reckon with; two seconds where the Playlist does not tell.
pub(super) fn patience(target: Duration) -> Duration {
    if target.is_zero() { Duration::from_secs(2) } else { target }
}

/// Whether a query asks for a Playlist Delta Update (RFC 8216bis 6.2.5.1). A value that is not of the standard is
/// ignored: the whole Playlist is always right.
pub(super) fn wants_delta(query: &str) -> bool {
    query.split('&').any(|pair| matches!(pair, "_HLS_skip=YES" | "_HLS_skip=v2"))
}

fn number(text: &str) -> Option<u64> {
    let text: Cow<'_, str> = percent_decode_str(text).decode_utf8().ok()?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number too large for us is as far in the future as there is.
    Some(text.parse().unwrap_or(u64::MAX))
}

const SEQUENCE: &str = "_HLS_msn";
const PART: &str = "_HLS_part";
/// `EXT-X-PART-INF` stands before the first Segment of a Playlist.
const PLAYLIST_HEAD_BYTES: usize = 1024;

#[cfg(test)]
mod tests;
