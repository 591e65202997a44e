//! `flambeau`: live broadcast contribution in, the same stream and its packaged form out.

mod admin;
mod check;
mod cli;
mod failure;
mod log;
mod metrics;
mod run;

use std::path::Path;
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
            Ok(config) => finish(serve(config, cli::Roles::new(&role), level)),
            Err(problems) => check::refuse(&problems),
        },
        Command::Check { config } => check::check(&config),
        Command::Schema => finish(check::print_json(&json_schema::document())),
        Command::Loadtest { command } => finish(loadtest(command, level)),
    }
}

/// The configuration to run with: the file's, or lab mode's where none is given.
fn load(path: Option<&Path>) -> Result<Config, Vec<Problem>> {
    path.map_or_else(|| Ok(Config::lab()), Config::load)
}

fn serve(config: Config, roles: cli::Roles, level: Option<&str>) -> anyhow::Result<()> {
    log::init(&config.log, level)?;
    for warning in &config.warnings {
        let (file, line) = (warning.file.display(), warning.line);
        tracing::warn!(%file, line, key = warning.key, remedy = warning.remedy, "{}", warning.message);
    }
    runtime()?.block_on(run::run(config, roles))
}

fn loadtest(command: flambeau_loadtest::Command, level: Option<&str>) -> anyhow::Result<()> {
    log::init(&flambeau_config::Log::default(), level)?;
    runtime()?.block_on(command.run())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
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
