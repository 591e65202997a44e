//! Reads the TOML file into a [`Config`], and finds everything that is wrong with it in one pass.
//!
//! Three layers, each of which reports and goes on: [`report`] knows where each key stands and collects the
//! problems; [`section`] takes typed values off a table and knows which keys were asked for; [`cross`] checks
//! what concerns several keys. This file says which keys there are.

mod cross;
mod report;
mod section;
mod value;

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::problem::{Problem, Severity};
use crate::schema::{
    Admin, Broadcaster, ChannelConfig, Config, Drain, EdgeHttp, EdgeSrt, Entitlement, FeedConfig, IngestSrt,
    Log, Packager, State,
};
use crate::units::BitRate;

use report::Report;
use section::Section;
use value::{Label, Level, Origin, User};

/// The configuration in the file at `path`.
pub(crate) fn load(path: &Path) -> Result<Config, Vec<Problem>> {
    text(path).map_err(|problem| vec![problem]).and_then(|text| parse(&text, path))
}

/// The text of the file at `path`.
pub(crate) fn text(path: &Path) -> Result<String, Problem> {
    text_of(path).map_err(|(message, remedy)| Problem {
        severity: Severity::Error,
        file: path.into(),
        line: 0,
        column: 0,
        key: String::new(),
        message,
        remedy,
    })
}

/// The configuration `text` says; `path` is where it stands, and what the files of its secrets are relative to.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Config, Vec<Problem>> {
    let report = Report::new(path, text);
    let (config, problems) = read(text, report);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(problems);
    }
    Ok(Config { warnings: problems, ..config })
}

fn read(text: &str, mut report: Report) -> (Config, Vec<Problem>) {
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    report.locate(document.get_ref());
    for error in &syntax_errors {
        report.syntax_error(error);
    }
    let root = DeValue::Table(document.into_inner());
    let draft = Draft::read(Section::root(&report, &root));
    // What a broken line meant to say is not known: what would be missed without it is not reported.
    if syntax_errors.is_empty() {
        cross::check(&draft, &report);
    }
    (draft.into_config(), report.into_problems())
}

/// A configuration in the making. An entry that has no id, or one that is none, is None, so that the others keep
/// their places.
struct Draft {
    config: Config,
    feeds: Vec<Option<FeedConfig>>,
    channels: Vec<Option<ChannelConfig>>,
    broadcasters: Vec<Option<Broadcaster>>,
    entitlements: Vec<Option<Entitlement>>,
}

impl Draft {
    fn read(mut root: Section) -> Self {
        let mut config = Config::default();
        let mut ingest = root.section("ingest");
        ingest_srt(ingest.section("srt"), &mut config.ingest.srt);
        ingest.finish();
        let mut edge = root.section("edge");
        edge_srt(edge.section("srt"), &mut config.edge.srt);
        edge_http(edge.section("http"), &mut config.edge.http);
        edge.finish();
        packager(root.section("packager"), &mut config.packager);
        admin(root.section("admin"), &mut config.admin);
        state(root.section("state"), &mut config.state);
        log(root.section("log"), &mut config.log);
        drain(root.section("drain"), &mut config.drain);
        let draft = Self {
            config,
            feeds: root.sections("feeds").into_iter().map(feed).collect(),
            channels: root.sections("channels").into_iter().map(channel).collect(),
            broadcasters: root.sections("broadcasters").into_iter().map(broadcaster).collect(),
            entitlements: root.sections("entitlements").into_iter().map(entitlement).collect(),
        };
        root.finish();
        draft
    }

    fn into_config(self) -> Config {
        Config {
            feeds: self.feeds.into_iter().flatten().collect(),
            channels: self.channels.into_iter().flatten().collect(),
            broadcasters: self.broadcasters.into_iter().flatten().collect(),
            entitlements: self.entitlements.into_iter().flatten().collect(),
            ..self.config
        }
    }
}

