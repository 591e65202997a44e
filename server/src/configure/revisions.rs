//! The configurations there have been: a numbered file each, in a directory of their own.
//!
//! A file is the configuration's text below one line of comment that says when, by whom and why, so it can be read, and
//! run, as it is.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use flambeau_media::Utc;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::file;

/// What is known of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Its number, from 1.
    pub(crate) revision: u64,
    /// When it came to be.
    pub(crate) at: String,
    /// What it is for.
    pub(crate) comment: String,
    /// Which way it came: `api`, `file`.
    pub(crate) by: String,
    /// SHA-256 of its text.
    sha256: String,
}

/// The directory of the revisions.
#[derive(Debug)]
pub(super) struct Revisions {
    directory: PathBuf,
    /// What is known of each, or why it cannot be read.
    known: BTreeMap<u64, Result<Meta, String>>,
}

impl Revisions {
    /// Opens the directory, and makes it if there is none. A broken revision is reported and no obstacle.
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        // Configurations hold secrets.
        fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        let mut revisions = Self { directory, known: BTreeMap::new() };
        for entry in fs::read_dir(&revisions.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == &file::TEMPORARY[1..]) {
                // The write was cut off, so nobody was told of it.
                let _ = fs::remove_file(&path);
                continue;
            }
            let Some(number) = number_of(&path) else { continue };
            let read = revisions.read(number).map(|(meta, _)| meta);
            if let Err(why) = &read {
                let file = path.display();
                tracing::warn!(revision = number, %file, "the revision is broken and is passed over: {why}");
            }
            revisions.known.insert(number, read);
        }
        Ok(revisions)
    }

    /// Each revision, newest first: what is known of it, or why it cannot be read.
    pub(super) fn list(&self) -> impl Iterator<Item = (u64, &Result<Meta, String>)> {
        self.known.iter().rev().map(|(number, meta)| (*number, meta))
    }

    /// The newest that can be read.
    pub(super) fn newest(&self) -> Option<(Meta, String)> {
        self.list().filter(|(_, meta)| meta.is_ok()).find_map(|(number, _)| self.read(number).ok())
    }

    /// A revision; None: there is none of that number.
    pub(super) fn find(&self, number: u64) -> Option<Result<(Meta, String), String>> {
        self.known.contains_key(&number).then(|| self.read(number))
    }

    /// Keeps `text` as the newest revision, and lets go of the oldest beyond [`REVISIONS_MAX`].
    pub(super) fn add(&mut self, text: &str, comment: &str, by: &str) -> io::Result<u64> {
        let revision = self.known.keys().next_back().map_or(1, |last| last + 1);
        let meta = Meta {
            revision,
            at: Utc::now().to_string(),
            comment: comment.chars().take(COMMENT_CHARS_MAX).collect(),
            by: by.to_owned(),
            sha256: sha256(text),
        };
        let head = serde_json::to_string(&meta)?;
        file::write_private(&self.path(revision), format!("{HEAD}{head}\n{text}").as_bytes())?;
        self.known.insert(revision, Ok(meta));
        while self.known.len() > REVISIONS_MAX {
            let Some((oldest, _)) = self.known.pop_first() else { break };
            if let Err(error) = fs::remove_file(self.path(oldest)) {
                tracing::warn!(revision = oldest, %error, "an old revision cannot be removed");
            }
        }
        Ok(revision)
    }

    /// Takes back the newest revision, which did not come to run.
    pub(super) fn take_back(&mut self, number: u64) {
        self.known.remove(&number);
        let _ = fs::remove_file(self.path(number));
    }

    fn read(&self, number: u64) -> Result<(Meta, String), String> {
        let mut whole = String::new();
        let file = File::open(self.path(number)).map_err(|error| error.to_string())?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut whole).map_err(|error| error.to_string())?;
        let (head, text) = whole.split_once('\n').unwrap_or((&whole, ""));
        let head = head.strip_prefix(HEAD).ok_or("its first line does not say what it is")?;
        let meta: Meta = serde_json::from_str(head).map_err(|error| format!("its first line: {error}"))?;
        if meta.revision != number {
            return Err(format!("it says it is revision {}", meta.revision));
        }
        if meta.sha256 != sha256(text) {
            return Err("its text is not what was written".into());
        }
        Ok((meta, text.to_owned()))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:06}.toml"))
    }
}

/// The number of a revision's file; None: it is something else.
fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".toml")?;
    let number = name.parse().ok().filter(|number| *number > 0)?;
    (name == format!("{number:06}")).then_some(number)
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Revisions that are kept.
const REVISIONS_MAX: usize = 200;

/// How a file begins: a comment of TOML.
const HEAD: &str = "#: flambeau revision ";

const COMMENT_CHARS_MAX: usize = 500;

/// As much as a configuration may have, and its first line.
const FILE_BYTES_MAX: u64 = (16 << 20) + (16 << 10);

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("flambeau-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        directory
    }

    #[test]
    fn revisions_outlive_the_process_and_a_broken_one_is_passed_over() {
        let at = directory("revisions");
        let mut revisions = Revisions::open(at.clone()).expect("made");
        assert!(revisions.newest().is_none());
        for text in ["one\n", "two", "three\r\nlines"] {
            revisions.add(text, "why \"so\"\nand so", "api").expect("written");
        }
        assert_eq!(fs::metadata(&at).expect("there").permissions().mode() & 0o777, 0o700);
        let file = at.join("000003.toml");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        fs::write(&file, "half a rev").expect("ours");
        fs::write(at.join("000004.toml"), [0xff, 0xfe]).expect("ours");
        fs::write(at.join(".000005.toml.1.tmp"), "cut off").expect("ours");
        fs::write(at.join("notes.txt"), "not ours").expect("ours");

        let mut revisions = Revisions::open(at.clone()).expect("there");
        let (meta, text) = revisions.newest().expect("two can be read");
        assert_eq!((meta.revision, text.as_str(), meta.comment.as_str()), (2, "two", "why \"so\"\nand so"));
        let broken: Vec<u64> = revisions.list().filter(|(_, meta)| meta.is_err()).map(|(n, _)| n).collect();
        assert_eq!(broken, [4, 3]);
        assert!(matches!(revisions.find(3), Some(Err(_))) && revisions.find(9).is_none());
        // A number is never given twice.
        assert_eq!(revisions.add("five", "", "file").expect("written"), 5);
        assert!(!at.join(".000005.toml.1.tmp").exists() && at.join("notes.txt").exists());
        fs::remove_dir_all(&at).expect("removed");
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let at = directory("many-revisions");
        let mut revisions = Revisions::open(at.clone()).expect("made");
        for n in 0..REVISIONS_MAX + 3 {
            revisions.add(&n.to_string(), "", "api").expect("written");
        }
        assert_eq!(fs::read_dir(&at).expect("there").count(), REVISIONS_MAX);
        assert!(revisions.find(3).is_none() && revisions.find(4).is_some());
        fs::remove_dir_all(&at).expect("removed");
    }
}
