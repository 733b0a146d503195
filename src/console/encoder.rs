//! From cells to bytes, as few as possible: what differs on the screen and is seen, in the shortest sequences that
//! every terminal of the last decades knows.
//!
//! It keeps a copy of what the terminal shows. With it, a change that nobody sees (the colour of a blank) is not sent,
//! a few cells that stand right are written again where that is shorter than moving over them, and blanks are erased
//! (`EL`, `ECH`, `ED`) rather than written. Colours and attributes are sent as differences. Repeating (`REP`) and
//! scroll regions are left out: what is around the terminal (multiplexers, recorders) knows them unevenly.
//!
//! Underline colours are not sent: no theme has them.

use ratatui::buffer::Cell;
use ratatui::layout::Size;
use ratatui::style::{Color, Modifier};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// What is seen of a blank beside its background.
const SEEN: Modifier = Modifier::REVERSED.union(Modifier::UNDERLINED).union(Modifier::CROSSED_OUT);

/// Attributes with the parameter that sets and the one that takes away.
const ATTRIBUTES: [(Modifier, u8, u8); 9] = [
    (Modifier::BOLD, 1, 22),
    (Modifier::DIM, 2, 22),
    (Modifier::ITALIC, 3, 23),
    (Modifier::UNDERLINED, 4, 24),
    (Modifier::SLOW_BLINK, 5, 25),
    (Modifier::RAPID_BLINK, 6, 25),
    (Modifier::REVERSED, 7, 27),
    (Modifier::HIDDEN, 8, 28),
    (Modifier::CROSSED_OUT, 9, 29),
];

/// Colours and attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

/// As a frame begins and ends.
const PLAIN: Pen = Pen { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

/// A cell as it is seen.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    cell: Cell,
    pen: Pen,
}

impl Shown {
    fn of(cell: &Cell) -> Self {
        let mut pen = Pen { fg: cell.fg, bg: cell.bg, modifier: cell.modifier };
        if cell.symbol() == " " && !pen.modifier.intersects(SEEN) {
            (pen.fg, pen.modifier) = (Color::Reset, Modifier::empty());
        }
        let mut kept = Cell::EMPTY;
        kept.set_symbol(cell.symbol());
        Self { cell: kept, pen }
    }

    fn blank(bg: Color) -> Self {
        Self { cell: Cell::EMPTY, pen: Pen { bg, ..PLAIN } }
    }

    /// The background of a cell of which nothing else is seen.
    fn erased(&self) -> Option<Color> {
        (self.cell.symbol() == " " && !self.pen.modifier.intersects(SEEN)).then_some(self.pen.bg)
    }

    /// One character that takes one column on every terminal.
    fn simple(&self) -> bool {
        let mut chars = self.cell.symbol().chars();
        matches!((chars.next(), chars.next()), (Some(_), None)) && self.cell.symbol().width() == 1
    }

    /// What must be set to write it: of a blank the background only.
    fn wants(&self, now: Pen) -> Pen {
        match self.erased() {
            Some(bg) => Pen { bg, modifier: now.modifier.difference(SEEN), ..now },
            None => self.pen,
        }
    }
}

/// Where the terminal's cursor is, as far as that is certain.
type Place = Option<(u16, u16)>;

/// What the terminal shows, and how to change it.
#[derive(Debug)]
pub struct Encoder {
    size: Size,
    /// `None`: the second half of a wide character, or not known.
    shown: Vec<Option<Shown>>,
    changed: Vec<bool>,
    /// Erasing takes the background (`bce`), as everywhere but in GNU screen.
    colours_erased: bool,
}

impl Encoder {
    /// An empty screen whose size is not known yet.
    pub fn new() -> Self {
        Self { size: Size::ZERO, shown: Vec::new(), changed: Vec::new(), colours_erased: true }
    }

    /// For a terminal on which what is erased has no colour.
    pub fn without_coloured_erase(&mut self) {
        self.colours_erased = false;
    }

    /// The screen was cleared.
    pub fn cleared(&mut self) {
        self.shown.fill(Some(Shown::blank(Color::Reset)));
    }

    /// Part of the screen was cleared by somebody else's measure: nothing is known of it.
    pub fn unknown(&mut self) {
        self.shown.fill(None);
    }

