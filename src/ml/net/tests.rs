//! What the nets promise.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const STEPS: usize = 8;

/// A layer as wide as a vector: quick without optimisation too.
fn small(task: Task, outputs: usize) -> Shape {
    Shape::Lstm { steps: STEPS, features: 2, hidden: vec![16], dense: 8, outputs, task }
}

fn quick() -> Params {
    Params { epochs: 15, batch: 16, rate: 0.02, dropout: 0.05, ..Params::default() }
}

/// Windows of two features in -1..1, the second of them scaled and shifted.
fn windows(count: usize, seed: u64) -> Vec<f64> {
    let mut random = Random(seed);
    let mut next = |at: usize| {
        let value = 2.0 * random.unit() - 1.0;
        if at.is_multiple_of(2) { value } else { 1000.0 + 50.0 * value }
    };
    (0..count * STEPS * 2).map(&mut next).collect()
}

/// Sum of the first feature over the last four steps: needs memory.
fn recent(window: &[f64]) -> f64 {
    window.chunks_exact(2).skip(STEPS - 4).map(|step| step[0]).sum()
}

fn each<T>(rows: &[f64], of: impl Fn(&[f64]) -> T) -> Vec<T> {
    rows.chunks_exact(STEPS * 2).map(of).collect()
}

fn run(shape: &Shape, samples: Samples, params: &Params) -> Result<Trained, Failed> {
    train(shape, samples, params, &AtomicBool::new(false), |_| {})
}

fn mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value * value, count + 1.0));
    sum / count
}

#[test]
fn an_lstm_learns_to_remember_and_beats_the_mean_on_unseen_windows() {
    let (rows, unseen) = (windows(400, 1), windows(200, 2));
    let targets: Vec<f64> = each(&rows, |w| [recent(w), 100.0 * w[14]]).concat();
    let shape = small(Task::Regression, 2);
    let trained = run(&shape, Samples::Numbers(&rows, &targets), &quick()).unwrap();
    let found = trained.net.predict(&unseen);
    let truth = each(&unseen, recent);
    let error = mean_square(found.chunks_exact(2).zip(&truth).map(|(found, truth)| found[0] - truth));
    let baseline = mean_square(truth.iter().copied()); // its mean is 0
    assert!(error < 0.3 * baseline, "{error} against {baseline}");
    let last = each(&unseen, |w| 100.0 * w[14]);
    let error = mean_square(found.chunks_exact(2).zip(&last).map(|(found, truth)| found[1] - truth));
    assert!(error < 0.3 * mean_square(last.iter().copied()), "{error}: an output in another unit");
}

#[test]
fn a_classifier_beats_the_largest_class_and_its_probabilities_sum_to_one() {
    let (rows, unseen) = (windows(500, 3), windows(200, 4));
    let class = |window: &[f64]| usize::from(recent(window) > 0.5) + usize::from(recent(window) > 1.5);
    let classes = each(&rows, class);
    let params = Params { class_weights: Some(balanced_weights(&classes, 3)), ..quick() };
    let net = run(&small(Task::Classification, 3), Samples::Classes(&rows, &classes), &params).unwrap().net;
    let truth = each(&unseen, class);
    let mut recalled = [(0, 0); 3];
    for (found, truth) in net.predict(&unseen).chunks_exact(3).zip(truth) {
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        recalled[truth].0 += usize::from(found.iter().all(|other| *other <= found[truth]));
        recalled[truth].1 += 1;
    }
    // each class is found, the rare ones too, which naming the largest class always would not do
    assert!(recalled.iter().all(|(found, all)| *all > 5 && 10 * found > 6 * all), "{recalled:?}");
}

#[test]
fn class_weights_balance_the_classes() {
    assert_eq!(balanced_weights(&[0, 0, 0, 1], 3), [4.0 / 9.0, 4.0 / 3.0, 1.0]);
}

