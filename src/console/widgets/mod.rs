//! What panes are drawn with: tables, charts, diffs, wrapped text, bars, filters, cursors.
//!
//! Everything here draws from plain data into a buffer and builds visible rows only.

pub mod bar;
pub mod chart;
pub mod cursor;
pub mod diff;
pub mod filter;
pub mod graph;
pub mod heat;
pub mod lines;
pub mod listing;
pub mod table;
pub mod text;
pub mod unit;
