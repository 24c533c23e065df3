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
use super::keys::{rounded, PublicKey, SecretKey};
use super::parameters::{Level, Parameters};
use super::random::{fork_each, noise, ternary, uniform, Entropy, Secret, NOISE};
use crate::error::{same_length, Error};
use crate::threads::each;
use std::sync::Arc;
use zeroize::Zeroizing;

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
    pub(crate) fn check_positions(&self, positions: &[usize]) -> Result<(), Error> {
        match positions.iter().find(|&&k| k >= self.degree()) {
            None => Ok(()),
            Some(k) => Err(Error::Shape(format!("coefficient {k} of a polynomial of degree {}", self.degree()))),
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
    ) -> Result<Response, Error> {
        Ok(self.drowned(sum, positions, masks, entropy)?.switched(&self.parameters.level, &self.parameters))
    }

    /// [`PublicKey::respond`] for many sums with the same outputs, over threads.
    pub fn respond_all(
        &self,
        sums: Vec<Sum>,
        positions: &[usize],
        masks: &[&[u64]],
        entropy: &mut Entropy,
    ) -> Result<Vec<Response>, Error> {
        same_length("masks", sums.len(), masks.len())?;
        let work: Vec<_> = sums.into_iter().zip(masks).map(|(sum, r)| std::sync::Mutex::new(Some((sum, r)))).collect();
        fork_each(&work, entropy, |task, entropy| {
            let task = task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let (sum, r) = task.ok_or_else(|| Error::Shape("a sum is answered once".into()))?;
            self.respond(sum, positions, r, entropy)
        })
    }

    /// The response with c w + r at `positions`, for one ciphertext (b, a) in the ring of `level` and w of `columns`.
    pub(crate) fn answer(
        &self,
        level: &Level,
        [b, a]: [&[u64]; 2],
        columns: &[Column],
        (positions, masks): (&[usize], &[u64]),
        entropy: &mut Entropy,
    ) -> Result<Response, Error> {
        let t = ternary(&mut entropy.prg()?, level.ring.degree())?;
        let u = [Column::small(&t, 1).times(2)];
        let [b, a] = level.ring.products([columns, &u], [b, &self.b, a, &self.a]);
        Ok(self.masked(level, b, a, (positions, masks), entropy)?.switched(level, &self.parameters))
    }

    /// Before the switch, of a sum.
    fn drowned(&self, sum: Sum, positions: &[usize], masks: &[u64], entropy: &mut Entropy) -> Result<Masked, Error> {
        self.parameters.same(&sum.parameters)?;
        let Sum { mut b, mut a, .. } = sum;
        self.add_product(&mut b, &mut a, 2, entropy)?;
        let (b, a) = (std::mem::take(&mut *b), std::mem::take(&mut *a));
        self.masked(&self.parameters.level, b, a, (positions, masks), entropy)
    }

    /// Coefficients of b at the positions, and all of a, with what is to be added. (b, a) has 2 u pk already.
    pub(crate) fn masked(
        &self,
        level: &Level,
        mut b: Vec<u64>,
        mut a: Vec<u64>,
        (positions, masks): (&[usize], &[u64]),
        entropy: &mut Entropy,
    ) -> Result<Masked, Error> {
        let (parameters, ring, n) = (&self.parameters, &level.ring, self.parameters.degree());
        parameters.check_positions(positions)?;
        same_length("the masks", positions.len(), masks.len())?;
        canonical("the mask", masks)?;
        ring.inverse(&mut b);
        ring.inverse(&mut a);
        let e = noise(&mut entropy.prg()?, n)?;
        // What of b is not sent shows partial sums.
        let b = gather(Zeroizing::new(b), n, positions);
        let masks = halves(&level.remainders(masks));
        let drown = uniform(&mut entropy.prg()?, positions.len(), level.bits)?;
        Ok(Masked { b, a, e, masks, drown, bits: level.bits, count: positions.len() })
    }
}

