//! From a recommendation to one small step: what is requested next, or why it stays.
//!
//! Grows fast: to the target, by half of CPU and 30 % of memory at most. Shrinks slowly: only after a week, by half as much,
//! and to no less than what both recommenders say. A request that an HPA divides by is left alone: changed by itself, it
//! would change the number of replicas.

use super::{Resource, TooLittle, Usage, krr, vpa};
use serde::Serialize;

/// Change below which nothing is done.
const LEAST: f64 = 0.1;
/// Most of CPU, and of memory, in a step up; a step down is half of it.
const MOST: (f64, f64) = (0.5, 0.3);
/// Days of history a step down takes.
const WEEK: f64 = 7.0;
/// Share of the limit from which what was used may have been cut off.
const CENSORED: f64 = 0.95;
/// Share of periods from which CPU counts as throttled (the mixin's CPUThrottlingHigh).
const THROTTLED: f64 = 0.25;
/// What a lowered memory limit has to be above everything that was used.
const ROOM: f64 = 1.2;

/// What to do about one resource of one container.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// What the template says, in cores or bytes.
    pub request: Option<f64>,
    /// Likewise.
    pub limit: Option<f64>,
    /// What the Vertical Pod Autoscaler would say.
    pub vpa: vpa::Recommended,
    /// What KRR would say.
    pub krr: f64,
    /// Greatest value measured.
    pub peak: f64,
    /// Days between the first and the last sample.
    pub days: f64,
    /// Whether use may have been cut off at the limit: the true need is not known, and nothing shrinks.
    pub censored: bool,
    /// The request after one step; nothing if it stays.
    pub new_request: Option<f64>,
    /// The limit after one step; nothing if it stays.
    pub new_limit: Option<f64>,
    /// Over all pods: what is requested above the target. Negative where it is below.
    pub waste: Option<f64>,
    /// Over all pods: what one step gives back. Negative where it takes.
    pub saving: Option<f64>,
    /// Why it changes, or why it stays.
    pub why: Vec<String>,
}

/// Advice for a resource; an error if too little was measured.
pub fn advise(usage: &Usage, resource: Resource) -> Result<Advice, TooLittle> {
    let (first, last, count) = usage.enough(resource)?;
    let vpa = vpa::recommend(usage, resource).ok_or(TooLittle::Samples(count))?;
    let krr = krr::recommend(usage, resource).ok_or(TooLittle::Samples(count))?;
    let asked = usage.asked(resource);
    let peak = usage.values(resource).map(|(_, value)| value).fold(0.0, f64::max);
    let (censored, mut why) = censored(usage, resource, peak);
    let days = (last - first) / 86_400.0;
    let mut advice = Advice {
        request: asked.request,
        limit: asked.limit,
        vpa,
        krr,
        peak,
        days,
        censored,
        new_request: None,
        new_limit: None,
        waste: asked.request.map(|request| (request - vpa.target) * usage.replicas as f64),
        saving: None,
        why: Vec::new(),
    };
    let hpa = if resource == Resource::Cpu { usage.hpa.0 } else { usage.hpa.1 };
    match asked.request {
        None => {
            why.push("no request is set: whoever schedules it believes it needs nothing".to_owned());
            advice.new_request = Some(rounded(resource, vpa.target.max(if censored { peak } else { 0.0 })));
        }
        Some(request) => {
            let (next, reason) = next(resource, request, &advice);
            why.push(reason);
            match next {
                Some(next) if hpa => why.push(format!(
                    "left alone: an HPA divides by this request; {:.0} % of it would make its utilisation {:.2} times what it is",
                    100.0 * next / request,
                    request / next
                )),
                next => advice.new_request = next,
            }
        }
    }
    if let Some(next) = advice.new_request {
        advice.new_limit = limit(resource, &advice, next, &mut why);
        advice.saving = asked.request.map(|request| (request - next) * usage.replicas as f64);
    }
    advice.why = why;
    Ok(advice)
}

/// Whether use may have been cut off, and by what that is told.
fn censored(usage: &Usage, resource: Resource, peak: f64) -> (bool, Vec<String>) {
    let mut why = Vec::new();
    let at_limit = usage.asked(resource).limit.is_some_and(|limit| peak >= CENSORED * limit);
    if at_limit {
        why.push(format!("use reached {:.0} % of the limit: more may have been needed", 100.0 * CENSORED));
    }
    let all = || usage.pods.iter().flatten();
    match resource {
        Resource::Memory if all().any(|sample| sample.killed) => why.push("it was killed for memory".to_owned()),
        Resource::Cpu => {
            let told: Vec<f64> = all().filter_map(|sample| sample.throttled).collect();
            let share =
                told.iter().filter(|throttled| **throttled > THROTTLED).count() as f64 / told.len().max(1) as f64;
            // now and then everything is throttled at its start
            if share > 0.05 {
                why.push(format!("it was throttled in {:.0} % of the samples", 100.0 * share));
            }
        }
        Resource::Memory => {}
    }
    (!why.is_empty(), why)
}

