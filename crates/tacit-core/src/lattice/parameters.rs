//! The budget:  b + a s = (q/p) m + e  decrypts to m  iff  |e| < q / (2p).
//!
//! e is rational: m is scaled by q/p and rounded, and the rounding, at most 1/2, is part of e. So products by integers
//! are exact, (q/p) m w = (q/p) (m w mod p) mod q: there is no carry term to count and q need not be 1 mod p. Every bound
//! here is a worst case: each coefficient of a product is a sum of N terms, |t| <= 1, |e| <= 21, |w| < p/2. A cheater's
//! noise and plaintext are what the proofs leave possible, `slack` times an honest one's; drowning hides those.

use super::modulus::primes;
use super::ntt::Transform;
use super::random::{hash, Secret, NOISE};
use super::ring::Ring;
use super::switch::Switch;
use crate::backend::Backend;
use crate::error::Error;
use crate::field::P;
use crate::prg::Prg;
use crate::{field, vector};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What a protocol needs.
#[derive(Debug, Clone, Copy)]
pub struct Demand {
    /// Bits of computational security; 128 is what the tables here hold.
    pub security: u32,
    /// N; the smallest that serves if `None`.
    pub degree: Option<usize>,
    /// Fresh ciphertexts that one response sums at most, each times its own plaintext; a proven one counts as four.
    pub products: u32,
    /// log2 of how often the drowning noise exceeds what it hides: 40 + log2(coefficients sent in a session).
    pub drowning: u32,
    /// How far a cheater's plaintext, secret and noise may exceed an honest one's, after the proof of a ciphertext; 1 where
    /// nobody cheats.
    pub slack: f64,
    /// The same after the proof of a public key.
    pub key_slack: f64,
}

/// Proven bounds of |e| at each step, and of what decryption allows.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// A ciphertext under the secret key.
    pub fresh_secret: f64,
    /// A ciphertext under the public key.
    pub fresh: f64,
    /// The sum of `products` of them with plaintexts.
    pub sum: f64,
    /// What drowning hides: the same sum, and the fresh encryption of zero, of a cheater.
    pub hidden: f64,
    /// D is uniform in [-2^(k-1), 2^(k-1)); this is k.
    pub drowning_bits: u32,
    /// An honest response before it is switched.
    pub response: f64,
    /// After the switch to q'.
    pub switched: f64,
    /// After b was rounded to 64 bits, and the a-part of the phase where it is opened.
    pub extracted: f64,
    /// q / (2p) and q' / (2p), less the error of decryption's own fractions.
    pub limit: f64,
    /// See `limit`.
    pub tail_limit: f64,
}

/// Everything that is public and the same at all parties.
pub struct Parameters {
    pub(crate) demand: Demand,
    pub(crate) budget: Budget,
    pub(crate) ring: Ring,
    pub(crate) tail: Ring,
    pub(crate) level: Level,
    pub(crate) plain: Transform,
    digest: [u8; 16],
}

/// The first primes of q, the switch from there to q', and the bits of the noise that drowns there.
pub(crate) struct Level {
    pub(crate) ring: Ring,
    pub(crate) switch: Switch,
    pub(crate) bits: u32,
    /// -q mod p.
    minus_q: u64,
}

impl Level {
    pub(crate) fn new(ring: &Ring, primes: usize, bits: u32) -> Level {
        let ring = ring.tail(primes);
        let q_mod_p = ring.limbs().iter().fold(1, |product, l| field::mul(product, l.modulus.value() % P));
        Level { switch: Switch::new(&ring, TAIL), ring, bits, minus_q: field::neg(q_mod_p) }
    }

    /// M = -q m mod p. With q m = p Q - M, M in (-p/2, p/2), the rounded (q/p) m is Q = M / p mod every prime of q: neither q
    /// nor Q is ever made.
    pub(crate) fn remainders(&self, m: &[u64]) -> Secret {
        let mut remainders = Zeroizing::new(vec![0; m.len()]);
        vector::scale(self.ring.backend(), &mut remainders, m, self.minus_q).expect("of one length");
        remainders
    }
}

