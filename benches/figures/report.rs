//! Numbers, their limits, and the table they are printed in.

use std::time::Duration;

/// Repeated measurements of one thing.
pub struct Samples(Vec<f64>);

impl Samples {
    /// Times in milliseconds.
    pub fn of(times: &[Duration]) -> Self {
        let mut ms: Vec<f64> = times.iter().map(|t| t.as_secs_f64() * 1000.0).collect();
        ms.sort_by(f64::total_cmp);
        Self(ms)
    }

    /// The value below which this share of them lies (nearest rank).
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.clamp(1, self.0.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
    }

    /// The 99th percentile.
    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// Median, p99, greatest and how many.
    pub fn words(&self) -> String {
        let max = self.0.last().copied().unwrap_or(f64::NAN);
        format!("median {:.2}, p99 {:.2}, max {max:.2} ms (n={})", self.quantile(0.5), self.p99(), self.0.len())
    }
}

/// All figures so far. Each is printed as soon as it is known, and all together at the end.
#[derive(Default)]
pub struct Report {
    lines: Vec<[String; 4]>,
}

impl Report {
    /// A figure with a limit.
    pub fn judged(&mut self, figure: &str, measured: impl Into<String>, limit: &str, met: bool) {
        self.line(figure, measured.into(), limit, if met { "met" } else { "NOT MET" });
    }

    /// A figure without a limit, for information.
    pub fn told(&mut self, figure: &str, measured: impl Into<String>) {
        self.line(figure, measured.into(), "-", "info");
    }

    fn line(&mut self, figure: &str, measured: String, limit: &str, verdict: &str) {
        eprintln!("  {figure}: {measured} [{limit}] {verdict}");
        self.lines.push([figure.to_owned(), measured, limit.to_owned(), verdict.to_owned()]);
    }

    /// Prints the table.
    pub fn print(&self) {
        let head = ["figure", "measured", "limit", ""].map(str::to_owned);
        let all = || std::iter::once(&head).chain(&self.lines);
        let width = |i: usize| all().map(|l| l[i].chars().count()).max().unwrap_or(0);
        let widths = [width(0), width(1), width(2)];
        println!();
        for line in all() {
            let [a, b, c] = widths;
            println!("{:a$}  {:b$}  {:c$}  {}", line[0], line[1], line[2], line[3]);
        }
        let missed = self.lines.iter().filter(|l| l[3] == "NOT MET").count();
        println!("\n{} figures, {missed} not met.", self.lines.len());
    }
}

/// Runs something a few times unmeasured, then measures it.
pub fn repeat(warm: usize, n: usize, mut run: impl FnMut() -> Duration) -> Samples {
    for _ in 0..warm {
        run();
    }
    Samples::of(&(0..n).map(|_| run()).collect::<Vec<_>>())
}
