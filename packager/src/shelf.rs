//! The Renditions of a Channel and what of them must be shown next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use flambeau_media::channel::Change;
use flambeau_media::{ChannelId, Track, TrackId, Utc};

use crate::chunker::{Chunker, Part};
use crate::render::{self, Terms};
use crate::stats::Stats;
use crate::window::{Place, Rendition};

/// Path of the multivariant Playlist.
const MULTIVARIANT: &str = "index.m3u8";
/// Path of the Manifest.
const MANIFEST: &str = "manifest.mpd";

/// Parts go in, [`Change`]s come out.
#[derive(Debug)]
pub(crate) struct Shelf {
    channel: ChannelId,
    terms: Terms,
    renditions: BTreeMap<TrackId, Rendition>,
    /// The Tracks packaged now.
    layout: BTreeSet<TrackId>,
    /// Renditions whose Playlist must be rendered.
    changed: BTreeSet<TrackId>,
    /// The multivariant Playlist and the Manifest must be rendered.
    segment_completed: bool,
    /// Playlists are shown: enough is there for a player to start.
    shown: bool,
    warned: bool,
    change: Change,
    pub(crate) stats: Stats,
}

impl Shelf {
    pub(crate) fn new(channel: ChannelId, segment: Duration, window: Duration) -> Self {
        let terms = Terms {
            target_duration: Duration::from_secs(rounded_seconds(segment).max(1)),
            window,
            segment,
            ended: false,
            paused: false,
        };
        Self {
            channel,
            terms,
            renditions: BTreeMap::new(),
            layout: BTreeSet::new(),
            changed: BTreeSet::new(),
            segment_completed: false,
            shown: false,
            warned: false,
            change: Change::default(),
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

    /// The Tracks packaged are these and no others.
    pub(crate) fn lay_out(&mut self, layout: BTreeSet<TrackId>) {
        self.layout = layout;
        self.stats.tracks = self.layout.len();
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
        rendition.add(part, place, track, init, &mut self.change);
        self.changed.insert(id);
        if std::mem::take(&mut self.terms.paused) {
            self.changed.extend(self.renditions.keys());
        }
    }

    /// The source is silent: until the next Part nobody is to wait for one.
    pub(crate) fn pause(&mut self) {
        if !std::mem::replace(&mut self.terms.paused, true) {
            self.changed.extend(self.renditions.keys());
        }
    }

    /// The Segment in hand of that Track is whole. `goes_on`: what follows is known to go on from it.
    pub(crate) fn complete(&mut self, id: TrackId, goes_on: bool) {
        let Some(rendition) = self.renditions.get_mut(&id) else { return };
        let Some(duration) = rendition.complete(goes_on, &mut self.change) else { return };
        self.stats.segments += 1;
        self.segment_completed = true;
        self.changed.insert(id);
        // RFC 8216bis 4.4.3.1: no EXTINF is above it. It cannot be known beforehand how far apart an encoder
        // puts its key frames, so it grows with the first Segment that is too long, in all Renditions.
        let rounded = Duration::from_secs(rounded_seconds(duration));
        if rounded > self.terms.target_duration {
            self.terms.target_duration = rounded;
            self.changed.extend(self.renditions.keys());
        }
        if duration > self.terms.segment.mul_f64(1.5) && !self.warned {
            self.warned = true;
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
        let empty = change.objects.is_empty() && change.playlists.is_empty() && change.remove.is_empty();
        (!empty).then_some(change)
    }

    /// Each Track packaged has a Segment; or one has two and the others are not waited for.
    fn is_ready(&self) -> bool {
        let listed = |id| self.renditions.get(id).map_or(0, |rendition| rendition.listed().len());
        !self.layout.is_empty() && self.layout.iter().all(|id| listed(id) > 0)
            || self.renditions.values().any(|rendition| rendition.listed().len() > 1)
    }

    fn slide(&mut self) {
        let ends = self.renditions.values().filter_map(|r| r.newest().map(|newest| newest.end_utc()));
        let now = ends.max().unwrap_or_default();
        self.slide_to(now);
    }

    /// Forgets what is out of the window at `now`.
    fn slide_to(&mut self, now: Utc) {
        for rendition in self.renditions.values_mut() {
            rendition.slide(now, self.terms.window, &mut self.change);
        }
        let (layout, change) = (&self.layout, &mut self.change);
        self.renditions.retain(|id, rendition| {
            let keep = layout.contains(id) || !rendition.segments.is_empty() || rendition.open.is_some();
            if !keep {
                change.withdraw.push(rendition.playlist_path());
            }
            keep
        });
    }

    fn render(&mut self) {
        for id in std::mem::take(&mut self.changed) {
            // A Playlist without a Segment would be turned down by older players.
            if let Some(rendition) = self.renditions.get(&id).filter(|r| r.listed().len() > 0) {
                let playlist = render::media(rendition, &self.terms);
                self.change.playlists.push((rendition.playlist_path(), playlist));
            }
        }
        if std::mem::take(&mut self.segment_completed) {
            let renditions = self.renditions.iter();
            let offered = renditions.filter(|(id, r)| self.layout.contains(id) && r.listed().len() > 0);
            let offered: Vec<&Rendition> = offered.map(|(_, rendition)| rendition).collect();
            // Between two Periods there is nothing to offer: the last offer stands.
            if !offered.is_empty() {
                let multivariant = render::multivariant(&offered, &self.terms);
                self.change.playlists.push((MULTIVARIANT.into(), multivariant));
            }
            let manifest = render::manifest(&self.renditions, self.layout.len(), &self.terms);
            self.change.playlists.push((MANIFEST.into(), manifest));
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
