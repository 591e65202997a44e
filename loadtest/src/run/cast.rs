//! Who takes part in a run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use flambeau_srt::endpoint::Dial;
use flambeau_srt::protocol::connection::Settings;
use flambeau_srt::protocol::crypto::{KeyLength, Passphrase};
use flambeau_srt::protocol::stream_id::{Mode, StreamId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::reel::Reel;
use crate::report::Kind;
use crate::scenario::Scenario;
use crate::tally::Group;
use crate::web::{Visitor, Web};
use crate::{dash, hls, pull, venue};

/// The venues and clients of a scenario, ready to be started.
pub(super) struct Cast {
    scenario: Scenario,
    reel: Option<Arc<Reel>>,
    web: Web,
}

impl Cast {
    pub(super) fn new(scenario: &Scenario, reel: Option<Arc<Reel>>) -> anyhow::Result<Self> {
        let target = &scenario.target;
        let scheme = if target.tls_ca.is_some() { "https" } else { "http" };
        let address = SocketAddr::new(target.address, target.http_port);
        let authority = match &target.host {
            Some(host) => format!("{host}:{}", target.http_port),
            None => address.to_string(),
        };
        let base = format!("{scheme}://{authority}/").parse().context("the server's address makes no URL")?;
        let web = Web::new(base, address, target.http2, target.tls_ca.as_deref());
        let web = web.context("cannot read the certificates of --tls-ca")?;
        Ok(Self { scenario: scenario.clone(), reel, web })
    }

    /// How many there are of a kind.
    pub(super) fn count(&self, kind: Kind) -> usize {
        let clients = &self.scenario.clients;
        match kind {
            Kind::Venues => self.scenario.venues.count,
            Kind::SrtPulls => clients.srt_pulls,
            Kind::Hls => clients.hls,
            Kind::HlsPlain => clients.hls_plain,
            Kind::Dash => clients.dash,
        }
    }

    /// Starts the `index`-th of a kind, from 0.
    pub(super) fn start(
        &self,
        kind: Kind,
        index: usize,
        group: &Arc<Group>,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) {
        let at = index % self.scenario.feeds();
        let (feed, channel, stop) = (self.scenario.feed(at), self.scenario.channel(at), stop.clone());
        let name = format!(
            "{} of {}",
            index + 1,
            if matches!(kind, Kind::Venues | Kind::SrtPulls) { &feed } else { &channel }
        );
        let record = group.record(name);
        let visitor = |kind: Kind| -> Visitor {
            let token = self.scenario.broadcaster(index).token;
            self.web.client(&format!("{}-{}", kind.label(), index + 1), token.as_deref(), record.clone())
        };
        match kind {
            Kind::Venues => {
                let Some(reel) = self.reel.clone() else { return };
                let dial = self.publish(&feed);
                tasks.spawn(async move { venue::publish(dial, &feed, reel, record, stop).await });
            }
            Kind::SrtPulls => {
                let dial = self.request(&feed, index);
                tasks.spawn(async move { pull::pull(dial, &feed, record, stop).await });
            }
            Kind::Hls | Kind::HlsPlain => {
                let visitor = visitor(kind);
                let low_latency = kind == Kind::Hls;
                tasks.spawn(async move { hls::viewer::watch(visitor, &channel, low_latency, stop).await });
            }
            Kind::Dash => {
                let visitor = visitor(kind);
                tasks.spawn(async move { dash::viewer::watch(visitor, &channel, stop).await });
            }
        }
    }

    fn publish(&self, feed: &str) -> Dial {
        let venues = &self.scenario.venues;
        let stream_id = StreamId::access(feed, Mode::Publish);
        let stream_id = match &venues.user {
            Some(user) => stream_id.with("u", user),
            None => stream_id,
        };
        self.dial(self.scenario.target.ingest_port, stream_id, venues.latency, venues.passphrase.as_deref())
    }

    fn request(&self, feed: &str, index: usize) -> Dial {
        let broadcaster = self.scenario.broadcaster(index);
        let stream_id = StreamId::access(feed, Mode::Request);
        let stream_id = match &broadcaster.name {
            Some(name) => stream_id.with("u", name),
            None => stream_id,
        };
        let latency = self.scenario.clients.latency;
        self.dial(self.scenario.target.edge_port, stream_id, latency, broadcaster.passphrase.as_deref())
    }

    fn dial(&self, port: u16, stream_id: StreamId, latency: Duration, passphrase: Option<&str>) -> Dial {
        Dial {
            address: SocketAddr::new(self.scenario.target.address, port),
            stream_id,
            latency,
            // Its length was checked with the scenario.
            passphrase: passphrase.and_then(|text| Passphrase::new(text).ok()),
            key_length: KeyLength::Aes256,
            settings: Settings::default(),
        }
    }
}
