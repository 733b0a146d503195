//! One look at one autoscaler, as a function of what there is to see (reconcileAutoscaler in horizontal.go): its metrics,
//! its decision, and what its status and events tell.

use super::decide::{self, Bounds, History, Sample};
use crate::model::time::Timestamp;
use crate::sim::clock::rfc3339;
use crate::sim::object::{int, list, set, set_condition, take};
use serde_json::{Value, json};

/// What a container uses of a resource, by names of pod, container and resource; `None` if it is not measured.
pub type Usage<'a> = &'a mut dyn FnMut(&str, &str, &str) -> Option<Sample>;

/// What there is to see.
pub struct Scene<'a> {
    /// The autoscaler, with its status so far.
    pub hpa: &'a Value,
    /// `spec.replicas` of what it scales.
    pub current: i64,
    /// The pods its target selects.
    pub pods: &'a [Value],
    /// That selection as a query.
    pub selector: &'a str,
    /// The autoscalers that select some of these pods, as `namespace/name`, this one included.
    pub claimants: &'a [String],
    /// What they use.
    pub usage: Usage<'a>,
    /// `--horizontal-pod-autoscaler-downscale-stabilization` in seconds.
    pub stabilization: i64,
    /// The time.
    pub now: Timestamp,
}

/// What comes of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// The new status.
    pub status: Value,
    /// The number to scale to, if it is another.
    pub scale: Option<i64>,
    /// Type, reason and message of events.
    pub events: Vec<(&'static str, &'static str, String)>,
}

impl Look {
    fn of(hpa: &Value) -> Self {
        Self { status: hpa.get("status").cloned().unwrap_or_else(|| json!({})), ..Self::default() }
    }

    pub(super) fn event(&mut self, kind: &'static str, reason: &'static str, message: impl Into<String>) {
        self.events.push((kind, reason, message.into()));
    }

    fn condition(&mut self, kind: &str, status: bool, reason: &str, message: &str, now: Timestamp) {
        let mut whole = json!({"status": self.status.take()});
        set_condition(&mut whole, kind, if status { "True" } else { "False" }, reason, message, &rfc3339(now));
        self.status = whole["status"].take();
    }
}

/// The look when the scale of the target cannot be had.
pub fn without_target(hpa: &Value, why: &str, now: Timestamp) -> Look {
    let mut look = Look::of(hpa);
    look.event("Warning", "FailedGetScale", why);
    let message = format!("the HPA controller was unable to get the target's current scale: {why}");
    look.condition("AbleToScale", false, "FailedGetScale", &message, now);
    look
}

/// Looks.
pub fn look(scene: Scene<'_>, history: &mut History) -> Look {
    let look = Look::of(scene.hpa);
    Round { scene, look }.run(history)
}

pub(super) struct Round<'a> {
    pub scene: Scene<'a>,
    pub look: Look,
}

impl Round<'_> {
    fn condition(&mut self, kind: &str, status: bool, reason: &str, message: &str) {
        self.look.condition(kind, status, reason, message, self.scene.now);
    }

    fn run(mut self, history: &mut History) -> Look {
        self.condition(
            "AbleToScale",
            true,
            "SucceededGetScale",
            "the HPA controller was able to get the target's current scale",
        );
        let (current, now) = (self.scene.current, self.scene.now);
        if history.recommendations.is_empty() {
            history.recommendations.push((current, now));
        }
        let bounds = Bounds::of(&self.scene.hpa["spec"], self.scene.stabilization);
        let mut metrics = Vec::new();
        let (desired, reason) = if current == 0 {
            self.condition(
                "ScalingActive",
                false,
                "ScalingDisabled",
                "scaling is disabled since the replica count of the target is zero",
            );
            (0, String::new())
        } else if current > bounds.max {
            (bounds.max, "Current number of replicas above Spec.MaxReplicas".to_owned())
        } else if current < bounds.min {
            (bounds.min, "Current number of replicas below Spec.MinReplicas".to_owned())
        } else {
            match self.by_metrics(&mut metrics) {
                Err(why) => {
                    let desired = int(&self.look.status, "desiredReplicas").unwrap_or(0);
                    self.look.event("Warning", "FailedComputeMetricsReplicas", why);
                    return self.tell(desired, metrics);
                }
                Ok((desired, metric)) => {
                    let decision = decide::normalize(&bounds, history, current, desired, now);
                    let ((able, able_text), (limited, limit, limit_text)) = (decision.able, decision.limited);
                    self.condition("AbleToScale", true, able, able_text);
                    self.condition("ScalingLimited", limited, limit, limit_text);
                    let reason = match desired.cmp(&current) {
                        std::cmp::Ordering::Greater => format!("{metric} above target"),
                        std::cmp::Ordering::Less => "All metrics below target".to_owned(),
                        std::cmp::Ordering::Equal => String::new(),
                    };
                    (decision.replicas, reason)
                }
            }
        };
        if desired != current {
            self.look.scale = Some(desired);
            let message = format!("the HPA controller was able to update the target scale to {desired}");
            self.condition("AbleToScale", true, "SucceededRescale", &message);
            self.look.event("Normal", "SuccessfulRescale", format!("New size: {desired}; reason: {reason}"));
            decide::remember(&bounds, history, current, desired, now);
            set(&mut self.look.status, "lastScaleTime", rfc3339(now));
        }
        self.tell(desired, metrics)
    }

    /// The most that any metric asks for, and its name (computeReplicasForMetrics).
    fn by_metrics(&mut self, metrics: &mut Vec<Value>) -> Result<(i64, String), String> {
        if self.scene.claimants.len() > 1 {
            let (selector, all) = (self.scene.selector, self.scene.claimants.join(" "));
            let why = format!("pods by selector {selector} are controlled by multiple HPAs: [{all}]");
            self.look.event("Warning", "AmbiguousSelector", why.as_str());
            self.condition("ScalingActive", false, "AmbiguousSelector", &why);
            return Err(why);
        }
        let specs = list(self.scene.hpa, "spec.metrics");
        let (mut best, mut name, mut failures, mut first) = (0, String::new(), 0, None);
        for spec in specs {
            match self.metric(spec) {
                Ok(found) => {
                    if best == 0 || found.replicas > best {
                        best = found.replicas;
                        name = found.name;
                    }
                    metrics.push(found.status);
                }
                Err(failure) => {
                    self.look.event("Warning", failure.reason, failure.cause.as_str());
                    failures += 1;
                    first.get_or_insert(failure);
                    // Its place stays, without a type.
                    metrics.push(json!({"type": ""}));
                }
            }
        }
        let all_failed = failures >= specs.len();
        if let Some(failure) = first.filter(|_| all_failed || best < self.scene.current) {
            let message = format!("the HPA was unable to compute the replica count: {}", failure.cause);
            self.condition("ScalingActive", false, failure.reason, &message);
            return Err(format!(
                "invalid metrics ({failures} invalid out of {}), first error is: {}",
                specs.len(),
                failure.error
            ));
        }
        let message = format!("the HPA was able to successfully calculate a replica count from {name}");
        self.condition("ScalingActive", true, "ValidMetricFound", &message);
        Ok((best, name))
    }

    fn tell(mut self, desired: i64, metrics: Vec<Value>) -> Look {
        let status = &mut self.look.status;
        if self.scene.current == 0 {
            take(status, "currentReplicas"); // omitempty
        } else {
            set(status, "currentReplicas", self.scene.current);
        }
        set(status, "desiredReplicas", desired);
        set(status, "currentMetrics", if metrics.is_empty() { Value::Null } else { metrics.into() });
        self.look
    }
}
