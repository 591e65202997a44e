//! The configuration while the node runs: read again, replaced, undone, and each that there was remembered.
//!
//! The file is the truth: a restart comes up with it. A configuration that is taken through the API is kept as a
//! revision, put into the file, and applied, in this order; each step that fails leaves what there was.

mod consequence;
mod file;
mod revisions;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flambeau_config::{Config, Live, Problem, Severity};

use crate::log::Logging;
pub(crate) use consequence::{Check, Drop, Fault, Rooms};
pub(crate) use revisions::Meta;
use revisions::Revisions;

/// The configuration while the node runs. Its methods wait for the disk: call them where that is allowed.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The file; None in lab mode.
    path: Option<PathBuf>,
    live: Live,
    logging: Logging,
    rooms: Rooms,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The text that runs.
    text: String,
    /// The revision that runs, where it is kept.
    revision: Option<u64>,
    /// Why revisions cannot be kept, or they.
    revisions: Result<Revisions, String>,
}

/// A configuration that is to replace the one that runs.
#[derive(Debug)]
pub(crate) struct Proposal {
    /// The text of the file to be.
    pub(crate) text: String,
    /// What it is for.
    pub(crate) comment: String,
    /// What is on air may end.
    pub(crate) force: bool,
    /// The revision that it was made from; None: whichever runs.
    pub(crate) made_from: Option<u64>,
}

/// Why a configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// There is no file to put it into.
    #[error(
        "this node runs in lab mode, without a configuration: start it with one, flambeau run CONFIG.toml"
    )]
    Lab,
    /// The file or its revisions cannot be written.
    #[error(
        "{what} cannot be written: {why}; give the server's user the right to, or edit the file and reload it"
    )]
    NotWritable {
        /// Which of them.
        what: String,
        /// Why.
        why: String,
    },
    /// Another one was taken meanwhile.
    #[error(
        "it was made from revision {made_from}, and revision {current} runs: look at what changed, then try again"
    )]
    Stale {
        /// The revision that it was made from.
        made_from: u64,
        /// The one that runs.
        current: u64,
    },
    /// The file has an edit that nobody has read yet.
    #[error("the file was edited by hand and not reloaded: reload it first, or replace it with force")]
    EditedByHand,
    /// It would take something off the air.
    #[error("it would take off the air what is live: ask for that with force")]
    TakesOffAir(Vec<Drop>),
    /// It is wrong.
    #[error("the configuration is wrong: nothing was changed")]
    Wrong(Vec<Problem>),
    /// There is no such revision.
    #[error("there is no revision {0}")]
    NoRevision(u64),
    /// The revision cannot be read.
    #[error("revision {0} is broken: {1}")]
    Broken(u64, String),
}

impl Configuration {
    /// The configuration that `live` started with: `source` is its file and the text of it, none in lab mode.
    pub(crate) fn new(source: Option<(PathBuf, String)>, live: Live, logging: Logging, rooms: Rooms) -> Self {
        let (path, text) = source.unzip();
        let mut state = State {
            text: text.unwrap_or_default(),
            revision: None,
            revisions: Err("there are none in lab mode".into()),
        };
        if let Some(path) = &path {
            let directory = state_directory(path, &live.current());
            state.revisions = Revisions::open(directory.clone()).map_err(|error| {
                tracing::warn!(directory = %directory.display(), %error, "revisions of the configuration cannot be kept");
                format!("{}: {error}", directory.display())
            });
            state.note("edited by hand");
        }
        Self { path, live, logging, rooms, state: Mutex::new(state) }
    }

    /// The file; None in lab mode.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The revision that runs and its text.
    pub(crate) fn current(&self) -> (Option<u64>, String) {
        let state = self.lock();
        (state.revision, state.text.clone())
    }