    /// Bytes that make a terminal of this size show the cells. Colours are those of a reset before and after.
    pub fn draw<'a>(&mut self, size: Size, content: impl Iterator<Item = (u16, u16, &'a Cell)>) -> String {
        if size != self.size {
            self.size = size;
            self.shown = vec![Some(Shown::blank(Color::Reset)); usize::from(size.width) * usize::from(size.height)];
        }
        self.changed.clear();
        self.changed.resize(self.shown.len(), false);
        let mut count = 0;
        for (x, y, cell) in content.filter(|(x, y, _)| *x < size.width && *y < size.height) {
            count += usize::from(self.take(x, y, cell));
        }
        if count == 0 {
            return String::new();
        }
        let changes = Draft::new(self, &self.changed).finish();
        if count * 2 < self.shown.len() {
            return changes;
        }
        let anew = self.anew();
        if anew.len() < changes.len() { anew } else { changes }
    }

    /// Takes a cell over; false if it is shown already.
    fn take(&mut self, x: u16, y: u16, cell: &Cell) -> bool {
        let at = self.index(x, y);
        let new = Shown::of(cell);
        if self.shown[at].as_ref() == Some(&new) {
            return false;
        }
        let end = self.index(0, y) + usize::from(self.size.width);
        // A wide character that loses a half is gone as a whole.
        let before = self.shown[at].as_ref().map_or(1, |s| s.cell.symbol().width()).max(1);
        let width = cell.symbol().width().max(1);
        for other in at + 1..(at + before.max(width)).min(end) {
            self.shown[other] = None;
            self.changed[other] = false;
        }
        self.shown[at] = Some(new);
        self.changed[at] = true;
        true
    }

    fn index(&self, x: u16, y: u16) -> usize {
        usize::from(y) * usize::from(self.size.width) + usize::from(x)
    }

    /// The whole screen on one that is erased in its commonest background.
    fn anew(&self) -> String {
        let mut grounds: Vec<(Color, usize)> = Vec::new();
        for bg in self.shown.iter().flatten().filter_map(Shown::erased).filter(|bg| self.may_erase(*bg)) {
            match grounds.iter_mut().find(|(known, _)| *known == bg) {
                Some((_, n)) => *n += 1,
                None => grounds.push((bg, 1)),
            }
        }
        let ground = grounds.into_iter().max_by_key(|(_, n)| *n).map_or(Color::Reset, |(bg, _)| bg);
        let other = |s: &Option<Shown>| s.as_ref().is_some_and(|s| s.erased() != Some(ground));
        let changed: Vec<bool> = self.shown.iter().map(other).collect();
        let mut draft = Draft::new(self, &changed);
        draft.set(Pen { bg: ground, ..PLAIN });
        draft.out.push_str("\x1b[2J");
        draft.finish()
    }

    fn may_erase(&self, bg: Color) -> bool {
        self.colours_erased || bg == Color::Reset
    }
}

/// One way to write the changes.
struct Draft<'a> {
    screen: &'a Encoder,
    changed: &'a [bool],
    out: String,
    pen: Pen,
    place: Place,
}

impl<'a> Draft<'a> {
    fn new(screen: &'a Encoder, changed: &'a [bool]) -> Self {
        Self { screen, changed, out: String::new(), pen: PLAIN, place: None }
    }

    fn finish(mut self) -> String {
        for y in 0..self.screen.size.height {
            self.row(y);
        }
        self.set(PLAIN);
        self.out
    }

    fn row(&mut self, y: u16) {
        let width = self.screen.size.width;
        let begin = self.screen.index(0, y);
        let cells = &self.screen.shown[begin..begin + usize::from(width)];
        let changed = &self.changed[begin..begin + usize::from(width)];
        let mut x = 0;
        while let Some(next) = changed[x..].iter().position(|c| *c) {
            x += next;
            let Some(shown) = &cells[x] else {
                x += 1;
                continue;
            };
            if let Some(bg) = shown.erased() {
                x = self.blanks(cells, changed, x, y, bg);
            } else {
                self.go(x as u16, y);
                self.write(shown, x as u16, y);
                x += 1;
            }
        }
    }

    /// Writes or erases the blanks from `x` on; gives where it ends.
    fn blanks(&mut self, cells: &[Option<Shown>], changed: &[bool], x: usize, y: u16, bg: Color) -> usize {
        let same = |c: &&Option<Shown>| c.as_ref().and_then(Shown::erased) == Some(bg);
        let end = x + cells[x..].iter().take_while(same).count();
        let last = x + changed[x..end].iter().rposition(|c| *c).unwrap_or(0) + 1;
        let count = last - x;
        let more = changed[last..].contains(&true);
        self.go(x as u16, y);
        let (erase, then) = if end == cells.len() {
            // To the end of the line, where nothing follows.
            ("\x1b[K".to_owned(), 0)
        } else {
            let erase = format!("\x1b[{count}X");
            let then = if more { erase.len() } else { 0 };
            (erase, then)
        };
        let pen = cells[x].as_ref().map_or(PLAIN, |s| s.wants(self.pen));
        self.set(pen);
        if self.screen.may_erase(bg) && erase.len() + then < count {
            self.out.push_str(&erase);
        } else {
            self.out.extend(std::iter::repeat_n(' ', count));
            self.place = Some((last as u16, y));
        }
        last
    }

