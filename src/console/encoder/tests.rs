//! What the encoder writes shows, on a terminal, exactly what ratatui's own backend would show.

use super::*;
use crate::console::screen::Screen;
use crate::console::testing::parser;
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// A terminal that shows what is written to it.
#[derive(Clone)]
struct Tty(Arc<Mutex<vt100::Parser>>);

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().process(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that is seen of a cell: text, colours, attributes. Of a blank only what a blank shows.
type Look = (String, vt100::Color, vt100::Color, [bool; 5]);

fn look(screen: &vt100::Screen, x: u16, y: u16) -> Look {
    let cell = screen.cell(y, x).unwrap();
    let text = if cell.has_contents() { cell.contents().to_owned() } else { " ".to_owned() };
    let [bold, dim, italic] = [cell.bold(), cell.dim(), cell.italic()];
    let (under, inverse) = (cell.underline(), cell.inverse());
    if text == " " && !under && !inverse {
        return (text, vt100::Color::Default, cell.bgcolor(), [false; 5]);
    }
    (text, cell.fgcolor(), cell.bgcolor(), [bold, dim, italic, under, inverse])
}

/// A buffer on an empty terminal, as ratatui's own backend writes it. Not frame by frame: where a wide character covers half of
/// another, what the terminal leaves of that one is not in ratatui's picture, and stays.
fn reference(content: &Buffer) -> vt100::Parser {
    let mut bytes = Vec::new();
    let empty = Buffer::empty(content.area);
    CrosstermBackend::new(&mut bytes).draw(empty.diff(content).into_iter()).unwrap();
    let mut terminal = parser(content.area.width, content.area.height);
    terminal.process(&bytes);
    terminal
}

/// What one step of a frame does.
#[derive(Debug, Clone)]
enum Stroke {
    Text(u16, u16, String, Style),
    Fill(Rect, Style),
    Clear,
}

fn style() -> impl Strategy<Value = Style> {
    let colour = prop_oneof![
        Just(Color::Reset),
        Just(Color::Red),
        Just(Color::LightCyan),
        Just(Color::Indexed(110)),
        Just(Color::Rgb(1, 22, 255)),
    ];
    let modifiers = prop_oneof![
        3 => Just(Modifier::empty()),
        1 => Just(Modifier::BOLD),
        1 => Just(Modifier::DIM | Modifier::ITALIC),
        1 => Just(Modifier::UNDERLINED),
        1 => Just(Modifier::REVERSED | Modifier::BOLD),
    ];
    (colour.clone(), colour, modifiers).prop_map(|(fg, bg, m)| Style::new().fg(fg).bg(bg).add_modifier(m))
}

fn stroke(width: u16, height: u16) -> impl Strategy<Value = Stroke> {
    let text = prop_oneof!["[a-c ]{0,12}", "[ ]{1,20}", "(e\u{301}|x|│|⣿| ){1,8}"];
    prop_oneof![
        6 => (0..width, 0..height, text, style()).prop_map(|(x, y, t, s)| Stroke::Text(x, y, t, s)),
        // In even columns: what is left of a wide character that another covers by half is not told by ratatui's diff.
        2 => (0..width / 2, 0..height, "車{1,4}", style()).prop_map(|(x, y, t, s)| Stroke::Text(x * 2, y, t, s)),
        2 => (0..width, 0..height, 1..width, 1..height, style()).prop_map(move |(x, y, w, h, s)| {
            Stroke::Fill(Rect::new(x, y, w, h).intersection(Rect::new(0, 0, width, height)), s)
        }),
        1 => Just(Stroke::Clear),
    ]
}

/// Bold and dim at once are left out: vt100 knows one weight, the last one said.
fn paint(buffer: &mut Buffer, stroke: &Stroke) {
    match stroke {
        Stroke::Text(x, y, text, style) => {
            buffer.set_stringn(*x, *y, text, usize::from(buffer.area.width - x), *style);
        }
        Stroke::Fill(area, style) => buffer.set_style(*area, *style),
        Stroke::Clear => buffer.reset(),
    }
    // A wide character whose second half is something else has no right look: it goes.
    let width = usize::from(buffer.area.width);
    for at in 0..buffer.content.len() {
        let alone = (at + 1) % width == 0 || *buffer.content[at + 1].symbol() != *Cell::EMPTY.symbol();
        if buffer.content[at].symbol().width() > 1 && alone {
            buffer.content[at].set_symbol(" ");
        }
    }
    for cell in buffer.content.iter_mut().filter(|c| c.modifier.contains(Modifier::BOLD)) {
        cell.modifier.remove(Modifier::DIM);
    }
}

const SIZE: (u16, u16) = (24, 6);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn every_frame_shows_what_was_drawn(
        frames in prop::collection::vec(prop::collection::vec(stroke(SIZE.0, SIZE.1), 1..7), 1..7)
    ) {
        let tty = Tty(Arc::new(Mutex::new(parser(SIZE.0, SIZE.1))));
        let mut terminal = Terminal::new(Screen::new(tty.clone(), true).with_size(SIZE.0, SIZE.1)).unwrap();
        let mut content = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
        for strokes in &frames {
            for stroke in strokes {
                paint(&mut content, stroke);
            }
            terminal.draw(|f| f.buffer_mut().clone_from(&content)).unwrap();
            let wanted = reference(&content);
            let shown = tty.0.lock().unwrap();
            for (x, y) in (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (x, y))) {
                prop_assert_eq!(look(shown.screen(), x, y), look(wanted.screen(), x, y), "at {},{}", x, y);
            }
        }
    }
}

