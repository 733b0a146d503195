//! What it means: findings with evidence.
