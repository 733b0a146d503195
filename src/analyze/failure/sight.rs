//! What a window shows of one workload: levels against limits and against its own past, and how they move. Rules and
//! models both look at this and at nothing else.

use super::state::{bars, state};
use super::trend::{LEAST, Trend, trend};
use super::window::{Window, newest, usual};
use crate::model::failure::{Fact, STEPS, State, TimeToFailure};
use crate::model::series::Signal;

/// A fall from one step to the next by more than this share is a restart or a change of scale: what was before is
/// another story. Collectors of garbage let go of less, so that their saw-teeth are one story.
const DROP: f64 = 0.35;

/// Besides everything since the last fall, a trend is looked for in the last so many seconds.
const SPANS: [f64; 2] = [300.0, 120.0];

/// How a use of something limited grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Use over limit now, 0..1 and above.
    pub level: f64,
    /// Its trend since the last fall, in shares of the limit per second; `None`: too few steps.
    pub trend: Option<Trend>,
    /// Seconds that the trend covers.
    pub seconds: f64,
    /// Whether its younger half still rises at least half as fast: what fills up and is full flattens out.
    pub steady: bool,
    /// Level over the highest of the first two thirds of the window: only above 1 is it where it was not lately. `None`:
    /// nothing was measured then.
    pub over_peak: Option<f64>,
}

impl Growth {
    /// When the limit is reached at this pace.
    pub fn reaches(&self) -> Option<TimeToFailure> {
        self.trend.filter(|_| self.steady || self.level >= 1.0)?.reaches(self.level, 1.0)
    }
}

/// A signal now and as it usually is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// Within the last minute; `None`: not measured.
    pub now: Option<f64>,
    /// Median of the first two thirds of the window.
    pub usual: Option<f64>,
}

impl Level {
    /// Now over usual; `None` where either is unknown or nothing is usual.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.now? / self.usual.filter(|u| *u > 0.0)?)
    }
}

/// What a window shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// How it is; `None`: cannot be told.
    pub state: Option<State>,
    /// Steps at which something was measured.
    pub measured: usize,
    /// Use of memory: of the fullest container where that is known, else of all pods; `None` without a limit.
    pub memory: Option<Growth>,
    /// Use of CPU; `None` without a limit.
    pub cpu: Option<Growth>,
    /// The seven signals.
    pub levels: [Level; 7],
    /// Trend of requests in flight, of requests, of the share of errors and of p99 over the last five minutes, per second.
    pub piling: Option<Trend>,
    #[allow(missing_docs)]
    pub coming: Option<Trend>,
    #[allow(missing_docs)]
    pub failing: Option<Trend>,
    #[allow(missing_docs)]
    pub slowing: Option<Trend>,
    /// The same of p99 and of the share of errors, over the last two minutes: what has just begun.
    pub lately: [Option<Trend>; 2],
    /// Its share of errors and its p99 over what makes it unhealthy, whichever is worse; 1: it is.
    pub near: Option<f64>,
    /// When its share of errors or its p99 makes it unhealthy, by their trends, and which of them is first.
    pub worsens: Option<(Signal, TimeToFailure)>,
    /// Ready pods over wanted ones.
    pub ready: Option<f64>,
    /// Seconds for which less than half of the wanted pods has been ready; 0: not so now, or not measured.
    pub lacking: f64,
    /// Whether nothing of it is wanted any more: whoever still calls it is not answered.
    pub gone: bool,
    /// Containers started anew within the window, and seconds since the last.
    pub restarts: Option<f64>,
    #[allow(missing_docs)]
    pub restarted: Option<f64>,
    /// Pods now over those usually.
    pub pods: Option<f64>,
}

