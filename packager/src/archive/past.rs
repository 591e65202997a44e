//! The past of one Channel: its Segments in memory and on disk, and how they are found.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::Duration;

use bytes::Bytes;
use flambeau_media::archive::{Archive, Excerpt, Missing, Pending, Span, Stored};
use flambeau_media::channel::{Kind, Object};
use flambeau_media::time::CLOCK_90K;
use flambeau_media::{ChannelId, Track, Utc};
use flambeau_proto::isobmff;
use tokio::sync::mpsc;

use super::description::Description;
use super::disk::{self, Drawer, Found};
use super::format::{Slot, init_number};
use super::read::{Desk, Extract, Held, MediaFile};
use super::rendering::Renderings;
use super::stats::{Counts, Stats};
use super::timeline::{Arrival, Entry, Stretch, Timeline};
use super::writer::Job;
use crate::packaging::Resume;
use crate::segment::Place;

/// A cache keeps nothing longer than this: as an object in memory.
const KEEP_MAX: Duration = Duration::from_secs(3600);

/// A Segment this far in the future was written by a clock that went wrong.
const FUTURE_MAX: Duration = Duration::from_secs(10);

/// A Segment that is whole, as the packager hands it over.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Name of its Rendition: `v256`.
    pub(crate) rendition: String,
    pub(crate) place: Place,
    pub(crate) track: Arc<Track>,
    /// File name of its init segment.
    pub(crate) init: Arc<str>,
    /// When it starts, in ticks of the Track's timescale since 1970.
    pub(crate) start: i64,
    pub(crate) ticks: u64,
    pub(crate) object: Object,
}

/// The past of one Channel. A clone is the same.
#[derive(Debug, Clone)]
pub(crate) struct Past(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    channel: ChannelId,
    /// Where it is on disk; None: in memory alone.
    directory: Option<PathBuf>,
    /// How long it is kept on disk, in microseconds.
    window: AtomicU64,
    renditions: RwLock<BTreeMap<String, Rendition>>,
    /// Locked where blocking is allowed, and nowhere else.
    drawers: Mutex<BTreeMap<String, Drawer>>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    desk: Desk,
    renderings: Renderings,
    counts: Arc<Counts>,
}

/// What is known of one Rendition.
#[derive(Debug, Default)]
pub(super) struct Rendition {
    pub(super) timeline: Timeline,
    pub(super) inits: BTreeMap<u32, Init>,
    files: HashMap<Slot, Weak<MediaFile>>,
}

/// An init segment.
#[derive(Debug)]
pub(super) struct Init {
    pub(super) description: Arc<Description>,
    bytes: Bytes,
    created: Utc,
}

impl Past {
    /// A past without a Segment yet, kept below `directory` where one is given.
    pub(super) fn new(channel: ChannelId, directory: Option<PathBuf>, window: Duration, desk: Desk) -> Self {
        Self(Arc::new(Inner {
            channel,
            directory,
            window: AtomicU64::new(window.as_micros() as u64),
            renditions: RwLock::default(),
            drawers: Mutex::default(),
            queue: Mutex::default(),
            desk,
            renderings: Renderings::default(),
            counts: Arc::default(),
        }))
    }

    /// Reads what is on disk. It blocks.
    pub(super) fn restore(&self) -> io::Result<()> {
        let Some(directory) = &self.0.directory else { return Ok(()) };
        for name in disk::names(directory)?.into_iter().filter(|name| is_rendition(name)) {
            let (drawer, found) = Drawer::open(directory.join(&name))?;
            self.restore_rendition(&name, &drawer, found)?;
            self.drawers().insert(name, drawer);
        }
        self.count_bytes(&self.drawers());
        Ok(())
    }

