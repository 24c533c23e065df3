//! Matrix products:  left(X) = sum_ij A_ij X^(i k n + k - 1 - j),  right(X) = sum_jl B_jl X^(l k + j):  (A B)_il is the
//! coefficient i k n + l k + k - 1 of the product.
//!
//! It is right for blocks m x k by k x n with m k n <= N: what wraps around falls below k - 1, the first output.

use super::{fits, sizes, Packing, Places, Price, Side};
use crate::error::Error;
use crate::lattice::parameters::Parameters;

/// Calls `visit(local, index)` for the part of `0..total` that belongs to a block.
fn part(block: usize, size: usize, total: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (block * size..total.min((block + 1) * size)).enumerate()
}

impl Packing {
    /// An m x k matrix times a k x n matrix, in the blocks that cost least; a sum holds `most` ciphertexts at most.
    pub fn matrix(
        parameters: &Parameters,
        (m, k, n): (usize, usize, usize),
        encrypted: Side,
        most: usize,
    ) -> Result<Packing, Error> {
        let lengths = [m.saturating_mul(k), k.saturating_mul(n), m.saturating_mul(n)];
        fits(lengths)?;
        let (price, degree) = (Price::new(parameters, encrypted, most), parameters.degree());
        let mut best: Option<(usize, [usize; 3])> = None;
        for &bk in sizes(k).iter().filter(|&&bk| bk <= degree) {
            for &bm in sizes(m).iter().filter(|&&bm| bm * bk <= degree) {
                let bn = n.min(degree / (bm * bk));
                let found = price.of(m.div_ceil(bm), k.div_ceil(bk), n.div_ceil(bn)).map(|cost| (cost, [bm, bk, bn]));
                best = found.into_iter().chain(best).min();
            }
        }
        let too_long = || Error::Shape(format!("sums of {most} ciphertexts are too short for a depth of {k}"));
        let (_, [bm, bk, bn]) = best.ok_or_else(too_long)?;
        let (rows, depth, cols) = (m.div_ceil(bm), k.div_ceil(bk), n.div_ceil(bn));
        let place = |to: usize, from: usize| (to as u32, from as u32);
        let left = (0..rows * depth).map(|at| {
            let inner = part(at % depth, bk, k);
            let cells = part(at / depth, bm, m).flat_map(|row| inner.clone().map(move |col| (row, col)));
            cells.map(|((i, row), (j, col))| place(i * bk * bn + bk - 1 - j, row * k + col)).collect::<Places>()
        });
        let right = (0..depth * cols).map(|at| {
            let outer = part(at % cols, bn, n);
            let cells = part(at / cols, bk, k).flat_map(|row| outer.clone().map(move |col| (row, col)));
            cells.map(|((j, row), (l, col))| place(l * bk + j, row * n + col)).collect::<Places>()
        });
        let outputs = (0..rows * cols).map(|at| {
            let outer = part(at % cols, bn, n);
            let cells = part(at / cols, bm, m).flat_map(|row| outer.clone().map(move |col| (row, col)));
            cells.map(|((i, row), (l, col))| place((i * bn + l) * bk + bk - 1, row * n + col)).collect::<Places>()
        });
        let (left, right, outputs) = (left.collect(), right.collect(), outputs.collect());
        Ok(Packing { rows, depth, cols, left, right, outputs, lengths })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use crate::lattice::parameters::tests::SMALL;
    use crate::matmul::{matmul, Matrix};
    use crate::Backend;

    #[test]
    fn products_equal_those_of_the_kernel() {
        for (m, k, n) in [(1, 1, 1), (3, 7, 5), (64, 128, 1), (1, 9000, 2), (40, 33, 50), (128, 100, 10)] {
            check(
                |parameters, side| Packing::matrix(parameters, (m, k, n), side, 16).unwrap(),
                |a, b| {
                    let mut out = vec![0; m * n];
                    let (a, b) = (Matrix::new(a, m, k, false).unwrap(), Matrix::new(b, k, n, false).unwrap());
                    matmul(Backend::best(), &mut out, a, b).unwrap();
                    out
                },
            );
        }
    }

    #[test]
    fn shapes_without_a_packing_are_refused() {
        let parameters = Parameters::new(SMALL).unwrap();
        let refused = |shape, most| Packing::matrix(&parameters, shape, Side::Left, most).is_err();
        assert!(refused((0, 1, 1), 4) && refused((1, 1 << 16, 1), 4) && refused((usize::MAX, 2, 2), 4));
        assert!(!refused((1, 1 << 15, 1), 4));
    }
}
