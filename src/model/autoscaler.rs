//! What the HorizontalPodAutoscaler decides, as a function of what it is told: no store, no clock. The simulated controller
//! runs by it, and what an autoscaler would do next, or would have done otherwise, is told by the same lines; both were held
//! against the real controller (`tests/hpa_differential.sh`).
//! Source: k8s.io/kubernetes 1.36 pkg/controller/podautoscaler (replica_calculator.go, horizontal.go).

use super::time::Timestamp;
use chrono::TimeDelta;
use std::collections::BTreeMap;

mod spec;

pub use spec::Scaling;

/// Deviation from the target that changes nothing (`--horizontal-pod-autoscaler-tolerance`).
pub const TOLERANCE: f64 = 0.1;
/// Seconds for which a higher recommendation holds back a lower one by default (`--horizontal-pod-autoscaler-downscale-stabilization`).
pub const DOWNSCALE_STABILIZATION: i64 = 300;
/// Seconds after its start in which a pod's CPU counts only if it is ready (`--horizontal-pod-autoscaler-cpu-initialization-period`).
const CPU_INITIALIZATION: i64 = 300;
/// Seconds after its start in which turning unready is still the first unreadiness
/// (`--horizontal-pod-autoscaler-initial-readiness-delay`).
const READINESS_DELAY: i64 = 30;

/// A pod of the target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// It is being deleted or has failed.
    pub ignored: bool,
    /// It is Pending.
    pub pending: bool,
    /// Its Ready condition and when that last changed.
    pub ready: Option<(bool, Timestamp)>,
    /// `status.startTime`.
    pub started: Option<Timestamp>,
    /// What it requests of the resource, in thousandths; the refusal if it requests none.
    pub request: Option<Result<i64, String>>,
}

/// What a pod uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// In thousandths of the unit (millicores; thousandths of bytes).
    pub value: i64,
    /// End of the window it was measured over.
    pub at: Timestamp,
    /// Length of that window in seconds.
    pub window: i64,
}

/// What a metric should be on average per pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Percent of the requests.
    Utilization(i64),
    /// Thousandths of the unit.
    Average(i64),
}

/// Tolerated deviations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerances {
    /// Below the target.
    pub down: f64,
    /// Above it.
    pub up: f64,
}

impl Tolerances {
    fn within(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

/// How many pods a metric asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proposal {
    /// Pods.
    pub replicas: i64,
    /// Percent of the requests in use, for [`Target::Utilization`].
    pub utilization: Option<i64>,
    /// Average per pod, in thousandths of the unit.
    pub average: i64,
}

/// How many pods a resource or per-pod metric asks for. `cpu` says that the samples are CPU, for which young pods count
/// differently.
pub fn propose(
    current: i64,
    target: Target,
    cpu: bool,
    tolerances: Tolerances,
    pods: &[Pod],
    mut samples: BTreeMap<String, Sample>,
    now: Timestamp,
) -> Result<Proposal, String> {
    if pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".into());
    }
    let groups = group(pods, &samples, cpu, now);
    samples.retain(|name, _| !groups.ignored.contains(&name.as_str()) && !groups.unready.contains(&name.as_str()));
    if samples.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".into());
    }
    let requests = match target {
        Target::Average(_) => BTreeMap::new(),
        Target::Utilization(_) => requests(pods)?,
    };
    let mut values: BTreeMap<&str, i64> = samples.iter().map(|(k, s)| (k.as_str(), s.value)).collect();
    let (ratio, utilization, average) = ratio(&values, &requests, target)?;
    let same = Proposal { replicas: current, utilization, average };
    let up_with_unready = !groups.unready.is_empty() && ratio > 1.0;
    if !up_with_unready && groups.missing.is_empty() {
        if tolerances.within(ratio) {
            return Ok(same);
        }
        return Ok(Proposal { replicas: (ratio * groups.ready as f64).ceil() as i64, ..same });
    }
    for name in &groups.missing {
        // What is not known is taken at the end that moves least.
        let value = match target {
            _ if ratio > 1.0 => 0,
            Target::Utilization(percent) if ratio < 1.0 => {
                requests.get(name).copied().unwrap_or(0) * percent.max(100) / 100
            }
            Target::Average(average) if ratio < 1.0 => average,
            _ => continue,
        };
        values.insert(name, value);
    }
    if up_with_unready {
        values.extend(groups.unready.iter().map(|name| (*name, 0)));
    }
    let (again, _, _) = self::ratio(&values, &requests, target)?;
    if tolerances.within(again) || (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0) {
        return Ok(same);
    }
    let replicas = (again * values.len() as f64).ceil() as i64;
    if (again < 1.0 && replicas > current) || (again > 1.0 && replicas < current) {
        return Ok(same);
    }
    Ok(Proposal { replicas, ..same })
}

#[derive(Default)]
struct Groups<'a> {
    ready: usize,
    unready: Vec<&'a str>,
    missing: Vec<&'a str>,
    ignored: Vec<&'a str>,
}

