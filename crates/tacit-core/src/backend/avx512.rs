//! AVX-512 IFMA:  a b = lo(a0 b0) + 2^52 (hi(a0 b0) + lo(a0 b1) + lo(a1 b0)) + 2^104 (hi(a0 b1) + hi(a1 b0) + a1 b1),
//! with a = a0 + 2^52 a1 and likewise b: seven 52-bit multiply-adds into three sums, and one reduction at the end.
//!
//! The multiply-add ignores bits above 52, so an element is its own low limb. Each step adds less than 3 2^52 to the
//! middle sum: [`MAX_K`] steps stay below 2^64, and the high sum stays below 2^37 (see [`reduce`]).

use super::kernels::{Kernels, Left, MaskedProduct, Packed, Tile, Truncation, MAX_K};
use super::portable::{self, Portable};
use crate::field::{self, reduce64, C, MASK, P};
use crate::toom::{self, Source};
use std::arch::x86_64::*;

const LANES: usize = 8;
/// Columns of a panel, two vectors.
const WIDTH: usize = 16;
/// Rows of a panel or of a block of dot products: 4 x 2 x 3 sums and the operands fit into 32 registers.
const ROWS: usize = 4;
/// Rows of a Toom tile: 12 x 2 sums.
const TOOM_ROWS: usize = 12;

const PACKED: Packed = Packed { rows: TOOM_ROWS, width: WIDTH, worth: 105, pack, point, finish };

/// Machines with AVX-512 and its 52-bit multiply-add; only [`super::kernels`] gives it, which found the instructions.
pub(crate) struct Avx512;

impl Kernels for Avx512 {
    fn width(&self) -> usize {
        WIDTH
    }

    fn rows(&self) -> usize {
        ROWS
    }

    fn panel(&self, out: Tile, a: Left, b: &[u64], k: usize) {
        panel(out, a, b, k);
    }

    fn dots(&self, out: &mut [u64], a: &[u64], rows: usize, b: &[u64], cols: usize, k: usize, step: usize) {
        dots(out, a, rows, b, cols, k, step);
    }

    fn dot(&self, a: &[u64], b: &[u64]) -> u64 {
        dot(a, b)
    }

    fn packed(&self) -> Option<Packed> {
        Some(PACKED)
    }

    fn mul(&self, out: &mut [u64], a: &[u64], b: &[u64]) {
        mul(out, a, b);
    }

    fn scale(&self, out: &mut [u64], a: &[u64], k: u64) {
        scale(out, a, k);
    }

    fn weighted(&self, out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
        weighted(out, c, a, at);
    }

    fn multiply_open(&self, out: &mut [u64], v: MaskedProduct, at: usize) {
        multiply_open(out, v, at);
    }

    fn truncation_local(&self, out: &mut [u64], v: Truncation, offset: u64, at: usize) {
        match v.divisor.shift() {
            Some(f) => truncation_local(out, v, f, offset, at),
            None => Portable.truncation_local(out, v, offset, at),
        }
    }
}

/// Three sums with weights 1, 2^52 and 2^104.
type Sums = [__m512i; 3];

#[inline]
#[target_feature(enable = "avx512f")]
fn zero() -> Sums {
    [_mm512_setzero_si512(); 3]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(x: u64) -> __m512i {
    _mm512_set1_epi64(x as i64)
}

/// An element and its high limb.
#[inline]
#[target_feature(enable = "avx512f")]
fn split(x: __m512i) -> (__m512i, __m512i) {
    (x, _mm512_srli_epi64::<52>(x))
}

/// s += a b.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn accumulate(s: Sums, (a0, a1): (__m512i, __m512i), (b0, b1): (__m512i, __m512i)) -> Sums {
    let [s0, s1, s2] = s;
    let (s0, s1) = (_mm512_madd52lo_epu64(s0, a0, b0), _mm512_madd52hi_epu64(s1, a0, b0));
    let (s1, s2) = (_mm512_madd52lo_epu64(s1, a0, b1), _mm512_madd52hi_epu64(s2, a0, b1));
    let (s1, s2) = (_mm512_madd52lo_epu64(s1, a1, b0), _mm512_madd52hi_epu64(s2, a1, b0));
    [s0, s1, _mm512_madd52lo_epu64(s2, a1, b1)]
}

