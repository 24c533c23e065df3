//! Proofs of knowledge:  z_i = y_i + sum_k c_ik w_k,  image(z_i) = t_i + sum_k c_ik image_k,  c = H(context, images, t).
//!
//! As TopGear (Baum, Cozzo and Smart 2019): one proof for a batch, challenges X^j, ceil(128 / log2 2N) masked sums y_i. Two
//! differences. Fiat and Shamir's transform replaces the coin, because proofs then travel with what they prove and cost no
//! round; the challenge has 128 bits, not 40, since a prover may try many. And a response that would show something of a
//! witness is thrown away before anybody sees it (rejection sampling), so masks exceed sums by 22 bits instead of 40 and
//! hiding is perfect. z is sent, t is not: it follows from z and c.
//!
//! What is extracted is a witness of *twice* an image, so a verifier goes on with four times a ciphertext (twice for it,
//! twice for the key), and a prover encrypts a quarter of what it means.

mod relation;
mod wire;

pub use relation::Statement;

use super::ciphertext::Ciphertext;
use super::encoding::Plaintext;
use super::keys::{PublicKey, SecretKey};
use super::modulus::Modulus;
use super::random::{fork_each, hash, Entropy, Secret};
use super::ring::Ring;
use crate::backend::{variants, Backend};
use crate::error::{due_length, Error};
use crate::prg::Prg;
use crate::threads::each;
use crate::{field, vector};
use relation::{Image, Integers, Relation};
use zeroize::Zeroizing;

/// What a proven ciphertext is multiplied by.
pub const FACTOR: u32 = 4;
/// Attempts of a prover; one fails with probability below 1/8.
const ATTEMPTS: usize = 32;
/// Residues, below 2^50 each, that are summed before they are reduced.
const SUMMED: usize = 1 << 12;

/// The challenge and the responses, row by row.
pub struct Proof {
    challenge: [u8; 32],
    z: Vec<Vec<i128>>,
}

/// sum += X^j w for polynomials of length n one after another, j < 2n; `apply` adds a part, or subtracts it.
fn add_rotated<T>(sum: &mut [T], w: &[T], n: usize, j: usize, apply: impl Fn(&mut [T], &[T], bool)) {
    let (shift, flip) = (j % n, j >= n);
    for (sum, w) in sum.chunks_exact_mut(n).zip(w.chunks_exact(n)) {
        let (stay, wrap) = w.split_at(n - shift);
        apply(&mut sum[shift..], stay, flip);
        apply(&mut sum[..shift], wrap, !flip);
    }
}

/// sum += w or sum -= w, mod 2^64.
fn accumulate(be: Backend, sum: &mut [u64], w: &[u64], minus: bool) {
    let sign = 0u64.wrapping_sub(minus as u64);
    variants!(be, (sum: &mut [u64] = sum, w: &[u64] = w, sign: u64 = sign) {
        sum.iter_mut().zip(w).for_each(|(s, &w)| *s = s.wrapping_add((w ^ sign).wrapping_sub(sign)));
    })
}

/// The bytes of words that all parties have alike.
fn words(x: &[u64]) -> &[u8] {
    const { assert!(cfg!(target_endian = "little"), "words are hashed as they lie in memory") };
    bytemuck::cast_slice(x)
}

/// The hash of elements, prime by prime.
fn digest(ring: &Ring, elements: &[&[u64]]) -> [u8; 32] {
    let residues = elements.iter().flat_map(|x| x.chunks_exact(ring.degree()));
    let parts: Vec<_> = residues.map(|x| hash("tacit lattice residues", &[words(x)])).collect();
    hash("tacit lattice elements", &parts.iter().map(|p| &p[..]).collect::<Vec<_>>())
}

