use super::bayes::Bayes;
use super::dqn::Dqn;
use super::expr::Expr;
use super::functions;
use super::genetic::Genetic;
use super::gradient::Gradient;
use super::portfolio::{Budget, run};
use super::space::{BadSpace, Dimension, Kind, NothingAllowed};
use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn phases() -> Vec<Box<dyn Phase>> {
    let small = Bayes { candidates: 64, ..Bayes::default() };
    vec![
        Box::new(RandomSearch),
        Box::new(Gradient::default()),
        Box::new(Genetic::default()),
        Box::new(small),
        Box::new(Dqn::default()),
    ]
}

fn number(name: &str, low: f64, high: f64) -> Dimension {
    Dimension { name: name.into(), kind: Kind::Continuous { low, high, log: false } }
}

fn integer(name: &str, low: i32, high: i32) -> Dimension {
    Dimension { name: name.into(), kind: Kind::Integer { low, high, log: false } }
}

fn mixed(constraints: &[&str]) -> Space {
    let codec = Kind::Categorical(vec!["none".into(), "gzip".into(), "zstd".into()]);
    let mut space = Space::new(vec![
        Dimension { name: "cpu".into(), kind: Kind::Continuous { low: 0.1, high: 8.0, log: true } },
        integer("replicas", 1, 20),
        Dimension { name: "codec".into(), kind: codec },
        Dimension { name: "cache".into(), kind: Kind::Boolean },
    ])
    .unwrap();
    for text in constraints {
        let constraint = Expr::constraint(text, &space.symbols()).unwrap();
        space.constrain(constraint);
    }
    space
}

fn search(
    space: &Space,
    objective: &mut dyn Objective,
    phase: &mut dyn Phase,
    most: usize,
    seed: u64,
) -> (Stop, Vec<State>, Option<f64>) {
    let cancel = AtomicBool::new(false);
    let limits = Limits { evaluations: most, deadline: None, cancel: &cancel };
    let mut report = |_: Progress| {};
    let mut search = Search::new(space, objective, limits, &mut report);
    let stop = phase.run(&mut search, seed);
    let best = search.best().map(|best| best.outcome.score);
    (stop, search.into_history(), best)
}

#[test]
fn each_phase_reaches_what_it_is_for() {
    let all = functions::all();
    let function = |name: &str| all.iter().find(|function| function.name.starts_with(name)).unwrap();
    for (mut phase, name, most, off) in [
        (Box::new(Gradient::default()) as Box<dyn Phase>, "rosenbrock", 600, 1e-6),
        (Box::new(Gradient::default()), "branin", 200, 1e-6),
        (Box::new(Gradient::default()), "mixed", 400, 0.5),
        (Box::new(Genetic::default()), "rastrigin", 820, 8.0),
        (Box::new(Genetic::default()), "mixed", 400, 0.1),
        (Box::new(Bayes::default()), "branin", 45, 0.02),
        (Box::new(Bayes::default()), "mixed", 45, 0.3),
        (Box::new(Dqn::default()), "branin", 800, 0.5),
    ] {
        let Function { space, value, least, .. } = function(name);
        // a model for each measurement takes long in a build for tests
        let seeds: &[u64] = if phase.name() == "bayesian" { &[1] } else { &[1, 2, 3] };
        for seed in seeds.iter().copied() {
            let (_, history, best) = search(space, &mut |x: &[f64]| value(x), &mut *phase, most, seed);
            let best = best.unwrap();
            assert!(history.len() <= most && best - least < off, "{} on {name}: {best} is not {least}", phase.name());
        }
    }
}

use functions::Function;

#[test]
fn the_known_least_values_are_the_functions_own() {
    let at: [&[f64]; 6] = [
        &[1.0; 4],
        &[0.0; 4],
        &[0.0; 4],
        &[std::f64::consts::PI, 2.275],
        &[0.201_69, 0.150_011, 0.476_874, 0.275_332, 0.311_652, 0.657_3],
        &[2048.0, 20.0, 1.0, 1.0],
    ];
    for (function, at) in functions::all().iter().zip(at) {
        let found = (function.value)(at);
        assert!((found - function.least).abs() < 1e-5, "{}: {found}", function.name);
        assert!(function.space.allows(at));
    }
}

