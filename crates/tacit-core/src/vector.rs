//! Elementwise kernels:  out_i = f(a_i, b_i, ...), one pass and one reduction each.

use crate::backend::Backend;
use crate::error::{same_length, BadShape};
use crate::field::{self, canon, fold, reduce128, reduce64, P};
use crate::threads::{for_rows, map_ranges};

/// The least number of elements worth a thread.
const MIN: usize = 1 << 16;

/// out_i = a_i + b_i.
pub fn add(_: Backend, out: &mut [u64], a: &[u64], b: &[u64]) -> Result<(), BadShape> {
    binary(out, a, b, field::add)
}

/// out_i = a_i - b_i.
pub fn sub(_: Backend, out: &mut [u64], a: &[u64], b: &[u64]) -> Result<(), BadShape> {
    binary(out, a, b, field::sub)
}

/// out_i = a_i b_i.
pub fn mul(_: Backend, out: &mut [u64], a: &[u64], b: &[u64]) -> Result<(), BadShape> {
    binary(out, a, b, field::mul)
}

fn binary(out: &mut [u64], a: &[u64], b: &[u64], f: impl Fn(u64, u64) -> u64 + Sync) -> Result<(), BadShape> {
    same_length("the first operand", out.len(), a.len())?;
    same_length("the second operand", out.len(), b.len())?;
    for_rows(out, 1, MIN, |at, out| {
        for (o, (&a, &b)) in out.iter_mut().zip(a[at..].iter().zip(&b[at..])) {
            *o = f(a, b);
        }
    });
    Ok(())
}

/// out_i = -a_i.
pub fn neg(_: Backend, out: &mut [u64], a: &[u64]) -> Result<(), BadShape> {
    binary(out, a, a, |a, _| field::neg(a))
}

/// out_i = k a_i.
pub fn scale(be: Backend, out: &mut [u64], a: &[u64], k: u64) -> Result<(), BadShape> {
    affine(be, out, a, k, 0)
}

/// out_i = a_i + k.
pub fn add_scalar(_: Backend, out: &mut [u64], a: &[u64], k: u64) -> Result<(), BadShape> {
    binary(out, a, a, |a, _| field::add(a, k))
}

/// out_i = k a_i + h.
pub fn affine(_: Backend, out: &mut [u64], a: &[u64], k: u64, h: u64) -> Result<(), BadShape> {
    same_length("the operand", out.len(), a.len())?;
    for_rows(out, 1, MIN, |at, out| {
        for (o, &a) in out.iter_mut().zip(&a[at..]) {
            *o = reduce128(k as u128 * a as u128 + h as u128);
        }
    });
    Ok(())
}

/// The operands of [`multiply_open`].
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

/// out_i = d_i (y_i - k e_i) + x_i e_i + c_i: the local part of a masked product.
pub fn multiply_open(_: Backend, out: &mut [u64], v: MaskedProduct) -> Result<(), BadShape> {
    let n = out.len();
    for (name, part) in [("d", v.d), ("y", v.y), ("x", v.x), ("e", v.e), ("c", v.c.unwrap_or(v.d))] {
        same_length(name, n, part.len())?;
    }
    for_rows(out, 1, MIN / 4, |at, out| {
        for (i, o) in out.iter_mut().enumerate() {
            let j = at + i;
            let right = field::sub(v.y[j], field::mul(v.k, v.e[j]));
            let wide = v.d[j] as u128 * right as u128 + v.x[j] as u128 * v.e[j] as u128;
            *o = reduce128(wide + v.c.map_or(0, |c| c[j]) as u128);
        }
    });
    Ok(())
}

/// sum_i a_i b_i.
pub fn dot(_: Backend, a: &[u64], b: &[u64]) -> Result<u64, BadShape> {
    same_length("the second operand", a.len(), b.len())?;
    let parts = map_ranges(a.len(), MIN / 4, |r| dot_part(&a[r.clone()], &b[r]));
    Ok(parts.into_iter().fold(0, field::add))
}

/// sum_i a_i b_i on this thread, over equal lengths: 32 products below 2^122 fit into 128 bits.
pub(crate) fn dot_part(a: &[u64], b: &[u64]) -> u64 {
    let mut sum = 0;
    for (a, b) in a.chunks(32).zip(b.chunks(32)) {
        let wide: u128 = a.iter().zip(b).map(|(&a, &b)| a as u128 * b as u128).sum();
        sum = field::add(sum, reduce128(wide));
    }
    sum
}

/// out_(o, i) = sum_l a_(o, l, i) over the middle axis of `[outer, length, inner]`.
pub fn sum(out: &mut [u64], a: &[u64], outer: usize, length: usize, inner: usize) -> Result<(), BadShape> {
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
pub fn to_signed(out: &mut [i64], a: &[u64]) -> Result<(), BadShape> {
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
pub fn from_signed(out: &mut [u64], a: &[i64]) -> Result<(), BadShape> {
    same_length("the operand", out.len(), a.len())?;
    for (o, &a) in out.iter_mut().zip(a) {
        let r = reduce64(a.unsigned_abs());
        let flip = (a >> 63) as u64;
        *o = (r & !flip) | (field::neg(r) & flip);
    }
    Ok(())
}
