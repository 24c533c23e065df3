//! The operations of a backend. Callers check the operands: lengths fit, elements are canonical.

use crate::divide::Divisor;
use crate::field::{self, reduce128};
use crate::toom::Source;

/// The left factor of a panel: element (r, k) at `r * row_step + k * col_step`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [u64],
    pub(crate) row_step: usize,
    pub(crate) col_step: usize,
}

impl Left<'_> {
    /// The index after the last element of `rows` x `k`.
    pub(crate) fn end(&self, rows: usize, k: usize) -> usize {
        match (rows, k) {
            (0, _) | (_, 0) => 0,
            _ => (rows - 1) * self.row_step + (k - 1) * self.col_step + 1,
        }
    }
}

/// A part of a row-major output: `rows` x `cols`, rows `step` apart.
pub(crate) struct Tile<'a> {
    pub(crate) data: &'a mut [u64],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) step: usize,
}

/// Toom kernels: tiles of `rows` x `width`.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    /// Packing pays where m n / (m + n) reaches this: a value is computed once and used so often (measured).
    pub(crate) worth: usize,
    /// (out, source, lines, depth, width) as [`crate::toom::pack`].
    pub(crate) pack: fn(&mut [u64], Source, usize, usize, usize),
    /// (sums, a, b, k): one point, `sums[r][j] = sum_k a[k][r] b[k][j]` mod 2^64.
    pub(crate) point: fn(&mut [u64], &[u64], &[u64], usize),
    /// As [`crate::toom::interpolate_tile`].
    pub(crate) finish: fn(&mut [u64], &[u64]),
}

/// The operands of [`Kernels::multiply_open`].
#[derive(Clone, Copy)]
pub struct MaskedProduct<'a> {
    /// The opened difference of the left factor.
    pub d: &'a [u64],
    /// The right factor's share.
    pub y: &'a [u64],
    /// The left factor's share.
    pub x: &'a [u64],
    /// The opened difference of the right factor.
    pub e: &'a [u64],
    /// This party's part of the public constant one.
    pub k: u64,
    /// A share to add.
    pub c: Option<&'a [u64]>,
}

impl MaskedProduct<'_> {
    /// One element of it.
    #[inline(always)]
    pub(crate) fn one(&self, i: usize) -> u64 {
        let right = field::sub(self.y[i], field::mul(self.k, self.e[i]));
        let wide = self.d[i] as u128 * right as u128 + self.x[i] as u128 * self.e[i] as u128;
        reduce128(wide + self.c.map_or(0, |c| c[i]) as u128)
    }
}

/// The operands of [`Kernels::truncation_local`].
#[derive(Clone, Copy)]
pub struct Truncation<'a> {
    /// The opened masked value.
    pub c: &'a [u64],
    /// A share of the mask's top bit.
    pub top: &'a [u64],
    /// A share of the mask's high part.
    pub high: &'a [u64],
    /// This party's part of the public constant one.
    pub k: u64,
    /// d.
    pub divisor: Divisor,
    /// The constant to take off.
    pub constant: u64,
}

/// The most terms that one call of [`Kernels::panel`] sums.
pub(crate) const MAX_K: usize = 1024;

/// The kernels of one backend: each call works on a whole part of an array, so that the choice is outside of the loops.
pub(crate) trait Kernels: Sync {
    /// Columns of a panel.
    fn width(&self) -> usize;

    /// Rows that a panel call takes at most.
    fn rows(&self) -> usize;

    /// out_(r, j) += sum_k a_(r, k) b_(k, j) over a tile, for b packed as `[k][width]`, k at most [`MAX_K`].
    fn panel(&self, out: Tile, a: Left, b: &[u64], k: usize);

    /// out_(r, c) = sum_k a_(r, k) b_(c, k), out as `[rows][cols]`, rows of a and b contiguous in k and `step` apart.
    #[allow(clippy::too_many_arguments)]
    fn dots(&self, out: &mut [u64], a: &[u64], rows: usize, b: &[u64], cols: usize, k: usize, step: usize);

    /// The dot product of two equally long slices.
    fn dot(&self, a: &[u64], b: &[u64]) -> u64;

    /// out_(r, j) = sum_k a_(r, k) b_(k, j), both as Toom values: where that is worth it.
    fn packed(&self) -> Option<Packed>;

    /// out_i = a_i b_i over equal lengths.
    fn mul(&self, out: &mut [u64], a: &[u64], b: &[u64]);

    /// out_i = k a_i.
    fn scale(&self, out: &mut [u64], a: &[u64], k: u64);

    /// out_i = sum_k c_k a_{k,i} for the elements from `at`.
    fn weighted(&self, out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize);

    /// out_i = d_i (y_i - k e_i) + x_i e_i + c_i for the elements from `at`.
    fn multiply_open(&self, out: &mut [u64], v: MaskedProduct, at: usize);

    /// out = k floor(c / d) + offset + [c < (p-1)/2] (floor((c + p) / d) - floor(c / d)) top - high for the elements from `at`.
    fn truncation_local(&self, out: &mut [u64], v: Truncation, offset: u64, at: usize);
}
