//! What to do: proposals with exact patches.
