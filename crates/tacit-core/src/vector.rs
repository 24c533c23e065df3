//! Elementwise kernels:  out_i = f(a_i, b_i, ...), one pass and one reduction each.

pub use crate::backend::kernels::MaskedProduct;
use crate::backend::{kernels, variants, Backend};
use crate::error::{same_length, Error};
use crate::field::{self, canon, fold, reduce64, P};
use crate::threads::{for_rows, map_ranges};

/// The least number of elements worth a thread.
const MIN: usize = 1 << 19;

/// out_i = a_i + b_i.
pub fn add(be: Backend, out: &mut [u64], a: &[u64], b: &[u64]) -> Result<(), Error> {
    binary(out, a, b, |out, a, b| {
        variants!(be, (out: &mut [u64] = out, a: &[u64] = a, b: &[u64] = b) {
            out.iter_mut().zip(a).zip(b).for_each(|((o, &a), &b)| *o = field::add(a, b));
        })
    })
}

/// out_i += a_i.
pub fn accumulate(be: Backend, out: &mut [u64], a: &[u64]) -> Result<(), Error> {
    same_length("the operand", out.len(), a.len())?;
    for_rows(out, 1, MIN, |at, out| {
        let a = &a[at..at + out.len()];
        variants!(be, (out: &mut [u64] = out, a: &[u64] = a) {
            out.iter_mut().zip(a).for_each(|(o, &a)| *o = field::add(*o, a));
        })
    });
    Ok(())
}

/// out_i = a_i - b_i.
pub fn sub(be: Backend, out: &mut [u64], a: &[u64], b: &[u64]) -> Result<(), Error> {
    binary(out, a, b, |out, a, b| {
        variants!(be, (out: &mut [u64] = out, a: &[u64] = a, b: &[u64] = b) {
            out.iter_mut().zip(a).zip(b).for_each(|((o, &a), &b)| *o = field::sub(a, b));
        })
    })
}

/// out_i = a_i b_i.
pub fn mul(be: Backend, out: &mut [u64], a: &[u64], b: &[u64]) -> Result<(), Error> {
    let kernels = kernels(be);
    binary(out, a, b, |out, a, b| kernels.mul(out, a, b))
}

/// out_i = -a_i.
pub fn neg(be: Backend, out: &mut [u64], a: &[u64]) -> Result<(), Error> {
    binary(out, a, a, |out, a, _| {
        variants!(be, (out: &mut [u64] = out, a: &[u64] = a) {
            out.iter_mut().zip(a).for_each(|(o, &a)| *o = field::neg(a));
        })
    })
}

/// out_i = a_i + k.
pub fn add_scalar(be: Backend, out: &mut [u64], a: &[u64], k: u64) -> Result<(), Error> {
    binary(out, a, a, |out, a, _| {
        variants!(be, (out: &mut [u64] = out, a: &[u64] = a, k: u64 = k) {
            out.iter_mut().zip(a).for_each(|(o, &a)| *o = field::add(a, k));
        })
    })
}

/// out_i = k a_i.
pub fn scale(be: Backend, out: &mut [u64], a: &[u64], k: u64) -> Result<(), Error> {
    let kernels = kernels(be);
    binary(out, a, a, |out, a, _| kernels.scale(out, a, k))
}

/// out_i = sum_k c_k a_{k,i}: one pass.
pub fn weighted(be: Backend, out: &mut [u64], c: &[u64], a: &[&[u64]]) -> Result<(), Error> {
    same_length("the weights", a.len(), c.len())?;
    for part in a {
        same_length("an operand", out.len(), part.len())?;
    }
    let kernels = kernels(be);
    for_rows(out, 1, MIN / 2, |at, out| kernels.weighted(out, c, a, at));
    Ok(())
}

/// Checks lengths and splits an elementwise loop over threads.
fn binary(
    out: &mut [u64],
    a: &[u64],
    b: &[u64],
    part: impl Fn(&mut [u64], &[u64], &[u64]) + Sync,
) -> Result<(), Error> {
    same_length("the first operand", out.len(), a.len())?;
    same_length("the second operand", out.len(), b.len())?;
    for_rows(out, 1, MIN, |at, out| {
        let n = out.len();
        part(out, &a[at..at + n], &b[at..at + n]);
    });
    Ok(())
}

/// out_i = d_i (y_i - k e_i) + x_i e_i + c_i: the local part of a masked product.
pub fn multiply_open(be: Backend, out: &mut [u64], v: MaskedProduct) -> Result<(), Error> {
    let n = out.len();
    for (name, part) in [("d", v.d), ("y", v.y), ("x", v.x), ("e", v.e), ("c", v.c.unwrap_or(v.d))] {
        same_length(name, n, part.len())?;
    }
    let kernels = kernels(be);
    for_rows(out, 1, MIN / 4, |at, out| kernels.multiply_open(out, v, at));
    Ok(())
}

