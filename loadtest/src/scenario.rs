//! What a run is: read from a TOML file, from flags, or both.

mod flags;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use flambeau_srt::protocol::crypto::Passphrase;
use serde::{Deserialize, Deserializer};

pub use flags::Flags;

use crate::units::{Rate, span};

/// A run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// How long it is measured, from when the last client was started.
    #[serde(deserialize_with = "duration")]
    pub duration: Duration,
    /// From the start of one client to the next.
    #[serde(deserialize_with = "duration")]
    pub ramp: Duration,
    /// From the last venue's start to the first client's.
    #[serde(deserialize_with = "duration")]
    pub settle: Duration,
    /// Where the server is.
    pub target: Target,
    /// What is published.
    pub venues: Venues,
    /// Who takes it.
    pub clients: Clients,
    /// In whose name: clients take turns. None: without a name.
    pub broadcasters: Vec<Broadcaster>,
    /// What must hold.
    pub limits: Limits,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Target {
    /// Its address.
    pub address: IpAddr,
    /// UDP port of SRT in.
    pub ingest_port: u16,
    /// UDP port of SRT out.
    pub edge_port: u16,
    /// TCP port of HTTP.
    pub http_port: u16,
    /// HTTP by HTTP/2: on a clear connection at once, over TLS by ALPN.
    pub http2: bool,
    /// HTTP over TLS, with these certificates (PEM) trusted.
    pub tls_ca: Option<PathBuf>,
    /// The name in the server's certificate; its address without one.
    pub host: Option<String>,
    /// The server's process, to measure it.
    pub server_pid: Option<u32>,
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Venues {
    /// How many. With 0 the clients take what is there.
    pub count: usize,
    /// Name of each Feed; `{n}` is its number from 1.
    pub feed_pattern: String,
    /// A transport stream to loop; without one a test picture is made.
    pub media: Option<PathBuf>,
    /// Bit rate of the test picture.
    #[serde(deserialize_with = "parsed")]
    pub rate: Rate,
    /// Their SRT latency.
    #[serde(deserialize_with = "duration")]
    pub latency: Duration,
    /// Their user, where the Feeds ask for one.
    pub user: Option<String>,
    /// The Feeds' passphrase.
    pub passphrase: Option<String>,
}

/// Who takes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clients {
    /// Feeds they are spread over; as many as there are venues where it is 0.
    pub feeds: usize,
    /// Name of the Channel of each Feed; that of the Feed where it is not told.
    pub channel_pattern: Option<String>,
    /// SRT pulls.
    pub srt_pulls: usize,
    /// The pulls' SRT latency.
    #[serde(deserialize_with = "duration")]
    pub latency: Duration,
    /// Viewers of HLS with low latency.
    pub hls: usize,
    /// Viewers of HLS by whole Segments.
    pub hls_plain: usize,
    /// Viewers of DASH.
    pub dash: usize,
}

/// In whose name clients come.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broadcaster {
    /// The user of an SRT pull.
    pub name: Option<String>,
    /// The bearer token of HTTP.
    pub token: Option<String>,
    /// The passphrase of an SRT pull.
    pub passphrase: Option<String>,
}

impl std::fmt::Debug for Broadcaster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broadcaster").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What must hold. A limit that is not set is not checked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// TS packets lost by all pulls, and pictures by all viewers.
    pub lost: Option<u64>,
    /// TS packets too many, and stretches altered, of all pulls.
    pub altered: Option<u64>,
    /// Stalls of all clients.
    pub stalls: Option<u64>,
    /// Holes that nothing announced, and media left out, of all viewers.
    pub gaps: Option<u64>,
    /// Errors of all clients and venues, and blocking reloads answered too early.
    pub errors: Option<u64>,
    /// Clients that never started.
    pub absent: Option<u64>,
    /// 99th percentile of the latency of pulls.
    #[serde(deserialize_with = "some_duration")]
    pub pull_latency: Option<Duration>,
    /// 99th percentile of the latency of HLS with low latency.
    #[serde(deserialize_with = "some_duration")]
    pub hls_latency: Option<Duration>,
    /// 99th percentile of the latency of HLS by whole Segments.
    #[serde(deserialize_with = "some_duration")]
    pub hls_plain_latency: Option<Duration>,
    /// 99th percentile of the latency of DASH.
    #[serde(deserialize_with = "some_duration")]
    pub dash_latency: Option<Duration>,
    /// 99th percentile of the start-up time of viewers.
    #[serde(deserialize_with = "some_duration")]
    pub startup: Option<Duration>,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(60),
            ramp: Duration::from_millis(20),
            settle: Duration::from_secs(4),
            target: Target::default(),
            venues: Venues::default(),
            clients: Clients::default(),
            broadcasters: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Default for Target {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            ingest_port: 9000,
            edge_port: 9001,
            http_port: 8080,
            http2: false,
            tls_ca: None,
            host: None,
            server_pid: None,
        }
    }
}

