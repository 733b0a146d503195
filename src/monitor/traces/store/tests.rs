use super::*;
use crate::model::time;
use crate::model::trace::Span;
use proptest::prelude::*;

const MIB: usize = 1024 * 1024;

struct Rig {
    store: Store,
    tally: Arc<Tally>,
    completed: mpsc::Receiver<Arc<Trace>>,
    missed: Arc<AtomicU64>,
    at: Instant,
    now: Timestamp,
}

impl Rig {
    fn new(memory: usize, queue: usize) -> Self {
        let tally = Arc::new(Tally::default());
        let (tx, completed) = mpsc::channel(queue);
        let missed = Arc::new(AtomicU64::new(0));
        let (quiet, longest) = (Duration::from_secs(5), Duration::from_secs(120));
        let limits = Limits { memory, spans: 100_000, quiet, longest };
        let store = Store::new(limits, tally.clone(), tx, missed.clone());
        Self { store, tally, completed, missed, at: Instant::now(), now: time::now() }
    }

    fn pass(&mut self, seconds: u64) {
        self.at += Duration::from_secs(seconds);
        self.now += TimeDelta::seconds(seconds as i64);
        self.store.tick(self.at, self.now);
    }

    fn push(&mut self, spans: Vec<Incoming>) {
        self.store.push(spans, self.at, self.now);
    }

    fn done(&mut self) -> Vec<Arc<Trace>> {
        std::iter::from_fn(|| self.completed.try_recv().ok()).collect()
    }

    fn span(&self, trace: &str, id: &str, parent: &str) -> Incoming {
        let start = self.now.timestamp_nanos_opt().unwrap();
        let parent = Some(parent).filter(|p| !p.is_empty()).map(Arc::from);
        let span = Span {
            id: id.into(),
            parent,
            service: "shop".into(),
            operation: "GET /".into(),
            start,
            duration: 1_000_000,
            ..Span::default()
        };
        Incoming { trace: trace.into(), span, negative: false }
    }

    fn counts(&self) -> std::collections::BTreeMap<String, u64> {
        let all = [self.tally.dropped(), self.tally.oddities()];
        all.iter().flat_map(|l| l.iter()).map(|d| (d.why.to_string(), d.count)).collect()
    }
}

#[test]
fn a_trace_is_handed_on_once_when_nothing_more_came_for_a_while() {
    let mut rig = Rig::new(MIB, 8);
    rig.push(vec![rig.span("t", "a", ""), rig.span("u", "x", "")]);
    rig.pass(4);
    rig.push(vec![rig.span("t", "b", "a")]);
    rig.pass(4);
    assert_eq!(rig.done().iter().map(|t| t.id.to_string()).collect::<Vec<_>>(), ["u"]);
    rig.pass(1);
    let done = rig.done();
    assert_eq!((&*done[0].id, done[0].spans.len(), done.len()), ("t", 2, 1));
    // What comes later goes into the trace that is kept, and it is not handed on again.
    rig.push(vec![rig.span("t", "c", "a"), rig.span("t", "c", "a")]);
    rig.pass(600);
    assert!(rig.done().is_empty());
    let kept = rig.store.kept();
    assert_eq!(kept.iter().find(|t| &*t.id == "t").unwrap().spans.len(), 3);
    assert_eq!(rig.counts()["late spans that their trace was mended with"], 1);
    assert_eq!(rig.store.received(rig.now).0, 5);
}

#[test]
fn a_trace_that_never_rests_is_complete_after_two_minutes() {
    let mut rig = Rig::new(MIB, 8);
    for i in 0..130 {
        rig.push(vec![rig.span("t", &i.to_string(), "")]);
        rig.pass(1);
    }
    let done = rig.done();
    assert_eq!((done.len(), done[0].spans.len()), (1, 120));
}

#[test]
fn what_is_wrong_with_spans_is_counted_and_bounded() {
    let mut rig = Rig::new(64 * MIB, 8);
    let mut future = rig.span("t", "f", "");
    future.span.start += 2 * 3600 * 1_000_000_000;
    let negative = Incoming { negative: true, ..rig.span("t", "n", "a") };
    let mut other = rig.span("t", "b", "a");
    other.span.operation = "else".into();
    rig.push(vec![
        rig.span("t", "a", ""),
        rig.span("t", "b", "a"),
        rig.span("t", "b", "a"),
        other,
        rig.span("t", "o", "gone"),
        rig.span("t", "c", "d"),
        rig.span("t", "d", "c"),
        negative,
        future,
    ]);
    rig.push((0..100_100).map(|i| rig.span("large", &i.to_string(), "")).collect());
    rig.pass(5);
    let mut sizes: Vec<_> = rig.done().iter().map(|t| (t.id.to_string(), t.spans.len(), t.negative)).collect();
    sizes.sort();
    assert_eq!(sizes, [("large".to_owned(), 100_000, 0), ("t".to_owned(), 7, 1)]);
    let counts = rig.counts();
    for (why, count) in [
        ("spans from more than an hour in the future", 1),
        ("spans that came twice", 1),
        ("spans over the limit of one trace (traces.spans_per_trace)", 100),
        ("spans with a negative duration, taken as 0", 1),
        ("spans that share their id with another of their trace", 1),
        ("spans whose parent is missing", 1),
        ("spans that are their own ancestors", 2),
    ] {
        assert_eq!(counts.get(why), Some(&count), "{why}: {counts:?}");
    }
}

