//! A virtual table: asks for the rows it shows and no others.
//!
//! On a narrow screen the least important columns are left out whole; no column is squeezed below
//! what makes it readable.

use super::cursor::Cursor;
use super::lines::Lines;
use super::text::{fit, put, put_line, width};
use crate::console::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::borrow::Cow;

/// Priority of a column that is left out at every width.
pub const HIDDEN: u8 = u8::MAX;

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// Its head.
    pub title: &'a str,
    /// Columns of the screen it needs at least.
    pub min: u16,
    /// Columns of the screen that are enough, unless there is room for all.
    pub max: u16,
    /// 0 is never left out and gets the width of its contents first; the greatest goes first;
    /// [`HIDDEN`] is never shown.
    pub priority: u8,
    /// Numbers stand at the right.
    pub right: bool,
}

impl<'a> Column<'a> {
    /// A column of text.
    pub const fn text(title: &'a str, min: u16, max: u16, priority: u8) -> Self {
        Self { title, min, max, priority, right: false }
    }

    /// A column of numbers.
    pub const fn number(title: &'a str, min: u16, max: u16, priority: u8) -> Self {
        Self { title, min, max, priority, right: true }
    }
}

/// One cell: its text and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell<'a> {
    /// Text.
    pub text: Cow<'a, str>,
    /// Meaning.
    pub role: Role,
}

impl<'a> Cell<'a> {
    /// A cell from its parts.
    pub fn new(text: impl Into<Cow<'a, str>>, role: Role) -> Self {
        Self { text: text.into(), role }
    }

    /// Ordinary text.
    pub fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(text, Role::Text)
    }

    /// Text of less weight.
    pub fn muted(text: impl Into<Cow<'a, str>>) -> Self {
        Self::new(text, Role::Muted)
    }
}

/// Places of the columns that fit into `room`: number of the column and its width, in order.
///
/// `contents` are the widest cells per column. Columns are left out until the others have their least
/// width, and those of priority 0 that of their contents; what is left over goes by priority, first up to
/// `max`, then to the width of the contents.
pub fn layout(columns: &[Column], contents: &[u16], room: u16) -> Vec<(usize, u16)> {
    let content = |i: usize| contents.get(i).copied().unwrap_or(columns[i].max).max(columns[i].min);
    let want = |i: usize| if columns[i].priority == 0 { content(i).min(columns[i].max) } else { columns[i].min };
    let sum = |kept: &[usize], f: &dyn Fn(usize) -> u16| {
        kept.iter().map(|&i| u32::from(f(i)) + 1).sum::<u32>().saturating_sub(1)
    };
    let mut kept: Vec<usize> = (0..columns.len()).filter(|&i| columns[i].priority != HIDDEN).collect();
    // Contents in full are worth the details (priority above 2), not the rest.
    for (floor, need) in [(2, &want as &dyn Fn(usize) -> u16), (0, &|i: usize| columns[i].min)] {
        while sum(&kept, need) > u32::from(room) {
            let least = kept.iter().copied().filter(|&i| columns[i].priority > floor);
            let Some(worst) = least.max_by_key(|&i| (columns[i].priority, i)) else { break };
            kept.retain(|&i| i != worst);
        }
    }
    let used = sum(&kept, &|i| columns[i].min);
    let mut left = u32::from(room).saturating_sub(used) as u16;
    let mut widths: Vec<(usize, u16)> = kept.iter().map(|&i| (i, columns[i].min)).collect();
    let mut order: Vec<usize> = (0..widths.len()).collect();
    order.sort_by_key(|&p| columns[widths[p].0].priority);
    for bound in [true, false] {
        for &p in &order {
            let i = widths[p].0;
            let goal = if bound { content(i).min(columns[i].max) } else { content(i) };
            let more = goal.saturating_sub(widths[p].1).min(left);
            widths[p].1 += more;
            left -= more;
        }
    }
    widths
}

/// What a table looks like; its rows come from a function.
pub struct Table<'a> {
    /// All columns, most important for reading first from the left.
    pub columns: &'a [Column<'a>],
    /// Number of the column it is sorted by, and whether downwards.
    pub sort: Option<(usize, bool)>,
    /// What is said when there are no rows.
    pub empty: &'a str,
    /// Colours and glyphs.
    pub theme: &'a Theme,
}

