//! What is seen of a run while it goes on: a bar on a terminal, else a line now and then.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Running;
use crate::report::Kind;

/// Progress on standard error.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    pub(super) fn new(duration: Duration) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(duration.as_millis() as u64);
            let style = ProgressStyle::with_template("{elapsed_precise} {bar:30} {percent:>3} %\n{msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, told: Instant::now() }
    }

    /// Shows how it stands.
    pub(super) fn tell(&mut self, running: &Running, began: Option<Instant>) {
        let elapsed = began.map_or(Duration::ZERO, |began| began.elapsed());
        match &self.bar {
            Some(bar) if self.told.elapsed() >= BAR_EVERY => {
                bar.set_position(elapsed.as_millis() as u64);
                bar.set_message(line(running));
            }
            None if self.told.elapsed() >= LINE_EVERY => {
                let stage = if began.is_some() {
                    format!("{:.0} s", elapsed.as_secs_f64())
                } else {
                    "starting".into()
                };
                // Nobody reads it: that is no reason to end.
                let _ = writeln!(io::stderr(), "{stage}: {}", line(running));
            }
            _ => return,
        }
        self.told = Instant::now();
    }

    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(running: &Running) -> String {
    let (mut text, mut faults) = (String::new(), [0; 4]);
    for (kind, group, _) in &running.groups {
        let Some(kind) = kind else { continue };
        let (clients, total) = (group.clients(), group.total());
        let started = clients.iter().filter(|(_, counts)| counts.startup_ms.is_some()).count();
        let _ = write!(text, "{} {started}/{}", kind.label(), clients.len());
        if let Some(latency) = group.latency().filter(|_| *kind != Kind::Venues) {
            let _ = write!(text, " p99 {:.0} ms", latency.p99);
        }
        text.push_str(", ");
        faults[0] += total.stalls;
        faults[1] += total.holes + total.skips;
        faults[2] += total.packets_lost + total.pictures_lost;
        faults[3] += total.errors_total();
    }
    let [stalls, holes, lost, errors] = faults;
    let _ = write!(text, "stalls {stalls}, holes {holes}, lost {lost}, errors {errors}");
    text
}

const BAR_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(5);
