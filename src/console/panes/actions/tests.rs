//! Promises of the queue.
