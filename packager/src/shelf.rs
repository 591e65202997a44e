//! The Renditions of a Channel and what of them must be shown next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flambeau_media::channel::Change;
use flambeau_media::time::CLOCK_90K;
use flambeau_media::{ChannelId, Track, TrackId, Utc};
use flambeau_proto::isobmff::EventMessage;

use crate::Timing;
use crate::archive::Finished;
use crate::chunker::{Chunker, Part};
use crate::clock::ticks_of;
use crate::cues::Cues;
use crate::render::{self, Shelves, Terms};
use crate::segment::{End, Place, Segment, TAILS};
use crate::stats::Stats;
use crate::stretches::Stretches;
use crate::window::Rendition;

/// Path of the multivariant Playlist.
const MULTIVARIANT: &str = "index.m3u8";
/// Path of the Manifest.
const MANIFEST: &str = "manifest.mpd";

/// Parts go in, [`Change`]s come out.
#[derive(Debug)]
pub(crate) struct Shelf {
    channel: ChannelId,
    terms: Terms,
    memory_max: usize,
    renditions: BTreeMap<TrackId, Rendition>,
    pub(crate) stretches: Stretches,
    cues: Cues,
    /// The Track whose Parts carry the cues, where the programme has any.
    carrier: Option<TrackId>,
    /// The Tracks packaged now.
    layout: BTreeSet<TrackId>,
    /// Renditions whose Playlist must be rendered.
    changed: BTreeSet<TrackId>,
    /// A Segment was completed: the multivariant Playlist, the Manifest and what goes by Segments must be rendered.
    segment_completed: bool,
    /// The Manifest must be rendered.
    manifest_due: bool,
    /// Nothing goes on from the newest Segments.
    halted: bool,
    /// The source is given up until it is back: nobody knows when anything follows, and it does not go on from what is
    /// there.
    pub(crate) away: bool,
    /// Playlists are shown: enough is there for a player to start.
    shown: bool,
    warned_of_length: bool,
    warned_of_memory: bool,
    change: Change,
    /// Segments for the archive, where somebody takes them.
    finished: Option<Vec<Finished>>,
    pub(crate) stats: Stats,
}

impl Shelf {
    pub(crate) fn new(channel: ChannelId, timing: Timing) -> Self {
        let terms = Terms {
            target_duration: Duration::from_secs(rounded_seconds(timing.segment).max(1)),
            window: timing.window,
            segment: timing.segment,
            part: timing.part,
            gaps: timing.hls_gaps,
            ended: false,
            paused: false,
        };
        Self {
            channel,
            terms,
            memory_max: timing.memory_max,
            renditions: BTreeMap::new(),
            stretches: Stretches::new(ticks_of(timing.segment).max(1), timing.low_latency_dash),
            cues: Cues::default(),
            carrier: None,
            layout: BTreeSet::new(),
            changed: BTreeSet::new(),
            segment_completed: false,
            manifest_due: false,
            halted: false,
            away: false,
            shown: false,
            warned_of_length: false,
            warned_of_memory: false,
            change: Change::default(),
            finished: None,
            stats: Stats::default(),
        }
    }

    /// Some Segment was made, ever.
    pub(crate) fn has_any(&self) -> bool {
        self.stats.segments > 0
    }

    /// A Track is packaged from now on; returns the file name of its init segment.
    pub(crate) fn open(&mut self, track: &Track) -> Arc<str> {
        let rendition = self.renditions.entry(track.id).or_insert_with(|| Rendition::new(track));
        rendition.init(track, &mut self.change)
    }

    /// The Tracks packaged are these and no others. `carrier`: that whose Parts tell of the programme's cues.
    pub(crate) fn lay_out(&mut self, layout: BTreeSet<TrackId>, carrier: Option<TrackId>) {
        self.layout = layout;
        self.carrier = carrier.or(self.carrier);
        self.stats.tracks = self.layout.len();
    }

    /// Takes in a splice information section that takes effect at `time`, in 90 kHz ticks of UTC; returns what the media
    /// is to tell of it, if it is new.
    pub(crate) fn cue(&mut self, section: &Bytes, time: i64) -> Option<EventMessage> {
        let message = self.cues.take(section, time)?;
        self.changed.extend(self.renditions.keys());
        self.manifest_due = true;
        Some(message)
    }

    /// How far apart the key frames of a Track are, in 90 kHz ticks.
    pub(crate) fn key_interval(&self, id: TrackId) -> Option<i64> {
        let rendition = self.renditions.get(&id)?;
        let timescale = rendition.newest()?.track.timescale();
        Some(rendition.key_interval()? * i64::from(CLOCK_90K) / i64::from(timescale.max(1)))
    }

    /// A Period is over, and it is not known what follows. Or: it is.
    pub(crate) fn halt(&mut self, halted: bool) {
        self.manifest_due |= std::mem::replace(&mut self.halted, halted) != halted;
    }

