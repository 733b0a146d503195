//! Notices that the terminal is gone. crossterm 0.29 does not: its reader spins for ever at full speed when
//! the other end closes (crossterm #793), so the process must not outlive its terminal.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// Between two looks; a hang-up wakes the look at once.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// What a clean end may take after the terminal is gone; then the process ends by force.
const GRACE: Duration = Duration::from_millis(1800);

/// Exit code when the clean end took too long: 128 + SIGHUP.
const FORCED: i32 = 129;

/// Watches while it is held.
#[derive(Debug)]
pub struct Watchdog {
    done: Arc<AtomicBool>,
}

impl Watchdog {
    /// Watches a terminal. The receiver hears when it is gone; from then on the process has 1.8 s to end.
    pub fn start(tty: impl AsFd + Send + 'static) -> (Self, oneshot::Receiver<()>) {
        let (tx, lost) = oneshot::channel();
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        std::thread::spawn(move || {
            while !gone(&tty) {
                if seen.load(Ordering::SeqCst) {
                    return;
                }
            }
            let _ = tx.send(());
            std::thread::sleep(GRACE);
            if !seen.load(Ordering::SeqCst) {
                std::process::exit(FORCED);
            }
        });
        (Self { done }, lost)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
    }
}

/// Waits up to a second and tells whether the terminal is gone. Reads nothing.
fn gone(tty: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(tty, PollFlags::empty())];
    match poll(&mut fds, Some(&LOOK)) {
        Ok(0) | Err(Errno::INTR) => false,
        Ok(_) => fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_other_end_is_noticed() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (dog, lost) = Watchdog::start(ours);
        drop(theirs);
        assert!(tokio::time::timeout(Duration::from_secs(2), lost).await.is_ok_and(|r| r.is_ok()));
        drop(dog);
    }
}
