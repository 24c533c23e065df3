//! The ring R_q = Z_q[X] / (X^N + 1),  q = q_1 q_2 ... q_l:  Z_q = Z_q1 x ... x Z_ql.
//!
//! An element is l N residues, prime by prime, as coefficients or as values of the transform. A coefficient x mod q is
//! read as the fraction x / q = sum_i y_i / q_i mod 1 with y_i = x (q / q_i)^-1 mod q_i: a sum of 128-bit fractions, so
//! no number of the size of q is ever made.

use super::columns::{self, Column};
use super::modulus::{Factor, Modulus};
use super::ntt::Transform;
use crate::backend::Backend;
use crate::error::Error;
use crate::prg::Prg;
use std::sync::Arc;
use zeroize::Zeroizing;

/// One prime: its arithmetic and its transform.
pub struct Limb {
    /// The prime.
    pub modulus: Modulus,
    transform: Transform,
}

/// How a residue enters a fraction.
struct Part {
    cofactor: Factor,
    reciprocal: u128,
}

/// R_q.
pub struct Ring {
    be: Backend,
    degree: usize,
    limbs: Vec<Arc<Limb>>,
    parts: Vec<Part>,
}

impl Ring {
    /// Degree N, a power of two, and different primes that are 1 mod 2N.
    pub fn new(degree: usize, primes: &[u64]) -> Result<Ring, Error> {
        Ring::on(Backend::best(), degree, primes)
    }

    /// The same with these instructions.
    pub fn on(be: Backend, degree: usize, primes: &[u64]) -> Result<Ring, Error> {
        let limb =
            |&q: &u64| Ok(Arc::new(Limb { modulus: Modulus::new(q)?, transform: Transform::new(be, degree, q)? }));
        Ok(Ring::of(be, degree, primes.iter().map(limb).collect::<Result<_, _>>()?))
    }

    /// The ring of the first `count` primes.
    pub fn tail(&self, count: usize) -> Ring {
        Ring::of(self.be, self.degree, self.limbs[..count].to_vec())
    }

    /// The ring of one of its primes.
    pub(crate) fn single(&self, prime: usize) -> Ring {
        Ring::of(self.be, self.degree, vec![self.limbs[prime].clone()])
    }

    fn of(be: Backend, degree: usize, limbs: Vec<Arc<Limb>>) -> Ring {
        let part = |limb: &Arc<Limb>| {
            let (m, q) = (&limb.modulus, limb.modulus.value());
            let others = limbs.iter().map(|l| l.modulus.value()).filter(|&other| other != q);
            let cofactor = m.inv(others.fold(1, |product, other| m.mul(product, other % q)));
            Part { cofactor: m.factor(cofactor), reciprocal: u128::MAX / q as u128 }
        };
        let parts = limbs.iter().map(part).collect();
        Ring { be, degree, limbs, parts }
    }

    /// N.
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// The instructions that it uses.
    pub(crate) fn backend(&self) -> Backend {
        self.be
    }

    /// The primes.
    pub fn limbs(&self) -> &[Arc<Limb>] {
        &self.limbs
    }

    /// Residues of an element.
    pub fn residues(&self) -> usize {
        self.degree * self.limbs.len()
    }

    /// q as a floating number, to 2^-50 of itself.
    pub fn size(&self) -> f64 {
        self.limbs.iter().map(|l| l.modulus.value() as f64).product()
    }

    /// 0.
    pub fn zero(&self) -> Vec<u64> {
        vec![0; self.residues()]
    }

    /// Calls `work(limb, residues)` for each prime.
    fn each(&self, x: &mut [u64], mut work: impl FnMut(&Limb, usize, &mut [u64])) {
        for (i, (limb, x)) in self.limbs.iter().zip(x.chunks_exact_mut(self.degree)).enumerate() {
            work(limb, i * self.degree, x);
        }
    }

    /// Coefficients to values.
    pub fn forward(&self, x: &mut [u64]) {
        self.each(x, |limb, _, x| limb.transform.forward(x));
    }

    /// Values to coefficients.
    pub fn inverse(&self, x: &mut [u64]) {
        self.each(x, |limb, _, x| limb.transform.inverse(x));
    }

    /// x += y.
    pub fn add(&self, x: &mut [u64], y: &[u64]) {
        self.each(x, |limb, at, x| x.iter_mut().zip(&y[at..]).for_each(|(x, &y)| *x = limb.modulus.add(*x, y)));
    }

    /// x -= y.
    pub fn sub(&self, x: &mut [u64], y: &[u64]) {
        self.each(x, |limb, at, x| x.iter_mut().zip(&y[at..]).for_each(|(x, &y)| *x = limb.modulus.sub(*x, y)));
    }

    /// x *= the public constant k.
    pub fn scale(&self, x: &mut [u64], k: u64) {
        self.each(x, |limb, _, x| {
            columns::combine(self.be, &limb.modulus, x, limb.modulus.reduce(k), &[], 0);
        });
    }

