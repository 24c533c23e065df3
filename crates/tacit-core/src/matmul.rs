//! Matrix products:  out_(i, j) += sum_k a_(i, k) b_(k, j).

use crate::backend::kernels::{Kernels, Left, Packed, Tile, MAX_K};
use crate::backend::{kernels, Backend};
use crate::error::{same_length, Error};
use crate::field;
use crate::threads::for_rows;
use crate::toom::{self, Source, POINTS};

/// A matrix in row-major order, or the transpose of one.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// The elements as they lie in memory.
    pub data: &'a [u64],
    /// Rows of the matrix that is meant, after any transposition.
    pub rows: usize,
    /// Columns of the matrix that is meant.
    pub cols: usize,
    /// Whether memory holds the transpose, `cols` x `rows`.
    pub transposed: bool,
}

impl<'a> Matrix<'a> {
    /// The matrix that lies in memory as `stored_rows` x `stored_cols`, transposed or not.
    pub fn new(data: &'a [u64], stored_rows: usize, stored_cols: usize, transposed: bool) -> Result<Self, Error> {
        same_length("the matrix", stored_rows.saturating_mul(stored_cols), data.len())?;
        let (rows, cols) = if transposed { (stored_cols, stored_rows) } else { (stored_rows, stored_cols) };
        Ok(Matrix { data, rows, cols, transposed })
    }

    /// Row-major order, copied only if it must be.
    fn row_major(&self) -> std::borrow::Cow<'a, [u64]> {
        if !self.transposed {
            return self.data.into();
        }
        let mut out = vec![0; self.data.len()];
        transpose(&mut out, self.data, self.cols, self.rows);
        out.into()
    }
}

/// out (cols x rows) = the transpose of a (rows x cols), in cache-sized blocks.
pub(crate) fn transpose(out: &mut [u64], a: &[u64], rows: usize, cols: usize) {
    for i0 in (0..rows).step_by(16) {
        for j0 in (0..cols).step_by(16) {
            for j in j0..cols.min(j0 + 16) {
                for i in i0..rows.min(i0 + 16) {
                    out[j * rows + i] = a[i * cols + j];
                }
            }
        }
    }
}

/// Terms of one panel: 256 rows of 16 columns fill most of a first-level cache.
pub(crate) const DEPTH: usize = 256;
/// Rows against which a panel stays in cache.
const PANEL_BLOCK: usize = 256;
/// Terms of one block of dot products.
const DOT_DEPTH: usize = 1024;
/// Rows of one block of Toom tiles.
const TOOM_BLOCK: usize = 48;
/// Terms of one block of Toom tiles.
const TOOM_DEPTH: usize = 256;
/// Products worth a thread: half a millisecond or more, several times what starting one costs.
pub(crate) const MIN_WORK: usize = 1 << 22;

const _: () = assert!(DEPTH <= MAX_K && DOT_DEPTH <= MAX_K && TOOM_DEPTH <= toom::MAX_TERMS);

/// out += a b.
pub fn matmul(be: Backend, out: &mut [u64], a: Matrix, b: Matrix) -> Result<(), Error> {
    if a.cols != b.rows {
        return Err(Error::Shape(format!(
            "a is {}x{} and b is {}x{}: inner sizes differ",
            a.rows, a.cols, b.rows, b.cols
        )));
    }
    same_length("the output", a.rows.saturating_mul(b.cols), out.len())?;
    if out.is_empty() || a.cols == 0 {
        return Ok(());
    }
    let kernels = kernels(be);
    let (m, k, n, width) = (a.rows, a.cols, b.cols, kernels.width());
    let waste = n.next_multiple_of(width) * 4 > n * 5;
    match kernels.packed() {
        Some(packed) if worth_packing(m, k, n, &packed) => by_packing(packed, out, a, b),
        _ if n == 1 && width <= 8 => by_dots(kernels, out, a, b), // a panel would be zeros but for a column
        _ if (waste || b.transposed && m <= 8) && k >= 128 && width > 8 => by_dots(kernels, out, a, b),
        _ => by_panels(kernels, out, a, b),
    }
    Ok(())
}

/// Whether there are enough products for each value that packing computes.
fn worth_packing(m: usize, k: usize, n: usize, packed: &Packed) -> bool {
    let useful = |x: usize, tile: usize| x * 8 >= x.next_multiple_of(tile) * 7;
    k >= 64 && packed.worth * (m + n) <= m * n && useful(m, packed.rows) && useful(n, packed.width)
}

/// How many rows of an m x k x n product are worth a thread.
fn min_rows(k: usize, n: usize) -> usize {
    (MIN_WORK / (k * n)).max(1)
}

/// Steps between rows and between columns of the matrix that is meant.
fn steps(a: &Matrix) -> (usize, usize) {
    if a.transposed {
        (1, a.rows)
    } else {
        (a.cols, 1)
    }
}