fn encoded(encoder: &mut Encoder, width: u16, cells: &[(u16, u16, &str, Style)]) -> String {
    let cells: Vec<(u16, u16, Cell)> = cells
        .iter()
        .map(|(x, y, symbol, style)| {
            let mut cell = Cell::EMPTY;
            cell.set_symbol(symbol).set_style(*style);
            (*x, *y, cell)
        })
        .collect();
    encoder.draw(Size { width, height: 9 }, cells.iter().map(|(x, y, c)| (*x, *y, c)))
}

#[test]
fn only_what_differs_is_sent_and_the_shortest_way() {
    let plain = Style::new();
    let mut encoder = Encoder::new();
    let mut draw = |cells: &[(u16, u16, &str, Style)]| encoded(&mut encoder, 40, cells);
    assert_eq!(draw(&[(0, 0, "a", plain), (1, 0, "b", plain)]), "\x1b[Hab");
    assert_eq!(draw(&[(0, 0, "a", plain), (1, 0, "b", plain)]), "", "it is there already");
    assert_eq!(draw(&[(3, 0, " ", plain.red())]), "", "nobody sees the colour of a blank");
    assert_eq!(draw(&[(0, 0, "A", plain), (2, 0, "C", plain)]), "\x1b[HAbC", "b is shorter than a move over it");
    assert_eq!(draw(&[(0, 1, "x", plain), (0, 2, "y", plain)]), "\x1b[2Hx\r\ny");
    let red = plain.red().bold();
    let cells = [(0, 1, "x", red), (1, 1, "z", red.blue()), (2, 1, "w", red.not_bold())];
    assert_eq!(
        draw(&cells),
        "\x1b[2H\x1b[1;31mx\x1b[34mz\x1b[0;31mw\x1b[m",
        "differences, or anew where that is shorter"
    );
}

#[test]
fn blanks_are_erased_where_that_is_shorter_and_the_terminal_can() {
    let night = Style::new().on_red();
    let row: Vec<(u16, u16, &str, Style)> = (0..40).map(|x| (x, 1, " ", night)).collect();
    assert_eq!(encoded(&mut Encoder::new(), 40, &row), "\x1b[2H\x1b[41m\x1b[2K\x1b[m");
    assert_eq!(encoded(&mut Encoder::new(), 40, &row[..12]), "\x1b[2H\x1b[41m\x1b[12X\x1b[m");
    let mut poor = Encoder::new();
    poor.without_coloured_erase();
    let spaces = " ".repeat(40);
    assert_eq!(encoded(&mut poor, 40, &row), format!("\x1b[2H\x1b[41m{spaces}\x1b[m"));
}
