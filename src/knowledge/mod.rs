//! What was learned: the journal, and what its outcomes tell.
//!
//! One SQLite file holds everything that was seen, proposed, decided and done, chained by hashes. It is
//! written before anything is done ([`crate::model::journal::Ledger`]), so that after a crash the next
//! start knows what was in flight.

mod chain;
pub mod journal;
mod lock;
pub mod outcomes;
mod store;
#[cfg(test)]
mod tests;

pub use chain::{VerifyError, VerifyReport};
pub use journal::{Journal, JournalError};
