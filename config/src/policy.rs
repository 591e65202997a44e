//! Who may publish, pull and watch: pure look-ups, no I/O, deny by default.

mod credentials;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use flambeau_media::{BroadcasterId, ChannelId, FeedId};
use ipnet::IpNet;

use crate::schema::{Broadcaster, ChannelConfig, Config, Entitlement, FeedConfig, Mode};
use crate::secret::Secret;

pub use credentials::Credentials;

/// The rights of a [`Config`], cheap to clone and to ask.
///
/// That of a [`crate::Live`] answers by the configuration of the moment, whenever it was taken.
#[derive(Debug, Clone)]
pub struct Policy(Arc<RwLock<Arc<Rights>>>);

#[derive(Debug)]
struct Rights {
    mode: Mode,
    feeds: HashMap<FeedId, FeedPolicy>,
    channels: HashMap<ChannelId, ChannelConfig>,
    broadcasters: HashMap<BroadcasterId, Broadcaster>,
    entitlements: Vec<Entitlement>,
    ingest: Networks,
    edge: Networks,
}

/// Who may call a port, by address.
#[derive(Debug)]
struct Networks {
    sources: Vec<IpNet>,
    banned: Vec<IpNet>,
}

/// What a venue must bring to publish a Feed, and how far back the Feed reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPolicy {
    /// What people call it.
    pub label: Option<String>,
    /// The passphrase its venue encrypts with; None: in the clear.
    pub passphrase: Option<Secret>,
    /// The users that may publish it; empty: any.
    pub users: Vec<String>,
    /// The networks it may be published from; empty: any.
    pub sources: Vec<IpNet>,
    /// How far back its ring reaches.
    pub history: Duration,
    /// Most bytes its ring holds.
    pub history_bytes: usize,
}

impl FeedPolicy {
    /// Whether this user (`u=` of the Stream ID) may publish it.
    pub fn allows_user(&self, user: Option<&str>) -> bool {
        self.users.is_empty() || user.is_some_and(|user| self.users.iter().any(|allowed| allowed == user))
    }

    /// Whether it may be published from this address. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn allows_source(&self, address: IpAddr) -> bool {
        within(&self.sources, address.to_canonical())
    }
}

/// The right to pull a Feed over SRT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// Who pulls; None in lab mode.
    pub broadcaster: Option<BroadcasterId>,
    /// The passphrase the pull must be encrypted with; None: in the clear. The right holds only once the
    /// handshake has shown that the puller knows it.
    pub passphrase: Option<Secret>,
}

/// Why a request is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denied {
    /// It does not show who asks. The same whether what is asked for exists or not.
    #[error("it is not known who asks: give the broadcaster's name and its passphrase or token")]
    Unauthenticated,
    /// The one who asks has no Entitlement to it. The same whether what is asked for exists or not.
    #[error("no Entitlement covers it")]
    Forbidden,
    /// The one who asks would have the right, and there is no such thing.
    #[error("there is none of that name")]
    NotFound,
}

impl Policy {
    /// The rights `config` grants.
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(Rights::new(config)))))
    }

    /// Grants what `config` grants from now on, to every clone.
    pub(crate) fn replace(&self, config: &Config) {
        let rights = Arc::new(Rights::new(config));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rights;
    }

    /// The rights of this moment: the lock is held for a count's increment.
    fn rights(&self) -> Arc<Rights> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this address may call the port of `[ingest.srt]`. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn may_call_ingest(&self, address: IpAddr) -> bool {
        self.rights().ingest.allow(address)
    }

    /// Whether this address may call the port of `[edge.srt]`.
    pub fn may_call_edge(&self, address: IpAddr) -> bool {
        self.rights().edge.allow(address)
    }

    /// What publishing the Feed asks for; None: there is no such Feed, reject it. In lab mode there is each.
    pub fn feed(&self, id: &FeedId) -> Option<FeedPolicy> {
        let rights = self.rights();
        match rights.mode {
            Mode::Lab => Some(FeedPolicy::new(&FeedConfig::new(id.clone()), None)),
            Mode::Configured => rights.feeds.get(id).cloned(),
        }
    }

    /// Whether `user` (`u=` of the Stream ID) may pull the Feed over SRT, and with which passphrase.
    pub fn may_pull_feed(&self, user: Option<&str>, feed: &FeedId) -> Result<Pull, Denied> {
        let rights = self.rights();
        if rights.mode == Mode::Lab {
            return Ok(Pull { broadcaster: None, passphrase: None });
        }
        let broadcaster =
            user.and_then(|user| rights.broadcasters.get(user)).ok_or(Denied::Unauthenticated)?;
        if !rights.covers_feed(&broadcaster.id, feed) {
            return Err(Denied::Forbidden);
        }
        if !rights.feeds.contains_key(feed) {
            return Err(Denied::NotFound);
        }
        Ok(Pull { broadcaster: Some(broadcaster.id.clone()), passphrase: broadcaster.passphrase.clone() })
    }

    /// Whether these credentials open the Channel over HTTP, and whose they are. A public Channel asks for none;
    /// right ones still name the broadcaster. Nobody without right credentials learns which Channels there are.
    pub fn may_watch_channel(
        &self,
        credentials: Option<&Credentials>,
        channel: &ChannelId,
    ) -> Result<Option<BroadcasterId>, Denied> {
        let rights = self.rights();
        if rights.mode == Mode::Lab {
            return Ok(None);
        }
        let found = rights.channels.get(channel);
        let broadcaster = credentials.and_then(|credentials| rights.authenticate(credentials));
        if found.is_some_and(|channel| channel.public) {
            return Ok(broadcaster.cloned());
        }
        let broadcaster = broadcaster.ok_or(Denied::Unauthenticated)?;
        if !rights.covers_channel(broadcaster, channel, found.map(|channel| &channel.feed)) {
            return Err(Denied::Forbidden);
        }
        match found {
            Some(_) => Ok(Some(broadcaster.clone())),
            None => Err(Denied::NotFound),
        }
    }

    /// The broadcaster of that name.
    pub fn broadcaster(&self, name: &str) -> Option<Broadcaster> {
        self.rights().broadcasters.get(name).cloned()
    }

    /// The Channels to package of the Feed, in order of name. In lab mode: one of the same id.
    pub fn channels_of(&self, feed: &FeedId) -> Vec<ChannelConfig> {
        let rights = self.rights();
        if rights.mode == Mode::Lab {
            // A FeedId and a ChannelId keep the same rules.
            let id = feed.as_str().parse::<ChannelId>();
            return id.into_iter().map(|id| ChannelConfig::new(id, feed.clone())).collect();
        }
        let mut channels: Vec<_> = rights.channels.values().filter(|c| c.feed == *feed).cloned().collect();
        channels.sort_by(|a, b| a.id.cmp(&b.id));
        channels
    }
}

