//! PromQL: an expression of the operator, its answer as a table or a chart, and where it is wrong.

mod draw;
#[cfg(test)]
mod tests;

use crate::autopilot::world::{Detail, World};
use crate::console::command::{CommandId, PaneId};
use crate::console::effect::{Effect, Target};
use crate::console::pane::{Ctx, Pane};
use crate::console::promql::wrong;
use crate::console::widgets::cursor::{Cursor, Motion};
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::heat::Heat;
use crate::model::query::{Answer, Fault, Query, Span, Wanted};
use crate::model::time::Timestamp;
use chrono::TimeDelta;
use ratatui::Frame;
use ratatui::layout::Rect;
use std::sync::Arc;

/// Spans that zooming goes through, in minutes.
const SPANS: [i64; 8] = [5, 15, 30, 60, 180, 360, 720, 1440];

/// Points over a span: as many as the dots of a wide chart, so that more would not be seen.
const POINTS: i64 = 400;

/// Steps of the crosshair over a span.
const STEPS: i32 = 60;

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Look {
    #[default]
    Table,
    Chart,
    /// Buckets of a histogram.
    Heat,
}

/// State of the pane.
#[derive(Default)]
pub struct Promql {
    world: Option<Arc<World>>,
    expression: String,
    history: Vec<String>,
    look: Look,
    span: Option<usize>,
    log: bool,
    /// Asked as soon as somebody looks.
    soon: bool,
    cross: Option<Timestamp>,
    /// What was asked and is not answered yet.
    waiting: Option<Query>,
    fault: Option<Fault>,
    /// What was answered last, and when.
    answer: Option<(Query, Answer, Timestamp)>,
    filter: Filter,
    reverse: bool,
    by_value: bool,
    rows: Vec<usize>,
    cursor: Cursor<Arc<str>>,
}

impl Promql {
    fn minutes(&self) -> i64 {
        SPANS[self.span()]
    }

    fn span(&self) -> usize {
        self.span.unwrap_or(3)
    }

    /// The query of the present view at this moment.
    fn query(&self, now: Timestamp) -> Query {
        let range = (self.look != Look::Table).then(|| {
            let length = TimeDelta::minutes(self.minutes());
            let step = (length.num_seconds() / POINTS).max(1) as u32;
            Span { from: now - length, to: now, step }
        });
        Query { expression: self.expression.as_str().into(), range }
    }

    /// Asks, unless the expression cannot be right.
    fn ask(&mut self, ctx: &Ctx) -> Vec<Effect> {
        self.cross = None;
        if let Some((why, at)) = wrong(&self.expression) {
            self.fault = Some(Fault { why: why.into(), at });
            self.waiting = None;
            return vec![];
        }
        let query = self.query(ctx.now);
        self.waiting = Some(query.clone());
        vec![Effect::Fetch(Detail::Query(query))]
    }

    /// The answer as a heatmap, if it is buckets and nothing else.
    fn heat(&self) -> Option<Heat> {
        let (Query { range: Some(_), .. }, answer, _) = self.answer.as_ref()? else { return None };
        Heat::of(answer.series.iter().map(|s| (&*s.name, s.points.as_slice())))
    }

    /// A new view of the same expression is asked for at once, if there is one.
    fn again(&mut self, ctx: &Ctx) -> Vec<Effect> {
        if self.expression.is_empty() { vec![] } else { self.ask(ctx) }
    }

    fn rebuild(&mut self) {
        let Some((_, answer, _)) = &self.answer else { return };
        let series = &answer.series;
        let mut rows: Vec<usize> =
            (0..series.len()).filter(|&i| self.filter.passes(&[(Field::Text, &series[i].name)])).collect();
        if self.by_value {
            let last = |i: usize| series[i].points.last().map_or(f64::NAN, |p| p.1);
            // Greatest first; what is no number comes last.
            rows.sort_by(|&a, &b| {
                let (a, b) = (last(a), last(b));
                a.is_nan().cmp(&b.is_nan()).then(b.total_cmp(&a))
            });
        }
        if self.reverse {
            rows.reverse();
        }
        self.cursor.sync(rows.len(), |i| series[rows[i]].name.clone());
        self.rows = rows;
    }

    fn step(&mut self, motion: Motion) {
        let Some((_, answer, _)) = &self.answer else { return };
        let rows = &self.rows;
        self.cursor.step(motion, rows.len(), |i| answer.series[rows[i]].name.clone());
    }

    fn cross(&mut self, direction: i32) {
        let Some((Query { range: Some(span), .. }, ..)) = &self.answer else { return };
        let step = (span.to - span.from) / STEPS;
        self.cross = Some(self.cross.map_or(span.to, |at| (at + step * direction).clamp(span.from, span.to)));
    }

