//! Matrix products of 32-bit floats on the widest vector unit the machine has.
//!
//! The scheme is Goto & van de Geijn's (2008): the right factor is cut into panels of [`WIDE`] columns and the left one
//! into tiles of [`TALL`] rows, so that the inner loop reads both from the beginning to the end and keeps its sums in
//! registers. Weights stay cut for a whole batch, which general libraries do anew for each product: for the small
//! products of an LSTM's steps that would take a quarter of the time.

use pulp::{Arch, Simd, WithSimd};

use super::math::fused;

/// Columns of a panel.
const WIDE: usize = 32;
/// Rows of a tile.
const TALL: usize = 8;
/// Terms of a sum that are added up at once: what is cut for them stays in the cache.
const DEEP: usize = 256;

/// A matrix to be read.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// From a row to the next, and from a column to the next; one of them is 1.
    strides: (usize, usize),
}

/// The first `columns` values of each of `rows` rows that begin `stride` values apart.
pub fn matrix(values: &[f32], (rows, columns): (usize, usize), stride: usize) -> Matrix<'_> {
    Matrix { values, rows, columns, strides: (stride, 1) }
}

impl Matrix<'_> {
    /// The transpose; nothing is moved.
    pub fn turned(self) -> Self {
        let Self { values, rows, columns, strides } = self;
        Self { values, rows: columns, columns: rows, strides: (strides.1, strides.0) }
    }

    /// The part from a row and a column on.
    fn from(self, row: usize, column: usize) -> Self {
        let values = &self.values[row * self.strides.0 + column * self.strides.1..];
        Self { values, rows: self.rows - row, columns: self.columns - column, ..self }
    }

    /// At most so many rows and columns.
    fn most(self, rows: usize, columns: usize) -> Self {
        Self { rows: self.rows.min(rows), columns: self.columns.min(columns), ..self }
    }
}

/// A right factor, cut: of each panel one row after the other, filled up with zeros.
#[derive(Debug, Default)]
pub struct Panels {
    values: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl Panels {
    /// Cuts a matrix; what was held before is forgotten, its memory is used again.
    pub fn cut(&mut self, from: Matrix) {
        (self.rows, self.columns) = (from.rows, from.columns);
        self.values.resize(from.columns.div_ceil(WIDE) * from.rows * WIDE, 0.0);
        let panels = self.values.chunks_exact_mut(from.rows * WIDE);
        for (panel, first) in panels.zip((0..from.columns).step_by(WIDE)) {
            gather::<WIDE>(from.from(0, first), panel);
        }
    }
}

/// Writes the first `N` columns row by row; columns that are not there are 0.
fn gather<const N: usize>(from: Matrix, into: &mut [f32]) {
    let (rows, width) = (from.rows, from.columns.min(N));
    let into = &mut into.as_chunks_mut::<N>().0[..rows];
    if from.strides.1 == 1 {
        for (row, into) in into.iter_mut().enumerate() {
            into[..width].copy_from_slice(&from.values[row * from.strides.0..][..width]);
            into[width..].fill(0.0);
        }
        return;
    }
    if width < N {
        into.as_flattened_mut().fill(0.0);
    }
    for column in 0..width {
        let values = &from.values[column * from.strides.1..][..rows];
        into.iter_mut().zip(values).for_each(|(into, value)| into[column] = *value);
    }
}

/// Memory for products, used again and again.
#[derive(Debug, Default)]
pub struct Space {
    /// The left factor, cut: of each tile one column after the other, filled up with zeros.
    tiles: Vec<f32>,
    right: Panels,
}

/// Where a product goes: rows that begin `stride` values apart.
pub struct Into<'a> {
    /// The first row and those after it.
    pub values: &'a mut [f32],
    /// From a row to the next.
    pub stride: usize,
}

