use super::*;
use crate::console::theme::Glyphs;

fn chart(points: Vec<(f64, f64)>) -> Chart {
    Chart {
        title: vec![("cpu".into(), Role::Title)],
        from: 0.0,
        to: 3600.0,
        now: 3600.0,
        ends: None,
        step: 30.0,
        lines: vec![Line { role: Role::Series1, points }],
        band: None,
        levels: vec![],
        marks: vec![],
        spans: vec![],
        unit: Unit::Count,
        missing: None,
        ..Chart::default()
    }
}

fn shown(chart: &Chart, theme: &Theme) -> Vec<String> {
    let area = Rect::new(0, 0, 47, 12);
    let mut buf = Buffer::empty(area);
    chart.draw(&mut buf, theme, area);
    (0..12).map(|y| (0..47).map(|x| buf[(x, y)].symbol()).collect()).collect()
}

#[test]
fn one_peak_among_thousands_survives() {
    let theme = Theme::plain(Glyphs::ASCII);
    let mut points: Vec<(f64, f64)> = (0..3600).map(|i| (f64::from(i), 1.0)).collect();
    points[1800].1 = 10.0;
    let rows = shown(&chart(points), &theme);
    assert_eq!(rows[1].matches('*').count(), 1, "{rows:#?}");
    assert!(rows[1].trim_start().starts_with("10"));
}

#[test]
fn an_incident_has_its_begin_and_its_length_and_one_outside_is_not_drawn() {
    let theme = Theme::plain(Glyphs::ASCII);
    let low = (0..120).map(|i| (f64::from(i) * 30.0, if i == 0 { 9.0 } else { 1.0 })).collect();
    let mut c = chart(low);
    c.spans = vec![(1800.0, 2700.0), (-900.0, -60.0), (3700.0, 4000.0)];
    let rows = shown(&c, &theme);
    let across = rows[1].matches('=').count();
    assert!((9..=12).contains(&across), "a quarter of 38 columns: {across} {rows:#?}");
    let begin = rows[1].find('=').unwrap();
    assert!(rows[2..8].iter().all(|r| r.find('!') == Some(begin) && r.matches('!').count() == 1), "{rows:#?}");
    c.spans = vec![(-900.0, 360.0)];
    let rows = shown(&c, &theme);
    assert!(rows[1].contains('=') && rows.iter().all(|r| !r.contains('!')), "{rows:#?}");
}

#[test]
fn a_gap_stays_a_gap_and_the_axis_says_so() {
    let theme = Theme::plain(Glyphs::ASCII);
    let points: Vec<(f64, f64)> =
        (0..120).filter(|i| !(40..80).contains(i)).map(|i| (f64::from(i) * 30.0, 5.0)).collect();
    let rows = shown(&chart(points), &theme);
    let line = rows.iter().find(|r| r.contains('*')).unwrap();
    let gap = line.trim().trim_start_matches(|c| c != '*').trim_matches('*');
    assert!(gap.len() >= 10 && gap.trim().is_empty(), "{rows:#?}");
    assert!(rows[11].contains("......"), "{rows:#?}");
}

#[test]
fn no_data_gives_the_reason_and_no_zero() {
    let theme = Theme::plain(Glyphs::UNICODE);
    let mut c = chart(vec![]);
    c.missing = Some("no series".into());
    let all = shown(&c, &theme).join("\n");
    assert!(all.contains("no data: no series") && !all.contains('0'), "{all}");
}

#[test]
fn a_limit_far_above_does_not_flatten_the_data() {
    let mut c = chart((0..120).map(|i| (f64::from(i) * 30.0, 5.0)).collect());
    c.levels.push(Level { value: 8.0, role: Role::Limit });
    assert_eq!(c.top(), 8.0);
    c.levels[0].value = 1000.0;
    assert_eq!(c.top(), 5.0);
}

#[test]
fn a_band_is_shaded_where_it_is_and_raises_the_axis() {
    let theme = Theme::plain(Glyphs::ASCII);
    let mut c = chart((0..60).map(|i| (f64::from(i) * 30.0, 4.0)).collect());
    let points = (60..=120).map(|i| (f64::from(i) * 30.0, 5.0, 9.5)).collect();
    c.band = Some(Band { role: Role::Muted, points });
    c.now = 1800.0;
    assert_eq!(c.top(), 10.0);
    let rows = shown(&c, &theme);
    let shaded: Vec<usize> = (1..10).filter(|y| rows[*y].contains("....")).collect();
    assert_eq!(shaded, [1, 2, 3, 4, 5, 6], "{rows:#?}");
    assert!(rows[2].find('.').unwrap() > 20, "only the second half: {rows:#?}");
    assert!(rows[11].contains("-30m") && rows[11].contains("+30m"), "{}", rows[11]);
}