/// The request after one step, if it changes, and why or why not.
fn next(resource: Resource, request: f64, advice: &Advice) -> (Option<f64>, String) {
    let most = if resource == Resource::Cpu { MOST.0 } else { MOST.1 };
    // what was cut off is stepped up as far as allowed: the target is one of censored values
    let up = if advice.censored { advice.vpa.target.max(advice.peak * (1.0 + most)) } else { advice.vpa.target };
    if up > request * (1.0 + LEAST) {
        let next = rounded(resource, up.min(request * (1.0 + most)));
        let held = if next < up { format!(", {:.0} % at most in a step", 100.0 * most) } else { String::new() };
        return (Some(next), format!("more is needed than requested{held}"));
    }
    let down = advice.vpa.target.max(advice.krr);
    if down >= request * (1.0 - LEAST) {
        return (None, format!("within {:.0} % of what is needed", 100.0 * LEAST));
    }
    if advice.censored {
        return (None, "what was measured at a limit is no reason to shrink".to_owned());
    }
    if advice.days < WEEK {
        return (
            None,
            format!("less would do, but {:.1} days are too few to shrink by; {WEEK} are needed", advice.days),
        );
    }
    let next = rounded(resource, down.max(request * (1.0 - most / 2.0)));
    if next >= request {
        return (None, "too small to matter".to_owned());
    }
    let held = if next > down { format!(", {:.0} % at most in a step", 50.0 * most) } else { String::new() };
    (Some(next), format!("less is needed than requested{held}"))
}

/// The limit keeps its ratio to the request, as the Vertical Pod Autoscaler has it; memory's is not lowered to near what
/// was used.
fn limit(resource: Resource, advice: &Advice, next: f64, why: &mut Vec<String>) -> Option<f64> {
    let (limit, request) = (advice.limit?, advice.request?);
    let scaled = rounded(resource, limit * next / request).max(next);
    if resource == Resource::Memory && scaled < limit && scaled < ROOM * advice.peak {
        why.push(format!("the limit stays: {ROOM} times the peak would not fit below a lower one"));
        return None;
    }
    (scaled != limit).then_some(scaled)
}

