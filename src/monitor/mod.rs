//! What is: watches, queries, snapshots.
