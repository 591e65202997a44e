//! A player and the counts of its viewer, shared by all that fetches for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use flambeau_media::Utc;

use crate::cmaf::{self, Fragment, Init};
use crate::player::{Media, Player};
use crate::tally::Record;
use crate::web::{Error, Stretch, Visitor};

/// Where media is shown, and what is noted of it.
#[derive(Debug)]
pub(crate) struct Stage {
    player: Mutex<Player>,
    record: Arc<Record>,
    asked: Instant,
}

/// How the media of one fetch is put on the stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Which track.
    pub(crate) track: usize,
    /// What is read by.
    pub(crate) init: Init,
    /// Ticks to add to each decoding time.
    pub(crate) shift: Option<i64>,
    /// Seconds to add to each time.
    pub(crate) offset: f64,
    /// It does not go on from what came before.
    pub(crate) discontinuity: bool,
    /// Seconds into it at which to start, or the time to start at.
    pub(crate) start: Option<Start>,
}

/// Where a track starts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// So many seconds after the first that is fetched.
    After(f64),
    /// At this time of the presentation, or at the first that is fetched where that is later.
    At(f64),
}

impl Stage {
    /// A stage of so many tracks for a viewer who asked at `asked`.
    pub(crate) fn new(tracks: usize, record: Arc<Record>, asked: Instant) -> Self {
        let player = Player::new(tracks, Instant::now(), Utc::now());
        Self { player: Mutex::new(player), record, asked }
    }

    /// Fetches media and shows it as it comes; gives back the shift to go on with.
    pub(crate) async fn fetch(
        &self,
        visitor: &Visitor,
        path: &str,
        stretch: Option<Stretch>,
        patience: Duration,
        mut place: Place,
    ) -> Result<Option<i64>, Error> {
        let mut reader = cmaf::Reader::new(place.init);
        let take = |piece: &[u8]| {
            let added = reader.push(piece, |fragment| self.append(&mut place, fragment));
            added.map_err(|error| Error::Content(error.to_string()))
        };
        visitor.stream(path, stretch, patience, take).await?;
        reader.finish().map_err(|error| Error::Content(error.to_string()))?;
        Ok(place.shift)
    }

    fn append(&self, place: &mut Place, fragment: Fragment) {
        let scale = f64::from(place.init.timescale);
        // Decoding times, moved to where a decoder shows what is decoded then: by the reordering of the first picture.
        let shift = *place.shift.get_or_insert(fragment.offset);
        let seconds = |ticks: i64| ticks as f64 / scale + place.offset;
        let start = seconds(fragment.start as i64 + shift);
        let end = seconds((fragment.start + fragment.duration) as i64 + shift);
        let stamps = fragment.stamps.iter().map(|(at, stamp)| (seconds(*at), *stamp)).collect();
        let mut player = self.player();
        match place.start.take() {
            Some(Start::After(after)) => player.start(place.track, start + after),
            Some(Start::At(at)) => player.start(place.track, start.max(at)),
            None => {}
        }
        let discontinuity = std::mem::take(&mut place.discontinuity);
        player.append(place.track, Media { start, end, stamps, discontinuity }, Instant::now());
    }

    /// After a stall the player goes on once so much is there.
    pub(crate) fn refill(&self, length: Duration) {
        self.player().refill(length.as_secs_f64());
    }

    /// A track leaves out media on purpose.
    pub(crate) fn skip(&self, track: usize) {
        self.player().skip(track);
    }

    /// Puts what the viewer has seen so far into the counts.
    pub(crate) fn note(&self) {
        let now = Instant::now();
        let (experience, latencies) = {
            let mut player = self.player();
            player.advance(now);
            (player.experience(now), player.take_latencies())
        };
        self.record.latencies(&latencies);
        let startup =
            experience.started.map(|at| at.saturating_duration_since(self.asked).as_millis() as u64);
        self.record.count(|counts| {
            counts.startup_ms = startup;
            counts.stalls = experience.stalls;
            counts.stalled_ms = experience.stalled.as_millis() as u64;
            counts.holes = experience.holes;
            counts.gaps = experience.gaps;
            counts.pictures = experience.pictures;
            counts.pictures_lost = experience.pictures_lost;
        });
    }

    fn player(&self) -> MutexGuard<'_, Player> {
        self.player.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches and reads an init segment.
pub(crate) async fn init(
    visitor: &Visitor,
    path: &str,
    stretch: Option<Stretch>,
    patience: Duration,
) -> Result<Init, Error> {
    let bytes = visitor.get(path, stretch, patience).await?;
    Init::read(&bytes).map_err(|error| Error::Content(error.to_string()))
}

/// How often what is seen is noted.
pub(crate) const NOTE_EVERY: Duration = Duration::from_millis(500);
