//! What is proven:  image_o = known_o w_0 + scale_o w_o,  o = 1, 2, ..., with small integer polynomials w.
//!
//! A ciphertext: (b, a) = (pk_b u + x / p, pk_a u + e_1) with x = M + p e_0, where M = -q m mod p in (-p/2, p/2): so the
//! rounding of (q/p) m is linear over the integers. A key: b = a (-s) + e.

use crate::field::P;
use crate::lattice::ciphertext::Ciphertext;
use crate::lattice::columns::Column;
use crate::lattice::keys::PublicKey;
use crate::lattice::parameters::Parameters;
use crate::lattice::random::{Secret, NOISE, WORD};
use crate::lattice::ring::Ring;
use zeroize::Zeroizing;

/// Integer polynomials, one after another.
pub(crate) type Integers = Zeroizing<Vec<i128>>;

/// Values of the outputs of a relation, one after another.
pub(crate) type Image<'a> = Vec<&'a [u64]>;

/// Integers are cut into words with so many bits more than honest ones need.
const MARGIN: u32 = 3;
/// The bits that a statement is proven with: the challenge has at least so many.
const SECURITY: u32 = 128;

/// Which statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// b of a public key.
    Key,
    /// Ciphertexts with any plaintexts.
    Ciphertexts,
}

/// A statement about one key.
pub(crate) struct Relation<'a> {
    pub(crate) public: &'a PublicKey,
    pub(crate) statement: Statement,
    /// Proven at once.
    pub(crate) count: usize,
}

impl Statement {
    fn name(self) -> &'static str {
        match self {
            Statement::Key => "tacit lattice proof of a key",
            Statement::Ciphertexts => "tacit lattice proof of ciphertexts",
        }
    }

    /// Polynomials of a witness.
    pub(crate) fn parts(self) -> usize {
        match self {
            Statement::Key => 2,
            Statement::Ciphertexts => 3,
        }
    }

    /// Bounds of the witness, part by part.
    fn bounds(self) -> Vec<u128> {
        let noise = NOISE as u128;
        match self {
            Statement::Key => vec![1, noise],
            Statement::Ciphertexts => vec![1, noise * P as u128 + P as u128 / 2, noise],
        }
    }

    /// For each part: its bound times `count`, and the bits k of masks in [-2^k, 2^k): a response leaves the range that is
    /// the same for all witnesses with probability at most 1/8 over all coefficients.
    pub(crate) fn masks(self, degree: usize, count: usize) -> Vec<(u128, u32)> {
        let coefficients = (self.parts() * rows(degree) * degree) as u128;
        let more = coefficients.next_power_of_two().ilog2() + 3;
        let sums = self.bounds().into_iter().map(|b| b * count as u128);
        sums.map(|b| (b, b.next_power_of_two().ilog2() + more)).collect()
    }

    /// Bits of a response of each part.
    pub(crate) fn bits(self, degree: usize, count: usize) -> Vec<u32> {
        self.masks(degree, count).into_iter().map(|(_, k)| k + 1).collect()
    }

    /// How far a cheater's witness of twice the image may exceed an honest one: two answers differ by less than 2^(k+1), and
    /// 2 / (X^i - X^j) has coefficients of -1, 0, 1 (Benhamouda et al. 2014).
    pub fn slack(self, degree: usize, count: usize) -> f64 {
        let masks = self.masks(degree, count);
        let ratio = |((_, k), b): (&(u128, u32), u128)| degree as f64 * 2f64.powi(*k as i32 + 1) / b as f64;
        masks.iter().zip(self.bounds()).map(ratio).fold(1.0, f64::max)
    }
}

/// Different challenges to one image: X^j, j < 2N.
pub(crate) fn challenges(degree: usize) -> u64 {
    2 * degree as u64
}

/// Masked sums: one is answered by luck with probability 1 / challenges.
pub(crate) fn rows(degree: usize) -> usize {
    SECURITY.div_ceil(challenges(degree).ilog2()) as usize
}

