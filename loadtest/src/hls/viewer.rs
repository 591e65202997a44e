//! Fetches what [`Follower`] decides, and plays it.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::follow::{Fetch, Follower};
use super::playlist::{Choice, Piece};
use crate::cmaf::Init;
use crate::stage::{self, NOTE_EVERY, Place, Stage, Start};
use crate::web::{Error, Visitor, resolve};

/// Watches a Channel until it is told to stop. `low_latency`: by Parts and blocking reloads.
pub async fn watch(visitor: Visitor, channel: &str, low_latency: bool, stop: CancellationToken) {
    let path = format!("/{channel}/index.m3u8");
    let (choice, asked) = tokio::select! {
        found = choose(&visitor, &path) => found,
        () = stop.cancelled() => return visitor.record.error("not on air"),
    };
    let stage = Stage::new(choice.playlists.len(), visitor.record.clone(), asked);
    let stage = Arc::new(stage);
    let tracks = choice.playlists.iter().enumerate().map(|(track, playlist)| {
        let path = resolve(&path, playlist);
        Rendition::new(&visitor, stage.clone(), track, path, low_latency).follow()
    });
    let mut ticks = interval(NOTE_EVERY);
    let noting = async {
        loop {
            ticks.tick().await;
            stage.note();
        }
    };
    tokio::select! {
        _ = join_all(tracks) => {}
        () = noting => {}
        () = stop.cancelled() => {}
    }
    stage.note();
}

/// Loads the multivariant Playlist until it names a variant; tells when it was asked for.
async fn choose(visitor: &Visitor, path: &str) -> (Choice, Instant) {
    loop {
        let asked = Instant::now();
        match visitor.get(path, None, PATIENCE_MIN).await {
            Ok(text) => match Choice::read(&String::from_utf8_lossy(&text)) {
                Ok(Some(choice)) => return (choice, asked),
                Ok(None) => {}
                Err(error) => visitor.record.error(error.to_string()),
            },
            // A Channel is not there before its first Segment.
            Err(Error::Status(status)) if status == 404 => {}
            Err(error) => visitor.record.error(error.to_string()),
        }
        sleep(RETRY).await;
    }
}

/// One media Playlist and its media.
struct Rendition<'a> {
    visitor: &'a Visitor,
    stage: Arc<Stage>,
    track: usize,
    path: String,
    follower: Follower,
    /// The init segment in force.
    init: Option<(Piece, Init)>,
    shift: Option<i64>,
    loaded: Instant,
}

impl<'a> Rendition<'a> {
    fn new(visitor: &'a Visitor, stage: Arc<Stage>, track: usize, path: String, low_latency: bool) -> Self {
        let (follower, loaded) = (Follower::new(low_latency), Instant::now());
        Self { visitor, stage, track, path, follower, init: None, shift: None, loaded }
    }

    async fn follow(mut self) {
        loop {
            let asked = Instant::now();
            let directives = self.follower.directives(self.loaded.elapsed());
            let playlist = format!("{}{directives}", self.path);
            let patience = self.patience();
            let reload = self.visitor.get(&playlist, None, patience);
            let (reloaded, hinted) = join(reload, self.hinted()).await;
            if let Some(shift) = hinted {
                self.shift = shift;
                self.follower.took_hint();
            }
            self.loaded = Instant::now();
            let grown = match reloaded.map(|text| self.follower.take(&String::from_utf8_lossy(&text))) {
                Ok(Ok(grown)) => grown,
                Ok(Err(error)) => self.fail(&error.to_string()),
                Err(error) => self.fail(&error.to_string()),
            };
            if let Some(hold_back) = self.follower.known().and_then(|known| known.part_hold_back) {
                self.stage.refill(hold_back * 2 / 3);
            }
            while let Some(fetch) = self.follower.advance() {
                self.fetch(fetch).await;
            }
            if self.follower.known().is_some_and(|known| known.ended) {
                return pending().await;
            }
            self.pause(grown, !directives.is_empty(), asked).await;
        }
    }

    /// Waits as long as the standard asks before the next reload.
    async fn pause(&self, grown: bool, blocking: bool, asked: Instant) {
        let Some(known) = self.follower.known() else { return sleep(RETRY).await };
        let target = known.target_duration.max(RETRY);
        match (blocking, grown) {
            (true, true) => {}
            (true, false) => {
                // 6.2.5.2: the answer holds what was asked for, or comes after three target durations. A Playlist
                // without a hint has nothing to wait for: its source is silent.
                if known.hint.is_some() && asked.elapsed() < target * 3 / 2 {
                    self.visitor.record.count(|counts| counts.early_reloads += 1);
                }
                sleep(known.part_target.unwrap_or(target) / 2).await;
            }
            // 6.3.4: half a target duration where nothing was new, else a whole one.
            (false, false) => sleep(target / 2).await,
            (false, true) if known.can_block && self.follower.plays_parts() => {}
            (false, true) => sleep(target).await,
        }
    }

    fn fail(&self, kind: &str) -> bool {
        self.visitor.record.error(kind);
        false
    }

    /// Fetches the Part that is announced; the shift to go on with once it was shown.
    async fn hinted(&self) -> Option<Option<i64>> {
        let hint = self.follower.hint()?;
        let (map, init) = self.init.as_ref()?;
        if self.follower.map() != Some(map) {
            return None;
        }
        let place = self.place(*init, false, None);
        let path = resolve(&self.path, &hint.uri);
        match self.stage.fetch(self.visitor, &path, hint.stretch, self.patience(), place).await {
            Ok(shift) => Some(shift),
            Err(Error::Status(status)) if status == 404 => {
                self.visitor.record.count(|counts| counts.missed_hints += 1);
                None
            }
            Err(error) => {
                self.fail(&error.to_string());
                None
            }
        }
    }

    async fn fetch(&mut self, fetch: Fetch) {
        if fetch.skipped {
            self.visitor.record.count(|counts| counts.skips += 1);
            self.stage.skip(self.track);
        }
        let Some(piece) = &fetch.piece else { return };
        let Some(init) = self.init_of(&fetch.map).await else { return };
        let place = self.place(init, fetch.discontinuity, fetch.start);
        let path = resolve(&self.path, &piece.uri);
        match self.stage.fetch(self.visitor, &path, piece.stretch, self.patience(), place).await {
            Ok(shift) => self.shift = shift,
            Err(error) => drop(self.fail(&error.to_string())),
        }
    }

    async fn init_of(&mut self, map: &Piece) -> Option<Init> {
        if let Some((known, init)) = &self.init
            && known == map
        {
            return Some(*init);
        }
        let path = resolve(&self.path, &map.uri);
        match stage::init(self.visitor, &path, map.stretch, self.patience()).await {
            Ok(init) => {
                (self.init, self.shift) = (Some((map.clone(), init)), None);
                Some(init)
            }
            Err(error) => {
                self.fail(&error.to_string());
                None
            }
        }
    }

    fn place(&self, init: Init, discontinuity: bool, start: Option<f64>) -> Place {
        let (track, shift) = (self.track, self.shift);
        Place { track, init, shift, offset: 0.0, discontinuity, start: start.map(Start::After) }
    }

    /// A blocking answer may take three target durations (6.2.5.2).
    fn patience(&self) -> Duration {
        self.follower.known().map_or(PATIENCE_MIN, |known| (known.target_duration * 4).max(PATIENCE_MIN))
    }
}

/// Before something is asked for again that was not there.
const RETRY: Duration = Duration::from_millis(200);
/// An answer takes no longer.
const PATIENCE_MIN: Duration = Duration::from_secs(10);
