//! The lists that say what there is and who may take it: Feeds, Channels, Broadcasters, Entitlements.

use std::fmt;
use std::time::Duration;

use flambeau_media::{BroadcasterId, ChannelId, FeedId};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;

use crate::glob::Glob;
use crate::secret::Secret;
use crate::units::{bytes, duration, text};

/// `[[feeds]]`: a contribution that a venue may publish.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FeedConfig {
    /// Name of the Feed, as the venue gives it in its Stream ID.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Id")]
    pub id: FeedId,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub label: Option<String>,
    /// Passphrase the venue encrypts with, instead of that of `[ingest.srt]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::secret::Passphrase>", default)]
    pub passphrase: Option<Secret>,
    /// Users (`u=` of the Stream ID) that may publish it; empty: any.
    #[schemars(default)]
    pub users: Vec<String>,
    /// Networks it may be published from; empty: any.
    #[serde(serialize_with = "text::serialize_all")]
    #[schemars(with = "Vec<text::Network>", default)]
    pub sources: Vec<IpNet>,
    /// How far back its ring reaches: what a retransmission can still send again and a late reader catch up on.
    /// At least the longest latency.
    #[serde(serialize_with = "duration::serialize")]
    #[schemars(with = "duration::Text", default, extend("default" = "5s", "x-range" = ["500ms", "5m"]))]
    pub history: Duration,
    /// Most bytes its ring holds. The rate times `history`, with room to spare.
    #[serde(serialize_with = "bytes::serialize")]
    #[schemars(with = "bytes::Text", default, extend("default" = "64MiB", "x-range" = ["256KiB", "16GiB"]))]
    pub history_bytes: usize,
}

impl FeedConfig {
    /// A Feed of this id, all else by default.
    pub fn new(id: FeedId) -> Self {
        Self {
            id,
            label: None,
            passphrase: None,
            users: Vec::new(),
            sources: Vec::new(),
            history: HISTORY_DEFAULT,
            history_bytes: HISTORY_BYTES_DEFAULT,
        }
    }
}

/// `[[channels]]`: a service packaged of a Feed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Name of the Channel: the first part of its URL.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Id")]
    pub id: ChannelId,
    /// The Feed it is made of.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Id")]
    pub feed: FeedId,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub label: Option<String>,
    /// Length of its Parts, instead of that of `[packager]`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "duration::serialize_option")]
    #[schemars(with = "Option<duration::Text>", default, extend("x-range" = ["40ms", "5s"]))]
    pub part: Option<Duration>,
    /// Length of its Segments, instead of that of `[packager]`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "duration::serialize_option")]
    #[schemars(with = "Option<duration::Text>", default, extend("x-range" = ["500ms", "30s"]))]
    pub segment: Option<Duration>,
    /// How far back its players can seek, instead of that of `[packager]`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "duration::serialize_option")]
    #[schemars(with = "Option<duration::Text>", default, extend("x-range" = ["2s", "12h"]))]
    pub window: Option<Duration>,
    /// How long its Segments are kept on disk, instead of that of `[packager]`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "duration::serialize_option")]
    #[schemars(with = "Option<duration::Text>", default, extend("x-range" = ["1m", "30d"]))]
    pub archive_window: Option<Duration>,
    /// Anyone may watch it, without credentials.
    #[schemars(default)]
    pub public: bool,
}

impl ChannelConfig {
    /// A Channel of this id made of this Feed, all else by default.
    pub fn new(id: ChannelId, feed: FeedId) -> Self {
        Self {
            id,
            feed,
            label: None,
            part: None,
            segment: None,
            window: None,
            archive_window: None,
            public: false,
        }
    }
}

/// `[[broadcasters]]`: a rights holder.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Broadcaster {
    /// Name of the broadcaster: `u=` of its Stream ID over SRT, its user name over HTTP.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Id")]
    pub id: BroadcasterId,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default)]
    pub label: Option<String>,
    /// Passphrase of its SRT pulls. Without one, whoever knows its name can pull in the clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::secret::Passphrase>", default)]
    pub passphrase: Option<Secret>,
    /// Token of its HTTP requests. Without one, its name is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::secret::Token>", default)]
    pub token: Option<Secret>,
}

/// `[[entitlements]]`: what a broadcaster may take.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Entitlement {
    /// Who may: the id of a broadcaster, or `*` for each broadcaster of this file.
    #[serde(serialize_with = "text::serialize")]
    #[schemars(with = "text::Id", extend("pattern" = "^([*]|[A-Za-z0-9][A-Za-z0-9._-]*)$"))]
    pub broadcaster: Holder,
    /// Feeds, by name or by pattern (`*`, `?`). Covers the Channels made of them.
    #[serde(serialize_with = "text::serialize_all")]
    #[schemars(with = "Vec<text::Pattern>", default)]
    pub feeds: Vec<Glob>,
    /// Channels, by name or by pattern (`*`, `?`).
    #[serde(serialize_with = "text::serialize_all")]
    #[schemars(with = "Vec<text::Pattern>", default)]
    pub channels: Vec<Glob>,
}

/// Whom an Entitlement is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Each broadcaster of the file.
    Any,
    /// One of them.
    One(BroadcasterId),
}

impl Holder {
    /// Whether the Entitlement is for this broadcaster.
    pub fn covers(&self, broadcaster: &BroadcasterId) -> bool {
        match self {
            Self::Any => true,
            Self::One(id) => id == broadcaster,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::One(id) => id.fmt(f),
        }
    }
}

const HISTORY_DEFAULT: Duration = Duration::from_secs(5);
const HISTORY_BYTES_DEFAULT: usize = 64 * 1024 * 1024;
