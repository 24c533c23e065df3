//! Residues as floating numbers:  x w - k q = (h - k q) + l,  h = fl(x w),  l = x w - h,  k = round(fl(h / q)).
//!
//! Machines without 64-bit vector products fuse floating ones with sums: l is exact, and so is every integer below 2^53, which
//! leaves k as the only thing that errs. With q < 2^50, |w| <= q/2 and |x| <= c q, h / q takes three roundings and is at
//! most 3 c / 16 off, so the result is below (1/2 + 3 c / 16) q. No number here is subnormal, and products, sums and
//! roundings of the others take the same time.

use crate::backend::Backend;

/// Adding it puts an integer of 51 bits, signed, into the low bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0; // 2^52 + 2^51
/// The bits of 2^52.
const UNIT: u64 = 0x4330 << 48;

/// A prime below 2^50.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Float {
    value: u64,
    q: f64,
    inverse: f64,
}

impl Float {
    pub(crate) fn new(value: u64) -> Float {
        debug_assert!(value < 1 << 50);
        Float { value, q: value as f64, inverse: 1.0 / value as f64 }
    }

    /// The residue w in (-q/2, q/2).
    pub(crate) fn centred(&self, w: u64) -> f64 {
        if w > self.value / 2 {
            w as f64 - self.q
        } else {
            w as f64
        }
    }

    /// x w + s up to a multiple of q, of at most (1/2 + 1/4 + 2^-50) q for |x w / q| < 2^49 and |s| < q.
    #[inline(always)]
    pub(crate) fn product_add(&self, x: f64, w: f64, s: f64) -> f64 {
        let h = x * w;
        let l = x.mul_add(w, -h);
        let k = ((h + s) * self.inverse).round_ties_even();
        (-k).mul_add(self.q, h) + (l + s)
    }

    /// x w up to a multiple of q.
    #[inline(always)]
    pub(crate) fn product(&self, x: f64, w: f64) -> f64 {
        let h = x * w;
        let l = x.mul_add(w, -h);
        let k = (h * self.inverse).round_ties_even();
        (-k).mul_add(self.q, h) + l
    }

    /// x up to a multiple of q, of at most (1/2 + 2^-48) q, for |x| < 2^53.
    #[inline(always)]
    pub(crate) fn reduce(&self, x: f64) -> f64 {
        (-(x * self.inverse).round_ties_even()).mul_add(self.q, x)
    }

    /// x mod q for |x| < q.
    #[inline(always)]
    pub(crate) fn canonical(&self, x: f64) -> u64 {
        let x = integer(x);
        x.wrapping_add(self.value & (x >> 63).wrapping_neg())
    }
}

/// An integer below 2^52.
#[inline(always)]
pub(crate) fn float(x: u64) -> f64 {
    f64::from_bits(x | UNIT) - f64::from_bits(UNIT)
}

/// round(x) mod 2^64 for |x| < 2^50.
#[inline(always)]
pub(crate) fn integer(x: f64) -> u64 {
    (x + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits())
}

/// This backend, if its vectors fuse products and sums; else the portable one.
pub(crate) fn fusing(be: Backend) -> Backend {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("fma") {
        return be.checked();
    }
    let _ = be;
    Backend::Portable
}

/// Compiles a loop over floating numbers for each backend that fuses products and sums, and chooses at run time; the others
/// take the integers after `else`.
macro_rules! fused {
    ($be:expr, ($($arg:ident: $type:ty = $value:expr),*) $body:block else $integers:block) => {{
        #[cfg(target_arch = "x86_64")]
        #[inline(always)]
        fn any($($arg: $type),*) $body
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,bmi2,fma")]
        fn avx2($($arg: $type),*) { any($($arg),*) }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,bmi2,fma")]
        fn avx512($($arg: $type),*) { any($($arg),*) }
        match $crate::lattice::float::fusing($be) {
            // SAFETY: `fusing` found the instructions on this machine.
            #[cfg(target_arch = "x86_64")]
            $crate::backend::Backend::Avx2 => unsafe { avx2($($value),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::backend::Backend::Avx512Ifma => unsafe { avx512($($value),*) },
            _ => $integers,
        }
    }};
}

pub(crate) use fused;