impl Sight {
    /// Looks at a window.
    pub fn new(window: &Window) -> Self {
        let minute = window.steps(60.0);
        let over = |row: &[f32; STEPS], seconds: f64| trend(&points(window, row, STEPS - window.steps(seconds)));
        let recent = |row: &[f32; STEPS]| over(row, SPANS[0]);
        let lately = |signal: Signal| over(window.signal(signal), SPANS[1]);
        let level = |signal: Signal| {
            let row = window.signal(signal);
            Level { now: newest(row, minute), usual: usual(row) }
        };
        let restarts = window.fact(Fact::Restarts);
        let known = restarts.iter().any(|v| v.is_finite());
        let (ready, wanted) = (newest(window.fact(Fact::Ready), minute), newest(window.fact(Fact::Desired), minute));
        let pods = window.fact(Fact::Pods);
        let (failing, slowing) = (recent(window.signal(Signal::ErrorRate)), recent(window.signal(Signal::LatencyP99)));
        let (errors, p99) = bars(window);
        let reaches = |signal: Signal, trend: Option<Trend>, bar: Option<f64>| {
            Some((signal, trend.filter(Trend::rises)?.reaches(newest(window.signal(signal), minute)?, bar?)?))
        };
        let nearest = |signal: Signal, bar: Option<f64>| Some(newest(window.signal(signal), minute)? / bar?);
        let near = [nearest(Signal::ErrorRate, Some(errors)), nearest(Signal::LatencyP99, p99)];
        let ends = [reaches(Signal::ErrorRate, failing, Some(errors)), reaches(Signal::LatencyP99, slowing, p99)];
        Self {
            state: state(window),
            measured: window.measured(),
            memory: memory(window),
            cpu: growth(window, &shares(window, Signal::Cpu, Fact::CpuLimit), 0),
            levels: Signal::ALL.map(level),
            piling: recent(window.signal(Signal::Connections)),
            coming: recent(window.signal(Signal::RequestRate)),
            failing,
            slowing,
            lately: [lately(Signal::LatencyP99), lately(Signal::ErrorRate)],
            near: near.into_iter().flatten().reduce(f64::max),
            worsens: ends.into_iter().flatten().min_by(|a, b| a.1.expected.total_cmp(&b.1.expected)),
            lacking: lacking(window),
            gone: wanted == Some(0.0),
            ready: ready.zip(wanted).filter(|(_, w)| *w > 0.0).map(|(r, w)| r / w),
            restarts: known.then(|| restarts.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).sum()),
            restarted: restarts.iter().rposition(|v| *v >= 1.0).map(|i| -window.ago(i)),
            pods: Level { now: newest(pods, minute), usual: usual(pods) }.ratio(),
        }
    }

    /// A signal's level.
    pub fn level(&self, signal: Signal) -> Level {
        self.levels[signal as usize]
    }

    /// Whether it fails now.
    pub fn fails(&self) -> bool {
        self.state.is_some_and(State::is_failure)
    }
}

/// Seconds up to now without half of the wanted pods.
fn lacking(window: &Window) -> f64 {
    let (ready, wanted) = (window.fact(Fact::Ready), window.fact(Fact::Desired));
    let lacks = |i: &usize| wanted[*i] > 0.0 && ready[*i] < 0.5 * wanted[*i];
    let steps = (0..STEPS).rev().take_while(lacks).count();
    steps as f64 * f64::from(window.step)
}

fn points(window: &Window, row: &[f32], from: usize) -> Vec<(f64, f64)> {
    (from..STEPS).filter(|i| row[*i].is_finite()).map(|i| (window.ago(i), f64::from(row[i]))).collect()
}

fn memory(window: &Window) -> Option<Growth> {
    let fullest = window.fact(Fact::Fullest);
    let known = fullest.iter().filter(|v| v.is_finite()).count();
    let sums = shares(window, Signal::Memory, Fact::MemoryLimit);
    // A container that was started anew begins its memory anew.
    let begun = window.fact(Fact::Restarts).iter().rposition(|v| *v >= 1.0).unwrap_or(0);
    let own = (known >= LEAST).then(|| growth(window, fullest, begun)).flatten();
    let all = || {
        // Of the fullest container only the level is known: it is what is killed first.
        let level = newest(fullest, window.steps(60.0));
        growth(window, &sums, begun).map(|g| Growth { level: level.unwrap_or(g.level), ..g })
    };
    own.or_else(all)
}

/// Use over limit, step by step; where the limit of a step is not known the newest one stands for it.
fn shares(window: &Window, signal: Signal, limit: Fact) -> [f32; STEPS] {
    let (used, limits) = (window.signal(signal), window.fact(limit));
    let newest = newest(limits, STEPS).map_or(f32::NAN, |v| v as f32);
    std::array::from_fn(|i| {
        let limit = if limits[i].is_finite() { limits[i] } else { newest };
        if limit > 0.0 { used[i] / limit } else { f32::NAN }
    })
}