    /// When the newest Segment ends.
    pub(crate) fn newest_end(&self) -> Option<Utc> {
        self.renditions.values().filter_map(|rendition| rendition.newest().map(Segment::end_utc)).max()
    }

    /// The source is away, and nothing has come until `now`.
    pub(crate) fn wait(&mut self, now: Utc) {
        let max = 2 * self.terms.window.as_micros() / self.terms.segment.as_micros().max(1);
        for rendition in self.renditions.values_mut() {
            rendition.wait(now, self.terms.segment, max as usize + TAILS as usize, &mut self.change);
        }
    }

    /// The source is back for so long that who went by the numbers has read the Manifest.
    pub(crate) fn release_tails(&mut self) {
        for rendition in self.renditions.values_mut() {
            rendition.release_tails(u64::MAX, &mut self.change);
        }
    }

    /// No number from here on has been used.
    pub(crate) fn next_free(&self) -> u64 {
        self.renditions.values().map(Rendition::next_free).max().unwrap_or_default()
    }

    /// The source was away from `start` on for `length`, in 90 kHz ticks.
    pub(crate) fn gap(&mut self, place: Place, start: i64, length: i64) {
        for (id, rendition) in &mut self.renditions {
            if self.layout.contains(id) {
                rendition.gap_before_next(place, start, length);
            }
        }
    }

    pub(crate) fn add(
        &mut self,
        id: TrackId,
        part: Part,
        place: Place,
        track: &Arc<Track>,
        init: &Arc<str>,
        chunker: &Chunker,
    ) {
        let Some(rendition) = self.renditions.get_mut(&id) else { return };
        rendition.part_target = chunker.part_target();
        self.stats.parts += 1;
        self.stats.samples += part.samples as u64;
        let begins = rendition.add(part, place, track, init, &mut self.change);
        // The first of a Period: a client that goes by the numbers can start on it.
        self.manifest_due |= begins && self.stretches.newest() == Some(place.number);
        self.changed.insert(id);
        if std::mem::take(&mut self.terms.paused) {
            self.changed.extend(self.renditions.keys());
            self.manifest_due = true;
        }
    }

    /// The source is silent: until the next Part nobody is to wait for one.
    pub(crate) fn pause(&mut self) {
        if !std::mem::replace(&mut self.terms.paused, true) {
            self.renditions.values_mut().for_each(Rendition::tell_end);
            self.changed.extend(self.renditions.keys());
            self.manifest_due = true;
        }
    }

    /// The Segment in hand of that Track is whole.
    pub(crate) fn complete(&mut self, id: TrackId, end: End) {
        let Some(rendition) = self.renditions.get_mut(&id) else { return };
        // RFC 8216bis 4.4.3.1: rounded, it is no longer than the target.
        let told_max = self.terms.target_duration + Duration::from_millis(499);
        let duration = rendition.complete(end, self.away, told_max, &mut self.change);
        // Also where there was none: whether something goes on from what is there is told too.
        self.changed.insert(id);
        let Some(duration) = duration else { return };
        if let Some(finished) = &mut self.finished {
            finished.extend(rendition.finished(&self.change));
        }
        self.stats.segments += 1;
        self.segment_completed = true;
        // RFC 8216bis 4.4.3.1: no EXTINF is above it. It cannot be known beforehand how far apart an encoder
        // puts its key frames, so it grows with the first Segment that is too long, in all Renditions.
        let rounded = Duration::from_secs(rounded_seconds(duration));
        if rounded > self.terms.target_duration {
            self.terms.target_duration = rounded;
            self.changed.extend(self.renditions.keys());
        }
        if duration > self.terms.segment.mul_f64(1.5) && !self.warned_of_length {
            self.warned_of_length = true;
            let (wanted, had) = (self.terms.segment.as_secs_f64(), duration.as_secs_f64());
            tracing::warn!(
                channel = %self.channel,
                "a Segment came out {had:.1} s long instead of {wanted:.1} s: the encoder sends key frames too \
                 rarely; set its key frame interval to {wanted:.1} s or less"
            );
        }
    }

    /// Nothing will follow.
    pub(crate) fn end(&mut self) {
        self.terms.ended = true;
        self.segment_completed = true;
        self.changed.extend(self.renditions.keys());
    }

    /// Something follows after all: what was declared ended is no longer listed.
    pub(crate) fn resume(&mut self) {
        if std::mem::take(&mut self.terms.ended) {
            self.shown = false;
            self.renditions.values_mut().for_each(Rendition::unlist);
        }
    }

    /// From now on, keeps the Segments that are finished for [`Shelf::take_finished`].
    pub(crate) fn keep_finished(&mut self) {
        self.finished.get_or_insert_default();
    }

