//! Several generators as one:  s = sum_k w_k d_k,  h = sum_k w_k (d_k >> f),  d_k drawn from generator k.
//!
//! What a party holds of numbers that are drawn from many keys in common with others. Nothing but the sums is stored.

use crate::backend::Backend;
use crate::error::{same_length, BadShape};
use crate::field::{reduce128, P};
use crate::prg::{Prg, CHUNK, MIN_CHUNKS};
use crate::threads::for_rows;
use crate::vector::variants;
use zeroize::Zeroize;

/// Generators and their weights.
pub struct Joint {
    prgs: Vec<Prg>,
    weights: Vec<u64>,
}

/// One chunk of s, and of h.
type Part<'a> = (&'a mut [u64], Option<&'a mut [u64]>);

impl Joint {
    /// AES-128 or AES-256 by the length of each key, as in [`Prg::new`]; weights are elements of the field.
    pub fn new(keys: &[&[u8]], weights: Vec<u64>) -> Result<Joint, BadShape> {
        same_length("the weights", keys.len(), weights.len())?;
        if let Some(w) = weights.iter().find(|&&w| w >= P) {
            return Err(BadShape(format!("the weight {w} is no element of the field")));
        }
        let prgs = keys.iter().map(|key| Prg::new(key, 0)).collect::<Result<_, _>>()?;
        Ok(Joint { prgs, weights })
    }

    /// s, and h with its f, for d_k uniform in [0, bound), 0 < bound <= p: those that [`Prg::below`] would give.
    pub fn below(
        &mut self,
        be: Backend,
        sums: &mut [u64],
        high: Option<(&mut [u64], u32)>,
        bound: u64,
    ) -> Result<(), BadShape> {
        let (high, f) = high.map_or((None, 0), |(h, f)| (Some(h), f));
        if bound == 0 || bound > P || f > 63 {
            return Err(BadShape(format!("bound is {bound}, outside [1, p], or {f} bits are dropped, more than 63")));
        }
        if let Some(h) = &high {
            same_length("the high parts", sums.len(), h.len())?;
        }
        let count = sums.len().div_ceil(CHUNK);
        let firsts = self.prgs.iter_mut().map(|g| g.take(count)).collect::<Result<Vec<_>, _>>()?;
        let mut parts: Vec<Part> = match high {
            Some(h) => sums.chunks_mut(CHUNK).zip(h.chunks_mut(CHUNK).map(Some)).collect(),
            None => sums.chunks_mut(CHUNK).map(|s| (s, None)).collect(),
        };
        let least = MIN_CHUNKS.div_ceil(self.prgs.len().max(1));
        for_rows(&mut parts, 1, least, |at, parts| {
            let length = parts[0].0.len(); // the last one may be shorter
            let mut drawn = vec![0; length];
            let mut wide = vec![0; 2 * length];
            for (i, (s, h)) in parts.iter_mut().enumerate() {
                let drawn = &mut drawn[..s.len()];
                let (low, upper) = wide.split_at_mut(length);
                low.fill(0);
                upper.fill(0);
                for (k, (g, &w)) in self.prgs.iter().zip(&self.weights).enumerate() {
                    g.chunk_below(drawn, firsts[k] + (at + i) as u64, bound);
                    add(be, low, drawn, w, 0, k);
                    if h.is_some() {
                        add(be, upper, drawn, w, f, k);
                    }
                }
                s.iter_mut().zip(low.iter()).for_each(|(o, &v)| *o = reduce128(v));
                if let Some(h) = h {
                    h.iter_mut().zip(upper.iter()).for_each(|(o, &v)| *o = reduce128(v));
                }
            }
            drawn.zeroize();
            wide.zeroize();
        });
        Ok(())
    }
}

/// `sums` += w (drawn >> f): below 2^128 as long as at most 63 products are added to a reduced one.
fn add(be: Backend, sums: &mut [u128], drawn: &[u64], w: u64, f: u32, k: usize) {
    variants!(be, (sums: &mut [u128] = sums, drawn: &[u64] = drawn, w: u64 = w, f: u32 = f, k: usize = k) {
        sums.iter_mut().zip(drawn).for_each(|(s, &d)| *s += w as u128 * (d >> f) as u128);
        if k % 62 == 61 {
            sums.iter_mut().for_each(|s| *s = reduce128(*s) as u128);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;

    /// s and h are what the generators give one by one.
    #[test]
    fn sums_of_what_each_generator_draws() {
        let (n, f) = (CHUNK + 3, 20);
        for (count, bound) in [(1, P), (3, 1 << 40), (130, 1000)] {
            let keys: Vec<[u8; 16]> = (0..count).map(|k| [k as u8; 16]).collect();
            let weights: Vec<u64> = (0..count as u64).map(|k| P - 1 - k * k).collect();
            let mut joint = Joint::new(&keys.iter().map(|k| &k[..]).collect::<Vec<_>>(), weights.clone()).unwrap();
            let mut prgs: Vec<Prg> = keys.iter().map(|k| Prg::new(k, 0).unwrap()).collect();
            for &be in Backend::available() {
                let (mut s, mut h) = (vec![0; n], vec![0; n]);
                joint.below(be, &mut s, Some((&mut h, f)), bound).unwrap();
                let (mut right, mut high, mut drawn) = (vec![0; n], vec![0; n], vec![0; n]);
                for (g, &w) in prgs.iter_mut().zip(&weights) {
                    g.below(&mut drawn, bound).unwrap();
                    for ((r, q), d) in right.iter_mut().zip(&mut high).zip(&drawn) {
                        *r = field::add(*r, field::mul(w, *d));
                        *q = field::add(*q, field::mul(w, d >> f));
                    }
                }
                assert_eq!((s, h), (right, high));
            }
        }
    }
}
