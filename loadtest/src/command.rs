//! The command line of the load tester.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::impair::link::{Burst, Conditions};
use crate::impair::{CLIENTS_MAX, Proxy, QUEUE_BYTES_MAX, Settings};
use crate::units::{Rate, Share, span};
use crate::{pace, run, scenario, ts};

/// Venues, broadcasters and faults for testing, over sockets only.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Hand UDP on from one address to another, with loss, delay and disorder drawn from a seed.
    ///
    /// Prints what it did as JSON when it ends. A round trip of 40 ms is a delay of 20ms.
    Impair(Impair),
    /// Make a transport stream of constant bit rate with null packets and SCTE-35.
    MakeTs(MakeTs),
    /// Write a transport stream to standard output at its own rate.
    ///
    /// For tools that read a file as fast as they can:
    /// `flambeau loadtest pace f.ts | srt-live-transmit -chunk:1316 file://con srt://…`
    Pace(Pace),
    /// Publish Feeds and take them as broadcasters do, and check that all of it arrives, whole and in time.
    ///
    /// Exit code 0: every limit held. Exit code 1: one did not, and it is named.
    #[command(after_long_help = RUN_EXAMPLES)]
    Run(Box<Run>),
    /// Print a scenario file that explains itself, with every key at its default.
    Scenario,
}

impl Command {
    /// Runs the command to its end, or until SIGINT or SIGTERM.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Impair(arguments) => arguments.run().await,
            Self::MakeTs(arguments) => arguments.run().await,
            Self::Pace(arguments) => arguments.run().await,
            Self::Run(arguments) => arguments.run().await,
            Self::Scenario => Ok(write!(std::io::stdout(), "{}", scenario::EXAMPLE)?),
        }
    }
}

/// What `impair` is told.
#[derive(Debug, clap::Args)]
pub struct Impair {
    /// Address clients send to.
    #[arg(long)]
    listen: SocketAddr,
    /// Address of the server they mean.
    #[arg(long)]
    to: SocketAddr,
    /// Share of the packets lost on the way to the server, as in 2%.
    #[arg(long, default_value = "0%")]
    loss_up: Share,
    /// Share of the packets lost on the way back.
    #[arg(long, default_value = "0%")]
    loss_down: Share,
    /// Losses in bursts, both ways: chance of a burst for each packet and its mean length, as in 0.1%:8.
    #[arg(long, value_parser = burst)]
    burst_loss: Option<Burst>,
    /// Delay each way.
    #[arg(long, default_value = "0ms", value_parser = span)]
    delay: Duration,
    /// Up to this much is added to the delay of each packet, without reordering.
    #[arg(long, default_value = "0ms", value_parser = span)]
    jitter: Duration,
    /// Share of the packets held back so that later ones overtake them, each way.
    #[arg(long, default_value = "0%")]
    reorder: Share,
    /// How long a reordered packet is held back.
    #[arg(long, default_value = "10ms", value_parser = span)]
    reorder_by: Duration,
    /// Share of the packets that arrive twice, each way.
    #[arg(long, default_value = "0%")]
    duplicate: Share,
    /// Share of the packets that arrive with a byte changed or cut short, each way.
    #[arg(long, default_value = "0%")]
    corrupt: Share,
    /// Rate of each client's link, each way.
    #[arg(long)]
    rate_limit: Option<Rate>,
    /// Bytes a link holds; more are dropped.
    #[arg(long, default_value_t = QUEUE_BYTES_MAX)]
    queue_bytes: usize,
    /// Clients at a time; datagrams of further ones are dropped.
    #[arg(long, default_value_t = CLIENTS_MAX)]
    clients_max: usize,
    /// A client silent for this long is forgotten.
    #[arg(long, default_value = "30s", value_parser = span)]
    idle: Duration,
    /// What all chance is drawn from: the same seed gives the same fate to each packet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End after this time.
    #[arg(long, value_parser = span)]
    duration: Option<Duration>,
}

impl Impair {
    async fn run(self) -> anyhow::Result<()> {
        let (listen, duration) = (self.listen, self.duration);
        let mut proxy =
            Proxy::start(self.settings()).with_context(|| format!("cannot listen on {listen}"))?;
        let end = async {
            match duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = proxy.failure() => return Err(error).context("the proxy failed"),
            result = asked_to_end() => result?,
            () = end => {}
        }
        print_json(&proxy.report())
    }

    fn settings(self) -> Settings {
        let conditions = |loss| Conditions {
            loss,
            burst: self.burst_loss,
            delay: self.delay,
            jitter: self.jitter,
            reorder: self.reorder,
            reorder_by: self.reorder_by,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            rate: self.rate_limit,
            queue_bytes_max: self.queue_bytes,
            outage: None,
        };
        Settings {
            listen: self.listen,
            to: self.to,
            up: conditions(self.loss_up),
            down: conditions(self.loss_down),
            seed: self.seed,
            clients_max: self.clients_max,
            idle: self.idle,
        }
    }
}

/// What `make-ts` is told.
#[derive(Debug, clap::Args)]
pub struct MakeTs {
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    /// Length in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Bit rate, null packets included.
    #[arg(long, default_value = "20Mb/s")]
    rate: Rate,
    /// Time from one SCTE-35 section to the next.
    #[arg(long, default_value = "5s", value_parser = span)]
    splice_every: Duration,
    /// Pictures and sound to use, looped; without it a test picture and a tone.
    #[arg(long)]
    input: Option<PathBuf>,
}