impl Relation<'_> {
    /// The challenges that a hash stands for, row by row.
    fn challenges(&self, seed: &[u8; 32]) -> Result<Vec<u64>, Error> {
        let n = self.parameters().degree();
        let mut c = vec![0; relation::rows(n) * self.count];
        Prg::new(seed, 0)?.below(&mut c, relation::challenges(n))?;
        Ok(c)
    }

    /// X^c w.
    fn add_challenge(&self, sum: &mut [i128], w: &[i128], c: u64) {
        add_rotated(sum, w, self.parameters().degree(), c as usize, |sum, w, minus| match minus {
            false => sum.iter_mut().zip(w).for_each(|(s, w)| *s += w),
            true => sum.iter_mut().zip(w).for_each(|(s, w)| *s -= w),
        });
    }

    /// t -= sum_k c_k image_k modulo one prime, coefficients.
    fn sub_challenges(&self, m: &Modulus, t: &mut [u64], images: &[Vec<u64>], c: &[u64]) {
        let (be, n) = (self.parameters().ring.backend(), self.parameters().degree());
        // Sums are below 2^62 in magnitude.
        let offset = m.reduce(1 << 62);
        for (images, c) in images.chunks(SUMMED).zip(c.chunks(SUMMED)) {
            let mut sum = vec![0u64; t.len()];
            for (image, &c) in images.iter().zip(c) {
                add_rotated(&mut sum, image, n, c as usize, |s, w, minus| accumulate(be, s, w, minus));
            }
            let residue = |s: u64| m.sub(m.reduce(s.wrapping_add(1 << 62)), offset);
            t.iter_mut().zip(&sum).for_each(|(t, &s)| *t = m.sub(*t, residue(s)));
        }
    }

    /// The hashes of t = image(z) - sum_k c_k image_k, prime by prime, row by row: of masks if there are no images.
    fn commitments(
        &self,
        z: &[Vec<Secret>],
        images: &[Image],
        challenges: &[u64],
    ) -> Result<Vec<Vec<[u8; 32]>>, Error> {
        let (ring, n) = (&self.parameters().ring, self.parameters().degree());
        let primes: Vec<usize> = (0..ring.limbs().len()).collect();
        each(&primes, |&i| {
            let (ring, m) = (ring.single(i), &ring.limbs()[i].modulus);
            let coefficients = |image: &Image| {
                let mut image = image.iter().map(|x| &x[i * n..][..n]).collect::<Vec<_>>().concat();
                image.chunks_exact_mut(n).for_each(|x| ring.inverse(x));
                image
            };
            let images: Vec<Vec<u64>> = images.iter().map(coefficients).collect();
            let row = |(row, z): (usize, &Vec<Secret>)| {
                let mut t = self.map(&ring, i * n, z);
                if !images.is_empty() {
                    self.sub_challenges(m, &mut t, &images, &challenges[row * self.count..][..self.count]);
                }
                digest(&ring, &t.chunks_exact(n).collect::<Vec<_>>())
            };
            Ok(z.iter().enumerate().map(row).collect())
        })
    }

    /// H(context, key, images, t), of the digests of t.
    fn hash(&self, context: &[u8], images: &[Image], t: &[Vec<[u8; 32]>]) -> Result<[u8; 32], Error> {
        let parameters = self.parameters();
        let key = vec![&self.public.b[..], &self.public.a];
        let elements: Vec<&Image> = [&key].into_iter().chain(images).collect();
        let elements = each(&elements, |x| Ok(digest(&parameters.ring, x)))?;
        let (parameters, count) = (parameters.digest(), (self.count as u64).to_le_bytes());
        let mut all: Vec<&[u8]> = vec![context, &parameters, &count];
        all.extend(elements.iter().chain(t.iter().flatten()).map(|p| &p[..]));
        Ok(hash(self.name(), &all))
    }

    /// A fresh mask.
    fn mask(&self, entropy: &mut Entropy) -> Result<Integers, Error> {
        let n = self.parameters().degree();
        let mut y = Zeroizing::new(Vec::with_capacity(3 * n));
        let mut prg = entropy.prg()?;
        let (mut low, mut high) = (Zeroizing::new(vec![0; n]), Zeroizing::new(vec![0; n]));
        for (_, k) in self.statement.masks(n, self.count) {
            // k + 1 bits, of which 48 at most are the low ones.
            let cut = (k + 1).min(48);
            prg.below(&mut low, 1 << cut)?;
            if k + 1 > cut {
                prg.below(&mut high, 1 << (k + 1 - cut))?;
            } else {
                high.fill(0);
            }
            let mask = |(&l, &h): (&u64, &u64)| ((h as i128) << cut) + l as i128 - (1 << k);
            y.extend(low.iter().zip(&*high).map(mask));
        }
        Ok(y)
    }

    fn prove(
        &self,
        context: &[u8],
        images: &[Image],
        witnesses: &[Integers],
        entropy: &mut Entropy,
    ) -> Result<Proof, Error> {
        let rows = vec![(); relation::rows(self.parameters().degree())];
        for _ in 0..ATTEMPTS {
            let masked = fork_each(&rows, entropy, |(), entropy| {
                let y = self.mask(entropy)?;
                let words = self.words(&y);
                Ok((y, words))
            })?;
            let (mut z, words): (Vec<Integers>, Vec<_>) = masked.into_iter().unzip();
            let challenge = self.hash(context, images, &self.commitments(&words, &[], &[])?)?;
            for (z, c) in z.iter_mut().zip(self.challenges(&challenge)?.chunks_exact(self.count)) {
                witnesses.iter().zip(c).for_each(|(w, &c)| self.add_challenge(z, w, c));
            }
            if z.iter().fold(true, |all, z| all & self.inside(z)) {
                return Ok(Proof { challenge, z: z.into_iter().map(|z| z.to_vec()).collect() });
            }
        }
        Err(Error::Shape(format!("no proof in {ATTEMPTS} attempts: the witness is larger than stated")))
    }

    fn verify(&self, context: &[u8], images: &[Image], proof: &Proof) -> Result<(), Error> {
        let n = self.parameters().degree();
        due_length("the proof", relation::rows(n), proof.z.len())?;
        // A proof of another statement may have as many rows, of fewer parts.
        proof.z.iter().try_for_each(|z| due_length("a proof's response", self.statement.parts() * n, z.len()))?;
        if !proof.z.iter().all(|z| self.inside(z)) {
            return Err(Error::Proof("a proof's response is out of its range".into()));
        }
        let challenges = self.challenges(&proof.challenge)?;
        let words = each(&proof.z, |z| Ok(self.words(z)))?;
        let t = self.commitments(&words, images, &challenges)?;
        if self.hash(context, images, &t)? != proof.challenge {
            return Err(Error::Proof("a proof does not fit what it is about".into()));
        }
        Ok(())
    }
}

