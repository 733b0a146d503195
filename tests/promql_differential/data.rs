//! The samples that both are asked about, always the same: counters with resets, gauges, histograms, gaps, series that end
//! with and without a marker, NaN and infinities.

use std::collections::BTreeMap;

/// The first sample, milliseconds; not a full minute, so that alignment shows.
pub const START: i64 = 1_700_000_013_000;
/// How often is scraped.
pub const EVERY: i64 = 30_000;
/// How many scrapes there are: four hours.
pub const SCRAPES: i64 = 480;

/// What Prometheus writes when a series ends.
pub const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A series: labels, and samples in order of time.
pub struct Made {
    pub labels: BTreeMap<String, String>,
    pub samples: Vec<(i64, f64)>,
}

/// Repeatable noise between 0 and 1 (splitmix64).
fn noise(seed: u64, n: i64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(n as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ x >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

struct Maker {
    all: Vec<Made>,
}

impl Maker {
    /// A series by the number of the scrape; where there is no value there is no sample.
    fn series(&mut self, name: &str, labels: &[(&str, &str)], value: impl Fn(i64) -> Option<f64>) {
        let mut all: BTreeMap<String, String> = labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        all.insert("__name__".into(), name.into());
        let samples = (0..SCRAPES).filter_map(|n| value(n).map(|v| (START + n * EVERY, v))).collect();
        self.all.push(Made { labels: all, samples });
    }

    /// A counter that grows by up to `most` a scrape and starts anew at the scrapes in `resets`.
    fn counter(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        seed: u64,
        most: f64,
        resets: &[i64],
        lives: (i64, i64),
    ) {
        let mut sums = Vec::new();
        let mut sum = 0.0;
        for n in 0..SCRAPES {
            sum = if resets.contains(&n) { noise(seed, n) } else { sum + most * noise(seed, n) };
            sums.push(sum);
        }
        self.series(name, labels, |n| (n >= lives.0 && n < lives.1).then(|| sums[n as usize]));
    }
}

/// All series.
pub fn series() -> Vec<Made> {
    let mut m = Maker { all: Vec::new() };
    let all = (0, SCRAPES);
    for (i, (namespace, pod, node)) in PODS.iter().enumerate() {
        let seed = i as u64;
        let lives = if i == 4 { (200, SCRAPES) } else { all };
        let resets: &[i64] = if i % 2 == 0 { &[150, 300, 301] } else { &[] };
        for container in ["app", "sidecar"] {
            let at = [("namespace", *namespace), ("pod", *pod), ("container", container), ("image", "app:1")];
            m.counter("container_cpu_usage_seconds_total", &at, seed * 2 + container.len() as u64, 20.0, resets, lives);
            let base = 1e8 * (1.0 + i as f64);
            m.series("container_memory_working_set_bytes", &at, |n| {
                // A gap of eleven minutes, and one sample missing now and then.
                let missing = (260..282).contains(&n) && i == 1 || noise(seed + 50, n) < 0.03;
                (!missing).then(|| (base + base * 0.3 * (n as f64 / 40.0).sin()).round())
            });
        }
        m.series("kube_pod_info", &[("namespace", namespace), ("pod", pod), ("node", node)], |_| Some(1.0));
        m.series("kube_pod_owner", &[("namespace", namespace), ("pod", pod), ("owner", &pod[..4])], |_| Some(1.0));
        m.series("kube_pod_restarts", &[("namespace", namespace), ("pod", pod)], |n| {
            Some((n / (60 + 20 * i as i64)) as f64)
        });
    }
    for (i, node) in ["node-1", "node-2", "node-10"].iter().enumerate() {
        m.series("up", &[("job", "node"), ("instance", node)], |n| match n {
            // Ends with a marker, comes back, and ends.
            100..130 if i == 1 => (n == 100).then(|| f64::from_bits(STALE)),
            400.. if i == 1 => (n == 400).then(|| f64::from_bits(STALE)),
            _ => Some(f64::from(u8::from(n % (17 + i as i64) != 0))),
        });
        m.series("node_filesystem_avail_bytes", &[("instance", node), ("device", &format!("sda{}", i * 9 + 1))], |n| {
            Some(1e11 - 1e8 * (n * (i as i64 + 1)) as f64)
        });
        m.series("node_load1", &[("instance", node)], |n| Some((noise(70 + i as u64, n) * 800.0).floor() / 100.0));
    }
    for (i, code) in ["200", "404", "500"].iter().enumerate() {
        for method in ["GET", "POST"] {
            let labels = [("job", "shop"), ("code", *code), ("method", method)];
            let most = 300.0 / 10_f64.powi(i as i32);
            m.counter("http_requests_total", &labels, 90 + i as u64 + method.len() as u64 * 7, most, &[77], all);
        }
    }
    histograms(&mut m);
    odd(&mut m);
    m.all.sort_by(|a, b| a.labels.cmp(&b.labels));
    m.all
}

const PODS: [(&str, &str, &str); 6] = [
    ("shop", "cart-7d9f-aaaaa", "node-1"),
    ("shop", "cart-7d9f-bbbbb", "node-2"),
    ("shop", "search-5c4d-ccccc", "node-1"),
    ("shop", "search-5c4d-ddddd", "node-10"),
    ("data", "db-0", "node-2"),
    ("data", "db-1", "node-10"),
];

fn histograms(m: &mut Maker) {
    let bounds = ["0.005", "0.05", "0.1", "0.5", "1", "5", "+Inf"];
    for (i, job) in ["shop", "search"].iter().enumerate() {
        let share = |b: usize| [0.1, 0.4, 0.6, 0.9, 0.97, 0.99, 1.0][b];
        for (b, le) in bounds.iter().enumerate() {
            m.series("http_request_duration_seconds_bucket", &[("job", job), ("le", le)], |n| {
                Some((n as f64 * 100.0 * (i + 1) as f64 * share(b)).floor())
            });
        }
        m.series("http_request_duration_seconds_count", &[("job", job)], |n| Some(n as f64 * 100.0 * (i + 1) as f64));
        m.series("http_request_duration_seconds_sum", &[("job", job)], |n| Some(n as f64 * 17.5 * (i + 1) as f64));
    }
    // Falls from bucket to bucket; has no +Inf; has a bound that is none; is empty; is below zero.
    for (le, v) in [("1", 10.0), ("2", 8.0), ("3", 12.0), ("+Inf", 11.0)] {
        m.series("odd_bucket", &[("kind", "falling"), ("le", le)], move |_| Some(v));
    }
    for (le, v) in [("1", 10.0), ("2", 18.0)] {
        m.series("odd_bucket", &[("kind", "open"), ("le", le)], move |_| Some(v));
    }
    m.series("odd_bucket", &[("kind", "none"), ("le", "many")], |_| Some(1.0));
    for le in ["1", "+Inf"] {
        m.series("odd_bucket", &[("kind", "empty"), ("le", le)], |_| Some(0.0));
    }
    for (le, v) in [("-2", 2.0), ("-1", 6.0), ("0", 8.0), ("1.0", 9.0), ("1", 1.0), ("+Inf", 12.0)] {
        m.series("odd_bucket", &[("kind", "negative"), ("le", le)], move |_| Some(v));
    }
}

fn odd(m: &mut Maker) {
    let mixed = [f64::NAN, f64::INFINITY, 3.0, f64::NEG_INFINITY, -2.0, 0.0, -0.0, 1e-9, 1e22];
    m.series("odd", &[("kind", "mixed")], |n| Some(mixed[n as usize % mixed.len()]));
    m.series("odd", &[("kind", "nan")], |_| Some(f64::NAN));
    m.series("odd", &[("kind", "inf")], |_| Some(f64::INFINITY));
    m.series("odd", &[("kind", "-inf")], |_| Some(f64::NEG_INFINITY));
    m.series("odd", &[("kind", "huge")], |n| Some(1.6e308 + (n as f64)));
    m.series("odd", &[("kind", "tiny")], |n| Some(1e-310 * n as f64));
    m.series("odd", &[("kind", "text \"with\" \\ and ü")], |n| Some(n as f64));
    // Every seven minutes: longer than the lookback.
    m.series("sparse", &[("kind", "a")], |n| (n % 14 == 3).then_some(n as f64));
    m.series("ends", &[("kind", "quietly")], |n| (n < 240).then_some(n as f64));
    m.series("ends", &[("kind", "marked")], |n| match n {
        240 => Some(f64::from_bits(STALE)),
        _ => (n < 240).then_some(n as f64),
    });
    // Take turns, with the same labels.
    m.series("left", &[("id", "x")], |n| (n % 40 < 20).then_some(1.0));
    m.series("right", &[("id", "x")], |n| (n % 40 >= 20).then_some(2.0));
    m.series("same_a", &[("id", "y")], |_| Some(1.0));
    m.series("same_b", &[("id", "y")], |_| Some(2.0));
    for (i, v) in ["v1", "v2", "v10", "v9"].iter().enumerate() {
        m.series("build_info", &[("version", v), ("branch", if i % 2 == 0 { "main" } else { "next" })], |_| Some(1.0));
    }
    m.series("when", &[("what", "leap")], |_| Some(1_709_210_096.0)); // 2024-02-29T12:34:56Z
    m.series("when", &[("what", "before")], |_| Some(-86_400.5));
    m.series("jumps", &[], |n| Some([1.0, 1.0, 5.0, 3.0, f64::NAN, f64::NAN, 2.0][n as usize % 7]));
    m.series("late_total", &[], |n| (n >= 230).then(|| (n - 228) as f64 * 7.0));
}