#[test]
fn an_autoencoder_knows_what_it_saw_and_not_what_breaks_its_relations() {
    let mut random = Random(5);
    let mut rows = |count: usize, broken: bool| -> Vec<f64> {
        let row = |_| {
            let (a, b) = (random.unit(), random.unit());
            let c = if broken { random.unit() * 2.0 } else { a + b };
            [a, 10.0 * b, c, a - b, 2.0 * a, 5.0]
        };
        (0..count).flat_map(row).collect()
    };
    let (usual, unseen, broken) = (rows(400, false), rows(100, false), rows(100, true));
    let shape = Shape::Autoencoder { columns: 6, hidden: vec![12, 2] };
    let net = run(&shape, Samples::Rows(&usual), &Params { epochs: 60, ..quick() }).unwrap().net;
    let mean = |errors: Vec<f64>| errors.iter().sum::<f64>() / errors.len() as f64;
    let (known, unknown) = (mean(net.reconstruction_errors(&unseen)), mean(net.reconstruction_errors(&broken)));
    assert!(known < 0.25, "{known}: the mean as a guess has 5/6");
    assert!(unknown > 3.0 * known, "{unknown} against {known}");
}

#[test]
fn a_seed_repeats_a_training_even_beside_others_and_another_seed_does_not() {
    let rows = windows(60, 6);
    let targets = each(&rows, recent);
    let shape = small(Task::Regression, 1);
    let bytes = |seed| {
        let params = Params { epochs: 3, dropout: 0.2, seed, ..quick() };
        run(&shape, Samples::Numbers(&rows, &targets), &params).unwrap().net.to_bytes()
    };
    let (one, other) = std::thread::scope(|scope| {
        let (one, other) = (scope.spawn(|| bytes(1)), scope.spawn(|| bytes(2)));
        (one.join().unwrap(), other.join().unwrap())
    });
    assert_eq!(one, bytes(1));
    assert_ne!(one, other);
}

#[test]
fn cancelling_stops_before_the_next_batch() {
    let rows = windows(60, 7);
    let targets = each(&rows, recent);
    let shape = small(Task::Regression, 1);
    for after in [0, 2] {
        let cancel = AtomicBool::new(after == 0);
        let mut epochs = 0;
        let ended = train(&shape, Samples::Numbers(&rows, &targets), &quick(), &cancel, |progress| {
            epochs = progress.epoch;
            cancel.store(epochs == after, Ordering::Relaxed);
        });
        assert_eq!((ended.unwrap_err(), epochs), (Failed::Cancelled, after));
    }
}

#[test]
fn early_stopping_gives_back_the_best_epoch_and_the_rate_falls_on_a_plateau() {
    let (rows, mut random) = (windows(80, 8), Random(9));
    let noise: Vec<f64> = (0..80).map(|_| random.unit()).collect(); // nothing to learn: it can only overfit
    let params = Params { epochs: 100, patience: 6, plateau: 3, dropout: 0.0, ..quick() };
    let trained = run(&small(Task::Regression, 1), Samples::Numbers(&rows, &noise), &params).unwrap();
    let history = &trained.history;
    let last = history.last().unwrap();
    assert_eq!(last.epoch, last.best_epoch + 6);
    assert!(last.epoch < 100);
    let lowest = history.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)).unwrap();
    assert_eq!(lowest.epoch, last.best_epoch);
    assert!(last.rate <= params.rate / 2.0 && history[0].rate == params.rate);
    let spread = trained.net.targets.spread[0];
    let judged = trained.net.predict(&rows[64 * STEPS * 2..]);
    let loss = mean_square(judged.iter().zip(&noise[64..]).map(|(found, truth)| (found - truth) / spread));
    assert!((loss - lowest.validation_loss).abs() < 1e-4, "{loss} {}", lowest.validation_loss);
    assert!((loss - last.validation_loss).abs() > 1e-3, "the last epoch must differ for this to say anything");
}