    /// The revision that runs.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.lock().revision
    }

    /// Why it cannot be replaced through the API, if it cannot.
    pub(crate) fn obstacle(&self) -> Option<Refusal> {
        let Some(path) = &self.path else { return Some(Refusal::Lab) };
        if let Err(why) = &self.lock().revisions {
            return Some(Refusal::NotWritable {
                what: "the directory of revisions".into(),
                why: why.clone(),
            });
        }
        let why = file::obstacle(path)?.to_string();
        Some(Refusal::NotWritable { what: path.display().to_string(), why })
    }

    /// What `text` would come to.
    pub(crate) fn check(&self, text: &str) -> Check {
        match Config::parse(text, self.path.as_deref().unwrap_or(Path::new("flambeau.toml"))) {
            Err(problems) => {
                Check { problems: problems.iter().map(Fault::from).collect(), ..Check::default() }
            }
            Ok(config) if self.path.is_none() => {
                Check { problems: config.warnings.iter().map(Fault::from).collect(), ..Check::default() }
            }
            Ok(config) => self.consequences(&config),
        }
    }

    /// Replaces the configuration, file and all. The number is that of the new revision.
    pub(crate) fn replace(&self, proposal: Proposal, by: &str) -> Result<(u64, Check), Refusal> {
        let path = self.path.as_deref().ok_or(Refusal::Lab)?;
        let mut state = self.lock();
        if let (Some(made_from), Some(current)) = (proposal.made_from, state.revision)
            && made_from != current
        {
            return Err(Refusal::Stale { made_from, current });
        }
        let config = Config::parse(&proposal.text, path).map_err(Refusal::Wrong)?;
        let check = self.consequences(&config);
        if check.takes_off_air() && !proposal.force {
            return Err(Refusal::TakesOffAir(check.drops));
        }
        let on_disk = Config::text(path).ok();
        let edited = on_disk.filter(|on_disk| *on_disk != state.text && *on_disk != proposal.text);
        let unwritable = |what: String| move |why: String| Refusal::NotWritable { what, why };
        let State { revisions, .. } = &mut *state;
        let revisions =
            revisions.as_mut().map_err(|why| unwritable("the directory of revisions".into())(why.clone()))?;
        if let Some(edited) = edited {
            if !proposal.force {
                return Err(Refusal::EditedByHand);
            }
            // What someone wrote is not lost, be it right or wrong.
            let kept = revisions.add(&edited, "edited by hand, never run", "file");
            kept.map_err(|error| unwritable("the revision".into())(error.to_string()))?;
        }
        let revision = revisions
            .add(&proposal.text, &proposal.comment, by)
            .map_err(|error| unwritable("the revision".into())(error.to_string()))?;
        if let Err(error) = file::replace(path, proposal.text.as_bytes()) {
            revisions.take_back(revision);
            return Err(unwritable(path.display().to_string())(error.to_string()));
        }
        (state.text, state.revision) = (proposal.text, Some(revision));
        self.apply(config, &check, Some(revision), by);
        Ok((revision, check))
    }

    /// Runs a revision again, as a new one.
    pub(crate) fn restore(&self, number: u64, force: bool, by: &str) -> Result<(u64, Check), Refusal> {
        let (_, text) = self.find(number)?;
        let comment = format!("revision {number} restored");
        self.replace(Proposal { text, comment, force, made_from: None }, by)
    }

    /// Reads the file again. What is wrong with it is logged, and then nothing changes. What it takes off the air goes:
    /// who edits a file and asks for it to be read has said so.
    pub(crate) fn reload(&self, by: &str) -> Result<(Option<u64>, Check), Refusal> {
        let path = self.path.as_deref().ok_or(Refusal::Lab)?;
        let mut state = self.lock();
        let read = Config::text(path).map_err(|problem| vec![problem]);
        let parsed = read.and_then(|text| Ok((Config::parse(&text, path)?, text)));
        let (config, text) = parsed.map_err(|problems| {
            report(&problems);
            let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
            tracing::error!(path = %path.display(), errors, by, "the configuration is wrong: nothing was changed");
            Refusal::Wrong(problems)
        })?;
        report(&config.warnings);
        let check = self.consequences(&config);
        state.text = text;
        state.note("reloaded");
        self.apply(config, &check, state.revision, by);
        Ok((state.revision, check))
    }

    /// Each revision, newest first: what is known of it, or why it cannot be read.
    pub(crate) fn revisions(&self) -> Vec<(u64, Result<Meta, String>)> {
        match &self.lock().revisions {
            Ok(revisions) => revisions.list().map(|(number, meta)| (number, meta.clone())).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// A revision and its text.
    pub(crate) fn find(&self, number: u64) -> Result<(Meta, String), Refusal> {
        let state = self.lock();
        let revisions = state.revisions.as_ref().map_err(|_| Refusal::NoRevision(number))?;
        let found = revisions.find(number).ok_or(Refusal::NoRevision(number))?;
        found.map_err(|why| Refusal::Broken(number, why))
    }

    fn consequences(&self, config: &Config) -> Check {
        Check::new(self.live.started(), &self.live.current(), config, &self.rooms)
    }

    fn apply(&self, config: Config, check: &Check, revision: Option<u64>, by: &str) {
        self.logging.follow(&config.log);
        for drop in &check.drops {
            tracing::warn!(kind = ?drop.kind, id = drop.id, "ended by the new configuration: {}", drop.why);
        }
        for key in &check.needs_restart {
            tracing::warn!(key, "this change waits for a restart");
        }
        self.live.apply(config);
        tracing::info!(revision, by, changes = check.changes.len(), "the configuration is applied");
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes a revision of the text, unless the newest is of the same.
    fn note(&mut self, comment: &str) {
        let Ok(revisions) = &mut self.revisions else { return };
        let newest = revisions.newest();
        if let Some((meta, _)) = newest.as_ref().filter(|(_, text)| *text == self.text) {
            self.revision = Some(meta.revision);
            return;
        }
        let comment = if newest.is_none() { "the first" } else { comment };
        self.revision = match revisions.add(&self.text, comment, "file") {
            Ok(revision) => Some(revision),
            Err(error) => {
                tracing::warn!(%error, "this revision of the configuration cannot be kept");
                None
            }
        };
    }
}

/// Logs what is wrong with a configuration.
pub(crate) fn report(problems: &[Problem]) {
    for Problem { severity, file, line, key, message, remedy, .. } in problems {
        let file = file.display();
        match severity {
            Severity::Error => tracing::error!(%file, line, key, remedy, "{message}"),
            Severity::Warning => tracing::warn!(%file, line, key, remedy, "{message}"),
        }
    }
}

/// Where the revisions are: `state.dir`, or `flambeau.state` beside `flambeau.toml`.
fn state_directory(path: &Path, config: &Config) -> PathBuf {
    match &config.state.dir {
        Some(directory) => path.parent().unwrap_or(Path::new("")).join(directory),
        None => path.with_extension("state"),
    }
}

/// Runs what waits for the disk where that is allowed.
pub(crate) async fn on_disk<T: Send + 'static>(
    configuration: &Arc<Configuration>,
    work: impl FnOnce(&Configuration) -> T + Send + 'static,
) -> T {
    let configuration = configuration.clone();
    match tokio::task::spawn_blocking(move || work(&configuration)).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