/// Columns of b in packed panels, each against blocks of rows of a as they lie.
fn by_panels(kernels: &dyn Kernels, out: &mut [u64], a: Matrix, b: Matrix) {
    let (k, n, width, most) = (a.cols, b.cols, kernels.width(), kernels.rows());
    let mut panels = vec![0; n.div_ceil(width) * k * width];
    let (line, step) = steps(&b);
    for_rows(&mut panels, k * width, min_rows(k, width), |first, panels| {
        for (p, panel) in panels.chunks_exact_mut(k * width).enumerate() {
            let j0 = (first + p) * width;
            let cols = width.min(n - j0);
            if step == 1 {
                for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                    row[..cols].copy_from_slice(&b.data[i * line + j0..][..cols]);
                }
            } else {
                for j in 0..cols {
                    let column = b.data[(j0 + j) * step..].iter().step_by(line);
                    panel[j..].iter_mut().step_by(width).zip(column).for_each(|(o, &v)| *o = v);
                }
            }
        }
    });
    let (row_step, col_step) = steps(&a);
    for_rows(out, n, min_rows(k, n), |at, out| {
        for (block, out) in out.chunks_mut(PANEL_BLOCK * n).enumerate() {
            for k0 in (0..k).step_by(DEPTH) {
                let depth = DEPTH.min(k - k0);
                for (p, panel) in panels.chunks_exact(k * width).enumerate() {
                    let (j0, cols) = (p * width, width.min(n - p * width));
                    for (i, rows) in out.chunks_mut(most * n).enumerate() {
                        let row = at + block * PANEL_BLOCK + i * most;
                        let left = Left { data: &a.data[row * row_step + k0 * col_step..], row_step, col_step };
                        let tile = Tile { rows: rows.len() / n, cols, step: n, data: &mut rows[j0..] };
                        kernels.panel(tile, left, &panel[k0 * width..], depth);
                    }
                }
            }
        }
    });
}

/// Rows of a against columns of b, both contiguous: for few columns.
fn by_dots(kernels: &dyn Kernels, out: &mut [u64], a: Matrix, b: Matrix) {
    let (k, n) = (a.cols, b.cols);
    let left = a.row_major();
    let right = Matrix { transposed: !b.transposed, rows: b.cols, cols: b.rows, data: b.data };
    let right = right.row_major();
    for_rows(out, n, min_rows(k, n), |at, out| {
        let mut tile = vec![0; ROW_BLOCK * n];
        for k0 in (0..k).step_by(DOT_DEPTH) {
            let depth = DOT_DEPTH.min(k - k0);
            for (i, rows) in out.chunks_mut(ROW_BLOCK * n).enumerate() {
                let left = &left[(at + i * ROW_BLOCK) * k + k0..];
                kernels.dots(&mut tile, left, rows.len() / n, &right[k0..], n, depth, k);
                add_to(rows, &tile);
            }
        }
    });
}

/// Rows of one block of dot products.
const ROW_BLOCK: usize = 4;

/// Both factors as Toom values in tiles.
fn by_packing(packed: Packed, out: &mut [u64], a: Matrix, b: Matrix) {
    let (k, n, width, height) = (a.cols, b.cols, packed.width, packed.rows);
    let (row_step, a_depth) = steps(&a);
    let (b_depth, col_step) = steps(&b);
    let panels = n.div_ceil(width);
    let mut right = vec![0; panels * POINTS * TOOM_DEPTH.min(k) * width];
    for k0 in (0..k).step_by(TOOM_DEPTH) {
        let depth = TOOM_DEPTH.min(k - k0);
        let size = POINTS * depth * width;
        let right = &mut right[..panels * size];
        for_rows(right, size, MIN_WORK / 16 / size, |first, right| {
            for (p, panel) in right.chunks_exact_mut(size).enumerate() {
                let j0 = (first + p) * width;
                let data = &b.data[j0 * col_step + k0 * b_depth..];
                let source = Source { data, line_step: col_step, depth_step: b_depth };
                (packed.pack)(panel, source, width.min(n - j0), depth, width);
            }
        });
        let right = &*right;
        for_rows(out, n, min_rows(k, n).max(height), |at, out| {
            let tiles = TOOM_BLOCK / height;
            let mut left = vec![0; tiles * POINTS * depth * height];
            let mut sums = vec![0; POINTS * height * width];
            let mut tile = vec![0; height * width];
            for (block, out) in out.chunks_mut(TOOM_BLOCK * n).enumerate() {
                let rows = out.len() / n;
                for (t, left) in left.chunks_exact_mut(POINTS * depth * height).enumerate() {
                    let i0 = (at + block * TOOM_BLOCK + t * height).min(a.rows - 1);
                    let data = &a.data[i0 * row_step + k0 * a_depth..];
                    let source = Source { data, line_step: row_step, depth_step: a_depth };
                    (packed.pack)(left, source, rows.saturating_sub(t * height).min(height), depth, height);
                }
                for (p, right) in right.chunks_exact(size).enumerate() {
                    let (j0, cols) = (p * width, width.min(n - p * width));
                    let lefts = left.chunks_exact(POINTS * depth * height);
                    for (rows, left) in out.chunks_mut(height * n).zip(lefts) {
                        for point in 0..POINTS {
                            let (l, r) = (&left[point * depth * height..], &right[point * depth * width..]);
                            (packed.point)(&mut sums[point * height * width..], l, r, depth);
                        }
                        (packed.finish)(&mut tile, &sums);
                        for (row, tile) in rows.chunks_exact_mut(n).zip(tile.chunks_exact(width)) {
                            add_to(&mut row[j0..j0 + cols], tile);
                        }
                    }
                }
            }
        });
    }
}

/// out += tile, as many as `out` has.
#[inline]
pub(crate) fn add_to(out: &mut [u64], tile: &[u64]) {
    out.iter_mut().zip(tile).for_each(|(o, &v)| *o = field::add(*o, v));
}