/// One step after the other in 64 bits, by the formulas of the paper.
fn textbook(shape: &Shape, weights: &[f64], window: &[f64]) -> Vec<f64> {
    let mut rest = weights.to_vec();
    let mut take = |rows: usize, columns: usize| -> Vec<Vec<f64>> {
        let left = rest.split_off(rows * columns);
        let taken = std::mem::replace(&mut rest, left);
        taken.chunks_exact(columns).map(<[f64]>::to_vec).collect()
    };
    let times = |vector: &[f64], matrix: &[Vec<f64>], at: usize| -> f64 {
        vector.iter().zip(matrix).map(|(value, row)| value * row[at]).sum()
    };
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut sequence: Vec<Vec<f64>> = window.chunks_exact(shape.input().1).map(<[f64]>::to_vec).collect();
    for pair in shape.cells().windows(2) {
        let (inputs, width) = (pair[0], pair[1]);
        let (input, recurrent, bias) = (take(inputs, 4 * width), take(width, 4 * width), take(1, 4 * width));
        let (mut output, mut memory) = (vec![0.0; width], vec![0.0; width]);
        for step in &mut sequence {
            let gate: Vec<f64> = (0..4 * width)
                .map(|at| times(step, &input, at) + times(&output, &recurrent, at) + bias[0][at])
                .collect();
            for at in 0..width {
                let new = (gate[2 * width + at] / 2.0).tanh(); // these columns yield 2x
                memory[at] = sigmoid(gate[width + at]) * memory[at] + sigmoid(gate[at]) * new;
                output[at] = sigmoid(gate[3 * width + at]) * memory[at].tanh();
            }
            step.clone_from(&output);
        }
    }
    let mut held = sequence.pop().unwrap();
    for pair in shape.dense().windows(2) {
        let (weight, bias) = (take(pair[0], pair[1]), take(1, pair[1]));
        held = (0..pair[1]).map(|at| times(&held, &weight, at) + bias[0][at]).collect();
        if pair[1] != shape.outputs() {
            for value in &mut held {
                *value = value.max(0.0);
            }
        }
    }
    held
}

fn doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

fn untrained(shape: &Shape) -> Net {
    let weights = Layers::initial(shape, &mut Random(10));
    let (inputs, targets) = (Scale::none(shape.input().1), Scale::none(shape.outputs()));
    Net::new(Header { shape: shape.clone(), inputs, targets }, weights)
}

#[test]
fn the_fused_layer_is_the_textbooks_and_a_row_among_many_is_as_alone() {
    let hidden = vec![20, 8]; // vectors and what is left over
    let shape = Shape::Lstm { steps: STEPS, features: 2, hidden, dense: 8, outputs: 3, task: Task::Regression };
    let net = untrained(&shape);
    let mut random = Random(11);
    let rows: Vec<f64> = (0..300 * STEPS * 2).map(|_| 4.0 * random.unit() - 2.0).collect();
    let found = net.predict(&rows);
    assert_eq!(found.len(), 900);
    for at in [0, 7, 255, 256, 299] {
        let window = &rows[at * STEPS * 2..(at + 1) * STEPS * 2];
        let (alone, truth) = (net.predict(window), textbook(&shape, &doubles(&net.weights), window));
        for ((many, alone), truth) in found[3 * at..3 * at + 3].iter().zip(alone).zip(truth) {
            assert!((many - alone).abs() < 1e-5 && (alone - truth).abs() < 1e-5, "{many} {alone} {truth}");
        }
    }
}

/// Half the squared length of the outputs: a loss whose slopes are the outputs themselves.
fn length(outputs: impl Iterator<Item = f64>) -> f64 {
    outputs.map(|value| value * value / 2.0).sum()
}

