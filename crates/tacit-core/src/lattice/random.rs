//! Distributions:  secret t uniform in {-1, 0, 1};  noise e = |u| - |v|,  u, v of 21 uniform bits, |.| the number of ones;
//! drowning D uniform in [-2^(k-1), 2^(k-1)).
//!
//! The noise is centred binomial: |e| <= 21, variance 21/2, sigma 3.24 (the tables of `parameters` take 3.2). Its bound
//! holds always, so a proven budget has no exceptions. Keys come from the operating system.

use crate::error::Error;
use crate::prg::Prg;
use crate::threads::each;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// The largest |e|.
pub const NOISE: u64 = 21;

/// Bits of a word: words below 2^50 are exact in both kinds of arithmetic.
pub(crate) const WORD: u32 = 48;

/// A secret key for generators; every generator has a stream of its own.
pub struct Entropy {
    key: Zeroizing<[u8; 32]>,
    next: u64,
}

impl Entropy {
    /// From the operating system.
    pub fn from_os() -> Result<Entropy, Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|e| Error::Shape(format!("the system gives no randomness: {e}")))?;
        Ok(Entropy { key, next: 0 })
    }

    /// From a key that replays the same choices: for tests, and for opening a failed preparation.
    pub fn from_key(key: [u8; 32]) -> Entropy {
        Entropy { key: Zeroizing::new(key), next: 0 }
    }

    /// A fresh generator.
    pub fn prg(&mut self) -> Result<Prg, Error> {
        self.next += 1;
        Prg::new(&*self.key, self.next - 1)
    }

    /// A fresh key.
    pub fn seed(&mut self) -> Result<Zeroizing<[u8; 32]>, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        self.prg()?.bytes(&mut *seed)?;
        Ok(seed)
    }

    /// An independent source for each of `count` tasks.
    pub fn fork(&mut self, count: usize) -> Result<Vec<Entropy>, Error> {
        (0..count).map(|_| Ok(Entropy { key: self.seed()?, next: 0 })).collect()
    }
}

/// `work` on each item with randomness of its own, over threads: the same whatever their number.
pub(crate) fn fork_each<T: Sync, R: Send>(
    items: &[T],
    entropy: &mut Entropy,
    work: impl Fn(&T, &mut Entropy) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let tasks: Vec<_> = items.iter().zip(entropy.fork(items.len())?.into_iter().map(Mutex::new)).collect();
    each(&tasks, |(item, entropy)| work(item, &mut entropy.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// The hash of parts under a name; lengths are hashed too, so that parts cannot run into each other.
pub fn hash(name: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut h = blake3::Hasher::new();
    for part in [&[name.as_bytes()], parts].concat() {
        h.update(&(part.len() as u64).to_le_bytes());
        h.update(part);
    }
    h.finalize().into()
}

/// t + 1 for `count` ternary secrets t.
pub fn ternary(prg: &mut Prg, count: usize) -> Result<Zeroizing<Vec<u64>>, Error> {
    let mut t = Zeroizing::new(vec![0; count]);
    prg.below(&mut t, 3)?;
    Ok(t)
}

/// e + [`NOISE`] for `count` noises e.
pub fn noise(prg: &mut Prg, count: usize) -> Result<Zeroizing<Vec<u64>>, Error> {
    let mut e = Zeroizing::new(vec![0; count]);
    prg.below(&mut e, 1 << (2 * NOISE))?;
    let ones = |x: u64| (x & ((1 << NOISE) - 1)).count_ones() as u64;
    e.iter_mut().for_each(|e| *e = NOISE + ones(*e) - ones(*e >> NOISE));
    Ok(e)
}

/// D uniform in [-2^(bits-1), 2^(bits-1)) for `columns` coefficients, independent of each other: words for
/// [`Column::signed`](super::columns::Column::signed).
pub(crate) fn uniform(prg: &mut Prg, columns: usize, bits: u32) -> Result<Secret, Error> {
    let words = bits.div_ceil(WORD) as usize;
    let mut d = Zeroizing::new(vec![0; words * columns]);
    for (i, word) in d.chunks_exact_mut(columns.max(1)).enumerate() {
        prg.below(word, 1 << WORD.min(bits - WORD * i as u32))?;
    }
    Ok(d)
}

/// Wipes when dropped: for secret elements of a ring.
pub type Secret = Zeroizing<Vec<u64>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::columns::Column;
    use crate::lattice::ring::tests::{integers, small};
    use num_bigint::BigInt;

    fn prg() -> Prg {
        Entropy::from_key([3; 32]).prg().unwrap()
    }

    /// sum of (found - expected)^2 / expected.
    fn chi_square(found: &[f64], expected: &[f64]) -> f64 {
        found.iter().zip(expected).map(|(f, e)| (f - e).powi(2) / e).sum()
    }

    #[test]
    fn noise_is_binomial_and_secrets_are_uniform() {
        let n = 1 << 18;
        let mut binomial = vec![1.0f64];
        for _ in 0..2 * NOISE {
            let ways = binomial.clone();
            binomial = (0..=ways.len())
                .map(|k| 0.5 * (ways.get(k).unwrap_or(&0.0) + if k > 0 { ways[k - 1] } else { 0.0 }))
                .collect();
        }
        let mut found = vec![0.0; 43];
        noise(&mut prg(), n).unwrap().iter().for_each(|&e| found[e as usize] += 1.0);
        let expected: Vec<f64> = binomial.iter().map(|p| p * n as f64).collect();
        // The tails have too few for this test: |e| <= 12 are 25 cells, 24 degrees of freedom.
        assert!(chi_square(&found[9..34], &expected[9..34]) < 60.0);
        let mut found = vec![0.0; 3];
        ternary(&mut prg(), n).unwrap().iter().for_each(|&t| found[t as usize] += 1.0);
        assert!(chi_square(&found, &[n as f64 / 3.0; 3]) < 20.0);
    }

    #[test]
    fn drowning_is_uniform_in_its_range() {
        let ring = small();
        for bits in [1u32, 47, 48, 49, 150] {
            let mut prg = prg();
            let (mut cells, mut count) = ([0.0; 8], 0);
            for _ in 0..100 {
                let mut x = ring.zero();
                let d = uniform(&mut prg, ring.degree(), bits).unwrap();
                ring.combine(&mut x, 1, &[Column::signed(&d, ring.degree(), bits)]);
                let half = BigInt::from(1) << (bits - 1);
                for d in integers(&ring, &x) {
                    assert!(-&half <= d && d < half);
                    let cell = u32::try_from(((d + &half) * 8) >> bits).unwrap();
                    cells[cell as usize] += 1.0;
                    count += 1;
                }
            }
            if bits > 3 {
                assert!(chi_square(&cells, &[count as f64 / 8.0; 8]) < 40.0, "{bits}: {cells:?}");
            }
        }
    }

    #[test]
    fn streams_and_names_differ() {
        let mut e = Entropy::from_os().unwrap();
        let (a, b) = (e.seed().unwrap(), e.seed().unwrap());
        assert_ne!(*a, *b);
        assert_ne!(*a, *Entropy::from_os().unwrap().seed().unwrap());
        let forks = e.fork(2).unwrap();
        assert_ne!(*forks[0].key, *forks[1].key);
        assert_ne!(hash("a", &[b"bc"]), hash("ab", &[b"c"]));
        assert_ne!(hash("a", &[b"b", b"c"]), hash("a", &[b"bc", b""]));
    }
}
