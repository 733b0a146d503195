//! An autoscaler's settings as its object writes them.

use super::super::quantity::parse_quantity;
use super::{Bounds, Policy, Rules, Select, TOLERANCE, Target, Tolerances};
use serde_json::Value;

impl Bounds {
    /// The bounds that `spec` of a HorizontalPodAutoscaler sets, with the defaults of a `behavior`
    /// (`SetDefaults_HorizontalPodAutoscaler`).
    pub fn of(spec: &Value, stabilization: i64) -> Self {
        let number = |field: &str| spec[field].as_i64().unwrap_or(1);
        Self::with(number("minReplicas"), number("maxReplicas"), spec.get("behavior"), stabilization)
    }

    /// The same from its parts.
    pub fn with(min: i64, max: i64, behavior: Option<&Value>, stabilization: i64) -> Self {
        let behavior = behavior.filter(|b| !b.is_null()).map(|b| {
            let percent = |value, period| Policy { percent: true, value, period };
            let up = vec![Policy { percent: false, value: 4, period: 15 }, percent(100, 15)];
            (rules(&b["scaleUp"], 0, up), rules(&b["scaleDown"], stabilization, vec![percent(100, 15)]))
        });
        Self { min, max, behavior, stabilization }
    }
}

impl Tolerances {
    /// Those that a `behavior` sets (KEP-4951), else the controller's own.
    pub fn of(behavior: Option<&Value>) -> Self {
        let of = |way: &str| {
            let set = &behavior?[way]["tolerance"];
            set.as_f64().or_else(|| set.as_str().and_then(parse_quantity))
        };
        Self { down: of("scaleDown").unwrap_or(TOLERANCE), up: of("scaleUp").unwrap_or(TOLERANCE) }
    }
}

fn rules(given: &Value, window: i64, policies: Vec<Policy>) -> Rules {
    let own: Vec<Policy> = given["policies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|p| Policy {
            percent: p["type"] == "Percent",
            value: p["value"].as_i64().unwrap_or(0),
            period: p["periodSeconds"].as_i64().unwrap_or(15),
        })
        .collect();
    Rules {
        stabilization: given["stabilizationWindowSeconds"].as_i64().unwrap_or(window),
        select: match given["selectPolicy"].as_str() {
            Some("Min") => Select::Min,
            Some("Disabled") => Select::Disabled,
            _ => Select::Max,
        },
        policies: if own.is_empty() { policies } else { own },
    }
}

/// What an autoscaler scales by, as far as it can be replayed.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    /// Its bounds and rules.
    pub bounds: Bounds,
    /// Deviations it tolerates.
    pub tolerances: Tolerances,
    /// Target of CPU, if that is what it looks at, and nothing else.
    pub cpu: Option<Target>,
}
