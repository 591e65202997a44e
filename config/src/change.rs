//! What differs between two configurations, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::schema::{Config, Entitlement};
use crate::secret::Secret;

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub what: What,
    /// To what: `edge.srt.latency`, `feeds[athletics-main].label`, an entry of a list by its id.
    pub subject: String,
    /// What comes of it.
    pub effect: Effect,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// It was not there.
    Added,
    /// It is no longer there.
    Removed,
    /// It is another.
    Changed,
}

/// What comes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// It holds from now on, and touches no Session.
    Now,
    /// Sessions that begin from now on have it; those there are go on as they are.
    NewSessions,
    /// The Feed has it when it next comes to be; one that is there goes on as it is.
    NextFeed,
    /// Sessions that are no longer allowed end; no other does.
    Rights,
    /// The Channels it concerns are packaged anew, and their numbers go on; players see a discontinuity.
    Repackaged,
    /// It waits for the process to be started again.
    Restart,
}

/// Everything that differs, in the order of the keys. Secrets are compared and never shown.
pub fn between(old: &Config, new: &Config) -> Vec<Change> {
    let (before, after) = (settings(old), settings(new));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |key: &&&String| before.get(**key) != after.get(**key);
    // Another certificate is taken up by itself; a port that begins or ends to speak TLS is opened anew.
    let secured = |config: &Config| config.edge.http.certificate.is_some();
    let same_protocol = secured(old) == secured(new);
    let change = |key: &String| {
        let of_certificate = key == "edge.http.certificate" || key == "edge.http.key";
        let effect = if of_certificate && same_protocol { Effect::Now } else { effect_of(key) };
        Change { what: What::Changed, subject: key.clone(), effect }
    };
    let mut changes: Vec<Change> = keys.iter().filter(differs).map(|key| change(key)).collect();
    compare("feeds", &feeds(old), &feeds(new), &mut changes);
    compare("channels", &channels(old), &channels(new), &mut changes);
    compare("broadcasters", &broadcasters(old), &broadcasters(new), &mut changes);
    entitlements(old, new, &mut changes);
    changes
}

type Leaves = BTreeMap<String, Leaf>;
type Entries = BTreeMap<String, Leaves>;

/// A value, comparable: that of a key, or a secret.
#[derive(Debug, Clone, PartialEq)]
enum Leaf {
    Value(Value),
    Secret(Secret),
}

fn settings(config: &Config) -> Leaves {
    let mut leaves = leaves(config, "");
    leaves.retain(|key, _| !LISTS.iter().any(|list| key == list));
    secret(&mut leaves, "ingest.srt.passphrase", config.ingest.srt.passphrase.as_ref());
    secret(&mut leaves, "admin.token", config.admin.token.as_ref());
    leaves
}

fn feeds(config: &Config) -> Entries {
    let entry = |feed: &crate::FeedConfig| {
        let mut leaves = leaves(feed, "");
        secret(&mut leaves, "passphrase", feed.passphrase.as_ref());
        (feed.id.to_string(), leaves)
    };
    config.feeds.iter().map(entry).collect()
}

fn channels(config: &Config) -> Entries {
    config.channels.iter().map(|channel| (channel.id.to_string(), leaves(channel, ""))).collect()
}

fn broadcasters(config: &Config) -> Entries {
    let entry = |broadcaster: &crate::Broadcaster| {
        let mut leaves = leaves(broadcaster, "");
        secret(&mut leaves, "passphrase", broadcaster.passphrase.as_ref());
        secret(&mut leaves, "token", broadcaster.token.as_ref());
        (broadcaster.id.to_string(), leaves)
    };
    config.broadcasters.iter().map(entry).collect()
}

fn compare(list: &str, old: &Entries, new: &Entries, into: &mut Vec<Change>) {
    let ids: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for id in ids {
        let subject = format!("{list}[{id}]");
        let (before, after) = match (old.get(id), new.get(id)) {
            (Some(before), Some(after)) => (before, after),
            (before, _) => {
                let what = if before.is_some() { What::Removed } else { What::Added };
                let effect = if what == What::Removed { Effect::Rights } else { Effect::Now };
                into.push(Change { what, subject, effect });
                continue;
            }
        };
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in keys.into_iter().filter(|key| before.get(*key) != after.get(*key)) {
            let effect = effect_of(&format!("{list}.{key}"));
            into.push(Change { what: What::Changed, subject: format!("{subject}.{key}"), effect });
        }
    }
}

/// Entitlements have no id: each is itself.
fn entitlements(old: &Config, new: &Config, into: &mut Vec<Change>) {
    let mut lacking = |what, from: &[Entitlement], other: &[Entitlement]| {
        for entitlement in from.iter().filter(|entitlement| !other.contains(entitlement)) {
            let subject = format!("entitlements[{}]", entitlement.broadcaster);
            let effect = if what == What::Removed { Effect::Rights } else { Effect::Now };
            into.push(Change { what, subject, effect });
        }
    };
    lacking(What::Removed, &old.entitlements, &new.entitlements);
    lacking(What::Added, &new.entitlements, &old.entitlements);
}

/// Each key and its value; a list is one value. Secrets serialise as nothing that can be compared.
fn leaves(section: &impl Serialize, path: &str) -> Leaves {
    let mut leaves = Leaves::new();
    // What has no JSON cannot differ in it; the schema's types all have.
    flatten(&serde_json::to_value(section).unwrap_or_default(), path, &mut leaves);
    leaves
}

fn flatten(value: &Value, path: &str, into: &mut Leaves) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(value, &path, into);
            }
        }
        _ => drop(into.insert(path.to_owned(), Leaf::Value(value.clone()))),
    }
}

