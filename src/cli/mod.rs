//! The command line: parsing, and one file per command.

pub mod args;