    /// Writes a cell where the cursor is.
    fn write(&mut self, shown: &Shown, x: u16, y: u16) {
        self.set(shown.wants(self.pen));
        self.out.push_str(shown.cell.symbol());
        // Terminals disagree about how wide anything but a plain character is.
        self.place = shown.simple().then_some((x + 1, y));
    }

    /// Moves the cursor the shortest way.
    fn go(&mut self, x: u16, y: u16) {
        if self.place == Some((x, y)) && x < self.screen.size.width {
            return;
        }
        let mut best = match (x, y) {
            (0, 0) => "\x1b[H".to_owned(),
            (0, _) => format!("\x1b[{}H", y + 1),
            _ => format!("\x1b[{};{}H", y + 1, x + 1),
        };
        if let Some((from, row)) = self.place
            && row <= y
        {
            let down = "\n".repeat(usize::from(y - row));
            // In the last column the cursor waits to wrap: only a return is certain there.
            let along = (from <= x && from < self.screen.size.width).then(|| self.along(from, x, y));
            let ways = [along.map(|a| format!("{down}{a}")), Some(format!("\r{down}{}", self.along(0, x, y)))];
            for way in ways.into_iter().flatten() {
                if way.len() < best.len() {
                    best = way;
                }
            }
        }
        self.out.push_str(&best);
        self.place = Some((x, y));
    }

    /// From one column to another in a row: over cells, or by writing them again.
    fn along(&self, from: u16, to: u16, y: u16) -> String {
        let jump = match to - from {
            0 => return String::new(),
            1 => "\x1b[C".to_owned(),
            n => format!("\x1b[{n}C"),
        };
        let (begin, end) = (self.screen.index(from, y), self.screen.index(to, y));
        let mut again = String::new();
        for shown in &self.screen.shown[begin..end] {
            match shown {
                Some(s) if s.simple() && s.wants(self.pen) == self.pen && again.len() < jump.len() => {
                    again.push_str(s.cell.symbol());
                }
                _ => return jump,
            }
        }
        if again.len() < jump.len() { again } else { jump }
    }

    fn set(&mut self, pen: Pen) {
        if pen == self.pen {
            return;
        }
        let step = difference(self.pen, pen);
        let anew = difference(PLAIN, pen);
        let anew = if anew.is_empty() { String::new() } else { format!("0;{anew}") };
        let shorter = if step.len() <= anew.len() || pen == PLAIN && step.is_empty() { &step } else { &anew };
        let _ = write!(self.out, "\x1b[{shorter}m");
        self.pen = pen;
    }
}

/// Parameters that lead from one pen to another; empty for the plain one, which a reset gives.
fn difference(from: Pen, to: Pen) -> String {
    if to == PLAIN {
        return String::new();
    }
    let mut out: Vec<String> = Vec::new();
    let (mut gone, mut new) = (from.modifier.difference(to.modifier), to.modifier.difference(from.modifier));
    // Bold and dim, and both ways to blink, are taken away together.
    for pair in [Modifier::BOLD.union(Modifier::DIM), Modifier::SLOW_BLINK.union(Modifier::RAPID_BLINK)] {
        if gone.intersects(pair) {
            gone = gone.difference(pair) | gone.intersection(pair).intersection(from.modifier);
            new |= to.modifier.intersection(pair);
        }
    }
    let mut off: Vec<u8> = ATTRIBUTES.iter().filter(|(m, _, _)| gone.contains(*m)).map(|(_, _, off)| *off).collect();
    off.dedup();
    out.extend(off.iter().map(u8::to_string));
    out.extend(ATTRIBUTES.iter().filter(|(m, _, _)| new.contains(*m)).map(|(_, on, _)| on.to_string()));
    if from.fg != to.fg {
        out.push(colour(to.fg, 30));
    }
    if from.bg != to.bg {
        out.push(colour(to.bg, 40));
    }
    out.join(";")
}

/// The parameters of a colour; `base` is 30 for text and 40 for the ground.
fn colour(colour: Color, base: u8) -> String {
    let named = |n: u8| if n < 8 { (base + n).to_string() } else { (base + 52 + n).to_string() };
    match colour {
        Color::Reset => (base + 9).to_string(),
        Color::Black => named(0),
        Color::Red => named(1),
        Color::Green => named(2),
        Color::Yellow => named(3),
        Color::Blue => named(4),
        Color::Magenta => named(5),
        Color::Cyan => named(6),
        Color::Gray => named(7),
        Color::DarkGray => named(8),
        Color::LightRed => named(9),
        Color::LightGreen => named(10),
        Color::LightYellow => named(11),
        Color::LightBlue => named(12),
        Color::LightMagenta => named(13),
        Color::LightCyan => named(14),
        Color::White => named(15),
        Color::Indexed(n) => format!("{};5;{n}", base + 8),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
    }
}

#[cfg(test)]
mod tests;