/// (2^21 - 1) x.
#[inline]
#[target_feature(enable = "avx512f")]
fn times_c(x: __m512i) -> __m512i {
    _mm512_sub_epi64(_mm512_slli_epi64::<21>(x), x)
}

/// x mod p for any 64-bit x.
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce_word(x: __m512i) -> __m512i {
    let folded = _mm512_add_epi64(_mm512_and_si512(x, splat(MASK)), times_c(_mm512_srli_epi64::<61>(x)));
    canon(folded)
}

/// x mod p for x < 2p.
#[inline]
#[target_feature(enable = "avx512f")]
fn canon(x: __m512i) -> __m512i {
    _mm512_min_epu64(x, _mm512_sub_epi64(x, splat(P)))
}

/// a - b mod p.
#[inline]
#[target_feature(enable = "avx512f")]
fn subtract(a: __m512i, b: __m512i) -> __m512i {
    let d = _mm512_sub_epi64(a, b);
    _mm512_min_epu64(d, _mm512_add_epi64(d, splat(P)))
}

/// s0 + 2^52 s1 + 2^104 s2 mod p, canonical, for s2 < 2^37 after carries.
///
/// With d1 = 2^9 h + l the middle digit gives 2^52 l + (2^21 - 1) h; and 2^104 = 2^24 - 2^3 - 2^43 (mod p).
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce([s0, s1, s2]: Sums) -> __m512i {
    let low52 = splat((1 << 52) - 1);
    let s1 = _mm512_add_epi64(s1, _mm512_srli_epi64::<52>(s0));
    let d2 = _mm512_add_epi64(s2, _mm512_srli_epi64::<52>(s1));
    let (d0, d1) = (_mm512_and_si512(s0, low52), _mm512_and_si512(s1, low52));
    let t = times_c(_mm512_srli_epi64::<9>(d1));
    let t = _mm512_add_epi64(_mm512_and_si512(t, splat(MASK)), times_c(_mm512_srli_epi64::<61>(t)));
    let l = _mm512_and_si512(_mm512_slli_epi64::<52>(d1), splat(MASK));
    // Below 2^52 + 2^61 + (2^61 + 2^24) + 2^61 + 2^62.
    let plus = _mm512_add_epi64(_mm512_add_epi64(d0, l), _mm512_add_epi64(t, _mm512_slli_epi64::<24>(d2)));
    let plus = _mm512_add_epi64(plus, splat(2 * P));
    // Below 2^40 + 2^61 + 2^40 < 2p.
    let shifted = _mm512_and_si512(_mm512_slli_epi64::<43>(d2), splat(MASK));
    let minus = _mm512_add_epi64(_mm512_slli_epi64::<3>(d2), shifted);
    let minus = _mm512_add_epi64(minus, times_c(_mm512_srli_epi64::<18>(d2)));
    reduce_word(_mm512_sub_epi64(plus, minus))
}

/// The sum of eight canonical elements, canonical: 8 (p - 1) < 2^64.
#[inline]
#[target_feature(enable = "avx512f")]
fn across(x: __m512i) -> u64 {
    reduce64(_mm512_reduce_add_epi64(x) as u64)
}

/// Up to eight elements; the lanes after them are zero.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(x: &[u64]) -> __m512i {
    // SAFETY: the mask leaves out what lies behind the slice.
    unsafe { _mm512_maskz_loadu_epi64(mask(x.len()), x.as_ptr().cast()) }
}

