//! From a request to its answer.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use flambeau_config::{Credentials, Denied, Policy};
use flambeau_media::ChannelId;
use flambeau_media::channel::{Channel, Object};
use flambeau_media::directory::Directory;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Audience};
use super::cors::Cors;
use super::reload::{InVain, Waiting, Wanted};
use super::stats::{Event, Stats};

/// What every request may look at.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) policy: Policy,
    pub(super) directory: Arc<Directory>,
    pub(super) stats: Arc<Stats>,
    pub(super) shutdown: CancellationToken,
    pub(super) cors: Cors,
}

/// Answers a request.
pub(super) async fn handle(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let (request, _body) = request.into_parts();
    if request.method == Method::OPTIONS {
        let mut response = answer::options();
        edge.cors.permit_preflight(&request.headers, response.headers_mut());
        return response;
    }
    let mut response = match request.method {
        Method::GET | Method::HEAD => edge.answer(&request).await,
        _ => answer::method_not_allowed(),
    };
    edge.cors.permit(&request.headers, response.headers_mut());
    response
}

impl Edge {
    async fn answer(&self, request: &http::request::Parts) -> Response {
        let nowhere = || answer::not_found(NOWHERE, Audience::Public);
        match request.uri.path() {
            "/" => answer::page(self.page()),
            "/time" => answer::time(),
            path => {
                // Decoded once. What comes of it is a key of two maps: `..` is a name like any other, of nothing.
                let Ok(path) = percent_decode_str(path).decode_utf8() else { return nowhere() };
                let Some((channel, path)) = split(&path) else { return nowhere() };
                let Ok(id) = channel.parse::<ChannelId>() else { return nowhere() };
                match self.admit(&request.headers, &id) {
                    Ok(audience) => self.deliver(request, &id, path, audience).await,
                    Err(reason) => {
                        self.stats.count(Event::Denied);
                        answer::denied(reason)
                    }
                }
            }
        }
    }

    /// Whether the Channel may be watched with a request's credentials, and who may keep what it answers.
    fn admit(&self, fields: &HeaderMap, id: &ChannelId) -> Result<Audience, Denied> {
        let Err(reason) = self.policy.may_watch_channel(None, id) else { return Ok(Audience::Public) };
        let credentials = fields.get(AUTHORIZATION).and_then(|field| field.to_str().ok());
        let credentials = credentials.and_then(Credentials::parse).ok_or(reason)?;
        self.policy.may_watch_channel(Some(&credentials), id)?;
        Ok(Audience::Private)
    }

    async fn deliver(
        &self,
        request: &http::request::Parts,
        id: &ChannelId,
        path: &str,
        audience: Audience,
    ) -> Response {
        let Some(channel) = self.directory.channel(id.as_str()) else {
            return answer::not_found(format!("The Channel {id} is not on air."), audience);
        };
        if let Some(object) = channel.object(path) {
            return answer::object(&request.method, &request.headers, &object, audience);
        }
        if channel.playlist(path).is_some() {
            return self.playlist(request, channel, path, audience).await;
        }
        if channel.is_hinted(path) {
            return match self.hinted(channel, path).await {
                Ok(object) => answer::object(&request.method, &request.headers, &object, audience),
                Err(InVain::Stopping) => answer::unavailable(STOPPING),
                Err(InVain::TimedOut | InVain::Withdrawn) => {
                    answer::not_found("The Part that was announced did not come.", audience)
                }
            };
        }
        answer::not_found(format!("The Channel {id} has nothing of that name, or no longer."), audience)
    }

    async fn playlist(
        &self,
        request: &http::request::Parts,
        channel: Arc<Channel>,
        path: &str,
        audience: Audience,
    ) -> Response {
        let Some(changes) = channel.playlist(path) else { return answer::unavailable(RESTARTED) };
        let current = changes.borrow().clone();
        let (method, fields) = (&request.method, &request.headers);
        // Only a media Playlist can be waited for; of others a directive has no meaning, and is ignored as any
        // unknown parameter is.
        let Some(newest) = current.newest else {
            return answer::playlist(method, fields, &current, false, audience);
        };
        let wanted = Wanted::parse(request.uri.query().unwrap_or_default()).and_then(|wanted| {
            wanted.iter().try_for_each(|wanted| wanted.check(&current, newest))?;
            Ok(wanted)
        });
        let wanted = match wanted {
            Ok(Some(wanted)) => wanted,
            Ok(None) => return answer::playlist(method, fields, &current, false, audience),
            Err(reason) => return answer::bad_request(format!("{reason}.")),
        };
        // Held no longer: a Channel that is withdrawn ends its waiters.
        drop(channel);
        match self.waiting().for_playlist(changes, wanted).await {
            Ok(playlist) => answer::playlist(method, fields, &playlist, true, audience),
            Err(InVain::TimedOut) => {
                answer::unavailable("What was waited for did not come within three target durations.")
            }
            Err(InVain::Withdrawn) => answer::unavailable(RESTARTED),
            Err(InVain::Stopping) => answer::unavailable(STOPPING),
        }
    }

    async fn hinted(&self, channel: Arc<Channel>, path: &str) -> Result<Object, InVain> {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let playlist = channel.playlist(&format!("{directory}/index.m3u8"));
        let target = playlist.map_or(Duration::ZERO, |playlist| playlist.borrow().target_duration);
        let changes = channel.version();
        let channel = weakly(channel);
        self.waiting().for_object(channel, path, changes, target).await
    }

    fn waiting(&self) -> Waiting<'_> {
        Waiting { stats: &self.stats, shutdown: &self.shutdown }
    }

    /// The page at `/`, with the Channels anyone may watch.
    fn page(&self) -> String {
        let mut html = String::from(PAGE);
        for channel in self.directory.channels() {
            let id = channel.id();
            if self.policy.may_watch_channel(None, id).is_ok() {
                // An id is letters, digits and `._-`: nothing in it needs escaping. Writing to a String cannot fail.
                let _ = writeln!(
                    html,
                    "<li>{id}: <a href=\"/{id}/index.m3u8\">HLS</a>, <a href=\"/{id}/manifest.mpd\">DASH</a></li>"
                );
            }
        }
        html.push_str("</ul></body></html>\n");
        html
    }
}

/// Lets go of a Channel but for the right to look whether it still lives.
fn weakly(channel: Arc<Channel>) -> std::sync::Weak<Channel> {
    Arc::downgrade(&channel)
}

/// A path's Channel, and what of it.
fn split(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once('/').filter(|(_, rest)| !rest.is_empty())
}

const NOWHERE: &str =
    "There is nothing here. A Channel is at /CHANNEL/index.m3u8 (HLS) and /CHANNEL/manifest.mpd (DASH).";
const RESTARTED: &str = "The Channel is being restarted.";
const STOPPING: &str = "This server is being stopped.";
const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Flambeau</title></head>\n<body>\
    <h1>Flambeau</h1>\n<p>A Channel is at <code>/CHANNEL/index.m3u8</code> (HLS) and \
    <code>/CHANNEL/manifest.mpd</code> (DASH); the clock is at <a href=\"/time\">/time</a>.</p>\n\
    <p>On air for anyone:</p>\n<ul>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_channel_and_something_of_it() {
        assert_eq!(split("/a/index.m3u8"), Some(("a", "index.m3u8")));
        assert_eq!(split("/a/v256/../b"), Some(("a", "v256/../b")));
        assert_eq!(split("//a"), Some(("", "a")));
        for nothing in ["", "/", "/a", "/a/", "a/b", "*"] {
            assert_eq!(split(nothing), None, "{nothing}");
        }
    }
}