#[test]
fn a_logarithmic_axis_shows_decades_and_zero_stands_at_its_foot() {
    let theme = Theme::plain(Glyphs::ASCII);
    let mut c = chart((0..120).map(|i| (f64::from(i) * 30.0, if i < 60 { 0.2 } else { 90.0 })).collect());
    c.unit = Unit::Plain;
    let row = |rows: &[String], from: usize| (1..11).find(|y| rows[*y][from..from + 6].contains('*')).unwrap();
    let linear = shown(&c, &theme);
    c.log = true;
    let log = shown(&c, &theme);
    assert!(row(&linear, 14) > row(&log, 14), "small values rise: {log:#?}");
    assert!(log[10].contains("0.1") && log[1].contains("100"), "{log:#?}");
    c.lines[0].points[3].1 = 0.0;
    assert!(shown(&c, &theme)[10].contains('*'));
    c.lines[0].points.iter_mut().for_each(|p| p.1 = -1.0);
    assert!(shown(&c, &theme)[10].contains("-1"), "without anything above zero it is linear");
}

#[test]
fn the_crosshair_tells_each_series_and_a_gap_as_unknown() {
    let theme = Theme::plain(Glyphs::ASCII);
    let mut c = chart((0..120).map(|i| (f64::from(i) * 30.0, f64::from(i))).collect());
    let half = (0..40).map(|i| (f64::from(i) * 30.0, 7.0)).collect();
    c.lines.push(Line { role: Role::Series2, points: half });
    c.cross = Some(1800.0);
    let rows = shown(&c, &theme);
    assert!(rows[11].contains(" 00:30:00 60 ? "), "{rows:#?}");
    c.cross = Some(900.0);
    assert!(shown(&c, &theme)[11].contains(" 00:15:00 30 7 "));
    c.cross = Some(9000.0);
    assert!(!shown(&c, &theme)[11].contains(':'), "outside of the chart there is nothing to tell");
}

#[test]
fn where_the_font_has_no_braille_blocks_draw_the_same_line() {
    let blocks = Theme::plain(Glyphs { blocks: true, ..Glyphs::UNICODE });
    let c = chart((0..120).map(|i| (f64::from(i) * 30.0, f64::from(i % 40))).collect());
    let all = shown(&c, &blocks).join("");
    assert!(all.chars().any(|c| "▘▝▀▖▌▞▛▗▚▐▜▄▙▟█".contains(c)));
    assert!(!all.chars().any(|c| ('\u{2800}'..='\u{28ff}').contains(&c)), "{all}");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// Rows of the plot (0 at the top) on which the series has a dot in the column of a moment.
    fn dots(rows: &[String], gutter: usize, column: usize) -> Vec<usize> {
        (1..11).filter(|y| rows[*y].chars().nth(gutter + column) == Some('*')).map(|y| y - 1).collect()
    }

    proptest! {
        /// However many samples fall into a column, the greatest and the least are both drawn.
        #[test]
        fn the_extremes_of_every_column_are_drawn(
            values in prop::collection::vec(0.0..100.0f64, 1..4000),
            log in any::<bool>(),
        ) {
            let theme = Theme::plain(Glyphs::ASCII);
            let step = 3600.0 / values.len() as f64;
            let points: Vec<(f64, f64)> = values.iter().enumerate().map(|(i, v)| (i as f64 * step, *v)).collect();
            let mut c = chart(points.clone());
            (c.log, c.step) = (log, step);
            let rows = shown(&c, &theme);
            let gutter = rows[1].find('|').unwrap() + 1;
            let columns = 47 - gutter - 1;
            let scale = c.scale();
            for column in 0..columns {
                let inside = points.iter().filter(|p| (p.0 / 3600.0 * columns as f64) as usize == column).map(|p| p.1);
                let inside: Vec<f64> = inside.collect();
                if inside.is_empty() {
                    continue;
                }
                let found = dots(&rows, gutter, column);
                for end in [inside.iter().copied().fold(f64::MIN, f64::max), inside.iter().copied().fold(f64::MAX, f64::min)] {
                    prop_assert!(found.contains(&scale.row(end, 10)), "column {column}: {end} of {inside:?}\n{rows:#?}");
                }
            }
        }
    }
}
