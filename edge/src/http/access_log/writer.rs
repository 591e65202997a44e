//! The thread that writes the access log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Opens the file and starts the thread. It ends when every sender has gone and all is written.
pub(super) fn start(path: PathBuf) -> io::Result<SyncSender<String>> {
    let file = open(&path)?;
    let (sender, queue) = sync_channel(LINES_MAX);
    let writer = Writer { path, file, lines: Vec::new(), warned: None };
    std::thread::Builder::new().name("access-log".into()).spawn(move || writer.run(&queue))?;
    Ok(sender)
}

struct Writer {
    path: PathBuf,
    file: File,
    lines: Vec<u8>,
    warned: Option<Instant>,
}

impl Writer {
    fn run(mut self, queue: &Receiver<String>) {
        let mut looked = Instant::now();
        loop {
            let received = queue.recv_timeout(LOOK_INTERVAL);
            if looked.elapsed() >= LOOK_INTERVAL {
                looked = Instant::now();
                self.follow();
            }
            match received {
                Ok(line) => {
                    self.lines.extend_from_slice(line.as_bytes());
                    // Whatever waits goes with it in one write.
                    while self.lines.len() < WRITE_BYTES
                        && let Ok(line) = queue.try_recv()
                    {
                        self.lines.extend_from_slice(line.as_bytes());
                    }
                    self.write();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self) {
        let written = self.file.write_all(&self.lines);
        self.lines.clear();
        if let Err(error) = written {
            self.warn(&error);
        }
    }

    /// Opens the file anew when another stands in its place, or none: logrotate has moved it.
    fn follow(&mut self) {
        if is_same(&self.file, &self.path) {
            return;
        }
        match open(&self.path) {
            Ok(file) => self.file = file,
            Err(error) => self.warn(&error),
        }
    }

    fn warn(&mut self, error: &io::Error) {
        if self.warned.is_none_or(|warned| warned.elapsed() > WARN_INTERVAL) {
            self.warned = Some(Instant::now());
            tracing::warn!(path = %self.path.display(), %error, "lines of the access log are lost");
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(there)) => (file.dev(), file.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(_: &File, path: &Path) -> bool {
    fs::metadata(path).is_ok()
}

/// Lines that wait for the disk, at some 200 bytes each; further ones are dropped and counted.
const LINES_MAX: usize = 16_384;
const WRITE_BYTES: usize = 64 << 10;
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const WARN_INTERVAL: Duration = Duration::from_secs(60);