fn ingest_srt(mut section: Section, srt: &mut IngestSrt) {
    section.value("listen", &mut srt.listen);
    section.within("latency", &mut srt.latency, LATENCY);
    section.secret("passphrase", &mut srt.passphrase, PASSPHRASE_BYTES);
    section.value("key_length", &mut srt.key_length);
    section.option_within("bandwidth_max", &mut srt.bandwidth_max, BANDWIDTH);
    section.within("sessions_max", &mut srt.sessions_max, 1..=1_000_000);
    section.within("sessions_per_address_max", &mut srt.sessions_per_address_max, 1..=1_000_000);
    section.within("handshakes_per_second_max", &mut srt.handshakes_per_second_max, 1..=1_000_000);
    section.list("sources", &mut srt.sources, |network| network);
    section.list("banned", &mut srt.banned, |network| network);
    section.within("idle_timeout", &mut srt.idle_timeout, SECOND..=FIVE_MINUTES);
    section.within("reconnect_grace", &mut srt.reconnect_grace, Duration::ZERO..=HOUR);
    section.finish();
}

fn edge_srt(mut section: Section, srt: &mut EdgeSrt) {
    section.value("listen", &mut srt.listen);
    section.within("latency", &mut srt.latency, LATENCY);
    section.within("wait_for_feed", &mut srt.wait_for_feed, Duration::ZERO..=HOUR);
    section.option_within("bandwidth_max", &mut srt.bandwidth_max, BANDWIDTH);
    section.option_within("bandwidth_total_max", &mut srt.bandwidth_total_max, BANDWIDTH_TOTAL);
    section.within("sessions_max", &mut srt.sessions_max, 1..=1_000_000);
    section.within("sessions_per_address_max", &mut srt.sessions_per_address_max, 1..=1_000_000);
    section.within("handshakes_per_second_max", &mut srt.handshakes_per_second_max, 1..=1_000_000);
    section.list("sources", &mut srt.sources, |network| network);
    section.list("banned", &mut srt.banned, |network| network);
    section.within("idle_timeout", &mut srt.idle_timeout, SECOND..=FIVE_MINUTES);
    section.finish();
}

fn edge_http(mut section: Section, http: &mut EdgeHttp) {
    section.value("listen", &mut http.listen);
    http.certificate = section.file("certificate");
    http.key = section.file("key");
    section.within("connections_max", &mut http.connections_max, 1..=10_000_000);
    section.within("connections_per_address_max", &mut http.connections_per_address_max, 1..=10_000_000);
    section.within("requests_per_second_max", &mut http.requests_per_second_max, 1..=10_000_000);
    section.bytes("header_bytes_max", &mut http.header_bytes_max, 8 << 10..=1 << 20);
    section.within("header_timeout", &mut http.header_timeout, Duration::from_millis(100)..=FIVE_MINUTES);
    section.within("idle_timeout", &mut http.idle_timeout, SECOND..=HOUR);
    section.within("write_timeout", &mut http.write_timeout, SECOND..=HOUR);
    section.list("cors_origins", &mut http.cors_origins, |Origin(text)| text);
    http.access_log = section.file("access_log");
    section.finish();
}

fn packager(mut section: Section, packager: &mut Packager) {
    section.within("part", &mut packager.part, PART);
    section.within("segment", &mut packager.segment, SEGMENT);
    section.within("window", &mut packager.window, WINDOW);
    section.bytes("memory_max", &mut packager.memory_max, 16 << 20..=256 << 30);
    section.value("low_latency_dash", &mut packager.low_latency_dash);
    section.value("hls_gaps", &mut packager.hls_gaps);
    packager.archive = section.file("archive");
    section.within("archive_window", &mut packager.archive_window, ARCHIVE_WINDOW);
    section.bytes("archive_bytes_max", &mut packager.archive_bytes_max, 16 << 20..=1 << 50);
    section.finish();
}

fn admin(mut section: Section, admin: &mut Admin) {
    section.value("listen", &mut admin.listen);
    section.secret("token", &mut admin.token, TOKEN_BYTES);
    section.finish();
}

fn state(mut section: Section, state: &mut State) {
    state.dir = section.take("dir");
    section.finish();
}

fn log(mut section: Section, log: &mut Log) {
    section.value("format", &mut log.format);
    if let Some(Level(level)) = section.take("level") {
        log.level = level;
    }
    section.finish();
}

fn drain(mut section: Section, drain: &mut Drain) {
    section.within("grace", &mut drain.grace, Duration::ZERO..=HOUR);
    section.finish();
}