/// (N, the largest log2 q): uniform ternary secrets, sigma 3.19, 128 bits, classical. Bossuat et al. 2024 (eprint
/// 2024/463), below the Homomorphic Encryption Standard of 2018 (218, 438, 881).
const SECURE: [(usize, f64); 3] = [(1 << 13, 214.0), (1 << 14, 430.0), (1 << 15, 868.0)];
/// Primes that a response keeps.
pub(crate) const TAIL: usize = 2;
/// Floating bounds are rounded up by more than all their operations can lose.
const UP: f64 = 1.0 + 1e-12;

impl Parameters {
    /// The smallest parameters that meet the demand, or an error that says why there are none.
    pub fn new(demand: Demand) -> Result<Arc<Parameters>, Error> {
        let Demand { security, degree, products, drowning, slack, key_slack } = demand;
        if security != 128 {
            return Err(Error::Shape(format!("{security} bits of security: the tables here are for 128")));
        }
        let sane = |s: f64| (1.0..2f64.powi(200)).contains(&s);
        if products == 0 || products > 1 << 20 || drowning > 200 || !sane(slack) || !sane(key_slack) {
            return Err(Error::Shape("products are 1 to 2^20, drowning at most 200 bits, slacks 1 to 2^200".into()));
        }
        let mut refusal = Error::Shape(format!("degree {degree:?} is not offered, but 2^13, 2^14 and 2^15"));
        for (n, secure) in SECURE {
            if degree.is_none_or(|d| d == n) {
                match Parameters::with_degree(n, secure, demand) {
                    Ok(parameters) => return Ok(Arc::new(parameters)),
                    Err(e) => refusal = e,
                }
            }
        }
        Err(refusal)
    }

    fn with_degree(n: usize, secure: f64, demand: Demand) -> Result<Parameters, Error> {
        // Of q / (2p), a response may take 4/5; of q' / (2p), the last switch, about N/2, 1/64 and the rounding of b 1/8.
        let tail_bits = ((P as f64).log2() + (n as f64).log2() + 6.0).ceil() as u32;
        let tail = primes(tail_bits.div_ceil(2), n, TAIL, &[])?;
        let response = Budget::of(n, demand, 1.0, 1.0).response;
        let tail_size = tail.iter().map(|&q| (q as f64).log2()).sum::<f64>();
        let more = ((P as f64) * response * 2.5).log2() - tail_size;
        let total = (more + 0.01).ceil().max(32.0) as u32;
        let count = total.div_ceil(50);
        let (bits, longer) = ((total / count).max(32), (total % count) as usize);
        let mut chain = [&tail[..], &primes(bits + 1, n, longer, &tail)?].concat();
        chain.extend(primes(bits, n, count as usize - longer, &chain)?);
        Parameters::with_primes(n, secure, demand, &chain)
    }

    /// Checks the whole budget for these primes.
    fn with_primes(n: usize, secure: f64, demand: Demand, chain: &[u64]) -> Result<Parameters, Error> {
        let ring = Ring::new(n, chain)?;
        let tail = ring.tail(TAIL);
        let (budget, count) = (Budget::of(n, demand, ring.size(), tail.size()), chain.len());
        let bits = ring.size().log2() + 1e-9;
        if bits > secure {
            return Err(Error::Shape(format!(
                "q needs {bits:.0} bits; at degree {n} only {secure} leave {} bits of security",
                demand.security
            )));
        }
        // The fractions of decryption err by 2^50 for each prime, of 2^128.
        budget.check()?;
        let plain = Transform::new(Backend::best(), n, P)?;
        let level = Level::new(&ring, count, budget.drowning_bits);
        let digest = digest(&demand, &budget, &ring, &plain);
        Ok(Parameters { demand, budget, tail, level, plain, digest, ring })
    }

    /// N.
    pub fn degree(&self) -> usize {
        self.ring.degree()
    }

    /// What was asked for.
    pub fn demand(&self) -> &Demand {
        &self.demand
    }

    /// The proven bounds.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The primes of q; the first two are those of q'.
    pub fn primes(&self) -> Vec<u64> {
        self.ring.limbs().iter().map(|l| l.modulus.value()).collect()
    }

    /// log2 q.
    pub fn log2_q(&self) -> f64 {
        self.ring.size().log2()
    }

    /// A hash of all of it, and of the order in which this machine's transforms put values.
    pub fn digest(&self) -> [u8; 16] {
        self.digest
    }

    /// Uniform values that belong to a seed.
    pub(crate) fn expand(&self, seed: &[u8; 32]) -> Result<Vec<u64>, Error> {
        self.ring.uniform(&mut Prg::new(seed, 0)?)
    }