impl SecretKey {
    /// Its public key, with a proof that twice it is one; `context` names session, party and purpose.
    pub fn prove_public(
        &self,
        label: &[u8],
        context: &[u8],
        entropy: &mut Entropy,
    ) -> Result<(PublicKey, Proof), Error> {
        let (public, e) = self.public_and_noise(label, entropy)?;
        let relation = Relation { public: &public, statement: Statement::Key, count: 1 };
        let witness = relation.key_witness(&self.ternary, &e);
        let proof = relation.prove(context, &[relation.key_image()], &[witness], entropy)?;
        Ok((public, proof))
    }
}

impl PublicKey {
    /// Refuses a key without its proof.
    pub fn verify(&self, context: &[u8], proof: &Proof) -> Result<(), Error> {
        let relation = Relation { public: self, statement: Statement::Key, count: 1 };
        let slack = Statement::Key.slack(self.parameters.degree(), 1);
        within("a key", slack, self.parameters.demand().key_slack)?;
        relation.verify(context, &[relation.key_image()], proof)
    }

    /// Encrypts a batch with a proof. The ciphertexts hold a quarter of the messages: what [`PublicKey::accept`] makes of them
    /// holds the messages.
    pub fn prove(
        &self,
        statement: Statement,
        context: &[u8],
        messages: &[Plaintext],
        entropy: &mut Entropy,
    ) -> Result<(Vec<Ciphertext>, Proof), Error> {
        let relation = self.relation(statement, messages.len())?;
        let quarter = field::inv(FACTOR.into());
        let encrypted = fork_each(messages, entropy, |message, entropy| {
            let mut part = Zeroizing::new(vec![0; message.coefficients().len()]);
            vector::scale(Backend::best(), &mut part, message.coefficients(), quarter)?;
            let part = Plaintext { coefficients: part };
            let (c, noise) = self.encrypt_and_noise(&part, entropy)?;
            let witness = relation.witness(part.coefficients(), &noise);
            Ok((c, witness))
        })?;
        let (ciphertexts, witnesses): (Vec<_>, Vec<_>) = encrypted.into_iter().unzip();
        let images: Vec<_> = ciphertexts.iter().map(|c| relation.image(c)).collect();
        let proof = relation.prove(context, &images, &witnesses, entropy)?;
        Ok((ciphertexts, proof))
    }

    /// Checks the proof of a batch and gives four times its ciphertexts, which encrypt the messages.
    pub fn accept(
        &self,
        statement: Statement,
        context: &[u8],
        mut ciphertexts: Vec<Ciphertext>,
        proof: &Proof,
    ) -> Result<Vec<Ciphertext>, Error> {
        let relation = self.relation(statement, ciphertexts.len())?;
        for c in &ciphertexts {
            self.parameters.same(&c.parameters)?;
        }
        let images: Vec<_> = ciphertexts.iter().map(|c| relation.image(c)).collect();
        relation.verify(context, &images, proof)?;
        ciphertexts.iter_mut().try_for_each(|c| c.scale(FACTOR))?;
        Ok(ciphertexts)
    }

    fn relation(&self, statement: Statement, count: usize) -> Result<Relation<'_>, Error> {
        let fits = match statement {
            Statement::Key => false,
            Statement::Ciphertexts => (1..=1 << 16).contains(&count),
        };
        if !fits {
            return Err(Error::Shape(format!("a batch of {count} is not proven as {statement:?}")));
        }
        let slack = statement.slack(self.parameters.degree(), count);
        within("a batch", slack, self.parameters.demand().slack)?;
        Ok(Relation { public: self, statement, count })
    }
}

/// An error if a proof leaves a cheater more than the budget hides.
fn within(what: &str, slack: f64, proven: f64) -> Result<(), Error> {
    if slack <= proven {
        return Ok(());
    }
    Err(Error::Shape(format!(
        "the proof of {what} leaves a slack of 2^{:.1}, the parameters hide 2^{:.1}",
        slack.log2(),
        proven.log2()
    )))
}

#[cfg(test)]
mod tests;