    /// sum += x y, all of them values; x and y may have more primes than this ring.
    pub fn multiply_add(&self, sum: &mut [u64], x: &[u64], y: &[u64]) {
        let n = self.degree;
        self.each(sum, |limb, at, sum| {
            columns::multiply_add(self.be, &limb.modulus, sum, &x[at..at + n], &y[at..at + n]);
        });
    }

    /// x <- keep x + the columns, residues of any number of coefficients.
    pub(crate) fn combine(&self, x: &mut [u64], keep: u64, terms: &[Column]) {
        let columns = x.len() / self.limbs.len();
        for (limb, x) in self.limbs.iter().zip(x.chunks_exact_mut(columns.max(1))) {
            let m = &limb.modulus;
            let (all, constant) = columns::gathered(m, terms, 1);
            columns::combine(self.be, m, x, m.reduce(keep), &all, constant);
        }
    }

    /// (y_0 z_0 + y_1 z_1, y_0 z_2 + y_1 z_3) for polynomials y and values z, which may have more primes than this ring. What
    /// is known of y is wiped.
    pub(crate) fn products(&self, y: [&[Column]; 2], z: [&[u64]; 4]) -> [Vec<u64>; 2] {
        let n = self.degree;
        let mut out = [self.zero(), self.zero()];
        let mut values = [Zeroizing::new(vec![0; n]), Zeroizing::new(vec![0; n])];
        for (i, limb) in self.limbs.iter().enumerate() {
            for (values, y) in values.iter_mut().zip(y) {
                let (terms, constant) = columns::gathered(&limb.modulus, y, 1);
                columns::combine(self.be, &limb.modulus, values, 0, &terms, constant);
                limb.transform.forward(values);
            }
            let [y0, y1] = &values;
            for (out, z) in out.iter_mut().zip(z.chunks_exact(2)) {
                let z = [&z[0][i * n..][..n], &z[1][i * n..][..n]];
                columns::products(self.be, &limb.modulus, &mut out[i * n..][..n], [y0, y1], z);
            }
        }
        out
    }

    /// x <- x / 2.
    pub(crate) fn halve(&self, x: &mut [u64]) {
        self.each(x, |limb, _, x| columns::combine(self.be, &limb.modulus, x, limb.modulus.inv(2), &[], 0));
    }

    /// The values of a polynomial.
    pub(crate) fn values(&self, terms: &[Column]) -> Vec<u64> {
        let mut x = self.zero();
        self.combine(&mut x, 0, terms);
        self.forward(&mut x);
        x
    }

    /// Uniform residues.
    pub fn uniform(&self, prg: &mut Prg) -> Result<Vec<u64>, Error> {
        let mut x = self.zero();
        for (limb, x) in self.limbs.iter().zip(x.chunks_exact_mut(self.degree)) {
            prg.below(x, limb.modulus.value())?;
        }
        Ok(x)
    }

    /// floor(2^128 x / q) mod 2^128 up to an error of at most 2^50 l, for the coefficient whose residues are `residue(i)`.
    pub fn fraction(&self, residue: impl Fn(usize) -> u64) -> u128 {
        let parts = self.limbs.iter().zip(&self.parts).enumerate();
        parts.fold(0u128, |sum, (i, (limb, part))| {
            let y = limb.modulus.times(residue(i), part.cofactor);
            sum.wrapping_add((y as u128).wrapping_mul(part.reciprocal))
        })
    }
}

