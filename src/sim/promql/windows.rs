//! Windows of samples: what a range selector or a subquery gives, and the functions that slide over it.

use super::eval::{Evaluator, Result, Row, Steps, distinct, failed};
use super::functions::Window;
use super::metric::{Metric, NAME};
use super::plan::{Node, Selector, Subquery, ValueType};
use super::storage::{Sample, Series, is_stale};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a window slides over.
enum Source {
    Stored(Arc<dyn Series>),
    Computed(Row),
}

impl Source {
    fn metric(&self) -> Metric {
        match self {
            Self::Stored(series) => Metric::new(series.labels().clone()),
            Self::Computed(row) => row.metric.clone(),
        }
    }

    /// Samples with `after < at <= to`, without staleness markers.
    fn load(&self, after: i64, to: i64, out: &mut Vec<Sample>) {
        out.clear();
        match self {
            Self::Stored(series) => {
                series.samples(after, to, out);
                out.retain(|s| !is_stale(s.value));
            }
            Self::Computed(row) => {
                let from = row.points.partition_point(|p| p.at <= after);
                let until = row.points.partition_point(|p| p.at <= to);
                out.extend_from_slice(&row.points[from.min(until)..until]);
            }
        }
    }
}

/// Walks the steps of a window: step, left edge, right edge, samples.
type Walk<'a> = dyn FnMut(&mut dyn FnMut(i64, i64, i64, &[Sample]) -> Result<()>) -> Result<()> + 'a;

impl Evaluator<'_> {
    /// A window's samples themselves; only at an instant.
    pub(super) fn raw(&self, selector: &Selector, range: i64) -> Result<Vec<Row>> {
        let to = selector.at.unwrap_or(self.steps.start) - selector.offset;
        let (mut rows, mut samples) = (Vec::new(), Vec::new());
        for series in self.run.select(selector, to - range, to) {
            self.run.check()?;
            let source = Source::Stored(series);
            source.load(to - range, to, &mut samples);
            self.run.hold(samples.len())?;
            self.run.read.set(self.run.read.get() + samples.len() as u64);
            if !samples.is_empty() {
                rows.push(Row { metric: source.metric(), points: samples.clone() });
            }
        }
        Ok(rows)
    }

    /// A subquery's values over all that the steps need, at multiples of its step.
    pub(super) fn subquery(&self, s: &Subquery) -> Result<Vec<Row>> {
        let when = |at: i64| s.at.unwrap_or(at) - s.offset;
        let every = s.step.unwrap_or(self.run.default_step);
        let left = when(self.steps.start) - s.range;
        let mut start = every * (left / every);
        if start <= left {
            start += every;
        }
        let steps = Steps { start, end: when(self.steps.end), every };
        Evaluator { run: self.run, steps }.rows(&s.inner)
    }

    /// Applies a function to each series' window at each step.
    pub(super) fn over_time(
        &self,
        name: &'static str,
        function: fn(&Window<'_>) -> std::result::Result<Option<f64>, String>,
        args: &[Node],
    ) -> Result<Vec<Row>> {
        // The window, and the scalars of each step.
        let place = args.iter().position(|a| a.gives() == ValueType::Matrix).unwrap_or(0);
        let others = args.iter().enumerate().filter(|(i, _)| *i != place);
        let scalars: Vec<Vec<f64>> = others.map(|(_, a)| self.scalar(a)).collect::<Result<_>>()?;
        if name == "quantile_over_time" {
            scalars[0].iter().for_each(|q| super::histogram::check_quantile(self.run, *q));
        }
        let keeps_name = matches!(name, "last_over_time" | "first_over_time");
        let mut rows = Vec::new();
        self.windows(&args[place], |source, windows| {
            let mut points = Vec::new();
            let mut step = 0;
            windows(&mut |now, from, to, samples| {
                let mut given = [0.0; 2];
                scalars.iter().zip(&mut given).for_each(|(values, slot)| *slot = values[step]);
                step += 1;
                if !samples.is_empty() {
                    let window = Window { samples, from, to, now, args: &given[..scalars.len()] };
                    if let Some(value) = function(&window).or_else(failed)? {
                        points.push(Sample { at: now, value });
                    }
                }
                Ok(())
            })?;
            if !points.is_empty() {
                let metric = source.metric();
                if matches!(name, "rate" | "increase") {
                    self.remark_counter(metric.get(NAME));
                }
                self.run.hold(points.len())?;
                rows.push(Row { metric: if keeps_name { metric } else { metric.nameless() }, points });
            }
            Ok(())
        })?;
        distinct(&rows)?;
        Ok(rows)
    }

    fn remark_counter(&self, name: &str) {
        if !name.is_empty() && !["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end)) {
            let what = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket";
            self.run.info(format_args!("{what}: {}", super::format::quoted(name)));
        }
    }

    /// Calls `each` for every series of a window, with a function that walks its steps: for each it is given the step,
    /// the window's edges, and the samples in it.
    fn windows(&self, arg: &Node, mut each: impl FnMut(&Source, &mut Walk<'_>) -> Result<()>) -> Result<()> {
        let (at, offset, range, sources) = match arg.bare() {
            Node::Window(s, range) => {
                let when = |t: i64| s.at.unwrap_or(t) - s.offset;
                let found = self.run.select(s, when(self.steps.start) - range, when(self.steps.end));
                (s.at, s.offset, *range, found.into_iter().map(Source::Stored).collect::<Vec<_>>())
            }
            Node::Subquery(s) => {
                let rows = self.subquery(s)?;
                (s.at, s.offset, s.range, rows.into_iter().map(Source::Computed).collect())
            }
            _ => return failed("expected a range vector"),
        };
        let run = self.run;
        let when = |t: i64| at.unwrap_or(t) - offset;
        let apart = self.steps.every > range.saturating_mul(2) && at.is_none();
        let mut samples = Vec::new();
        for source in &sources {
            run.check()?;
            if !apart {
                source.load(when(self.steps.start) - range, when(self.steps.end), &mut samples);
                run.hold(samples.len())?;
            }
            let loaded = if apart { 0 } else { samples.len() };
            let (mut left, mut right) = (0, 0);
            each(source, &mut |step| {
                for now in self.steps.times() {
                    let to = when(now);
                    let from = to - range;
                    if apart {
                        source.load(from, to, &mut samples);
                        (left, right) = (0, samples.len());
                    } else {
                        right += samples[right..].iter().take_while(|s| s.at <= to).count();
                        left += samples[left..right].iter().take_while(|s| s.at <= from).count();
                    }
                    run.read.set(run.read.get() + (right - left) as u64);
                    step(now, from, to, &samples[left..right])?;
                }
                Ok(())
            })?;
            run.release(loaded);
        }
        let computed = |s: &Source| if let Source::Computed(row) = s { row.points.len() } else { 0 };
        run.release(sources.iter().map(computed).sum());
        Ok(())
    }

    pub(super) fn absent_over_time(&self, arg: &Node) -> Result<Vec<Row>> {
        let mut present = BTreeSet::new();
        self.windows(arg, |_, walk| {
            walk(&mut |now, _, _, samples| {
                if !samples.is_empty() {
                    present.insert(now);
                }
                Ok(())
            })
        })?;
        Ok(self.absent_at(arg, |at| !present.contains(&at)))
    }
}
