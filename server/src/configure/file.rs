//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Writes a file that only this user may read, in place of any of that name.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = Fresh::write(path, bytes)?;
    fresh.put()
}

/// Puts `bytes` into the file at `path`, which keeps its mode and, where we may, its owner. Of a symbolic link it is
/// the file behind it that is replaced.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let before = fs::metadata(&path)?;
    if before.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file is read-only"));
    }
    let fresh = Fresh::write(&path, bytes)?;
    fs::set_permissions(&fresh.path, Permissions::from_mode(before.mode() & 0o7777))?;
    let after = fs::metadata(&fresh.path)?;
    if (after.uid(), after.gid()) != (before.uid(), before.gid()) {
        // Only root may give a file away; who may not has it as its own, which a restart can read.
        let _ = std::os::unix::fs::chown(&fresh.path, Some(before.uid()), Some(before.gid()));
    }
    fresh.put()
}

/// Why [`replace`] would fail, if it would.
pub(super) fn obstacle(path: &Path) -> Option<io::Error> {
    let probe = || {
        let path = path.canonicalize()?;
        if fs::metadata(&path)?.permissions().readonly() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the file is read-only"));
        }
        Fresh::write(&path, b"").map(drop)
    };
    probe().err()
}

/// A file on its way to its place. Dropping it leaves nothing behind.
struct Fresh<'a> {
    path: PathBuf,
    place: &'a Path,
}

impl<'a> Fresh<'a> {
    fn write(place: &'a Path, bytes: &[u8]) -> io::Result<Self> {
        let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let path = place.with_file_name(format!(".{name}.{}{TEMPORARY}", std::process::id()));
        // What a process of the same number left behind is not ours to append to.
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let fresh = Self { path, place };
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(fresh)
    }

    fn put(self) -> io::Result<()> {
        fs::rename(&self.path, self.place)?;
        // The name is on disk once its directory is.
        File::open(self.place.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        // It is no longer there once it is in its place.
        let _ = fs::remove_file(&self.path);
    }
}

/// How the name of a file on its way ends.
pub(super) const TEMPORARY: &str = ".tmp";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_behind_its_link_and_keeps_its_mode() {
        let directory = std::env::temp_dir().join(format!("flambeau-file-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a temporary directory");
        let (file, link) = (directory.join("real.toml"), directory.join("link.toml"));
        fs::write(&file, "before").expect("written");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("ours");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        replace(&link, b"after").expect("replaced");
        assert_eq!(fs::read_to_string(&file).expect("there"), "after");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o640);
        fs::set_permissions(&file, Permissions::from_mode(0o440)).expect("ours");
        assert!(replace(&file, b"never").is_err() && obstacle(&file).is_some());
        assert_eq!(fs::read_to_string(&file).expect("there"), "after");
        let names = fs::read_dir(&directory).expect("a directory").count();
        assert_eq!(names, 2, "something was left behind");
        fs::remove_dir_all(&directory).expect("removed");
    }
}
