//! Times and ages, as the rest of kansole speaks of them.

use chrono::{DateTime, TimeDelta, Utc};
use std::sync::OnceLock;
use std::time::Duration;

/// A moment, always UTC inside the program.
pub type Timestamp = DateTime<Utc>;

/// The clock kansole lives by, and how many of its seconds pass in a real one.
type Lent = (Box<dyn Fn() -> Timestamp + Send + Sync>, f64);

static LENT: OnceLock<Lent> = OnceLock::new();

/// Now. The system's time, but for a demo, whose cluster has a time of its own.
pub fn now() -> Timestamp {
    LENT.get().map_or_else(Utc::now, |(clock, _)| clock())
}

/// How long `span` of kansole's time really takes: for what waits on the cluster. What waits on people, on the network or on the
/// screen counts in real time and does not ask.
pub fn real(span: Duration) -> Duration {
    LENT.get().map_or(span, |(_, speed)| span.div_f64(*speed))
}

/// Makes the whole process live by `clock`, which runs `speed` times as fast as the system's (above 0). Once, before anything
/// else asks for the time; later calls are ignored.
pub fn live_by(clock: impl Fn() -> Timestamp + Send + Sync + 'static, speed: f64) {
    let _ = LENT.set((Box::new(clock), speed));
}

/// How long ago `then` was, as kubectl prints it: `12s`, `3m12s`, `5h`, `12d`. Never negative.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    short(now.signed_duration_since(then))
}

/// A duration in kubectl's short form; negative durations count as zero.
pub fn short(d: TimeDelta) -> String {
    let s = d.num_seconds().max(0);
    let (m, h, days) = (s / 60, s / 3600, s / 86_400);
    match s {
        0..120 => format!("{s}s"),
        120..600 if s % 60 != 0 => format!("{m}m{}s", s % 60),
        120..10_800 => format!("{m}m"),
        10_800..28_800 if m % 60 != 0 => format!("{h}h{}m", m % 60),
        10_800..172_800 => format!("{h}h"),
        172_800..691_200 if h % 24 != 0 => format!("{days}d{}h", h % 24),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_like_kubectl() {
        for (seconds, text) in [
            (-5, "0s"),
            (59, "59s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (3600, "60m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (90_000, "25h"),
            (176_400, "2d1h"),
            (1_036_800, "12d"),
        ] {
            assert_eq!(short(TimeDelta::seconds(seconds)), text);
        }
    }
}