fn group<'a>(pods: &'a [Pod], samples: &BTreeMap<String, Sample>, cpu: bool, now: Timestamp) -> Groups<'a> {
    let mut groups = Groups::default();
    for pod in pods {
        let name = pod.name.as_str();
        if pod.ignored {
            groups.ignored.push(name);
        } else if pod.pending {
            groups.unready.push(name);
        } else if let Some(sample) = samples.get(name) {
            if cpu && is_unready(pod, *sample, now) {
                groups.unready.push(name);
            } else {
                groups.ready += 1;
            }
        } else {
            groups.missing.push(name);
        }
    }
    groups
}

fn is_unready(pod: &Pod, sample: Sample, now: Timestamp) -> bool {
    let (Some((ready, since)), Some(started)) = (pod.ready, pod.started) else { return true };
    if started + TimeDelta::seconds(CPU_INITIALIZATION) > now {
        !ready || sample.at < since + TimeDelta::seconds(sample.window)
    } else {
        !ready && started + TimeDelta::seconds(READINESS_DELAY) > since
    }
}

fn requests(pods: &[Pod]) -> Result<BTreeMap<&str, i64>, String> {
    pods.iter().map(|p| Ok((p.name.as_str(), p.request.clone().unwrap_or(Ok(0))?))).collect()
}

/// Use over target, percent of the requests, and average per pod.
fn ratio(
    values: &BTreeMap<&str, i64>,
    requests: &BTreeMap<&str, i64>,
    target: Target,
) -> Result<(f64, Option<i64>, i64), String> {
    match target {
        Target::Average(average) => {
            let usage = values.values().sum::<i64>() / values.len().max(1) as i64;
            Ok((usage as f64 / average as f64, None, usage))
        }
        Target::Utilization(percent) => {
            let known = || values.iter().filter_map(|(k, v)| Some((*v, *requests.get(k)?)));
            let (used, requested) = known().fold((0, 0), |(u, r), (v, q)| (u + v, r + q));
            if requested == 0 {
                return Err("no metrics returned matched known pods".into());
            }
            let now = used * 100 / requested;
            Ok((now as f64 / percent as f64, Some(now), used / known().count() as i64))
        }
    }
}

/// How a scaling policy limits a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Percent of the pods, or pods.
    pub percent: bool,
    /// How many.
    pub value: i64,
    /// In so many seconds.
    pub period: i64,
}

/// Which policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// The one that allows most.
    Max,
    /// The one that allows least.
    Min,
    /// No scaling this way.
    Disabled,
}

/// `behavior.scaleUp` or `behavior.scaleDown`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Seconds.
    pub stabilization: i64,
    /// Which policy counts.
    pub select: Select,
    /// Policies.
    pub policies: Vec<Policy>,
}

/// The bounds of an autoscaler.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    /// `minReplicas`.
    pub min: i64,
    /// `maxReplicas`.
    pub max: i64,
    /// Rules up and down, if there is a `behavior`.
    pub behavior: Option<(Rules, Rules)>,
    /// Without a `behavior`: seconds for which a higher recommendation holds back a lower one.
    pub stabilization: i64,
}

/// What it remembers of what it recommended and did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Recommendations before stabilization.
    pub recommendations: Vec<(i64, Timestamp)>,
    /// Pods added.
    pub ups: Vec<(i64, Timestamp)>,
    /// Pods taken away.
    pub downs: Vec<(i64, Timestamp)>,
}

/// A decision, with what the conditions say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Pods.
    pub replicas: i64,
    /// Reason and message of AbleToScale.
    pub able: (&'static str, &'static str),
    /// Whether ScalingLimited holds, its reason and message.
    pub limited: (bool, &'static str, &'static str),
}

const IN_RANGE: (&str, &str) = ("DesiredWithinRange", "the desired count is within the acceptable range");
const TOO_MANY: (&str, &str) = ("TooManyReplicas", "the desired replica count is more than the maximum replica count");
const TOO_FEW: (&str, &str) = ("TooFewReplicas", "the desired replica count is less than the minimum replica count");
const UP_LIMIT: (&str, &str) =
    ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate");
const DOWN_LIMIT: (&str, &str) =
    ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate");
const READY: (&str, &str) = ("ReadyForNewScale", "recommended size matches current size");
const DOWN_STABILIZED: (&str, &str) = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
);
const UP_STABILIZED: (&str, &str) = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);