#[test]
fn the_same_seed_repeats_a_search_and_another_does_not() {
    let space = mixed(&["cpu * replicas <= 16"]);
    let mut value = |x: &[f64]| (x[0] - 1.3).powi(2) + x[1] / (1.0 + x[2]) - x[3];
    for mut phase in phases() {
        let runs = [7, 7, 8].map(|seed| search(&space, &mut value, &mut *phase, 60, seed).1);
        assert!(runs[0] == runs[1] || phase.name() == "dqn", "{}", phase.name());
        assert_ne!(runs[0], runs[2], "{}", phase.name());
    }
    let runs = [7, 7].map(|seed| search(&space, &mut value, &mut Dqn::default(), 60, seed).1);
    assert_eq!(runs[0], runs[1], "without an earlier policy");
}

#[test]
fn a_policy_that_was_learned_is_used_by_the_next_run_and_one_of_another_space_is_not() {
    let all = functions::all();
    let mut dqn = Dqn::default();
    let value = all[3].value;
    search(&all[3].space, &mut |x: &[f64]| value(x), &mut dqn, 300, 1);
    let learned = dqn.policy.clone().unwrap();
    assert_eq!(*learned.shape(), dqn.shape(2));
    let fresh = search(&all[3].space, &mut |x: &[f64]| value(x), &mut Dqn::default(), 60, 2).1;
    let taught = search(&all[3].space, &mut |x: &[f64]| value(x), &mut dqn, 60, 2).1;
    assert_ne!(fresh, taught);
    let value = all[0].value;
    search(&all[0].space, &mut |x: &[f64]| value(x), &mut dqn, 60, 2);
    assert_eq!(*dqn.policy.unwrap().shape(), Dqn::default().shape(4));
}

#[test]
fn contradictions_are_proven_and_thin_regions_are_found() {
    let budget = |cancel| Budget { evaluations: 50, time: Duration::from_secs(600), cancel, seed: 1 };
    let cancel = AtomicBool::new(false);
    let try_it = |space: &Space| run(space, &mut |_: &[f64]| 0.0, &mut phases(), &[], budget(&cancel), &mut |_, _| {});
    for constraints in [
        &["replicas > 20"][..],
        &["cpu >= 4", "cpu * replicas < 3"],
        &["codec == \"zstd\"", "codec == \"gzip\""],
        &["if cache then cpu > 9", "cache"],
    ] {
        let error = try_it(&mixed(constraints)).unwrap_err();
        assert!(matches!(error, NothingAllowed::Contradiction(_)), "{error}");
        assert!(error.to_string().contains(constraints[0]), "{error}");
    }
    // one part in a hundred thousand, and a single whole number
    let thin = mixed(&["cpu > 7.9999", "replicas == 13", "codec == \"zstd\"", "cache"]);
    let found = try_it(&thin).unwrap();
    assert!(found.phases.iter().all(|told| told.history.iter().all(|state| thin.allows(&state.point))));
    assert_eq!(found.best().unwrap().1.point[1], 13.0);
    // a line: proven or found nothing, but never an answer that is not allowed
    let line = try_it(&mixed(&["cpu == 1.2345678"]));
    assert!(line.is_err(), "{line:?}");
}

#[test]
fn a_space_of_one_point_is_measured_once_and_a_small_one_whole() {
    let one = Space::new(vec![number("cpu", 2.0, 2.0), integer("replicas", 3, 3)]).unwrap();
    for mut phase in phases() {
        let (stop, history, best) = search(&one, &mut |x: &[f64]| x[0] + x[1], &mut *phase, 100, 1);
        assert_eq!((stop, history.len(), best), (Stop::Exhausted, 1, Some(5.0)), "{}", phase.name());
    }
    let few = Space::new(vec![integer("a", 0, 3), Dimension { name: "b".into(), kind: Kind::Boolean }]).unwrap();
    for mut phase in phases() {
        let (stop, history, best) = search(&few, &mut |x: &[f64]| (x[0] - 2.0).abs() - x[1], &mut *phase, 100, 1);
        assert!(stop == Stop::Exhausted && history.len() <= 8 && best == Some(-1.0), "{} {stop:?}", phase.name());
    }
}

