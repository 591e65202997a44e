//! One Rendition's directory: append, read back at start, delete. Everything here may block.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flambeau_media::Utc;

use super::description::Description;
use super::format::{Hour, INDEX, RECORD_BYTES, Record, Slot, init_file, init_number};

/// No init segment comes near.
const INIT_BYTES_MAX: u64 = 1 << 20;

/// The files of one Rendition.
#[derive(Debug)]
pub(crate) struct Drawer {
    directory: PathBuf,
    open: Option<Open>,
    files: BTreeMap<Slot, Media>,
    inits: BTreeSet<u32>,
}

/// A media file.
#[derive(Debug, Clone, Copy)]
struct Media {
    bytes: u64,
    /// When its last Segment ends.
    end: Utc,
}

/// The files that Segments are appended to.
#[derive(Debug)]
struct Open {
    slot: Slot,
    media: File,
    bytes: u64,
    index: File,
    records: u64,
}

/// What was found in a directory.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The Segments in the order they were written.
    pub(crate) records: Vec<Record>,
    /// What the init segments are of.
    pub(crate) descriptions: BTreeMap<u32, Description>,
    /// Records that are cut off, damaged, or name bytes that are not there.
    pub(crate) lost: u64,
}

impl Drawer {
    /// The files below `directory`, which need not exist yet, and what is in them.
    pub(crate) fn open(directory: PathBuf) -> io::Result<(Self, Found)> {
        let mut drawer = Self { directory, open: None, files: BTreeMap::new(), inits: BTreeSet::new() };
        let mut found = Found::default();
        for name in names(&drawer.directory)? {
            if let Some(init) = init_number(&name)
                && let Some(description) = Description::read(&drawer.description_path(init))
            {
                found.descriptions.insert(init, description);
                drawer.inits.insert(init);
            }
        }
        let hours: BTreeSet<Hour> =
            names(&drawer.directory)?.iter().filter_map(|name| Hour::from_directory(name)).collect();
        for hour in hours {
            drawer.read_hour(hour, &mut found)?;
        }
        Ok((drawer, found))
    }

    /// The Segments of an hour; a file that holds none of them goes.
    fn read_hour(&mut self, hour: Hour, found: &mut Found) -> io::Result<()> {
        let directory = self.directory.join(hour.directory());
        let mut lengths = BTreeMap::new();
        for slot in names(&directory)?.iter().filter_map(|name| Slot::from_file(hour, name)) {
            lengths.insert(slot, fs::metadata(self.media_path(slot))?.len());
        }
        let index = match fs::read(directory.join(INDEX)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            index => index?,
        };
        let (whole, torn) = index.as_chunks::<RECORD_BYTES>();
        found.lost += u64::from(!torn.is_empty());
        for bytes in whole {
            let there = |record: &Record| {
                let end = u64::from(record.offset) + u64::from(record.bytes);
                let has_bytes = lengths.get(&record.slot).is_some_and(|&length| end <= length);
                has_bytes && found.descriptions.contains_key(&record.init)
            };
            match Record::decode(bytes).filter(there) {
                Some(record) => {
                    let bytes = lengths.get(&record.slot).copied().unwrap_or_default();
                    self.note(&record, bytes);
                    found.records.push(record);
                }
                None => found.lost += 1,
            }
        }
        for slot in lengths.keys().filter(|slot| !self.files.contains_key(slot)) {
            fs::remove_file(self.media_path(*slot))?;
        }
        if !self.files.keys().any(|slot| slot.hour() == hour) {
            self.remove_hour(hour)?;
        }
        Ok(())
    }

    fn note(&mut self, record: &Record, bytes: u64) {
        let end = Utc::from_ticks(record.start.saturating_add(i64::from(record.ticks)), record.timescale);
        let media = self.files.entry(record.slot).or_insert(Media { bytes, end });
        (media.bytes, media.end) = (bytes, media.end.max(end));
    }

    /// Writes an init segment and what its Track is, unless it is there.
    pub(crate) fn keep_init(&mut self, init: u32, bytes: &[u8], description: &Description) -> io::Result<()> {
        if self.inits.contains(&init) {
            return Ok(());
        }
        fs::create_dir_all(&self.directory)?;
        // A description that is there says that the init segment is whole.
        write_whole(&self.directory.join(init_file(init)), bytes)?;
        write_whole(&self.description_path(init), &description.to_json())?;
        self.inits.insert(init);
        Ok(())
    }

    /// Writes a Segment, then its record, and returns where in its file it is.
    pub(crate) fn append(&mut self, record: &Record, pieces: &[Bytes]) -> io::Result<u32> {
        let mut open = match self.open.take() {
            Some(open) if open.slot == record.slot => open,
            _ => self.open_for(record.slot)?,
        };
        // What fails is opened anew with the next Segment: nothing of it is known to be there.
        let offset = open.append(record, pieces)?;
        self.note(record, open.bytes);
        self.open = Some(open);
        Ok(offset)
    }