impl Default for Venues {
    fn default() -> Self {
        Self {
            count: 1,
            feed_pattern: "load-{n}".into(),
            media: None,
            rate: Rate(4_000_000),
            latency: Duration::from_millis(120),
            user: None,
            passphrase: None,
        }
    }
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            feeds: 0,
            channel_pattern: None,
            srt_pulls: 0,
            latency: Duration::from_millis(120),
            hls: 0,
            hls_plain: 0,
            dash: 0,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let none = Some(0);
        Self {
            lost: none,
            altered: none,
            stalls: none,
            gaps: none,
            errors: none,
            absent: none,
            pull_latency: None,
            hls_latency: None,
            hls_plain_latency: None,
            dash_latency: None,
            startup: None,
        }
    }
}

impl Scenario {
    /// Reads a scenario file. A path in it is seen from the file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut scenario: Self = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for file in [&mut scenario.venues.media, &mut scenario.target.tls_ca].into_iter().flatten() {
            *file = folder.join(&*file);
        }
        Ok(scenario)
    }

    /// Says what makes no sense, with a remedy.
    pub fn check(&self) -> anyhow::Result<()> {
        let clients = &self.clients;
        let viewers = clients.hls + clients.hls_plain + clients.dash;
        let total = self.venues.count + clients.srt_pulls + viewers;
        ensure!(total > 0, "there is nobody to run: give --venues, --srt-pulls, --hls or --dash");
        ensure!(total <= CLIENTS_MAX, "{total} venues and clients: one process runs {CLIENTS_MAX} at most");
        ensure!(!self.duration.is_zero(), "the duration is 0: give --duration, as in 60s");
        ensure!(
            self.feeds() < 2 || self.venues.feed_pattern.contains("{n}"),
            "{} Feeds need names of their own: put {{n}} into --feed-pattern, as in load-{{n}}",
            self.feeds()
        );
        let broadcasters = self.broadcasters.iter().map(|broadcaster| &broadcaster.passphrase);
        for passphrase in broadcasters.chain([&self.venues.passphrase]).flatten() {
            Passphrase::new(passphrase)?;
        }
        Ok(())
    }

    /// Feeds the clients are spread over.
    pub fn feeds(&self) -> usize {
        if self.clients.feeds > 0 { self.clients.feeds } else { self.venues.count.max(1) }
    }

    /// The name of the `index`-th Feed, from 0.
    pub fn feed(&self, index: usize) -> String {
        self.venues.feed_pattern.replace("{n}", &(index + 1).to_string())
    }

    /// The name of the Channel of the `index`-th Feed, from 0.
    pub fn channel(&self, index: usize) -> String {
        let pattern = self.clients.channel_pattern.as_ref().unwrap_or(&self.venues.feed_pattern);
        pattern.replace("{n}", &(index + 1).to_string())
    }

    /// In whose name the `index`-th client comes.
    pub fn broadcaster(&self, index: usize) -> Broadcaster {
        match self.broadcasters.len() {
            0 => Broadcaster::default(),
            count => self.broadcasters[index % count].clone(),
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    span(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

fn parsed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// Venues and clients of a process: each SRT session is a thread.
const CLIENTS_MAX: usize = 20_000;

/// A scenario with every key at its default, and what it means.
pub const EXAMPLE: &str = include_str!("scenario/example.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_says_the_defaults() {
        let example: Scenario = toml::from_str(EXAMPLE).expect("the example reads");
        assert_eq!(example, Scenario::default());
    }

    #[test]
    fn every_key_is_in_the_example() {
        let debug = format!("{:?}", Scenario::default());
        let keys =
            debug.split(['{', ',']).filter_map(|part| part.trim().split_once(": ").map(|(key, _)| key));
        for key in
            keys.filter(|key| !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        {
            assert!(EXAMPLE.contains(key), "{key} is not in the example");
        }
    }

    #[test]
    fn a_wrong_key_or_quantity_is_refused_where_it_stands() {
        let error = toml::from_str::<Scenario>("duration = \"60\"").expect_err("no unit").to_string();
        assert!(error.contains("line 1") && error.contains("as in 20ms"), "{error}");
        let error =
            toml::from_str::<Scenario>("[clients]\nsrt_pull = 3").expect_err("no such key").to_string();
        assert!(error.contains("srt_pulls"), "{error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_remedy() {
        let with = |change: fn(&mut Scenario)| {
            let mut scenario = Scenario::default();
            change(&mut scenario);
            scenario.check().err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(with(|_| {}), "");
        assert!(with(|s| s.venues.count = 0).contains("--srt-pulls"));
        assert!(with(|s| (s.venues.count, s.venues.feed_pattern) = (2, "x".into())).contains("{n}"));
        assert!(with(|s| s.venues.passphrase = Some("short".into())).contains("10 to 80"));
    }

    #[test]
    fn clients_take_turns() {
        let mut scenario = Scenario::default();
        scenario.venues.count = 3;
        scenario.clients.channel_pattern = Some("c{n}".into());
        let named = |name: &str| Broadcaster { name: Some(name.into()), ..Broadcaster::default() };
        scenario.broadcasters = vec![named("a"), named("b")];
        assert_eq!(
            (scenario.feeds(), scenario.feed(2), scenario.channel(0)),
            (3, "load-3".into(), "c1".into())
        );
        assert_eq!(scenario.broadcaster(3).name.as_deref(), Some("b"));
    }
}
