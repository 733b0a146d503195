//! The laws: waiting lines, distributions of durations, CFS bandwidth control. Pure functions; seconds everywhere.

/// Standard normal distribution function (Abramowitz and Stegun 7.1.26; error below 2e-7).
pub fn normal(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly =
        t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let upper = 0.5 * poly * (-z * z).exp();
    if x >= 0.0 { 1.0 - upper } else { upper }
}

/// The number below which the share `p` of standard normal numbers lies, within ±6: [`normal`] the other way round.
pub fn quantile(p: f64) -> f64 {
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if normal(middle) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// How long something takes: a fixed wait, and after it a log-normal part. The latter stands for a log-normal service
/// and an exponential wait, matched in their first two moments (Fenton and Wilkinson's way).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Takes {
    /// Everybody waits this long.
    pub fixed: f64,
    mu: f64,
    sigma: f64,
    mean: f64,
}

impl Takes {
    /// From a fixed wait, the mean service time with the deviation of its logarithm, and the mean of an exponential wait.
    pub fn new(fixed: f64, service: f64, sigma: f64, wait: f64) -> Self {
        let mean = (service + wait).max(1e-7);
        let variance = service * service * ((sigma * sigma).exp() - 1.0) + wait * wait;
        let sigma2 = (1.0 + variance / (mean * mean)).ln();
        Self { fixed, mu: mean.ln() - sigma2 / 2.0, sigma: sigma2.sqrt().max(1e-6), mean }
    }

    /// The mean.
    pub fn mean(self) -> f64 {
        self.fixed + self.mean
    }

    /// How long it takes for one whose luck is `z`: standard normal numbers give its distribution.
    pub fn at(self, z: f64) -> f64 {
        self.fixed + (self.mu + self.sigma * z).exp()
    }

    /// Share that takes at most `t`.
    pub fn within(self, t: f64) -> f64 {
        let left = t - self.fixed;
        if left <= 0.0 || self.mean <= 0.0 { 0.0 } else { normal((left.ln() - self.mu) / self.sigma) }
    }

    /// Mean of the lesser of it and `t`: what one waits who gives up after `t`.
    pub fn until(self, t: f64) -> f64 {
        let left = t - self.fixed;
        if left <= 0.0 {
            return t;
        }
        let x = (left.ln() - self.mu) / self.sigma;
        self.fixed + self.mean * normal(x - self.sigma) + left * (1.0 - normal(x))
    }
}

/// Mean wait for one of `servers` that are `busy` (0..1) with services of mean `service` (Sakasegawa 1977, M/M/c).
pub fn wait(service: f64, servers: f64, busy: f64) -> f64 {
    let (servers, busy) = (servers.max(1.0), busy.clamp(0.0, 0.98));
    service * busy.powf((2.0 * (servers + 1.0)).sqrt() - 1.0) / (servers * (1.0 - busy))
}

/// Seconds of a CFS period.
pub const PERIOD: f64 = 0.1;

/// Share of periods in which `rate` pieces of work of `each` seconds (exponential) want more than `limit` cores give, and
/// the seconds a thread then waits. What a period wants is taken as normal (compound Poisson).
pub fn throttled(rate: f64, each: f64, limit: f64) -> (f64, f64) {
    let (want, quota) = (rate * each * PERIOD, limit * PERIOD);
    if want <= 0.0 {
        return (0.0, 0.0);
    }
    let spread = (2.0 * rate * PERIOD).sqrt() * each;
    let share = 1.0 - normal((quota - want) / spread.max(1e-9));
    // It runs on several threads until the quota is used, and waits for the rest of the period.
    let over = (want + spread - quota).max(0.0);
    (share, PERIOD * (over / (quota + over)).clamp(0.05, 0.9))
}

/// Shares `cores` among those who want some: each gets what it wants as long as its share by weight covers it, the rest
/// is shared again (CFS between busy groups).
pub fn share(cores: f64, wants: &[(f64, f64)]) -> Vec<f64> {
    let mut got = vec![0.0; wants.len()];
    let mut open: Vec<usize> = (0..wants.len()).collect();
    let mut left = cores.max(0.0);
    while !open.is_empty() {
        let weights: f64 = open.iter().map(|&i| wants[i].1).sum();
        let each = left / weights.max(1e-9);
        let (fits, rest): (Vec<usize>, Vec<usize>) = open.iter().partition(|&&i| wants[i].0 <= wants[i].1 * each);
        if fits.is_empty() {
            for i in rest {
                got[i] = wants[i].1 * each;
            }
            break;
        }
        for i in fits {
            got[i] = wants[i].0;
            left -= wants[i].0;
        }
        left = left.max(0.0);
        open = rest;
    }
    got
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_s_moments_and_shares_agree() {
        let t = Takes::new(0.0, 0.02, 0.6, 0.01);
        assert!((t.mean() - 0.03).abs() < 1e-12);
        // Integral of 1 - F is the mean.
        let integral: f64 = (0..100_000).map(|i| (1.0 - t.within(f64::from(i) * 1e-5 + 5e-6)) * 1e-5).sum();
        assert!((integral - 0.03).abs() < 2e-4, "{integral}");
        let until: f64 = (0..4_000).map(|i| (1.0 - t.within(f64::from(i) * 1e-5 + 5e-6)) * 1e-5).sum();
        assert!((t.until(0.04) - until).abs() < 2e-4);
        assert_eq!(Takes::new(5.0, 0.02, 0.6, 0.0).until(2.0), 2.0);
    }

    #[test]
    fn quantiles_are_where_the_distribution_says() {
        for (p, z) in [(0.5, 0.0), (0.975, 1.959_964), (0.01, -2.326_348)] {
            assert!((quantile(p) - z).abs() < 1e-4, "{p}");
        }
        let t = Takes::new(0.1, 0.02, 0.6, 0.01);
        assert!((t.within(t.at(quantile(0.9))) - 0.9).abs() < 1e-6);
    }

    #[test]
    fn one_server_waits_as_m_m_1_does() {
        assert!((wait(0.01, 1.0, 0.5) - 0.01).abs() < 1e-9);
        assert!(wait(0.01, 16.0, 0.5) < 1e-4);
    }

    #[test]
    fn cores_are_shared_by_weight_and_none_is_lost() {
        assert_eq!(share(4.0, &[(1.0, 1.0), (1.0, 5.0)]), [1.0, 1.0]);
        let got = share(2.0, &[(4.0, 1.0), (4.0, 3.0), (0.2, 0.01)]);
        assert!((got.iter().sum::<f64>() - 2.0).abs() < 1e-9 && got[1] > got[0], "{got:?}");
    }

    #[test]
    fn a_tight_limit_throttles_and_a_wide_one_does_not() {
        assert!(throttled(60.0, 0.003, 1.0).0 < 0.01);
        assert!(throttled(60.0, 0.003, 0.2).0 > 0.2);
        assert!(throttled(60.0, 0.003, 0.1).0 > 0.7);
    }
}