impl Table<'_> {
    /// Draws head and visible rows. `row` is called once for each visible row and gives a cell per column.
    pub fn draw<'r, K: Clone + PartialEq>(
        &self,
        buf: &mut Buffer,
        area: Rect,
        cursor: &Cursor<K>,
        len: usize,
        mut row: impl FnMut(usize) -> Vec<Cell<'r>>,
    ) {
        if area.height == 0 || area.width < 3 {
            return;
        }
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        if len == 0 {
            let mut lines = Lines::default();
            lines.text(self.empty, Role::Muted);
            for (line, y) in lines.wrap(body.width - 2).iter().zip(body.top()..body.bottom()) {
                put_line(buf, self.theme, Rect { x: body.x + 1, y, width: body.width - 2, height: 1 }, line);
            }
            return;
        }
        let shown = cursor.window(len, body.height as usize);
        let rows: Vec<Vec<Cell>> = shown.clone().map(&mut row).collect();
        let contents = cursor.widen(rows.iter().map(|cells| cells.iter().map(|c| width(&c.text)).collect()));
        let places = layout(self.columns, &contents, area.width - 1);
        self.head(buf, area, &places);
        for ((line, index), cells) in shown.enumerate().zip(&rows) {
            let y = body.y + line as u16;
            self.line(buf, Rect { y, height: 1, ..body }, &places, cells);
            if index == cursor.index() {
                let bar = Rect { y, height: 1, ..body };
                buf.set_style(bar, self.theme.style(Role::Selection));
                put(buf, self.theme, bar.x, y, 1, self.theme.glyphs.cursor, Role::Selection);
            }
        }
    }

    fn head(&self, buf: &mut Buffer, area: Rect, places: &[(usize, u16)]) {
        let mut x = area.x + 1;
        for &(i, w) in places {
            let column = &self.columns[i];
            let mark = match self.sort {
                Some((by, down)) if by == i => {
                    if down {
                        self.theme.glyphs.down
                    } else {
                        self.theme.glyphs.up
                    }
                }
                _ => "",
            };
            let title = format!("{}{mark}", fit(column.title, (w as usize).saturating_sub(width(mark)), ""));
            let indent = if column.right { w.saturating_sub(width(&title) as u16) } else { 0 };
            put(buf, self.theme, x + indent, area.y, w, &title, Role::Title);
            x += w + 1;
        }
    }

    fn line(&self, buf: &mut Buffer, area: Rect, places: &[(usize, u16)], cells: &[Cell]) {
        let mut x = area.x + 1;
        for &(i, w) in places {
            if let Some(cell) = cells.get(i) {
                let text = fit(&cell.text, w as usize, self.theme.glyphs.ellipsis);
                let indent = if self.columns[i].right { w.saturating_sub(width(&text) as u16) } else { 0 };
                put(buf, self.theme, x + indent, area.y, w - indent, &text, cell.role);
            }
            x += w + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::theme::Glyphs;

    const COLUMNS: [Column; 4] = [
        Column::text("NAME", 6, 20, 0),
        Column::text("STATUS", 6, 10, 1),
        Column::number("CPU", 4, 6, 2),
        Column::text("IMAGE", 10, 40, 3),
    ];

    #[test]
    fn the_least_important_columns_go_first() {
        let shown = |room| layout(&COLUMNS, &[], room).into_iter().map(|(i, _)| i).collect::<Vec<_>>();
        assert_eq!(shown(80), [0, 1, 2, 3]);
        assert_eq!(shown(20), [0, 1, 2]);
        assert_eq!(shown(14), [0, 1]);
        assert_eq!(shown(3), [0]);
        assert_eq!(layout(&COLUMNS, &[], 100), [(0, 20), (1, 10), (2, 6), (3, 40)]);
    }

    #[test]
    fn columns_are_as_wide_as_their_contents_if_there_is_room() {
        assert_eq!(layout(&COLUMNS, &[8, 3, 5, 90], 80), [(0, 8), (1, 6), (2, 5), (3, 58)]);
        assert_eq!(layout(&COLUMNS, &[30, 3, 5, 10], 80), [(0, 30), (1, 6), (2, 5), (3, 10)]);
        assert_eq!(layout(&COLUMNS, &[30, 3, 5, 10], 34), [(0, 21), (1, 6), (2, 5)], "a name before an image");
    }

    #[test]
    fn only_visible_rows_of_fifty_thousand_are_built() {
        let theme = Theme::plain(Glyphs::UNICODE);
        let mut cursor = Cursor::default();
        cursor.sync(50_000, |i| i);
        cursor.step(super::super::cursor::Motion::Bottom, 50_000, |i| i);
        let area = Rect::new(0, 0, 80, 24);
        let mut buf = Buffer::empty(area);
        let mut built = 0;
        Table { columns: &COLUMNS, sort: None, empty: "", theme: &theme }.draw(&mut buf, area, &cursor, 50_000, |i| {
            built += 1;
            vec![Cell::plain(format!("row {i}")), Cell::plain("ok"), Cell::plain("1"), Cell::muted("x")]
        });
        assert_eq!(built, 23);
    }

    #[test]
    fn numbers_stand_at_the_right_and_the_sort_is_marked() {
        let theme = Theme::plain(Glyphs::ASCII);
        let mut cursor = Cursor::default();
        cursor.sync(1, |i| i);
        let area = Rect::new(0, 0, 30, 2);
        let mut buf = Buffer::empty(area);
        let columns = [Column::text("NAME", 8, 8, 0), Column::number("CPU", 6, 6, 0)];
        Table { columns: &columns, sort: Some((1, true)), empty: "", theme: &theme }.draw(
            &mut buf,
            area,
            &cursor,
            1,
            |_| vec![Cell::plain("購物車"), Cell::plain("12m")],
        );
        let text: Vec<String> = (0..2).map(|y| (0..17).map(|x| buf[(x, y)].symbol()).collect::<String>()).collect();
        assert_eq!(text[0], " NAME       CPUv ");
        assert!(text[1].ends_with("   12m "), "{:?}", text[1]);
        assert!(text[1].starts_with('>'));
    }
}