#[inline]
fn mask(n: usize) -> u8 {
    if n >= LANES {
        0xff
    } else {
        (1u8 << n) - 1
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(out: &mut [u64], x: __m512i) {
    // SAFETY: the mask leaves out what lies behind the slice.
    unsafe { _mm512_mask_storeu_epi64(out.as_mut_ptr().cast(), mask(out.len()), x) }
}

fn panel(out: Tile, a: Left, b: &[u64], k: usize) {
    assert!(k <= MAX_K && b.len() >= k * WIDTH && a.data.len() >= a.end(out.rows, k) && out.cols <= WIDTH);
    // SAFETY: whoever holds `Avx512` has the instructions; sizes were asserted.
    unsafe {
        match out.rows {
            0 => {}
            1 => panel_rows::<1>(out, a, b, k),
            2 => panel_rows::<2>(out, a, b, k),
            3 => panel_rows::<3>(out, a, b, k),
            _ => panel_rows::<ROWS>(out, a, b, k),
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn panel_rows<const R: usize>(out: Tile, a: Left, b: &[u64], k: usize) {
    let mut s = [[zero(); 2]; R];
    let (mut left, mut right) = (a.data.as_ptr(), b.as_ptr());
    for _ in 0..k {
        // SAFETY: row i < k of b, and element (r, i) of a, as `panel` asserted.
        let b: [_; 2] = std::array::from_fn(|v| split(unsafe { _mm512_loadu_epi64(right.add(8 * v).cast()) }));
        for (r, s) in s.iter_mut().enumerate() {
            // SAFETY: as above.
            let a = split(splat(unsafe { *left.add(r * a.row_step) }));
            s[0] = accumulate(s[0], a, b[0]);
            s[1] = accumulate(s[1], a, b[1]);
        }
        left = left.wrapping_add(a.col_step);
        right = right.wrapping_add(WIDTH);
    }
    for (s, row) in s.into_iter().zip(out.data.chunks_mut(out.step)) {
        for (mut s, out) in s.into_iter().zip(row[..out.cols].chunks_mut(LANES)) {
            s[0] = _mm512_add_epi64(s[0], load(out)); // below 2^62 + 2^61
            store(out, reduce(s));
        }
    }
}

fn dots(out: &mut [u64], a: &[u64], rows: usize, b: &[u64], cols: usize, k: usize, step: usize) {
    let end = |lines: usize| if lines == 0 { 0 } else { (lines - 1) * step + k };
    assert!(k <= MAX_K * LANES && out.len() >= rows * cols && a.len() >= end(rows) && b.len() >= end(cols));
    for r0 in (0..rows).step_by(ROWS) {
        let a = &a[r0 * step..];
        for c0 in (0..cols).step_by(2) {
            let b = &b[c0 * step..];
            let out = &mut out[r0 * cols + c0..];
            // SAFETY: instructions as in `panel`; each line of a and b has k elements, as asserted.
            unsafe {
                match (rows - r0, cols - c0) {
                    (1, 1) => dots_block::<1, 1>(out, a, b, cols, k, step),
                    (2, 1) => dots_block::<2, 1>(out, a, b, cols, k, step),
                    (3, 1) => dots_block::<3, 1>(out, a, b, cols, k, step),
                    (_, 1) => dots_block::<4, 1>(out, a, b, cols, k, step),
                    (1, _) => dots_block::<1, 2>(out, a, b, cols, k, step),
                    (2, _) => dots_block::<2, 2>(out, a, b, cols, k, step),
                    (3, _) => dots_block::<3, 2>(out, a, b, cols, k, step),
                    (_, _) => dots_block::<4, 2>(out, a, b, cols, k, step),
                }
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn dots_block<const R: usize, const N: usize>(
    out: &mut [u64],
    a: &[u64],
    b: &[u64],
    cols: usize,
    k: usize,
    step: usize,
) {
    let mut s = [[zero(); N]; R];
    let (left, right) = (a.as_ptr(), b.as_ptr());
    let mut k0 = 0;
    while k0 < k {
        let m = mask(k - k0);
        // SAFETY: `dots` asserted k elements in every line; the mask leaves out what lies behind.
        let b: [_; N] =
            std::array::from_fn(|c| split(unsafe { _mm512_maskz_loadu_epi64(m, right.add(c * step + k0).cast()) }));
        for (r, s) in s.iter_mut().enumerate() {
            // SAFETY: as above.
            let a = split(unsafe { _mm512_maskz_loadu_epi64(m, left.add(r * step + k0).cast()) });
            for (s, &b) in s.iter_mut().zip(&b) {
                *s = accumulate(*s, a, b);
            }
        }
        k0 += LANES;
    }
    for (r, s) in s.into_iter().enumerate() {
        for (c, s) in s.into_iter().enumerate() {
            out[r * cols + c] = across(reduce(s));
        }
    }
}

fn dot(a: &[u64], b: &[u64]) -> u64 {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn run(a: &[u64], b: &[u64]) -> u64 {
        const BLOCK: usize = 4 * LANES;
        let mut sum = _mm512_setzero_si512();
        for (a, b) in a.chunks(MAX_K * BLOCK).zip(b.chunks(MAX_K * BLOCK)) {
            let mut s = [zero(); 4];
            for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
                for ((s, a), b) in s.iter_mut().zip(a.chunks(LANES)).zip(b.chunks(LANES)) {
                    *s = accumulate(*s, split(load(a)), split(load(b)));
                }
            }
            for s in s {
                sum = canon(_mm512_add_epi64(sum, reduce(s)));
            }
        }
        across(sum)
    }
    let n = a.len().min(b.len());
    // SAFETY: instructions as in `panel`.
    unsafe { run(&a[..n], &b[..n]) }
}

fn pack(out: &mut [u64], s: Source, lines: usize, depth: usize, width: usize) {
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,bmi2")]
    fn run(out: &mut [u64], s: Source, lines: usize, depth: usize, width: usize) {
        toom::pack(out, s, lines, depth, width);
    }
    // SAFETY: instructions as in `panel`.
    unsafe { run(out, s, lines, depth, width) }
}

fn finish(out: &mut [u64], sums: &[u64]) {
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,bmi2")]
    fn run(out: &mut [u64], sums: &[u64]) {
        toom::interpolate_tile(out, sums);
    }
    // SAFETY: instructions as in `panel`.
    unsafe { run(out, sums) }
}

fn point(sums: &mut [u64], a: &[u64], b: &[u64], k: usize) {
    assert!(sums.len() >= TOOM_ROWS * WIDTH && a.len() >= k * TOOM_ROWS && b.len() >= k * WIDTH);
    // SAFETY: instructions as in `panel`; the pointers stay within the slices because of the assertion.
    unsafe { point_ifma(sums, a.as_ptr(), b.as_ptr(), k) }
}

/// Values are below 2^24, so the low half of the multiply-add is the whole product.
#[target_feature(enable = "avx512f,avx512ifma")]
unsafe fn point_ifma(sums: &mut [u64], a: *const u64, b: *const u64, k: usize) {
    let mut s = [[_mm512_setzero_si512(); 2]; TOOM_ROWS];
    for i in 0..k {
        // SAFETY: i < k, and the caller gives k * WIDTH and k * TOOM_ROWS elements.
        let right: [_; 2] = std::array::from_fn(|v| unsafe { _mm512_loadu_epi64(b.add(i * WIDTH + 8 * v).cast()) });
        for (r, s) in s.iter_mut().enumerate() {
            // SAFETY: as above.
            let left = splat(unsafe { *a.add(i * TOOM_ROWS + r) });
            s[0] = _mm512_madd52lo_epu64(s[0], left, right[0]);
            s[1] = _mm512_madd52lo_epu64(s[1], left, right[1]);
        }
    }
    for (s, out) in s.into_iter().zip(sums.chunks_exact_mut(WIDTH)) {
        store(&mut out[..8], s[0]);
        store(&mut out[8..], s[1]);
    }
}

/// out_i = a_i b_i over equal lengths.
fn mul(out: &mut [u64], a: &[u64], b: &[u64]) {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn run(out: &mut [u64], a: &[u64], b: &[u64]) {
        for ((o, a), b) in out.chunks_mut(LANES).zip(a.chunks(LANES)).zip(b.chunks(LANES)) {
            store(o, reduce(accumulate(zero(), split(load(a)), split(load(b)))));
        }
    }
    // SAFETY: instructions as in `panel`.
    unsafe { run(out, a, b) }
}

/// out_i = k a_i.
fn scale(out: &mut [u64], a: &[u64], k: u64) {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn run(out: &mut [u64], a: &[u64], k: u64) {
        let k = split(splat(k));
        for (o, a) in out.chunks_mut(LANES).zip(a.chunks(LANES)) {
            store(o, reduce(accumulate(zero(), split(load(a)), k)));
        }
    }
    // SAFETY: instructions as in `panel`.
    unsafe { run(out, a, k) }
}

/// In 128-bit sums: one reduction for many products.
fn weighted(out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,bmi2")]
    fn run(out: &mut [u64], c: &[u64], a: &[&[u64]], at: usize) {
        portable::weighted(out, c, a, at);
    }
    // SAFETY: instructions as in `panel`.
    unsafe { run(out, c, a, at) }
}

/// out_i = d_i (y_i - k e_i) + x_i e_i + c_i for the elements from `at`.
fn multiply_open(out: &mut [u64], v: MaskedProduct, at: usize) {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn run(out: &mut [u64], v: MaskedProduct, at: usize) {
        let k = split(splat(v.k));
        for (i, o) in out.chunks_mut(LANES).enumerate() {
            let here = at + i * LANES..at + i * LANES + o.len();
            let e = split(load(&v.e[here.clone()]));
            let right = subtract(load(&v.y[here.clone()]), reduce(accumulate(zero(), e, k)));
            let s = accumulate(zero(), split(load(&v.d[here.clone()])), split(right));
            let mut s = accumulate(s, split(load(&v.x[here.clone()])), e);
            if let Some(c) = v.c {
                s[0] = _mm512_add_epi64(s[0], load(&c[here]));
            }
            store(o, reduce(s));
        }
    }
    // SAFETY: instructions as in `panel`.
    unsafe { run(out, v, at) }
}

/// out_i = k (c_i >> f) + [c_i < (p-1)/2] (((c_i + p) >> f) - (c_i >> f)) top_i + offset - high_i for the elements from `at`.
fn truncation_local(out: &mut [u64], v: Truncation, f: u32, offset: u64, at: usize) {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn run(out: &mut [u64], v: Truncation, f: u32, offset: u64, at: usize) {
        let (k, base) = (split(splat(v.k)), splat(offset + P));
        let count = _mm_cvtsi32_si128(f as i32);
        for (i, o) in out.chunks_mut(LANES).enumerate() {
            let here = at + i * LANES..at + i * LANES + o.len();
            let c = load(&v.c[here.clone()]);
            let below = _mm512_cmplt_epu64_mask(c, splat((P - 1) / 2));
            let shifted = _mm512_srl_epi64(c, count);
            let wrap = _mm512_sub_epi64(_mm512_srl_epi64(_mm512_add_epi64(c, splat(P)), count), shifted);
            let wrap = split(_mm512_maskz_mov_epi64(below, wrap));
            let s = accumulate(zero(), split(shifted), k);
            let mut s = accumulate(s, split(load(&v.top[here.clone()])), wrap);
            s[0] = _mm512_add_epi64(s[0], _mm512_sub_epi64(base, load(&v.high[here])));
            store(o, reduce(s));
        }
    }
    // SAFETY: instructions as in `panel`.
    unsafe { run(out, v, f, offset, at) }
}

/// C and `field` are the scalar forms of what this file does in lanes.
const _: () = assert!(C == (1 << 21) - 1 && field::fold(1 << 61) == C);