    fn restore_rendition(&self, name: &str, drawer: &Drawer, found: Found) -> io::Result<()> {
        let mut rendition = Rendition::default();
        for (number, description) in found.descriptions {
            let bytes = drawer.init(number)?.into();
            let init = Init { description: description.into(), bytes, created: Utc::now() };
            rendition.inits.insert(number, init);
        }
        let latest = Utc::now().plus(FUTURE_MAX);
        let mut damaged = found.lost;
        for record in &found.records {
            let kept = record.start_utc() <= latest && rendition.timeline.restore(record);
            damaged += u64::from(!kept);
        }
        if damaged > 0 {
            tracing::warn!(channel = %self.0.channel, rendition = name, damaged, "Segments of the archive were cut off or damaged");
            self.0.counts.damaged.fetch_add(damaged, Relaxed);
        }
        self.renditions_mut().insert(name.to_owned(), rendition);
        Ok(())
    }

    /// From now on, what comes is written by whoever reads `queue`.
    pub(super) fn write_to(&self, queue: mpsc::Sender<Job>) {
        *self.0.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(queue);
    }

    /// Nothing more is written.
    pub(super) fn close(&self) {
        *self.0.queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes a Segment in: it can be started from at once, and is on its way to the disk.
    pub(crate) fn take(&self, finished: Finished) {
        let Some(init) = init_number(&finished.init).filter(|_| is_rendition(&finished.rendition)) else {
            tracing::error!(channel = %self.0.channel, rendition = finished.rendition, init = %finished.init, "these names cannot be archived");
            return;
        };
        let (Ok(ticks), Ok(bytes)) = (u32::try_from(finished.ticks), u32::try_from(finished.object.len))
        else {
            self.0.counts.write_failures.fetch_add(1, Relaxed);
            return;
        };
        let place = finished.place;
        let arrival = Arrival {
            number: place.number,
            start: finished.start,
            ticks,
            bytes,
            created: finished.object.created,
            stretch: Stretch {
                period: place.period,
                discontinuities: place.discontinuities,
                init,
                timescale: finished.track.timescale(),
            },
        };
        let record = {
            let mut renditions = self.renditions_mut();
            let rendition = renditions.entry(finished.rendition.clone()).or_default();
            rendition.inits.entry(init).or_insert_with(|| Init {
                description: Description::of(&finished.track).into(),
                bytes: isobmff::init_segment(&finished.track),
                created: Utc::now(),
            });
            rendition.timeline.push(arrival)
        };
        let Some(record) = record else {
            tracing::warn!(channel = %self.0.channel, number = place.number, "a Segment goes back in time and is not archived: was the clock set?");
            self.0.counts.write_failures.fetch_add(1, Relaxed);
            return;
        };
        let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return };
        let job = Job { rendition: finished.rendition, record, pieces: finished.object.pieces };
        if queue.try_send(job).is_err() && self.0.counts.too_slow.fetch_add(1, Relaxed) == 0 {
            tracing::warn!(channel = %self.0.channel, "the disk is too slow for the archive: Segments are left out");
        }
    }

    /// Writes a Segment. It blocks.
    pub(super) fn write(&self, job: &Job) -> io::Result<()> {
        let Some(directory) = &self.0.directory else { return Ok(()) };
        let init = job.record.init;
        let (bytes, description) = {
            let renditions = self.renditions();
            let held = renditions.get(&job.rendition).and_then(|rendition| rendition.inits.get(&init));
            // The Segment has left memory, and its Rendition with it: nothing knows of it any more.
            let Some(held) = held else { return Ok(()) };
            (held.bytes.clone(), held.description.clone())
        };
        let offset = {
            let mut drawers = self.drawers();
            if !drawers.contains_key(&job.rendition) {
                let (drawer, _) = Drawer::open(directory.join(&job.rendition))?;
                drawers.insert(job.rendition.clone(), drawer);
            }
            let Some(drawer) = drawers.get_mut(&job.rendition) else { return Ok(()) };
            drawer.keep_init(init, &bytes, &description)?;
            let offset = drawer.append(&job.record, &job.pieces)?;
            self.count_bytes(&drawers);
            offset
        };
        if let Some(rendition) = self.renditions_mut().get_mut(&job.rendition) {
            rendition.timeline.stored(job.record.sequence, offset);
        }
        Ok(())
    }

