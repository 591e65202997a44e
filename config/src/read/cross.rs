//! What concerns several keys at once.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use flambeau_media::Utc;

use crate::certificate::Certificate;
use crate::glob::Glob;
use crate::schema::{Broadcaster, ChannelConfig, Entitlement, Holder};
use crate::units::duration;

use super::Draft;
use super::report::Report;
use super::section::readable_by_others;
use super::value::{listed, nearest};

/// Reports what does not fit together.
pub(super) fn check(draft: &Draft, report: &Report) {
    if draft.feeds.is_empty() && !report.is_given("feeds") {
        report.error(
            "feeds",
            "there is no [[feeds]] section: nothing could be published",
            "add [[feeds]] with id = \"NAME\"; or run without a file, which is lab mode and takes any Feed",
        );
    }
    listeners(draft, report);
    certificate(draft, report);
    cutting(draft, report);
    duplicates("feeds", draft.feeds.iter().map(|feed| feed.as_ref().map(|feed| &feed.id)), report);
    duplicates("channels", draft.channels.iter().map(|c| c.as_ref().map(|c| &c.id)), report);
    duplicates("broadcasters", draft.broadcasters.iter().map(|b| b.as_ref().map(|b| &b.id)), report);
    feeds(draft, report);
    for (index, channel) in present(&draft.channels) {
        feed_of_channel(draft, index, channel, report);
    }
    for (index, broadcaster) in present(&draft.broadcasters) {
        secrets_of_broadcaster(draft, index, broadcaster, report);
    }
    for (index, entitlement) in present(&draft.entitlements) {
        holder_and_patterns(draft, index, entitlement, report);
    }
}

/// The entries that could be read, with their places in the file.
fn present<T>(entries: &[Option<T>]) -> impl Iterator<Item = (usize, &T)> {
    entries.iter().enumerate().filter_map(|(index, entry)| entry.as_ref().map(|entry| (index, entry)))
}

/// No two listeners on one port, and an admin listener that not everyone can use.
fn listeners(draft: &Draft, report: &Report) {
    let config = &draft.config;
    let listeners = [
        ("ingest.srt.listen", "udp", config.ingest.srt.listen),
        ("edge.srt.listen", "udp", config.edge.srt.listen),
        ("edge.http.listen", "tcp", config.edge.http.listen),
        ("admin.listen", "tcp", config.admin.listen),
    ];
    for (index, (key, protocol, address)) in listeners.iter().enumerate() {
        let taken = |(_, other_protocol, other): &&(&str, &str, SocketAddr)| {
            other_protocol == protocol && clash(*other, *address)
        };
        if let Some((first, ..)) = listeners[..index].iter().find(taken) {
            // The fault stands where the file says something; a default cannot be at fault.
            let (at, other) = if report.is_given(key) { (key, first) } else { (first, key) };
            report.error(
                at,
                format!("{protocol} port {} is that of {other} too", address.port()),
                format!("give {at} or {other} another port"),
            );
        }
    }
    admin(draft, report);
}

/// An admin listener that other machines can reach asks who they are.
fn admin(draft: &Draft, report: &Report) {
    let admin = &draft.config.admin;
    if admin.listen.ip().is_loopback() {
        return;
    }
    let loopback = format!("\"127.0.0.1:{}\"", admin.listen.port());
    if secret_of("admin", "token", report).is_none() {
        report.error(
            "admin.listen",
            format!("{} can be reached from other machines, and there is no token to ask for", admin.listen),
            format!("give [admin] a token or token_file, or bind it to loopback, {loopback}"),
        );
    } else {
        report.warning(
            "admin.listen",
            format!(
                "{} can be reached from other machines, without TLS: the token can be read",
                admin.listen
            ),
            format!("bind it to loopback, {loopback}, and reach it through a tunnel or a proxy that has TLS"),
        );
    }
}

fn clash(a: SocketAddr, b: SocketAddr) -> bool {
    // Port 0 asks the system for a free one. "Any address" takes the port on each.
    let same_host = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same_host
}

