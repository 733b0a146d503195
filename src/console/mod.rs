//! The terminal: panes, widgets, input, drawing.
