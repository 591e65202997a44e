//! What came of a run: for programs, for eyes, and whether the limits held.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::process::Cost;
use crate::scenario::Limits;
use crate::tally::{Counts, Group, Spread};

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How long it was measured.
    pub seconds: f64,
    /// Venues and clients by kind.
    pub groups: Vec<GroupReport>,
    /// What the server's process cost.
    pub server: Option<Cost>,
    /// Each limit, and whether it held.
    pub limits: Vec<Verdict>,
    /// Whether all did.
    pub held: bool,
}

/// What clients of one kind found.
#[derive(Debug, Clone, Serialize)]
pub struct GroupReport {
    /// Which kind.
    pub kind: Kind,
    /// How many.
    pub clients: usize,
    /// How many got to a first picture or byte.
    pub started: usize,
    /// Bits a second of all of them while it was measured.
    pub bit_rate: u64,
    /// From a picture's sending to its showing, or from a packet's sending to its delivery; for venues none.
    pub latency_ms: Option<Spread>,
    /// Until the first picture or byte.
    pub startup_ms: Option<Spread>,
    /// All of them together.
    pub total: Counts,
    /// Those with the most faults.
    pub worst: Vec<Client>,
}

/// A client and its counts.
#[derive(Debug, Clone, Serialize)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// Its counts.
    pub counts: Counts,
}

/// Venues, and the kinds of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Publishes over SRT.
    Venues,
    /// Pulls over SRT.
    SrtPulls,
    /// HLS with low latency.
    Hls,
    /// HLS by whole Segments.
    HlsPlain,
    /// DASH.
    Dash,
}

impl Kind {
    /// Its name in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Venues => "venues",
            Self::SrtPulls => "SRT pulls",
            Self::Hls => "LL-HLS",
            Self::HlsPlain => "HLS",
            Self::Dash => "DASH",
        }
    }

    fn is_viewer(self) -> bool {
        !matches!(self, Self::Venues | Self::SrtPulls)
    }
}

/// A limit, and whether it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Which.
    pub limit: String,
    /// The most there may be.
    pub allowed: String,
    /// What there was.
    pub found: String,
    /// Whether it held.
    pub held: bool,
}

impl GroupReport {
    /// What a group has found, `bytes_before` of it before it was measured, for `seconds`.
    pub fn of(kind: Kind, group: &Group, bytes_before: u64, seconds: f64) -> Self {
        let (mut clients, total) = (group.clients(), group.total());
        let started = clients.iter().filter(|(_, counts)| counts.startup_ms.is_some()).count();
        let bit_rate = (total.bytes.saturating_sub(bytes_before) as f64 * 8.0 / seconds.max(1e-3)) as u64;
        let count = clients.len();
        clients.retain(|(_, counts)| counts.faults() > 0 || counts.startup_ms.is_none());
        clients.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.faults()));
        clients.truncate(WORST);
        let worst = clients.into_iter().map(|(name, counts)| Client { name, counts }).collect();
        let (latency_ms, startup_ms) = (group.latency(), group.startup());
        Self { kind, clients: count, started, bit_rate, latency_ms, startup_ms, total, worst }
    }
}

impl Report {
    /// Judges what was found.
    pub fn new(seconds: f64, groups: Vec<GroupReport>, server: Option<Cost>, limits: &Limits) -> Self {
        let limits = judge(&groups, limits);
        let held = limits.iter().all(|verdict| verdict.held);
        Self { seconds, groups, server, limits, held }
    }

    /// The limits that did not hold, in a sentence; empty when all did.
    pub fn broken(&self) -> String {
        let broken = self.limits.iter().filter(|verdict| !verdict.held);
        let sentences = broken.map(|Verdict { limit, allowed, found, .. }| {
            format!("{limit} {found}, at most {allowed} allowed")
        });
        sentences.collect::<Vec<_>>().join("; ")
    }