#[test]
fn a_phase_that_is_no_better_than_as_many_random_measurements_is_told_so() {
    let cancel = AtomicBool::new(false);
    let budget = Budget { evaluations: 60, time: Duration::from_secs(600), cancel: &cancel, seed: 3 };
    let space = mixed(&[]);
    let flat = run(&space, &mut |_: &[f64]| 4.2, &mut phases(), &[], budget, &mut |_, _| {}).unwrap();
    assert!(flat.phases.iter().all(|told| !told.adds && told.score() == Some(4.2)));
    let all = functions::all();
    let mut heard = Vec::new();
    let value = all[3].value;
    let mut phases: Vec<Box<dyn Phase>> = vec![Box::new(Gradient::default())];
    let found = run(&all[3].space, &mut |x: &[f64]| value(x), &mut phases, &[], budget, &mut |name, progress| {
        heard.push((name, progress));
    })
    .unwrap();
    assert_eq!(found.phases.iter().map(|told| told.name).collect::<Vec<_>>(), ["random", "gradient", "polish"]);
    let slopes = &found.phases[1];
    assert!(slopes.adds && slopes.score().unwrap() < slopes.to_beat.unwrap());
    assert_eq!(heard.len(), found.phases.iter().map(|told| told.history.len()).sum::<usize>());
}

#[test]
fn an_objective_that_is_never_a_number_gives_no_best_and_ends() {
    let space = mixed(&[]);
    for mut phase in phases() {
        let (stop, history, best) = search(&space, &mut |_: &[f64]| f64::NAN, &mut *phase, 40, 1);
        assert!(best.is_none() && history.len() == 40 && stop == Stop::Evaluations, "{} {stop:?}", phase.name());
    }
}

#[test]
fn a_space_that_can_not_be_is_refused() {
    let wrong = |dimensions: Vec<Dimension>| Space::new(dimensions).unwrap_err().to_string();
    assert_eq!(Space::new(vec![]), Err(BadSpace::Empty));
    assert!(wrong(vec![number("a", 2.0, 1.0)]).contains("a: low is above high"));
    assert!(wrong(vec![number("a", f64::NAN, 1.0)]).contains("finite"));
    assert!(wrong(vec![number("a", 0.0, 1.0), integer("a", 0, 1)]).contains("two of this name"));
    let log = Dimension { name: "a".into(), kind: Kind::Continuous { low: 0.0, high: 1.0, log: true } };
    assert!(wrong(vec![log]).contains("above 0"));
    assert!(wrong(vec![Dimension { name: "a".into(), kind: Kind::Categorical(vec![]) }]).contains("no choices"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// The promise of hard constraints, whatever the objective does and whenever it is cancelled.
    #[test]
    fn nothing_forbidden_is_ever_measured_and_cancelling_ends_at_once(
        seed in any::<u64>(), cpus in 2.0f64..40.0, cancelled_at in 1usize..80, holes in 0u64..4, which in 0usize..5,
    ) {
        let total = format!("cpu * replicas <= {cpus}");
        let space = mixed(&[&total, "if codec == \"zstd\" then cpu >= 1", "cache or replicas >= 2"]);
        let cancel = AtomicBool::new(false);
        let mut measured = 0;
        let mut objective = |x: &[f64]| {
            measured += 1;
            assert!(space.allows(x), "{x:?}");
            if measured == cancelled_at {
                cancel.store(true, Ordering::Relaxed);
            }
            let odd = (x[0].to_bits() ^ x[1].to_bits()) % 5;
            if odd < holes { [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300][odd as usize] } else { (x[0] - x[1] / 4.0).powi(2) + x[2] }
        };
        let mut report = |_: Progress| {};
        let limits = Limits { evaluations: 100, deadline: None, cancel: &cancel };
        let mut search = Search::new(&space, &mut objective, limits, &mut report);
        let mut phase = phases().swap_remove(which);
        let stop = phase.run(&mut search, seed);
        let history = search.into_history();
        prop_assert!(history.iter().all(|state| space.allows(&state.point)));
        prop_assert_eq!(stop, Stop::Cancelled);
        prop_assert_eq!(history.len(), cancelled_at);
    }

    #[test]
    fn places_and_values_belong_together(place in 0.0f64..=1.0, low in 1i32..5, width in 0i32..50, log: bool) {
        for kind in [
            Kind::Integer { low, high: low + width, log },
            Kind::Continuous { low: f64::from(low), high: f64::from(low + width), log },
            Kind::Boolean,
        ] {
            let dimension = Dimension { name: "a".into(), kind };
            let value = dimension.value(place);
            prop_assert_eq!(dimension.nearest(value), value);
            let again = dimension.value(dimension.place(value));
            prop_assert!((again - value).abs() < 1e-9, "{} {}", again, value);
        }
    }
}
