//! Columns that the operator chose: shown although there is little room, or never shown.

use crate::console::command::PaneId;
use crate::console::effect::{Effect, Target};
use crate::console::widgets::table::{Column, HIDDEN};
use std::collections::BTreeMap;

/// What was chosen, by list and title of a column; all others go by the width of the screen.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    of: BTreeMap<(String, String), bool>,
    /// Place in the menu of what was chosen last.
    at: usize,
}

impl Chosen {
    /// Applies the choice to the columns of a list. Columns that name a row are always shown.
    pub fn apply(&self, list: &str, columns: &mut [Column]) {
        if self.of.is_empty() {
            return;
        }
        for column in columns.iter_mut().filter(|c| may(c)) {
            match self.of.get(&(list.to_owned(), column.title.to_owned())) {
                Some(true) => column.priority = 1,
                Some(false) => column.priority = HIDDEN,
                None => {}
            }
        }
    }

    /// The next of: as the width allows, never, always.
    pub fn turn(&mut self, list: &str, title: &str, at: usize) {
        self.at = at;
        let key = (list.to_owned(), title.to_owned());
        match self.of.get(&key) {
            None => drop(self.of.insert(key, false)),
            Some(false) => drop(self.of.insert(key, true)),
            Some(true) => drop(self.of.remove(&key)),
        }
    }

    /// A menu of the columns of a list, given as they are without a choice; choosing one turns it.
    pub fn menu(&self, pane: PaneId, list: &str, columns: &[Column]) -> Effect {
        let item = |(i, c): (usize, &Column)| {
            let state = match self.of.get(&(list.to_owned(), c.title.to_owned())) {
                None => "as the width allows",
                Some(true) => "always",
                Some(false) => "never",
            };
            let then =
                Effect::Go(pane, Some(Target::Column { list: list.to_owned(), title: c.title.to_owned(), at: i }));
            (format!("{:<16} {state}", c.title), then)
        };
        let items: Vec<_> = columns.iter().filter(|c| may(c)).enumerate().map(item).collect();
        let at = self.at.min(items.len().saturating_sub(1));
        Effect::Menu { title: "columns".into(), items, at }
    }
}

/// Whether a column can be chosen: it has a head, and rows can be told apart without it.
fn may(column: &Column) -> bool {
    !column.title.is_empty() && column.priority > 0 && column.priority != HIDDEN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_turns_from_the_width_to_never_to_always_and_names_stay() {
        let all = [Column::text("NAME", 4, 9, 0), Column::text("IMAGE", 4, 9, 8)];
        let mut chosen = Chosen::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let mut now = all;
            chosen.apply("pods", &mut now);
            seen.push((now[0].priority, now[1].priority));
            chosen.turn("pods", "IMAGE", 0);
            chosen.turn("pods", "NAME", 0);
        }
        assert_eq!(seen, [(0, 8), (0, HIDDEN), (0, 1), (0, 8)]);
        let mut other = all;
        chosen.apply("nodes", &mut other);
        assert_eq!(other[1].priority, 8, "another list keeps its own");
    }
}
