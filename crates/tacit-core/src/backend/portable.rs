//! Plain Rust: 64 x 64 -> 128-bit products, reduced as late as they can be.

use super::kernels::{Kernels, Left, MaskedProduct, Packed, Tile, Truncation};
use crate::field::{self, reduce128, P};

/// Any machine.
pub(crate) struct Portable;

impl Kernels for Portable {
    fn width(&self) -> usize {
        WIDTH
    }

    fn rows(&self) -> usize {
        8
    }

    fn panel(&self, out: Tile, a: Left, b: &[u64], k: usize) {
        panel(out, a, b, k);
    }

    fn dots(&self, out: &mut [u64], a: &[u64], rows: usize, b: &[u64], cols: usize, k: usize, step: usize) {
        for r in 0..rows {
            for c in 0..cols {
                out[r * cols + c] = dot(&a[r * step..][..k], &b[c * step..][..k]);
            }
        }
    }

    fn dot(&self, a: &[u64], b: &[u64]) -> u64 {
        dot(a, b)
    }

    fn packed(&self) -> Option<Packed> {
        None
    }

    fn mul(&self, out: &mut [u64], a: &[u64], b: &[u64]) {
        out.iter_mut().zip(a).zip(b).for_each(|((o, &a), &b)| *o = field::mul(a, b));
    }

    fn scale(&self, out: &mut [u64], a: &[u64], k: u64) {
        out.iter_mut().zip(a).for_each(|(o, &a)| *o = field::mul(a, k));
    }

    fn weighted(&self, out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
        weighted(out, c, a, at);
    }

    fn multiply_open(&self, out: &mut [u64], v: MaskedProduct, at: usize) {
        out.iter_mut().zip(at..).for_each(|(o, i)| *o = v.one(i));
    }

    fn truncation_local(&self, out: &mut [u64], v: Truncation, offset: u64, at: usize) {
        let here = at..at + out.len();
        let parts = v.c[here.clone()].iter().zip(&v.top[here.clone()]).zip(&v.high[here]);
        for (o, ((&c, &top), &high)) in out.iter_mut().zip(parts) {
            let below = ((c < (P - 1) / 2) as u64).wrapping_neg();
            let quotient = v.divisor.quotient(c);
            let wrap = v.divisor.quotient(c + P) - quotient;
            let wide = v.k as u128 * quotient as u128 + (wrap & below) as u128 * top as u128;
            *o = reduce128(wide + offset as u128 + (P - high) as u128);
        }
    }
}

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

fn dot(a: &[u64], b: &[u64]) -> u64 {
    let mut sum = 0;
    for (a, b) in a.chunks(TERMS).zip(b.chunks(TERMS)) {
        let wide: u128 = a.iter().zip(b).map(|(&a, &b)| a as u128 * b as u128).sum();
        sum = field::add(sum, reduce128(wide));
    }
    sum
}

/// [`Kernels::weighted`], to be compiled for other instructions too.
#[inline(always)]
pub(super) fn weighted(out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
    // A block of sums at a time: each is below 2^128 as long as at most 63 products are added to a reduced one.
    let mut sums = [0u128; 256];
    for (block, out) in out.chunks_mut(sums.len()).enumerate() {
        let (sums, from) = (&mut sums[..out.len()], at + block * 256);
        sums.fill(0);
        for (k, (&c, a)) in c.iter().zip(a).enumerate() {
            let a = &a[from..from + sums.len()];
            sums.iter_mut().zip(a).for_each(|(s, &a)| *s += c as u128 * a as u128);
            if k % 62 == 61 {
                sums.iter_mut().for_each(|s| *s = reduce128(*s) as u128);
            }
        }
        out.iter_mut().zip(sums).for_each(|(o, s)| *o = reduce128(*s));
    }
}
