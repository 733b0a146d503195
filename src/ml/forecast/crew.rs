//! Runs independent jobs on the machine's cores; results come back in order, whoever computed them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads `wanted` means: itself, or for 0 as many as the machine has cores.
pub fn threads(wanted: usize) -> usize {
    if wanted == 0 { std::thread::available_parallelism().map_or(1, std::num::NonZero::get) } else { wanted }
}

/// `work(0) … work(count-1)`, on at most `threads` threads (0: as many as the machine has cores).
pub fn map<T: Send>(count: usize, threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = self::threads(threads).min(count);
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let hand = || {
        let mut mine = Vec::new();
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                break;
            }
            mine.push((i, work(i)));
        }
        // A poisoned lock means another hand panicked; the scope below passes that on.
        done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(mine);
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(hand);
        }
    });
    let mut all = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.sort_by_key(|(i, _)| *i);
    all.into_iter().map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_whoever_computed_them() {
        let squares: Vec<usize> = (0..500).map(|i| i * i).collect();
        for threads in [0, 1, 3, 64] {
            assert_eq!(map(500, threads, |i| i * i), squares);
        }
        assert!(map(0, 0, |i| i).is_empty());
    }
}
