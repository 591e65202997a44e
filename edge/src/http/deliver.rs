//! From a request to its answer.

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use flambeau_config::{Credentials, Denied, Policy};
use flambeau_media::channel::{Channel, Growing, Object};
use flambeau_media::directory::Directory;
use flambeau_media::{BroadcasterId, ChannelId, Utc};
use http::header::{AUTHORIZATION, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, Version};
use percent_encoding::percent_decode_str;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Asked, Audience, Expected};
use super::cors::Cors;
use super::growth::Growth;
use super::reload::{InVain, Waiting, Wanted, patience, wants_delta};
use super::serve::requests::Peer;
use super::start_over;
use super::stats::{Event, Stats};
use super::viewers::{Sighting, Viewers, Watching};

/// What every request may look at.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) policy: Policy,
    pub(super) directory: Arc<Directory>,
    pub(super) stats: Arc<Stats>,
    pub(super) shutdown: CancellationToken,
    pub(super) viewers: Viewers,
    /// Of this moment: an operator may change it.
    pub(super) cors: RwLock<Arc<Cors>>,
}

/// Answers a request.
pub(super) async fn handle(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let (request, _body) = request.into_parts();
    let cors = edge.cors.read().unwrap_or_else(PoisonError::into_inner).clone();
    if request.method == Method::OPTIONS {
        let mut response = answer::options();
        cors.permit_preflight(&request.headers, response.headers_mut());
        return response;
    }
    let mut response = match request.method {
        Method::GET | Method::HEAD => edge.answer(&request).await,
        _ => answer::method_not_allowed(),
    };
    cors.permit(&request.headers, response.headers_mut());
    response
}

/// A request that may be answered: for what, and who may keep the answer.
#[derive(Clone, Copy)]
struct Admitted<'a> {
    request: &'a Parts,
    /// Within the Channel.
    path: &'a str,
    audience: Audience,
}

impl Edge {
    async fn answer(&self, request: &Parts) -> Response {
        let nowhere = || answer::not_found(NOWHERE, Expected::Perhaps, Audience::Public);
        match request.uri.path() {
            "/" => answer::page(self.page()),
            "/time" => answer::time(),
            path => {
                // Decoded once. What comes of it is a key of two maps: `..` is a name like any other, of nothing.
                let Ok(path) = percent_decode_str(path).decode_utf8() else { return nowhere() };
                let Some((channel, path)) = split(&path) else { return nowhere() };
                let Ok(id) = channel.parse::<ChannelId>() else { return nowhere() };
                match self.admit(&request.headers, &id) {
                    Ok((audience, broadcaster)) => {
                        let admitted = Admitted { request, path, audience };
                        self.watch(admitted, &id, broadcaster.as_ref()).await
                    }
                    Err(reason) => {
                        self.stats.count(Event::Denied);
                        answer::denied(reason)
                    }
                }
            }
        }
    }

    /// Whether the Channel may be watched with a request's credentials; who may keep what it answers, and whose they are.
    fn admit(&self, fields: &HeaderMap, id: &ChannelId) -> Result<(Audience, Option<BroadcasterId>), Denied> {
        let Err(reason) = self.policy.may_watch_channel(None, id) else {
            return Ok((Audience::Public, None));
        };
        let credentials = fields.get(AUTHORIZATION).and_then(|field| field.to_str().ok());
        let credentials = credentials.and_then(Credentials::parse).ok_or(reason)?;
        Ok((Audience::Private, self.policy.may_watch_channel(Some(&credentials), id)?))
    }

    /// Delivers, and notes who watches.
    async fn watch(
        &self,
        admitted: Admitted<'_>,
        id: &ChannelId,
        broadcaster: Option<&BroadcasterId>,
    ) -> Response {
        let Some(channel) = self.directory.channel(id.as_str()) else {
            let text = format!("The Channel {id} is not on air.");
            return answer::not_found(text, Expected::Perhaps, admitted.audience);
        };
        let viewer = self.viewer(admitted, id, broadcaster);
        let is_ended = || viewer.as_ref().is_some_and(|viewer| viewer.is_ended());
        if is_ended() {
            return self.ended();
        }
        let mut response = self.deliver(admitted, channel).await;
        if is_ended() {
            return self.ended();
        }
        if let Some(viewer) = viewer {
            response.extensions_mut().insert(viewer);
        }
        response
    }

