//! The negacyclic transform:  f(X) = sum_i f_i X^i  ->  (f(z^(2 r(0) + 1)), ..., f(z^(2 r(N-1) + 1))),  z^N = -1.
//!
//! r reverses the bits of an index. The products of values are the values of the product mod X^N + 1. This is the only
//! file that knows the crate that computes it.

use crate::error::BadShape;
use tfhe_ntt::prime64::Plan;

/// The transform of one degree modulo one prime.
pub struct Transform {
    plan: Plan,
}

impl Transform {
    /// For a prime that is 1 mod 2N.
    pub fn new(degree: usize, prime: u64) -> Result<Transform, BadShape> {
        let plan = Plan::try_new(degree, prime);
        let plan = plan.ok_or_else(|| BadShape(format!("{prime} has no transform of degree {degree}")))?;
        Ok(Transform { plan })
    }

    /// Coefficients to values, in place.
    pub fn forward(&self, x: &mut [u64]) {
        self.plan.fwd(x);
    }

    /// Values to coefficients, in place.
    pub fn inverse(&self, x: &mut [u64]) {
        self.plan.inv(x);
        self.plan.normalize(x);
    }

    /// sum += a b, value by value.
    pub fn multiply_add(&self, sum: &mut [u64], a: &[u64], b: &[u64]) {
        self.plan.mul_accumulate(sum, a, b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field;
    use crate::lattice::modulus::{primes, Modulus};

    #[test]
    fn values_are_where_the_equation_says() {
        let n = 1usize << 6;
        let reverse = |i: usize| i.reverse_bits() >> (usize::BITS - n.trailing_zeros());
        for q in [primes(50, n, 1, &[]).unwrap()[0], primes(40, n, 1, &[]).unwrap()[0], crate::P] {
            let mul = |a: u64, b: u64| (a as u128 * b as u128 % q as u128) as u64;
            let pow = |a: u64, e: usize| (0..e).fold(1, |r, _| mul(r, a));
            let t = Transform::new(n, q).unwrap();
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
            let (t, m) = (Transform::new(n, q).unwrap(), Modulus::new(q).unwrap());
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
            t.multiply_add(&mut sum, &x, &y);
            t.inverse(&mut sum);
            assert_eq!(sum, expected);
        }
        assert!(Transform::new(1 << 14, 97).is_err() && Transform::new(100, crate::P).is_err());
    }
}
