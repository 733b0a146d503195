//! The kubelet's `/metrics/cadvisor`: containers, pods' cgroups with their sandboxes, and the root cgroup. Names and
//! helps as in cadvisor/metrics/prometheus.go; labels as containerd with systemd cgroups gives them.

use super::{Family, OfProcess, Row, Sink, View, counter, gauge, of_process, row};
use crate::sim::machine::{Place, Usage};

const fn disk(family: Family, get: OfProcess) -> Row<OfProcess> {
    Row { family, labels: &[("device", "/dev/nvme0n1")], get }
}

/// Bytes of a packet on average: machines count bytes only.
pub(super) const PACKET: f64 = 900.0;

static CPU: [Family; 3] = [
    counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds."),
    counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds."),
    counter("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds."),
];
static MEMORY: [Family; 4] = [
    gauge("container_memory_working_set_bytes", "Current working set in bytes."),
    gauge(
        "container_memory_usage_bytes",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
    ),
    gauge("container_memory_rss", "Size of RSS in bytes."),
    gauge("container_memory_cache", "Number of bytes of page cache memory."),
];
static START: Family =
    gauge("container_start_time_seconds", "Start time of the container since unix epoch in seconds.");
static OOM: Family = counter("container_oom_events_total", "Count of out of memory events observed for the container");
static CORES: Family = gauge("machine_cpu_cores", "Number of logical CPU cores.");
static INSTALLED: Family = gauge("machine_memory_bytes", "Amount of memory installed on the machine.");
static NETWORK: [Family; 8] = [
    counter("container_network_receive_bytes_total", "Cumulative count of bytes received"),
    counter("container_network_receive_packets_total", "Cumulative count of packets received"),
    counter("container_network_receive_errors_total", "Cumulative count of errors encountered while receiving"),
    counter("container_network_receive_packets_dropped_total", "Cumulative count of packets dropped while receiving"),
    counter("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted"),
    counter("container_network_transmit_packets_total", "Cumulative count of packets transmitted"),
    counter("container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting"),
    counter(
        "container_network_transmit_packets_dropped_total",
        "Cumulative count of packets dropped while transmitting",
    ),
];

/// Of a container, beside CPU and memory, which pods and the root have too.
static CONTAINER: [Row<OfProcess>; 22] = [
    row(counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals."), |p, u| {
        p.limits[0].map(|_| u.cfs[0].floor())
    }),
    row(counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals."), |p, u| {
        p.limits[0].map(|_| u.cfs[1].floor())
    }),
    row(
        counter("container_cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled."),
        |p, u| p.limits[0].map(|_| u.cfs[2]),
    ),
    row(counter("container_memory_failcnt", "Number of memory usage hits limits"), |_, _| Some(0.0)),
    row(gauge("container_memory_swap", "Container swap usage in bytes."), |_, _| Some(0.0)),
    row(gauge("container_spec_cpu_period", "CPU period of the container."), |_, _| Some(100_000.0)),
    row(gauge("container_spec_cpu_quota", "CPU quota of the container."), |p, _| {
        p.limits[0].map(|l| (l * 100_000.0).round())
    }),
    // As the kubelet converts requests: 1024 shares a core, at least 2.
    row(gauge("container_spec_cpu_shares", "CPU share of the container."), |p, _| {
        Some((p.requests[0] * 1024.0).floor().max(2.0))
    }),
    row(gauge("container_spec_memory_limit_bytes", "Memory limit for the container."), |p, _| {
        Some(p.limits[1].unwrap_or(0.0))
    }),
    row(
        gauge("container_spec_memory_reservation_limit_bytes", "Memory reservation limit for the container."),
        |_, _| Some(0.0),
    ),
    row(gauge("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container."), |_, _| Some(0.0)),
    disk(
        gauge("container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem."),
        |_, u| Some(u.disk.floor()),
    ),
    disk(counter("container_fs_reads_bytes_total", "Cumulative count of bytes read"), |_, u| Some(u.io[0].floor())),
    disk(counter("container_fs_writes_bytes_total", "Cumulative count of bytes written"), |_, u| Some(u.io[1].floor())),
    row(gauge("container_threads", "Number of threads running inside the container"), |_, u| Some(u.threads.round())),
    row(gauge("container_processes", "Number of processes running inside the container."), |_, _| Some(1.0)),
    row(
        counter(
            "container_pressure_cpu_waiting_seconds_total",
            "Total time duration tasks in the container have waited due to CPU congestion.",
        ),
        |_, u| Some(u.stalled[0]),
    ),
    // Nothing is ever fully stalled for CPU: who uses it up makes progress.
    row(
        counter(
            "container_pressure_cpu_stalled_seconds_total",
            "Total time duration no tasks in the container could make progress due to CPU congestion.",
        ),
        |_, _| Some(0.0),
    ),
    row(
        counter(
            "container_pressure_memory_waiting_seconds_total",
            "Total time duration tasks in the container have waited due to memory congestion.",
        ),
        |_, u| Some(u.stalled[1]),
    ),
    row(
        counter(
            "container_pressure_memory_stalled_seconds_total",
            "Total time duration no tasks in the container could make progress due to memory congestion.",
        ),
        |_, u| Some(u.stalled[1] * FULL),
    ),
    row(
        counter(
            "container_pressure_io_waiting_seconds_total",
            "Total time duration tasks in the container have waited due to IO congestion.",
        ),
        |_, u| Some(u.stalled[2]),
    ),
    row(
        counter(
            "container_pressure_io_stalled_seconds_total",
            "Total time duration no tasks in the container could make progress due to IO congestion.",
        ),
        |_, u| Some(u.stalled[2] * FULL),
    ),
];