    /// A table for eyes.
    pub fn table(&self) -> String {
        let head = ["", "clients", "started", "rate", "latency p50", "p95", "p99", "max", "start-up p99"];
        let faults = ["stalls", "holes", "lost", "altered", "errors"];
        let mut rows = vec![head.iter().chain(&faults).map(|cell| (*cell).to_owned()).collect::<Vec<_>>()];
        rows.extend(self.groups.iter().map(row));
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &rows {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        self.details(&mut text);
        text
    }

    fn details(&self, text: &mut String) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nmeasured for {:.1} s", self.seconds);
        if let Some(cost) = &self.server {
            let (memory, memory_max) = (cost.memory >> 20, cost.memory_max >> 20);
            let _ = writeln!(
                text,
                "server: {:.2} cores, {:.1} s of processor time, {memory} MiB, at most {memory_max} MiB",
                cost.cores, cost.cpu_seconds
            );
        }
        for group in &self.groups {
            for client in &group.worst {
                let _ = writeln!(text, "{} {}: {}", group.kind.label(), client.name, faults(&client.counts));
            }
        }
        for Verdict { limit, allowed, found, held } in &self.limits {
            let _ =
                writeln!(text, "{} {limit}: {found} of {allowed}", if *held { "held  " } else { "BROKEN" });
        }
    }
}

fn row(group: &GroupReport) -> Vec<String> {
    let ms = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.0} ms"));
    let latency = group.latency_ms;
    let total = &group.total;
    let numbers = [total.stalls, total.holes + total.skips, lost(total), altered(total), errors(total)];
    let mut cells = vec![
        group.kind.label().to_owned(),
        group.clients.to_string(),
        group.started.to_string(),
        format!("{:.1} Mb/s", group.bit_rate as f64 / 1e6),
        ms(latency.map(|spread| spread.p50)),
        ms(latency.map(|spread| spread.p95)),
        ms(latency.map(|spread| spread.p99)),
        ms(latency.map(|spread| spread.max)),
        ms(group.startup_ms.map(|spread| spread.p99)),
    ];
    cells.extend(numbers.map(|number| number.to_string()));
    cells
}