impl Relation<'_> {
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.public.parameters
    }

    pub(crate) fn name(&self) -> &'static str {
        self.statement.name()
    }

    /// An image: for ciphertexts b, then a.
    pub(crate) fn image<'c>(&self, c: &'c Ciphertext) -> Image<'c> {
        vec![&c.b, &c.a]
    }

    /// The image of a key: b.
    pub(crate) fn key_image(&self) -> Image<'_> {
        vec![&self.public.b]
    }

    /// The integers of each part as words, of more bits than masks need, so that what is near them fits.
    pub(crate) fn words(&self, w: &[i128]) -> Vec<Secret> {
        let n = self.parameters().degree();
        let part = |(w, bits): (&[i128], u32)| {
            let bits = bits + MARGIN;
            let mut words = Zeroizing::new(Vec::with_capacity(n * bits.div_ceil(WORD) as usize));
            for shift in (0..bits).step_by(WORD as usize) {
                let word = |&x: &i128| ((x + (1 << (bits - 1))) >> shift) as u64 & ((1 << WORD) - 1);
                words.extend(w.iter().map(word));
            }
            words
        };
        w.chunks_exact(n).zip(self.statement.bits(n, self.count)).map(part).collect()
    }

    /// The image of a witness, coefficients, in `ring`, whose residues are those from `at` on.
    pub(crate) fn map(&self, ring: &Ring, at: usize, words: &[Secret]) -> Vec<u64> {
        let n = ring.degree();
        let bits = self.statement.bits(n, self.count);
        let column = |part: usize| Column::signed(&words[part], n, bits[part] + MARGIN);
        let first = Zeroizing::new(ring.values(&[column(0)]));
        let known: &[&[u64]] = match self.statement {
            Statement::Key => &[&self.public.a],
            _ => &[&self.public.b, &self.public.a],
        };
        let mut image = vec![0; known.len() * ring.residues()];
        for (o, (sum, known)) in image.chunks_exact_mut(ring.residues()).zip(known).enumerate() {
            ring.multiply_add(sum, &first, &known[at..]);
            ring.inverse(sum);
            let scaled = o == 0 && self.statement != Statement::Key;
            let second = column(o + 1);
            ring.combine(sum, 1, &[if scaled { second.over_p() } else { second }]);
        }
        image
    }

    /// The witness of a key: -s and e.
    pub(crate) fn key_witness(&self, ternary: &Secret, e: &Secret) -> Integers {
        let s = ternary.iter().map(|&t| 1 - t as i128);
        Zeroizing::new(s.chain(e.iter().map(|&e| e as i128 - NOISE as i128)).collect())
    }

    /// The witness of a ciphertext: u, M + p e_0, e_1.
    pub(crate) fn witness(&self, message: &[u64], [u, e1, e0]: &[Secret; 3]) -> Integers {
        let small = |e: u64| e as i128 - NOISE as i128;
        let remainders = self.parameters().level.remainders(message);
        let x = remainders.iter().zip(&**e0);
        let x = x.map(|(&r, &e)| crate::vector::signed(r) as i128 + P as i128 * small(e));
        Zeroizing::new(u.iter().map(|&u| u as i128 - 1).chain(x).chain(e1.iter().map(|&e| small(e))).collect())
    }

    /// Whether a response shows nothing: it lies where every witness would put it equally often.
    pub(crate) fn inside(&self, z: &[i128]) -> bool {
        let n = self.parameters().degree();
        let masks = self.statement.masks(n, self.count);
        let mut outside = 0u8;
        for (z, (bound, k)) in z.chunks_exact(n).zip(masks) {
            let limit = (1 << k) - bound as i128;
            z.iter().for_each(|&z| outside |= (z < -limit) as u8 | (z >= limit) as u8);
        }
        outside == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_an_inverse_of_challenges_is_short() {
        // 2 / (1 - X^d) = 1 + X^d + ... + X^(d (m - 1)) with X^(d m) = -1: at most n coefficients, of 1 or -1.
        let n = 32usize;
        for d in 1..2 * n {
            let m = n >> d.trailing_zeros();
            let mut inverse = vec![0i64; n];
            let mut add = |e: usize| inverse[e % n] += if e % (2 * n) < n { 1 } else { -1 };
            (0..m.max(1)).for_each(|k| add(d * k));
            let mut product = inverse.clone();
            for (i, &v) in inverse.iter().enumerate() {
                product[(i + d) % n] -= if (i + d) % (2 * n) < n { v } else { -v };
            }
            assert!(inverse.iter().all(|v| v.abs() <= 1) && inverse.iter().any(|&v| v != 0));
            assert_eq!(product[0], 2);
            assert!(product[1..].iter().all(|&v| v == 0));
        }
    }

    #[test]
    fn slack_grows_with_the_batch() {
        let slack = |count| Statement::Ciphertexts.slack(1 << 14, count);
        assert!(slack(16) >= 8.0 * slack(1) && slack(16) < 2f64.powi(42));
    }
}