    /// How long it is kept on disk from now on.
    pub(super) fn keep(&self, window: Duration) {
        self.0.window.store(window.as_micros() as u64, Relaxed);
    }

    fn window(&self) -> Duration {
        Duration::from_micros(self.0.window.load(Relaxed))
    }

    /// What ends before this is no longer kept.
    fn horizon(&self, now: Utc) -> Utc {
        match self.0.directory {
            Some(_) => Utc(now.0 - self.window().as_micros() as i64),
            None => Utc(i64::MIN),
        }
    }

    /// Forgets and deletes what is out of the window. It blocks.
    pub(super) fn sweep(&self, now: Utc) -> io::Result<()> {
        let horizon = self.horizon(now);
        self.renditions_mut().retain(|_, rendition| {
            rendition.timeline.forget_before(horizon);
            rendition.files.retain(|_, file| file.strong_count() > 0);
            let timeline = &rendition.timeline;
            rendition.inits.retain(|init, _| timeline.uses(*init));
            !timeline.entries().is_empty()
        });
        let Some(directory) = &self.0.directory else { return Ok(()) };
        let mut drawers = self.drawers();
        let mut result = Ok(());
        for (name, drawer) in drawers.iter_mut() {
            let deleted = drawer.delete_before(horizon);
            let renditions = self.renditions();
            let used =
                |init| renditions.get(name).is_some_and(|rendition| rendition.inits.contains_key(&init));
            result = result.and(deleted).and_then(|_| drawer.tidy(used));
        }
        drawers.retain(|_, drawer| !drawer.is_empty());
        if drawers.is_empty() {
            disk::remove_directory(directory)?;
        }
        self.count_bytes(&drawers);
        result
    }

    /// The oldest file on disk and the Rendition it is of, but for the one that is being written.
    pub(super) fn oldest(&self) -> Option<(Slot, String)> {
        let drawers = self.drawers();
        let oldest = drawers.iter().filter_map(|(name, drawer)| Some((drawer.oldest()?, name.clone())));
        oldest.min()
    }

    /// Deletes a Rendition's oldest file. It blocks.
    pub(super) fn delete(&self, slot: Slot, name: &str) -> io::Result<()> {
        let mut drawers = self.drawers();
        if let Some(rendition) = self.renditions_mut().get_mut(name) {
            rendition.timeline.forget_up_to(slot);
        }
        let deleted = drawers.get_mut(name).map_or(Ok(()), |drawer| drawer.delete(slot));
        self.count_bytes(&drawers);
        deleted
    }

    fn count_bytes(&self, drawers: &BTreeMap<String, Drawer>) {
        self.0.counts.bytes.store(drawers.values().map(Drawer::bytes).sum(), Relaxed);
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.0.counts.bytes.load(Relaxed)
    }

    /// Where a packager of this Channel goes on.
    pub(crate) fn resume(&self) -> Resume {
        let renditions = self.renditions();
        let lasts = renditions.values().filter_map(|rendition| {
            let last = rendition.timeline.entries().back()?;
            Some((last.number, *rendition.timeline.stretch(last)?, rendition.timeline.end_utc(last)))
        });
        lasts.fold(Resume::default(), |resume, (number, stretch, end)| Resume {
            number_min: resume.number_min.max(number + 1),
            period: resume.period.max(stretch.period),
            discontinuities: resume.discontinuities.max(stretch.discontinuities + 1),
            floor: resume.floor.max(end.ticks(CLOCK_90K) + 1),
            ..resume
        })
    }

