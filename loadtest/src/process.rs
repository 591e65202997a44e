//! What the server's process costs, from /proc.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use serde::Serialize;

/// A process while it is measured.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    began: (Instant, Duration),
    memory_max: u64,
}

/// What it cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    /// Processor time while it was measured, in seconds.
    pub cpu_seconds: f64,
    /// Cores it kept busy on average.
    pub cores: f64,
    /// Resident memory by now, in bytes.
    pub memory: u64,
    /// The most there was of it when it was looked at.
    pub memory_max: u64,
}

impl Process {
    /// Begins to measure a process.
    pub fn measure(pid: u32) -> io::Result<Self> {
        Ok(Self { pid, began: (Instant::now(), cpu(pid)?), memory_max: memory(pid)? })
    }

    /// What it cost so far; None once it is gone.
    pub fn cost(&mut self) -> Option<Cost> {
        let (cpu, memory) = (cpu(self.pid).ok()?, memory(self.pid).ok()?);
        self.memory_max = self.memory_max.max(memory);
        let cpu_seconds = cpu.saturating_sub(self.began.1).as_secs_f64();
        let cores = cpu_seconds / self.began.0.elapsed().as_secs_f64().max(1e-3);
        Some(Cost { cpu_seconds, cores, memory, memory_max: self.memory_max })
    }
}

/// User and system time (proc(5), /proc/PID/stat, fields 14 and 15).
fn cpu(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses that may hold anything.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 =
        after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Resident memory in bytes (proc(5), /proc/PID/statm, field 2).
fn memory(pid: u32) -> io::Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages = statm.split_whitespace().nth(1).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Ok(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_is_seen_to() {
        let mut process = Process::measure(std::process::id()).expect("our own");
        let mut sum = 0_u64;
        let cost = loop {
            sum = (0..1_000_000_u64).fold(sum, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
            let cost = process.cost().expect("we live");
            if cost.cpu_seconds > 0.0 {
                break cost;
            }
        };
        assert!(cost.memory > 1 << 20 && cost.cores > 0.0, "{cost:?} {sum}");
        assert!(Process::measure(u32::MAX).is_err());
    }
}