/// What went wrong for a client, in words.
fn faults(counts: &Counts) -> String {
    let mut words = Vec::new();
    let named = [
        (counts.packets_lost, "TS packets lost"),
        (counts.packets_surplus, "too many"),
        (counts.stretches_altered, "stretches altered"),
        (counts.stalls, "stalls"),
        (counts.holes, "holes"),
        (counts.pictures_lost, "pictures lost"),
        (counts.skips, "times left media out"),
        (counts.early_reloads, "reloads answered early"),
    ];
    words.extend(named.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")));
    if counts.stalled_ms > 0 {
        words.push(format!("stood still for {} ms", counts.stalled_ms));
    }
    if counts.startup_ms.is_none() {
        words.push("never started".into());
    }
    words.extend(counts.errors.iter().map(|(kind, count)| format!("{count} × {kind}")));
    words.join(", ")
}

fn lost(counts: &Counts) -> u64 {
    counts.packets_lost + counts.pictures_lost
}

fn altered(counts: &Counts) -> u64 {
    counts.packets_surplus + counts.stretches_altered
}

fn errors(counts: &Counts) -> u64 {
    counts.errors_total() + counts.early_reloads
}

fn judge(groups: &[GroupReport], limits: &Limits) -> Vec<Verdict> {
    let sum = |count: fn(&GroupReport) -> u64| groups.iter().map(count).sum::<u64>();
    let counts = [
        ("lost", limits.lost, sum(|group| lost(&group.total))),
        ("altered", limits.altered, sum(|group| altered(&group.total))),
        ("stalls", limits.stalls, sum(|group| group.total.stalls)),
        ("gaps", limits.gaps, sum(|group| group.total.holes + group.total.skips)),
        ("errors", limits.errors, sum(|group| errors(&group.total))),
        ("absent", limits.absent, sum(|group| (group.clients - group.started) as u64)),
    ];
    let mut verdicts: Vec<Verdict> = counts
        .into_iter()
        .filter_map(|(limit, allowed, found)| {
            let allowed = allowed?;
            let held = found <= allowed;
            Some(Verdict {
                limit: limit.into(),
                allowed: allowed.to_string(),
                found: found.to_string(),
                held,
            })
        })
        .collect();
    let latencies = [
        (Kind::SrtPulls, limits.pull_latency),
        (Kind::Hls, limits.hls_latency),
        (Kind::HlsPlain, limits.hls_plain_latency),
        (Kind::Dash, limits.dash_latency),
    ];
    for (kind, allowed) in latencies {
        let group = groups.iter().find(|group| group.kind == kind && group.clients > 0);
        if let (Some(group), Some(allowed)) = (group, allowed) {
            verdicts.push(time(format!("{} latency p99", kind.label()), allowed, group.latency_ms));
        }
    }
    if let Some(allowed) = limits.startup {
        let viewers = groups.iter().filter(|group| group.kind.is_viewer() && group.clients > 0);
        verdicts
            .extend(viewers.map(|group| {
                time(format!("{} start-up p99", group.kind.label()), allowed, group.startup_ms)
            }));
    }
    verdicts
}

/// What was not measured did not hold.
fn time(limit: String, allowed: Duration, found: Option<Spread>) -> Verdict {
    let held = found.is_some_and(|found| found.p99() <= allowed);
    let found = found.map_or_else(|| "not measured".into(), |found| format!("{:.0} ms", found.p99));
    Verdict { limit, allowed: format!("{} ms", allowed.as_millis()), found, held }
}

/// Clients that are named.
const WORST: usize = 5;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn report(limits: &Limits) -> Report {
        let group = Arc::new(Group::default());
        for n in 0..10 {
            let record = group.record(format!("pull {n}"));
            record.count(|counts| (counts.bytes, counts.startup_ms) = (1_000_000, Some(5)));
            record.latencies(&[200_000]);
        }
        let bad = group.record("pull 10");
        bad.count(|counts| counts.packets_lost = 7);
        bad.error("status 404");
        Report::new(2.0, vec![GroupReport::of(Kind::SrtPulls, &group, 2_000_000, 2.0)], None, limits)
    }

    #[test]
    fn a_limit_that_is_broken_is_named_with_what_was_found() {
        let report = report(&Limits { pull_latency: Some(Duration::from_millis(100)), ..Limits::default() });
        assert!(!report.held);
        assert_eq!(
            report.broken(),
            "lost 7, at most 0 allowed; errors 1, at most 0 allowed; absent 1, at most 0 allowed; \
             SRT pulls latency p99 200 ms, at most 100 ms allowed"
        );
        let table = report.table();
        assert!(table.contains("pull 10: 7 TS packets lost, never started, 1 × status 404"), "{table}");
        assert!(table.contains("32.0 Mb/s"), "{table}");
    }

    #[test]
    fn what_is_allowed_holds_and_what_was_not_measured_does_not() {
        let limits = Limits {
            lost: Some(7),
            errors: None,
            absent: Some(1),
            pull_latency: Some(Duration::from_millis(201)),
            ..Limits::default()
        };
        assert!(report(&limits).held, "{}", report(&limits).broken());
        let none = time("x".into(), Duration::from_secs(1), None);
        assert!(!none.held);
    }

    #[test]
    fn programs_read_what_eyes_read() {
        let json = serde_json::to_value(report(&Limits::default())).expect("JSON");
        assert_eq!(json["groups"][0]["kind"], "srt_pulls");
        assert_eq!(json["groups"][0]["total"]["packets_lost"], 7);
        assert_eq!(json["groups"][0]["worst"][0]["counts"]["errors"]["status 404"], 1);
        assert_eq!(json["held"], false);
    }
}
