//! Products of three-limb numbers from five small products (Toom and Cook):
//!
//! a = a0 + a1 X + a2 X^2, X = 2^21, is known by its values at 0, 1, 2, 1/2 and infinity,
//!
//!   e0 = a0,  e1 = a0 + a1 + a2,  e2 = a0 + 2 a1 + 4 a2,  e3 = 4 a0 + 2 a1 + a2,  e4 = a2,
//!
//! all non-negative and below 2^24. Sums of products of values, r_i = sum e_i(a) e_i(b), give the coefficients of
//! sum a b by [`interpolate`]. A value product is below 2^47.3, so 2^16 of them fit into 64 bits.

use crate::field::{canon, fold, MASK};

/// How many points.
pub(crate) const POINTS: usize = 5;
/// The most products that one interpolation may sum.
pub(crate) const MAX_TERMS: usize = 1 << 16;

/// The five values of a canonical element.
#[inline(always)]
pub(crate) fn evaluate(a: u64) -> [u64; POINTS] {
    const LIMB: u64 = (1 << 21) - 1;
    let (a0, a1, a2) = (a & LIMB, (a >> 21) & LIMB, a >> 42);
    [a0, a0 + a1 + a2, a0 + 2 * a1 + 4 * a2, 4 * a0 + 2 * a1 + a2, a2]
}

/// 2^21 x, below 2^61 + 2^45, congruent mod p.
#[inline(always)]
fn shift(x: u64) -> u64 {
    let high = x >> 40;
    ((x << 21) & MASK) + (high << 21) - high
}

/// sum a b mod p from the five sums of value products. Differences wrap mod 2^64; every coefficient is below 2^64.
#[inline(always)]
pub(crate) fn interpolate([r0, r1, r2, r3, r4]: [u64; POINTS]) -> u64 {
    const THIRD: u64 = 0xaaaa_aaaa_aaaa_aaab; // 1/3 mod 2^64
    let s1 = r1.wrapping_sub(r0).wrapping_sub(r4); // c1 + c2 + c3
    let s2 = r2.wrapping_sub(r0).wrapping_sub(r4 << 4) >> 1; // c1 + 2 c2 + 4 c3
    let s3 = r3.wrapping_sub(r0 << 4).wrapping_sub(r4) >> 1; // 4 c1 + 2 c2 + c3
    let c2 = (s1 << 2).wrapping_add(s1).wrapping_sub(s2).wrapping_sub(s3);
    let both = s1.wrapping_sub(c2); // c1 + c3
    let difference = s3.wrapping_sub(s2).wrapping_mul(THIRD); // c1 - c3
    let c1 = both.wrapping_add(difference) >> 1;
    let c3 = both.wrapping_sub(c1);
    // Horner: each step is below 2^61 + 2^45 + 2^61 + 2^24.
    let mut x = shift(fold(r4)) + fold(c3);
    x = shift(fold(x)) + fold(c2);
    x = shift(fold(x)) + fold(c1);
    x = shift(fold(x)) + fold(r0);
    canon(fold(x))
}

/// What [`pack`] reads: element (line, depth) of a matrix at `line * line_step + depth * depth_step`.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) data: &'a [u64],
    pub(crate) line_step: usize,
    pub(crate) depth_step: usize,
}

/// The values of `lines` x `depth` elements, `[point][depth][width]`; lines up to `width` are zero.
#[inline(always)]
pub(crate) fn pack(out: &mut [u64], s: Source, lines: usize, depth: usize, width: usize) {
    let plane = depth * width;
    let (p0, rest) = out[..POINTS * plane].split_at_mut(plane);
    let (p1, rest) = rest.split_at_mut(plane);
    let (p2, rest) = rest.split_at_mut(plane);
    let (p3, p4) = rest.split_at_mut(plane);
    if s.line_step == 1 {
        for d in 0..depth {
            let row = &s.data[d * s.depth_step..][..lines];
            let at = d * width..(d + 1) * width;
            let [q0, q1, q2, q3, q4] = [&mut *p0, p1, p2, p3, p4].map(|p| &mut p[at.clone()]);
            for (l, &v) in row.iter().enumerate() {
                [q0[l], q1[l], q2[l], q3[l], q4[l]] = evaluate(v);
            }
            for q in [q0, q1, q2, q3, q4] {
                q[lines..].fill(0);
            }
        }
        return;
    }
    for l in 0..width {
        for d in 0..depth {
            let v = if l < lines { s.data[l * s.line_step + d * s.depth_step] } else { 0 };
            let at = d * width + l;
            [p0[at], p1[at], p2[at], p3[at], p4[at]] = evaluate(v);
        }
    }
}

/// A tile of products from sums laid out `[point][tile]`.
#[inline(always)]
pub(crate) fn interpolate_tile(out: &mut [u64], sums: &[u64]) {
    let n = out.len();
    // Slices of known length, so that the loop has no checks and becomes vectors.
    let point = |i: usize| &sums[i * n..][..n];
    let (r0, r1, r2, r3, r4) = (point(0), point(1), point(2), point(3), point(4));
    for i in 0..n {
        out[i] = interpolate([r0[i], r1[i], r2[i], r3[i], r4[i]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{mul, reduce128, tests::sample, P};

    #[test]
    fn interpolation_inverts_evaluation() {
        let (a, b) = (sample(500, 1), sample(500, 2));
        for (&a, &b) in a.iter().zip(&b) {
            let (x, y) = (evaluate(a), evaluate(b));
            assert_eq!(interpolate(std::array::from_fn(|i| x[i] * y[i])), mul(a, b));
        }
    }

    #[test]
    fn the_longest_sum_fits() {
        for top in [P - 1, (1 << 61) - (1 << 21), (7 << 58) | ((1 << 42) - 1) & (P - 1)] {
            let top = top.min(P - 1);
            let x = evaluate(top);
            let sums = x.map(|v| (v * v).checked_mul(MAX_TERMS as u64).expect("no overflow"));
            let expected = reduce128(top as u128 * top as u128);
            assert_eq!(interpolate(sums), mul(expected, MAX_TERMS as u64));
        }
    }
}