/// A certificate that a TLS server can show, and its key.
fn certificate(draft: &Draft, report: &Report) {
    let http = &draft.config.edge.http;
    let (chain, key) = match (&http.certificate, &http.key) {
        (Some(chain), Some(key)) => (chain, key),
        (Some(_), None) if !report.is_given("edge.http.key") => {
            return report.error(
                "edge.http.certificate",
                "there is no key to the certificate",
                "add key = \"key.pem\" to [edge.http]",
            );
        }
        (None, Some(_)) if !report.is_given("edge.http.certificate") => {
            return report.error(
                "edge.http.key",
                "there is no certificate to the key",
                "add certificate = \"certificate.pem\" to [edge.http]",
            );
        }
        _ => return,
    };
    match Certificate::load(chain, key) {
        Ok(certificate) => {
            if let Some(fault) = certificate.untimely(Utc::now()) {
                let message = format!("{} {fault}", chain.display());
                report.warning(
                    "edge.http.certificate",
                    message,
                    "renew it: the files are read again by themselves",
                );
            }
            if readable_by_others(key) {
                report.warning(
                    "edge.http.key",
                    format!("{} can be read by other users of this machine", key.display()),
                    format!("chmod 600 {}", key.display()),
                );
            }
        }
        Err(error) => {
            report.error(&format!("edge.http.{}", error.part.key()), error.to_string(), error.remedy());
        }
    }
}

/// Part, Segment and window of `[packager]` and of each Channel.
fn cutting(draft: &Draft, report: &Report) {
    let common = &draft.config.packager;
    cut("packager", (common.part, common.segment, common.window), report);
    for (index, channel) in present(&draft.channels) {
        if channel.part.or(channel.segment).or(channel.window).is_some() {
            let part = channel.part.unwrap_or(common.part);
            let segment = channel.segment.unwrap_or(common.segment);
            let window = channel.window.unwrap_or(common.window);
            cut(&format!("channels[{index}]"), (part, segment, window), report);
        }
    }
}

fn cut(section: &str, (part, segment, window): (Duration, Duration, Duration), report: &Report) {
    // The key that the section gives is at fault, rather than the one it takes over.
    let key = |first: &str, second: &str| {
        let first = format!("{section}.{first}");
        if report.is_given(&first) { first } else { format!("{section}.{second}") }
    };
    if part >= segment {
        report.error(
            &key("part", "segment"),
            format!(
                "a Part ({}) is not shorter than a Segment ({})",
                duration::render(part),
                duration::render(segment)
            ),
            "choose a part of a tenth of the segment: \"200ms\" for \"2s\"",
        );
    }
    // RFC 8216bis 6.2.2: a live Playlist spans at least three target durations.
    if window < 3 * segment {
        let (window, least) = (duration::render(window), duration::render(3 * segment));
        report.error(
            &key("window", "segment"),
            format!("a window of {window} is less than three Segments of {}", duration::render(segment)),
            format!("choose a window of {least} or more, or shorter Segments"),
        );
    }
}

fn duplicates<'a, T: Display + 'a>(list: &str, ids: impl Iterator<Item = Option<&'a T>>, report: &Report) {
    let mut firsts: HashMap<String, usize> = HashMap::new();
    for (index, id) in ids.enumerate() {
        let Some(id) = id.map(ToString::to_string) else { continue };
        let Some(first) = firsts.get(&id) else {
            firsts.insert(id, index);
            continue;
        };
        let line = report.line_of(&format!("{list}[{first}].id"));
        report.error(
            &format!("{list}[{index}].id"),
            format!("the id {id:?} is taken: {list}[{first}] on line {line} has it"),
            "give one of the two another id, or remove it",
        );
    }
}

fn feeds(draft: &Draft, report: &Report) {
    let srt = (&draft.config.ingest.srt, &draft.config.edge.srt);
    let (latency, latency_key) =
        (srt.0.latency, "ingest.srt.latency").max((srt.1.latency, "edge.srt.latency"));
    for (index, feed) in present(&draft.feeds) {
        if feed.history < latency {
            let (history, latency) = (duration::render(feed.history), duration::render(latency));
            report.error(
                &format!("feeds[{index}].history"),
                format!("a history of {history} is shorter than the latency of {latency} ({latency_key})"),
                format!("choose a history of {latency} or more: a retransmission is read from it"),
            );
        }
        let own = secret_of(&format!("feeds[{index}]"), "passphrase", report);
        let passphrase = own.or_else(|| secret_of("ingest.srt", "passphrase", report));
        if passphrase.is_none() && feed.sources.is_empty() {
            report.warning(
                &format!("feeds[{index}].id"),
                format!("{} has no passphrase: anyone who can reach the port may publish it", feed.id),
                "give it a passphrase or passphrase_file, or the networks it may come from as sources",
            );
        }
    }
}