fn secret(leaves: &mut Leaves, key: &str, secret: Option<&Secret>) {
    match secret {
        Some(secret) => drop(leaves.insert(key.to_owned(), Leaf::Secret(secret.clone()))),
        None => drop(leaves.remove(key)),
    }
}

/// What a change of this key (without ids) comes to. What is not listed here waits for a restart.
fn effect_of(key: &str) -> Effect {
    EFFECTS.iter().find(|(keys, _)| keys.contains(&key)).map_or(Effect::Restart, |(_, effect)| *effect)
}

const LISTS: [&str; 4] = ["feeds", "channels", "broadcasters", "entitlements"];

const EFFECTS: &[(&[&str], Effect)] = &[
    (
        &[
            "ingest.srt.sessions_max",
            "ingest.srt.sessions_per_address_max",
            "ingest.srt.handshakes_per_second_max",
            "ingest.srt.reconnect_grace",
            "edge.srt.sessions_max",
            "edge.srt.sessions_per_address_max",
            "edge.srt.handshakes_per_second_max",
            "edge.srt.bandwidth_total_max",
            "edge.http.connections_max",
            "edge.http.connections_per_address_max",
            "edge.http.requests_per_second_max",
            "edge.http.header_bytes_max",
            "edge.http.header_timeout",
            "edge.http.idle_timeout",
            "edge.http.write_timeout",
            "edge.http.cors_origins",
            "admin.token",
            "log.level",
            "drain.grace",
            "feeds.label",
            "channels.label",
            "broadcasters.label",
            "broadcasters.token",
            "channels.public",
            "channels.archive_window",
            "packager.archive_window",
            "packager.archive_bytes_max",
        ],
        Effect::Now,
    ),
    (
        &[
            "ingest.srt.latency",
            "ingest.srt.key_length",
            "ingest.srt.idle_timeout",
            "ingest.srt.bandwidth_max",
            "edge.srt.latency",
            "edge.srt.wait_for_feed",
            "edge.srt.bandwidth_max",
            "edge.srt.idle_timeout",
        ],
        Effect::NewSessions,
    ),
    (&["feeds.history", "feeds.history_bytes"], Effect::NextFeed),
    (
        &[
            "ingest.srt.passphrase",
            "ingest.srt.sources",
            "ingest.srt.banned",
            "edge.srt.sources",
            "edge.srt.banned",
            "feeds.passphrase",
            "feeds.users",
            "feeds.sources",
            "broadcasters.passphrase",
        ],
        Effect::Rights,
    ),
    (
        &[
            "packager.part",
            "packager.segment",
            "packager.window",
            "packager.memory_max",
            "packager.low_latency_dash",
            "packager.hls_gaps",
            "channels.part",
            "channels.segment",
            "channels.window",
            "channels.feed",
        ],
        Effect::Repackaged,
    ),
];

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now => "holds from now on and touches no session",
            Self::NewSessions => "holds for sessions that begin from now on",
            Self::NextFeed => "holds when the feed next comes to be",
            Self::Rights => "sessions that are no longer allowed end, no other does",
            Self::Repackaged => "the channels it concerns are packaged anew, their numbers go on",
            Self::Restart => "waits for a restart",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::json_schema;

    const BASE: &str = "[[feeds]]\nid = \"a\"\npassphrase = \"swordfish42\"\n[[channels]]\nid = \"c\"\nfeed = \"a\"\n\
                        [[broadcasters]]\nid = \"rtx\"\ntoken = \"abcdefgh\"\n[[entitlements]]\nbroadcaster = \"rtx\"\nfeeds = [\"a\"]\n";

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("flambeau.toml")).expect("it is right")
    }

    /// The changes from [`BASE`] to it with `from` replaced by `to`, as text.
    fn changes(from: &str, to: &str) -> Vec<String> {
        assert!(BASE.contains(from));
        let changes = between(&config(BASE), &config(&BASE.replacen(from, to, 1)));
        changes
            .iter()
            .map(|change| format!("{} {} {:?}", change.what, change.subject, change.effect))
            .collect()
    }

    #[test]
    fn nothing_differs_from_itself() {
        assert_eq!(between(&config(BASE), &config(BASE)), []);
    }

    #[test]
    fn each_kind_of_change_is_told_with_its_effect() {
        let label = changes("id = \"a\"\n", "id = \"a\"\nlabel = \"Main\"\n");
        assert_eq!(label, ["changed feeds[a].label Now"]);
        let secret = changes("swordfish42", "swordfish43");
        assert_eq!(secret, ["changed feeds[a].passphrase Rights"]);
        let token = changes("abcdefgh", "abcdefgi");
        assert_eq!(token, ["changed broadcasters[rtx].token Now"]);
        let setting =
            changes("[[feeds]]", "[edge.srt]\nlatency = \"200ms\"\nlisten = \"0.0.0.0:7001\"\n[[feeds]]");
        assert_eq!(setting, ["changed edge.srt.latency NewSessions", "changed edge.srt.listen Restart"]);
        let list = changes("[[channels]]", "[[feeds]]\nid = \"b\"\n[[channels]]");
        assert_eq!(list, ["added feeds[b] Now"]);
        let rights = changes("feeds = [\"a\"]", "feeds = [\"a*\"]");
        assert_eq!(rights, ["removed entitlements[rtx] Rights", "added entitlements[rtx] Now"]);
    }

    #[test]
    fn an_effect_is_said_of_keys_there_are() {
        let keys = json_schema::paths();
        for key in EFFECTS.iter().flat_map(|(keys, _)| *keys) {
            assert!(keys.iter().any(|known| known == key), "{key} is no key");
        }
    }
}
