//! The traces, told.

use super::{Dress, Trace, average, both, containers, cpu, policy, rules, some, trace, utilization};
use serde_json::json;

/// All of them.
pub fn all() -> Vec<Trace> {
    [plain(), odd_pods(), behaviors(), metrics(), edges()].into_iter().flatten().collect()
}

fn plain() -> Vec<Trace> {
    vec![
        trace(
            "step-up",
            2,
            [1, 20],
            vec![
                cpu("within the tolerance", 54),
                cpu("just over it", 56),
                cpu("a step, faster than allowed", 200),
                cpu("on", 200),
                cpu("on, to the maximum", 200),
                cpu("enough", 52),
            ],
        ),
        trace(
            "ramp",
            3,
            [1, 9],
            vec![
                cpu("50 %", 50),
                cpu("55 %", 55),
                cpu("60 %", 60),
                cpu("65 %", 65),
                cpu("75 %", 75),
                cpu("90 %", 90),
                cpu("over the maximum", 100),
                cpu("45 %", 45),
            ],
        ),
        trace(
            "down",
            8,
            [2, 10],
            vec![
                cpu("it was made so large a moment ago", 10),
                cpu("still", 20),
                cpu("still", 10),
                cpu("the highest of the last three seconds", 10).times(4),
                cpu("fewer than the minimum", 2).times(4),
                cpu("nothing at all", 0),
                cpu("up again", 80),
                cpu("and down: held", 10),
            ],
        ),
        trace(
            "small-requests",
            3,
            [1, 9],
            vec![cpu("as wanted", 50), cpu("a little more", 58), cpu("more", 75), cpu("and less", 20).times(4)],
        )
        .measured(json!([utilization("cpu", 550)]))
        .of(containers("9m", "13Mi")),
    ]
}

fn odd_pods() -> Vec<Trace> {
    let not_ready = |started, since| Dress::Is { ready: false, started, since };
    let ready = |started, since| Dress::Is { ready: true, started, since };
    vec![
        trace(
            "missing",
            4,
            [1, 12],
            vec![
                some("two missing would turn the direction", &[Some(80), Some(80), None]),
                some("one missing counts as idle", &[Some(150), Some(150), Some(150), None]),
                some("missing ones count as busy", &[Some(10), Some(10), None]).times(4),
                some("most are measured, idle", &[None, Some(5)]).times(4),
                some("none is measured", &[None]),
                some("one is", &[Some(40), None]),
            ],
        ),
        trace(
            "unready",
            4,
            [1, 12],
            vec![
                cpu("a young one that is not ready counts as idle", 90).dressed(&[not_ready(60, 60)]),
                cpu("just ready: not yet a window long", 90).dressed(&[ready(100, 10), ready(100, 10)]),
                cpu("ready for longer than the window", 60).dressed(&[ready(200, 100), ready(200, 100)]),
                cpu("no condition at all", 90).dressed(&[Dress::Unknown]),
                cpu("old, and never was ready", 90).dressed(&[not_ready(3600, 3590), not_ready(3600, 3590)]),
                cpu("old, and has been ready", 60).dressed(&[not_ready(3600, 1800), not_ready(3600, 1800)]),
                cpu("down", 10).dressed(&[not_ready(60, 60)]).times(4),
                cpu("only the unready are left", 90).dressed(&[not_ready(60, 60); 12]),
            ],
        ),
        trace(
            "pending",
            5,
            [1, 12],
            vec![
                cpu("two pending count as idle", 90).dressed(&[Dress::Pending; 2]),
                cpu("too many of them", 70).dressed(&[Dress::Pending; 6]),
                cpu("all pending", 90).dressed(&[Dress::Pending; 12]),
                cpu("on the way down they do not count", 10).dressed(&[Dress::Pending; 2]).times(4),
            ],
        ),
        trace(
            "lost",
            4,
            [1, 12],
            vec![
                cpu("a failed one is replaced", 60).dressed(&[Dress::Failed]),
                cpu("one is being deleted", 80).dressed(&[Dress::Deleting]),
                some("measurements of the lost do not count", &[Some(500), Some(20), Some(40), Some(60)]),
                cpu("less", 20).times(4),
            ],
        ),
    ]
}

