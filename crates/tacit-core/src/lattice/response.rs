//! A response:  c = sum_k c_k w_k + 2 (u pk + (0, e_1)) + ((q/p) r + D, 0),  then c q'/q rounded,  then (b_j for the outputs j, a).
//!
//! u pk + e_1 makes the a-part a fresh RLWE sample, so that it shows nothing of the w_k (2, because a proof shows that
//! twice a cheater's key is a key; 2 is a unit mod q); the owner of the key learns the
//! noise of the b-part exactly, so D drowns what of it depends on the w_k; the fresh mask r leaves the owner
//! sum_k m_k w_k + r at the outputs, and the responder -r. Other coefficients are not sent. Of b only 64 bits of the
//! fraction b / q' are sent: the rounding enters once, where that of a enters times s.

use super::ciphertext::Sum;
use super::columns::{halves, Column};
use super::encoding::canonical;
use super::fork_each;
use super::keys::PublicKey;
use super::parameters::Parameters;
use super::random::{noise, uniform, Entropy, NOISE};
use crate::error::{same_length, BadShape};
use std::sync::Arc;

/// What goes back to the owner of the key.
pub struct Response {
    pub(crate) parameters: Arc<Parameters>,
    /// Coefficients mod q'.
    pub(crate) a: Vec<u64>,
    /// round(2^64 b_j / q') mod 2^64 for each output j.
    pub(crate) b: Vec<u64>,
}

impl Parameters {
    /// An error unless all positions are below N.
    pub(crate) fn check_positions(&self, positions: &[usize]) -> Result<(), BadShape> {
        match positions.iter().find(|&&k| k >= self.degree()) {
            None => Ok(()),
            Some(k) => Err(BadShape(format!("coefficient {k} of a polynomial of degree {}", self.degree()))),
        }
    }
}

impl PublicKey {
    /// The response with `sum` + r at `positions`, r the `masks`; it is consumed, because answering twice with fresh
    /// noise would show more.
    pub fn respond(
        &self,
        sum: Sum,
        positions: &[usize],
        masks: &[u64],
        entropy: &mut Entropy,
    ) -> Result<Response, BadShape> {
        let (b, a) = self.drowned(sum, positions, masks, entropy)?;
        let parameters = self.parameters.clone();
        Ok(parameters.extract(b, a, positions.len()))
    }

    /// [`PublicKey::respond`] for many sums with the same outputs, over threads.
    pub fn respond_all(
        &self,
        sums: Vec<Sum>,
        positions: &[usize],
        masks: &[&[u64]],
        entropy: &mut Entropy,
    ) -> Result<Vec<Response>, BadShape> {
        same_length("masks", sums.len(), masks.len())?;
        let work: Vec<_> = sums.into_iter().zip(masks).map(|(sum, r)| std::sync::Mutex::new(Some((sum, r)))).collect();
        fork_each(&work, entropy, |task, entropy| {
            let task = task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let (sum, r) = task.ok_or_else(|| BadShape("a sum is answered once".into()))?;
            self.respond(sum, positions, r, entropy)
        })
    }

    /// Before the switch: coefficients of b at the positions, and all of a.
    fn drowned(
        &self,
        sum: Sum,
        positions: &[usize],
        masks: &[u64],
        entropy: &mut Entropy,
    ) -> Result<(Vec<u64>, Vec<u64>), BadShape> {
        let (parameters, ring, n) = (&self.parameters, &self.parameters.ring, self.parameters.degree());
        parameters.same(&sum.parameters)?;
        parameters.check_positions(positions)?;
        same_length("the masks", positions.len(), masks.len())?;
        canonical("the mask", masks)?;
        // What of b is not sent shows partial sums.
        let Sum { mut b, mut a, .. } = sum;
        self.add_product(&mut b, &mut a, 2, entropy)?;
        ring.inverse(&mut b);
        ring.inverse(&mut a);
        let e = noise(&mut entropy.prg()?, n)?;
        ring.combine(&mut a, 1, &[Column::small(&e, NOISE).times(2)]);
        let mut outputs: Vec<u64> = Vec::with_capacity(ring.limbs().len() * positions.len());
        b.chunks_exact(n).for_each(|b| outputs.extend(positions.iter().map(|&k| b[k])));
        let (masks, bits) = (halves(&parameters.remainders(masks)), parameters.budget.drowning_bits);
        let drown = uniform(&mut entropy.prg()?, positions.len(), bits)?;
        let drown = Column::signed(&drown, positions.len(), bits);
        ring.combine(&mut outputs, 1, &[Column::field(&masks).over_p(), drown]);
        Ok((outputs, std::mem::take(&mut a)))
    }
}

