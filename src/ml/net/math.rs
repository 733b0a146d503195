//! Sigmoids and sums, on whole vectors of 32-bit floats: a call of the system's `exp` for each value would take longer
//! than the matrix products.
//!
//! There are no closures around vector instructions here nor in the loops that call them: a closure that is not inlined
//! is compiled without the vector unit, and its instructions become calls.

use pulp::Simd;

/// `a * b + c`, in one instruction where there is one.
#[inline(always)]
pub fn fused<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    // without a vector unit it would be a call of a library
    if S::IS_SCALAR { simd.add_f32s(simd.mul_f32s(a, b), c) } else { simd.mul_add_e_f32s(a, b, c) }
}

/// Writes the sum of each column of a matrix of whole rows.
pub fn column_sums(into: &mut [f32], values: &[f32]) {
    into.fill(0.0);
    for row in values.chunks_exact(into.len()) {
        into.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

/// `1 + exp(-x)`, the reciprocal of the sigmoid; beyond 20 either way as at 20.
///
/// `exp(-x)` is `2^k exp(r)` with `|r| <= ln(2) / 2`: `r` takes two subtractions, because `k ln(2)` has more digits
/// than a float (Cody & Waite 1980), and `exp(r)` is its Taylor polynomial up to the sixth power, whose remainder
/// there is below 1.3e-7 of it.
#[inline(always)]
fn steepness<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Adding it rounds to a whole number, which then stands in the lowest bits, increased by an exponent's bias.
    const ROUND: f32 = 12_582_912.0 + 127.0; // 1.5 * 2^23 + 127
    const HIGH: f32 = 355.0 / 512.0; // of 9 bits, so that its product with k is exact
    const LOW: f32 = -2.121_944_4e-4;
    let (limit, round) = (simd.splat_f32s(20.0), simd.splat_f32s(ROUND));
    let x = simd.min_f32s(limit, simd.max_f32s(simd.neg_f32s(limit), simd.neg_f32s(x)));
    let shifted = fused(simd, x, simd.splat_f32s(std::f32::consts::LOG2_E), round);
    let k = simd.sub_f32s(shifted, round);
    let r = fused(simd, k, simd.splat_f32s(-HIGH), x);
    let r = fused(simd, k, simd.splat_f32s(-LOW), r);
    let mut power = simd.splat_f32s(1.0 / 720.0);
    for term in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        power = fused(simd, power, r, simd.splat_f32s(term));
    }
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    fused(simd, power, simd.transmute_f32s_u32s(exponent), simd.splat_f32s(1.0))
}

/// The sigmoids `1 / (1 + exp(-x))` of four values, each within 5e-7 of the truth. Vector units take long to divide,
/// so it is done once for all four: the product of what they are the reciprocals of is below 6e34.
#[inline(always)]
pub fn sigmoids<S: Simd>(simd: S, values: [S::f32s; 4]) -> [S::f32s; 4] {
    let [a, b, c, d] = values;
    let (a, b) = (steepness(simd, a), steepness(simd, b));
    let (c, d) = (steepness(simd, c), steepness(simd, d));
    let (ab, cd) = (simd.mul_f32s(a, b), simd.mul_f32s(c, d));
    let all = simd.div_f32s(simd.splat_f32s(1.0), simd.mul_f32s(ab, cd));
    let (by_ab, by_cd) = (simd.mul_f32s(all, cd), simd.mul_f32s(all, ab));
    [simd.mul_f32s(by_ab, b), simd.mul_f32s(by_ab, a), simd.mul_f32s(by_cd, d), simd.mul_f32s(by_cd, c)]
}

/// The hyperbolic tangent, within 5e-7 of the truth: `2 sigmoid(2x) - 1`.
#[inline(always)]
pub fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let twice = simd.div_f32s(simd.splat_f32s(2.0), steepness(simd, simd.add_f32s(x, x)));
    simd.sub_f32s(twice, simd.splat_f32s(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sigmoids of four values and the tanh of each, on the vector unit there is.
    struct Found([f32; 4]);

    impl pulp::WithSimd for Found {
        type Output = ([f32; 4], [f32; 4]);

        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let whole = self.0.map(|x| simd.splat_f32s(x));
            let first = |x: S::f32s| simd.reduce_max_f32s(x); // all are alike
            (sigmoids(simd, whole).map(first), whole.map(|x| first(tanh(simd, x))))
        }
    }

    #[test]
    fn sigmoids_and_tanh_are_within_their_bounds_of_the_truth_with_and_without_a_vector_unit() {
        use pulp::WithSimd;
        let dense = (-10_000..=10_000).map(|at| at as f32 * 1e-2);
        let wide = [f32::MAX, 1e30, 1e3, 88.0, 1e-30, f32::MIN_POSITIVE, 0.0].into_iter().flat_map(|x| [x, -x]);
        for x in dense.chain(wide) {
            let four = [x, -x, 0.37 * x, 20.0];
            for found in [pulp::Arch::new().dispatch(Found(four)), Found(four).with_simd(pulp::Scalar)] {
                for ((x, sigmoid), tanh) in four.into_iter().zip(found.0).zip(found.1) {
                    let truth = 1.0 / (1.0 + (-f64::from(x)).exp());
                    assert!((f64::from(sigmoid) - truth).abs() < 5e-7, "sigmoid({x}) = {sigmoid} not {truth}");
                    let truth = f64::from(x).tanh();
                    assert!((f64::from(tanh) - truth).abs() < 5e-7, "tanh({x}) = {tanh} not {truth}");
                }
            }
        }
    }
}
