//! Made-up series for tests: the same seed gives the same values on every machine.

/// `count` draws that are nearly standard normal (sums of twelve uniform ones), by `SplitMix64`.
pub fn noise(seed: u64, count: usize) -> Vec<f64> {
    // Another factor than the step's: neighbouring seeds would give the same draws, shifted by one.
    let mut state = seed.wrapping_add(1).wrapping_mul(0xD134_2543_DE82_EF95);
    let mut uniform = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect()
}

/// The running sum of [`noise`].
pub fn walk(seed: u64, count: usize) -> Vec<f64> {
    noise(seed, count)
        .into_iter()
        .scan(0.0, |level, e| {
            *level += e;
            Some(*level)
        })
        .collect()
}

/// Hourly values with a daily and a weekly wave, a trend and noise of standard deviation `spread`; each seed starts at
/// another hour of the week, so that many of them are no conspiracy.
pub fn traffic(seed: u64, count: usize, spread: f64) -> Vec<f64> {
    let start = seed as usize * 37;
    let wave = |t: usize, season: f64| ((t + start) as f64 * std::f64::consts::TAU / season).sin();
    let value =
        |(t, e): (usize, f64)| 100.0 + 0.01 * t as f64 + 20.0 * wave(t, 24.0) + 8.0 * wave(t, 168.0) + spread * e;
    noise(seed, count).into_iter().enumerate().map(value).collect()
}