impl Parameters {
    /// Switches both parts to q' and rounds b.
    fn extract(self: Arc<Self>, mut b: Vec<u64>, mut a: Vec<u64>, columns: usize) -> Response {
        self.switch.apply(&self.ring, &mut b, columns);
        self.switch.apply(&self.ring, &mut a, self.degree());
        let fraction = |k: usize| self.tail.fraction(|i| b[i * columns + k]);
        let b = (0..columns).map(|k| (fraction(k).wrapping_add(1 << 63) >> 64) as u64).collect();
        Response { parameters: self, a, b }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{self, tests::sample};
    use crate::lattice::encoding::{Operand, Plaintext};
    use crate::lattice::keys::tests::{keys, measured};
    use crate::lattice::parameters::tests::{ACTIVE, SMALL};
    use crate::lattice::parameters::{Demand, TAIL};
    use crate::P;

    /// The sum of `products` ciphertexts times operands, and the coefficients of its plaintext.
    fn summed(demand: Demand, extreme: bool) -> (Sum, Vec<u64>, crate::lattice::keys::SecretKey, PublicKey, Entropy) {
        let (secret, public, mut entropy) = keys(demand);
        let parameters = secret.parameters().clone();
        let n = parameters.degree();
        let (mut sum, mut expected) = (Sum::new(&parameters), vec![0; n]);
        for s in 0..demand.products as u64 {
            let [x, w] = [2 * s, 2 * s + 1].map(|s| if extreme { vec![P / 2 + s % 2; n] } else { sample(n, s) });
            let [x, w] = [x, w].map(|v| Plaintext::from_coefficients(&parameters, &v).unwrap());
            let slots = x.slots(&parameters).unwrap();
            let slots =
                slots.iter().zip(&*w.slots(&parameters).unwrap()).map(|(&x, &w)| field::mul(x, w)).collect::<Vec<_>>();
            let product = Plaintext::from_slots(&parameters, &slots).unwrap();
            expected.iter_mut().zip(product.coefficients()).for_each(|(e, &v)| *e = field::add(*e, v));
            let c = public.encrypt(&x, &mut entropy).unwrap();
            sum.add(&c, &Operand::new(&parameters, &w).unwrap()).unwrap();
        }
        (sum, expected, secret, public, entropy)
    }

    #[test]
    fn every_step_keeps_its_bound() {
        for (demand, extreme) in [(SMALL, false), (SMALL, true), (ACTIVE, false), (ACTIVE, true)] {
            let (sum, expected, secret, public, mut entropy) = summed(demand, extreme);
            let parameters = secret.parameters().clone();
            let (ring, tail, budget) = (&parameters.ring, &parameters.tail, parameters.budget());
            let n = parameters.degree();
            let phase = |ring: &crate::lattice::ring::Ring, b: &[u64], a: &[u64]| {
                let mut x = ring.zero();
                ring.multiply_add(&mut x, a, &secret.values);
                ring.inverse(&mut x);
                ring.add(&mut x, b);
                x
            };
            let all: Vec<usize> = (0..n).collect();
            let mut b = sum.b.clone();
            ring.inverse(&mut b);
            let e = measured(ring, &phase(ring, &b, &sum.a), &expected, &all);
            assert!(e <= budget.sum, "{e} {}", budget.sum);
            let masks = sample(n, 99);
            let expected: Vec<u64> = expected.iter().zip(&masks).map(|(&e, &r)| field::add(e, r)).collect();
            let (b, a) = public.drowned(sum, &all, &masks, &mut entropy).unwrap();
            let mut values = a.clone();
            ring.forward(&mut values);
            let e = measured(ring, &phase(ring, &b, &values), &expected, &all);
            let drown = 2f64.powi(budget.drowning_bits as i32 - 1);
            assert!(e <= budget.response && e > drown * 0.9, "{e} {}", budget.response);
            let (mut less_b, mut less_a) = (b.clone(), a.clone());
            parameters.switch.apply(ring, &mut less_b, n);
            parameters.switch.apply(ring, &mut less_a, n);
            tail.forward(&mut less_a);
            let e = measured(tail, &phase(tail, &less_b, &less_a), &expected, &all);
            assert!(e <= budget.switched && budget.switched < budget.tail_limit, "{e} {}", budget.switched);
            let response = parameters.clone().extract(b, a, n);
            assert_eq!(*secret.open(&response, &all).unwrap(), expected);
        }
    }

    #[test]
    fn only_outputs_are_sent() {
        let (sum, expected, secret, public, mut entropy) = summed(SMALL, false);
        let n = secret.parameters().degree();
        let positions = [5, 0, n - 1, 77];
        let response = public.respond(sum, &positions, &[1, 0, P - 1, 2], &mut entropy).unwrap();
        assert_eq!((response.b.len(), response.a.len()), (4, TAIL * n));
        let opened = secret.open(&response, &positions).unwrap();
        let found = positions.iter().zip([1, 0, P - 1, 2]).map(|(&k, r)| field::add(expected[k], r));
        assert_eq!(*opened, found.collect::<Vec<_>>());
        assert!(secret.open(&response, &[1, 2, 3]).is_err());
        assert!(secret.open(&response, &[1, 2, 3, n]).is_err());
        let empty = || Sum::new(secret.parameters());
        assert!(public.respond(empty(), &[n], &[0], &mut entropy).is_err());
        assert!(public.respond(empty(), &[1], &[P], &mut entropy).is_err());
        assert!(public.respond(empty(), &[1], &[], &mut entropy).is_err());
        let two = public.respond_all(vec![empty(), empty()], &[3], &[&[8], &[9]], &mut entropy).unwrap();
        let opened = secret.open_all(&two, &[3]).unwrap();
        assert_eq!([opened[0][0], opened[1][0]], [8, 9]);
    }

    /// What the owner of the key sees of two different operands: the noise has the same distribution, cell by cell.
    #[test]
    fn drowning_hides_the_operand() {
        let (secret, public, mut entropy) = keys(SMALL);
        let parameters = secret.parameters().clone();
        let (ring, n) = (&parameters.ring, parameters.degree());
        let all: Vec<usize> = (0..n).collect();
        let x = Plaintext::from_coefficients(&parameters, &sample(n, 1)).unwrap();
        let c = public.encrypt(&x, &mut entropy).unwrap();
        let mut cells = [[0.0f64; 16]; 2];
        for (cells, w) in cells.iter_mut().zip([0, P / 2]) {
            let w = Plaintext::from_coefficients(&parameters, &vec![w; n]).unwrap();
            for _ in 0..4 {
                let mut sum = Sum::new(&parameters);
                sum.add(&c, &Operand::new(&parameters, &w).unwrap()).unwrap();
                let (b, mut a) = public.drowned(sum, &all, &vec![0; n], &mut entropy).unwrap();
                ring.forward(&mut a);
                let mut phase = ring.zero();
                ring.multiply_add(&mut phase, &a, &secret.values);
                ring.inverse(&mut phase);
                ring.add(&mut phase, &b);
                for k in 0..n {
                    // e p / q mod 1 is the fraction of phase p / q.
                    let f = ring.fraction(|i| phase[i * n + k]);
                    let e = (P as u128).wrapping_mul(f) as i128 as f64 / 2f64.powi(128);
                    let scaled = e * (ring.size() / P as f64) / 2f64.powi(parameters.budget.drowning_bits as i32);
                    cells[((scaled + 0.5) * 16.0) as usize] += 1.0;
                }
            }
        }
        let expected = 4.0 * n as f64 / 16.0;
        for cells in cells {
            assert!(cells.iter().map(|c| (c - expected).powi(2) / expected).sum::<f64>() < 50.0, "{cells:?}");
        }
    }
}