    fn ended(&self) -> Response {
        self.stats.count(Event::ViewerEnded);
        answer::ended()
    }

    /// Who makes the request. None: it came by no connection, or there are too many.
    fn viewer(
        &self,
        admitted: Admitted<'_>,
        channel: &ChannelId,
        broadcaster: Option<&BroadcasterId>,
    ) -> Option<Arc<Watching>> {
        let Peer(peer) = admitted.request.extensions.get()?;
        let agent = admitted.request.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        let sighting = Sighting { peer: peer.ip(), channel, broadcaster, agent };
        let viewer = self.viewers.seen(sighting, admitted.path, Utc::now());
        if viewer.is_none() {
            self.stats.count(Event::ViewerUnlisted);
        }
        viewer
    }

    /// Whatever of the Channel the path names: what is there, what is being made, what comes next.
    async fn deliver(&self, admitted: Admitted<'_>, channel: Arc<Channel>) -> Response {
        let Admitted { request, path, audience } = admitted;
        if let Some(object) = channel.object(path) {
            return admitted.object(&object);
        }
        if let Some(response) = start_over::playlist(request, &channel, path, audience).await {
            return response;
        }
        if let Some(changes) = channel.playlist(path) {
            return self.playlist(admitted, channel, changes).await;
        }
        if let Some(segment) = channel.growing(path) {
            return self.growing(admitted, channel, segment).await;
        }
        if channel.is_hinted(path) {
            return match self.hinted(channel, path).await {
                Ok(object) => admitted.object(&object),
                Err(reason) => admitted.did_not_come(reason),
            };
        }
        // Once more: what was being made a moment ago may be whole by now.
        if let Some(object) = channel.object(path) {
            return admitted.object(&object);
        }
        if let Some(response) = start_over::object(request, &channel, path, audience).await {
            return response;
        }
        let text = format!("The Channel {} has nothing of that name, or no longer.", channel.id());
        answer::not_found(text, expected(&channel, path), admitted.audience)
    }

    async fn playlist(
        &self,
        admitted: Admitted<'_>,
        channel: Arc<Channel>,
        changes: watch::Receiver<Arc<flambeau_media::channel::Playlist>>,
    ) -> Response {
        let Admitted { request, audience, .. } = admitted;
        let (method, fields) = (&request.method, &request.headers);
        let current = changes.borrow().clone();
        // Only a media Playlist can be waited for; of others a directive has no meaning, and is ignored as any
        // unknown parameter is.
        let Some(newest) = current.newest else {
            return answer::playlist(method, fields, &current, Asked::default(), audience);
        };
        let query = request.uri.query().unwrap_or_default();
        let wanted = Wanted::parse(query).and_then(|wanted| {
            wanted.iter().try_for_each(|wanted| wanted.check(&current, newest))?;
            Ok(wanted)
        });
        let skip = wants_delta(query);
        let wanted = match wanted {
            Ok(Some(wanted)) => wanted,
            Ok(None) => {
                let asked = Asked { addressed: false, skip };
                return answer::playlist(method, fields, &current, asked, audience);
            }
            Err(reason) => return answer::bad_request(format!("{reason}.")),
        };
        // Held no longer: a Channel that is withdrawn ends its waiters.
        drop((channel, current));
        match self.waiting().for_playlist(changes, wanted).await {
            Ok(playlist) => {
                answer::playlist(method, fields, &playlist, Asked { addressed: true, skip }, audience)
            }
            Err(InVain::TimedOut) => {
                answer::unavailable("What was waited for did not come within three target durations.")
            }
            Err(InVain::Withdrawn) => answer::unavailable(RESTARTED),
            Err(InVain::Stopping) => answer::unavailable(STOPPING),
        }
    }

