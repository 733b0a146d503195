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
        let mut best = Draft::new(self, &self.changed).shorter();
        if count * 2 >= self.shown.len() {
            let anew = self.anew();
            if anew.len() < best.len() {
                best = anew;
            }
        }
        best
    }

    /// Takes a cell over; false if it is shown already.
    fn take(&mut self, x: u16, y: u16, cell: &Cell) -> bool {
        let at = self.index(x, y);
        let new = Shown::of(cell);
        if self.shown[at].as_ref() == Some(&new) {
            return false;
        }
        let end = self.index(0, y) + usize::from(self.size.width);
        // A wide character that loses a half is gone as a whole. What is then in the other half's place ratatui does not tell
        // unless it changes; its texts leave a plain blank there.
        let wide = |c: usize| self.shown[c].as_ref().map_or(1, |s| s.cell.symbol().width()).max(1);
        let covered = at..(at + cell.symbol().width().max(1)).min(end);
        let spoilt = covered.clone().map(|c| c + wide(c)).max().unwrap_or(at + 1).max(covered.end).min(end);
        for other in at + 1..spoilt {
            let orphan = other >= covered.end;
            self.shown[other] = orphan.then(|| Shown::blank(Color::Reset));
            self.changed[other] = orphan;
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
        draft.shorter()
    }

    fn may_erase(&self, bg: Color) -> bool {
        self.colours_erased || bg == Color::Reset
    }
}

/// Blanks that are written rather than moved over.
const GAP: usize = 4;

/// One way to write the changes.
#[derive(Clone)]
struct Draft<'a> {
    screen: &'a Encoder,
    /// What is still to be written.
    todo: Vec<bool>,
    out: String,
    pen: Pen,
    place: Place,
}

impl<'a> Draft<'a> {
    fn new(screen: &'a Encoder, changed: &[bool]) -> Self {
        Self { screen, todo: changed.to_vec(), out: String::new(), pen: PLAIN, place: None }
    }

    /// The changes line by line, or colour by colour, whichever is shorter: where many short runs of a few colours stand
    /// side by side, moves are cheaper than colours.
    fn shorter(self) -> String {
        let (by_row, by_pen) = (self.clone().by_row(), self.by_pen());
        if by_pen.len() < by_row.len() { by_pen } else { by_row }
    }

    fn by_row(mut self) -> String {
        for y in 0..self.screen.size.height {
            self.erase_row(y);
            let (begin, end) = (self.screen.index(0, y), self.screen.index(0, y + 1));
            let mut at = begin;
            while let Some(next) = self.todo[at..end].iter().position(|c| *c) {
                at += next;
                match &self.screen.shown[at] {
                    None => at += 1,
                    Some(shown) => {
                        if let Some(bg) = shown.erased() {
                            at = self.blanks(at, end, bg);
                        } else {
                            self.write(shown, at);
                            at += 1;
                        }
                    }
                }
            }
        }
        self.set(PLAIN);
        self.out
    }

    fn by_pen(mut self) -> String {
        for y in 0..self.screen.size.height {
            self.erase_row(y);
        }
        let mut pens: Vec<Pen> = Vec::new();
        let mut order: Vec<(usize, usize)> = Vec::new();
        let mut grounds: Vec<Color> = Vec::new();
        for (at, shown) in self.screen.shown.iter().enumerate().filter(|(at, _)| self.todo[*at]) {
            let Some(shown) = shown else { continue };
            if let Some(bg) = shown.erased() {
                if !grounds.contains(&bg) {
                    grounds.push(bg);
                }
                continue;
            }
            let pen = pens.iter().position(|p| *p == shown.pen).unwrap_or_else(|| {
                pens.push(shown.pen);
                pens.len() - 1
            });
            order.push((pen, at));
        }
        order.sort_unstable();
        for (_, at) in order {
            if self.todo[at] {
                self.run(at);
            }
        }
        for bg in grounds {
            for at in 0..self.todo.len() {
                if self.todo[at] && self.screen.shown[at].as_ref().and_then(Shown::erased) == Some(bg) {
                    self.blanks(at, self.end_of_row(at), bg);
                }
            }
        }
        self.set(PLAIN);
        self.out
    }

