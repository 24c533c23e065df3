//! Keys:  secret s, uniform ternary;  public (b, a) = (-a s + e, a),  a = H(parameters, label).
//!
//! a comes from a hash of a label that all parties know, so nobody can choose it to fit a secret. s stays at q's values.

use super::ciphertext::{Ciphertext, SeededCiphertext};
use super::columns::Column;
use super::encoding::Plaintext;
use super::parameters::Parameters;
use super::random::{fork_each, hash, noise, ternary, Entropy, Secret, NOISE};
use super::ring::Ring;
use crate::error::Error;
use crate::field::{canon, P};
use std::sync::Arc;
use zeroize::Zeroizing;

/// s; wiped when it is dropped.
pub struct SecretKey {
    pub(crate) parameters: Arc<Parameters>,
    /// s + 1, coefficient by coefficient.
    pub(crate) ternary: Secret,
    pub(crate) values: Secret,
}

/// (b, a).
pub struct PublicKey {
    pub(crate) parameters: Arc<Parameters>,
    pub(crate) b: Vec<u64>,
    pub(crate) a: Vec<u64>,
}

/// The a of all public keys with this label.
pub(crate) fn common(parameters: &Parameters, label: &[u8]) -> Result<Vec<u64>, Error> {
    parameters.expand(&hash("tacit lattice public a", &[&parameters.digest(), label]))
}

/// round(p f) mod p for the fraction f = x / 2^128.
pub(crate) fn rounded(x: u128) -> u64 {
    let p = P as u128;
    let product = p * (x >> 64) + ((p * (x as u64) as u128) >> 64);
    let m = ((product + (1 << 63)) >> 64) as u64;
    canon(m)
}

impl SecretKey {
    /// A fresh key.
    pub fn generate(parameters: &Arc<Parameters>, entropy: &mut Entropy) -> Result<SecretKey, Error> {
        let t = ternary(&mut entropy.prg()?, parameters.degree())?;
        Ok(SecretKey::from_ternary(parameters, t))
    }

    pub(crate) fn from_ternary(parameters: &Arc<Parameters>, ternary: Secret) -> SecretKey {
        let values = Zeroizing::new(parameters.ring.values(&[Column::small(&ternary, 1)]));
        SecretKey { parameters: parameters.clone(), ternary, values }
    }

    /// What it belongs to.
    pub fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// (-a s + e + (q/p) m as values, e + [`NOISE`]) for an e of its own.
    fn sample(
        &self,
        a: &[u64],
        message: Option<&Plaintext>,
        entropy: &mut Entropy,
    ) -> Result<(Vec<u64>, Secret), Error> {
        let (ring, parameters) = (&self.parameters.ring, &self.parameters);
        let e = noise(&mut entropy.prg()?, parameters.degree())?;
        let scaled = message.map(|m| parameters.scaled(m)).transpose()?;
        let message = scaled.iter().map(|m| Column::field(m).over_p());
        let mut b = ring.values(&[Column::small(&e, NOISE)].into_iter().chain(message).collect::<Vec<_>>());
        let mut product = Zeroizing::new(ring.zero());
        ring.multiply_add(&mut product, a, &self.values);
        ring.sub(&mut b, &product);
        Ok((b, e))
    }

    /// Its public key under a label that all parties know.
    pub fn public(&self, label: &[u8], entropy: &mut Entropy) -> Result<PublicKey, Error> {
        Ok(self.public_and_noise(label, entropy)?.0)
    }

    /// The same, and its noise for the proof.
    pub(crate) fn public_and_noise(&self, label: &[u8], entropy: &mut Entropy) -> Result<(PublicKey, Secret), Error> {
        let a = common(&self.parameters, label)?;
        let (b, e) = self.sample(&a, None, entropy)?;
        Ok((PublicKey { parameters: self.parameters.clone(), b, a }, e))
    }

    /// A ciphertext whose a-part is a seed.
    pub fn encrypt(&self, message: &Plaintext, entropy: &mut Entropy) -> Result<SeededCiphertext, Error> {
        let seed = *entropy.seed()?;
        let a = self.parameters.expand(&seed)?;
        let (b, _) = self.sample(&a, Some(message), entropy)?;
        Ok(SeededCiphertext { parameters: self.parameters.clone(), seed, b })
    }

    /// b + a s as coefficients, for the primes of `ring`.
    pub(crate) fn phase(&self, ring: &Ring, b: Option<&[u64]>, a: &[u64]) -> Secret {
        let mut x = Zeroizing::new(b.map_or_else(|| ring.zero(), <[u64]>::to_vec));
        ring.multiply_add(&mut x, a, &self.values);
        ring.inverse(&mut x);
        x
    }

    /// The message.
    pub fn decrypt(&self, c: &Ciphertext) -> Result<Plaintext, Error> {
        self.parameters.same(&c.parameters)?;
        let (ring, n) = (&self.parameters.ring, self.parameters.degree());
        let x = self.phase(ring, Some(&c.b), &c.a);
        let message = (0..n).map(|k| rounded(ring.fraction(|i| x[i * n + k]))).collect();
        Ok(Plaintext { coefficients: Zeroizing::new(message) })
    }
}

impl PublicKey {
    /// What it belongs to.
    pub fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// x += k u b, y += k u a for a fresh ternary u, all values; u + 1.
    pub(crate) fn add_product(
        &self,
        x: &mut [u64],
        y: &mut [u64],
        k: u64,
        entropy: &mut Entropy,
    ) -> Result<Secret, Error> {
        let ring = &self.parameters.ring;
        let t = ternary(&mut entropy.prg()?, self.parameters.degree())?;
        let u = Zeroizing::new(ring.values(&[Column::small(&t, 1).times(k)]));
        ring.multiply_add(x, &u, &self.b);
        ring.multiply_add(y, &u, &self.a);
        Ok(t)
    }

