//! The archive of a node: which Channels have a past, how long it is kept, and how much of it.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flambeau_config::{Config, Live};
use flambeau_media::{ChannelId, Utc};
use tokio::task::JoinHandle;

use super::disk;
use super::past::Past;
use super::read::Desk;
use super::stats::Stats;
use super::writer;

/// How often it is looked for what must go.
const SWEEP: Duration = Duration::from_secs(5);

/// How long what is on disk may take to be read at start. Packaging waits for it, for its numbers go on from there.
const OPEN_TIME_MAX: Duration = Duration::from_secs(30);

/// How long the end waits for Segments to be written.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// Held by the process that writes below a directory: another must not. No id of a Channel starts so.
const LOCK: &str = ".lock";

/// The pasts of a node's Channels. A clone is the same.
#[derive(Debug, Clone)]
pub(crate) struct Archive(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    live: Live,
    /// Where it is on disk; None: there is nothing on disk.
    root: Option<Root>,
    desk: Desk,
    pasts: Mutex<BTreeMap<ChannelId, Kept>>,
}

#[derive(Debug)]
struct Root {
    directory: PathBuf,
    /// Held as long as the process writes there.
    _lock: File,
}

#[derive(Debug)]
struct Kept {
    past: Past,
    writer: Option<JoinHandle<()>>,
}

impl Kept {
    /// Nobody has it, and there is nothing of it.
    fn is_over(&self) -> bool {
        let over = self.past.is_empty() && self.past.shares() <= 1 + usize::from(self.writer.is_some());
        if over {
            self.past.close();
        }
        over
    }
}

/// Why nothing is kept on disk.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("another process writes there")]
    Taken,
    #[error("it was not read within {} s", OPEN_TIME_MAX.as_secs())]
    TooSlow,
}

impl Archive {
    /// Opens what `[packager] archive` names and reads what is there. Where that cannot be, the reason is logged and
    /// there is no past on disk.
    pub(crate) async fn open(live: &Live) -> Self {
        let Some(directory) = live.started().packager.archive.clone() else {
            return Self::in_memory(live);
        };
        let (config, desk) = (live.current(), Desk::default());
        let reading = {
            let (directory, desk) = (directory.clone(), desk.clone());
            tokio::task::spawn_blocking(move || restore(&directory, &config, &desk))
        };
        let restored = match tokio::time::timeout(OPEN_TIME_MAX, reading).await {
            Ok(restored) => restored.unwrap_or_else(|error| Err(io::Error::other(error).into())),
            Err(_) => Err(Unusable::TooSlow),
        };
        match restored {
            Ok((root, pasts)) => {
                let bytes: u64 = pasts.iter().map(Past::bytes).sum();
                tracing::info!(directory = %directory.display(), channels = pasts.len(), bytes, "the archive is open");
                Self::new(live, Some(root), desk, pasts)
            }
            Err(error) => {
                tracing::error!(directory = %directory.display(), %error, "the archive cannot be used: nothing is kept on disk, live goes on");
                Self::new(live, None, desk, Vec::new())
            }
        }
    }

    /// One that keeps nothing on disk.
    pub(crate) fn in_memory(live: &Live) -> Self {
        Self::new(live, None, Desk::default(), Vec::new())
    }

    fn new(live: &Live, root: Option<Root>, desk: Desk, pasts: Vec<Past>) -> Self {
        let kept = |past: Past| {
            let writer = Some(writer::start(&past));
            (past.channel().clone(), Kept { past, writer })
        };
        let pasts = Mutex::new(pasts.into_iter().map(kept).collect());
        Self(Arc::new(Inner { live: live.clone(), root, desk, pasts }))
    }

    /// The past of a Channel whose memory reaches back this far.
    pub(crate) fn past(&self, channel: &ChannelId, memory: Duration) -> Past {
        let mut pasts = self.pasts();
        if let Some(kept) = pasts.get(channel) {
            return kept.past.clone();
        }
        let directory = self.0.root.as_ref().map(|root| root.directory.join(channel.as_str()));
        let on_disk = directory.is_some();
        let window = if on_disk { window_of(&self.0.live.current(), channel) } else { memory };
        let past = Past::new(channel.clone(), directory, window, self.0.desk.clone());
        let writer = on_disk.then(|| writer::start(&past));
        pasts.insert(channel.clone(), Kept { past: past.clone(), writer });
        past
    }