impl Space {
    /// Writes the product of two matrices that fit each other.
    pub fn product(&mut self, into: Into, left: Matrix, right: Matrix) {
        let mut panels = std::mem::take(&mut self.right);
        for first in (0..right.rows).step_by(DEEP) {
            panels.cut(right.from(first, 0).most(DEEP, right.columns));
            let left = left.from(0, first).most(left.rows, DEEP);
            self.run(Into { values: &mut *into.values, ..into }, left, &panels, first > 0);
        }
        self.right = panels;
    }

    /// Writes the product of a matrix and one that is cut.
    pub fn product_with(&mut self, into: Into, left: Matrix, right: &Panels) {
        self.run(into, left, right, false);
    }

    fn run(&mut self, into: Into, left: Matrix, right: &Panels, add: bool) {
        self.tiles.resize(left.rows.div_ceil(TALL) * left.columns * TALL, 0.0);
        for (tile, first) in self.tiles.chunks_exact_mut(left.columns * TALL).zip((0..left.rows).step_by(TALL)) {
            gather::<TALL>(left.from(first, 0).turned(), tile);
        }
        Arch::new().dispatch(Run { into, tiles: &self.tiles, rows: left.rows, right, add });
    }
}

/// A product whose factors are cut.
struct Run<'a> {
    into: Into<'a>,
    tiles: &'a [f32],
    rows: usize,
    right: &'a Panels,
    /// Whether to add to what is there.
    add: bool,
}

impl WithSimd for Run<'_> {
    type Output = ();

    /// Takes as many rows at once as the registers hold sums of a panel's width: vectors of a row, rows.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.panels::<S, 2, 8>(simd),
            8 => self.panels::<S, 4, 2>(simd),
            4 => self.panels::<S, 8, 2>(simd),
            _ => self.panels::<S, 32, 1>(simd),
        }
    }
}

impl Run<'_> {
    #[inline(always)]
    fn panels<S: Simd, const N: usize, const R: usize>(self, simd: S) {
        let inner = self.right.rows;
        for (first, panel) in (0..self.right.columns).step_by(WIDE).zip(self.right.values.chunks_exact(inner * WIDE)) {
            let panel = S::as_simd_f32s(panel).0.as_chunks::<N>().0;
            let width = WIDE.min(self.right.columns - first);
            for (row, tile) in (0..self.rows).step_by(TALL).zip(self.tiles.chunks_exact(inner * TALL)) {
                let tile = tile.as_chunks::<TALL>().0;
                let rows = TALL.min(self.rows - row);
                let into = &mut self.into.values[row * self.into.stride + first..];
                let into = into.chunks_mut(self.into.stride).map(|row| row.split_at_mut(width).0);
                if rows == 1 {
                    store(simd, &sums::<S, N, 1>(simd, tile, panel, 0), into, self.add);
                    continue;
                }
                let mut into = into.take(rows);
                for part in 0..rows.div_ceil(R) {
                    store(simd, &sums::<S, N, R>(simd, tile, panel, part), into.by_ref(), self.add);
                }
            }
        }
    }
}

/// The products of a panel and `R` rows of a tile, its `part`.
#[inline(always)]
fn sums<S: Simd, const N: usize, const R: usize>(
    simd: S,
    tile: &[[f32; TALL]],
    panel: &[[S::f32s; N]],
    part: usize,
) -> [[S::f32s; N]; R] {
    let mut sums = [[simd.splat_f32s(0.0); N]; R];
    for (left, right) in tile.iter().zip(panel) {
        for (sums, left) in sums.iter_mut().zip(&left.as_chunks::<R>().0[part]) {
            let left = simd.splat_f32s(*left);
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = fused(simd, left, *right, *sum);
            }
        }
    }
    sums
}

/// Writes, or adds, sums to rows, as long as there are rows.
#[inline(always)]
fn store<'a, S: Simd, const N: usize>(
    simd: S,
    sums: &[[S::f32s; N]],
    rows: impl Iterator<Item = &'a mut [f32]>,
    add: bool,
) {
    for (sums, into) in sums.iter().zip(rows) {
        store_row(simd, sums, into, add);
    }
}