impl MakeTs {
    async fn run(self) -> anyhow::Result<()> {
        let recipe = ts::Recipe {
            length: Duration::from_secs(self.seconds),
            rate: self.rate,
            splice_every: self.splice_every,
            input: self.input,
        };
        print_json(&ts::make_file(&recipe, &self.out).await?)
    }
}

/// What `pace` is told.
#[derive(Debug, clap::Args)]
pub struct Pace {
    /// The transport stream.
    file: PathBuf,
    /// Bit rate; without it that of the stream's first PCRs.
    #[arg(long)]
    rate: Option<Rate>,
    /// Start again at the end, until the reader goes.
    #[arg(long = "loop")]
    looped: bool,
    /// Keep standard output open for this long after the last byte, so that a sender can deliver what it holds.
    #[arg(long, default_value = "3s", value_parser = span)]
    linger: Duration,
}

impl Pace {
    async fn run(self) -> anyhow::Result<()> {
        let name = self.file.display();
        let rate = match self.rate {
            Some(rate) => rate,
            None => rate_of(&self.file).await.with_context(|| format!("cannot read {name}"))?,
        };
        loop {
            let file =
                tokio::fs::File::open(&self.file).await.with_context(|| format!("cannot open {name}"))?;
            match pace::pace(file, tokio::io::stdout(), rate).await {
                Ok(written) => ensure!(written > 0, "{name} is empty"),
                // The reader has had enough.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if !self.looped {
                break;
            }
        }
        tokio::time::sleep(self.linger).await;
        Ok(())
    }
}

/// What `run` is told.
#[derive(Debug, clap::Args)]
pub struct Run {
    #[command(flatten)]
    flags: scenario::Flags,
    /// Write what came of it to this file as JSON; `-`: to standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Run {
    async fn run(self) -> anyhow::Result<()> {
        let scenario = self.flags.scenario()?;
        let ended = async {
            // Without signals it goes on to its end.
            if asked_to_end().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let report = run::run(&scenario, ended).await?;
        match &self.json {
            Some(path) if path.as_os_str() == "-" => print_json(&report)?,
            json => {
                if let Some(path) = json {
                    let text = serde_json::to_vec_pretty(&report)?;
                    let written = tokio::fs::write(path, text).await;
                    written.with_context(|| format!("cannot write {}", path.display()))?;
                }
                write!(std::io::stdout(), "{}", report.table())?;
            }
        }
        ensure!(report.held, "not within the limits: {}", report.broken());
        Ok(())
    }
}

/// The rate of a file's first few megabytes.
async fn rate_of(path: &std::path::Path) -> anyhow::Result<Rate> {
    use tokio::io::AsyncReadExt;
    let mut start = Vec::new();
    tokio::fs::File::open(path).await?.take(RATE_SAMPLE_BYTES).read_to_end(&mut start).await?;
    ts::rate(&start).context("it has no two PCRs to tell its rate by: give --rate")
}

/// Reads a burst loss: `0.1%:8`.
fn burst(text: &str) -> anyhow::Result<Burst> {
    let (start, length) =
        text.split_once(':').context("write the chance and the mean length, as in 0.1%:8")?;
    let length: f64 = length.parse().context("the mean length is a number of packets")?;
    ensure!((1.0..=1e6).contains(&length), "the mean length is at least 1");
    Ok(Burst { start: start.parse()?, length })
}

async fn asked_to_end() -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Prints a result for other programs to read.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    Ok(writeln!(out)?)
}

const RUN_EXAMPLES: &str = "\
Examples:
  A server in lab mode, two Feeds of a test picture, and some of each kind of client for a minute:
    flambeau run &
    flambeau loadtest run --venues 2 --srt-pulls 10 --hls 10 --dash 10 --server-pid $!
  What is on air, for an hour, in a broadcaster's name, with a limit for latency:
    FLAMBEAU_TOKEN=... flambeau loadtest run --venues 0 --feed-pattern athletics --hls 50 --duration 1h --max-latency 2s
  From a file:
    flambeau loadtest scenario > evening.toml
    flambeau loadtest run --scenario evening.toml --json evening.json";

/// Enough for two PCRs at any rate: they are 100 ms apart at most (ISO/IEC 13818-1, 2.7.2).
const RATE_SAMPLE_BYTES: u64 = 188 * 65_536;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Command,
    }

    #[test]
    fn every_impairment_can_be_asked_for() {
        let line = "x impair --listen 127.0.0.1:7000 --to 127.0.0.1:9000 --loss-up 2% --loss-down 1% --delay 20ms \
                    --jitter 5ms --reorder 1% --duplicate 1% --rate-limit 50Mb/s --burst-loss 0.1%:8 --seed 7";
        let cli = Cli::try_parse_from(line.split_whitespace()).expect("a valid command line");
        let Command::Impair(impair) = cli.command else { panic!("impair was asked for") };
        let settings = impair.settings();
        assert_eq!(settings.seed, 7);
        assert_eq!(settings.up.loss.fraction(), 0.02);
        assert_eq!(settings.down.loss.fraction(), 0.01);
        assert_eq!(settings.up.delay, Duration::from_millis(20));
        assert_eq!(settings.down.rate, Some(Rate(50_000_000)));
        assert_eq!(settings.down.burst.map(|burst| burst.length), Some(8.0));
    }

    #[test]
    fn a_wrong_quantity_is_refused_with_a_remedy() {
        let line = "x impair --listen 127.0.0.1:7000 --to 127.0.0.1:9000 --delay 20";
        let error = Cli::try_parse_from(line.split_whitespace()).err().expect("refused").to_string();
        assert!(error.contains("as in 20ms"), "{error}");
    }
}
