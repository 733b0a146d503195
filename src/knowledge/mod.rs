//! What was learned: the journal.