fn feed_of_channel(draft: &Draft, index: usize, channel: &ChannelConfig, report: &Report) {
    let ids = || present(&draft.feeds).map(|(_, feed)| feed.id.as_str());
    if !ids().any(|id| id == channel.feed.as_str()) {
        let remedy = match nearest(channel.feed.as_str(), ids()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("add [[feeds]] with id = \"{}\"; there are: {}", channel.feed, listed(ids())),
        };
        report.error(
            &format!("channels[{index}].feed"),
            format!("there is no Feed {:?}", channel.feed.as_str()),
            remedy,
        );
    }
}

fn secrets_of_broadcaster(draft: &Draft, index: usize, broadcaster: &Broadcaster, report: &Report) {
    let (section, name) = (format!("broadcasters[{index}]"), &broadcaster.id);
    let id = format!("{section}.id");
    if secret_of(&section, "passphrase", report).is_none() {
        report.warning(
            &id,
            format!(
                "{name} has no passphrase: whoever knows its name may pull its Feeds over SRT, in the clear"
            ),
            "give it a passphrase or passphrase_file",
        );
    }
    let token = secret_of(&section, "token", report);
    if token.is_none() {
        report.warning(
            &id,
            format!("{name} has no token: whoever knows its name may watch its Channels over HTTP"),
            "give it a token or token_file",
        );
    }
    let same = |(_, other): &(usize, &Broadcaster)| other.token.is_some() && other.token == broadcaster.token;
    if let Some((first, other)) = present(&draft.broadcasters).take_while(|(at, _)| *at < index).find(same) {
        report.error(
            &token.unwrap_or(id.clone()),
            format!("the token is that of {} (broadcasters[{first}]) too: it cannot tell who asks", other.id),
            "give each broadcaster a token of its own",
        );
    }
    let held = |(_, entitlement): (usize, &Entitlement)| entitlement.broadcaster.covers(&broadcaster.id);
    if !present(&draft.entitlements).any(held) {
        report.warning(
            &id,
            format!("{name} has no Entitlement: it may take nothing that is not public"),
            format!("add [[entitlements]] with broadcaster = \"{name}\""),
        );
    }
}

/// The key by which the section gives this secret, be it right or wrong.
fn secret_of(section: &str, key: &str, report: &Report) -> Option<String> {
    [format!("{section}.{key}"), format!("{section}.{key}_file")].into_iter().find(|key| report.is_given(key))
}

fn holder_and_patterns(draft: &Draft, index: usize, entitlement: &Entitlement, report: &Report) {
    let section = format!("entitlements[{index}]");
    let broadcasters = || present(&draft.broadcasters).map(|(_, broadcaster)| broadcaster.id.as_str());
    if let Holder::One(id) = &entitlement.broadcaster
        && !broadcasters().any(|known| known == id.as_str())
    {
        let remedy = match nearest(id.as_str(), broadcasters()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("add [[broadcasters]] with id = \"{id}\"; there are: {}", listed(broadcasters())),
        };
        report.error(
            &format!("{section}.broadcaster"),
            format!("there is no broadcaster {:?}", id.as_str()),
            remedy,
        );
    }
    let feeds: Vec<&str> = present(&draft.feeds).map(|(_, feed)| feed.id.as_str()).collect();
    let channels: Vec<&str> = present(&draft.channels).map(|(_, channel)| channel.id.as_str()).collect();
    patterns(&format!("{section}.feeds"), "Feed", &entitlement.feeds, &feeds, report);
    patterns(&format!("{section}.channels"), "Channel", &entitlement.channels, &channels, report);
    let given = |key: &str| report.is_given(&format!("{section}.{key}[0]"));
    if !given("feeds") && !given("channels") {
        report.warning(&section, "it grants nothing", "add feeds = [\"NAME\"] or channels = [\"NAME\"]");
    }
}

fn patterns(key: &str, noun: &str, patterns: &[Glob], names: &[&str], report: &Report) {
    for (index, pattern) in patterns.iter().enumerate() {
        if names.iter().any(|name| pattern.matches(name)) {
            continue;
        }
        let remedy = match nearest(pattern.as_str(), names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are: {}", listed(names.iter())),
        };
        report.warning(
            &format!("{key}[{index}]"),
            format!("{:?} is the name of no {noun} here", pattern.as_str()),
            remedy,
        );
    }
}
