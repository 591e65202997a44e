//! The process as the kernel sees it, by the names every Prometheus client library uses, and the build.

use std::fmt;
use std::fs;

use super::{Collector, Sheet};

/// The process and its build.
#[derive(Debug)]
pub(crate) struct Process;

impl Collector for Process {
    fn collect(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        sheet.gauges(
            "flambeau_build_info",
            "1, with what was built as labels",
            [(&[("version", env!("CARGO_PKG_VERSION"))][..], 1_u64)],
        )?;
        let gauge = |sheet: &mut Sheet<'_>, name: &str, help: &str, value: Option<f64>| {
            value.map_or(Ok(()), |value| sheet.gauges(name, help, [(&[][..], value)]))
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let memory = |key| status_number(&status, key).map(|kib| kib * 1024.0);
        gauge(sheet, "process_resident_memory_bytes", "Memory in RAM", memory("VmRSS"))?;
        gauge(sheet, "process_virtual_memory_bytes", "Memory mapped", memory("VmSize"))?;
        gauge(sheet, "process_threads", "Threads", status_number(&status, "Threads"))?;
        gauge(sheet, "process_open_fds", "File descriptors open", open_descriptors())?;
        gauge(sheet, "process_max_fds", "File descriptors allowed", descriptors_max())?;
        let times = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| Times::parse(&stat));
        let started = times.as_ref().and_then(|times| Some(boot_seconds()? + times.started));
        gauge(sheet, "process_start_time_seconds", "Start, in seconds since 1970", started)?;
        times.map_or(Ok(()), |times| {
            sheet.counters("process_cpu_seconds", "CPU time of all threads", [(&[][..], times.cpu)])
        })
    }
}

/// Resident memory in bytes.
#[cfg(test)]
pub(crate) fn resident_bytes() -> Option<f64> {
    status_number(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS").map(|kib| kib * 1024.0)
}

/// The number of a line of /proc/self/status, in the line's unit (proc(5)).
fn status_number(status: &str, key: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse().ok()
}

fn open_descriptors() -> Option<f64> {
    // The directory being read is itself one of them.
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1) as f64)
}

fn descriptors_max() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Seconds since 1970 at which the machine started.
fn boot_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Of /proc/self/stat, in seconds.
#[derive(Debug, PartialEq)]
struct Times {
    cpu: f64,
    /// Since the machine started.
    started: f64,
}

impl Times {
    fn parse(stat: &str) -> Option<Self> {
        // The second field, the command, may hold spaces and parentheses of its own; the third follows the last one.
        let (_, fields) = stat.rsplit_once(')')?;
        let field = |number: usize| fields.split_whitespace().nth(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            started: field(22)? / TICKS_PER_SECOND,
        })
    }
}

/// `USER_HZ`, which Linux keeps at 100 towards user space whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let stat = "1 (a) b (c)) S 2 3 4 5 6 7 8 9 10 11 150 50 0 0 20 0 9 0 12345 0 0";
        assert_eq!(Times::parse(stat), Some(Times { cpu: 2.0, started: 123.45 }));
        assert_eq!(Times::parse("1 (a) S 2"), None);
        assert_eq!(Times::parse(""), None);
    }

    #[test]
    fn the_kernel_tells_of_this_process() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000.0));
        assert!(open_descriptors().is_some_and(|count| count >= 3.0));
        assert!(descriptors_max().is_some_and(|count| count >= 3.0));
        let now = flambeau_media::Utc::now().0 as f64 / 1e6;
        let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
        let started = boot_seconds().expect("Linux") + Times::parse(&stat).expect("its format").started;
        assert!((0.0..3600.0).contains(&(now - started)), "started {started}, now {now}");
    }
}