fn behaviors() -> Vec<Trace> {
    vec![
        trace("policies-max", 4, [1, 30], vec![
            cpu("up by three or by half", 200),
            cpu("nothing more in the period", 200),
            cpu("and nothing", 200),
            cpu("a period later", 200).times(4),
            cpu("down by one or a quarter", 5),
            cpu("nothing more in the period", 5),
            cpu("a period later", 5).times(4),
        ])
        .behaving(json!({
            "scaleUp": rules(0, "Max", &[policy("Pods", 3, 3), policy("Percent", 50, 3)]),
            "scaleDown": rules(0, "Max", &[policy("Pods", 1, 3), policy("Percent", 25, 3)]),
        })),
        trace("policies-min", 10, [2, 30], vec![
            cpu("down by one or a fifth", 5),
            cpu("nothing more", 5),
            cpu("up by two or a tenth", 200),
            cpu("after the longer of the periods", 200).times(4),
            cpu("down, within the longer period", 5),
            cpu("a third", 5).times(4),
        ])
        .behaving(json!({
            "scaleUp": rules(0, "Min", &[policy("Pods", 2, 3), policy("Percent", 10, 5)]),
            "scaleDown": rules(0, "Min", &[policy("Pods", 1, 3), policy("Percent", 20, 5)]),
        })),
        trace("patient", 3, [1, 12], vec![
            cpu("up: it waits", 100),
            cpu("and waits", 150),
            cpu("the lowest of the window", 100).times(4),
            cpu("down is disabled", 5),
            cpu("still", 5).times(4),
        ])
        .behaving(json!({"scaleUp": rules(3, "Max", &[policy("Percent", 100, 3)]), "scaleDown": {"selectPolicy": "Disabled"}})),
        trace("held-down", 8, [1, 12], vec![
            cpu("down: it waits for the highest", 30),
            cpu("and waits", 10),
            cpu("the highest of the last three seconds", 20).times(4),
            cpu("lower", 5).times(4),
            cpu("up at once", 100),
        ])
        .behaving(json!({"scaleDown": {"stabilizationWindowSeconds": 3}})),
        trace("defaults", 3, [1, 40], vec![
            cpu("by four or double", 400),
            cpu("again within fifteen seconds", 400),
            cpu("down, with the default window", 5),
            cpu("after it", 5).times(4),
        ])
        .behaving(json!({"scaleUp": {"selectPolicy": "Max"}})),
        trace("no-way-up", 4, [1, 40], vec![
            cpu("up is disabled", 400),
            cpu("down is not", 20).times(4),
            cpu("up still is", 400),
        ])
        .behaving(json!({"scaleUp": {"selectPolicy": "Disabled"}})),
        trace("tolerant", 4, [1, 12], vec![
            cpu("within half above", 74),
            cpu("over it", 76),
            cpu("a hundredth below is too little", 49).times(4),
            cpu("as wanted", 50),
        ])
        .behaving(json!({
            "scaleUp": {"tolerance": "500m", "stabilizationWindowSeconds": 0},
            "scaleDown": {"tolerance": "0.01", "stabilizationWindowSeconds": 3},
        })),
    ]
}

fn metrics() -> Vec<Trace> {
    let of = |cpu: i64, memory: i64| [Some((Some(cpu), Some(memory)))];
    let container = |name: &str| {
        json!({"type": "ContainerResource", "containerResource": {
            "name": "cpu", "container": name, "target": {"type": "Utilization", "averageUtilization": 50},
        }})
    };
    let no_memory = json!([{"name": "main", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "100m"}}},
        {"name": "side", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "100m"}}}]);
    vec![
        trace(
            "two-metrics",
            3,
            [1, 12],
            vec![
                both("both as wanted", &of(50, 75)),
                both("CPU asks for more", &of(80, 75)),
                both("memory asks for more", &of(50, 100)),
                both("one asks for less", &of(20, 75)).times(4),
                both("both do", &of(20, 25)).times(4),
                both("memory is not measured: up", &[Some((Some(90), None))]),
                both("memory is not measured: not down", &[Some((Some(10), None))]).times(4),
                both("of some", &[Some((Some(60), None)), Some((Some(60), Some(90)))]),
            ],
        )
        .measured(json!([utilization("cpu", 50), utilization("memory", 75)])),
        trace(
            "averages",
            3,
            [1, 12],
            vec![
                both("as wanted", &of(50, 50)),
                both("CPU", &of(70, 50)),
                both("memory", &of(50, 71)),
                both("some are missing", &[None, Some((Some(20), Some(20)))]).times(4),
                both("less", &of(13, 11)).times(4),
            ],
        )
        .measured(json!([average("cpu", "101m"), average("memory", "64Mi")])),
        trace(
            "container",
            3,
            [1, 12],
            vec![cpu("one container of two", 50), cpu("more", 81), cpu("less", 20).times(4)],
        )
        .measured(json!([container("main")])),
        trace("no-container", 3, [1, 12], vec![cpu("it does not exist", 50), cpu("still", 90)])
            .measured(json!([container("other")])),
        trace(
            "no-request",
            3,
            [1, 12],
            vec![
                both("CPU asks for more", &of(80, 50)),
                both("CPU would ask for less", &of(10, 50)).times(4),
                both("as wanted", &of(50, 50)),
            ],
        )
        .measured(json!([utilization("memory", 75), utilization("cpu", 50)]))
        .of(no_memory),
    ]
}

fn edges() -> Vec<Trace> {
    let absent =
        Trace { replicas: None, ..trace("absent", 0, [1, 5], vec![cpu("there is a target", 90), cpu("on", 50)]) };
    let rivals = Trace { rival: true, ..trace("rivals", 2, [1, 5], vec![cpu("the other is gone", 90), cpu("on", 50)]) };
    vec![
        rivals,
        trace("above-maximum", 9, [1, 5], vec![cpu("more", 90), cpu("less", 10).times(4)]),
        trace("below-minimum", 1, [4, 8], vec![cpu("less", 5), cpu("more", 70)]),
        trace("zero", 0, [1, 5], vec![cpu("it runs", 80), cpu("on", 50)]),
        absent,
    ]
}
