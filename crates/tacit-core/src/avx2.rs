//! AVX2:  four Toom values at a time,  s_j += a b_j  by the 32 x 32 -> 64-bit multiplication (values are below 2^24).

use crate::kernel::Packed;
use crate::toom::{self, Source};
use std::arch::x86_64::*;

const ROWS: usize = 4;
const WIDTH: usize = 8;

pub(crate) const PACKED: Packed = Packed { rows: ROWS, width: WIDTH, worth: 30, pack, point, finish };

fn pack(out: &mut [u64], s: Source, lines: usize, depth: usize, width: usize) {
    #[target_feature(enable = "avx2,bmi2")]
    fn run(out: &mut [u64], s: Source, lines: usize, depth: usize, width: usize) {
        toom::pack(out, s, lines, depth, width);
    }
    // SAFETY: this table is only reached through `kernels`, which found AVX2 and BMI2.
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
