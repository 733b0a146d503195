//! Rows of the pane: which pass the filter, in which order, and their cells.

use super::Show;
use crate::console::pane::Ctx;
use crate::console::theme::Role;
use crate::console::widgets::filter::{Field, Filter};
use crate::console::widgets::table::{Cell, Column};
use crate::model::browse::{Kind, Listed, Row};
use crate::model::object::Resource;
use crate::model::time::age;
use std::cmp::Ordering;

const KINDS: [Column; 4] = [
    Column::text("KIND", 10, 40, 0),
    Column::text("PLURAL", 8, 40, 1),
    Column::text("SHORT", 5, 16, 2),
    Column::text("GROUP", 6, 40, 1),
];

/// Places of the columns that mean the same for every kind.
struct Known {
    name: Option<usize>,
    age: Option<usize>,
    status: Option<usize>,
    ready: Option<usize>,
    node: Option<usize>,
}

impl Known {
    fn of(listed: &Listed) -> Self {
        let find =
            |names: &[&str]| listed.columns.iter().position(|c| names.iter().any(|n| c.name.eq_ignore_ascii_case(n)));
        Self {
            name: find(&["name"]),
            age: find(&["age"]),
            status: find(&["status", "phase"]),
            ready: find(&["ready"]),
            node: find(&["node"]),
        }
    }
}

/// Columns of what is listed; of objects everywhere, their namespace comes first.
pub fn columns<'a>(show: &Show, listed: &'a Listed) -> Vec<Column<'a>> {
    let Show::Objects { resource, namespace } = show else { return KINDS.to_vec() };
    let known = Known::of(listed);
    let mut columns = Vec::with_capacity(listed.columns.len() + 1);
    if resource.namespaced && namespace.is_none() {
        columns.push(Column::text("Namespace", 9, 24, 1));
    }
    for (i, c) in listed.columns.iter().enumerate() {
        let least = (c.name.chars().count() as u16 + 1).max(4);
        let priority = match i {
            i if known.name == Some(i) => 0,
            i if known.status == Some(i) || known.ready == Some(i) => 1,
            i if known.age == Some(i) => 2,
            _ if c.wide => 10 + i.min(100) as u8,
            i => 2 + i.min(7) as u8,
        };
        let most = if priority == 0 { 60 } else { 32 };
        columns.push(Column { title: &c.name, min: least, max: most.max(least), priority, right: c.number });
    }
    columns
}

/// Kinds that pass, in the server's order or in that of a column.
pub fn kinds(kinds: &[Kind], filter: &Filter, sort: Option<usize>, reverse: bool) -> Vec<u32> {
    let passes = |k: &Kind| {
        let names: Vec<String> = k.names().collect();
        let mut values = vec![(Field::Kind, &*k.resource.kind), (Field::Text, &*k.resource.kind)];
        values.extend(names.iter().map(|n| (Field::Text, n.as_str())));
        filter.passes(&values)
    };
    let mut rows: Vec<u32> = (0..kinds.len() as u32).filter(|i| passes(&kinds[*i as usize])).collect();
    if let Some(column) = sort {
        let text = |i: &u32| kind_cells(&kinds[*i as usize]).swap_remove(column.min(3)).text.into_owned();
        rows.sort_by_cached_key(text);
    }
    if reverse {
        rows.reverse();
    }
    rows
}

/// Cells of a kind.
pub fn kind_cells(kind: &Kind) -> Vec<Cell<'_>> {
    let r = &kind.resource;
    vec![
        Cell::plain(&*r.kind),
        Cell::muted(&*r.plural),
        Cell::muted(kind.short.join(",")),
        Cell::muted(r.api_version()),
    ]
}

/// Objects that pass, in the server's order or in that of a column; ages are ordered by when objects were made.
pub fn objects(
    listed: &Listed,
    resource: &Resource,
    far: bool,
    filter: &Filter,
    (sort, reverse): (Option<usize>, bool),
) -> Vec<u32> {
    let known = Known::of(listed);
    let passes = |row: &Row| {
        if filter.is_empty() {
            return true;
        }
        let mut values: Vec<(Field, &str)> = vec![(Field::Kind, &*resource.kind), (Field::Text, &*row.name)];
        values.extend(row.namespace.as_deref().map(|n| (Field::Namespace, n)));
        values.extend(row.namespace.as_deref().map(|n| (Field::Text, n)));
        values.extend(row.labels.iter().map(|l| (Field::Label, &**l)));
        values.extend(row.owner.as_ref().map(|o| (Field::Owner, &*o.name)));
        for (i, cell) in row.cells.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
            values.push((Field::Text, cell));
            if known.status == Some(i) {
                values.push((Field::State, cell));
            }
            if known.node == Some(i) {
                values.push((Field::Node, cell));
            }
        }
        values.push((Field::Health, health(row, &known).0));
        // Of a label only `l:` finds it: plain words look at what is shown.
        filter.passes(&values)
    };
    let mut rows: Vec<u32> = (0..listed.rows.len() as u32).filter(|i| passes(&listed.rows[*i as usize])).collect();
    if let Some(shown) = sort {
        let first = usize::from(far && resource.namespaced);
        rows.sort_by(|a, b| {
            let (a, b) = (&listed.rows[*a as usize], &listed.rows[*b as usize]);
            match shown.checked_sub(first) {
                None => a.namespace.cmp(&b.namespace),
                // Youngest first, as ages grow downwards.
                Some(i) if known.age == Some(i) => b.created.cmp(&a.created),
                Some(i) => natural(a.cells.get(i).map_or("", |c| c), b.cells.get(i).map_or("", |c| c)),
            }
        });
    }
    if reverse {
        rows.reverse();
    }
    rows
}