#[inline(always)]
fn store_row<S: Simd, const N: usize>(simd: S, sums: &[S::f32s; N], into: &mut [f32], add: bool) {
    if into.len() == WIDE {
        write(simd, sums, into, add);
    } else {
        let mut whole = [0.0; WIDE];
        whole[..into.len()].copy_from_slice(into);
        write(simd, sums, &mut whole, add);
        into.copy_from_slice(&whole[..into.len()]);
    }
}

/// Writes, or adds, sums to a row of a panel's whole width.
#[inline(always)]
fn write<S: Simd, const N: usize>(simd: S, sums: &[S::f32s; N], into: &mut [f32], add: bool) {
    for (into, sum) in S::as_mut_simd_f32s(into).0.iter_mut().zip(sums) {
        *into = if add { simd.add_f32s(*into, *sum) } else { *sum };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_the_definitions_whatever_the_sides_strides_and_transposes() {
        let values = |seed: f32| -> Vec<f32> { (0..600 * 70).map(|at| (at as f32 * 0.7 + seed).sin()).collect() };
        let (left, right) = (values(0.0), values(1.0));
        let mut space = Space::default();
        for (rows, inner, columns) in [(3, 9, 7), (9, 5, 8), (8, 1, 1), (1, 13, 40), (17, 2, 64), (10, 600, 33)] {
            let lefts = [matrix(&left, (rows, inner), inner + 2), matrix(&left, (inner, rows), rows + 5).turned()];
            let rights =
                [matrix(&right, (inner, columns), columns), matrix(&right, (columns, inner), inner + 1).turned()];
            for (left, right) in lefts.into_iter().flat_map(|left| rights.map(|right| (left, right))) {
                let value = |m: Matrix, row: usize, column: usize| m.values[row * m.strides.0 + column * m.strides.1];
                let stride = columns + 3;
                let mut found = vec![f32::NAN; rows * stride]; // what was there must not count
                space.product(Into { values: &mut found, stride }, left, right);
                let mut panels = Panels::default();
                panels.cut(right);
                let mut again = vec![f32::NAN; rows * stride];
                space.product_with(Into { values: &mut again, stride }, left, &panels);
                for (at, (found, again)) in found.iter().zip(again).enumerate() {
                    let (row, column) = (at / stride, at % stride);
                    if column >= columns {
                        assert!(found.is_nan() && again.is_nan(), "what lies beside is left alone");
                        continue;
                    }
                    let terms = (0..inner).map(|at| f64::from(value(left, row, at) * value(right, at, column)));
                    let truth: f64 = terms.sum();
                    for found in [*found, again] {
                        let off = (f64::from(found) - truth).abs();
                        assert!(
                            off < 2e-6 * (inner + 5) as f64,
                            "{rows} {inner} {columns}: {found} not {truth} at {row} {column}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_vector_unit_and_none_give_the_same_product() {
        let (rows, inner, columns) = (21, 40, 75);
        let values: Vec<f32> = (0..5000).map(|at| (at as f32 * 0.7).sin()).collect();
        let (left, right) = (matrix(&values, (rows, inner), inner), matrix(&values, (inner, columns), columns));
        let (mut space, mut panels) = (Space::default(), Panels::default());
        let mut truth = vec![0.0; rows * columns];
        panels.cut(right);
        space.product_with(Into { values: &mut truth, stride: columns }, left, &panels);
        let check = |by: &dyn Fn(Run)| {
            let mut found = truth.clone(); // added to once more
            let into = Into { values: &mut found, stride: columns };
            by(Run { into, tiles: &space.tiles, rows, right: &panels, add: true });
            for (found, truth) in found.iter().zip(&truth) {
                assert!((found - 2.0 * truth).abs() < 1e-4, "{found} is not twice {truth}");
            }
        };
        check(&|run| run.with_simd(pulp::Scalar));
        check(&|run| Arch::new().dispatch(run));
        #[cfg(target_arch = "x86_64")]
        if let Some(unit) = pulp::x86::V3::try_new() {
            check(&|run| Simd::vectorize(unit, run));
        }
    }
}