    fn open_for(&self, slot: Slot) -> io::Result<Open> {
        let directory = self.directory.join(slot.hour().directory());
        fs::create_dir_all(&directory)?;
        let open =
            |path: &Path| OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
        let (media, index) = (open(&self.media_path(slot))?, open(&directory.join(INDEX))?);
        let (bytes, index_bytes) = (media.metadata()?.len(), index.metadata()?.len());
        // A record that is cut off is written over.
        Ok(Open { slot, media, bytes, index, records: index_bytes / RECORD_BYTES as u64 })
    }

    /// Deletes the files whose last Segment ended before `point`; returns the newest of them.
    pub(crate) fn delete_before(&mut self, point: Utc) -> io::Result<Option<Slot>> {
        let old: Vec<Slot> =
            self.files.iter().take_while(|(_, media)| media.end <= point).map(|(slot, _)| *slot).collect();
        for &slot in &old {
            self.delete(slot)?;
        }
        Ok(old.last().copied())
    }

    /// The oldest file, unless it is the only one.
    pub(crate) fn oldest(&self) -> Option<Slot> {
        self.files.keys().next().copied().filter(|_| self.files.len() > 1)
    }

    /// Deletes a file.
    pub(crate) fn delete(&mut self, slot: Slot) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.slot == slot) {
            self.open = None;
        }
        remove(fs::remove_file(self.media_path(slot)))?;
        self.files.remove(&slot);
        if !self.files.keys().any(|other| other.hour() == slot.hour()) {
            self.remove_hour(slot.hour())?;
        }
        Ok(())
    }

    fn remove_hour(&mut self, hour: Hour) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.slot.hour() == hour) {
            self.open = None;
        }
        let directory = self.directory.join(hour.directory());
        remove(fs::remove_file(directory.join(INDEX)))?;
        remove_directory(&directory)
    }

    /// Deletes the init segments that are not among those `used`, and the directory when nothing is in it.
    pub(crate) fn tidy(&mut self, used: impl Fn(u32) -> bool) -> io::Result<()> {
        let unused: Vec<u32> = self.inits.iter().copied().filter(|init| !used(*init)).collect();
        for init in unused {
            remove(fs::remove_file(self.description_path(init)))?;
            remove(fs::remove_file(self.directory.join(init_file(init))))?;
            self.inits.remove(&init);
        }
        if self.is_empty() {
            remove_directory(&self.directory)?;
        }
        Ok(())
    }

    /// The bytes of an init segment.
    pub(crate) fn init(&self, init: u32) -> io::Result<Vec<u8>> {
        read_small(&self.directory.join(init_file(init)), INIT_BYTES_MAX)
    }

    /// There is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.inits.is_empty()
    }

    /// Bytes of all media files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|media| media.bytes).sum()
    }

    fn media_path(&self, slot: Slot) -> PathBuf {
        media_path(&self.directory, slot)
    }

    fn description_path(&self, init: u32) -> PathBuf {
        self.directory.join(init_file(init)).with_extension("json")
    }
}

impl Open {
    fn append(&mut self, record: &Record, pieces: &[Bytes]) -> io::Result<u32> {
        let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let offset = u32::try_from(self.bytes).map_err(too_long)?;
        offset.checked_add(record.bytes).ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let written = self.write(&Record { offset, ..*record }, pieces);
        if written.is_err() {
            // Best done here, for a full disk needs the room; what stays is a stretch that no record names.
            let _ = self.media.set_len(self.bytes);
            let _ = self.index.set_len(self.records * RECORD_BYTES as u64);
            return written.map(|()| offset);
        }
        self.bytes += u64::from(record.bytes);
        self.records += 1;
        Ok(offset)
    }

    fn write(&self, record: &Record, pieces: &[Bytes]) -> io::Result<()> {
        let mut at = self.bytes;
        for piece in pieces {
            self.media.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        self.index.write_all_at(&record.encode(), self.records * RECORD_BYTES as u64)
    }
}

/// The file of a slot below a Rendition's directory.
pub(crate) fn media_path(directory: &Path, slot: Slot) -> PathBuf {
    directory.join(slot.hour().directory()).join(slot.file())
}

/// The names in a directory; none where it does not exist.
pub(crate) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}

/// Writes a file under its name when all of it is there.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, bytes)?;
    fs::rename(&part, path)
}

/// The bytes of a small file.
pub(crate) fn read_small(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Deletes a directory that is empty.
pub(crate) fn remove_directory(directory: &Path) -> io::Result<()> {
    remove(fs::remove_dir(directory))
}

/// What is gone already, or holds what is not ours, is no failure.
fn remove(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            Ok(())
        }
        result => result,
    }
}

#[cfg(test)]
pub(super) mod tests;
