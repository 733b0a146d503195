//! What types cannot say: ranges, names that must exist, values that must agree.

use super::settings::{Indicator, Settings};
use std::collections::BTreeSet;
use std::time::Duration;

/// One complaint: the key, what is wrong, what to do.
pub type Complaint = (String, String, String);

/// Colour depths that `ui.color` takes.
pub const COLORS: [&str; 5] = ["auto", "never", "16", "256", "true"];

/// Everything that is wrong with settings which have the right types, in the order of their sections.
pub fn check(s: &Settings) -> Vec<Complaint> {
    let mut out = Vec::new();
    connection(s, &mut out);
    monitor(s, &mut out);
    analyze(s, &mut out);
    slos(s, &mut out);
    plan(s, &mut out);
    guard(s, &mut out);
    ui(s, &mut out);
    out
}

fn say(out: &mut Vec<Complaint>, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
    out.push((key.to_owned(), what.into(), remedy.into()));
}

fn share(out: &mut Vec<Complaint>, key: &str, value: f64) {
    if !(value > 0.0 && value <= 1.0) {
        say(out, key, format!("{value} is not a share"), "write a number above 0 and at most 1");
    }
}

fn positive(out: &mut Vec<Complaint>, key: &str, value: f64) {
    if !(value > 0.0 && value.is_finite()) {
        say(out, key, format!("{value} is not positive"), "write a number above 0");
    }
}

fn count(out: &mut Vec<Complaint>, key: &str, value: u64) {
    if value == 0 {
        say(out, key, "0 would stop everything", "write a whole number of at least 1");
    }
}

fn at_least(out: &mut Vec<Complaint>, key: &str, value: Duration, least: Duration) {
    if value < least {
        let (value, least) = (super::duration::write(value), super::duration::write(least));
        say(out, key, format!("{value} is too short"), format!("write at least {least}"));
    }
}

fn connection(s: &Settings, out: &mut Vec<Complaint>) {
    let c = &s.connection;
    let url = c.prometheus.strip_prefix("http://").or_else(|| c.prometheus.strip_prefix("https://"));
    let known = matches!(c.prometheus.as_str(), "auto" | "none");
    if !known
        && !url.is_some_and(|rest| !rest.trim_start_matches('/').is_empty() && !rest.contains(char::is_whitespace))
    {
        say(
            out,
            "connection.prometheus",
            format!("{:?} is neither auto, none nor a URL", c.prometheus),
            "write it like http://prometheus.example:9090",
        );
    }
    if c.prometheus_user.is_some() && c.prometheus_password_file.is_none() {
        say(
            out,
            "connection.prometheus_user",
            "a user needs a password",
            "set connection.prometheus_password_file to a file that holds it",
        );
    }
    if c.prometheus_user.is_some() && c.prometheus_token_file.is_some() {
        say(
            out,
            "connection.prometheus_token_file",
            "a token and a user exclude each other",
            "remove one of prometheus_token_file and prometheus_user",
        );
    }
    for name in c.prometheus_headers.keys() {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.!#$%&'*+^`|~".contains(c)) {
            say(
                out,
                &format!("connection.prometheus_headers.{name}"),
                "is not the name of an HTTP header",
                "use letters, digits and dashes, such as X-Scope-OrgID",
            );
        }
    }
    names(out, "connection.namespaces", &c.namespaces);
}

fn names(out: &mut Vec<Complaint>, key: &str, names: &[String]) {
    for (i, name) in names.iter().enumerate() {
        if !is_label(name) {
            say(
                out,
                &format!("{key}[{i}]"),
                format!("{name:?} is not the name of a namespace"),
                "use lower-case letters, digits and dashes",
            );
        }
    }
}