    /// An error unless `other` is the same.
    pub(crate) fn same(&self, other: &Parameters) -> Result<(), Error> {
        if self.digest == other.digest {
            return Ok(());
        }
        Err(Error::Shape("these belong to different lattice parameters".into()))
    }
}

impl Budget {
    fn of(n: usize, demand: Demand, q: f64, tail: f64) -> Budget {
        let Demand { products, drowning, slack, key_slack, .. } = demand;
        let (n, b, p, products) = (n as f64, NOISE as f64, P as f64, products as f64);
        let fresh_secret = b + 0.5;
        // u e_pk + e_1 s + e_0, and the rounding.
        let fresh = n * b + n * b + b + 0.5;
        // Proofs speak of twice a ciphertext, (u', e', e_1'), and of twice a key, (e_pk', s'): four times the ciphertext has
        // the noise u' e_pk' + e_1' s' + 2 e'.
        let cheating = slack * (key_slack * (n * b + n * b) + 2.0 * (b + 0.5));
        let product = n * (p / 2.0) * products * UP;
        // The responder's own encryption of zero, 2 (u e_pk + e_1 s), and the rounding of its mask.
        let zero = |key: f64| key * (n * b + n * b) + 0.5;
        // A proven ciphertext counts as four.
        let hidden = (product * (cheating / 4.0).max(fresh) + zero(key_slack.max(2.0))) * UP;
        let bits = hidden.log2().ceil() as u32 + drowning + 1;
        let response = (product * fresh + zero(2.0)) * UP;
        Budget { fresh_secret, fresh, sum: product * fresh, ..Budget::drowned(n, hidden, bits, response, q, tail) }
    }

    /// Of answers alpha x + r for |x| <= 2^bits and a proven ciphertext of alpha, which was switched from q to a smaller q_l: to
    /// (round(4 b q_l / q), 2 round(2 a q_l / q)). Both roundings err by 1/2; that of 2 a is multiplied by s', and of an honest one
    /// by 2 s.
    pub(crate) fn scaled(parameters: &Parameters, primes: usize, bits: u32) -> Budget {
        let Demand { drowning, slack, key_slack, .. } = parameters.demand;
        let (n, b, all) = (parameters.degree() as f64, NOISE as f64, &parameters.ring);
        let (q, tail) = (all.tail(primes).size(), parameters.tail.size());
        let rounding = if primes < all.limbs().len() { 0.5 * (1.0 + 2f64.powi(-30)) } else { 0.0 };
        let (ratio, product) = (q / all.size(), n * 2f64.powi(bits as i32) * UP);
        let fresh = 4.0 * parameters.budget.fresh * ratio + rounding * (1.0 + 2.0 * n);
        let cheating =
            slack * (key_slack * (n * b + n * b) + 2.0 * (b + 0.5)) * ratio + rounding * (1.0 + n * key_slack);
        let zero = |key: f64| key * (n * b + n * b) + 0.5;
        let hidden = (product * cheating.max(fresh) + zero(key_slack.max(2.0))) * UP;
        let drowning_bits = hidden.log2().ceil() as u32 + drowning + 1;
        let response = (product * fresh + zero(2.0)) * UP;
        let Budget { fresh_secret, fresh, sum, .. } = parameters.budget;
        Budget { fresh_secret, fresh, sum, ..Budget::drowned(n, hidden, drowning_bits, response, q, tail) }
    }

    /// What follows from the noise that is hidden, and the honest one.
    fn drowned(n: f64, hidden: f64, drowning_bits: u32, honest: f64, q: f64, tail: f64) -> Budget {
        let response = (honest + 2f64.powi(drowning_bits as i32 - 1)) * UP;
        let rounding = 0.5 * (1.0 + 2f64.powi(-30));
        let switched = (response * (tail / q) + rounding * (n + 1.0)) * UP;
        let extracted = (switched + 2.0 * tail * 2f64.powi(-65) * (1.0 + 2f64.powi(-6))) * UP;
        let limit = |q: f64| q / (2.0 * P as f64) * (1.0 - 2f64.powi(-10));
        Budget {
            fresh_secret: 0.0,
            fresh: 0.0,
            sum: 0.0,
            hidden,
            drowning_bits,
            response,
            switched,
            extracted,
            limit: limit(q),
            tail_limit: limit(tail),
        }
    }