    /// What it holds and has done.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.0.counts.snapshot();
        for rendition in self.renditions().values() {
            let timeline = &rendition.timeline;
            let mut on_disk = timeline.entries().iter().filter(|entry| entry.copies.on_disk);
            let oldest = on_disk.clone().next().map(|entry| timeline.start_utc(entry));
            stats.oldest = stats.oldest.into_iter().chain(oldest).min();
            stats.segments += on_disk.by_ref().count() as u64;
        }
        stats
    }

    /// There is nothing of it.
    pub(super) fn is_empty(&self) -> bool {
        self.renditions().is_empty() && self.bytes() == 0
    }

    /// How many hold it.
    pub(super) fn shares(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// Its Channel.
    pub(super) fn channel(&self) -> &ChannelId {
        &self.0.channel
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(super) fn renditions(&self) -> RwLockReadGuard<'_, BTreeMap<String, Rendition>> {
        self.0.renditions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn renditions_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Rendition>> {
        self.0.renditions.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn drawers(&self) -> MutexGuard<'_, BTreeMap<String, Drawer>> {
        self.0.drawers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a cache may keep what ends at `end`.
    pub(super) fn keep_time(&self, end: Utc) -> Duration {
        KEEP_MAX.min(end.plus(self.window()).since(Utc::now()))
    }

    fn segment(&self, rendition: &mut Rendition, name: &str, entry: Entry) -> Option<Stored> {
        let directory = self.0.directory.as_ref().filter(|_| entry.copies.on_disk)?;
        let keep = self.keep_time(rendition.timeline.end_utc(&entry));
        let stretch = rendition.timeline.stretch(&entry)?;
        let content_type = rendition.inits.get(&stretch.init)?.description.content_type();
        let known = rendition.files.get(&entry.slot).and_then(Weak::upgrade);
        let file = known.unwrap_or_else(|| {
            let path = disk::media_path(&directory.join(name), entry.slot);
            let file = Arc::new(MediaFile::new(path));
            rendition.files.insert(entry.slot, Arc::downgrade(&file));
            file
        });
        let (desk, counts) = (self.0.desk.clone(), self.0.counts.clone());
        Some(Stored {
            kind: Kind::Segment,
            content_type,
            len: entry.bytes as usize,
            created: entry.created,
            keep,
            bytes: Arc::new(Extract { file, offset: entry.offset, desk, counts }),
        })
    }
}

impl Archive for Past {
    fn object(&self, path: &str) -> Option<Stored> {
        let (name, file) = path.split_once('/')?;
        let mut renditions = self.renditions_mut();
        let rendition = renditions.get_mut(name)?;
        if let Some(init) = init_number(file) {
            let init = rendition.inits.get(&init)?;
            return Some(Stored {
                kind: Kind::Init,
                content_type: init.description.content_type(),
                len: init.bytes.len(),
                created: init.created,
                keep: KEEP_MAX,
                bytes: Arc::new(Held(init.bytes.clone())),
            });
        }
        let stem = file.strip_suffix(".m4s")?;
        let entry = match stem.strip_prefix('t') {
            Some(ticks) => rendition.timeline.by_start(decimal(ticks)?.try_into().ok()?),
            None => rendition.timeline.by_number(decimal(stem)?),
        };
        let entry = *entry?;
        let too_old = rendition.timeline.end_utc(&entry) <= self.horizon(Utc::now());
        if too_old { None } else { self.segment(rendition, name, entry) }
    }

    fn excerpt(&self, path: &str, span: Span) -> Pending<Result<Excerpt, Missing>> {
        let start = Utc(span.start.0.max(self.horizon(Utc::now()).0.saturating_add(1)));
        self.0.renderings.excerpt(self.clone(), path, Span { start, ..span })
    }

    fn released(&self, path: &str) {
        let Some((name, file)) = path.split_once('/') else { return };
        let Some(number) = file.strip_suffix(".m4s").and_then(decimal) else { return };
        if let Some(rendition) = self.renditions_mut().get_mut(name) {
            rendition.timeline.released(number);
        }
    }

    fn cleared(&self) {
        for rendition in self.renditions_mut().values_mut() {
            rendition.timeline.all_released();
        }
    }
}

/// A name that we gave: a letter and a number.
fn is_rendition(name: &str) -> bool {
    let rest = name.strip_prefix(|first: char| first.is_ascii_lowercase());
    rest.is_some_and(|rest| {
        (1..=16).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

/// A number as we write it: digits, without a zero before them.
fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
pub(super) mod tests;