/// RFC 1123 labels, as namespaces are named.
fn is_label(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn monitor(s: &Settings, out: &mut Vec<Complaint>) {
    let m = &s.monitor;
    let second = Duration::from_secs(1);
    at_least(out, "monitor.debounce", m.debounce, Duration::from_millis(10));
    at_least(out, "monitor.heartbeat", m.heartbeat, second);
    at_least(out, "monitor.stale_after", m.stale_after, m.heartbeat);
    if let Some(step) = m.metrics_step {
        at_least(out, "monitor.metrics_step", step, second);
    }
    at_least(out, "monitor.history", m.history, Duration::from_secs(3600));
    at_least(out, "monitor.query_timeout", m.query_timeout, second);
    count(out, "monitor.queries_in_flight", m.queries_in_flight as u64);
    count(out, "monitor.events", m.events as u64);
}

fn analyze(s: &Settings, out: &mut Vec<Complaint>) {
    let a = &s.analyze;
    share(out, "analyze.oom_share_of_limit", a.oom_share_of_limit);
    share(out, "analyze.oom_node_share", a.oom_node_share);
    positive(out, "analyze.leak_per_hour", a.leak_per_hour);
    share(out, "analyze.leak_r2", a.leak_r2);
    share(out, "analyze.systemic_share", a.systemic_share);
}

fn slos(s: &Settings, out: &mut Vec<Complaint>) {
    let mut seen = BTreeSet::new();
    for (i, slo) in s.slo.iter().enumerate() {
        let key = |field: &str| format!("slo[{i}].{field}");
        if slo.name.trim().is_empty() {
            say(out, &key("name"), "the name is empty", "give every objective a name");
        } else if !seen.insert(slo.name.as_str()) {
            say(out, &key("name"), format!("{:?} is taken by another objective", slo.name), "choose another name");
        }
        let parts: Vec<&str> = slo.workload.split('/').collect();
        if parts.len() != 3 || parts.iter().any(|p| p.is_empty()) {
            say(
                out,
                &key("workload"),
                format!("{:?} does not name a workload", slo.workload),
                "write namespace/Kind/name, such as shop/Deployment/cart",
            );
        }
        if !(slo.objective > 0.0 && slo.objective < 1.0) {
            say(out, &key("objective"), format!("{} is not between 0 and 1", slo.objective), "write 99.9 % as 0.999");
        }
        if !(1..=90).contains(&slo.days) {
            say(out, &key("days"), format!("{} days is no budget period", slo.days), "write 1 to 90");
        }
        match &slo.indicator {
            Indicator::Errors => {}
            Indicator::LatencyAbove(limit) => positive(out, &key("indicator"), *limit),
            Indicator::Query { bad, total } => {
                if !bad.contains("$window") || !total.contains("$window") {
                    say(
                        out,
                        &key("indicator"),
                        "the query has no range",
                        "write $window where the range goes, as in [$window]",
                    );
                }
            }
        }
    }
}

fn plan(s: &Settings, out: &mut Vec<Complaint>) {
    let p = &s.plan;
    at_least(out, "plan.expiry", p.expiry, Duration::from_secs(30));
    if !(p.memory_factor > 1.0 && p.memory_factor <= 10.0) {
        say(
            out,
            "plan.memory_factor",
            format!("{} raises nothing or too much", p.memory_factor),
            "write a number above 1 and at most 10",
        );
    }
    share(out, "plan.memory_node_share", p.memory_node_share);
    count(out, "plan.memory_raises", u64::from(p.memory_raises));
    share(out, "plan.cpu_target", p.cpu_target);
    share(out, "plan.memory_target", p.memory_target);
    count(out, "plan.min_replicas", u64::from(p.min_replicas));
    if p.max_replicas < p.min_replicas {
        say(
            out,
            "plan.max_replicas",
            format!("{} is below plan.min_replicas, {}", p.max_replicas, p.min_replicas),
            "make it at least as large",
        );
    }
    if p.backoff_max < p.backoff {
        say(out, "plan.backoff_max", "is shorter than plan.backoff", "make it at least as long");
    }
}

fn guard(s: &Settings, out: &mut Vec<Complaint>) {
    let g = &s.guard;
    at_least(out, "guard.interval", g.interval, Duration::from_secs(1));
    names(out, "guard.protected", &g.protected);
    count(out, "guard.per_hour", u64::from(g.per_hour));
    count(out, "guard.per_hour_namespace", u64::from(g.per_hour_namespace));
    count(out, "guard.concurrent", u64::from(g.concurrent));
    count(out, "guard.ineffective_streak", u64::from(g.ineffective_streak));
    at_least(out, "guard.stale_after", g.stale_after, Duration::from_secs(1));
    positive(out, "guard.api_latency_ms", g.api_latency_ms);
    positive(out, "guard.clock_skew_s", g.clock_skew_s);
    at_least(out, "guard.observe", g.observe, Duration::from_secs(1));
    at_least(out, "guard.step_timeout", g.step_timeout, Duration::from_secs(10));
    if !matches!(g.kill_configmap.split_once('/'), Some((ns, name)) if is_label(ns) && !name.is_empty() && !name.contains('/'))
    {
        say(
            out,
            "guard.kill_configmap",
            format!("{:?} does not name a ConfigMap", g.kill_configmap),
            "write namespace/name, such as kansole/kill-switch",
        );
    }
}

fn ui(s: &Settings, out: &mut Vec<Complaint>) {
    if !COLORS.contains(&s.ui.color.as_str()) {
        say(out, "ui.color", format!("unknown value {:?}", s.ui.color), super::problem::one_of(&s.ui.color, &COLORS));
    }
    if let Some(fps) = s.ui.max_fps
        && !(1..=60).contains(&fps)
    {
        say(out, "ui.max_fps", format!("{fps} frames per second is out of range"), "write 1 to 60");
    }
}