/// Sends traces of two spans: of a hundred one fails, one is slow, one is of a rare operation.
fn flood(rig: &mut Rig, traces: std::ops::Range<usize>) -> usize {
    let mut looked = 0;
    for i in traces {
        let id = format!("{i:032x}");
        let mut root = rig.span(&id, "a", "");
        let mut child = rig.span(&id, "b", "a");
        match i % 100 {
            7 => child.span.error = true,
            13 => root.span.duration *= 50,
            21 => root.span.operation = "rare".into(),
            n => root.span.duration += n as i64,
        }
        child.span.attributes = [("k".into(), "v".repeat(200).into())].into();
        rig.push(vec![root, child]);
        if i % 50 == 0 {
            rig.pass(1);
            looked += rig.done().len();
        }
    }
    looked
}

#[test]
fn under_a_flood_the_bound_holds_and_errors_slow_and_rare_ones_are_kept_before_the_rest() {
    let mut rig = Rig::new(4 * MIB, 100_000);
    let mut looked = 0;
    for part in 0..20 {
        looked += flood(&mut rig, part * 1000..(part + 1) * 1000);
        assert!(rig.store.bytes().0 <= rig.store.bytes().1, "{:?}", rig.store.bytes());
    }
    rig.pass(10);
    let kept = rig.store.kept();
    let of = |n: usize| kept.iter().filter(|t| usize::from_str_radix(&t.id, 16).unwrap() % 100 == n).count();
    let usual = kept.len() - of(7) - of(13) - of(21);
    assert_eq!(of(7), 200, "every failed one");
    assert!(of(13) >= 180, "slow ones, but for the first few: {}", of(13));
    assert!(of(21) >= 100, "an operation that is rare is not crowded out: {}", of(21));
    assert!((200..10_000).contains(&usual), "of the others a sample: {usual}");
    assert_eq!(looked + rig.done().len(), 20_000, "all of them are looked at");
    let (counts, spans) = (rig.counts(), kept.iter().map(|t| t.spans.len() as u64).sum::<u64>());
    let lost = counts["spans of traces of which enough alike are kept"]
        + counts["spans that gave way at the memory limit (traces.memory)"];
    assert_eq!(spans + lost, 40_000, "every span is kept or counted: {counts:?}");
    // Errors and slow ones come first: every failed one before any of the rare, which are never slow.
    let failed = kept.iter().rposition(|t| t.spans.iter().any(|s| s.error)).unwrap();
    let rare = kept.iter().position(|t| t.spans.iter().any(|s| &*s.operation == "rare")).unwrap();
    assert!(failed < rare, "{failed} {rare}");
}

#[test]
fn a_flood_of_errors_alone_is_bounded_too_and_the_sample_reaches_back() {
    let mut rig = Rig::new(4 * MIB, 100_000);
    for i in 0..30_000 {
        let mut one = rig.span(&format!("{i:032x}"), "a", "");
        one.span.error = true;
        rig.push(vec![one]);
        if i % 50 == 0 {
            rig.pass(1);
        }
    }
    let (held, limit) = rig.store.bytes();
    assert!(held <= limit && held > limit / 4, "{held} of {limit}");
    let kept = rig.store.kept();
    let oldest = kept.iter().map(|t| usize::from_str_radix(&t.id, 16).unwrap()).min().unwrap();
    // Ten minutes of them: what is kept is of all of it, not only of the last moments.
    assert!(oldest < 3_000, "{oldest}");
}

#[test]
fn whoever_looks_too_slowly_misses_traces_and_that_is_counted() {
    let mut rig = Rig::new(MIB, 3);
    for i in 0..10 {
        rig.push(vec![rig.span(&i.to_string(), "a", "")]);
    }
    rig.pass(5);
    assert_eq!((rig.done().len(), rig.missed.load(Ordering::Relaxed)), (3, 7));
    assert_eq!(rig.store.kept().len(), 10);
}

#[test]
fn traces_that_a_backend_gives_again_and_again_are_taken_once() {
    let mut rig = Rig::new(MIB, 8);
    let whole = |rig: &Rig| Trace { id: "t".into(), spans: vec![rig.span("t", "a", "").span], negative: 0 };
    for _ in 0..3 {
        let trace = whole(&rig);
        rig.store.whole(vec![trace], rig.now);
    }
    assert_eq!((rig.done().len(), rig.store.kept().len(), rig.store.received(rig.now).0), (1, 1, 1));
}

#[test]
fn the_rate_is_that_of_the_last_minute() {
    let mut rig = Rig::new(MIB, 8);
    for i in 0..120 {
        rig.push((0..10).map(|n| rig.span(&format!("{i}-{n}"), "a", "")).collect());
        rig.pass(1);
    }
    let rate = rig.store.received(rig.now).1;
    assert!((9.0..=11.0).contains(&rate), "{rate}");
    rig.pass(70);
    assert_eq!(rig.store.received(rig.now).1, 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_the_bound_holds_and_every_span_is_somewhere(
        spans in proptest::collection::vec((0u8..12, 0u8..6, 0u8..7, any::<i64>(), any::<i64>(), any::<bool>(), 0u64..4), 1..200)
    ) {
        let mut rig = Rig::new(48 * 1024, 1000);
        let total = spans.len() as u64;
        for (trace, id, parent, start, duration, error, wait) in spans {
            let mut one = rig.span(&trace.to_string(), &id.to_string(), &parent.to_string());
            (one.span.start, one.span.duration, one.span.error) = (start, duration.max(0), error);
            rig.push(vec![one]);
            rig.pass(wait);
            prop_assert!(rig.store.bytes().0 <= rig.store.bytes().1);
        }
        rig.pass(200);
        let kept: u64 = rig.store.kept().iter().map(|t| t.spans.len() as u64).sum();
        let lost: u64 = rig.tally.dropped().iter().map(|d| d.count).sum();
        prop_assert_eq!(kept + lost, total);
        prop_assert_eq!(rig.store.open_bytes, 0);
    }
}