/// Up to a thousandth of a core, or a mebibyte.
fn rounded(resource: Resource, value: f64) -> f64 {
    match resource {
        Resource::Cpu => (value * 1000.0 - 1e-6).ceil() / 1000.0,
        Resource::Memory => (value / 1_048_576.0 - 1e-6).ceil() * 1_048_576.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, Sample};
    use super::*;
    use proptest::prelude::*;

    const MIB: f64 = 1024.0 * 1024.0;

    /// Samples every five minutes.
    fn usage(days: f64, cpu: f64, memory: f64) -> Usage {
        let count = (days * 288.0) as u32 + 1;
        let sample = |at: u32| Sample {
            time: f64::from(at) * 300.0,
            cpu: Some(cpu),
            memory: Some(memory),
            throttled: Some(0.0),
            killed: false,
        };
        Usage { pods: vec![(0..count).map(sample).collect()], containers: 1, replicas: 4, ..Usage::default() }
    }

    fn asks(request: f64, limit: f64) -> Asked {
        Asked { request: Some(request), limit: Some(limit) }
    }

    #[test]
    fn it_grows_fast_and_shrinks_slowly() {
        let held = |request: f64, days| Usage { cpu: asks(request, 2.0 * request), ..usage(days, 0.5, 400.0 * MIB) };
        // 0.5 cores of use are 0.5877 with bucket and margin
        let grown = advise(&held(0.2, 1.0), Resource::Cpu).unwrap();
        assert!(grown.censored, "0.5 of a limit of 0.4");
        assert_eq!((grown.new_request, grown.new_limit), (Some(0.3), Some(0.6)));
        assert!(grown.saving.unwrap() < -0.39);
        let near = advise(&held(0.6, 14.0), Resource::Cpu).unwrap();
        assert_eq!(near.new_request, None);
        let early = advise(&held(2.0, 6.5), Resource::Cpu).unwrap();
        assert!(early.new_request.is_none() && early.why[0].contains("6.5 days are too few"), "{:?}", early.why);
        let late = advise(&held(2.0, 8.0), Resource::Cpu).unwrap();
        assert_eq!((late.new_request, late.new_limit), (Some(1.5), Some(3.0)));
        assert_eq!(late.saving, Some(2.0));
        assert!((late.waste.unwrap() - 4.0 * (2.0 - late.vpa.target)).abs() < 1e-9);
    }

    #[test]
    fn censored_use_never_shrinks_and_steps_up() {
        let at_limit = Usage { memory: asks(512.0 * MIB, 512.0 * MIB), ..usage(14.0, 0.5, 500.0 * MIB) };
        let advice = advise(&at_limit, Resource::Memory).unwrap();
        assert!(advice.censored && advice.new_request.unwrap() > 600.0 * MIB, "{advice:?}");
        assert_eq!(advice.new_limit, advice.new_request, "Guaranteed stays Guaranteed");
        let mut throttled = Usage { cpu: asks(4.0, 4.0), ..usage(14.0, 0.5, MIB) };
        throttled.pods[0].iter_mut().step_by(10).for_each(|sample| sample.throttled = Some(0.9));
        let advice = advise(&throttled, Resource::Cpu).unwrap();
        assert!(advice.censored && advice.new_request.is_none() && advice.why[0].contains("throttled"), "{advice:?}");
        let mut killed = Usage { memory: asks(4096.0 * MIB, 4096.0 * MIB), ..usage(14.0, 0.5, 500.0 * MIB) };
        killed.pods[0][50].killed = true;
        let advice = advise(&killed, Resource::Memory).unwrap();
        assert!(advice.new_request.is_none() && advice.why.iter().any(|why| why.contains("killed")), "{advice:?}");
    }

    #[test]
    fn a_request_that_an_hpa_divides_by_is_only_told_of() {
        let held = Usage { cpu: asks(2.0, 4.0), hpa: (true, false), ..usage(14.0, 0.5, MIB) };
        let advice = advise(&held, Resource::Cpu).unwrap();
        assert!(advice.new_request.is_none() && advice.saving.is_none());
        assert!(
            advice.why.iter().any(|why| why.contains("75 % of it would make its utilisation 1.33 times")),
            "{:?}",
            advice.why
        );
    }

    #[test]
    fn too_little_is_no_basis() {
        assert_eq!(advise(&usage(0.2, 0.5, MIB), Resource::Cpu), Err(TooLittle::Samples(58)));
        let mut short = usage(1.0, 0.5, MIB);
        short.pods[0].iter_mut().for_each(|sample| sample.time /= 12.0);
        assert_eq!(advise(&short, Resource::Cpu), Err(TooLittle::Hours(2.0)));
        let mut blind = usage(1.0, 0.5, MIB);
        blind.pods[0].iter_mut().for_each(|sample| sample.cpu = None);
        assert_eq!(advise(&blind, Resource::Cpu), Err(TooLittle::Samples(0)));
    }

    #[test]
    fn a_memory_limit_is_not_lowered_to_near_what_was_used() {
        let mut held = Usage { memory: asks(2000.0 * MIB, 2200.0 * MIB), ..usage(14.0, 0.5, 400.0 * MIB) };
        held.pods[0][10].memory = Some(1600.0 * MIB);
        let advice = advise(&held, Resource::Memory).unwrap();
        assert!(advice.new_limit.is_none_or(|limit| limit >= 1.2 * 1600.0 * MIB), "{advice:?}");
    }

    proptest! {
        #[test]
        fn a_step_is_bounded_and_never_below_both_recommenders(
            request in 0.02f64..20.0, used in 0.001f64..20.0, ratio in 1.0f64..4.0, days in 1.0f64..14.0, hpa: bool,
        ) {
            let held = Usage { cpu: asks(request, request * ratio), hpa: (hpa, false), ..usage(days, used, MIB) };
            let advice = advise(&held, Resource::Cpu).unwrap();
            if let Some(next) = advice.new_request {
                prop_assert!(!hpa && next <= request * 1.5 + 0.001 && next >= request * 0.75 - 0.001, "{:?}", advice);
                prop_assert!(next > request || (next >= advice.vpa.target.max(advice.krr) - 1e-9 && days >= 6.99 && !advice.censored));
                prop_assert!(advice.new_limit.is_none_or(|limit| limit >= next));
            }
        }
    }
}
