//! A smaller modulus:  x' = (x - [x]_D) / D mod q',  q = q' D,  [x]_D the remainder in [-D/2, D/2].
//!
//! With y_j = x (D / d_j)^-1 mod d_j for the primes d_j of D, [x]_D = sum_j y_j D / d_j - v D for the integer v next to
//! sum_j y_j / d_j. So x' = x / D + v - sum_j y_j / d_j mod each prime of q': one sum of products, one reduction.

use super::columns::{self, Column};
use super::ring::{Limb, Ring};
use std::sync::Arc;

/// The switch from a ring to that of its first primes.
pub(crate) struct Switch {
    keep: usize,
    /// For each dropped prime: (D / d)^-1 mod d, 1 / d.
    dropped: Vec<(u64, f64)>,
    /// For each kept prime: 1 / D, then -1 / d for each dropped one.
    weights: Vec<Vec<u64>>,
}

impl Switch {
    /// To the first `keep` primes.
    pub(crate) fn new(ring: &Ring, keep: usize) -> Switch {
        let (kept, dropped) = ring.limbs().split_at(keep);
        let primes: Vec<u64> = dropped.iter().map(|l| l.modulus.value()).collect();
        let part = |l: &Arc<Limb>| {
            let (m, d) = (&l.modulus, l.modulus.value());
            let others = primes.iter().filter(|&&p| p != d);
            (m.inv(others.fold(1, |product, &p| m.mul(product, p % d))), 1.0 / d as f64)
        };
        let weights = kept.iter().map(|l| {
            let m = &l.modulus;
            let inverses: Vec<u64> = primes.iter().map(|&d| m.inv(d % m.value())).collect();
            let all = inverses.iter().fold(1, |product, &i| m.mul(product, i));
            [all].into_iter().chain(inverses.iter().map(|&i| m.sub(0, i))).collect()
        });
        Switch { keep, weights: weights.collect(), dropped: dropped.iter().map(part).collect() }
    }

    /// Of x + `added`, `columns` coefficients; the error is at most 1/2 (1 + 2^-35), since the floating sum of up to 18 fractions
    /// errs by less than 2^-43.
    pub(crate) fn apply(&self, ring: &Ring, x: &mut Vec<u64>, columns: usize, added: &[Column]) {
        let (be, limbs) = (ring.backend(), ring.limbs());
        let (kept, y) = x.split_at_mut(self.keep * columns);
        for ((limb, y), (cofactor, _)) in
            limbs[self.keep..].iter().zip(y.chunks_exact_mut(columns.max(1))).zip(&self.dropped)
        {
            let (terms, constant) = columns::gathered(&limb.modulus, added, *cofactor);
            columns::combine(be, &limb.modulus, y, *cofactor, &terms, constant);
        }
        let y: Vec<&[u64]> = y.chunks_exact(columns.max(1)).collect();
        let mut quotients = vec![0; columns];
        let fractions: Vec<_> = y.iter().zip(&self.dropped).map(|(y, (_, fraction))| (*y, *fraction)).collect();
        columns::quotients(be, &mut quotients, &fractions);
        for ((limb, x), weights) in limbs.iter().zip(kept.chunks_exact_mut(columns.max(1))).zip(&self.weights) {
            let (mut terms, constant) = columns::gathered(&limb.modulus, added, weights[0]);
            terms.push((&quotients, 1));
            terms.extend(y.iter().zip(&weights[1..]).map(|(y, w)| (*y, *w)));
            columns::combine(be, &limb.modulus, x, weights[0], &terms, constant);
        }
        x.truncate(self.keep * columns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::ring::tests::{edges, integers, small};
    use num_bigint::BigInt;

    #[test]
    fn quotients_are_rounded() {
        let ring = small();
        let mut x = edges(&ring);
        // Remainders next to D/2.
        for (i, limb) in ring.limbs().iter().enumerate() {
            let m = &limb.modulus;
            let half = ring.limbs()[2..].iter().fold(m.inv(2), |h, l| m.mul(h, l.modulus.value() % m.value()));
            x[i * ring.degree() + 10] = half;
            x[i * ring.degree() + 11] = m.sub(half, m.inv(2));
            x[i * ring.degree() + 12] = m.add(half, m.inv(2));
        }
        let (wide, tail) = (integers(&ring, &x), ring.tail(2));
        let product = |limbs: &[_]| limbs.iter().map(prime).product::<BigInt>();
        let (q, d) = (product(ring.limbs()), product(&ring.limbs()[2..]));
        let more = vec![(1 << 40) + 3; ring.degree()];
        let mut moved = x.clone();
        Switch::new(&ring, 2).apply(&ring, &mut moved, ring.degree(), &[Column::small(&more, 5).times(7)]);
        ring.combine(&mut x, 1, &[Column::small(&more, 5).times(7)]);
        let wide_moved = integers(&ring, &x);
        ring.combine(&mut x, 1, &[Column::small(&vec![0; ring.degree()], 7 * ((1 << 40) - 2))]);
        Switch::new(&ring, 2).apply(&ring, &mut x, ring.degree(), &[]);
        let all = integers(&tail, &x).into_iter().zip(wide).chain(integers(&tail, &moved).into_iter().zip(wide_moved));
        for (y, x) in all {
            let rest = (y * &d - x) % &q;
            let distance =
                rest.magnitude().clone().min((&q - BigInt::from(rest.magnitude().clone())).magnitude().clone());
            assert!(BigInt::from(distance) * 2 <= &d + (&d >> 35u32));
        }
    }

    fn prime(limb: &std::sync::Arc<crate::lattice::ring::Limb>) -> BigInt {
        BigInt::from(limb.modulus.value())
    }
}
