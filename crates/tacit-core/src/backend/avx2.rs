//! AVX2. Elementwise products, four at a time:  x y = ll + (lh + hl) 2^32 + hh 2^64  from 32-bit halves, reduced once.
//!
//! With h = floor(x y / 2^61) = h1 2^40 + h0:  h (2^21 - 1) = h0 2^21 + h1 2^61 - h, and 2^61 = 2^21 - 1 (mod p) once more.
//!
//! Large matrices: four Toom values at a time,  s_j += a b_j  by the 32 x 32 -> 64-bit multiplication (values are below 2^24).

use super::kernels::{Kernels, Left, MaskedProduct, Packed, Tile, Truncation};
use super::portable::{self, Portable};
use crate::field::{self, C, MASK, P};
use crate::toom::{self, Source};
use std::arch::x86_64::*;

const LANES: usize = 4;
/// Folded products and a folded sum that stay below 2^64.
const TERMS: usize = 6;
/// Products whose wide sum and one reduction are as cheap as a reduction of each.
const MANY: usize = 16;
/// Rows of a Toom tile.
const ROWS: usize = 4;
/// Columns of a Toom tile.
const WIDTH: usize = 8;

const PACKED: Packed = Packed { rows: ROWS, width: WIDTH, worth: 30, pack, point, finish };

/// Machines with AVX2 and BMI2; only [`super::kernels`] gives it, which found the instructions.
pub(crate) struct Avx2;

impl Kernels for Avx2 {
    fn width(&self) -> usize {
        Portable.width()
    }

    fn rows(&self) -> usize {
        Portable.rows()
    }

    fn panel(&self, out: Tile, a: Left, b: &[u64], k: usize) {
        Portable.panel(out, a, b, k);
    }

    fn dots(&self, out: &mut [u64], a: &[u64], rows: usize, b: &[u64], cols: usize, k: usize, step: usize) {
        Portable.dots(out, a, rows, b, cols, k, step);
    }

    fn dot(&self, a: &[u64], b: &[u64]) -> u64 {
        Portable.dot(a, b)
    }

    fn packed(&self) -> Option<Packed> {
        Some(PACKED)
    }

    fn mul(&self, out: &mut [u64], a: &[u64], b: &[u64]) {
        mul(out, a, b);
    }

    fn scale(&self, out: &mut [u64], a: &[u64], k: u64) {
        weighted(out, &[k], &[a], 0);
    }

    fn weighted(&self, out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
        if c.len() < MANY {
            weighted(out, c, a, at);
        } else {
            wide(out, c, a, at);
        }
    }

    fn multiply_open(&self, out: &mut [u64], v: MaskedProduct, at: usize) {
        multiply_open(out, v, at);
    }

    fn truncation_local(&self, out: &mut [u64], v: Truncation, offset: u64, at: usize) {
        Portable.truncation_local(out, v, offset, at);
    }
}

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
fn mul(out: &mut [u64], a: &[u64], b: &[u64]) {
    #[target_feature(enable = "avx2,bmi2")]
    fn run(out: &mut [u64], a: &[u64], b: &[u64]) {
        let whole = out.len() / LANES * LANES;
        let (out, last) = out.split_at_mut(whole);
        for ((o, a), b) in out.chunks_exact_mut(LANES).zip(a.chunks_exact(LANES)).zip(b.chunks_exact(LANES)) {
            store(o, canon(product(split(load(a)), split(load(b)))));
        }
        last.iter_mut().zip(&a[whole..]).zip(&b[whole..]).for_each(|((o, &a), &b)| *o = field::mul(a, b));
    }
    // SAFETY: instructions as in `pack`.
    unsafe { run(out, a, b) }
}

/// out_i = sum_k c_k a_{k,i} for the elements from `at`.
fn weighted(out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
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
    // SAFETY: instructions as in `pack`.
    unsafe { run(out, c, a, at) }
}

/// The same in 128-bit sums.
fn wide(out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
    #[target_feature(enable = "avx2,bmi2")]
    fn run(out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
        portable::weighted(out, c, a, at);
    }
    // SAFETY: instructions as in `pack`.
    unsafe { run(out, c, a, at) }
}

/// out_i = d_i (y_i - k e_i) + x_i e_i + c_i for the elements from `at`.
fn multiply_open(out: &mut [u64], v: MaskedProduct, at: usize) {
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
    // SAFETY: instructions as in `pack`.
    unsafe { run(out, v, at) }
}

fn pack(out: &mut [u64], s: Source, lines: usize, depth: usize, width: usize) {
    #[target_feature(enable = "avx2,bmi2")]
    fn run(out: &mut [u64], s: Source, lines: usize, depth: usize, width: usize) {
        toom::pack(out, s, lines, depth, width);
    }
    // SAFETY: whoever holds `Avx2` has the instructions.
    unsafe { run(out, s, lines, depth, width) }
}

fn finish(out: &mut [u64], sums: &[u64]) {
    #[target_feature(enable = "avx2,bmi2")]
    fn run(out: &mut [u64], sums: &[u64]) {
        toom::interpolate_tile(out, sums);
    }
    // SAFETY: as in `pack`.
    unsafe { run(out, sums) }
}

fn point(sums: &mut [u64], a: &[u64], b: &[u64], k: usize) {
    assert!(sums.len() >= ROWS * WIDTH && a.len() >= k * ROWS && b.len() >= k * WIDTH);
    // SAFETY: AVX2 as in `pack`; the pointers stay within the slices because of the assertion.
    unsafe { point_avx2(sums.as_mut_ptr(), a.as_ptr(), b.as_ptr(), k) }
}

#[target_feature(enable = "avx2")]
unsafe fn point_avx2(sums: *mut u64, a: *const u64, b: *const u64, k: usize) {
    let mut s = [[_mm256_setzero_si256(); 2]; ROWS];
    for i in 0..k {
        // SAFETY: i < k, and the caller gives k * WIDTH and k * ROWS elements.
        let right: [__m256i; 2] =
            std::array::from_fn(|v| unsafe { _mm256_loadu_si256(b.add(i * WIDTH + 4 * v).cast()) });
        for (r, s) in s.iter_mut().enumerate() {
            // SAFETY: as above.
            let left = _mm256_set1_epi64x(unsafe { *a.add(i * ROWS + r) } as i64);
            for (s, &right) in s.iter_mut().zip(&right) {
                *s = _mm256_add_epi64(*s, _mm256_mul_epu32(left, right));
            }
        }
    }
    for (r, s) in s.iter().enumerate() {
        for (v, &s) in s.iter().enumerate() {
            // SAFETY: the caller gives ROWS * WIDTH elements.
            unsafe { _mm256_storeu_si256(sums.add(r * WIDTH + 4 * v).cast(), s) };
        }
    }
}