    /// The Segments finished since the last time.
    pub(crate) fn take_finished(&mut self) -> Vec<Finished> {
        self.finished.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What has changed since the last time, Playlists rendered.
    pub(crate) fn take_change(&mut self) -> Option<Change> {
        if self.segment_completed {
            self.slide();
            self.shown |= self.is_ready();
        }
        if self.shown {
            self.render();
        }
        let change = std::mem::take(&mut self.change);
        let empty = change.objects.is_empty()
            && change.growth.is_empty()
            && change.playlists.is_empty()
            && change.remove.is_empty();
        (!empty).then_some(change)
    }

    /// Each Track packaged has a Segment; or one has two and the others are not waited for.
    fn is_ready(&self) -> bool {
        let listed = |id| self.renditions.get(id).map_or(0, |rendition| rendition.listed().len());
        !self.layout.is_empty() && self.layout.iter().all(|id| listed(id) > 0)
            || self.renditions.values().any(|rendition| rendition.listed().len() > 1)
    }

    fn slide(&mut self) {
        self.slide_to(self.newest_end().unwrap_or_default());
    }

    /// Forgets what is out of the window at `now`.
    fn slide_to(&mut self, now: Utc) {
        for rendition in self.renditions.values_mut() {
            rendition.slide(now, self.terms.window, &mut self.change);
        }
        self.keep_within_memory();
        let (layout, change) = (&self.layout, &mut self.change);
        self.renditions.retain(|id, rendition| {
            let keep = layout.contains(id) || !rendition.segments.is_empty() || rendition.open.is_some();
            if !keep {
                rendition.release_tails(u64::MAX, change);
                rendition.drop_tails(|_| true, change);
                change.withdraw.push(rendition.playlist_path());
                if rendition.shows_keys {
                    change.withdraw.push(rendition.keys_path());
                }
            }
            keep
        });
        let listed = self.renditions.values().filter_map(|rendition| rendition.listed().next());
        if let Some(oldest) = listed.clone().map(|segment| segment.place.number).min() {
            self.stretches.forget_before(oldest);
        }
        if let Some(start) = listed.map(Segment::start_utc).min() {
            self.cues.forget_before(start);
        }
    }

    /// Drops the oldest Segments, listed or not, as long as there is too much.
    fn keep_within_memory(&mut self) {
        while self.renditions.values().map(|rendition| rendition.bytes).sum::<usize>() > self.memory_max {
            let oldest = self.renditions.values_mut().filter_map(|r| r.oldest().map(|number| (number, r)));
            let Some((_, rendition)) = oldest.min_by_key(|(number, _)| *number) else { return };
            let shortened = rendition.is_all_listed();
            rendition.drop_oldest(&mut self.change);
            if shortened && !std::mem::replace(&mut self.warned_of_memory, true) {
                tracing::warn!(
                    channel = %self.channel,
                    window_s = rendition.window().as_secs(),
                    "the window comes out shorter than asked for: the Channel holds packager.memory_max, {} MiB",
                    self.memory_max >> 20
                );
            }
        }
    }

    fn render(&mut self) {
        for id in std::mem::take(&mut self.changed) {
            // A Playlist without a Segment would be turned down by older players.
            if let Some(rendition) = self.renditions.get(&id).filter(|r| r.listed().len() > 0) {
                let others = self.renditions.values();
                let playlist = render::media(rendition, others, &self.cues, &self.terms);
                self.change.playlists.push((rendition.playlist_path(), playlist));
            }
        }
        let completed = std::mem::take(&mut self.segment_completed);
        if completed {
            self.render_by_segment();
        }
        if std::mem::take(&mut self.manifest_due) || completed {
            let shelves = Shelves {
                renditions: &self.renditions,
                stretches: &self.stretches,
                cues: &self.cues,
                carrier: self.carrier,
                tracks: self.layout.len(),
                halted: self.halted,
            };
            let manifest = render::manifest(shelves, &self.terms);
            self.change.playlists.extend(manifest.map(|manifest| (MANIFEST.into(), manifest)));
        }
    }

    fn render_by_segment(&mut self) {
        for rendition in self.renditions.values_mut().filter(|rendition| rendition.has_keys()) {
            rendition.shows_keys = true;
            self.change.playlists.push((rendition.keys_path(), render::keys(rendition, &self.terms)));
        }
        let renditions = self.renditions.iter();
        let offered = renditions.filter(|(id, r)| self.layout.contains(id) && r.listed().len() > 0);
        let offered: Vec<&Rendition> = offered.map(|(_, rendition)| rendition).collect();
        // Between two Periods there is nothing to offer: the last offer stands.
        if !offered.is_empty() {
            let multivariant = render::multivariant(&offered, &self.terms);
            self.change.playlists.push((MULTIVARIANT.into(), multivariant));
        }
    }
}

fn rounded_seconds(duration: Duration) -> u64 {
    (duration + Duration::from_millis(500)).as_secs()
}

#[cfg(test)]
impl Shelf {
    pub(crate) fn rendition(&self, id: TrackId) -> Option<&Rendition> {
        self.renditions.get(&id)
    }
}
