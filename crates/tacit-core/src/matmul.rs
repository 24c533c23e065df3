//! Matrix products:  out_(i, j) += sum_k a_(i, k) b_(k, j).

use crate::backend::Backend;
use crate::error::{same_length, BadShape};
use crate::field;
use crate::threads::for_rows;
use crate::vector::dot_part;

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
    pub fn new(data: &'a [u64], stored_rows: usize, stored_cols: usize, transposed: bool) -> Result<Self, BadShape> {
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

/// out += a b.
pub fn matmul(_: Backend, out: &mut [u64], a: Matrix, b: Matrix) -> Result<(), BadShape> {
    if a.cols != b.rows {
        return Err(BadShape(format!("a is {}x{} and b is {}x{}: inner sizes differ", a.rows, a.cols, b.rows, b.cols)));
    }
    same_length("the output", a.rows.saturating_mul(b.cols), out.len())?;
    let (k, n) = (a.cols, b.cols);
    if out.is_empty() || k == 0 {
        return Ok(());
    }
    let left = a.row_major();
    let right = Matrix { transposed: !b.transposed, rows: b.cols, cols: b.rows, data: b.data };
    let right = right.row_major();
    for_rows(out, n, ((1 << 17) / (n * k)).max(1), |at, out| {
        for (i, row) in out.chunks_exact_mut(n).enumerate() {
            let a = &left[(at + i) * k..][..k];
            for (o, b) in row.iter_mut().zip(right.chunks_exact(k)) {
                *o = field::add(*o, dot_part(a, b));
            }
        }
    });
    Ok(())
}
