//! What types cannot say: ranges, names that must exist, values that must agree.

use super::settings::{Guard, Indicator, Settings, is_url};
use std::collections::BTreeSet;
use std::time::Duration;

/// One complaint: the key, what is wrong, what to do.
pub type Complaint = (String, String, String);

/// What `ui.charts` takes.
const CHARTS: [&str; 3] = ["auto", "braille", "blocks"];

/// Colour depths that `ui.color` takes.
pub const COLORS: [&str; 5] = ["auto", "never", "16", "256", "true"];

/// Engines that `guard.rung` takes.
pub const ENGINES: [&str; 3] = ["healing", "scaling", "optimisation"];

/// Kinds of action that `guard.rung` takes.
pub const STRATEGIES: [&str; 8] =
    ["restart", "scale", "rollback", "reconfigure", "isolate", "failover", "rightsize", "back off"];

/// Everything that is wrong with settings which have the right types, in the order of their sections.
pub fn check(s: &Settings) -> Vec<Complaint> {
    let mut out = Vec::new();
    connection(s, &mut out);
    monitor(s, &mut out);
    traces(s, &mut out);
    analyze(s, &mut out);
    slos(s, &mut out);
    plan(s, &mut out);
    guard(s, &mut out);
    notify(s, &mut out);
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

/// `auto`, `none` or a URL.
fn url(out: &mut Vec<Complaint>, key: &str, text: &str, example: &str) {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let good = |rest: &str| !rest.trim_start_matches('/').is_empty() && !rest.contains(char::is_whitespace);
    if !matches!(text, "auto" | "none") && !rest.is_some_and(good) {
        say(out, key, format!("{text:?} is neither auto, none nor a URL"), format!("write it like {example}"));
    }
}

fn connection(s: &Settings, out: &mut Vec<Complaint>) {
    let c = &s.connection;
    url(out, "connection.prometheus", &c.prometheus, "http://prometheus.example:9090");
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

fn traces(s: &Settings, out: &mut Vec<Complaint>) {
    let t = &s.traces;
    url(out, "traces.url", &t.url, "http://jaeger.example:16686 or http://tempo.example:3200");
    let address = |text: &str| text == "none" || text.parse::<std::net::SocketAddr>().is_ok();
    for (key, text, port) in [("traces.otlp_grpc", &t.otlp_grpc, 4317), ("traces.otlp_http", &t.otlp_http, 4318)] {
        if !address(text) {
            let what = format!("{text:?} is neither an address with a port nor none");
            say(out, key, what, format!("write it like 127.0.0.1:{port}"));
        }
    }
    if t.otlp_grpc == t.otlp_http && t.otlp_http != "none" && !t.otlp_http.ends_with(":0") {
        say(out, "traces.otlp_http", "is the address of gRPC too", "give each its own port, as 4317 and 4318");
    }
    if let Some(tenant) = &t.tenant
        && (tenant.is_empty() || !tenant.chars().all(|c| c.is_ascii_graphic()))
    {
        say(out, "traces.tenant", format!("{tenant:?} cannot be sent in a header"), "use letters, digits and dashes");
    }
    at_least(out, "traces.poll", t.poll, Duration::from_secs(5));
    at_least(out, "traces.quiet", t.quiet, Duration::from_millis(100));
    least(out, "traces.memory", t.memory, 4 * crate::model::quantity::MIB);
    least(out, "traces.message", t.message, 64 * 1024);
    count(out, "traces.spans_per_second", t.spans_per_second.into());
    count(out, "traces.spans_per_trace", t.spans_per_trace.into());
    if t.message > t.memory {
        say(out, "traces.message", "is more than traces.memory", "let a message be smaller than what may be held");
    }
}

/// Bytes.
fn least(out: &mut Vec<Complaint>, key: &str, value: u64, least: u64) {
    if value < least {
        say(out, key, format!("{value} bytes are too few"), format!("write at least {least}"));
    }
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
    for (key, price) in [("plan.price_core", p.price_core), ("plan.price_gib", p.price_gib)] {
        if let Some(price) = price {
            positive(out, key, price);
        }
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
    count(out, "guard.throttled", u64::from(g.throttled));
    share(out, "guard.targets_down", g.targets_down);
    at_least(out, "guard.observe", g.observe, Duration::from_secs(1));
    at_least(out, "guard.step_timeout", g.step_timeout, Duration::from_secs(10));
    count(out, "guard.per_hour_node", u64::from(g.per_hour_node));
    count(out, "guard.per_hour_kind", u64::from(g.per_hour_kind));
    count(out, "guard.promote_after", u64::from(g.promote_after));
    count(out, "guard.demote_after", u64::from(g.demote_after));
    at_least(out, "guard.confirm_within", g.confirm_within, Duration::from_secs(600));
    let named = |text: &str| matches!(text.split_once('/'), Some((ns, name)) if is_label(ns) && !name.is_empty() && !name.contains('/'));
    for (key, text, what, example) in [
        ("guard.kill_configmap", &g.kill_configmap, "ConfigMap", "kansole/kill-switch"),
        ("guard.lease", &g.lease, "Lease", "default/kansole-auto"),
    ] {
        if !named(text) {
            say(
                out,
                key,
                format!("{text:?} does not name a {what}"),
                format!("write namespace/name, such as {example}"),
            );
        }
    }
    if g.rung_ceiling < g.rung_start {
        let what = format!("{} is below guard.rung_start, {}", g.rung_ceiling, g.rung_start);
        say(out, "guard.rung_ceiling", what, "make it at least as high");
    }
    rungs(g, out);
    windows(g, out);
}

fn rungs(g: &Guard, out: &mut Vec<Complaint>) {
    for (i, rule) in g.rung.iter().enumerate() {
        let key = |field: &str| format!("guard.rung[{i}].{field}");
        for (field, value, known) in
            [("engine", &rule.engine, ENGINES.as_slice()), ("action", &rule.action, STRATEGIES.as_slice())]
        {
            if value != "*" && !known.contains(&value.as_str()) {
                say(out, &key(field), format!("unknown value {value:?}"), super::problem::one_of(value, known));
            }
        }
        if rule.namespace != "*" && !is_label(&rule.namespace) {
            let what = format!("{:?} is not the name of a namespace", rule.namespace);
            say(out, &key("namespace"), what, "use lower-case letters, digits and dashes");
        }
        if rule.ceiling < rule.start {
            let what = format!("{} is below its start, {}", rule.ceiling, rule.start);
            say(out, &key("ceiling"), what, "make it at least as high");
        }
    }
}

fn windows(g: &Guard, out: &mut Vec<Complaint>) {
    for (i, w) in g.window.iter().enumerate() {
        let key = |field: &str| format!("guard.window[{i}].{field}");
        if let Err(e) = w.cron.parse::<croner::Cron>() {
            let remedy = "write minute, hour, day, month and weekday, such as 0 2 * * SAT";
            say(out, &key("cron"), format!("{:?} is not a schedule ({e})", w.cron), remedy);
        }
        if w.timezone.parse::<chrono_tz::Tz>().is_err() {
            let remedy = "write an IANA name, such as Europe/Berlin or UTC";
            say(out, &key("timezone"), format!("{:?} is not a time zone", w.timezone), remedy);
        }
        at_least(out, &key("duration"), w.duration, Duration::from_secs(60));
        names(out, &key("namespaces"), &w.namespaces);
    }
}

fn notify(s: &Settings, out: &mut Vec<Complaint>) {
    for (i, n) in s.notify.iter().enumerate() {
        let key = |field: &str| format!("notify[{i}].{field}");
        // The URL is a secret: what is wrong with it is said without it.
        match (n.url.0.is_empty(), &n.url_env) {
            (true, None) => {
                say(out, &key("url"), "is missing", "write url, or url_env with the variable that holds it");
            }
            (false, Some(_)) => say(out, &key("url_env"), "url is written too", "remove one of them"),
            (false, None) if !is_url(&n.url.0) => {
                say(out, &key("url"), "is no URL", "write it like https://hooks.example/…");
            }
            _ => {}
        }
        if n.on.is_empty() {
            say(out, &key("on"), "it would be told of nothing", "remove the entry, or write what it is told of");
        }
    }
}

fn ui(s: &Settings, out: &mut Vec<Complaint>) {
    if !COLORS.contains(&s.ui.color.as_str()) {
        say(out, "ui.color", format!("unknown value {:?}", s.ui.color), super::problem::one_of(&s.ui.color, &COLORS));
    }
    if !CHARTS.contains(&s.ui.charts.as_str()) {
        let remedy = super::problem::one_of(&s.ui.charts, &CHARTS);
        say(out, "ui.charts", format!("unknown value {:?}", s.ui.charts), remedy);
    }
    for (context, color) in &s.ui.banners {
        if let Err((what, remedy)) = super::theme::plain_color(color) {
            say(out, "ui.banners", format!("{context}: {what}"), remedy);
        }
    }
    if let Some(fps) = s.ui.max_fps
        && !(1..=60).contains(&fps)
    {
        say(out, "ui.max_fps", format!("{fps} frames per second is out of range"), "write 1 to 60");
    }
}
