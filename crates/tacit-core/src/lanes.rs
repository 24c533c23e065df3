//! Elementwise products on AVX2, four at a time:  x y = ll + (lh + hl) 2^32 + hh 2^64  from 32-bit halves, reduced once.
//!
//! With h = floor(x y / 2^61) = h1 2^40 + h0:  h (2^21 - 1) = h0 2^21 + h1 2^61 - h, and 2^61 = 2^21 - 1 (mod p) once more.

use crate::field::{self, C, MASK, P};
use crate::vector::MaskedProduct;
use std::arch::x86_64::*;

const LANES: usize = 4;
/// Folded products and a folded sum that stay below 2^64.
const TERMS: usize = 6;

/// x and x >> 32.
type Halves = [__m256i; 2];

#[inline]
#[target_feature(enable = "avx2")]
fn splat(x: u64) -> __m256i {
    _mm256_set1_epi64x(x as i64)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(x: &[u64]) -> __m256i {
    assert!(x.len() >= LANES);
    // SAFETY: as many elements are there.
    unsafe { _mm256_loadu_si256(x.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(out: &mut [u64], x: __m256i) {
    assert!(out.len() >= LANES);
    // SAFETY: as in `load`.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), x) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn split(x: __m256i) -> Halves {
    [x, _mm256_srli_epi64::<32>(x)]
}

/// Below 2^61 + 2^24, congruent to x.
#[inline]
#[target_feature(enable = "avx2")]
fn fold(x: __m256i) -> __m256i {
    let h = _mm256_srli_epi64::<61>(x);
    let low = _mm256_and_si256(x, splat(MASK));
    _mm256_add_epi64(low, _mm256_sub_epi64(_mm256_slli_epi64::<21>(h), h))
}

/// x mod p for x < 2p.
#[inline]
#[target_feature(enable = "avx2")]
fn canon(x: __m256i) -> __m256i {
    let d = _mm256_sub_epi64(x, splat(P));
    let negative = _mm256_castsi256_pd(d);
    _mm256_castpd_si256(_mm256_blendv_pd(negative, _mm256_castsi256_pd(x), negative))
}

/// Folded, congruent to x y, for elements x and y.
#[inline]
#[target_feature(enable = "avx2")]
fn product(x: Halves, y: Halves) -> __m256i {
    let [ll, lh] = [y[0], y[1]].map(|y| _mm256_mul_epu32(x[0], y));
    let [hl, hh] = [y[0], y[1]].map(|y| _mm256_mul_epu32(x[1], y));
    let middle = _mm256_add_epi64(_mm256_add_epi64(lh, hl), _mm256_srli_epi64::<32>(ll)); // below 2^63
    let low = _mm256_or_si256(_mm256_and_si256(ll, splat(u32::MAX as u64)), _mm256_slli_epi64::<32>(middle));
    let h = _mm256_add_epi64(_mm256_srli_epi64::<29>(middle), _mm256_slli_epi64::<3>(hh)); // below p
    let shifted = _mm256_and_si256(_mm256_slli_epi64::<21>(h), splat(MASK));
    let rest = _mm256_mul_epu32(_mm256_srli_epi64::<40>(h), splat(C));
    let sum = _mm256_add_epi64(_mm256_add_epi64(_mm256_and_si256(low, splat(MASK)), shifted), rest);
    fold(_mm256_add_epi64(sum, _mm256_sub_epi64(splat(P), h)))
}

/// out_i = a_i b_i over equal lengths.
pub(crate) fn mul(out: &mut [u64], a: &[u64], b: &[u64]) {
    #[target_feature(enable = "avx2,bmi2")]
    fn run(out: &mut [u64], a: &[u64], b: &[u64]) {
        let whole = out.len() / LANES * LANES;
        let (out, last) = out.split_at_mut(whole);
        for ((o, a), b) in out.chunks_exact_mut(LANES).zip(a.chunks_exact(LANES)).zip(b.chunks_exact(LANES)) {
            store(o, canon(product(split(load(a)), split(load(b)))));
        }
        last.iter_mut().zip(&a[whole..]).zip(&b[whole..]).for_each(|((o, &a), &b)| *o = field::mul(a, b));
    }
    // SAFETY: `vector` found the instructions.
    unsafe { run(out, a, b) }
}

/// out_i = k a_i.
pub(crate) fn scale(out: &mut [u64], a: &[u64], k: u64) {
    weighted(out, &[k], &[a], 0);
}

/// out_i = sum_k c_k a_{k,i} for the elements from `at`.
pub(crate) fn weighted(out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
    #[target_feature(enable = "avx2,bmi2")]
    fn run(out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
        let whole = out.len() / LANES * LANES;
        for (i, o) in (at..).step_by(LANES).zip(out.chunks_exact_mut(LANES)) {
            let mut sum = splat(0);
            for (k, (&c, a)) in c.iter().zip(a).enumerate() {
                sum = _mm256_add_epi64(sum, product(split(load(&a[i..])), split(splat(c))));
                if k % TERMS == TERMS - 1 {
                    sum = fold(sum);
                }
            }
            store(o, canon(fold(sum)));
        }
        for (i, o) in (at + whole..).zip(&mut out[whole..]) {
            *o = c.iter().zip(a).fold(0, |sum, (&c, a)| field::add(sum, field::mul(c, a[i])));
        }
    }
    // SAFETY: `vector` found the instructions.
    unsafe { run(out, c, a, at) }
}

/// out_i = d_i (y_i - k e_i) + x_i e_i + c_i for the elements from `at`.
pub(crate) fn multiply_open(out: &mut [u64], v: MaskedProduct, at: usize) {
    #[target_feature(enable = "avx2,bmi2")]
    fn run(out: &mut [u64], v: MaskedProduct, at: usize) {
        let k = split(splat(v.k));
        for (i, o) in (at..).step_by(LANES).zip(out.chunks_exact_mut(LANES)) {
            let e = split(load(&v.e[i..]));
            let right = _mm256_sub_epi64(_mm256_add_epi64(load(&v.y[i..]), splat(2 * P)), product(e, k));
            let right = split(canon(fold(right)));
            let mut sum = _mm256_add_epi64(product(split(load(&v.d[i..])), right), product(split(load(&v.x[i..])), e));
            if let Some(c) = v.c {
                sum = _mm256_add_epi64(sum, load(&c[i..]));
            }
            store(o, canon(fold(sum)));
        }
        let whole = out.len() / LANES * LANES;
        out[whole..].iter_mut().zip(at + whole..).for_each(|(o, i)| *o = v.one(i));
    }
    // SAFETY: `vector` found the instructions.
    unsafe { run(out, v, at) }
}
