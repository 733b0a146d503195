//! The backend ratatui draws to: a whole frame is gathered in memory and leaves in one write(2), inside one
//! synchronized update; a frame that changes nothing writes nothing.
//!
//! ratatui's own crossterm backend flushes once for the cursor and once at the end, and moves or hides the
//! cursor every frame; here only [`Backend::flush`] reaches the terminal, and [`Encoder`] says what a change costs least.

use super::encoder::Encoder;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType as Erase, EndSynchronizedUpdate};
use crossterm::{Command, QueueableCommand};
use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use std::io::{self, Write};

/// Bytes kept allocated between frames.
const ROOM: usize = 64 * 1024;

/// Gathers bytes; `flush` sends them as one write.
#[derive(Debug)]
struct FrameWriter<W: Write> {
    frame: Vec<u8>,
    out: W,
    synchronized: bool,
}

impl<W: Write> Write for FrameWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.frame.is_empty() && self.synchronized {
            begin(&mut self.frame, BeginSynchronizedUpdate);
        }
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        if self.synchronized {
            begin(&mut self.frame, EndSynchronizedUpdate);
        }
        let sent = self.out.write_all(&self.frame).and_then(|()| self.out.flush());
        self.frame.clear();
        self.frame.shrink_to(ROOM);
        sent
    }
}

/// Appends a sequence; writing to memory cannot fail.
fn begin(frame: &mut Vec<u8>, command: impl Command) {
    let mut text = String::new();
    let _ = command.write_ansi(&mut text);
    frame.extend_from_slice(text.as_bytes());
}

/// The backend. `W` should not buffer: it gets whole frames.
#[derive(Debug)]
pub struct Screen<W: Write> {
    inner: FrameWriter<W>,
    encoder: Encoder,
    /// `None`: not known, as after another program had the terminal.
    cursor: Option<Cursor>,
    /// Fixed size, for tests; `None`: the terminal is asked.
    size: Option<Size>,
    /// The size that was told last: the one that frames are made for.
    told: std::cell::Cell<Size>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    Hidden,
    Shown(Position),
}

impl<W: Write> Screen<W> {
    /// A screen over a terminal. `synchronized`: bracket frames with DEC mode 2026, which terminals that
    /// don't know it ignore.
    pub fn new(out: W, synchronized: bool) -> Self {
        let writer = FrameWriter { frame: Vec::with_capacity(ROOM), out, synchronized };
        let told = std::cell::Cell::new(Size::ZERO);
        Self { inner: writer, encoder: Encoder::new(), cursor: None, size: None, told }
    }

    /// The same with a size that is given rather than asked, for terminals that are no device.
    #[must_use]
    pub fn with_size(mut self, width: u16, height: u16) -> Self {
        self.size = Some(Size { width, height });
        self
    }

    /// The same for a terminal on which what is erased has no background colour, as GNU screen.
    #[must_use]
    pub fn without_coloured_erase(mut self) -> Self {
        self.encoder.without_coloured_erase();
        self
    }

    /// Sends bytes with the next frame, such as a clipboard sequence.
    pub fn queue(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)
    }

    /// What frames are written to.
    pub fn out(&mut self) -> &mut W {
        &mut self.inner.out
    }

    /// Forgets what is known about the cursor: somebody else had the terminal.
    pub fn forget(&mut self) {
        self.cursor = None;
    }
}

impl<W: Write> Backend for Screen<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let changes = self.encoder.draw(self.told.get(), content);
        if changes.is_empty() {
            return Ok(());
        }
        if let Some(Cursor::Shown(_)) = self.cursor {
            // Drawing moves the cursor, so that its place must be sent again.
            self.cursor = None;
        }
        self.inner.write_all(changes.as_bytes())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.cursor != Some(Cursor::Hidden) {
            self.inner.queue(Hide)?;
            self.cursor = Some(Cursor::Hidden);
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        // Shown together with its place in `set_cursor_position`, which ratatui always calls next.
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(match self.cursor {
            Some(Cursor::Shown(at)) => at,
            _ => Position::ORIGIN,
        })
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let at = position.into();
        if self.cursor != Some(Cursor::Shown(at)) {
            self.inner.queue(MoveTo(at.x, at.y))?.queue(Show)?;
            self.cursor = Some(Cursor::Shown(at));
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        if region == ClearType::All {
            self.encoder.cleared();
        } else {
            self.encoder.unknown();
        }
        let erase = match region {
            ClearType::All => Erase::All,
            ClearType::AfterCursor => Erase::FromCursorDown,
            ClearType::BeforeCursor => Erase::FromCursorUp,
            ClearType::CurrentLine => Erase::CurrentLine,
            ClearType::UntilNewLine => Erase::UntilNewLine,
        };
        self.inner.queue(Clear(erase)).map(|_| ())
    }

    fn size(&self) -> io::Result<Size> {
        let size = match self.size {
            Some(size) => size,
            None => crossterm::terminal::size().map(Size::from)?,
        };
        self.told.set(size);
        Ok(size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        let size = crossterm::terminal::window_size()?;
        Ok(WindowSize {
            columns_rows: Size { width: size.columns, height: size.rows },
            pixels: Size { width: size.width, height: size.height },
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::{Terminal, style::Color, widgets::Paragraph};
    use std::sync::{Arc, Mutex};

    /// Counts writes and shows what a terminal would show.
    #[derive(Clone)]
    struct Tty(Arc<Mutex<(usize, vt100::Parser)>>);

    impl Write for Tty {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut tty = self.0.lock().unwrap();
            tty.0 += 1;
            tty.1.process(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn tty(width: u16, height: u16) -> (Tty, Terminal<Screen<Tty>>) {
        let tty = Tty(Arc::new(Mutex::new((0, crate::console::testing::parser(width, height)))));
        let terminal = Terminal::new(Screen::new(tty.clone(), true).with_size(width, height)).unwrap();
        (tty, terminal)
    }

    #[test]
    fn a_frame_is_one_write_however_large_and_no_change_is_none() {
        let (tty, mut terminal) = tty(400, 200);
        let text = "█".repeat(400 * 200);
        let draw = |t: &mut Terminal<_>, c| {
            t.draw(|f| {
                f.render_widget(Paragraph::new(&*text).wrap(ratatui::widgets::Wrap::default()).style(c), f.area());
            })
            .unwrap();
        };
        draw(&mut terminal, Color::Red);
        assert_eq!(tty.0.lock().unwrap().0, 1, "larger than the buffer");
        draw(&mut terminal, Color::Red);
        assert_eq!(tty.0.lock().unwrap().0, 1, "the same frame again");
        draw(&mut terminal, Color::Blue);
        assert_eq!(tty.0.lock().unwrap().0, 2);
        let screen = &tty.0.lock().unwrap().1;
        let cell = screen.screen().cell(150, 300).unwrap().clone();
        assert_eq!((cell.contents(), cell.fgcolor()), ("█", vt100::Color::Idx(4)));
        assert!(screen.screen().hide_cursor());
    }

    #[test]
    fn the_cursor_is_sent_with_the_frame_that_moves_it() {
        let (tty, mut terminal) = tty(20, 5);
        for (x, writes) in [(3, 1), (3, 1), (4, 2)] {
            terminal.draw(|f| f.set_cursor_position((x, 2))).unwrap();
            assert_eq!(tty.0.lock().unwrap().0, writes);
        }
        let screen = &tty.0.lock().unwrap().1;
        assert_eq!(screen.screen().cursor_position(), (2, 4));
        assert!(!screen.screen().hide_cursor());
    }
}
