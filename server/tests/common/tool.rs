//! A child process whose output is kept and that does not outlive its test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::scratch::Scratch;

/// A running program.
pub(crate) struct Tool {
    name: String,
    pub(crate) child: Child,
    pid: u32,
    log: PathBuf,
}

impl Tool {
    /// Starts `command`; what it prints goes to `NAME.log`.
    pub(crate) fn start(scratch: &Scratch, name: &str, command: Command) -> Self {
        Self::start_with(scratch, name, command, Stdio::null(), None)
    }

    /// As [`Tool::start`], with this standard input, and this standard output if one is given.
    pub(crate) fn start_with(
        scratch: &Scratch,
        name: &str,
        mut command: Command,
        stdin: Stdio,
        stdout: Option<Stdio>,
    ) -> Self {
        let log = scratch.file(&format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        command.stderr(file.try_clone().expect("a second handle"));
        command.stdin(stdin).stdout(stdout.unwrap_or_else(|| file.into()));
        let program = command.as_std().get_program().to_owned();
        let spawned = command.kill_on_drop(true).spawn();
        let child = spawned.unwrap_or_else(|error| {
            panic!("cannot start {}: {error}; scripts/setup installs what the tests need", program.display())
        });
        let pid = child.id().expect("it was not waited for yet");
        Self { name: name.into(), child, pid, log }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    pub(crate) fn running(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Fails unless it still runs.
    pub(crate) fn must_run(&mut self) {
        let ended = self.child.try_wait().expect("its state");
        assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
    }

    /// Sends a signal by its name: `TERM`, `KILL`, `STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = std::process::Command::new("kill").args(["-s", signal, &self.pid.to_string()]).status();
        assert!(sent.expect("kill is part of every system").success(), "cannot signal {}", self.name);
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, limit: Duration) -> ExitStatus {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => status.expect("its status"),
            Err(_) => panic!("{} did not end within {limit:?}", self.name),
        }
    }

    /// Where its output goes.
    pub(crate) fn log_file(&self) -> &Path {
        &self.log
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Its resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory is known");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kilobytes * 1024
    }
}

/// Runs a program to its end and returns what it printed: standard output, standard error.
pub(crate) async fn run(command: &mut Command) -> (ExitStatus, String, String) {
    let program = command.as_std().get_program().to_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(Duration::from_secs(120), output).await;
    let output = output.unwrap_or_else(|_| panic!("{} does not end", program.display()));
    let output = output.unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout), text(&output.stderr))
}

/// The length of a file; zero while it is not there.
pub(crate) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