/// Since step `begun` at the earliest; `None` where the last minute was not measured.
fn growth(window: &Window, shares: &[f32; STEPS], begun: usize) -> Option<Growth> {
    let level = newest(shares, window.steps(60.0))?;
    let peak = shares[..STEPS * 2 / 3].iter().copied().filter(|v| v.is_finite()).reduce(f32::max);
    let over_peak = peak.filter(|p| *p > 0.0).map(|p| level / f64::from(p));
    let all = points(window, shares, begun);
    let falls = |i: &usize| all[*i].1 < all[i - 1].1 * (1.0 - DROP);
    let from = (1..all.len()).rev().find(falls).unwrap_or(0);
    let since = &all[from..];
    // What began a moment ago drowns in a long window: of several spans the one that is full soonest counts.
    let spans = SPANS.iter().map(|s| &since[since.len().saturating_sub(window.steps(*s))..]);
    let mut best: Option<Growth> = None;
    for points in std::iter::once(since).chain(spans) {
        let trend = trend(points);
        let seconds = points.first().zip(points.last()).map_or(0.0, |(a, b)| b.0 - a.0);
        let growth = Growth { level, trend, seconds, steady: steady(points, trend), over_peak };
        let full = |g: &Growth| g.reaches().map_or(f64::INFINITY, |t| t.expected);
        if best.as_ref().is_none_or(|b| full(&growth) < full(b)) {
            best = Some(growth);
        }
    }
    best
}

/// Whether the younger half still rises at least half as fast as the whole.
fn steady(points: &[(f64, f64)], whole: Option<Trend>) -> bool {
    match (whole, trend(&points[points.len() / 2..])) {
        (Some(whole), Some(younger)) => younger.rises() && younger.slope >= whole.slope / 2.0,
        // Too short to be halved: its last step must still rise.
        (Some(whole), None) => matches!(points, [.., a, b] if b.1 - a.1 >= whole.slope / 2.0 * (b.0 - a.0)),
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::blank;
    use super::*;

    fn sight(fill: impl Fn(&mut crate::model::failure::Record)) -> Sight {
        let mut r = blank("cart", STEPS);
        fill(&mut r);
        Sight::new(&Window::of_record(&r, STEPS - 1, 15))
    }

    #[test]
    fn a_leak_is_seen_since_the_last_restart_only() {
        let s = sight(|r| {
            for i in 0..STEPS {
                r.facts[Fact::Fullest as usize][i] = 0.3 + 0.01 * (i % 40) as f32;
            }
        });
        let memory = s.memory.unwrap();
        assert!((memory.seconds - 19.0 * 15.0).abs() < 1e-9 && memory.steady, "{memory:?}");
        let left = memory.reaches().unwrap();
        assert!((left.expected - (1.0 - 0.49) / 0.01 * 15.0).abs() < 1.0, "{left:?}");
    }

    #[test]
    fn a_cache_that_has_filled_is_not_about_to_overflow() {
        let s = sight(|r| {
            for i in 0..STEPS {
                r.facts[Fact::Fullest as usize][i] = 0.7 * (1.0 - (-(i as f32) / 10.0).exp());
            }
        });
        let memory = s.memory.unwrap();
        assert!(memory.over_peak.unwrap() < 1.05 && memory.reaches().is_none_or(|t| t.expected > 3600.0), "{memory:?}");
    }

    #[test]
    fn sums_serve_where_the_fullest_is_not_known_and_no_limit_means_no_share() {
        let s = sight(|r| {
            for i in 0..STEPS {
                r.signals[Signal::Memory as usize][i] = 100.0 + i as f32;
            }
            r.facts[Fact::MemoryLimit as usize][STEPS - 1] = 400.0;
        });
        let memory = s.memory.unwrap();
        assert!((memory.level - 159.0 / 400.0).abs() < 1e-6);
        assert!((memory.trend.unwrap().slope - 1.0 / 400.0 / 15.0).abs() < 1e-6);
        let without = sight(|r| r.signals[Signal::Memory as usize].fill(100.0));
        assert_eq!((without.memory, without.cpu, without.measured), (None, None, STEPS));
    }

    #[test]
    fn constants_gaps_and_nothing_at_all_are_looked_at_without_harm() {
        let nothing = sight(|_| ());
        assert_eq!((nothing.state, nothing.measured, nothing.ready, nothing.restarts), (None, 0, None, None));
        let constant = sight(|r| r.facts[Fact::Fullest as usize].fill(0.5));
        assert!(constant.memory.unwrap().reaches().is_none());
        let zeros = sight(|r| {
            r.signals.iter_mut().for_each(|s| s.fill(0.0));
            r.facts.iter_mut().for_each(|s| s.fill(0.0));
        });
        assert_eq!((zeros.ready, zeros.level(Signal::Cpu).ratio(), zeros.cpu), (None, None, None));
    }
}
