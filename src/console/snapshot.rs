//! One frame as text, ANSI, SVG or HTML: for `kansole snapshot` and the pictures in the docs.
//!
//! The same model gives the same bytes. Every symbol passes the cleaner once more, because here nothing
//! stands between the text and the reader's terminal or browser.

use super::app::Model;
use super::view::view;
use crate::model::text::clean;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// How a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Text,
    Ansi,
    Svg,
    Html,
}

/// Colours where a cell has the terminal's own: ink on night.
const INK: &str = "#d0d4dc";
const PAPER: &str = "#161a21";

/// Width and height of a cell in the SVG, in its units.
const CELL: (f32, f32) = (8.4, 18.0);

/// Draws the model once at a size.
pub fn draw(model: &mut Model, width: u16, height: u16) -> Buffer {
    model.size = (width, height);
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(frame) = terminal.draw(|frame| view(model, frame));
    frame.buffer.clone()
}

/// Writes a drawn frame.
pub fn write(buffer: &Buffer, format: Format) -> String {
    match format {
        Format::Text => text(buffer),
        Format::Ansi => ansi(buffer),
        Format::Svg => svg(buffer),
        Format::Html => html(buffer),
    }
}

/// Neighbouring cells of one style, with their column and width.
struct Run {
    column: u16,
    width: u16,
    text: String,
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

fn runs(buffer: &Buffer, y: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut x = 0;
    while x < buffer.area.width {
        let cell: &Cell = &buffer[(buffer.area.x + x, buffer.area.y + y)];
        let symbol = clean(cell.symbol());
        let wide = (symbol.width() as u16).max(1);
        match runs.last_mut() {
            Some(run) if (run.fg, run.bg, run.modifier) == (cell.fg, cell.bg, cell.modifier) => {
                run.text.push_str(&symbol);
                run.width += wide;
            }
            _ => runs.push(Run {
                column: x,
                width: wide,
                text: symbol.into_owned(),
                fg: cell.fg,
                bg: cell.bg,
                modifier: cell.modifier,
            }),
        }
        x += wide;
    }
    runs
}

fn text(buffer: &Buffer) -> String {
    (0..buffer.area.height).fold(String::new(), |mut out, y| {
        let line: String = runs(buffer, y).into_iter().map(|r| r.text).collect();
        let _ = writeln!(out, "{}", line.trim_end());
        out
    })
}

fn ansi(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        for run in runs(buffer, y) {
            out.push_str("\x1b[0");
            for (modifier, code) in [
                (Modifier::BOLD, 1),
                (Modifier::DIM, 2),
                (Modifier::ITALIC, 3),
                (Modifier::UNDERLINED, 4),
                (Modifier::REVERSED, 7),
            ] {
                if run.modifier.contains(modifier) {
                    let _ = write!(out, ";{code}");
                }
            }
            out.push_str(&sgr(run.fg, 30));
            out.push_str(&sgr(run.bg, 40));
            let _ = write!(out, "m{}", run.text);
        }
        out.push_str("\x1b[0m\n");
    }
    out
}

/// The SGR parameters of a colour; `base` is 30 for text and 40 for the background.
fn sgr(color: Color, base: u8) -> String {
    match color {
        Color::Reset => String::new(),
        Color::Rgb(r, g, b) => format!(";{};2;{r};{g};{b}", base + 8),
        Color::Indexed(n) => format!(";{};5;{n}", base + 8),
        named => match ansi_index(named) {
            n @ 0..8 => format!(";{}", base + n),
            n => format!(";{}", base + 60 + (n - 8)),
        },
    }
}

fn ansi_index(color: Color) -> u8 {
    match color {
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        _ => 0,
    }
}

/// A colour for a browser; `own` where the cell has the terminal's own.
fn css(color: Color, own: &str) -> String {
    const BASE: [&str; 16] = [
        "#000000", "#cd3131", "#0dbc79", "#c9a500", "#2472c8", "#bc3fbc", "#11a8cd", "#c5c8cf", "#666c78", "#f14c4c",
        "#23d18b", "#f5e04c", "#3b8eea", "#d670d6", "#29b8db", "#ffffff",
    ];
    match color {
        Color::Reset => own.to_owned(),
        Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Indexed(n @ 0..16) => BASE[usize::from(n)].to_owned(),
        Color::Indexed(n @ 16..232) => {
            let level = |v: u8| if v == 0 { 0 } else { 55 + 40 * v };
            let n = n - 16;
            format!("#{:02x}{:02x}{:02x}", level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        Color::Indexed(n) => {
            let v = 8 + 10 * (n - 232);
            format!("#{v:02x}{v:02x}{v:02x}")
        }
        named => BASE[usize::from(ansi_index(named))].to_owned(),
    }
}

/// Foreground and background of a run as they are seen, reversal done.
fn seen(run: &Run) -> (String, String) {
    let (fg, bg) = (css(run.fg, INK), css(run.bg, PAPER));
    if run.modifier.contains(Modifier::REVERSED) { (bg, fg) } else { (fg, bg) }
}

fn declarations(run: &Run) -> String {
    let mut out = String::new();
    for (modifier, css) in [
        (Modifier::BOLD, "font-weight:bold;"),
        (Modifier::DIM, "opacity:.6;"),
        (Modifier::ITALIC, "font-style:italic;"),
        (Modifier::UNDERLINED, "text-decoration:underline;"),
    ] {
        if run.modifier.contains(modifier) {
            out.push_str(css);
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn svg(buffer: &Buffer) -> String {
    let (width, height) = (f32::from(buffer.area.width) * CELL.0, f32::from(buffer.area.height) * CELL.1);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         font-family=\"ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{PAPER}\"/>\n"
    );
    for y in 0..buffer.area.height {
        for run in runs(buffer, y) {
            let (fg, bg) = seen(&run);
            let (x, top) = (f32::from(run.column) * CELL.0, f32::from(y) * CELL.1);
            let wide = f32::from(run.width) * CELL.0;
            if bg != PAPER {
                let _ = writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{:.1}\" fill=\"{bg}\"/>",
                    CELL.1
                );
            }
            if !run.text.trim().is_empty() {
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{fg}\" style=\"{}\" textLength=\"{wide:.1}\" \
                     lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{}</text>",
                    top + 13.5,
                    declarations(&run),
                    escape(&run.text)
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

fn html(buffer: &Buffer) -> String {
    let mut out = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>kansole</title>\n\
         <pre style=\"background:{PAPER};color:{INK};font-family:monospace;line-height:1.3\">"
    );
    for y in 0..buffer.area.height {
        for run in runs(buffer, y) {
            let (fg, bg) = seen(&run);
            let _ = write!(
                out,
                "<span style=\"color:{fg};background:{bg};{}\">{}</span>",
                declarations(&run),
                escape(&run.text)
            );
        }
        out.push('\n');
    }
    out.push_str("</pre>\n");
    out
}