    /// The Channels of the configuration that have something on disk.
    pub(crate) fn on_disk(&self) -> Vec<ChannelId> {
        let pasts = self.pasts();
        pasts.iter().filter(|(_, kept)| kept.past.bytes() > 0).map(|(id, _)| id.clone()).collect()
    }

    /// What each Channel's archive holds and has done. None: nothing is kept on disk.
    pub(crate) fn stats(&self) -> Option<Vec<(ChannelId, Stats)>> {
        self.0.root.as_ref()?;
        let pasts: Vec<Past> = self.pasts().values().map(|kept| kept.past.clone()).collect();
        Some(pasts.iter().map(|past| (past.channel().clone(), past.stats())).collect())
    }

    /// Forgets and deletes what is too old or too much, again and again.
    pub(crate) async fn sweep(self) {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failed = false;
        loop {
            ticks.tick().await;
            let archive = self.clone();
            let swept = tokio::task::spawn_blocking(move || archive.sweep_once(Utc::now())).await;
            let result = swept.map_err(io::Error::other).flatten();
            if let Err(error) = &result
                && !failed
            {
                tracing::error!(%error, "what is too old cannot be deleted from the archive");
            }
            failed = result.is_err();
        }
    }

    /// It blocks.
    fn sweep_once(&self, now: Utc) -> io::Result<()> {
        let config = self.0.live.current();
        let pasts: Vec<Past> = self.pasts().values().map(|kept| kept.past.clone()).collect();
        let mut result = Ok(());
        for past in &pasts {
            if self.0.root.is_some() {
                past.keep(window_of(&config, past.channel()));
            }
            // One that fails must not keep the others from being swept.
            result = result.and(past.sweep(now));
        }
        let bytes_max = config.packager.archive_bytes_max as u64;
        while pasts.iter().map(Past::bytes).sum::<u64>() > bytes_max {
            let oldest = pasts.iter().filter_map(|past| Some((past.oldest()?, past)));
            let Some(((slot, name), past)) = oldest.min_by(|(a, _), (b, _)| a.cmp(b)) else { break };
            past.delete(slot, &name)?;
        }
        drop(pasts);
        self.pasts().retain(|_, kept| !kept.is_over());
        result
    }

    /// Writes what waits, and nothing after it.
    pub(crate) async fn close(&self) {
        let writers: Vec<JoinHandle<()>> = {
            let mut pasts = self.pasts();
            pasts.values().for_each(|kept| kept.past.close());
            pasts.values_mut().filter_map(|kept| kept.writer.take()).collect()
        };
        let written = async {
            for writer in writers {
                let _ = writer.await;
            }
        };
        if tokio::time::timeout(CLOSE_TIME_MAX, written).await.is_err() {
            tracing::warn!("the disk is too slow: the last Segments are not in the archive");
        }
    }

    fn pasts(&self) -> MutexGuard<'_, BTreeMap<ChannelId, Kept>> {
        self.0.pasts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a Channel's Segments are kept on disk; one that is no longer configured, as long as any other.
fn window_of(config: &Config, channel: &ChannelId) -> Duration {
    let own = config.channels.iter().find(|plan| plan.id == *channel).and_then(|plan| plan.archive_window);
    own.unwrap_or(config.packager.archive_window)
}

/// What is below `directory`, which is ours from now on. It blocks.
fn restore(directory: &Path, config: &Config, desk: &Desk) -> Result<(Root, Vec<Past>), Unusable> {
    fs::create_dir_all(directory)?;
    let lock = File::create(directory.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Unusable::Taken),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let mut pasts = Vec::new();
    for name in disk::names(directory)? {
        let path = directory.join(&name);
        let Ok(channel) = name.parse::<ChannelId>() else { continue };
        if !path.is_dir() {
            continue;
        }
        let window = window_of(config, &channel);
        let past = Past::new(channel, Some(path), window, desk.clone());
        past.restore()?;
        pasts.push(past);
    }
    Ok((Root { directory: directory.to_owned(), _lock: lock }, pasts))
}

#[cfg(test)]
mod tests;
