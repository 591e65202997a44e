//! Which Channels are packaged: one task each, restarted alone when it panics.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use flambeau_config::schema::ChannelConfig;
use flambeau_config::{Config, Live, Mode, Policy};
use flambeau_media::ChannelId;
use flambeau_media::channel::Channel;
use flambeau_media::directory::Directory;
use flambeau_media::feed::Feed;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::archive::{Archive, Past};
use crate::channel::{Stopped, Worker, is_closed, is_live};
use crate::packaging::Resume;
use crate::stats::Stats;
use crate::{Board, Timing};

/// First wait before a packager that panicked runs again; it doubles with each panic.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// After this long without a panic, the wait is the first one again.
const BACKOFF_FORGIVEN: Duration = Duration::from_secs(60);
/// Nothing is due: look again after this long.
const IDLE: Duration = Duration::from_secs(3600);

/// Watches the Directory, runs a Worker for each Channel whose Feed is there.
pub(crate) struct Supervisor {
    live: Live,
    /// The Channel ends with its Feed: there is no telling that it will come back.
    channels_end: bool,
    policy: Policy,
    directory: Arc<Directory>,
    board: Board,
    archive: Archive,
    entries: BTreeMap<ChannelId, Entry>,
    tasks: JoinSet<(Worker, Stopped)>,
    names: HashMap<Id, ChannelId>,
}

/// A Channel that is open.
struct Entry {
    channel: Arc<Channel>,
    past: Past,
    timing: Timing,
    resume: Arc<Mutex<Resume>>,
    /// Ends its Worker alone.
    stop: CancellationToken,
    /// The task of its Worker.
    task: Option<Id>,
    work: Work,
    backoff: Duration,
    started: Instant,
}

enum Work {
    Running,
    /// The Feed is closed; its Playlists stay until then.
    Closing {
        worker: Box<Worker>,
        until: Instant,
    },
    /// The packager panicked and runs again then.
    Backoff(Instant),
    /// Nothing is left of it but its place in the Directory.
    Idle,
}

impl Supervisor {
    pub(crate) fn new(live: &Live, directory: Arc<Directory>, board: Board) -> Self {
        Self {
            live: live.clone(),
            channels_end: live.current().mode == Mode::Lab,
            policy: live.policy(),
            directory,
            board,
            archive: Archive::in_memory(live),
            entries: BTreeMap::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
        }
    }