/// Numbers at the front of a text by their value, then the text: `9` before `10`, `2 (5m ago)` before `11`.
fn natural(a: &str, b: &str) -> Ordering {
    let number = |t: &str| {
        let end = t.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(t.len());
        t[..end].parse::<f64>().ok()
    };
    match (number(a), number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Cells of an object.
pub fn cells<'a>(listed: &'a Listed, row: &'a Row, far: bool, marked: bool, ctx: &Ctx) -> Vec<Cell<'a>> {
    let known = Known::of(listed);
    let (_, role) = health(row, &known);
    let mut cells = Vec::with_capacity(listed.columns.len() + 1);
    if far {
        cells.push(Cell::muted(row.namespace.as_deref().unwrap_or_default()));
    }
    for (i, text) in row.cells.iter().enumerate() {
        cells.push(match (i, row.created) {
            (i, Some(created)) if known.age == Some(i) => Cell::muted(age(ctx.now, created)),
            (i, _) if known.name == Some(i) && marked => {
                Cell::new(format!("{} {}", ctx.theme.glyphs.good, row.name), Role::Match)
            }
            (i, _) if known.status == Some(i) || known.ready == Some(i) => Cell::new(&**text, role),
            (_, _) if text.is_empty() => Cell::muted(crate::console::panes::show::absent(&ctx.theme.glyphs)),
            (i, _) if known.name == Some(i) => Cell::plain(&**text),
            _ => Cell::muted(&**text),
        });
    }
    cells
}

/// What the printed status says of an object, in the words of the filter; `unknown` where nothing is printed that tells.
fn health(row: &Row, known: &Known) -> (&'static str, Role) {
    let cell = |at: Option<usize>| at.and_then(|i| row.cells.get(i)).map_or("", |c| c);
    let status = cell(known.status);
    let any = |words: &[&str]| words.iter().any(|w| status.contains(w));
    if any(&["rror", "BackOff", "Fail", "Evicted", "NotReady", "OOMKilled", "Lost", "Invalid", "Unknown"]) {
        return ("bad", Role::Bad);
    }
    if any(&["Pending", "Terminating", "Creating", "Initializing", "Init:", "Released", "SchedulingDisabled"]) {
        return ("warning", Role::Warning);
    }
    let done = any(&["Completed", "Complete", "Succeeded"]);
    let share =
        cell(known.ready).split_once('/').and_then(|(a, b)| Some((a.parse::<u32>().ok()?, b.parse::<u32>().ok()?)));
    match share {
        Some((0, n)) if n > 0 && !done => ("bad", Role::Bad),
        Some((a, b)) if a < b && !done => ("warning", Role::Warning),
        Some(_) => ("good", Role::Text),
        None if done || any(&["Running", "Active", "Bound", "Ready", "Available"]) => ("good", Role::Text),
        None => ("unknown", Role::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_value_wherever_they_stand_in_front() {
        let mut texts = ["10", "9", "2 (5m ago)", "<none>", "11 (1h ago)"];
        texts.sort_by(|a, b| natural(a, b));
        assert_eq!(texts, ["2 (5m ago)", "9", "10", "11 (1h ago)", "<none>"]);
    }

    #[test]
    fn health_is_what_is_printed_and_unknown_where_nothing_tells() {
        let known = Known { name: None, age: None, status: Some(0), ready: Some(1), node: None };
        for (status, ready, wanted) in [
            ("Running", "2/2", "good"),
            ("Running", "1/2", "warning"),
            ("Running", "0/1", "bad"),
            ("Completed", "0/1", "good"),
            ("CrashLoopBackOff", "1/2", "bad"),
            ("Ready,SchedulingDisabled", "", "warning"),
            ("NotReady", "", "bad"),
            ("", "", "unknown"),
            ("", "0/0", "good"),
        ] {
            let row = Row { cells: vec![status.into(), ready.into()], ..Row::default() };
            assert_eq!(health(&row, &known).0, wanted, "{status} {ready}");
        }
    }
}