/// The gradient of [`length`] as computed for four chosen rows, and its central differences at some `distance` of
/// each weight: by the textbook's outputs, or by our own when some outputs are left out.
fn gradients(shape: &Shape, share: f64, distance: f64) -> (Vec<f32>, Vec<f64>) {
    let mut random = Random(15);
    let mut weights = Layers::initial(shape, &mut random);
    for weight in &mut weights {
        *weight += 0.2 * random.unit() as f32; // biases that are not 0
    }
    let (steps, features) = shape.input();
    let size = steps * features;
    let rows: Vec<f32> = (0..7 * size).map(|_| 2.0 * random.unit() as f32 - 1.0).collect();
    let mut layers = Layers::new(shape, 5, true); // room for more rows than there are
    let mut ours = |weights: &[f32], chosen: &[usize]| {
        let found = layers.forward(weights, &rows, chosen, Some((share, &mut Random(14)))).to_vec();
        let mut gradient = vec![f32::NAN; weights.len()];
        layers.judged(chosen.len()).1.copy_from_slice(&found);
        layers.backward(weights, &mut gradient, chosen.len());
        (length(doubles(&found).into_iter()), gradient)
    };
    let chosen = [6, 0, 3, 2];
    ours(&weights, &[1, 2, 3, 4, 5]); // what an earlier batch left must not count
    let gradient = ours(&weights, &chosen).1;
    let mut loss = |weights: &[f64]| {
        if share > 0.0 {
            return ours(&weights.iter().map(|weight| *weight as f32).collect::<Vec<_>>(), &chosen).0;
        }
        let row = |row: &usize| textbook(shape, weights, &doubles(&rows[row * size..(row + 1) * size]));
        length(chosen.iter().flat_map(row))
    };
    let mut weights = doubles(&weights);
    let mut difference = |at: usize| {
        let held = weights[at];
        let mut at_distance = |distance: f64| {
            weights[at] = held + distance;
            loss(&weights)
        };
        let difference = at_distance(distance) - at_distance(-distance);
        weights[at] = held;
        difference / (2.0 * distance)
    };
    let truth = (0..gradient.len()).map(&mut difference).collect();
    (gradient, truth)
}

#[test]
fn the_gradient_of_every_weight_matrix_is_that_of_central_differences() {
    let lstm = |hidden: &[usize]| Shape::Lstm {
        steps: 5,
        features: 3,
        hidden: hidden.to_vec(),
        dense: 6,
        outputs: 2,
        task: Task::Regression,
    };
    let coder = Shape::Autoencoder { columns: 4, hidden: vec![5, 3] };
    // where some outputs are left out, the differences are those of 32-bit numbers, and no better
    for (shape, share, distance, bound) in [
        (lstm(&[4]), 0.0, 1e-5, 1e-4),
        (lstm(&[5, 4, 3]), 0.0, 1e-5, 1e-4),
        (coder, 0.0, 1e-5, 1e-4),
        (lstm(&[5, 4, 3]), 0.4, 2e-3, 3e-2),
    ] {
        let (gradient, truth) = gradients(&shape, share, distance);
        let mut from = 0;
        for (index, (height, width)) in Layers::sizes(&shape).into_iter().enumerate() {
            let part = from..from + height * width;
            from = part.end;
            let off = length(doubles(&gradient[part.clone()]).iter().zip(&truth[part.clone()]).map(|(a, b)| a - b));
            let size = length(truth[part].iter().copied());
            assert!(size > 0.0 && off.sqrt() < bound * size.sqrt(), "{shape:?} {share} {index}: {off} of {size}");
        }
    }
}

#[test]
fn the_slopes_of_both_losses_are_those_of_central_differences() {
    let (mut found, numbers) = ([0.3f32, -1.2, 2.0, 0.7, 0.0, -0.4], [1.0f32, 0.0, -1.0, 0.5, 0.25, 2.0]);
    let classes = [0.0f32, 2.0, 0.0, 0.5, 0.0, 0.0];
    for (loss, wanted) in [(train::squared_error as train::Loss, numbers), (train::cross_entropy, classes)] {
        let mut slopes = [0.0; 6];
        loss(&found, &wanted, 3, &mut slopes);
        for at in 0..6 {
            let held = found[at];
            let mut at_distance = |distance: f32| {
                found[at] = held + distance;
                loss(&found, &wanted, 3, &mut [])
            };
            let truth = (at_distance(1e-2) - at_distance(-1e-2)) / 2e-2;
            found[at] = held;
            assert!((f64::from(slopes[at]) - truth).abs() < 1e-4, "{at}: {} not {truth}", slopes[at]);
        }
    }
}