    /// `shared`: where others find the archive once it is open.
    pub(crate) async fn run(mut self, shutdown: CancellationToken, shared: Arc<OnceLock<Archive>>) {
        let archive = Archive::open(&self.live).await;
        self.archive = shared.get_or_init(|| archive).clone();
        self.open_archived();
        let sweeping = tokio::spawn(self.archive.clone().sweep());
        let (mut changes, mut configured) = (self.directory.changes(), self.live.subscribe());
        loop {
            changes.borrow_and_update();
            configured.borrow_and_update();
            self.follow_configuration();
            self.look(&shutdown);
            let due = self.due();
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = changes.changed() => {}
                _ = configured.changed() => {}
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
                () = tokio::time::sleep_until(due) => {}
            }
        }
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
        sweeping.abort();
        self.archive.close().await;
    }

    /// Channels that have something on disk can be watched from there before their Feed is back.
    fn open_archived(&mut self) {
        let config = self.live.current();
        for id in self.archive.on_disk() {
            if let Some(plan) = config.channels.iter().find(|plan| plan.id == id) {
                self.entries.insert(id, self.open(plan));
            }
        }
    }

    /// Ends the Channels that are no longer configured, and stops those that are configured otherwise, to be started
    /// anew. No other Channel is touched.
    fn follow_configuration(&mut self) {
        if self.channels_end {
            return; // The lab has no configuration to follow.
        }
        let config = self.live.current();
        let mut removed = Vec::new();
        for (id, entry) in &mut self.entries {
            let plan = config.channels.iter().find(|plan| plan.id == *id);
            let timing = plan.map(|plan| timing_of(&config, plan));
            let feed_stays = plan.is_some_and(|plan| plan.feed == *entry.channel.feed());
            if feed_stays && timing == Some(entry.timing) {
                continue;
            }
            if matches!(entry.work, Work::Running) {
                entry.stop.cancel(); // The end of its task brings us back here.
                continue;
            }
            let (Some(plan), Some(timing)) = (plan, timing) else {
                removed.push(id.clone());
                continue;
            };
            tracing::info!(channel = %id, "its configuration is another: it is packaged anew");
            entry.timing = timing;
            if let Work::Closing { .. } = entry.work {
                entry.work = Work::Idle;
            }
            if !feed_stays {
                entry.channel.clear();
                entry.channel = Channel::new(id.clone(), plan.feed.clone());
                entry.channel.set_archive(Arc::new(entry.past.clone()));
                self.directory.open_channel(entry.channel.clone());
            }
        }
        for id in removed {
            tracing::info!(channel = %id, "it is no longer configured: it ends");
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &ChannelId) {
        let Some(entry) = self.entries.remove(id) else { return };
        self.directory.close_channel(id);
        entry.channel.clear();
        self.board().remove(id);
    }

    /// Starts what can run and forgets what is over.
    fn look(&mut self, shutdown: &CancellationToken) {
        for feed in self.directory.feeds() {
            for plan in self.policy.channels_of(feed.id()) {
                // A Feed whose venue is away for a moment does not make a Channel, but one that is there goes on.
                let in_backoff = |entry: &Entry| matches!(entry.work, Work::Backoff(_)) && !is_closed(&feed);
                if is_live(&feed) || self.entries.get(&plan.id).is_some_and(in_backoff) {
                    self.ensure(&plan, &feed, shutdown);
                }
            }
        }
        self.expire();
    }

    fn ensure(&mut self, plan: &ChannelConfig, feed: &Arc<Feed>, shutdown: &CancellationToken) {
        if !self.entries.contains_key(&plan.id) {
            let entry = self.open(plan);
            self.entries.insert(plan.id.clone(), entry);
        }
        let Some(entry) = self.entries.get_mut(&plan.id) else { return };
        let now = Instant::now();
        let worker = match std::mem::replace(&mut entry.work, Work::Running) {
            Work::Running => return,
            Work::Backoff(until) if now < until => {
                entry.work = Work::Backoff(until);
                return;
            }
            Work::Closing { worker, .. } => *worker,
            Work::Backoff(_) | Work::Idle => entry.worker(&self.board),
        };
        entry.started = now;
        entry.stop = shutdown.child_token();
        let run = worker.run(feed.clone(), self.channels_end, entry.stop.clone(), entry.resume.clone());
        let id = self.tasks.spawn(run).id();
        entry.task = Some(id);
        self.names.insert(id, plan.id.clone());
        tracing::info!(channel = %plan.id, feed = %feed.id(), "packaging");
    }

    fn open(&self, plan: &ChannelConfig) -> Entry {
        let timing = timing_of(&self.live.current(), plan);
        let past = self.archive.past(&plan.id, timing.window);
        let channel = Channel::new(plan.id.clone(), plan.feed.clone());
        channel.set_archive(Arc::new(past.clone()));
        self.directory.open_channel(channel.clone());
        self.board().insert(plan.id.clone(), Stats::default());
        Entry {
            channel,
            past,
            timing,
            resume: Arc::default(),
            stop: CancellationToken::new(),
            task: None,
            work: Work::Idle,
            backoff: BACKOFF_MIN,
            started: Instant::now(),
        }
    }

    fn ended(&mut self, ended: Result<(Id, (Worker, Stopped)), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(name) = self.names.remove(&id) else { return };
        let Some(entry) = self.entries.get_mut(&name).filter(|entry| entry.task == Some(id)) else { return };
        match ended {
            Ok((_, (worker, stopped))) => {
                let until = Instant::now() + entry.timing.window;
                entry.work = Work::Closing { worker: Box::new(worker), until };
                if stopped == Stopped::FeedClosed {
                    tracing::info!(channel = %name, feed = %entry.channel.feed(), "the Feed is closed: packaging stops");
                }
            }
            Err(error) => {
                let message = panic_message(error);
                if entry.started.elapsed() >= BACKOFF_FORGIVEN {
                    entry.backoff = BACKOFF_MIN;
                }
                tracing::error!(
                    channel = %name,
                    backoff_ms = entry.backoff.as_millis() as u64,
                    "the packager panicked and is restarted: {message}"
                );
                entry.work = Work::Backoff(Instant::now() + entry.backoff);
                entry.backoff = (entry.backoff * 2).min(BACKOFF_MAX);
                let mut board = self.board();
                let stats = board.entry(name).or_default();
                stats.restarts += 1;
                stats.running = false;
                stats.last_error = Some(message);
            }
        }
    }

    /// Withdraws what was closed longer ago than its window.
    fn expire(&mut self) {
        let now = Instant::now();
        let over = |entry: &Entry| match entry.work {
            Work::Closing { until, .. } => now >= until,
            Work::Backoff(_) => self.directory.feed(entry.channel.feed()).is_none(),
            Work::Running | Work::Idle => false,
        };
        let expired: Vec<ChannelId> =
            self.entries.iter().filter(|(_, entry)| over(entry)).map(|(id, _)| id.clone()).collect();
        for id in expired {
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.channel.clear();
            entry.work = Work::Idle;
            if self.channels_end {
                self.remove(&id);
            }
        }
    }

    /// When something must be done that no event tells of.
    fn due(&self) -> Instant {
        let times = self.entries.values().filter_map(|entry| match entry.work {
            Work::Closing { until, .. } | Work::Backoff(until) => Some(until),
            Work::Running | Work::Idle => None,
        });
        // A time that has passed and was of no use (the Feed is away) must not make this loop spin.
        let soon = Instant::now() + Duration::from_millis(100);
        times.min().map_or_else(|| Instant::now() + IDLE, |due| due.max(soon))
    }

    fn board(&self) -> std::sync::MutexGuard<'_, BTreeMap<ChannelId, Stats>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// A Worker that goes on with the numbers of the one before.
    fn worker(&self, board: &Board) -> Worker {
        let resume = *self.resume.lock().unwrap_or_else(PoisonError::into_inner);
        let resumed = match resume.next_number {
            // Whatever was in the making is not gone on with.
            Some(_) => Resume { discontinuities: resume.discontinuities + 1, ..resume },
            None => self.past.resume(),
        };
        Worker::new(self.channel.clone(), self.past.clone(), self.timing, board.clone(), resumed)
    }
}

/// How a Channel is cut: as it says itself, or as `[packager]` does.
fn timing_of(config: &Config, plan: &ChannelConfig) -> Timing {
    let defaults = &config.packager;
    Timing {
        part: plan.part.unwrap_or(defaults.part),
        segment: plan.segment.unwrap_or(defaults.segment),
        window: plan.window.unwrap_or(defaults.window),
        memory_max: defaults.memory_max,
        low_latency_dash: defaults.low_latency_dash,
        hls_gaps: defaults.hls_gaps,
    }
}

fn panic_message(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast_ref::<&str>().map_or("a panic without words", |t| t).to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
