//! `flambeau`: live broadcast contribution in, the same stream and its packaged form out.

mod admin;
mod check;
mod cli;
mod configure;
mod failure;
mod log;
mod metrics;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use flambeau_config::{Config, Problem, json_schema};

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = cli.log_level.as_deref();
    match cli.command {
        Command::Run { config, role } => match load(config.as_deref()) {
            Ok((config, source)) => finish(serve(config, source, cli::Roles::new(&role), level)),
            Err(problems) => check::refuse(&problems),
        },
        Command::Check { config } => check::check(&config),
        Command::Schema => finish(check::print_json(&json_schema::document())),
        Command::Loadtest { command } => finish(loadtest(command, level)),
    }
}

/// A file and the text of it.
type Source = (PathBuf, String);

/// The configuration to run with: the file's, or lab mode's where none is given.
fn load(path: Option<&Path>) -> Result<(Config, Option<Source>), Vec<Problem>> {
    let Some(path) = path else { return Ok((Config::lab(), None)) };
    let text = Config::text(path).map_err(|problem| vec![problem])?;
    Ok((Config::parse(&text, path)?, Some((path.to_owned(), text))))
}

fn serve(
    config: Config,
    source: Option<Source>,
    roles: cli::Roles,
    level: Option<&str>,
) -> anyhow::Result<()> {
    let logging = log::init(&config.log, level)?;
    configure::report(&config.warnings);
    runtime(EVENT_INTERVAL)?.block_on(run::run(run::Setup { config, source, roles, logging }))
}

fn loadtest(command: flambeau_loadtest::Command, level: Option<&str>) -> anyhow::Result<()> {
    log::init(&flambeau_config::Log::default(), level)?;
    runtime(TOKIO_EVENT_INTERVAL)?.block_on(command.run())
}

/// A Part that comes wakes all who wait for it, a thousand at a time. Whoever was answered asks for the next one at once:
/// looked for as often as tokio does by itself, those questions are read before the last answers are written, and the
/// p99 of the answers is a third higher (20 ms instead of 15). A thousand answers take some 10 ms of a core, and that
/// is what a question may have to wait where workers have no rest.
const EVENT_INTERVAL: u32 = 1024;
/// What tokio has by itself.
const TOKIO_EVENT_INTERVAL: u32 = 61;

/// Worker threads that look for events of sockets and timers after `event_interval` tasks, or when there is no task left.
fn runtime(event_interval: u32) -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .event_interval(event_interval)
        .enable_all()
        .build()
        .context("the worker threads cannot start")
}

/// Exit code 0, or 1 and the error on stderr with its remedy.
fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}
