//! Maintenance windows: a schedule in a time zone, open for a while from each of its times.

use crate::config::settings::Window;
use crate::model::time::Timestamp;
use chrono::{TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use std::str::FromStr;

/// Until when a window is open at `now`; `None` if it is closed. `Err` if its schedule or zone cannot be read, which
/// opens nothing.
pub(super) fn open_until(window: &Window, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let (cron, zone) = read(window)?;
    let Ok(last) = cron.find_previous_occurrence(&now.with_timezone(&zone), true) else { return Ok(None) };
    let end = last.with_timezone(&Utc) + TimeDelta::from_std(window.duration).unwrap_or(TimeDelta::zero());
    Ok((end > now).then_some(end))
}

/// When a window opens next.
pub(super) fn next(window: &Window, now: Timestamp) -> Option<Timestamp> {
    let (cron, zone) = read(window).ok()?;
    Some(cron.find_next_occurrence(&now.with_timezone(&zone), false).ok()?.with_timezone(&Utc))
}

/// Whether a window is for a namespace (`None`: nodes and the cluster, which only windows for all are for).
pub(super) fn concerns(window: &Window, namespace: Option<&str>) -> bool {
    window.namespaces.is_empty() || namespace.is_some_and(|ns| window.namespaces.iter().any(|n| n == ns))
}

/// A time as people of the window's zone read it.
pub(super) fn local(window: &Window, at: Timestamp) -> String {
    match Tz::from_str(&window.timezone) {
        Ok(zone) => at.with_timezone(&zone).format("%a %d %b %H:%M %Z").to_string(),
        Err(_) => at.format("%a %d %b %H:%M UTC").to_string(),
    }
}

fn read(window: &Window) -> Result<(Cron, Tz), String> {
    let cron = Cron::from_str(&window.cron).map_err(|e| format!("{:?} is not a schedule: {e}", window.cron))?;
    let zone = Tz::from_str(&window.timezone).map_err(|_| format!("{:?} is not a time zone", window.timezone))?;
    Ok((cron, zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn window(cron: &str, hours: u64, zone: &str) -> Window {
        Window {
            cron: cron.into(),
            duration: Duration::from_secs(hours * 3600),
            timezone: zone.into(),
            namespaces: vec![],
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn g13_a_window_opens_by_the_clock_of_its_zone_winter_and_summer() {
        let berlin = window("0 2 * * *", 2, "Europe/Berlin");
        assert_eq!(open_until(&berlin, at("2026-01-15T01:00:00Z")), Ok(Some(at("2026-01-15T03:00:00Z"))));
        assert_eq!(open_until(&berlin, at("2026-01-15T00:59:59Z")), Ok(None));
        assert_eq!(open_until(&berlin, at("2026-01-15T03:00:00Z")), Ok(None), "its end is outside");
        assert_eq!(open_until(&berlin, at("2026-07-15T00:00:00Z")), Ok(Some(at("2026-07-15T02:00:00Z"))));
        assert_eq!(next(&berlin, at("2026-07-15T00:00:00Z")), Some(at("2026-07-16T00:00:00Z")));
        // 02:30 does not exist on the night the clocks go forward: it opens when that night's clocks pass it.
        let gap = window("30 2 29 3 *", 1, "Europe/Berlin");
        assert!(next(&gap, at("2026-03-28T00:00:00Z")).is_some());
    }

    #[test]
    fn g13_a_window_over_midnight_stays_open_and_overlapping_ones_end_with_the_last() {
        let night = window("0 22 * * FRI", 8, "UTC");
        assert_eq!(open_until(&night, at("2026-11-28T05:59:59Z")), Ok(Some(at("2026-11-28T06:00:00Z"))));
        assert_eq!(open_until(&night, at("2026-11-29T05:00:00Z")), Ok(None));
        let hourly = window("0 * * * *", 2, "UTC");
        assert_eq!(open_until(&hourly, at("2026-11-28T05:30:00Z")), Ok(Some(at("2026-11-28T07:00:00Z"))));
    }

    #[test]
    fn g13_what_cannot_be_read_opens_nothing() {
        assert!(open_until(&window("0 25 * * *", 1, "UTC"), at("2026-01-01T00:00:00Z")).is_err());
        assert!(open_until(&window("0 2 * * *", 1, "Mars/Base"), at("2026-01-01T00:00:00Z")).is_err());
        let mut shop = window("0 2 * * *", 1, "UTC");
        shop.namespaces = vec!["shop".into()];
        assert!(concerns(&shop, Some("shop")) && !concerns(&shop, Some("pay")) && !concerns(&shop, None));
    }
}
