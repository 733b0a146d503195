//! The lines of the queue: what was seen, in which order and groups, and what keeps its place while somebody reads.

use super::list;
use crate::autopilot::world::World;
use crate::console::widgets::filter::Filter;
use crate::model::action::QueueItem;
use crate::model::plan::ActionId;
use std::sync::Arc;

/// One row: an item of the queue, and the hash of the plan that the operator saw.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The item. While it is changed, the item that was seen.
    pub item: Arc<QueueItem>,
    /// The hash of its present plan.
    pub present: String,
    /// It is in the queue no more.
    pub gone: bool,
}

impl Shown {
    /// As the queue says now.
    pub fn new(item: Arc<QueueItem>) -> Self {
        Self { present: item.proposal.hash.clone(), item, gone: false }
    }

    /// Which action.
    pub fn id(&self) -> &ActionId {
        &self.item.proposal.id
    }

    /// Whether the present plan is another one than was seen.
    pub fn changed(&self) -> bool {
        self.present != self.item.proposal.hash
    }

    /// Takes over what the queue says now; another plan is only noted until the operator looks.
    pub fn update(&mut self, world: &World) {
        match world.item(self.id()) {
            Some(now) if now.proposal.hash == self.item.proposal.hash => {
                *self = Self::new(now.clone());
            }
            Some(now) => self.present.clone_from(&now.proposal.hash),
            None => self.gone = true,
        }
    }
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Row by number.
    Item(usize),
    /// The line above what came in while the queue had the focus.
    New,
    /// The head of a group.
    Head(String),
}

/// What the cursor stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// An action.
    Item(ActionId),
    /// The line above what is new.
    New,
    /// The head of a group.
    Head(String),
}

/// What rows are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Group {
    /// Nothing: one list.
    #[default]
    None,
    /// Where they stand: under way, waiting, advice, ended.
    State,
    /// Namespace.
    Namespace,
    /// What is wrong.
    Fault,
    /// Their finding's subject.
    Target,
}

impl Group {
    const ALL: [Self; 5] = [Self::None, Self::State, Self::Namespace, Self::Fault, Self::Target];

    /// The one after it.
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|g| *g == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// As shown; empty: no groups.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::State => "state",
            Self::Namespace => "namespace",
            Self::Fault => "fault",
            Self::Target => "target",
        }
    }

    /// The group of an item.
    pub fn of(self, item: &QueueItem) -> String {
        let p = &item.proposal;
        match self {
            Self::None => String::new(),
            Self::State => STATES[rank(item)].to_owned(),
            Self::Namespace => p.workload().map_or_else(|| "the cluster".to_owned(), |k| k.namespace.to_string()),
            Self::Fault => p.fault.class().to_owned(),
            Self::Target => p.subject.to_string(),
        }
    }
}

const STATES: [&str; 4] = ["under way", "waiting", "advice", "ended"];

/// What is under way, what can be approved, what is only advice, what has ended.
fn rank(item: &QueueItem) -> usize {
    match item {
        i if i.state.in_flight() => 0,
        i if i.state.ended() => 3,
        i => 1 + usize::from(i.proposal.plan.steps.is_empty()),
    }
}

/// What the queue is sorted by, in the order `sort` goes through: state, risk, age.
pub const SORTS: [usize; 3] = [0, 1, 5];

/// All rows, and the lines that are listed of them.
#[derive(Default)]
pub struct Rows {
    /// Every action that is known here.
    pub all: Vec<Shown>,
    /// What is listed, in order.
    pub entries: Vec<Entry>,
    /// Place in [`SORTS`].
    pub sort: usize,
    /// Backwards.
    pub reverse: bool,
    /// Without those that ended.
    pub hide_ended: bool,
    /// What they are put together by.
    pub group: Group,
    /// What they must pass.
    pub filter: Filter,
}

impl Rows {
    /// Puts everything in order anew. Only while the queue has no focus, or when the operator asks.
    pub fn regroup(&mut self, world: &World) {
        self.all.retain(|row| !row.gone);
        self.append_new(world);
        match SORTS[self.sort] {
            1 => self.all.sort_by_key(|r| (std::cmp::Reverse(r.item.proposal.risk), r.item.proposal.created)),
            5 => self.all.sort_by_key(|r| std::cmp::Reverse(r.item.proposal.created)),
            _ => self.all.sort_by_key(|r| {
                let t = r.item.proposal.created.timestamp();
                (rank(&r.item), if r.item.state.ended() { -t } else { t })
            }),
        }
        if self.reverse {
            self.all.reverse();
        }
        let listed: Vec<usize> = (0..self.all.len()).filter(|&i| self.listed(&self.all[i])).collect();
        if self.group == Group::None {
            self.entries = listed.into_iter().map(Entry::Item).collect();
            return;
        }
        // Groups stand in the order of their first rows, rows in the order they are sorted in.
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        for i in listed {
            let name = self.group.of(&self.all[i].item);
            match groups.iter_mut().find(|(n, _)| *n == name) {
                Some((_, rows)) => rows.push(i),
                None => groups.push((name, vec![i])),
            }
        }
        self.entries = groups
            .into_iter()
            .flat_map(|(name, rows)| std::iter::once(Entry::Head(name)).chain(rows.into_iter().map(Entry::Item)))
            .collect();
    }

    /// Keeps the order and adds what is new at the end, below a line.
    pub fn freeze(&mut self, world: &World) {
        let first_new = self.all.len();
        self.append_new(world);
        for i in first_new..self.all.len() {
            if self.listed(&self.all[i]) {
                if !self.entries.contains(&Entry::New) && !self.entries.is_empty() {
                    self.entries.push(Entry::New);
                }
                self.entries.push(Entry::Item(i));
            }
        }
    }

    fn append_new(&mut self, world: &World) {
        for item in &*world.queue {
            if !self.all.iter().any(|r| *r.id() == item.proposal.id) {
                self.all.push(Shown::new(item.clone()));
            }
        }
    }

    fn listed(&self, row: &Shown) -> bool {
        !(self.hide_ended && row.item.state.ended()) && list::passes(&self.filter, &row.item)
    }

    /// What the cursor would stand on at a line.
    pub fn key(&self, line: usize) -> Key {
        match &self.entries[line] {
            Entry::Item(i) => Key::Item(self.all[*i].id().clone()),
            Entry::New => Key::New,
            Entry::Head(name) => Key::Head(name.clone()),
        }
    }

    /// The row at a line, if it is one.
    pub fn at(&self, line: usize) -> Option<&Shown> {
        match self.entries.get(line)? {
            Entry::Item(i) => self.all.get(*i),
            _ => None,
        }
    }

    /// Rows that are listed: all of them, or those of a group.
    pub fn shown<'a>(&'a self, group: Option<&'a str>) -> impl Iterator<Item = &'a Shown> {
        let rows = self.entries.iter().filter_map(|e| match e {
            Entry::Item(i) => self.all.get(*i),
            _ => None,
        });
        rows.filter(move |r| group.is_none_or(|g| self.group.of(&r.item) == g))
    }

    /// How many are not listed.
    pub fn hidden(&self) -> usize {
        self.all.len() - self.shown(None).count()
    }
}