impl FeedPolicy {
    /// The Feed's own passphrase goes before that of the listener.
    fn new(feed: &FeedConfig, listener: Option<&Secret>) -> Self {
        Self {
            label: feed.label.clone(),
            passphrase: feed.passphrase.as_ref().or(listener).cloned(),
            users: feed.users.clone(),
            sources: feed.sources.clone(),
            history: feed.history,
            history_bytes: feed.history_bytes,
        }
    }
}

impl Rights {
    fn new(config: &Config) -> Self {
        let feed = |feed: &FeedConfig| {
            (feed.id.clone(), FeedPolicy::new(feed, config.ingest.srt.passphrase.as_ref()))
        };
        Self {
            mode: config.mode,
            feeds: config.feeds.iter().map(feed).collect(),
            channels: config.channels.iter().map(|c| (c.id.clone(), c.clone())).collect(),
            broadcasters: config.broadcasters.iter().map(|b| (b.id.clone(), b.clone())).collect(),
            entitlements: config.entitlements.clone(),
            ingest: Networks {
                sources: config.ingest.srt.sources.clone(),
                banned: config.ingest.srt.banned.clone(),
            },
            edge: Networks {
                sources: config.edge.srt.sources.clone(),
                banned: config.edge.srt.banned.clone(),
            },
        }
    }

    /// Whose credentials these are.
    fn authenticate(&self, credentials: &Credentials) -> Option<&BroadcasterId> {
        match credentials {
            Credentials::Bearer(token) => {
                // Each token is compared, so that the time taken does not tell which one was near.
                let mut found = None;
                for broadcaster in self.broadcasters.values() {
                    if broadcaster.token.as_ref().is_some_and(|own| own == token) {
                        found = Some(&broadcaster.id);
                    }
                }
                found
            }
            Credentials::Basic { user, password } => {
                let broadcaster = self.broadcasters.get(user.as_str())?;
                let right = match &broadcaster.token {
                    Some(token) => token == password,
                    None => password.expose().is_empty(),
                };
                right.then_some(&broadcaster.id)
            }
        }
    }

    fn covers_feed(&self, broadcaster: &BroadcasterId, feed: &FeedId) -> bool {
        self.held_by(broadcaster).any(|held| held.feeds.iter().any(|glob| glob.matches(feed.as_str())))
    }

    /// An Entitlement to a Feed covers the Channels made of it.
    fn covers_channel(
        &self,
        broadcaster: &BroadcasterId,
        channel: &ChannelId,
        feed: Option<&FeedId>,
    ) -> bool {
        let by_name = |held: &Entitlement| held.channels.iter().any(|glob| glob.matches(channel.as_str()));
        self.held_by(broadcaster).any(by_name) || feed.is_some_and(|feed| self.covers_feed(broadcaster, feed))
    }

    fn held_by<'a>(&'a self, broadcaster: &'a BroadcasterId) -> impl Iterator<Item = &'a Entitlement> {
        self.entitlements.iter().filter(|held| held.broadcaster.covers(broadcaster))
    }
}

impl Networks {
    fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        within(&self.sources, address) && !self.banned.iter().any(|network| network.contains(&address))
    }
}

/// Whether the address lies in one of the networks; where there are none, each does.
fn within(networks: &[IpNet], address: IpAddr) -> bool {
    networks.is_empty() || networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests;
