//! What traces mean (A6): the critical path of a request.

pub mod critical;
pub mod tree;
