//! What can't be bettered in one respect without being worse in another.

/// Places of the rows that no other row dominates: none is at least as small everywhere and smaller somewhere. Of equal
/// rows the first stays. A row with a value that is no number is never among them.
pub fn front(rows: &[Vec<f64>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).filter(|at| rows[*at].iter().all(|value| !value.is_nan())).collect();
    let before = |a: &f64, b: &f64| a.total_cmp(b);
    order.sort_by(|a, b| {
        let values = rows[*a].iter().zip(&rows[*b]).map(|(a, b)| before(a, b));
        values.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then(a.cmp(b))
    });
    // sorted, a row can only be dominated by one before it
    let mut kept: Vec<usize> = Vec::new();
    for at in order {
        let covered = |held: &usize| rows[*held].iter().zip(&rows[at]).all(|(held, new)| held <= new);
        if !kept.iter().any(covered) {
            kept.push(at);
        }
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_front_has_what_nothing_dominates_and_of_equals_the_first() {
        let rows = [[1.0, 5.0], [2.0, 2.0], [3.0, 3.0], [2.0, 2.0], [5.0, 1.0], [f64::NAN, 0.0], [5.0, 1.5]];
        assert_eq!(front(&rows.map(|row| row.to_vec())), [0, 1, 4]);
        assert!(front(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn every_row_is_on_the_front_or_covered_by_it(rows in prop::collection::vec(prop::collection::vec(0u8..6, 3), 0..30)) {
            let rows: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(|v| f64::from(*v)).collect()).collect();
            let front = front(&rows);
            let covers = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a <= b);
            for (at, row) in rows.iter().enumerate() {
                prop_assert_eq!(front.contains(&at), !rows.iter().enumerate().any(|(other, held)| covers(held, row) && (held != row || other < at)));
            }
        }
    }
}
