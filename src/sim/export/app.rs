//! What an instrumented service says of itself: OpenTelemetry's HTTP server metrics, and a process' basics.

use super::{Family, OfProcess, Row, Sink, View, buckets, counter, gauge, histogram, of_process, row};
use crate::sim::machine::Place;

static DURATION: Family = histogram("http_server_request_duration_seconds", "Duration of HTTP server requests.");
static ACTIVE: Family = gauge("http_server_active_requests", "Number of active HTTP server requests.");
static CACHE: [Family; 2] = [
    counter("cache_hits_total", "Lookups the cache could answer."),
    counter("cache_misses_total", "Lookups the cache could not answer."),
];
static QUEUE: Family = gauge("queue_depth", "Messages waiting to be worked on.");

static PROCESS: [Row<OfProcess>; 4] = [
    row(counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."), |_, u| {
        Some(u.cpu_seconds[0] + u.cpu_seconds[1])
    }),
    row(gauge("process_resident_memory_bytes", "Resident memory size in bytes."), |_, u| Some(u.rss.floor())),
    row(gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."), |p, _| {
        Some(p.started.timestamp_millis() as f64 / 1000.0)
    }),
    row(gauge("process_threads", "Number of OS threads in the process."), |_, u| Some(u.threads.round())),
];

/// All of this page.
pub(in crate::sim) fn families(all: &mut Vec<&'static Family>) {
    all.extend(CACHE.iter().chain([&DURATION, &ACTIVE, &QUEUE]));
    all.extend(PROCESS.iter().map(|r| &r.family));
}

/// A process that has an endpoint of metrics.
pub(super) fn process(place: &Place, view: &dyn View, sink: &mut dyn Sink) {
    let (Some(p), Some(u)) = (view.process(place), view.usage(place)) else { return };
    sink.base(&[]);
    of_process(&PROCESS, p, &u, sink);
    if let Some(cached) = u.cached {
        CACHE.iter().zip(cached).for_each(|(family, n)| sink.put(family, "", &[], n.floor()));
    }
    if let Some(waiting) = u.waiting {
        sink.put(&QUEUE, "", &[], waiting.round());
    }
    if u.requests.is_empty() {
        return;
    }
    sink.put(&ACTIVE, "", &[], u.in_flight.round());
    for r in &u.requests {
        let code = r.code.to_string();
        let labels = [
            ("http_request_method", r.method.as_str()),
            ("http_response_status_code", code.as_str()),
            ("http_route", r.route.as_str()),
        ];
        buckets(&DURATION, &labels, &r.buckets, r.seconds, r.count, sink);
    }
}
