//! What frames cost on the wire, counted: a table and charts in the scenarios that were measured with a plain table
//! and one chart of ratatui at the same sizes. Bytes are exact, so that they can be tested.

use super::app::{Model, Msg};
use super::caps::Depth;
use super::panes::{all, fixtures};
use super::screen::Screen;
use super::testing::{look, type_keys};
use super::update::update;
use super::view::view;
use crate::model::object::WorkloadKey;
use chrono::TimeDelta;
use ratatui::Terminal;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Counts writes and bytes.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Vec<usize>>>);

impl io::Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().push(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Line {
    model: Model,
    screen: Terminal<Screen<Wire>>,
    wire: Wire,
}

impl Line {
    fn new((width, height): (u16, u16)) -> Self {
        let mut world = fixtures::troubled();
        let mut snapshot = (*world.snapshot).clone();
        // More workloads than any screen has lines.
        let one = snapshot.workloads.iter().find(|w| &*w.key.name == "cart").unwrap().clone();
        let many = (0..200).map(|i| {
            let mut w = (*one).clone();
            w.key = WorkloadKey::new("shop", one.key.kind.clone(), format!("service-{i:03}"));
            Arc::new(w)
        });
        snapshot.workloads = snapshot.workloads.iter().cloned().chain(many).collect();
        world.snapshot = Arc::new(snapshot);
        let mut model = Model::new(all(), Arc::new(world), look("dark", Depth::Ansi256, false), TimeDelta::seconds(60));
        model.now = fixtures::now();
        model.size = (width, height);
        let wire = Wire::default();
        let screen = Terminal::new(Screen::new(wire.clone(), true).with_size(width, height)).unwrap();
        Self { model, screen, wire }
    }

    /// Bytes of one frame; it is at most one write.
    fn frame(&mut self) -> usize {
        self.wire.0.borrow_mut().clear();
        let model = &self.model;
        self.screen.draw(|f| view(model, f)).unwrap();
        let writes = self.wire.0.borrow();
        assert!(writes.len() <= 1, "{writes:?}");
        writes.iter().sum()
    }

    fn keys(&mut self, keys: &str) -> usize {
        type_keys(&mut self.model, keys);
        self.frame()
    }
}

/// Size; then limits of a first frame, a cursor one line down, a scroll by one row, and a chart one sample on, as measured
/// with a plain table and chart; of the cursor more (318 and 518 there), because here ages and the place in the list move with
/// it, the cells of a row have colours of their own, and on wide screens rows end with little charts.
const LIMITS: [((u16, u16), [usize; 4]); 2] =
    [((120, 40), [8_143, 420, 2_936, 10_274]), ((220, 60), [14_383, 700, 4_721, 35_371])];

#[test]
fn frames_stay_within_their_bytes_and_idle_ones_cost_none() {
    let mut over = Vec::new();
    for (size, [first, cursor, scroll, shift]) in LIMITS {
        let mut line = Line::new(size);
        type_keys(&mut line.model, "2");
        let mut measured = vec![("first frame", line.frame(), first)];
        assert_eq!(line.frame(), 0, "a frame that changes nothing is not sent");
        measured.push(("cursor down", line.keys("j"), cursor));
        line.keys("G");
        line.keys("g g");
        for _ in 0..size.1 {
            line.keys("j");
        }
        measured.push(("scroll by a row", line.keys("j"), scroll));
        line.keys("3 enter");
        line.frame();
        // A second later nothing has moved but ages; a step later the charts have.
        let later = line.model.now + TimeDelta::seconds(30);
        update(&mut line.model, Msg::Tick, later);
        measured.push(("charts, one step on", line.frame(), shift));
        for (what, bytes, limit) in measured {
            println!("{}x{} {what}: {bytes} bytes of at most {limit}", size.0, size.1);
            if bytes > limit {
                over.push(format!("{size:?} {what}: {bytes} bytes, more than {limit}"));
            }
        }
    }
    assert!(over.is_empty(), "{over:#?}");
}

#[test]
fn between_two_samples_charts_stand_still() {
    let mut line = Line::new((120, 40));
    line.keys("3 enter");
    let first = line.model.now + TimeDelta::seconds(31);
    update(&mut line.model, Msg::Tick, first);
    line.frame();
    let mut most = 0;
    for s in 32..60 {
        let now = fixtures::now() + TimeDelta::seconds(s);
        update(&mut line.model, Msg::Tick, now);
        most = most.max(line.frame());
    }
    assert!(most < 600, "only ages change: {most} bytes");
}