/// Stabilizes and bounds what the metrics ask for, and remembers it.
pub fn normalize(bounds: &Bounds, history: &mut History, current: i64, desired: i64, now: Timestamp) -> Decision {
    let (stable, stabilized) = match &bounds.behavior {
        None => (stabilize(bounds.stabilization, history, desired, now), DOWN_STABILIZED),
        Some((up, down)) => {
            let stable = stabilize_by(history, up, down, current, desired, now);
            (stable, if desired >= current { UP_STABILIZED } else { DOWN_STABILIZED })
        }
    };
    let able = if stable == desired { READY } else { stabilized };
    let (replicas, (reason, message)) = match &bounds.behavior {
        None => bound(bounds, current, stable),
        Some((up, down)) => bound_by(bounds, history, up, down, current, stable, now),
    };
    Decision { replicas, able, limited: (replicas != stable, reason, message) }
}

/// The highest recommendation of the window; the new one takes the place of the last that is out of it.
fn stabilize(window: i64, history: &mut History, desired: i64, now: Timestamp) -> i64 {
    let cutoff = now - TimeDelta::seconds(window);
    let highest = history.recommendations.iter().filter(|(_, t)| *t >= cutoff).map(|(r, _)| *r).max();
    replace(&mut history.recommendations, (desired, now), |t| t < cutoff);
    highest.map_or(desired, |h| h.max(desired))
}

fn stabilize_by(history: &mut History, up: &Rules, down: &Rules, current: i64, desired: i64, now: Timestamp) -> i64 {
    let (up_cutoff, down_cutoff) =
        (now - TimeDelta::seconds(up.stabilization), now - TimeDelta::seconds(down.stabilization));
    let after = |cutoff| history.recommendations.iter().filter(move |(_, t)| *t > cutoff).map(|(r, _)| *r);
    let lowest = after(up_cutoff).fold(desired, i64::min);
    let highest = after(down_cutoff).fold(desired, i64::max);
    replace(&mut history.recommendations, (desired, now), |t| t < up_cutoff && t < down_cutoff);
    current.max(lowest).min(highest)
}

fn replace(all: &mut Vec<(i64, Timestamp)>, new: (i64, Timestamp), is_old: impl Fn(Timestamp) -> bool) {
    match all.iter().rposition(|(_, t)| is_old(*t)) {
        Some(i) => all[i] = new,
        None => all.push(new),
    }
}

fn bound(bounds: &Bounds, current: i64, desired: i64) -> (i64, (&'static str, &'static str)) {
    let fastest = (2 * current).max(4);
    let (most, why) = if bounds.max > fastest { (fastest, UP_LIMIT) } else { (bounds.max, TOO_MANY) };
    if desired < bounds.min {
        (bounds.min, TOO_FEW)
    } else if desired > most {
        (most, why)
    } else {
        (desired, IN_RANGE)
    }
}

fn bound_by(
    bounds: &Bounds,
    history: &History,
    up: &Rules,
    down: &Rules,
    current: i64,
    desired: i64,
    now: Timestamp,
) -> (i64, (&'static str, &'static str)) {
    if desired > current {
        let limit = limit(up, history, current, now, true).max(current);
        let (most, why) = if bounds.max > limit { (limit, UP_LIMIT) } else { (bounds.max, TOO_MANY) };
        if desired > most {
            return (most, why);
        }
    } else if desired < current {
        let limit = limit(down, history, current, now, false).min(current);
        let (least, why) = if bounds.min < limit { (limit, DOWN_LIMIT) } else { (bounds.min, TOO_FEW) };
        if desired < least {
            return (least, why);
        }
    }
    (desired, IN_RANGE)
}

/// How far the policies let it go.
fn limit(rules: &Rules, history: &History, current: i64, now: Timestamp, up: bool) -> i64 {
    let proposals = rules.policies.iter().map(|policy| {
        let cutoff = now - TimeDelta::seconds(policy.period);
        let changed = |all: &[(i64, Timestamp)]| all.iter().filter(|(_, t)| *t > cutoff).map(|(n, _)| *n).sum::<i64>();
        let start = current - changed(&history.ups) + changed(&history.downs);
        let share = policy.value as f64 / 100.0;
        match (policy.percent, up) {
            (true, true) => (start as f64 * (1.0 + share)).ceil() as i64,
            (true, false) => (start as f64 * (1.0 - share)) as i64,
            (false, true) => start + policy.value,
            (false, false) => start - policy.value,
        }
    });
    // The larger change is the larger number on the way up, the smaller on the way down.
    let chosen = match (rules.select, up) {
        (Select::Disabled, _) => None,
        (Select::Max, true) | (Select::Min, false) => proposals.max(),
        (Select::Min, true) | (Select::Max, false) => proposals.min(),
    };
    chosen.unwrap_or(current)
}

/// Remembers a change that was made.
pub fn remember(bounds: &Bounds, history: &mut History, from: i64, to: i64, now: Timestamp) {
    let Some((up, down)) = &bounds.behavior else { return };
    let (rules, all) = if to > from { (up, &mut history.ups) } else { (down, &mut history.downs) };
    let longest = rules.policies.iter().map(|p| p.period).max().unwrap_or(0);
    let cutoff = now - TimeDelta::seconds(longest);
    replace(all, ((to - from).abs(), now), |t| t < cutoff);
}