fn feed(mut section: Section) -> Option<FeedConfig> {
    let mut feed = section.required("id").map(FeedConfig::new);
    // Each key is read even where the id is none, so that its own problems are found.
    let mut unnamed = FeedConfig::new(placeholder());
    let into = feed.as_mut().unwrap_or(&mut unnamed);
    into.label = section.take("label").map(|Label(text)| text);
    section.secret("passphrase", &mut into.passphrase, PASSPHRASE_BYTES);
    section.list("users", &mut into.users, |User(name)| name);
    section.list("sources", &mut into.sources, |network| network);
    section.within("history", &mut into.history, Duration::from_millis(500)..=FIVE_MINUTES);
    section.bytes("history_bytes", &mut into.history_bytes, 256 << 10..=16 << 30);
    section.finish();
    feed
}

fn channel(mut section: Section) -> Option<ChannelConfig> {
    let (id, of) = (section.required("id"), section.required("feed"));
    let mut channel = id.zip(of).map(|(id, of)| ChannelConfig::new(id, of));
    let mut unnamed = ChannelConfig::new(placeholder(), placeholder());
    let into = channel.as_mut().unwrap_or(&mut unnamed);
    into.label = section.take("label").map(|Label(text)| text);
    section.option_within("part", &mut into.part, PART);
    section.option_within("segment", &mut into.segment, SEGMENT);
    section.option_within("window", &mut into.window, WINDOW);
    section.option_within("archive_window", &mut into.archive_window, ARCHIVE_WINDOW);
    section.value("public", &mut into.public);
    section.finish();
    channel
}

fn broadcaster(mut section: Section) -> Option<Broadcaster> {
    let id = section.required("id");
    let label = section.take("label").map(|Label(text)| text);
    let (mut passphrase, mut token) = (None, None);
    section.secret("passphrase", &mut passphrase, PASSPHRASE_BYTES);
    section.secret("token", &mut token, TOKEN_BYTES);
    section.finish();
    id.map(|id| Broadcaster { id, label, passphrase, token })
}

fn entitlement(mut section: Section) -> Option<Entitlement> {
    let broadcaster = section.required("broadcaster");
    let (mut feeds, mut channels) = (Vec::new(), Vec::new());
    section.list("feeds", &mut feeds, |glob| glob);
    section.list("channels", &mut channels, |glob| glob);
    section.finish();
    broadcaster.map(|broadcaster| Entitlement { broadcaster, feeds, channels })
}

/// An id for an entry that has none and is thrown away.
fn placeholder<T: std::str::FromStr<Err: std::fmt::Debug>>() -> T {
    "unnamed".parse().expect("'unnamed' keeps the rules of an id")
}

/// The text of the file, or what is wrong with it and the remedy.
fn text_of(path: &Path) -> Result<String, (String, String)> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        let remedy = "give the path of a TOML file that this user may read".to_owned();
        return Err((format!("it cannot be read: {error}"), remedy));
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("it has more than {FILE_BYTES_MAX} bytes");
        return Err((message, "give the path of a Flambeau configuration".to_owned()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|&b| b == b'\n').count();
        (format!("line {line} is not UTF-8"), "save the file as UTF-8".to_owned())
    })
}

/// No sensible configuration comes near: 10,000 Feeds take 1 MB.
const FILE_BYTES_MAX: u64 = 16 << 20;

const SECOND: Duration = Duration::from_secs(1);
const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);

// An SRT handshake carries the latency in 16 bits of milliseconds (draft-sharabayko-srt 3.2.1.1.3).
const LATENCY: std::ops::RangeInclusive<Duration> = Duration::from_millis(20)..=Duration::from_secs(30);
const BANDWIDTH: std::ops::RangeInclusive<BitRate> = BitRate(100_000)..=BitRate(100_000_000_000);
const BANDWIDTH_TOTAL: std::ops::RangeInclusive<BitRate> = BitRate(1_000_000)..=BitRate(1_000_000_000_000);
const PART: std::ops::RangeInclusive<Duration> = Duration::from_millis(40)..=Duration::from_secs(5);
const SEGMENT: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(30);
const WINDOW: std::ops::RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(12 * 3600);

// A clip of a contribution that others hold the rights to lives under a month.
const ARCHIVE_WINDOW: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 86_400);

// What libsrt takes as SRTO_PASSPHRASE; a peer could not be set to another.
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 10..=79;
const TOKEN_BYTES: std::ops::RangeInclusive<usize> = 8..=4096;

#[cfg(test)]
mod tests;
