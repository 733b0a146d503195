//! What the kernel says about a process.

use std::time::Duration;

/// Clock ticks per second: what Linux reports to user space on every architecture.
const TICKS: f64 = 100.0;

/// Resident memory in MiB: now, and at its greatest.
pub fn memory(pid: u32) -> (f64, f64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let field = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name)).expect("a field of status");
        line.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok()).expect("kB") / 1024.0
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// CPU time used so far, by all threads.
pub fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let after = stat.rsplit_once(") ").expect("a name").1;
    let fields: Vec<f64> = after.split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect();
    Duration::from_secs_f64((fields[11] + fields[12]) / TICKS)
}

/// Calls of write(2) and its kin on files, terminals and event descriptors; sockets are not among them.
pub fn writes(pid: u32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("the process lives");
    let line = io.lines().find_map(|l| l.strip_prefix("syscw: ")).expect("syscw");
    line.parse().expect("a number")
}
