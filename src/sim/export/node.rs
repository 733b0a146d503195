//! node-exporter.

use super::{Family, Row, Sink, View, counter, gauge, row};
use crate::sim::machine::Machine;

type OfMachine = fn(&Machine) -> Option<f64>;

const fn labelled(family: Family, labels: &'static [(&'static str, &'static str)], get: OfMachine) -> Row<OfMachine> {
    Row { family, labels, get }
}

const ROOT: &[(&str, &str)] = &[("device", "/dev/nvme0n1p1"), ("fstype", "ext4"), ("mountpoint", "/")];
const DISK: &[(&str, &str)] = &[("device", "nvme0n1")];
const ETH: &[(&str, &str)] = &[("device", "eth0")];

static CPU: Family = counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.");
static UNAME: Family = gauge("node_uname_info", "Labeled system information as provided by the uname system call.");
/// As [`Machine::cpu_seconds`] has them.
const MODES: [&str; 5] = ["idle", "iowait", "steal", "system", "user"];

static ROWS: [Row<OfMachine>; 24] = [
    row(gauge("node_memory_MemTotal_bytes", "Memory information field MemTotal_bytes."), |m| Some(m.memory)),
    row(gauge("node_memory_MemAvailable_bytes", "Memory information field MemAvailable_bytes."), |m| {
        Some((m.memory - m.memory_used).max(0.0).floor())
    }),
    // What no page cache holds is not told apart by the machines: everything available counts as free.
    row(gauge("node_memory_MemFree_bytes", "Memory information field MemFree_bytes."), |m| {
        Some((m.memory - m.memory_used).max(0.0).floor())
    }),
    row(gauge("node_memory_Buffers_bytes", "Memory information field Buffers_bytes."), |_| Some(0.0)),
    row(gauge("node_memory_Cached_bytes", "Memory information field Cached_bytes."), |_| Some(0.0)),
    row(gauge("node_memory_SwapTotal_bytes", "Memory information field SwapTotal_bytes."), |_| Some(0.0)),
    labelled(gauge("node_filesystem_size_bytes", "Filesystem size in bytes."), ROOT, |m| Some(m.disk)),
    labelled(
        gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes."),
        ROOT,
        |m| Some((m.disk - m.disk_used).max(0.0).floor()),
    ),
    labelled(gauge("node_filesystem_free_bytes", "Filesystem free space in bytes."), ROOT, |m| {
        Some((m.disk - m.disk_used).max(0.0).floor())
    }),
    labelled(gauge("node_filesystem_readonly", "Filesystem read-only status."), ROOT, |_| Some(0.0)),
    labelled(counter("node_disk_read_bytes_total", "The total number of bytes read successfully."), DISK, |m| {
        Some(m.io[0].floor())
    }),
    labelled(counter("node_disk_written_bytes_total", "The total number of bytes written successfully."), DISK, |m| {
        Some(m.io[1].floor())
    }),
    labelled(counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os."), DISK, |m| Some(m.io[2])),
    labelled(
        counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."),
        DISK,
        |m| Some(m.io[2] + m.pressure[2]),
    ),
    labelled(counter("node_network_receive_bytes_total", "Network device statistic receive_bytes."), ETH, |m| {
        Some(m.network[0].floor())
    }),
    labelled(counter("node_network_transmit_bytes_total", "Network device statistic transmit_bytes."), ETH, |m| {
        Some(m.network[1].floor())
    }),
    labelled(counter("node_network_receive_packets_total", "Network device statistic receive_packets."), ETH, |m| {
        Some((m.network[0] / super::cadvisor::PACKET).floor())
    }),
    labelled(counter("node_network_transmit_packets_total", "Network device statistic transmit_packets."), ETH, |m| {
        Some((m.network[1] / super::cadvisor::PACKET).floor())
    }),
    labelled(counter("node_network_receive_errs_total", "Network device statistic receive_errs."), ETH, |_| Some(0.0)),
    labelled(counter("node_network_transmit_errs_total", "Network device statistic transmit_errs."), ETH, |_| {
        Some(0.0)
    }),
    row(
        counter(
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time",
        ),
        |m| Some(m.pressure[0]),
    ),
    row(
        counter(
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory",
        ),
        |m| Some(m.pressure[1]),
    ),
    row(
        counter(
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion",
        ),
        |m| Some(m.pressure[2]),
    ),
    row(gauge("node_boot_time_seconds", "Node boot time, in unixtime."), |m| Some(m.booted.timestamp() as f64)),
];
static LOAD: Family = gauge("node_load1", "1m load average.");
static TIME: Family = gauge("node_time_seconds", "System time in seconds since epoch (1970).");

/// All of this page.
pub(in crate::sim) fn families(all: &mut Vec<&'static Family>) {
    all.extend(ROWS.iter().map(|r| &r.family).chain([&CPU, &UNAME, &LOAD, &TIME]));
}

/// A node.
pub(super) fn machine(node: &str, view: &dyn View, sink: &mut dyn Sink) {
    let Some(m) = view.machine(node) else { return };
    sink.base(&[]);
    cpus(&m, sink);
    for r in &ROWS {
        if let Some(value) = (r.get)(&m) {
            sink.put(&r.family, "", r.labels, value);
        }
    }
    let busy: f64 = view.on(node).iter().filter_map(|p| Some(view.usage(&p.place)?.cores)).sum();
    sink.put(&LOAD, "", &[], (busy * 100.0).round() / 100.0);
    sink.put(&TIME, "", &[], view.now() as f64 / 1000.0);
    let known = view.known().nodes.get(node);
    let (kernel, arch) = known.map_or(("", ""), |k| (k.kernel.as_str(), k.arch.as_str()));
    let machine = if arch == "arm64" { "aarch64" } else { "x86_64" };
    sink.put(&UNAME, "", &[("machine", machine), ("nodename", node), ("release", kernel), ("sysname", "Linux")], 1.0);
}

/// The machine knows seconds of all its cores: each core has its part, as the kernel spreads work.
fn cpus(m: &Machine, sink: &mut dyn Sink) {
    let cores = m.cores.ceil().max(1.0);
    for cpu in 0..cores as usize {
        let cpu = cpu.to_string();
        for (mode, seconds) in MODES.iter().zip(m.cpu_seconds) {
            sink.put(&CPU, "", &[("cpu", &cpu), ("mode", mode)], seconds / cores);
        }
    }
}