#[test]
fn bytes_give_the_same_net_back_and_other_or_damaged_ones_are_refused() {
    let shape = small(Task::Classification, 4);
    let net = untrained(&shape);
    let (bytes, rows) = (net.to_bytes(), windows(5, 12));
    assert_eq!(Net::from_bytes(&bytes, &shape).unwrap().predict(&rows), net.predict(&rows));
    let other = Net::from_bytes(&bytes, &Shape::classification(60, 7)).unwrap_err();
    assert!(matches!(other, Unreadable::Shape { .. }));
    for cut in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        assert!(matches!(Net::from_bytes(&bytes[..cut], &shape), Err(Unreadable::Damaged(_))), "{cut}");
    }
    let mut changed = bytes.clone();
    let end = changed.len();
    changed[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(Net::from_bytes(&changed, &shape), Err(Unreadable::Damaged("a weight is no number"))));
    let huge = Shape::Autoencoder { columns: usize::MAX, hidden: vec![1] };
    let header = Header { shape: huge.clone(), inputs: Scale::none(1), targets: Scale::none(1) };
    let header = serde_json::to_string(&header).unwrap() + "\n";
    assert!(matches!(Net::from_bytes(header.as_bytes(), &huge), Err(Unreadable::Damaged("its shape can't be"))));
}

#[test]
fn the_sizes_are_those_asked_for() {
    let weights = |shape: &Shape| Layers::initial(shape, &mut Random(0)).len();
    let lstm = 4 * (128 * (7 + 128 + 1) + 64 * (128 + 64 + 1) + 32 * (64 + 32 + 1));
    assert_eq!(weights(&Shape::regression(60, 7)), lstm + 33 * 64 + 65 * 3);
    assert_eq!(weights(&Shape::classification(60, 7)), lstm + 33 * 16 + 17 * 4);
    assert_eq!(Shape::autoencoder(20).dense(), [20, 64, 32, 16, 8, 16, 32, 64, 20]);
}

#[test]
fn bad_input_has_an_answer() {
    let shape = small(Task::Regression, 1);
    let rows = windows(20, 13);
    let targets = each(&rows, recent);
    let refused = |samples, params: &Params| matches!(run(&shape, samples, params), Err(Failed::Refused(_)));
    let numbers = Samples::Numbers(&rows, &targets);
    assert!(refused(Samples::Numbers(&[], &[]), &quick()));
    assert!(refused(Samples::Numbers(&rows[1..], &targets), &quick()));
    assert!(refused(Samples::Numbers(&rows, &targets[1..]), &quick()));
    assert!(refused(Samples::Numbers(&rows, &[f64::NAN; 20]), &quick()));
    assert!(refused(Samples::Classes(&rows, &[0; 20]), &quick()));
    assert!(refused(Samples::Rows(&rows), &quick()));
    for params in [
        Params { batch: 0, ..quick() },
        Params { validation: 1.0, ..quick() },
        Params { dropout: f64::NAN, ..quick() },
        Params { rate: f64::INFINITY, ..quick() },
        Params { gap: 16, ..quick() },
    ] {
        assert!(refused(numbers, &params), "{params:?}");
    }
    let brief = Params { epochs: 1, ..quick() };
    let constant = run(&shape, Samples::Numbers(&[5.0; 20 * STEPS * 2], &[3.0; 20]), &brief).unwrap().net;
    assert!(constant.predict(&[5.0; STEPS * 2])[0].is_finite());
    let mut gaps = rows.clone();
    gaps.iter_mut().step_by(3).for_each(|value| *value = f64::NAN);
    (gaps[1], gaps[2]) = (f64::INFINITY, 1e300);
    let net = run(&shape, Samples::Numbers(&gaps, &targets), &brief).unwrap().net;
    assert!(net.predict(&gaps).iter().all(|value| value.is_finite()));
    assert!(net.predict(&rows[..3]).is_empty());
    assert!(Net::from_bytes(b"", &shape).is_err());
}
