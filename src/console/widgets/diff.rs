//! Unified diffs: what a plan would change, as the server says it.

use super::lines::Lines;
use crate::console::theme::Role;

/// Adds the lines of a unified diff (`+`, `-`, ` `, `@` in the first column) and returns how many lines
/// are added and removed.
pub fn add(lines: &mut Lines, diff: &str) -> (usize, usize) {
    let (mut added, mut removed) = (0, 0);
    for line in diff.lines() {
        let role = match line.as_bytes().first() {
            // File heads, as `diff -u` writes them, are not changes.
            Some(b'+' | b'-') if line.starts_with("+++") || line.starts_with("---") => Role::Muted,
            Some(b'+') => {
                added += 1;
                Role::Added
            }
            Some(b'-') => {
                removed += 1;
                Role::Removed
            }
            Some(b'@') => Role::Title,
            _ => Role::Muted,
        };
        // Continuation lines stand under the text, not under the sign.
        let hang = 2 + line.chars().skip(1).take_while(|c| *c == ' ').count() as u16;
        lines.add(hang, vec![(line.to_owned(), role)]);
    }
    (added, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_give_the_role_and_are_counted() {
        let mut lines = Lines::default();
        let counts =
            add(&mut lines, "--- live\n+++ planned\n@@ -1 +1 @@\n spec:\n-  memory: 128Mi\n+  memory: 256Mi\n");
        assert_eq!(counts, (1, 1));
        let roles: Vec<Role> = lines.wrap(80).iter().map(|l| l[0].1).collect();
        assert_eq!(roles, [Role::Muted, Role::Muted, Role::Title, Role::Muted, Role::Removed, Role::Added]);
    }

    #[test]
    fn long_lines_wrap_under_their_text() {
        let mut lines = Lines::default();
        add(&mut lines, "+    image: registry.local/cart:1.4.2");
        let rows: Vec<String> = lines.wrap(24).into_iter().map(|l| l.into_iter().map(|(t, _)| t).collect()).collect();
        assert_eq!(rows[0], "+    image: ");
        assert!(rows[1].starts_with("      registry"), "{rows:?}");
    }
}
