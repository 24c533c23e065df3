//! alpha x + r  of one number alpha:  (b', a') x + 2 (u pk + (0, e_1)) + ((q_l/p) r + D, 0)  mod q_l = q_1 ... q_l, then as any response;
//! (b', a') = (round(4 b q_l / q), 2 round(2 a q_l / q)).
//!
//! (b, a) is proven, so 4 (b, a) is a ciphertext whose noise may be far from an honest one's: q is as large as it is because an
//! answer drowns that noise times x. The switch to q_l divides it by q / q_l, down to its own rounding, (2 a q_l / q - round(.)) s'
//! for the s' of the key's proof, 2 b_pk = -a_pk s' + e'. That is why 2 a is rounded and doubled: s' is short, s' / 2 mod q is not.
//! So MACs take fewer primes, and those of numbers that are known to be small fewer again. One ciphertext is switched once and serves
//! for all MACs of a session. What is sent is the same, and who opens it need not know which primes it was made with.

use super::ciphertext::Ciphertext;
use super::columns::{halves, Column};
use super::keys::PublicKey;
use super::parameters::{Budget, Level, Parameters, TAIL};
use super::proof::FACTOR;
use super::random::{Entropy, Secret};
use super::response::Response;
use crate::error::Error;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Of any element of F_p, lifted to (-p/2, p/2).
const WHOLE: u32 = 60;
/// Of small numbers.
pub const NARROW: u32 = 16;

/// How numbers of some bits are multiplied.
pub(crate) struct Scaling {
    level: Level,
    bits: u32,
}

/// An encrypted number, ready to multiply others.
pub struct Multiplier {
    parameters: Arc<Parameters>,
    /// (b', a'), values, for whole elements and for narrow ones.
    parts: [[Vec<u64>; 2]; 2],
}

impl Scaling {
    /// With as few primes as the noise allows: for elements of F_p, and for numbers below 2^[`NARROW`].
    pub(crate) fn both(parameters: &Parameters) -> Result<[Scaling; 2], Error> {
        Ok([Scaling::new(parameters, WHOLE)?, Scaling::new(parameters, NARROW)?])
    }

    fn new(parameters: &Parameters, bits: u32) -> Result<Scaling, Error> {
        let all = parameters.ring.limbs().len();
        let fits = |&primes: &usize| Budget::scaled(parameters, primes, bits).check().is_ok();
        let primes = (TAIL + 1..=all).find(fits).unwrap_or(all);
        let budget = Budget::scaled(parameters, primes, bits);
        budget.check()?;
        Ok(Scaling { level: Level::new(&parameters.ring, primes, budget.drowning_bits), bits })
    }

    /// (b', a').
    fn lowered(&self, c: &Ciphertext) -> [Vec<u64>; 2] {
        let (ring, primes) = (&c.parameters.ring, self.level.ring.limbs().len());
        let switch = |x: &[u64], half: bool| {
            let mut x = x.to_vec();
            if primes < ring.limbs().len() {
                if half {
                    ring.halve(&mut x);
                }
                ring.inverse(&mut x);
                super::switch::Switch::new(ring, primes).apply(ring, &mut x, ring.degree(), &[]);
                self.level.ring.forward(&mut x);
                if half {
                    self.level.ring.scale(&mut x, 2);
                }
            }
            x
        };
        [switch(&c.b, false), switch(&c.a, true)]
    }
}

impl Multiplier {
    /// Of a ciphertext that [`PublicKey::accept`] gave, of a constant polynomial.
    pub(crate) fn new(scalings: &[Scaling; 2], c: &Ciphertext) -> Result<Multiplier, Error> {
        if c.terms != FACTOR {
            return Err(Error::Shape(format!(
                "an encrypted number is proven, and worth {FACTOR} ciphertexts, not {}",
                c.terms
            )));
        }
        let [whole, narrow] = scalings;
        Ok(Multiplier { parameters: c.parameters.clone(), parts: [whole.lowered(c), narrow.lowered(c)] })
    }
}