    /// u (b, a) + (e_0 + (q/p) m, e_1).
    pub fn encrypt(&self, message: &Plaintext, entropy: &mut Entropy) -> Result<Ciphertext, Error> {
        Ok(self.encrypt_and_noise(message, entropy)?.0)
    }

    /// The same, and u + 1, e_1 + [`NOISE`], e_0 + [`NOISE`] for the proof.
    pub(crate) fn encrypt_and_noise(
        &self,
        message: &Plaintext,
        entropy: &mut Entropy,
    ) -> Result<(Ciphertext, [Secret; 3]), Error> {
        let (ring, n) = (&self.parameters.ring, self.parameters.degree());
        let scaled = self.parameters.scaled(message)?;
        let [e1, e0] = [noise(&mut entropy.prg()?, n)?, noise(&mut entropy.prg()?, n)?];
        let mut b = ring.values(&[Column::small(&e0, NOISE), Column::field(&scaled).over_p()]);
        let mut a = ring.values(&[Column::small(&e1, NOISE)]);
        let u = self.add_product(&mut b, &mut a, 1, entropy)?;
        let c = Ciphertext { parameters: self.parameters.clone(), b, a, terms: 1 };
        Ok((c, [u, e1, e0]))
    }

    /// [`PublicKey::encrypt`] of many, over threads.
    pub fn encrypt_all(&self, messages: &[Plaintext], entropy: &mut Entropy) -> Result<Vec<Ciphertext>, Error> {
        fork_each(messages, entropy, |message, entropy| self.encrypt(message, entropy))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::field::tests::sample;
    use crate::lattice::parameters::tests::{ACTIVE, SMALL};
    use crate::lattice::parameters::Demand;
    use crate::lattice::ring::tests::integers;
    use num_bigint::BigInt;

    pub(crate) fn keys(demand: Demand) -> (SecretKey, PublicKey, Entropy) {
        let mut entropy = Entropy::from_key([1; 32]);
        let secret = SecretKey::generate(&Parameters::new(demand).unwrap(), &mut entropy).unwrap();
        let public = secret.public(b"test", &mut entropy).unwrap();
        (secret, public, entropy)
    }

    /// The largest |e| of b + a s = (q/p) m + e, for messages at `positions`.
    pub(crate) fn measured(ring: &Ring, phase: &[u64], message: &[u64], positions: &[usize]) -> f64 {
        let q: BigInt = ring.limbs().iter().map(|l| BigInt::from(l.modulus.value())).product();
        let (wide, p) = (integers(ring, phase), BigInt::from(P));
        let errors = positions.iter().zip(message).map(|(&k, &m)| {
            let e = (&wide[k] * &p - &q * m) % (&q * &p);
            let e = e.magnitude().clone().min((&q * &p - BigInt::from(e.magnitude().clone())).magnitude().clone());
            e.to_string().parse::<f64>().unwrap() / P as f64
        });
        errors.fold(0.0, f64::max)
    }

    #[test]
    fn fresh_ciphertexts_keep_their_bounds() {
        for demand in [SMALL, ACTIVE] {
            let (secret, public, mut entropy) = keys(demand);
            let (parameters, ring) = (&secret.parameters, &secret.parameters.ring);
            let n = parameters.degree();
            for message in [sample(n, 4), vec![0; n], vec![P - 1; n], vec![P / 2; n], vec![P / 2 + 1; n]] {
                let m = Plaintext::from_coefficients(parameters, &message).unwrap();
                let seeded = secret.encrypt(&m, &mut entropy).unwrap().expand().unwrap();
                let full = public.encrypt(&m, &mut entropy).unwrap();
                let budget = parameters.budget();
                for (c, bound) in [(seeded, budget.fresh_secret), (full, budget.fresh)] {
                    assert_eq!(secret.decrypt(&c).unwrap().coefficients(), message);
                    let phase = secret.phase(ring, Some(&c.b), &c.a);
                    let all: Vec<usize> = (0..n).collect();
                    let e = measured(ring, &phase, &message, &all);
                    assert!(e > 5.0 && e <= bound, "{e} {bound}");
                }
            }
        }
    }

    #[test]
    fn rounding_is_that_of_integers() {
        let p = BigInt::from(P);
        for f in [0, 1, u128::MAX, 1 << 66, 1 << 67, (1 << 67) - 1, u128::MAX / 3, u128::MAX - (1 << 66)] {
            let expected = ((BigInt::from(f) * &p + (BigInt::from(1) << 127)) >> 128) % &p;
            assert_eq!(BigInt::from(rounded(f)), expected);
        }
    }

    #[test]
    fn keys_differ_by_entropy_and_label() {
        let (secret, public, mut entropy) = keys(SMALL);
        assert_ne!(public.b, secret.public(b"test", &mut entropy).unwrap().b);
        assert_eq!(public.a, secret.public(b"test", &mut entropy).unwrap().a);
        assert_ne!(public.a, secret.public(b"other", &mut entropy).unwrap().a);
        let [m, k] = [vec![5; 3], vec![]].map(|v| Plaintext::from_slots(&secret.parameters, &v).unwrap());
        let both = public.encrypt_all(&[m, k], &mut entropy).unwrap();
        assert_eq!(secret.decrypt(&both[0]).unwrap().slots(&secret.parameters).unwrap()[..4], [5, 5, 5, 0]);
        assert_ne!(both[0].a, both[1].a);
        let other = keys(ACTIVE).0;
        assert!(other.decrypt(&both[0]).is_err());
    }
}
