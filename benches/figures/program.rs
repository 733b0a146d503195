//! Figures of the whole program: the release binary on a terminal, against a small API server.

use crate::process;
use crate::pty::{Pty, SIZE, files};
use crate::report::{Report, Samples};
use crate::server::Server;
use crate::synthetic::Cluster;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// From start to the first whole frame, with a server that takes connections and never answers.
pub fn first_frame(report: &mut Report) {
    let hole = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", hole.local_addr().expect("an address"));
    let mut times = Vec::new();
    let mut first = 0;
    let runs = 25;
    for run in 0..runs + 3 {
        let dir = directory();
        files(dir.path(), &url);
        let stop = Arc::new(AtomicBool::new(false));
        let knock = knocked(&hole, stop.clone());
        let pty = Pty::kansole(dir.path());
        let drawn = pty.wait("the first frame", PATIENCE, |s| s.frames > 0 && s.text().contains("MANUAL"));
        std::thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::SeqCst);
        let knocked = knock.join().expect("no panic");
        if run >= 3 {
            times.push(drawn.duration_since(pty.started));
            first += usize::from(knocked.is_none_or(|at| at >= drawn));
        }
    }
    let times = Samples::of(&times);
    report.judged("first frame, from spawn, server never answers", times.words(), "p99 50 ms", times.p99() < 50.0);
    let said = format!("in {first} of {runs} starts the first connection came after the frame");
    report.judged("first frame before any network call", said, "all", first == runs);
}

/// When the first connection came, if any did before the end.
fn knocked(hole: &TcpListener, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<Option<Instant>> {
    let hole = hole.try_clone().expect("a handle");
    hole.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let mut at = None;
        let mut held = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            if let Ok((stream, _)) = hole.accept() {
                at = at.or(Some(Instant::now()));
                held.push(stream);
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        at
    })
}

/// What the program costs while nothing happens: without a cluster, and beside a quiet one.
pub fn idle(report: &mut Report) {
    let dir = directory();
    std::fs::write(dir.path().join("config.toml"), "[connection]\nprometheus = \"none\"\n").expect("written");
    let pty = Pty::kansole(dir.path());
    pty.wait("it says that there is no kubeconfig", PATIENCE, |s| s.text().contains("DISCONNECTED"));
    std::thread::sleep(Duration::from_secs(8)); // messages leave the footer
    let (bytes, frames, share) = rest(&pty, Duration::from_secs(10));
    let said = format!("{bytes} bytes, {frames} frames, {share:.2} % of a core in 10 s");
    report.judged("nothing changes: no cluster", said, "0 bytes, 1 %", bytes == 0 && share < 1.0);
    drop(pty);

    let pods = 10_000;
    let server = Server::start(Cluster::new(pods), 0);
    files(dir.path(), &server.url);
    let mut pty = Pty::kansole(dir.path());
    pty.open_all_pods(pods);
    std::thread::sleep(Duration::from_secs(20));
    let (bytes, frames, share) = rest(&pty, Duration::from_secs(30));
    let said = format!("{share:.2} % of a core; {bytes} bytes in {frames} frames in 30 s, ages only");
    report.judged("nothing changes: quiet cluster of 10 000 pods", said, "1 %", share < 1.0);
    let (now, peak) = process::memory(pty.pid());
    let said = format!("{now:.1} MiB resident, {peak:.1} MiB at its greatest");
    report.judged("memory of the program, 10 000 pods", said, "80 MiB", peak <= 80.0);
}

/// Bytes, frames and share of a core over a while in which nobody does anything.
fn rest(pty: &Pty, span: Duration) -> (u64, u64, f64) {
    let count = |pty: &Pty| {
        let seen = pty.seen();
        (seen.bytes, seen.frames)
    };
    let (before, cpu, began) = (count(pty), process::cpu(pty.pid()), Instant::now());
    std::thread::sleep(span);
    let used = process::cpu(pty.pid()).saturating_sub(cpu).as_secs_f64();
    let after = count(pty);
    (after.0 - before.0, after.1 - before.1, used / began.elapsed().as_secs_f64() * 100.0)
}

/// Memory of the program with 100 000 pods.
pub fn large(report: &mut Report) {
    let (pods, dir) = (100_000, directory());
    let server = Server::start(Cluster::new(pods), 0);
    files(dir.path(), &server.url);
    let mut pty = Pty::kansole(dir.path());
    pty.open_all_pods(pods);
    std::thread::sleep(Duration::from_secs(5));
    let (now, peak) = process::memory(pty.pid());
    let said = format!("{now:.1} MiB resident, {peak:.1} MiB at its greatest");
    report.judged("memory of the program, 100 000 pods", said, "250 MiB", peak <= 250.0);
}

/// From a key to the moved selection on the screen, at 10 000 pods with 1 000 updates a second.
pub fn keys(report: &mut Report) {
    let (pods, rate, dir) = (10_000, 1000, directory());
    let server = Server::start(Cluster::new(pods), rate);
    files(dir.path(), &server.url);
    let mut pty = Pty::kansole(dir.path());
    pty.open_all_pods(pods);
    std::thread::sleep(Duration::from_secs(5));
    let (sent, cpu, began) = (server.updates.load(Ordering::Relaxed), process::cpu(pty.pid()), Instant::now());
    let reach = SIZE.1 / 2;
    let mut times = Vec::new();
    for n in 0..320_u64 {
        // Not in step with the 200 ms at which worlds come.
        std::thread::sleep(Duration::from_millis(31 + n * 37 % 83));
        let before = pty.seen().bar();
        let down = (n / u64::from(reach)).is_multiple_of(2);
        let pressed = pty.keys(if down { "j" } else { "k" });
        let painted = pty.wait("the bar moved", PATIENCE, |s| s.bar().is_some() && s.bar() != before);
        times.push(painted.duration_since(pressed));
    }
    let span = began.elapsed().as_secs_f64();
    let updates = (server.updates.load(Ordering::Relaxed) - sent) as f64 / span;
    let share = process::cpu(pty.pid()).saturating_sub(cpu).as_secs_f64() / span * 100.0;
    let times = Samples::of(&times[20..]);
    report.judged("key to paint, 10 000 pods, 1 000 updates/s", times.words(), "p99 50 ms", times.p99() < 50.0);
    let (now, _) = process::memory(pty.pid());
    report.told("meanwhile", format!("{updates:.0} updates/s, {share:.1} % of a core, {now:.1} MiB resident"));
    writes(report, &mut pty);
}

/// Writes of the whole process over frames that keys cause. With `strace -f -e write` on the same run, the
/// rest are wake-ups of the runtime (eight bytes to an event descriptor).
fn writes(report: &mut Report, pty: &mut Pty) {
    let (frames, writes) = (pty.seen().frames, process::writes(pty.pid()));
    for n in 0..100 {
        pty.keys(if n % 2 == 0 { "j" } else { "k" });
        std::thread::sleep(Duration::from_millis(60));
    }
    let (frames, writes) = (pty.seen().frames - frames, process::writes(pty.pid()) - writes);
    let said = format!("{frames} frames, {writes} writes of the process, wake-ups of the runtime among them");
    report.told("write(2) of the program on a terminal", said);
}
