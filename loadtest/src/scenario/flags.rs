//! The flags of a run: each goes before what the scenario file says.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Broadcaster, Scenario};
use crate::units::{Rate, span};

/// What a run is told on the command line.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// A scenario file; `flambeau loadtest scenario` prints one that explains itself.
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// How long it is measured, from when the last client was started [default: 60s].
    #[arg(long, value_parser = span)]
    duration: Option<Duration>,
    /// From the start of one client to the next [default: 20ms].
    #[arg(long, value_parser = span)]
    ramp: Option<Duration>,
    /// From the last venue's start to the first client's [default: 4s].
    #[arg(long, value_parser = span)]
    settle: Option<Duration>,
    /// The server's address [default: 127.0.0.1].
    #[arg(long, help_heading = "Server")]
    target: Option<IpAddr>,
    /// UDP port of SRT in [default: 9000].
    #[arg(long, help_heading = "Server")]
    ingest_port: Option<u16>,
    /// UDP port of SRT out [default: 9001].
    #[arg(long, help_heading = "Server")]
    edge_port: Option<u16>,
    /// TCP port of HTTP [default: 8080].
    #[arg(long, help_heading = "Server")]
    http_port: Option<u16>,
    /// HTTP by HTTP/2.
    #[arg(long, help_heading = "Server")]
    http2: bool,
    /// HTTP over TLS, with these certificates (PEM) trusted.
    #[arg(long, help_heading = "Server", value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The name in the server's certificate.
    #[arg(long, help_heading = "Server", value_name = "NAME")]
    host: Option<String>,
    /// The server's process, to measure its processor time and memory.
    #[arg(long, help_heading = "Server", value_name = "PID")]
    server_pid: Option<u32>,
    /// Venues; with 0 the clients take what is there [default: 1].
    #[arg(long, help_heading = "Venues", value_name = "N")]
    venues: Option<usize>,
    /// Name of each Feed; {n} is its number from 1 [default: load-{n}].
    #[arg(long, help_heading = "Venues", value_name = "NAME")]
    feed_pattern: Option<String>,
    /// A transport stream to loop; without one a test picture is made with ffmpeg.
    #[arg(long, help_heading = "Venues", value_name = "FILE")]
    media: Option<PathBuf>,
    /// Bit rate of the test picture [default: 4Mb/s].
    #[arg(long, help_heading = "Venues")]
    rate: Option<Rate>,
    /// SRT latency of the venues [default: 120ms].
    #[arg(long, help_heading = "Venues", value_parser = span, value_name = "TIME")]
    publish_latency: Option<Duration>,
    /// User of the venues.
    #[arg(long, help_heading = "Venues", value_name = "NAME")]
    publish_user: Option<String>,
    /// Passphrase of the Feeds.
    #[arg(long, help_heading = "Venues", env = "FLAMBEAU_PUBLISH_PASSPHRASE", hide_env_values = true)]
    publish_passphrase: Option<String>,
    /// Feeds the clients are spread over [default: as many as there are venues].
    #[arg(long, help_heading = "Clients", value_name = "N")]
    feeds: Option<usize>,
    /// Name of the Channel of each Feed [default: that of the Feed].
    #[arg(long, help_heading = "Clients", value_name = "NAME")]
    channel_pattern: Option<String>,
    /// Pulls over SRT.
    #[arg(long, help_heading = "Clients", value_name = "N")]
    srt_pulls: Option<usize>,
    /// SRT latency of the pulls [default: 120ms].
    #[arg(long, help_heading = "Clients", value_parser = span, value_name = "TIME")]
    pull_latency: Option<Duration>,
    /// Viewers of HLS with low latency.
    #[arg(long, help_heading = "Clients", value_name = "N")]
    hls: Option<usize>,
    /// Viewers of HLS by whole Segments.
    #[arg(long, help_heading = "Clients", value_name = "N")]
    hls_plain: Option<usize>,
    /// Viewers of DASH.
    #[arg(long, help_heading = "Clients", value_name = "N")]
    dash: Option<usize>,
    /// The name clients come in: the user of SRT pulls.
    #[arg(long, help_heading = "Clients", value_name = "NAME")]
    broadcaster: Option<String>,
    /// The bearer token of HTTP.
    #[arg(long, help_heading = "Clients", env = "FLAMBEAU_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The passphrase of SRT pulls.
    #[arg(long, help_heading = "Clients", env = "FLAMBEAU_PASSPHRASE", hide_env_values = true)]
    passphrase: Option<String>,
    /// Most TS packets lost by pulls, and pictures by viewers [default: 0].
    #[arg(long, help_heading = "Limits", value_name = "N")]
    max_lost: Option<u64>,
    /// Most TS packets too many, and stretches altered [default: 0].
    #[arg(long, help_heading = "Limits", value_name = "N")]
    max_altered: Option<u64>,
    /// Most stalls [default: 0].
    #[arg(long, help_heading = "Limits", value_name = "N")]
    max_stalls: Option<u64>,
    /// Most holes that nothing announced, and media left out [default: 0].
    #[arg(long, help_heading = "Limits", value_name = "N")]
    max_gaps: Option<u64>,
    /// Most errors, and blocking reloads answered too early [default: 0].
    #[arg(long, help_heading = "Limits", value_name = "N")]
    max_errors: Option<u64>,
    /// Greatest latency of every kind of client, 99th percentile.
    #[arg(long, help_heading = "Limits", value_parser = span, value_name = "TIME")]
    max_latency: Option<Duration>,
    /// Greatest latency of pulls.
    #[arg(long, help_heading = "Limits", value_parser = span, value_name = "TIME")]
    max_pull_latency: Option<Duration>,
    /// Greatest latency of HLS with low latency.
    #[arg(long, help_heading = "Limits", value_parser = span, value_name = "TIME")]
    max_hls_latency: Option<Duration>,
    /// Greatest latency of HLS by whole Segments.
    #[arg(long, help_heading = "Limits", value_parser = span, value_name = "TIME")]
    max_hls_plain_latency: Option<Duration>,
    /// Greatest latency of DASH.
    #[arg(long, help_heading = "Limits", value_parser = span, value_name = "TIME")]
    max_dash_latency: Option<Duration>,
    /// Longest start-up of viewers, 99th percentile.
    #[arg(long, help_heading = "Limits", value_parser = span, value_name = "TIME")]
    max_startup: Option<Duration>,
}

