//! The inner kernels that products are made of, one table for each backend.
//!
//!   panel:   out_(r, j) += sum_k a_(r, k) b_(k, j)     b packed, `width` columns together
//!   dots:    out_(r, c) = sum_k a_(r, k) b_(c, k)      both contiguous in k
//!   packed:  out_(r, j) = sum_k a_(r, k) b_(k, j)      both as Toom values, see `toom`

use crate::backend::Backend;
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

/// The kernels of one backend.
#[derive(Clone, Copy)]
pub(crate) struct Kernels {
    /// Columns of a panel.
    pub(crate) width: usize,
    /// Rows that a panel call takes at most.
    pub(crate) rows: usize,
    /// (tile, left, b[k][width], k): adds to `rows` x `cols` of the tile, k at most [`MAX_K`].
    pub(crate) panel: fn(Tile, Left, &[u64], usize),
    /// (out[rows][cols], a, rows, b, cols, k, step): rows of both are `step` apart.
    #[allow(clippy::type_complexity)]
    pub(crate) dots: fn(&mut [u64], &[u64], usize, &[u64], usize, usize, usize),
    /// The dot product of two equally long slices.
    pub(crate) dot: fn(&[u64], &[u64]) -> u64,
    /// Toom kernels, where they are worth it.
    pub(crate) packed: Option<Packed>,
}

/// The most terms that one call of a kernel sums.
pub(crate) const MAX_K: usize = 1024;

/// The table of this backend.
pub(crate) fn kernels(be: Backend) -> Kernels {
    match be.checked() {
        Backend::Portable => PORTABLE,
        #[cfg(target_arch = "x86_64")]
        Backend::Avx2 => Kernels { packed: Some(crate::avx2::PACKED), ..PORTABLE },
        #[cfg(target_arch = "x86_64")]
        Backend::Avx512Ifma => crate::ifma::KERNELS,
        #[cfg(not(target_arch = "x86_64"))]
        _ => PORTABLE,
    }
}

const PORTABLE: Kernels = Kernels { width: WIDTH, rows: 8, panel, dots, dot, packed: None };

/// Columns of a portable panel: four 128-bit sums fit into the registers.
const WIDTH: usize = 4;
/// Products that fit into 128 bits beside a reduced sum: 60 times 2^122.
const TERMS: usize = 60;

fn panel(out: Tile, a: Left, b: &[u64], k: usize) {
    for (r, out) in out.data.chunks_mut(out.step).take(out.rows).map(|row| &mut row[..out.cols]).enumerate() {
        let mut sums = [0u128; WIDTH];
        sums.iter_mut().zip(&*out).for_each(|(s, &o)| *s = o as u128);
        for k0 in (0..k).step_by(TERMS) {
            let depth = TERMS.min(k - k0);
            let left = &a.data[r * a.row_step + k0 * a.col_step..];
            let right = b[k0 * WIDTH..][..depth * WIDTH].chunks_exact(WIDTH);
            for (right, &a) in right.zip(left.iter().step_by(a.col_step)) {
                for (s, &b) in sums.iter_mut().zip(right) {
                    *s += a as u128 * b as u128;
                }
            }
            sums = sums.map(|s| reduce128(s) as u128);
        }
        out.iter_mut().zip(sums).for_each(|(o, s)| *o = s as u64);
    }
}

fn dots(out: &mut [u64], a: &[u64], rows: usize, b: &[u64], cols: usize, k: usize, step: usize) {
    for r in 0..rows {
        for c in 0..cols {
            out[r * cols + c] = dot(&a[r * step..][..k], &b[c * step..][..k]);
        }
    }
}

fn dot(a: &[u64], b: &[u64]) -> u64 {
    let mut sum = 0;
    for (a, b) in a.chunks(TERMS).zip(b.chunks(TERMS)) {
        let wide: u128 = a.iter().zip(b).map(|(&a, &b)| a as u128 * b as u128).sum();
        sum = field::add(sum, reduce128(wide));
    }
    sum
}
