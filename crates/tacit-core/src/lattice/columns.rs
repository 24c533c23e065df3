//! Columns modulo one prime:  x_k <- w_0 x_k + sum_j w_j v_jk + c,  and x_k <- x_k + y_k z_k.
//!
//! Lifts, noise, drowning, masks and switches are all sums of columns of small words, each times a constant: this is the one
//! loop that computes them.

use super::float::{float, fused, Float};
use super::modulus::Modulus;
use super::random::{Secret, WORD};
use crate::backend::{variants, Backend};
use crate::field::{self, P};
use zeroize::Zeroizing;

/// Columns that are summed at a time.
const WIDE: usize = 128;
/// unit (sum_j 2^(s_j) v_jk - 2^s offset)  with words v_jk below 2^50.
pub(crate) struct Column<'a> {
    words: Vec<(&'a [u64], u32)>,
    offset: (u64, u32),
    unit: Unit,
}

/// What integers are multiplied by.
enum Unit {
    Times(u64),
    OverP,
}

impl<'a> Column<'a> {
    /// v - offset.
    pub(crate) fn small(v: &'a [u64], offset: u64) -> Column<'a> {
        Column { words: vec![(v, 0)], offset: (offset, 0), unit: Unit::Times(1) }
    }

    /// What [`halves`] made.
    pub(crate) fn field([low, high]: &'a [Secret; 2]) -> Column<'a> {
        Column { words: vec![(low, 0), (high, HALF)], offset: (P / 2, 0), unit: Unit::Times(1) }
    }

    /// Words of [`WORD`] bits, one column after another, less 2^(bits - 1).
    pub(crate) fn signed(words: &'a [u64], columns: usize, bits: u32) -> Column<'a> {
        let words = words.chunks_exact(columns.max(1)).zip(0..).map(|(v, i)| (v, WORD * i)).collect();
        Column { words, offset: (1, bits - 1), unit: Unit::Times(1) }
    }

    /// k times it.
    pub(crate) fn times(self, k: u64) -> Column<'a> {
        Column { unit: Unit::Times(k), ..self }
    }

    /// Divided by p modulo every prime.
    pub(crate) fn over_p(self) -> Column<'a> {
        Column { unit: Unit::OverP, ..self }
    }

    /// The columns and their weights, and the constant.
    pub(crate) fn terms(&self, m: &Modulus) -> (impl Iterator<Item = (&'a [u64], u64)> + '_, u64) {
        let unit = match self.unit {
            Unit::Times(k) => m.reduce(k),
            Unit::OverP => m.over_p(),
        };
        let m = *m;
        let weight = move |shift: u32| m.mul(unit, m.pow(2, shift.into()));
        let constant = m.mul(m.reduce(self.offset.0), weight(self.offset.1));
        (self.words.iter().map(move |&(v, shift)| (v, weight(shift))), m.sub(0, constant))
    }
}

/// The words of all columns, each times `factor`, with their weights, and the constant.
pub(crate) fn gathered<'a>(m: &Modulus, columns: &[Column<'a>], factor: u64) -> (Vec<(&'a [u64], u64)>, u64) {
    let (mut all, mut sum) = (Vec::new(), 0);
    for column in columns {
        let (words, constant) = column.terms(m);
        all.extend(words.map(|(v, w)| (v, m.mul(w, factor))));
        sum = m.add(sum, constant);
    }
    (all, m.mul(sum, factor))
}

/// Bits of the low half of an element of F_p.
const HALF: u32 = 30;

/// The halves of x + p/2 for each x of F_p lifted to (-p/2, p/2).
pub(crate) fn halves(v: &[u64]) -> [Secret; 2] {
    let [mut low, mut high] = [Zeroizing::new(vec![0; v.len()]), Zeroizing::new(vec![0; v.len()])];
    for ((l, h), &v) in low.iter_mut().zip(high.iter_mut()).zip(v) {
        let moved = field::add(v, P / 2);
        (*l, *h) = (moved & ((1 << HALF) - 1), moved >> HALF);
    }
    [low, high]
}

/// x <- keep x + sum_j w_j v_j + c mod q; x, w and c are residues, the v_j below 2^50.
pub(crate) fn combine(be: Backend, m: &Modulus, x: &mut [u64], keep: u64, terms: &[(&[u64], u64)], c: u64) {
    debug_assert!(terms.iter().all(|(v, w)| v.len() == x.len() && *w < m.value()));
    fused!(be, (m: &Modulus = m, x: &mut [u64] = x, keep: u64 = keep, terms: &[(&[u64], u64)] = terms, c: u64 = c) {
        let f = Float::new(m.value());
        for (i, x) in x.chunks_mut(WIDE).enumerate() {
            let mut sums = [f.centred(c); WIDE];
            if keep != 0 {
                let keep = f.centred(keep);
                for (s, &x) in sums.iter_mut().zip(&*x) {
                    *s = f.product_add(float(x), keep, *s);
                }
            }
            for (v, w) in terms {
                let w = f.centred(*w);
                for (s, &v) in sums.iter_mut().zip(&v[i * WIDE..]) {
                    *s = f.product_add(float(v), w, *s);
                }
            }
            for (x, &s) in x.iter_mut().zip(&sums) {
                *x = f.canonical(s);
            }
        }
    } else {
        for (k, x) in x.iter_mut().enumerate() {
            let first = keep as u128 * *x as u128 + c as u128;
            *x = m.reduce128(terms.iter().fold(first, |sum, (v, w)| sum + v[k] as u128 * *w as u128));
        }
    })
}

/// x <- x + y z mod q, all of them residues.
pub(crate) fn multiply_add(be: Backend, m: &Modulus, x: &mut [u64], y: &[u64], z: &[u64]) {
    fused!(be, (m: &Modulus = m, x: &mut [u64] = x, y: &[u64] = y, z: &[u64] = z) {
        let f = Float::new(m.value());
        for ((x, &y), &z) in x.iter_mut().zip(y).zip(z) {
            // The product is below (1/2 + 3/8) q, since |y z / q| < 2^50.
            *x = f.canonical(f.reduce(f.product(float(y), float(z)) + float(*x)));
        }
    } else {
        for ((x, &y), &z) in x.iter_mut().zip(y).zip(z) {
            *x = m.reduce128(y as u128 * z as u128 + *x as u128);
        }
    })
}

/// x <- y_0 z_0 + y_1 z_1 mod q, all of them residues.
pub(crate) fn products(be: Backend, m: &Modulus, x: &mut [u64], y: [&[u64]; 2], z: [&[u64]; 2]) {
    fused!(be, (m: &Modulus = m, x: &mut [u64] = x, y: [&[u64]; 2] = y, z: [&[u64]; 2] = z) {
        let f = Float::new(m.value());
        let factors = y[0].iter().zip(z[0]).zip(y[1].iter().zip(z[1]));
        for (x, ((&y0, &z0), (&y1, &z1))) in x.iter_mut().zip(factors) {
            // Each is below (1/2 + 3/8) q.
            let sum = f.product(float(y0), float(z0)) + f.product(float(y1), float(z1));
            *x = f.canonical(f.reduce(sum));
        }
    } else {
        for (k, x) in x.iter_mut().enumerate() {
            *x = m.reduce128(y[0][k] as u128 * z[0][k] as u128 + y[1][k] as u128 * z[1][k] as u128);
        }
    })
}

/// sum_j v_j (w_j + f_j) mod 2^64, rounded, for v_j below 2^44 and fractions f_j: to (1/2 + 2^-7) for two of them.
pub(crate) fn fractions(be: Backend, out: &mut [u64], terms: &[(&[u64], u64, f64)]) {
    variants!(be, (out: &mut [u64] = out, terms: &[(&[u64], u64, f64)] = terms) {
        for (i, out) in out.chunks_mut(WIDE).enumerate() {
            let (mut whole, mut rest) = ([0u64; WIDE], [0.0; WIDE]);
            for (v, w, f) in terms {
                for ((s, r), &v) in whole.iter_mut().zip(&mut rest).zip(&v[i * WIDE..]) {
                    *s = s.wrapping_add(v.wrapping_mul(*w));
                    *r += float(v) * f;
                }
            }
            for ((o, &s), &r) in out.iter_mut().zip(&whole).zip(&rest) {
                *o = s.wrapping_add(super::float::integer(r));
            }
        }
    })
}

/// round(sum_j v_j f_j) for v_j below 2^50 and fractions f_j, without any fused step: the same on every machine.
pub(crate) fn quotients(be: Backend, out: &mut [u64], terms: &[(&[u64], f64)]) {
    variants!(be, (out: &mut [u64] = out, terms: &[(&[u64], f64)] = terms) {
        for (i, out) in out.chunks_mut(WIDE).enumerate() {
            let mut sums = [0.0; WIDE];
            for (v, f) in terms {
                for (s, &v) in sums.iter_mut().zip(&v[i * WIDE..]) {
                    *s += float(v) * f;
                }
            }
            for (o, &s) in out.iter_mut().zip(&sums) {
                *o = super::float::integer(s);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;
    use crate::lattice::modulus::primes;

    /// Lengths with and without a rest; residues next to 0, q/2 and q, words next to 2^50.
    fn cases(q: u64, seed: u64) -> Vec<Vec<u64>> {
        let edges = [0, 1, q / 2, q / 2 + 1, q - 1];
        let random =
            |n: usize| sample(n, seed).into_iter().map(|v| if v % 7 < 5 { edges[v as usize % 7] } else { v % q });
        [0, 1, 5, WIDE, 3 * WIDE + 7].into_iter().map(|n| random(n).collect()).collect()
    }

    #[test]
    fn every_backend_computes_the_integers() {
        for q in primes(50, 1 << 14, 2, &[]).unwrap().into_iter().chain(primes(33, 1 << 13, 1, &[]).unwrap()) {
            let (m, wide) = (Modulus::new(q).unwrap(), q as u128);
            for ((x, y), z) in cases(q, 1).into_iter().zip(cases(q, 2)).zip(cases(q, 3)) {
                let words: Vec<u64> = sample(x.len(), 4).into_iter().map(|v| (1 << 50) - 1 - v % 3).collect();
                for &be in Backend::available() {
                    for (keep, w, c) in [(0, 1, 0), (1, q / 2, q / 2), (q / 2 + 1, q - 1, q - 1), (q - 1, q / 2 + 1, 1)]
                    {
                        let mut found = x.clone();
                        combine(be, &m, &mut found, keep, &[(&y, w), (&words, q / 2), (&words, q / 2 + 1), (&z, 1)], c);
                        for (k, found) in found.into_iter().enumerate() {
                            let product = |a: u64, b: u64| a as u128 * b as u128 % wide;
                            let sum = product(keep, x[k]) + product(w, y[k]) + product(words[k], q) + z[k] as u128;
                            assert_eq!(found as u128, (sum + c as u128) % wide, "{be:?} {q} {k}");
                        }
                    }
                    let mut found = x.clone();
                    multiply_add(be, &m, &mut found, &y, &z);
                    for (k, found) in found.into_iter().enumerate() {
                        assert_eq!(
                            found as u128,
                            (x[k] as u128 + y[k] as u128 * z[k] as u128) % wide,
                            "{be:?} {q} {k}"
                        );
                    }
                    let mut found = x.clone();
                    products(be, &m, &mut found, [&x, &y], [&z, &y]);
                    for (k, found) in found.into_iter().enumerate() {
                        let sum = x[k] as u128 * z[k] as u128 + y[k] as u128 * y[k] as u128;
                        assert_eq!(found as u128, sum % wide, "{be:?} {q} {k}");
                    }
                    let small: Vec<u64> = y.iter().map(|y| y >> 8).collect();
                    let mut found = x.clone();
                    fractions(be, &mut found, &[(&small, 1 << 40, 0.75), (&small, 3, 0.5)]);
                    for (k, found) in found.into_iter().enumerate() {
                        let whole = small[k].wrapping_mul((1 << 40) + 3);
                        let rest = (small[k] as f64 * 1.25).round_ties_even() as u64;
                        assert_eq!(found, whole.wrapping_add(rest), "{be:?} {k}");
                    }
                    let mut found = x.clone();
                    quotients(be, &mut found, &[(&y, 1.0 / q as f64), (&z, 1.0 / q as f64)]);
                    for (k, found) in found.into_iter().enumerate() {
                        let sum = (y[k] as f64 * (1.0 / q as f64) + z[k] as f64 * (1.0 / q as f64)).round_ties_even();
                        assert_eq!(found, sum as u64);
                    }
                }
            }
        }
    }
}
