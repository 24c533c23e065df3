//! Several generators as one:  s = sum_k w_k d_k,  h = sum_k w_k floor(d_k / d),  d_k drawn from generator k.
//!
//! What a party holds of numbers that are drawn from many keys in common with others. Nothing but the sums is stored.
//!
//! Dealing ([`mix`]):  out_r = sum_c w_(r, c) column_c, the columns being arrays and what generators draw, a chunk at a time.

use crate::backend::{variants, Backend};
use crate::divide::Divisor;
use crate::error::{same_length, Error};
use crate::field::{reduce128, P};
use crate::prg::{Prg, CHUNK, MIN_CHUNKS};
use crate::threads::for_rows;
use crate::vector::weighted;
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
    pub fn new(keys: &[&[u8]], weights: Vec<u64>) -> Result<Joint, Error> {
        same_length("the weights", keys.len(), weights.len())?;
        if let Some(w) = weights.iter().find(|&&w| w >= P) {
            return Err(Error::Shape(format!("the weight {w} is no element of the field")));
        }
        let prgs = keys.iter().map(|key| Prg::new(key, 0)).collect::<Result<_, _>>()?;
        Ok(Joint { prgs, weights })
    }

    /// s, and h with its divisor, for d_k uniform in [0, bound), 0 < bound <= p: those that [`Prg::below`] would give.
    pub fn below(
        &mut self,
        be: Backend,
        sums: &mut [u64],
        high: Option<(&mut [u64], Divisor)>,
        bound: u64,
    ) -> Result<(), Error> {
        let (high, divisor) = high.map_or((None, None), |(h, d)| (Some(h), Some(d)));
        if bound == 0 || bound > P {
            return Err(Error::Shape(format!("bound is {bound}, outside [1, p]")));
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
                    add(be, low, drawn, w, k);
                    if let Some(d) = divisor {
                        d.divide(drawn);
                        add(be, upper, drawn, w, k);
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

/// Several weighted sums of the same columns; those of a generator are drawn, those of weight 0 left out.
pub fn mix(
    be: Backend,
    outs: Vec<&mut [u64]>,
    rows: &[Vec<u64>],
    arrays: &[&[u64]],
    prgs: &mut [&mut Prg],
) -> Result<(), Error> {
    let n = outs.first().map_or(0, |out| out.len());
    same_length("the rows", outs.len(), rows.len())?;
    outs.iter().try_for_each(|out| same_length("an output", n, out.len()))?;
    rows.iter().try_for_each(|row| same_length("the weights of a row", arrays.len() + prgs.len(), row.len()))?;
    arrays.iter().try_for_each(|a| same_length("an array", n, a.len()))?;
    let count = n.div_ceil(CHUNK);
    let firsts = prgs.iter_mut().map(|g| g.take(count)).collect::<Result<Vec<_>, _>>()?;
    let mut parts: Vec<Vec<&mut [u64]>> = (0..count).map(|_| Vec::with_capacity(rows.len())).collect();
    for out in outs {
        parts.iter_mut().zip(out.chunks_mut(CHUNK)).for_each(|(part, piece)| part.push(piece));
    }
    let prgs: Vec<&Prg> = prgs.iter().map(|g| &**g).collect();
    for_rows(&mut parts, 1, MIN_CHUNKS.div_ceil(1 + prgs.len()), |at, parts| {
        let length = parts[0][0].len(); // the last one may be shorter
        let mut drawn = vec![0; prgs.len() * length];
        for (i, part) in parts.iter_mut().enumerate() {
            let (chunk, length) = (at + i, part[0].len());
            let drawn = &mut drawn[..prgs.len() * length];
            for ((g, first), d) in prgs.iter().zip(&firsts).zip(drawn.chunks_mut(length)) {
                g.chunk_below(d, first + chunk as u64, P);
            }
            let from = chunk * CHUNK;
            let columns = arrays.iter().map(|a| &a[from..from + length]).chain(drawn.chunks(length));
            let columns: Vec<&[u64]> = columns.collect();
            for (out, row) in part.iter_mut().zip(rows) {
                let used = || row.iter().zip(&columns).filter(|(&w, _)| w != 0);
                let w: Vec<u64> = used().map(|(&w, _)| w).collect();
                let a: Vec<&[u64]> = used().map(|(_, a)| *a).collect();
                weighted(be, out, &w, &a).expect("of one length");
            }
        }
        drawn.zeroize();
    });
    Ok(())
}

/// `sums` += w drawn: below 2^128 as long as at most 63 products are added to a reduced one.
fn add(be: Backend, sums: &mut [u128], drawn: &[u64], w: u64, k: usize) {
    variants!(be, (sums: &mut [u128] = sums, drawn: &[u64] = drawn, w: u64 = w, k: usize = k) {
        sums.iter_mut().zip(drawn).for_each(|(s, &d)| *s += w as u128 * d as u128);
        if k % 62 == 61 {
            sums.iter_mut().for_each(|s| *s = reduce128(*s) as u128);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;

    #[test]
    fn sums_of_arrays_and_of_what_generators_draw() {
        for n in [0, 1, CHUNK, 2 * CHUNK + 5] {
            let a: Vec<u64> = (0..n as u64).map(|i| P - 1 - i).collect();
            let new = |k| Prg::new(&[k; 16], 0).unwrap();
            let rows = vec![vec![3, 0, P - 1], vec![0, 1, 0], vec![0, 0, 0]];
            let (mut right, mut drawn) = (vec![vec![0; n]; 3], vec![vec![0; n]; 2]);
            drawn.iter_mut().zip(1..).for_each(|(d, k)| new(k).field(d).unwrap());
            for (out, row) in right.iter_mut().zip(&rows) {
                for (w, column) in row.iter().zip([&a, &drawn[0], &drawn[1]]) {
                    out.iter_mut().zip(column).for_each(|(o, &v)| *o = field::add(*o, field::mul(*w, v)));
                }
            }
            for &be in Backend::available() {
                let mut outs = vec![vec![7; n]; 3];
                let (mut g, mut h) = (new(1), new(2));
                mix(be, outs.iter_mut().map(|o| &mut o[..]).collect(), &rows, &[&a], &mut [&mut g, &mut h]).unwrap();
                assert_eq!(outs, right);
            }
        }
    }

    /// s and h are what the generators give one by one.
    #[test]
    fn sums_of_what_each_generator_draws() {
        let n = CHUNK + 3;
        for (count, bound, d) in [(1, P, 1 << 20), (3, 1 << 40, 12_345), (130, 1000, 7)] {
            let keys: Vec<[u8; 16]> = (0..count).map(|k| [k as u8; 16]).collect();
            let weights: Vec<u64> = (0..count as u64).map(|k| P - 1 - k * k).collect();
            let mut joint = Joint::new(&keys.iter().map(|k| &k[..]).collect::<Vec<_>>(), weights.clone()).unwrap();
            let mut prgs: Vec<Prg> = keys.iter().map(|k| Prg::new(k, 0).unwrap()).collect();
            for &be in Backend::available() {
                let (mut s, mut h) = (vec![0; n], vec![0; n]);
                joint.below(be, &mut s, Some((&mut h, Divisor::new(d).unwrap())), bound).unwrap();
                let (mut right, mut high, mut drawn) = (vec![0; n], vec![0; n], vec![0; n]);
                for (g, &w) in prgs.iter_mut().zip(&weights) {
                    g.below(&mut drawn, bound).unwrap();
                    for ((r, q), x) in right.iter_mut().zip(&mut high).zip(&drawn) {
                        *r = field::add(*r, field::mul(w, *x));
                        *q = field::add(*q, field::mul(w, x / d));
                    }
                }
                assert_eq!((s, h), (right, high));
            }
        }
    }
}