impl SecretKey {
    /// The coefficients of a response that were sent; `positions` are those it was made for.
    pub fn open(&self, response: &Response, positions: &[usize]) -> Result<Secret, Error> {
        self.parameters.same(&response.parameters)?;
        same_length("the response", positions.len(), response.b.len())?;
        let (tail, n) = (&self.parameters.tail, self.parameters.degree());
        self.parameters.check_positions(positions)?;
        let mut a = response.a.clone();
        tail.forward(&mut a);
        let x = self.phase(tail, None, &a);
        let parts = tail.fractions(&mut gather(x, n, positions));
        let opened = parts.iter().zip(&response.b).map(|(&part, &b)| rounded((part.wrapping_add(b) as u128) << 64));
        Ok(Zeroizing::new(opened.collect()))
    }

    /// [`SecretKey::open`] of many, over threads.
    pub fn open_all(&self, responses: &[Response], positions: &[usize]) -> Result<Vec<Secret>, Error> {
        each(responses, |response| self.open(response, positions))
    }
}

/// The coefficients at some positions, prime by prime.
fn gather(x: Secret, n: usize, positions: &[usize]) -> Secret {
    if positions.len() == n && positions.iter().enumerate().all(|(i, &k)| i == k) {
        return x;
    }
    let parts = x.chunks_exact(n).flat_map(|x| positions.iter().map(|&k| x[k]));
    let mut out = Zeroizing::new(Vec::with_capacity(x.len() / n * positions.len()));
    out.extend(parts);
    out
}

/// c = (b + (q/p) r + D, a + 2 e_1), not yet added up.
pub(crate) struct Masked {
    b: Secret,
    a: Vec<u64>,
    e: Secret,
    masks: [Secret; 2],
    drown: Secret,
    bits: u32,
    count: usize,
}

impl Masked {
    fn of_b(&self) -> [Column<'_>; 2] {
        [Column::field(&self.masks).over_p(), Column::signed(&self.drown, self.count, self.bits)]
    }

    fn of_a(&self) -> [Column<'_>; 1] {
        [Column::small(&self.e, NOISE).times(2)]
    }

    /// Both parts mod q', and b rounded.
    fn switched(mut self, level: &Level, parameters: &Arc<Parameters>) -> Response {
        let (mut b, mut a) = (std::mem::take(&mut *self.b), std::mem::take(&mut self.a));
        level.switch.apply(&level.ring, &mut b, self.count, &self.of_b());
        level.switch.apply(&level.ring, &mut a, parameters.degree(), &self.of_a());
        Response { parameters: parameters.clone(), a, b: parameters.tail.fractions(&mut b) }
    }

    /// (b, a) as they are before the switch.
    #[cfg(test)]
    pub(crate) fn added(mut self, ring: &super::ring::Ring) -> (Vec<u64>, Vec<u64>) {
        let (mut b, mut a) = (std::mem::take(&mut *self.b), std::mem::take(&mut self.a));
        ring.combine(&mut b, 1, &self.of_b());
        ring.combine(&mut a, 1, &self.of_a());
        (b, a)
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
            let (b, a) = public.drowned(sum, &all, &masks, &mut entropy).unwrap().added(ring);
            let mut values = a.clone();
            ring.forward(&mut values);
            let e = measured(ring, &phase(ring, &b, &values), &expected, &all);
            let drown = 2f64.powi(budget.drowning_bits as i32 - 1);
            assert!(e <= budget.response && e > drown * 0.9, "{e} {}", budget.response);
            let (mut less_b, mut less_a) = (b.clone(), a.clone());
            parameters.level.switch.apply(ring, &mut less_b, n, &[]);
            parameters.level.switch.apply(ring, &mut less_a, n, &[]);
            tail.forward(&mut less_a);
            let e = measured(tail, &phase(tail, &less_b, &less_a), &expected, &all);
            assert!(e <= budget.switched && budget.switched < budget.tail_limit, "{e} {}", budget.switched);
            tail.inverse(&mut less_a);
            let response = Response { parameters: parameters.clone(), b: tail.fractions(&mut less_b), a: less_a };
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
                let (b, mut a) = public.drowned(sum, &all, &vec![0; n], &mut entropy).unwrap().added(ring);
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