impl Flags {
    /// The scenario they make, with that of their file where one is named.
    pub fn scenario(self) -> anyhow::Result<Scenario> {
        let mut scenario = match &self.scenario {
            Some(path) => Scenario::read(path)?,
            None => Scenario::default(),
        };
        self.apply(&mut scenario);
        scenario.check()?;
        Ok(scenario)
    }

    fn apply(self, scenario: &mut Scenario) {
        set(&mut scenario.duration, self.duration);
        set(&mut scenario.ramp, self.ramp);
        set(&mut scenario.settle, self.settle);
        let target = &mut scenario.target;
        set(&mut target.address, self.target);
        set(&mut target.ingest_port, self.ingest_port);
        set(&mut target.edge_port, self.edge_port);
        set(&mut target.http_port, self.http_port);
        target.http2 |= self.http2;
        target.tls_ca = self.tls_ca.or(target.tls_ca.take());
        target.host = self.host.or(target.host.take());
        target.server_pid = self.server_pid.or(target.server_pid);
        let venues = &mut scenario.venues;
        set(&mut venues.count, self.venues);
        set(&mut venues.feed_pattern, self.feed_pattern);
        venues.media = self.media.or(venues.media.take());
        set(&mut venues.rate, self.rate);
        set(&mut venues.latency, self.publish_latency);
        venues.user = self.publish_user.or(venues.user.take());
        venues.passphrase = self.publish_passphrase.or(venues.passphrase.take());
        let clients = &mut scenario.clients;
        set(&mut clients.feeds, self.feeds);
        clients.channel_pattern = self.channel_pattern.or(clients.channel_pattern.take());
        set(&mut clients.srt_pulls, self.srt_pulls);
        set(&mut clients.latency, self.pull_latency);
        set(&mut clients.hls, self.hls);
        set(&mut clients.hls_plain, self.hls_plain);
        set(&mut clients.dash, self.dash);
        let given = Broadcaster { name: self.broadcaster, token: self.token, passphrase: self.passphrase };
        if given != Broadcaster::default() {
            scenario.broadcasters = vec![given];
        }
        let limits = &mut scenario.limits;
        let counts = [
            (&mut limits.lost, self.max_lost),
            (&mut limits.altered, self.max_altered),
            (&mut limits.stalls, self.max_stalls),
            (&mut limits.gaps, self.max_gaps),
            (&mut limits.errors, self.max_errors),
        ];
        counts.into_iter().for_each(|(limit, flag)| *limit = flag.or(*limit));
        let all = self.max_latency;
        let times = [
            (&mut limits.pull_latency, self.max_pull_latency.or(all)),
            (&mut limits.hls_latency, self.max_hls_latency.or(all)),
            (&mut limits.hls_plain_latency, self.max_hls_plain_latency.or(all)),
            (&mut limits.dash_latency, self.max_dash_latency.or(all)),
            (&mut limits.startup, self.max_startup),
        ];
        times.into_iter().for_each(|(limit, flag)| *limit = flag.or(*limit));
    }
}

fn set<T>(value: &mut T, flag: Option<T>) {
    if let Some(flag) = flag {
        *value = flag;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
    }

    fn scenario(line: &str) -> anyhow::Result<Scenario> {
        Cli::try_parse_from(std::iter::once("x").chain(line.split_whitespace()))?.flags.scenario()
    }

    #[test]
    fn flags_go_before_the_file() {
        let path = std::env::temp_dir().join(format!("flambeau-scenario-{}.toml", std::process::id()));
        std::fs::write(
            &path,
            "duration = \"5m\"\n[venues]\ncount = 3\nmedia = \"m.ts\"\n[limits]\nstalls = 2\n",
        )
        .expect("a file");
        let line = format!("--scenario {} --venues 4 --max-latency 2s --max-pull-latency 1s", path.display());
        let scenario = scenario(&line).expect("a scenario");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!((scenario.duration, scenario.venues.count), (Duration::from_secs(300), 4));
        assert_eq!((scenario.limits.stalls, scenario.limits.lost), (Some(2), Some(0)));
        assert_eq!(scenario.limits.pull_latency, Some(Duration::from_secs(1)));
        assert_eq!(scenario.limits.dash_latency, Some(Duration::from_secs(2)));
        assert_eq!(scenario.venues.media, Some(std::env::temp_dir().join("m.ts")));
    }

    #[test]
    fn a_run_of_nobody_is_refused() {
        assert!(scenario("--venues 0").is_err_and(|error| error.to_string().contains("--srt-pulls")));
    }
}