/// Share of the time that some task waits in which all of them do.
const FULL: f64 = 0.5;

/// All of this page.
pub(in crate::sim) fn families(all: &mut Vec<&'static Family>) {
    all.extend(CPU.iter().chain(&MEMORY).chain(&NETWORK).chain([&START, &OOM, &CORES, &INSTALLED]));
    all.extend(CONTAINER.iter().map(|r| &r.family));
}

fn resources(u: &Usage, sink: &mut dyn Sink) {
    sink.put(&CPU[0], "", &[("cpu", "total")], u.cpu_seconds[0] + u.cpu_seconds[1]);
    sink.put(&CPU[1], "", &[], u.cpu_seconds[0]);
    sink.put(&CPU[2], "", &[], u.cpu_seconds[1]);
    for (family, value) in MEMORY.iter().zip([u.working_set, u.rss + u.cache, u.rss, u.cache]) {
        sink.put(family, "", &[], value.floor());
    }
}

fn network(bytes: [f64; 2], sink: &mut dyn Sink) {
    let of = |b: f64| [b.floor(), (b / PACKET).floor(), 0.0, 0.0];
    for (family, value) in NETWORK.iter().zip(of(bytes[0]).into_iter().chain(of(bytes[1]))) {
        sink.put(family, "", &[("interface", "eth0")], value);
    }
}

/// The machine and its root cgroup.
pub(super) fn root(node: &str, view: &dyn View, sink: &mut dyn Sink) {
    let Some(m) = view.machine(node) else { return };
    sink.base(&[("id", "/")]);
    let [_, _, _, system, user] = m.cpu_seconds;
    let (working_set, cache) = (m.memory_used, 0.0);
    resources(&Usage { cpu_seconds: [user, system], working_set, rss: working_set, cache, ..Usage::default() }, sink);
    sink.put(&START, "", &[], m.booted.timestamp() as f64);
    network(m.network, sink);
    sink.put(&CORES, "", &[], m.cores);
    sink.put(&INSTALLED, "", &[], m.memory);
}

/// The cgroup of a pod: systemd names it after the UID with underscores.
fn slice(uid: &str, requests: bool, limits: bool) -> String {
    let (class, uid) = (
        if limits {
            ""
        } else if requests {
            "burstable"
        } else {
            "besteffort"
        },
        uid.replace('-', "_"),
    );
    if class.is_empty() {
        return format!("/kubepods.slice/kubepods-pod{uid}.slice");
    }
    format!("/kubepods.slice/kubepods-{class}.slice/kubepods-{class}-pod{uid}.slice")
}

fn slice_of(containers: &[&crate::sim::machine::Process]) -> String {
    let uid = containers.first().map_or("", |p| &p.uid);
    let requests = containers.iter().any(|p| p.requests != [0.0; 2] || p.limits.iter().any(Option::is_some));
    let guaranteed = containers.iter().all(|p| p.limits == [Some(p.requests[0]), Some(p.requests[1])]);
    slice(uid, requests, guaranteed)
}

/// The id of a container as the runtime names it, without its scheme.
fn bare(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// The cgroup of a pod, and the network of its sandbox.
pub(super) fn pod(namespace: &str, pod: &str, view: &dyn View, sink: &mut dyn Sink) {
    let containers = view.pod(namespace, pod);
    let mut sum = Usage::default();
    let mut any = false;
    for p in &containers {
        let Some(u) = view.usage(&p.place) else { continue };
        any = true;
        for (to, from) in [(&mut sum.cpu_seconds, u.cpu_seconds), (&mut sum.network, u.network)] {
            to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
        }
        sum.working_set += u.working_set;
        sum.rss += u.rss;
        sum.cache += u.cache;
    }
    if !any {
        return;
    }
    sink.base(&[("id", &slice_of(&containers)), ("namespace", namespace), ("pod", pod)]);
    resources(&sum, sink);
    network(sum.network, sink);
}

/// A container.
pub(super) fn container(place: &Place, view: &dyn View, sink: &mut dyn Sink) {
    let (Some(p), Some(u)) = (view.process(place), view.usage(place)) else { return };
    let name = bare(&p.id);
    let id = format!("{}/cri-containerd-{name}.scope", slice_of(&view.pod(&place.namespace, &place.pod)));
    sink.base(&[
        ("container", &place.container),
        ("id", &id),
        ("image", &p.image),
        ("name", name),
        ("namespace", &place.namespace),
        ("pod", &place.pod),
    ]);
    resources(&u, sink);
    sink.put(&START, "", &[], p.started.timestamp() as f64);
    sink.put(&OOM, "", &[], 0.0);
    of_process(&CONTAINER, p, &u, sink);
}
