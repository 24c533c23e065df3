//! The negacyclic transform:  f(X) = sum_i f_i X^i  ->  (f(z^(2 r(0) + 1)), ..., f(z^(2 r(N-1) + 1))),  z^N = -1.
//!
//! r reverses the bits of an index. The products of values are the values of the product mod X^N + 1. This is the only
//! file that knows the crate that computes it where floating numbers do not: that is the fastest with IFMA, and
//! everywhere modulo p itself.

use super::butterfly::Butterflies;
use super::float::{fused, fusing};
use super::modulus::Modulus;
use crate::backend::Backend;
use crate::error::Error;
use tfhe_ntt::prime64::Plan;

/// The transform of one degree modulo one prime.
pub struct Transform {
    plan: Plan,
    floating: Option<Butterflies>,
}

impl Transform {
    /// For a prime that is 1 mod 2N.
    pub fn new(be: Backend, degree: usize, prime: u64) -> Result<Transform, Error> {
        let plan = Plan::try_new(degree, prime);
        let plan = plan.ok_or_else(|| Error::Shape(format!("{prime} has no transform of degree {degree}")))?;
        let mut x = vec![0; degree];
        x[1] = 1;
        plan.fwd(&mut x);
        let floats = fusing(be) == Backend::Avx2 && prime < 1 << 50 && degree >= 16;
        let floating = if floats { Some(Butterflies::new(degree, &Modulus::new(prime)?, x[0])) } else { None };
        Ok(Transform { plan, floating })
    }

    /// Coefficients to values, in place.
    pub fn forward(&self, x: &mut [u64]) {
        match &self.floating {
            Some(b) => {
                fused!(Backend::Avx2, (b: &Butterflies = b, x: &mut [u64] = x) { b.forward(x) } else { self.plan.fwd(x) })
            }
            None => self.plan.fwd(x),
        }
    }

    /// Values to coefficients, in place.
    pub fn inverse(&self, x: &mut [u64]) {
        let integers = |x: &mut [u64]| {
            self.plan.inv(x);
            self.plan.normalize(x);
        };
        match &self.floating {
            Some(b) => {
                fused!(Backend::Avx2, (b: &Butterflies = b, x: &mut [u64] = x) { b.inverse(x) } else { integers(x) })
            }
            None => integers(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;
    use crate::lattice::columns;
    use crate::lattice::modulus::{primes, Modulus};

    #[test]
    fn values_are_where_the_equation_says() {
        let n = 1usize << 6;
        let reverse = |i: usize| i.reverse_bits() >> (usize::BITS - n.trailing_zeros());
        for q in [primes(50, n, 1, &[]).unwrap()[0], primes(40, n, 1, &[]).unwrap()[0], crate::P] {
            let mul = |a: u64, b: u64| (a as u128 * b as u128 % q as u128) as u64;
            let pow = |a: u64, e: usize| (0..e).fold(1, |r, _| mul(r, a));
            let t = Transform::new(Backend::best(), n, q).unwrap();
            let mut x = vec![0; n];
            x[1] = 1;
            t.forward(&mut x);
            let z = x[0];
            assert_eq!(pow(z, n), q - 1);
            (0..n).for_each(|i| assert_eq!(x[i], pow(z, 2 * reverse(i) + 1)));
            let f: Vec<u64> = field::tests::sample(n, 3).into_iter().map(|v| v % q).collect();
            let mut values = f.clone();
            t.forward(&mut values);
            for (i, &v) in values.iter().enumerate() {
                let at = pow(z, 2 * reverse(i) + 1);
                assert_eq!(v, f.iter().rev().fold(0, |s, &c| (mul(s, at) + c) % q));
            }
            t.inverse(&mut values);
            assert_eq!(values, f);
        }
    }

    #[test]
    fn products_are_negacyclic() {
        for n in [1 << 4, 1 << 9] {
            let q = primes(50, n, 1, &[]).unwrap()[0];
            let (t, m) = (Transform::new(Backend::best(), n, q).unwrap(), Modulus::new(q).unwrap());
            let [a, b] = [1, 2].map(|s| field::tests::sample(n, s).into_iter().map(|v| v % q).collect::<Vec<_>>());
            let mut expected = vec![0; n];
            for (i, &x) in a.iter().enumerate() {
                for (j, &y) in b.iter().enumerate() {
                    let (to, v) = ((i + j) % n, m.mul(x, y));
                    expected[to] = if i + j < n { m.add(expected[to], v) } else { m.sub(expected[to], v) };
                }
            }
            let (mut x, mut y, mut sum) = (a, b, vec![0; n]);
            t.forward(&mut x);
            t.forward(&mut y);
            columns::multiply_add(Backend::best(), &m, &mut sum, &x, &y);
            t.inverse(&mut sum);
            assert_eq!(sum, expected);
        }
        assert!(
            Transform::new(Backend::best(), 1 << 14, 97).is_err()
                && Transform::new(Backend::best(), 100, crate::P).is_err()
        );
    }

    #[test]
    fn every_backend_has_the_same_values() {
        for (n, bits) in [(1 << 4, 50), (1 << 5, 50), (1 << 13, 44), (1 << 14, 50), (1 << 14, 41), (1 << 15, 50)] {
            let q = primes(bits, n, 1, &[]).unwrap()[0];
            let all: Vec<Transform> =
                Backend::available().iter().map(|&be| Transform::new(be, n, q).unwrap()).collect();
            // Numbers grow most where all of them are large, or of alternating signs.
            let cases: [&dyn Fn(usize) -> u64; 5] =
                [&|_| q - 1, &|_| q / 2, &|i| (q - 1) * (i as u64 % 2), &|i| i as u64 * i as u64 * 0xffff % q, &|_| 0];
            for x in cases.map(|f| (0..n).map(f).collect::<Vec<u64>>()) {
                let run = |t: &Transform| {
                    let (mut values, mut back) = (x.clone(), x.clone());
                    t.forward(&mut values);
                    t.inverse(&mut back);
                    let mut again = values.clone();
                    t.inverse(&mut again);
                    assert_eq!(again, x);
                    (values, back)
                };
                let first = run(&all[0]);
                assert!(all.iter().all(|t| run(t) == first), "{n} {bits}");
            }
        }
    }
}