/// sum_i a_i b_i.
pub fn dot(be: Backend, a: &[u64], b: &[u64]) -> Result<u64, Error> {
    same_length("the second operand", a.len(), b.len())?;
    let kernels = kernels(be);
    let parts = map_ranges(a.len(), MIN / 4, |r| kernels.dot(&a[r.clone()], &b[r]));
    Ok(parts.into_iter().fold(0, field::add))
}

/// Elements that share one inversion.
const TOGETHER: usize = 128;

/// out_i = 1 / a_i, 0 for 0: products of all before, one inversion for [`TOGETHER`] of them, and back (Montgomery 1987).
pub fn inverse(out: &mut [u64], a: &[u64]) -> Result<(), Error> {
    same_length("the operand", out.len(), a.len())?;
    for_rows(out, 1, MIN / 16, |at, out| {
        for (out, a) in out.chunks_mut(TOGETHER).zip(a[at..].chunks(TOGETHER)) {
            let one_for_none = |a: u64| a | (a == 0) as u64;
            let mut product = 1;
            for (o, &a) in out.iter_mut().zip(a) {
                *o = product;
                product = field::mul(product, one_for_none(a));
            }
            let mut rest = field::inv(product);
            for (o, &a) in out.iter_mut().zip(a).rev() {
                *o = field::mul(*o, rest) & ((a == 0) as u64).wrapping_sub(1);
                rest = field::mul(rest, one_for_none(a));
            }
        }
    });
    Ok(())
}

/// out_(o, i) = sum_l a_(o, l, i) over the middle axis of `[outer, length, inner]`.
pub fn sum(out: &mut [u64], a: &[u64], outer: usize, length: usize, inner: usize) -> Result<(), Error> {
    let product = outer.checked_mul(length).and_then(|v| v.checked_mul(inner));
    same_length("the array", product.unwrap_or(usize::MAX), a.len())?;
    same_length("the output", outer.saturating_mul(inner), out.len())?;
    if length == 0 || out.is_empty() {
        out.fill(0);
        return Ok(());
    }
    if inner == 1 {
        for_rows(out, 1, (MIN / length).max(1), |at, out| {
            for (o, row) in out.iter_mut().zip(a[at * length..].chunks_exact(length)) {
                // 6 elements and a folded sum stay below 2^64.
                *o = canon(row.chunks(6).fold(0, |s, six| fold(s + six.iter().sum::<u64>())));
            }
        });
        return Ok(());
    }
    for_rows(out, inner, (MIN / (length * inner)).max(1), |at, out| {
        for (o, slab) in out.chunks_exact_mut(inner).zip(a[at * length * inner..].chunks_exact(length * inner)) {
            let mut rows = slab.chunks_exact(inner);
            rows.next().into_iter().for_each(|row| o.copy_from_slice(row));
            for row in rows {
                o.iter_mut().zip(row).for_each(|(o, &v)| *o = field::add(*o, v));
            }
        }
    });
    Ok(())
}

/// Whether all a_i < p; reads every element whatever it finds.
pub fn is_canonical(a: &[u64]) -> bool {
    let parts = map_ranges(a.len(), MIN * 4, |r| a[r].iter().fold(0, |bad, &v| bad | (v >= P) as u64));
    parts.into_iter().fold(0, |x, y| x | y) == 0
}

/// out_i in (-p/2, p/2), congruent to a_i.
pub fn to_signed(out: &mut [i64], a: &[u64]) -> Result<(), Error> {
    same_length("the operand", out.len(), a.len())?;
    for (o, &a) in out.iter_mut().zip(a) {
        *o = signed(a);
    }
    Ok(())
}

/// The representative of a in (-p/2, p/2).
#[inline(always)]
pub(crate) fn signed(a: u64) -> i64 {
    a.wrapping_sub(P & ((a > P / 2) as u64).wrapping_neg()) as i64
}

/// out_i = a_i mod p, for any 64-bit signed integers.
pub fn from_signed(out: &mut [u64], a: &[i64]) -> Result<(), Error> {
    same_length("the operand", out.len(), a.len())?;
    for (o, &a) in out.iter_mut().zip(a) {
        let r = reduce64(a.unsigned_abs());
        let flip = (a >> 63) as u64;
        *o = (r & !flip) | (field::neg(r) & flip);
    }
    Ok(())
}