    /// Refuses a budget with which a decryption could fail.
    pub(crate) fn check(&self) -> Result<(), Error> {
        // Decryption's fractions err by 2^50 of 2^128 for each of at most 18 primes: by 2^-12 after the product with p,
        // which the factor 1 - 2^-10 of the limits covers.
        if self.response < self.limit && self.extracted < self.tail_limit {
            return Ok(());
        }
        Err(Error::Shape(format!("the noise may reach 2^{:.1} of 2^{:.1}", self.response.log2(), self.limit.log2())))
    }
}

fn digest(demand: &Demand, budget: &Budget, ring: &Ring, plain: &Transform) -> [u8; 16] {
    let mut numbers = vec![ring.degree() as u64, P, ring.limbs().len() as u64, TAIL as u64];
    numbers.extend(ring.limbs().iter().map(|l| l.modulus.value()));
    numbers.extend([demand.products as u64, demand.drowning as u64, budget.drowning_bits as u64]);
    numbers.extend([demand.slack.to_bits(), demand.key_slack.to_bits()]);
    // Values travel: two machines whose transforms order them differently must not understand each other wrongly.
    let mut x = ring.zero();
    x.iter_mut().skip(1).step_by(ring.degree()).for_each(|x| *x = 1);
    ring.forward(&mut x);
    let mut slots = vec![0; ring.degree()];
    slots[1] = 1;
    plain.forward(&mut slots);
    let bytes = |v: &[u64]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    let hash = hash("tacit lattice parameters", &[&bytes(&numbers), &bytes(&x), &bytes(&slots)]);
    hash[..16].try_into().expect("a hash has 32 bytes")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const SMALL: Demand =
        Demand { security: 128, degree: None, products: 4, drowning: 48, slack: 1.0, key_slack: 1.0 };
    pub(crate) const ACTIVE: Demand =
        Demand { security: 128, degree: None, products: 8, drowning: 72, slack: 1e12, key_slack: 1e6 };

    #[test]
    fn every_choice_fits_its_tables_and_its_noise() {
        for slack in [0, 20, 40, 60, 100] {
            for drowning in (40..90).step_by(7) {
                for products in [1, 16, 1 << 10] {
                    let slack = 2f64.powi(slack);
                    let demand = Demand { products, drowning, slack, key_slack: slack.sqrt(), ..SMALL };
                    let got = Parameters::new(demand).unwrap();
                    let secure = SECURE.iter().find(|s| s.0 == got.degree()).unwrap().1;
                    assert!(got.log2_q() < secure, "{demand:?}");
                    let b = got.budget();
                    assert!(b.response < b.limit && b.extracted < b.tail_limit, "{demand:?} {b:?}");
                    assert!(b.response * 4.0 > b.limit, "too large a q: {demand:?} {b:?}");
                    assert!(2f64.powi(b.drowning_bits as i32) >= b.hidden * 2f64.powi(drowning as i32));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_proven_is_refused() {
        let refused = |demand: Demand| Parameters::new(demand).err().unwrap().to_string();
        assert!(refused(Demand { security: 192, ..SMALL }).contains("192"));
        assert!(refused(Demand { degree: Some(1 << 12), ..SMALL }).contains("not offered"));
        assert!(refused(Demand { degree: Some(1 << 13), ..ACTIVE }).contains("128 bits of security"));
        assert!(refused(Demand { slack: f64::NAN, ..SMALL }).contains("slacks"));
        assert!(refused(Demand { products: 0, ..SMALL }).contains("products"));
        let got = Parameters::new(SMALL).unwrap();
        let short = &got.primes()[..got.primes().len() - 1];
        let refusal = Parameters::with_primes(got.degree(), 214.0, SMALL, short).err().unwrap();
        assert!(refusal.to_string().contains("noise"), "{refusal}");
    }

    #[test]
    fn digests_tell_parameters_apart() {
        let [a, b] = [SMALL, Demand { drowning: 49, ..SMALL }].map(|d| Parameters::new(d).unwrap());
        assert_eq!(a.digest(), Parameters::new(SMALL).unwrap().digest());
        assert_ne!(a.digest(), b.digest());
        assert!(a.same(&b).is_err() && a.same(&a).is_ok());
    }
}
