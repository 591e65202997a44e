//! Fetches what [`Schedule`] decides, and plays it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flambeau_media::Utc;
use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use super::manifest::{Manifest, Timing};
use super::schedule::{Fetch, Schedule};
use crate::cmaf::Init;
use crate::stage::{self, NOTE_EVERY, Place, Stage, Start};
use crate::web::{Error, Visitor, resolve};

/// Watches a Channel until it is told to stop.
pub async fn watch(visitor: Visitor, channel: &str, stop: CancellationToken) {
    let path = format!("/{channel}/manifest.mpd");
    let (manifest, asked) = tokio::select! {
        found = first(&visitor, &path) => found,
        () = stop.cancelled() => return visitor.record.error("not on air"),
    };
    let clock = Clock::read(&visitor, &path, &manifest).await;
    let kinds: Vec<bool> = newest(&manifest).iter().map(|track| track.is_video).collect();
    let stage = Stage::new(kinds.len(), visitor.record.clone(), asked);
    stage.refill(manifest.delay / 3);
    // Where all tracks are to start: so far behind the live edge.
    let begin = clock.now().since(manifest.epoch).saturating_sub(manifest.delay).as_secs_f64();
    let (sender, receiver) = watch::channel(Arc::new(manifest));
    let tracks = kinds.iter().enumerate().map(|(track, &is_video)| Playing {
        visitor: &visitor,
        stage: &stage,
        path: &path,
        clock,
        track,
        manifests: receiver.clone(),
        schedule: Schedule::new(is_video),
        init: None,
        shift: None,
        begin: Some(begin),
    });
    let noting = async {
        let mut ticks = interval(NOTE_EVERY);
        loop {
            ticks.tick().await;
            stage.note();
        }
    };
    tokio::select! {
        _ = join_all(tracks.map(Playing::play)) => {}
        () = refresh(&visitor, &path, &sender) => {}
        () = noting => {}
        () = stop.cancelled() => {}
    }
    stage.note();
}

/// Loads the Manifest until it has media; tells when it was asked for.
async fn first(visitor: &Visitor, path: &str) -> (Manifest, Instant) {
    loop {
        let asked = Instant::now();
        match load(visitor, path).await {
            Ok(manifest) if !newest(&manifest).is_empty() => return (manifest, asked),
            Ok(_) => {}
            // A Channel is not there before its first Segment.
            Err(Error::Status(status)) if status == 404 => {}
            Err(error) => visitor.record.error(error.to_string()),
        }
        sleep(RETRY).await;
    }
}

fn newest(manifest: &Manifest) -> &[super::manifest::Track] {
    manifest.periods.last().map_or(&[], |period| &period.tracks)
}

async fn load(visitor: &Visitor, path: &str) -> Result<Manifest, Error> {
    let text = visitor.get(path, None, PATIENCE).await?;
    Manifest::read(&String::from_utf8_lossy(&text)).map_err(|error| Error::Content(error.to_string()))
}

/// Loads the Manifest as often as it asks for (ISO/IEC 23009-1, 5.3.1.2).
async fn refresh(visitor: &Visitor, path: &str, manifests: &watch::Sender<Arc<Manifest>>) {
    loop {
        let Some(update) = manifests.borrow().update else { return std::future::pending().await };
        sleep(update.max(UPDATE_MIN)).await;
        match load(visitor, path).await {
            Ok(manifest) => drop(manifests.send_replace(Arc::new(manifest))),
            Err(error) => visitor.record.error(error.to_string()),
        }
    }
}

/// The server's clock: ours, and what it is ahead, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Clock(i64);

impl Clock {
    async fn read(visitor: &Visitor, path: &str, manifest: &Manifest) -> Self {
        let server = match &manifest.timing {
            Some(Timing::Http(address)) => {
                let asked = Instant::now();
                let answer = visitor.get(&resolve(path, address), None, PATIENCE).await;
                let text = answer.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
                match text.map(|text| text.parse::<Utc>()) {
                    Ok(Ok(utc)) => utc.plus(asked.elapsed() / 2),
                    Ok(Err(_)) => return Self::unreadable(visitor),
                    Err(error) => {
                        visitor.record.error(error.to_string());
                        return Self(0);
                    }
                }
            }
            Some(Timing::Direct(utc)) => *utc,
            None => return Self(0),
        };
        Self(server.0 - Utc::now().0)
    }

    fn unreadable(visitor: &Visitor) -> Self {
        visitor.record.error("UTCTiming");
        Self(0)
    }

    fn now(self) -> Utc {
        Utc(Utc::now().0 + self.0)
    }
}

/// One track.
struct Playing<'a> {
    visitor: &'a Visitor,
    stage: &'a Stage,
    path: &'a str,
    clock: Clock,
    track: usize,
    manifests: watch::Receiver<Arc<Manifest>>,
    schedule: Schedule,
    init: Option<(String, Init)>,
    shift: Option<i64>,
    begin: Option<f64>,
}

impl Playing<'_> {
    async fn play(mut self) {
        loop {
            let manifest = self.manifests.borrow_and_update().clone();
            match self.schedule.next(&manifest, self.clock.now(), manifest.delay) {
                Some(fetch) => self.fetch(fetch).await,
                // An error means that nobody loads Manifests any more: nothing will follow.
                None => match self.manifests.changed().await {
                    Ok(()) => {}
                    Err(_) => return std::future::pending().await,
                },
            }
        }
    }

    async fn fetch(&mut self, fetch: Fetch) {
        sleep(fetch.available.since(self.clock.now())).await;
        if fetch.skipped {
            self.visitor.record.count(|counts| counts.skips += 1);
            self.stage.skip(self.track);
        }
        let Some(init) = self.init_of(&fetch.init).await else { return };
        let path = resolve(self.path, &fetch.uri);
        let asked = Instant::now();
        loop {
            let place = Place {
                track: self.track,
                init,
                shift: self.shift,
                offset: fetch.offset,
                discontinuity: fetch.period,
                start: self.begin.map(Start::At),
            };
            match self.stage.fetch(self.visitor, &path, None, PATIENCE, place).await {
                Ok(shift) => {
                    (self.shift, self.begin) = (shift, None);
                    return;
                }
                // It is asked for to the millisecond: a Segment that is cut at a random access point may be later.
                Err(Error::Status(status)) if status == 404 && asked.elapsed() < LATE_MAX => {
                    self.visitor.record.count(|counts| counts.missed_hints += 1);
                    sleep(RETRY_SEGMENT).await;
                }
                Err(error) => return self.visitor.record.error(error.to_string()),
            }
            // Its Period has ended before it began.
            if fetch.is_beyond(&self.manifests.borrow()) {
                return;
            }
        }
    }

    async fn init_of(&mut self, address: &str) -> Option<Init> {
        if let Some((known, init)) = &self.init
            && known == address
        {
            return Some(*init);
        }
        match stage::init(self.visitor, &resolve(self.path, address), None, PATIENCE).await {
            Ok(init) => {
                (self.init, self.shift) = (Some((address.to_owned(), init)), None);
                Some(init)
            }
            Err(error) => {
                self.visitor.record.error(error.to_string());
                None
            }
        }
    }
}

/// An answer, or a piece of one, takes no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before something is asked for again that was not there.
const RETRY: Duration = Duration::from_millis(200);
/// Before a Segment is asked for again that should be there.
const RETRY_SEGMENT: Duration = Duration::from_millis(100);
/// A Segment may come so much later than the Manifest says.
const LATE_MAX: Duration = Duration::from_secs(2);
/// No Manifest is loaded more often.
const UPDATE_MIN: Duration = Duration::from_millis(500);
