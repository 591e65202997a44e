//! `flambeau check` and `flambeau schema`: what is wrong with a configuration, and what would run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what these commands are for")]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use flambeau_config::{Config, Problem, Severity};
use serde::Serialize;

/// Prints the configuration's problems on stderr and, if it would run, what would on stdout.
pub(crate) fn check(path: &Path) -> ExitCode {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    for warning in &config.warnings {
        eprintln!("{warning}");
    }
    println!("{}", summary(path, &config));
    ExitCode::SUCCESS
}

/// Prints the problems that keep a configuration from running. Exit code 2.
pub(crate) fn refuse(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        eprintln!("{problem}");
    }
    let (errors, warnings) = counts(problems);
    eprintln!("{errors} and {warnings}: this does not run.");
    ExitCode::from(CONFIGURATION_WRONG)
}

/// Prints a value as JSON on stdout.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    Ok(writeln!(out)?)
}

/// What would run.
fn summary(path: &Path, config: &Config) -> String {
    let (_, warnings) = counts(&config.warnings);
    let has = [
        count(config.feeds.len(), "Feed"),
        count(config.channels.len(), "Channel"),
        count(config.broadcasters.len(), "broadcaster"),
        count(config.entitlements.len(), "Entitlement"),
    ];
    format!(
        "{} is right, with {warnings}. It has {}, and listens on\n  \
         SRT in     udp {}\n  SRT out    udp {}\n  HLS, DASH  tcp {}\n  admin      tcp {}",
        path.display(),
        has.join(", "),
        config.ingest.srt.listen,
        config.edge.srt.listen,
        config.edge.http.listen,
        config.admin.listen,
    )
}

/// How many errors and warnings: `2 errors`, `1 warning`.
fn counts(problems: &[Problem]) -> (String, String) {
    let of = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    (count(of(Severity::Error), "error"), count(of(Severity::Warning), "warning"))
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// As clap's own for a wrong command line.
const CONFIGURATION_WRONG: u8 = 2;