    /// A Segment that is not whole yet, piece by piece as it comes. Whoever asks before the first waits as for a Part.
    async fn growing(
        &self,
        admitted: Admitted<'_>,
        channel: Arc<Channel>,
        mut segment: watch::Receiver<Arc<Growing>>,
    ) -> Response {
        let Admitted { request, path, audience } = admitted;
        let target = target_duration(&channel, path);
        let channel = Arc::downgrade(&channel);
        // RFC 9112 6.3: to HTTP/1.0 only the connection's end tells that of the body, so that half a Segment would
        // pass for a whole one.
        let can_break_off = request.version >= Version::HTTP_11;
        let is_enough = |segment: &Growing| can_break_off && !segment.pieces.is_empty();
        if let Err(reason) = self.waiting().for_growth(&mut segment, is_enough, target).await {
            return admitted.did_not_come(reason);
        }
        if !can_break_off || segment.borrow().ended {
            let object = channel.upgrade().and_then(|channel| channel.object(path));
            return match object {
                Some(object) => admitted.object(&object),
                None => admitted.did_not_come(InVain::Withdrawn),
            };
        }
        let content_type = segment.borrow().content_type;
        let patience = patience(target) * 3;
        let stats = self.stats.clone();
        let growth = Growth { segment, channel, path: path.to_owned(), patience, stats };
        answer::growing(content_type, growth.into_body(), audience)
    }

    async fn hinted(&self, channel: Arc<Channel>, path: &str) -> Result<Object, InVain> {
        let target = target_duration(&channel, path);
        let changes = channel.version();
        let channel = Arc::downgrade(&channel);
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

impl Admitted<'_> {
    fn object(&self, object: &Object) -> Response {
        answer::object(&self.request.method, &self.request.headers, object, self.audience)
    }

    /// What was announced is not there, or not in time.
    fn did_not_come(&self, reason: InVain) -> Response {
        match reason {
            InVain::Stopping => answer::unavailable(STOPPING),
            InVain::TimedOut | InVain::Withdrawn => {
                answer::not_found("What was announced did not come.", Expected::Soon, self.audience)
            }
        }
    }
}

/// The directory of a path within a Channel, which has the Playlist of what is in it.
fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The target duration of the Playlist that lists `path`; zero where there is none.
fn target_duration(channel: &Channel, path: &str) -> Duration {
    let playlist = channel.playlist(&format!("{}/index.m3u8", directory(path)));
    playlist.map_or(Duration::ZERO, |playlist| playlist.borrow().target_duration)
}

/// Whether what is not there may come: told by its number, which Segments and Parts have in order.
fn expected(channel: &Channel, path: &str) -> Expected {
    let Some(playlist) = channel.playlist(&format!("{}/index.m3u8", directory(path))) else {
        return Expected::Perhaps;
    };
    let next = playlist.borrow().hint.as_deref().and_then(number);
    match (number(path), next) {
        (Some(asked), Some(next)) if asked < next => Expected::Never,
        // A little ahead of us, by another clock or another server: it must not be missed when it comes.
        _ => Expected::Soon,
    }
}

/// The number a Segment's or Part's name begins with.
fn number(path: &str) -> Option<u64> {
    let name = path.rsplit('/').next()?;
    name[..name.find(|c: char| !c.is_ascii_digit())?].parse().ok()
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
    fn a_name_begins_with_its_number() {
        assert_eq!(number("v256/887675941.3.m4s"), Some(887_675_941));
        assert_eq!(number("v256/7x.3.m4s"), Some(7));
        for none in
            ["v256/init-ab.mp4", "v256/t161582023609572.m4s", "v256/7", "", "99999999999999999999.m4s"]
        {
            assert_eq!(number(none), None, "{none}");
        }
    }

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
