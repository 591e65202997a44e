//! A test's own directory, and the machine for itself.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A directory that goes when the test ends well, and shows its logs when it does not.
///
/// While it is held no other test of this kind runs: they measure, and two cores are soon busy.
pub(crate) struct Scratch {
    path: PathBuf,
    _machine: File,
}

impl Scratch {
    /// Waits for the machine, then makes the directory.
    pub(crate) async fn new(test: &str) -> Self {
        let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("one-test-at-a-time.lock");
        let machine = tokio::task::spawn_blocking(move || {
            let file = File::create(lock).expect("a lock file in target/tmp");
            file.lock().expect("the lock");
            file
        });
        let machine = machine.await.expect("no panic while waiting");
        // Not in target/: a player that refuses root runs as another user, who may not look in there.
        let path = std::env::temp_dir().join(format!("flambeau-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary directory");
        fs::set_permissions(&path, Permissions::from_mode(0o1777)).expect("opened for other users");
        Self { path, _machine: machine }
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_logs(&self.path);
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn show_logs(directory: &Path) {
    let mut logs: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    logs.sort();
    for log in logs {
        let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        eprintln!("--- {} ({} lines, the last {}):", log.display(), lines.len(), shown.len());
        eprintln!("{}", shown.join("\n"));
    }
}

const LOG_LINES_SHOWN: usize = 40;
