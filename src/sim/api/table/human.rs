//! Times as tables show them (apimachinery `duration.HumanDuration`).

use crate::model::time::Timestamp;
use chrono::DateTime;
use serde_json::Value;

/// A number of seconds, in at most two units.
pub fn duration(seconds: i64) -> String {
    // Less than two seconds of clock skew is allowed for.
    if seconds < -1 {
        return "<invalid>".into();
    }
    let s = seconds.max(0);
    let two = |a: i64, unit: &str, b: i64, small: &str| {
        if b == 0 { format!("{a}{unit}") } else { format!("{a}{unit}{b}{small}") }
    };
    let (minutes, hours, days) = (s / 60, s / 3600, s / 86_400);
    match s {
        0..120 => format!("{s}s"),
        120..600 => two(minutes, "m", s % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ if days < 365 * 2 => format!("{days}d"),
        _ if days < 365 * 8 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// A time in an object.
pub fn time(value: Option<&Value>) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(value?.as_str()?).ok().map(Into::into)
}

/// How long ago that was; `<unknown>` without a time.
pub fn since(value: Option<&Value>, now: Timestamp) -> String {
    time(value).map_or_else(|| "<unknown>".into(), |t| duration((now - t).num_seconds()))
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_as_kubectls() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (601, "10m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (30_000, "8h"),
            (200_000, "2d7h"),
            (700_000, "8d"),
            (86_400 * 365 * 2, "2y"),
            (86_400 * 400 * 2, "2y70d"),
            (86_400 * 365 * 9, "9y"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
