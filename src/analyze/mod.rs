//! What it means: findings with evidence.

pub mod slo;