impl PublicKey {
    /// alpha x + `masks`, N numbers at most; with `narrow`, an error for numbers of more than [`NARROW`] bits.
    pub(crate) fn scale(
        &self,
        scalings: &[Scaling; 2],
        alpha: &Multiplier,
        narrow: bool,
        (x, masks): (&[u64], &[u64]),
        entropy: &mut Entropy,
    ) -> Result<Response, Error> {
        self.parameters.same(&alpha.parameters)?;
        let (scaling, [b, a]) = (&scalings[narrow as usize], &alpha.parts[narrow as usize]);
        let n = self.parameters.degree();
        if x.len() > n {
            return Err(Error::Shape(format!("{} numbers do not fit into degree {n}", x.len())));
        }
        let mut all: Secret = Zeroizing::new(vec![0; n]);
        all[..x.len()].copy_from_slice(x);
        super::encoding::canonical("what gets a MAC", &all)?;
        let whole = if narrow { [Zeroizing::new(vec![]), Zeroizing::new(vec![])] } else { halves(&all) };
        let column = if narrow { Column::small(&all, 0) } else { Column::field(&whole) };
        if narrow && all.iter().fold(0, |any, x| any | x) >> scaling.bits != 0 {
            return Err(Error::Shape(format!("a number of more than {} bits where all have fewer", scaling.bits)));
        }
        let positions: Vec<usize> = (0..x.len()).collect();
        self.answer(&scaling.level, [b, a], &[column], (&positions, masks), entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{self, tests::sample};
    use crate::lattice::keys::tests::{keys, measured};
    use crate::lattice::parameters::tests::{ACTIVE, SMALL};
    use crate::lattice::party;
    use crate::lattice::Plaintext;
    use crate::P;

    impl Scaling {
        fn budget(&self, parameters: &Parameters) -> Budget {
            Budget::scaled(parameters, self.level.ring.limbs().len(), self.bits)
        }
    }

    #[test]
    fn fewer_primes_serve_and_every_step_keeps_its_bound() {
        for demand in [SMALL, ACTIVE, *party::parameters().unwrap().demand()] {
            let (secret, public, mut entropy) = keys(demand);
            let parameters = secret.parameters().clone();
            let (n, scalings) = (parameters.degree(), Scaling::both(&parameters).unwrap());
            let primes = scalings.each_ref().map(|s| s.level.ring.limbs().len());
            assert!(primes[1] < primes[0] && primes[0] <= parameters.primes().len());
            let alpha = P / 2;
            let mut c = vec![0; n];
            c[0] = field::mul(alpha, field::inv(FACTOR.into()));
            let mut c = public.encrypt(&Plaintext::from_coefficients(&parameters, &c).unwrap(), &mut entropy).unwrap();
            assert!(Multiplier::new(&scalings, &c).is_err());
            c.scale(FACTOR).unwrap();
            let multiplier = Multiplier::new(&scalings, &c).unwrap();
            let all: Vec<usize> = (0..n).collect();
            for (s, [b, a]) in scalings.iter().zip(&multiplier.parts) {
                // The number itself, at the smaller modulus.
                let ring = &s.level.ring;
                let mut x = b.clone();
                ring.multiply_add(&mut x, a, &secret.values);
                ring.inverse(&mut x);
                let mut number = vec![0; n];
                number[0] = alpha;
                let e = measured(ring, &x, &number, &all);
                let whole = ring.limbs().len() == parameters.primes().len();
                let ratio = ring.size() / parameters.ring.size();
                let rounding = if whole { 0.0 } else { 0.5 * (1.0 + 2.0 * n as f64) };
                let most = FACTOR as f64 * parameters.budget.fresh * ratio + rounding * (1.0 + 2f64.powi(-20));
                assert!(e > 0.0 && e <= most, "2^{} of 2^{}", e.log2(), most.log2());
            }
            let cases = [
                (false, sample(n, 1)),
                (false, vec![P / 2; n]),
                (false, vec![P / 2 + 1; n]),
                (true, vec![(1 << NARROW) - 1; n]),
            ];
            for (narrow, x) in cases {
                let (scaling, [b, a]) = (&scalings[narrow as usize], &multiplier.parts[narrow as usize]);
                let (ring, budget) = (&scaling.level.ring, scaling.budget(&parameters));
                let masks = sample(n, 2);
                let expected: Vec<u64> =
                    x.iter().zip(&masks).map(|(&x, &r)| field::add(field::mul(alpha, x), r)).collect();
                let halves = halves(&x);
                let [b, a] = ring.products([&[Column::field(&halves)], &[]], [b, b, a, a]);
                let masked = public.masked(&scaling.level, b, a, (&all, &masks), &mut entropy).unwrap();
                let (mut b, mut a) = masked.added(ring);
                ring.forward(&mut b);
                ring.forward(&mut a);
                ring.multiply_add(&mut b, &a, &secret.values);
                ring.inverse(&mut b);
                let e = measured(ring, &b, &expected, &all);
                let drown = 2f64.powi(budget.drowning_bits as i32 - 1);
                assert!(e <= budget.response && e > drown * 0.9 && budget.response < budget.limit, "{narrow} {e}");
                let response = public.scale(&scalings, &multiplier, narrow, (&x, &masks), &mut entropy).unwrap();
                assert_eq!(*secret.open(&response, &all).unwrap(), expected);
            }
            let wide = public.scale(&scalings, &multiplier, true, (&[1 << NARROW], &[0]), &mut entropy);
            assert!(wide.is_err());
            let refused = public.scale(&scalings, &multiplier, false, (&[P], &[0]), &mut entropy);
            assert!(refused.is_err());
        }
    }

    /// The noise of what is multiplied, under an honest key, and what is proven to be hidden under a cheater's.
    #[test]
    fn the_switch_leaves_its_rounding() {
        let parameters = party::parameters().unwrap();
        let (all, slack) = (parameters.primes().len(), parameters.demand().key_slack);
        let [whole, narrow] = Scaling::both(&parameters).unwrap();
        let primes = [&whole, &narrow].map(|s| s.level.ring.limbs().len());
        assert_eq!(primes, [all - 1, all - 2]);
        for s in [&whole, &narrow] {
            let budget = s.budget(&parameters);
            let rounding = slack * parameters.degree() as f64 / 2.0;
            let most = rounding * parameters.degree() as f64 * 2f64.powi(s.bits as i32);
            assert!(budget.hidden > most && budget.hidden < 16.0 * most);
            assert!(
                2f64.powi(budget.drowning_bits as i32)
                    >= budget.hidden * 2f64.powi(parameters.demand().drowning as i32)
            );
        }
    }
}
