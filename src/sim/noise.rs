//! Numbers that look random and are not: each is a function of the seed and of what it is asked for, so that the same
//! question has the same answer in whatever order and however often it is put.

/// A source of such numbers (SplitMix64's finaliser over a keyed state; Steele, Lea and Flood 2014).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noise(u64);

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Noise {
    /// The source of a seed.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)))
    }

    /// A source of its own for `name`, independent of the others.
    #[must_use]
    pub fn of(self, name: &str) -> Self {
        // FNV-1a folds the name; the mixer spreads it.
        let folded =
            name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Self(mix(self.0 ^ folded))
    }

    /// The number at `index`, all 64 bits.
    pub fn bits(self, index: i64) -> u64 {
        mix(self.0.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// The number at `index`, in 0..1, uniform.
    pub fn unit(self, index: i64) -> f64 {
        (self.bits(index) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The number at `index`, normal with mean 0 and deviation 1 (sum of twelve uniforms: within ±6).
    pub fn normal(self, index: i64) -> f64 {
        (0..12).map(|i| self.unit(index.wrapping_mul(12).wrapping_add(i))).sum::<f64>() - 6.0
    }

    /// Smooth in `t`: normal numbers at whole `period`s, eased between. Seconds.
    pub fn smooth(self, t: f64, period: f64) -> f64 {
        let x = t / period;
        let (i, f) = (x.floor() as i64, x - x.floor());
        let ease = f * f * (3.0 - 2.0 * f);
        self.normal(i) * (1.0 - ease) + self.normal(i + 1) * ease
    }

    /// `length` characters of the alphabet Kubernetes generates names from.
    pub fn suffix(self, index: i64, length: usize) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        let mut bits = self.bits(index);
        (0..length)
            .map(|_| {
                let c = ALPHABET[(bits % ALPHABET.len() as u64) as usize];
                bits /= ALPHABET.len() as u64;
                char::from(c)
            })
            .collect()
    }

    /// A UUID (version 4 in form) at `index`.
    pub fn uuid(self, index: i64) -> String {
        let (a, b) = (self.bits(index), self.of("low").bits(index));
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            (b >> 48 & 0x3fff) | 0x8000,
            b & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer_and_others_differ() {
        let n = Noise::new(7).of("cart");
        assert_eq!(n.bits(3), Noise::new(7).of("cart").bits(3));
        assert_ne!(n.bits(3), n.bits(4));
        assert_ne!(n.bits(3), Noise::new(7).of("card").bits(3));
        let mean = (0..10_000).map(|i| n.unit(i)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_eq!(n.uuid(1).len(), 36);
    }
}
