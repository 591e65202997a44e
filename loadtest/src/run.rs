//! Runs a [`Scenario`]: venues, then clients, then the measurement, then the report.

mod cast;
mod progress;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::process::Process;
use crate::reel::Reel;
use crate::report::{GroupReport, Kind, Report};
use crate::scenario::Scenario;
use crate::tally::Group;
use crate::ts::{self, Recipe};
use cast::Cast;
use progress::Progress;

/// Runs the scenario. `ended`: the run is cut short when it comes, and reported all the same.
pub async fn run(scenario: &Scenario, ended: impl Future<Output = ()>) -> anyhow::Result<Report> {
    let cast = Cast::new(scenario, reel(scenario).await?)?;
    let pid = scenario.target.server_pid;
    let process = pid.map(Process::measure).transpose().with_context(|| {
        format!("cannot measure the server: there is no process {}", pid.unwrap_or_default())
    })?;
    let mut running = Running { process, ..Running::default() };
    tokio::pin!(ended);
    let measured = tokio::select! {
        measured = running.act(scenario, &cast) => measured,
        () = &mut ended => running.measured(),
    };
    running.finish().await;
    Ok(running.report(scenario, measured))
}

/// The stream all venues publish; none where nobody does.
async fn reel(scenario: &Scenario) -> anyhow::Result<Option<Arc<Reel>>> {
    let venues = &scenario.venues;
    if venues.count == 0 {
        return Ok(None);
    }
    let (ts, name) = match &venues.media {
        Some(path) => {
            let ts =
                tokio::fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))?;
            (ts, path.display().to_string())
        }
        None => {
            let recipe = Recipe { length: LOOP, rate: venues.rate, splice_every: SPLICE_EVERY, input: None };
            (ts::make(&recipe).await?, "the test picture".into())
        }
    };
    let reel = tokio::task::spawn_blocking(move || Reel::new(ts)).await?;
    Ok(Some(Arc::new(reel.with_context(|| format!("{name} cannot be looped"))?)))
}

/// Everything under way.
#[derive(Default)]
struct Running {
    groups: [(Option<Kind>, Arc<Group>, u64); 5],
    tasks: JoinSet<()>,
    clients: CancellationToken,
    venues: CancellationToken,
    began: Option<Instant>,
    process: Option<Process>,
}

impl Running {
    /// Starts everybody, waits for the time of the scenario, and says how long it was measured.
    async fn act(&mut self, scenario: &Scenario, cast: &Cast) -> Duration {
        let mut progress = Progress::new(scenario.duration);
        for (slot, kind) in KINDS.iter().enumerate() {
            self.groups[slot].0 = (cast.count(*kind) > 0).then_some(*kind);
        }
        for (slot, kind) in KINDS.iter().enumerate() {
            let (group, count) = (self.groups[slot].1.clone(), cast.count(*kind));
            for index in 0..count {
                let stop = if *kind == Kind::Venues { &self.venues } else { &self.clients };
                cast.start(*kind, index, &group, stop, &mut self.tasks);
                tokio::time::sleep(scenario.ramp).await;
                progress.tell(self, None);
            }
            if *kind == Kind::Venues && count > 0 {
                self.wait(scenario.settle, &mut progress, None).await;
            }
        }
        for (_, group, before) in &mut self.groups {
            *before = group.total().bytes;
        }
        let began = Instant::now();
        self.began = Some(began);
        self.wait(scenario.duration, &mut progress, Some(began)).await;
        progress.end();
        began.elapsed()
    }

    async fn wait(&mut self, time: Duration, progress: &mut Progress, began: Option<Instant>) {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep_until(end.min(tokio::time::Instant::now() + LOOK_EVERY)).await;
            if let Some(process) = &mut self.process {
                process.cost();
            }
            progress.tell(self, began);
        }
    }

    fn measured(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// Ends the clients, then the venues: what a venue does not send is nobody's stall.
    async fn finish(&mut self) {
        self.clients.cancel();
        tokio::time::sleep(END_CLIENTS).await;
        self.venues.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Whoever does not end is cut.
        let _ = tokio::time::timeout(END_MAX, all).await;
        self.tasks.abort_all();
    }

    fn report(&mut self, scenario: &Scenario, measured: Duration) -> Report {
        let seconds = measured.as_secs_f64();
        let groups = self
            .groups
            .iter()
            .filter_map(|(kind, group, before)| Some(GroupReport::of((*kind)?, group, *before, seconds)));
        let cost = self.process.as_mut().and_then(Process::cost);
        Report::new(seconds, groups.collect(), cost, &scenario.limits)
    }
}

const KINDS: [Kind; 5] = [Kind::Venues, Kind::SrtPulls, Kind::Hls, Kind::HlsPlain, Kind::Dash];
/// A loop of the test picture: whole frames of 25 pictures a second, and of AAC at 48 kHz.
const LOOP: Duration = Duration::from_millis(16_000);
/// Splices of the test picture.
const SPLICE_EVERY: Duration = Duration::from_secs(5);
/// How often the server's process is looked at, and progress shown.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Clients end before venues by this.
const END_CLIENTS: Duration = Duration::from_millis(500);
/// All of them end within this.
const END_MAX: Duration = Duration::from_secs(5);
