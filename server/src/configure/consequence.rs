//! What a new configuration would change and whom it would touch.

use std::sync::Arc;

use flambeau_config::change::{self, Effect};
use flambeau_config::{Config, Policy, Problem, Severity};
use flambeau_edge::srt::Pulls;
use flambeau_ingest::srt::Venues;
use flambeau_media::directory::Directory;
use serde::Serialize;
use utoipa::ToSchema;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// `error` keeps it from running, `warning` does not.
    severity: FaultSeverity,
    /// The key as a dotted path; empty where none can be told.
    key: String,
    /// Its line, from 1; 0 where it has none.
    line: usize,
    /// What is wrong.
    message: String,
    /// What to do about it.
    remedy: String,
}

/// How much a fault matters.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FaultSeverity {
    /// It keeps the configuration from running.
    Error,
    /// It looks wrong, or is a risk.
    Warning,
}

/// One thing that would be different.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ChangeView {
    /// `added`, `removed` or `changed`.
    what: String,
    /// The key, an entry of a list by its id: `feeds[athletics-main].label`.
    subject: String,
    /// What comes of it.
    effect: String,
}

/// Something live that would end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Drop {
    /// What it is.
    pub(crate) kind: DropKind,
    /// Its id, as the API's lists have it.
    pub(crate) id: String,
    /// Why it would end.
    pub(crate) why: String,
}

/// What would end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DropKind {
    /// A Feed that is live.
    Feed,
    /// A Channel that is on air.
    Channel,
    /// A Session.
    Session,
}

/// What a configuration would come to.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct Check {
    /// What is wrong with it. An error keeps it from running.
    pub(crate) problems: Vec<Fault>,
    /// What is different from the one that runs.
    pub(crate) changes: Vec<ChangeView>,
    /// What is live and would end.
    pub(crate) drops: Vec<Drop>,
    /// Keys whose change waits for a restart.
    pub(crate) needs_restart: Vec<String>,
}

/// The rooms whose sessions a change may end.
#[derive(Debug)]
pub(crate) struct Rooms {
    pub(crate) directory: Arc<Directory>,
    pub(crate) venues: Option<Venues>,
    pub(crate) pulls: Option<Pulls>,
}

impl From<&Problem> for Fault {
    fn from(problem: &Problem) -> Self {
        let severity = match problem.severity {
            Severity::Error => FaultSeverity::Error,
            Severity::Warning => FaultSeverity::Warning,
        };
        let Problem { key, line, message, remedy, .. } = problem.clone();
        Self { severity, key, line, message, remedy }
    }
}

impl Check {
    /// What `new` comes to in place of `current`, in a process that `started` with another.
    pub(super) fn new(started: &Config, current: &Config, new: &Config, rooms: &Rooms) -> Self {
        let view = |change: change::Change| ChangeView {
            what: change.what.to_string(),
            subject: change.subject,
            effect: change.effect.to_string(),
        };
        let waits =
            change::between(started, new).into_iter().filter(|change| change.effect == Effect::Restart);
        Self {
            problems: new.warnings.iter().map(Fault::from).collect(),
            changes: change::between(current, new).into_iter().map(view).collect(),
            drops: rooms.drops(new),
            needs_restart: waits.map(|change| change.subject).collect(),
        }
    }

    /// Whether something goes off the air: that must be asked for.
    pub(super) fn takes_off_air(&self) -> bool {
        self.drops.iter().any(|drop| drop.kind != DropKind::Session)
    }
}

impl Rooms {
    fn drops(&self, new: &Config) -> Vec<Drop> {
        let policy = Policy::new(new);
        let drop = |kind, id: &dyn ToString, why: String| Drop { kind, id: id.to_string(), why };
        let mut drops = Vec::new();
        for feed in self.directory.feeds() {
            if policy.feed(feed.id()).is_none() {
                drops.push(drop(DropKind::Feed, feed.id(), "it is no longer configured".into()));
            }
        }
        for channel in self.directory.channels() {
            if self.directory.feed(channel.feed()).is_none() {
                continue; // It is off the air already.
            }
            match new.channels.iter().find(|plan| plan.id == *channel.id()) {
                None => {
                    drops.push(drop(DropKind::Channel, channel.id(), "it is no longer configured".into()))
                }
                Some(plan) if plan.feed != *channel.feed() => {
                    let why = format!("it is made of feed {} instead of {}", plan.feed, channel.feed());
                    drops.push(drop(DropKind::Channel, channel.id(), why));
                }
                Some(_) => {}
            }
        }
        for venue in self.venues.iter().flat_map(Venues::list) {
            let Some(why) = venue.objection(&policy) else { continue };
            if policy.feed(&venue.feed).is_some() {
                drops.push(drop(DropKind::Feed, &venue.feed, format!("its venue's session ends: {why}")));
            }
            drops.push(drop(DropKind::Session, &format!("srt-in-{}", venue.id), why));
        }
        for pull in self.pulls.iter().flat_map(Pulls::list) {
            if let Some(why) = pull.objection(&policy) {
                drops.push(drop(DropKind::Session, &format!("srt-out-{}", pull.id), why));
            }
        }
        drops
    }
}