impl Ring {
    /// round(2^64 x / q) mod 2^64 to (1/2 + 2^-7), for two primes below 2^44 and the residues of any number of coefficients, which
    /// are used up.
    pub(crate) fn fractions(&self, x: &mut [u64]) -> Vec<u64> {
        let columns = x.len() / self.limbs.len();
        debug_assert!(self.limbs.len() == 2 && self.limbs.iter().all(|l| l.modulus.value() < 1 << 44));
        for ((limb, part), x) in self.limbs.iter().zip(&self.parts).zip(x.chunks_exact_mut(columns.max(1))) {
            columns::combine(self.be, &limb.modulus, x, limb.modulus.times(1, part.cofactor), &[], 0);
        }
        let whole = |q: u64| ((1u128 << 64) / q as u128) as u64;
        let rest = |q: u64| ((1u128 << 64) % q as u128) as f64 / q as f64;
        let primes = self.limbs.iter().map(|l| l.modulus.value());
        let terms: Vec<_> = primes.zip(x.chunks_exact(columns.max(1))).map(|(q, y)| (y, whole(q), rest(q))).collect();
        let mut out = vec![0; columns];
        columns::fractions(self.be, &mut out, &terms);
        out
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::field::tests::sample;
    use crate::lattice::modulus::primes;
    use num_bigint::{BigInt, BigUint};

    pub(crate) fn small() -> Ring {
        let tail = primes(40, 1 << 6, 2, &[]).unwrap();
        Ring::new(1 << 6, &[tail, primes(50, 1 << 6, 3, &[]).unwrap()].concat()).unwrap()
    }

    /// The integers of (-q/2, q/2) with these residues.
    pub(crate) fn integers(ring: &Ring, x: &[u64]) -> Vec<BigInt> {
        let q: BigUint = ring.limbs.iter().map(|l| BigUint::from(l.modulus.value())).product();
        let half = BigInt::from(&q / 2u8);
        (0..ring.degree)
            .map(|k| {
                let sum = ring.limbs.iter().enumerate().fold(BigUint::ZERO, |sum, (i, limb)| {
                    let other = &q / limb.modulus.value();
                    let inverse = limb.modulus.inv((&other % limb.modulus.value()).try_into().unwrap());
                    sum + other * limb.modulus.mul(inverse, x[i * ring.degree + k])
                });
                let x = BigInt::from(sum % &q);
                if x > half {
                    x - BigInt::from(q.clone())
                } else {
                    x
                }
            })
            .collect()
    }

    pub(crate) fn some(ring: &Ring, seed: u64) -> Vec<u64> {
        let mut x = sample(ring.residues(), seed);
        ring.each(&mut x, |limb, _, x| x.iter_mut().for_each(|x| *x = limb.modulus.reduce(*x)));
        x
    }

    /// Random coefficients, and 0 and numbers next to 0 and q/2, where quotients go wrong first.
    pub(crate) fn edges(ring: &Ring) -> Vec<u64> {
        let mut x = some(ring, 7);
        for (k, v) in [0u64, 1, 2].into_iter().enumerate() {
            ring.each(&mut x, |limb, _, x| {
                x[k] = v;
                x[k + 3] = limb.modulus.sub(0, v);
                x[k + 6] = limb.modulus.mul(limb.modulus.inv(2), limb.modulus.sub(v, 1));
            });
        }
        x
    }

    #[test]
    fn products_are_those_of_integers() {
        let ring = small();
        let (a, b, n) = (some(&ring, 1), some(&ring, 2), ring.degree);
        let q: BigInt = ring.limbs.iter().map(|l| BigInt::from(l.modulus.value())).product();
        let (wide_a, wide_b) = (integers(&ring, &a), integers(&ring, &b));
        let mut expected = vec![BigInt::ZERO; n];
        for i in 0..n {
            for j in 0..n {
                let v = &wide_a[i] * &wide_b[j];
                expected[(i + j) % n] += if i + j < n { v } else { -v };
            }
        }
        let (mut x, mut y, mut sum) = (a.clone(), b.clone(), ring.zero());
        ring.forward(&mut x);
        ring.forward(&mut y);
        ring.multiply_add(&mut sum, &x, &y);
        ring.inverse(&mut sum);
        let found = integers(&ring, &sum);
        assert!(found.iter().zip(&expected).all(|(f, e)| (f - e) % &q == BigInt::ZERO));
        let mut twice = a.clone();
        ring.add(&mut twice, &a);
        ring.sub(&mut twice, &a);
        assert_eq!(twice, a);
        let mut small = a.clone();
        ring.combine(&mut small, 1, &[Column::small(&vec![3; n], 21)]);
        assert!(integers(&ring, &small)
            .iter()
            .zip(&wide_a)
            .all(|(s, a)| (s - a + BigInt::from(18)) % &q == BigInt::ZERO));
    }

    #[test]
    fn fractions_round_as_they_say() {
        let ring = small();
        let x = edges(&ring);
        let wide = integers(&ring, &x);
        let q: BigInt = ring.limbs.iter().map(|l| BigInt::from(l.modulus.value())).product();
        for (k, x_k) in wide.iter().enumerate() {
            let f = BigInt::from(ring.fraction(|i| x[i * ring.degree + k]));
            let error = (f * &q - (x_k << 128u32)) % (&q << 128u32);
            let modulus = &q << 128u32;
            let distance = error.magnitude().clone().min((&modulus - &error).magnitude().clone());
            assert!(BigInt::from(distance) <= BigInt::from(5u64 << 50) * &q);
        }
    }

    #[test]
    fn short_fractions_round_as_they_say() {
        let tail = small().tail(2);
        let mut x = edges(&tail);
        let (wide, q) =
            (integers(&tail, &x), tail.limbs.iter().map(|l| BigInt::from(l.modulus.value())).product::<BigInt>());
        for (f, x) in tail.fractions(&mut x).into_iter().zip(wide) {
            let modulus = &q << 64u32;
            let error = (BigInt::from(f) * &q - (x << 64u32)) % &modulus;
            let distance = BigInt::from(error.magnitude().clone().min((&modulus - &error).magnitude().clone()));
            assert!(distance * 128 <= q.clone() * 65);
        }
    }

    #[test]
    fn lifts_are_centred() {
        let ring = small();
        let v = sample(ring.degree, 9);
        let mut x = ring.values(&[Column::field(&columns::halves(&v))]);
        ring.inverse(&mut x);
        for (x, v) in integers(&ring, &x).into_iter().zip(v) {
            assert_eq!(x, BigInt::from(v) - BigInt::from(if v > crate::P / 2 { crate::P } else { 0 }));
        }
    }
}