    fn zoom(&mut self, to: usize, ctx: &Ctx) -> Vec<Effect> {
        self.span = Some(to);
        self.again(ctx)
    }
}

impl Pane for Promql {
    fn id(&self) -> PaneId {
        PaneId::Promql
    }

    fn sync(&mut self, ctx: &Ctx) {
        self.world = Some(ctx.world.clone());
    }

    fn run(&mut self, command: CommandId, ctx: &Ctx) -> Vec<Effect> {
        if let Some(motion) = Motion::of(command) {
            self.step(motion);
            return vec![];
        }
        match command {
            CommandId::EditQuery | CommandId::Open => {
                return vec![
                    Effect::Fetch(Detail::Words(Wanted::Names)),
                    Effect::Expression { initial: self.expression.clone(), history: self.history.clone() },
                ];
            }
            CommandId::RunQuery => return self.ask(ctx),
            CommandId::QueryView => {
                self.look = match self.look {
                    Look::Table => Look::Chart,
                    Look::Chart if self.heat().is_some() => Look::Heat,
                    Look::Chart | Look::Heat => Look::Table,
                };
                return self.again(ctx);
            }
            CommandId::QueryShorter => return self.zoom(self.span() - 1, ctx),
            CommandId::QueryLonger => return self.zoom(self.span() + 1, ctx),
            CommandId::QueryCrossEarlier => self.cross(-1),
            CommandId::QueryCrossLater => self.cross(1),
            CommandId::QueryLog => self.log = !self.log,
            CommandId::Sort => self.by_value = !self.by_value,
            CommandId::SortReverse => self.reverse = !self.reverse,
            CommandId::Back if self.cross.is_some() => self.cross = None,
            CommandId::Back => self.set_filter(String::new(), ctx),
            _ => {}
        }
        self.rebuild();
        vec![]
    }

    fn why_not(&self, command: CommandId, _: &Ctx) -> Option<String> {
        let chart = || match (self.look, &self.answer) {
            (Look::Table | Look::Heat, _) => Some("only over a chart".to_owned()),
            (Look::Chart, Some((Query { range: Some(_), .. }, a, _))) if !a.series.is_empty() => None,
            _ => Some("there is no answer yet".to_owned()),
        };
        match command {
            CommandId::RunQuery if self.expression.is_empty() => Some("there is no expression yet".into()),
            CommandId::QueryShorter | CommandId::QueryLonger if self.look == Look::Table => {
                Some("a table shows the values now".into())
            }
            CommandId::QueryShorter if self.span() == 0 => Some("5 minutes is the shortest span".into()),
            CommandId::QueryLonger if self.span() + 1 == SPANS.len() => Some("a day is the longest span".into()),
            CommandId::QueryCrossEarlier | CommandId::QueryCrossLater | CommandId::QueryLog => chart(),
            CommandId::Back if self.cross.is_none() && self.filter.is_empty() => Some("nothing to step out of".into()),
            _ => None,
        }
    }

    fn view(&self, frame: &mut Frame, area: Rect, ctx: &Ctx) {
        self.draw(frame.buffer_mut(), area, ctx);
    }

    fn trail(&self) -> String {
        String::new()
    }

    fn filter(&self) -> &str {
        self.filter.source()
    }

    fn set_filter(&mut self, filter: String, _: &Ctx) {
        self.filter = Filter::parse(&filter);
        self.rebuild();
    }

    fn go(&mut self, target: &Target, _: &Ctx) -> bool {
        let text = match target {
            Target::Expression(text) => text,
            Target::Heat(text) => {
                (self.look, self.soon) = (Look::Heat, true);
                text
            }
            _ => return false,
        };
        self.expression.clone_from(text);
        self.history.retain(|h| h != text);
        self.history.insert(0, text.clone());
        self.fault = None;
        true
    }

    fn due(&mut self, ctx: &Ctx) -> Vec<Effect> {
        if std::mem::take(&mut self.soon) { self.ask(ctx) } else { Vec::new() }
    }

    fn answered(&mut self, query: &Query, answer: &Result<Answer, Fault>, ctx: &Ctx) {
        // What was asked before the present question comes too late.
        if self.waiting.as_ref() != Some(query) {
            return;
        }
        self.waiting = None;
        match answer {
            Ok(answer) => {
                self.fault = None;
                self.answer = Some((query.clone(), answer.clone(), ctx.now));
                self.rebuild();
            }
            Err(fault) => self.fault = Some(fault.clone()),
        }
    }

    fn remember(&mut self, expressions: &[String]) {
        self.history = expressions.to_vec();
    }

    fn copy(&self) -> Option<String> {
        let (_, answer, _) = self.answer.as_ref()?;
        let row = self.rows.get(self.cursor.index())?;
        answer.series.get(*row).map(|s| s.name.to_string())
    }
}