    /// Erases a row where more blanks of one ground change in it than other cells would have to be written again.
    fn erase_row(&mut self, y: u16) {
        let cells = self.screen.index(0, y)..self.screen.index(0, y + 1);
        let blank = |at: usize| self.screen.shown[at].as_ref().and_then(Shown::erased);
        let Some(ground) = cells.clone().find_map(|at| blank(at).filter(|_| self.todo[at])) else { return };
        let gain = cells.clone().filter(|at| self.todo[*at] && blank(*at) == Some(ground)).count();
        let again = cells.clone().filter(|at| !self.todo[*at] && blank(*at) != Some(ground)).count();
        // The sequence, the move to the row, and moves over what is blank then.
        if gain <= again + 16 || !self.screen.may_erase(ground) {
            return;
        }
        self.go(0, y);
        self.set(Pen { bg: ground, modifier: self.pen.modifier.difference(SEEN), ..self.pen });
        self.out.push_str("\x1b[2K");
        for at in cells {
            // The second half of a wide character comes with its first.
            self.todo[at] = self.screen.shown[at].as_ref().is_some_and(|s| s.erased() != Some(ground));
        }
    }

    fn end_of_row(&self, at: usize) -> usize {
        let width = usize::from(self.screen.size.width);
        (at / width + 1) * width
    }

    /// Writes a cell and what follows in the same colours, with the few blanks between.
    fn run(&mut self, mut at: usize) {
        let end = self.end_of_row(at);
        let shown = &self.screen.shown;
        let pen = shown[at].as_ref().map_or(PLAIN, |s| s.pen);
        loop {
            let Some(cell) = &shown[at] else { return };
            self.write(cell, at);
            if self.place.is_none() {
                return;
            }
            let ground = |at: &usize| shown[*at].as_ref().and_then(Shown::erased) == Some(pen.bg);
            let gap = (at + 1..end).take_while(ground).take(GAP + 1).count();
            let next = at + 1 + gap;
            let goes_on = gap <= GAP
                && next < end
                && self.todo[next]
                && shown[next].as_ref().is_some_and(|s| s.erased().is_none() && s.pen == pen);
            let over = if goes_on { gap } else { (at + 1..next).take_while(|at| self.todo[*at]).take(GAP).count() };
            for (blank, cell) in (at + 1..).zip(&shown[at + 1..at + 1 + over]) {
                if let Some(cell) = cell {
                    self.write(cell, blank);
                }
            }
            if !goes_on {
                return;
            }
            at = next;
        }
    }

    /// Writes or erases the blanks from `at` on; gives where it ends.
    fn blanks(&mut self, at: usize, end_of_row: usize, bg: Color) -> usize {
        let cells = &self.screen.shown[at..end_of_row];
        let same = |c: &&Option<Shown>| c.as_ref().and_then(Shown::erased) == Some(bg);
        let end = at + cells.iter().take_while(same).count();
        let last = at + self.todo[at..end].iter().rposition(|c| *c).unwrap_or(0) + 1;
        let count = last - at;
        let more = self.todo[last..end_of_row].contains(&true);
        let (x, y) = self.position(at);
        self.go(x, y);
        let (erase, then) = if end == end_of_row {
            // To the end of the line, where nothing follows.
            ("\x1b[K".to_owned(), 0)
        } else {
            let erase = format!("\x1b[{count}X");
            let then = if more { erase.len() } else { 0 };
            (erase, then)
        };
        self.set(Pen { bg, modifier: self.pen.modifier.difference(SEEN), ..self.pen });
        if self.screen.may_erase(bg) && erase.len() + then < count {
            self.out.push_str(&erase);
        } else {
            self.out.extend(std::iter::repeat_n(' ', count));
            self.place = Some((x + count as u16, y));
        }
        self.todo[at..last].fill(false);
        last
    }

    fn position(&self, at: usize) -> (u16, u16) {
        let width = usize::from(self.screen.size.width);
        ((at % width) as u16, (at / width) as u16)
    }

    /// Moves to a cell and writes it.
    fn write(&mut self, shown: &Shown, at: usize) {
        let (x, y) = self.position(at);
        self.go(x, y);
        self.set(shown.wants(self.pen));
        self.out.push_str(shown.cell.symbol());
        self.todo[at] = false;
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
        let shorter = if step.len() <= anew.len() { &step } else { &anew };
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
