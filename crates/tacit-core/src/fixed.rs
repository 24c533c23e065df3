//! Fixed-point numbers:  a = round(x 2^s) mod p, and the local part of a truncation by d.

pub use crate::backend::kernels::Truncation;
use crate::backend::{kernels, variants, Backend};
use crate::error::{same_length, Error};
use crate::field::{self, P};
use crate::threads::for_rows;
use crate::vector::signed;
use std::cmp::Ordering::Less;
use std::sync::atomic::{AtomicBool, Ordering};

/// The least number of elements worth a thread.
const MIN: usize = 1 << 18;

/// Why [`encode`] refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeError {
    /// The arguments do not fit together.
    Shape(Error),
    /// The element at this index is not finite, or too large.
    Value(usize),
}

fn power_of_two(scale: i32) -> Result<f64, Error> {
    if !(-1000..=1000).contains(&scale) {
        return Err(Error::Shape(format!("scale is {scale}, outside [-1000, 1000]")));
    }
    Ok(2f64.powi(scale))
}

/// out_i = round-half-even(x_i 2^scale) mod p, all |round(x_i 2^scale)| < 2^bits. Whether and where that fails shows.
pub fn encode(out: &mut [u64], x: &[f64], scale: i32, bits: u32) -> Result<(), EncodeError> {
    same_length("the operand", out.len(), x.len()).map_err(EncodeError::Shape)?;
    let factor = power_of_two(scale).map_err(EncodeError::Shape)?;
    if bits > 60 {
        return Err(EncodeError::Shape(Error::Shape(format!("bits is {bits}, more than 60"))));
    }
    let limit = (1u64 << bits) as f64;
    let bad = AtomicBool::new(false);
    for_rows(out, 1, MIN, |at, out| {
        let x = &x[at..at + out.len()];
        let mut fit = true;
        variants!(Backend::best(), (out: &mut [u64] = out, x: &[f64] = x, factor: f64 = factor, limit: f64 = limit, fit: &mut bool = &mut fit) {
            for (o, &x) in out.iter_mut().zip(x) {
                let r = (x * factor).round_ties_even();
                *fit &= r.abs() < limit; // false for NaN
                *o = ((r as i64) as u64).wrapping_add(P & ((r as i64) >> 63) as u64);
            }
        });
        bad.fetch_or(!fit, Ordering::Relaxed);
    });
    if bad.into_inner() {
        let first = x.iter().position(|&x| (x * factor).round_ties_even().abs().partial_cmp(&limit) != Some(Less));
        return Err(EncodeError::Value(first.unwrap_or(0)));
    }
    Ok(())
}

/// out_i = a_i / 2^scale, where a_i > p/2 stands for a_i - p.
pub fn decode(out: &mut [f64], a: &[u64], scale: i32) -> Result<(), Error> {
    same_length("the operand", out.len(), a.len())?;
    let factor = power_of_two(-scale)?;
    for_rows(out, 1, MIN, |at, out| {
        for (o, &a) in out.iter_mut().zip(&a[at..]) {
            *o = signed(a) as f64 * factor;
        }
    });
    Ok(())
}

/// out = k (floor(c / d) - constant) + [c < (p-1)/2] (floor((c + p) / d) - floor(c / d)) top - high.
pub fn truncation_local(be: Backend, out: &mut [u64], v: Truncation) -> Result<(), Error> {
    for (name, part) in [("c", v.c), ("top", v.top), ("high", v.high)] {
        same_length(name, out.len(), part.len())?;
    }
    let offset = field::neg(field::mul(v.k, v.constant));
    let kernels = kernels(be);
    for_rows(out, 1, MIN, |at, out| kernels.truncation_local(out, v, offset, at));
    Ok(())
}
