//! One prime of q:  x mod q = x - floor(x / q) q,  the quotient estimated by a product with floor(2^64 / q).
//!
//! Divisions take a time that depends on their operands on many machines, so secrets are reduced by products alone. An
//! estimate is at most 1 too small; the last step is min(x, x - q mod 2^64) as in [`crate::field`].

use crate::error::Error;

/// A prime below 2^50, so that transforms take the 52-bit multiply-add.
#[derive(Debug, Clone, Copy)]
pub struct Modulus {
    value: u64,
    ratio: u64,
    word: Factor,
    over_p: u64,
}

/// A constant w below q with floor(w 2^64 / q): products by it need no other estimate (Shoup).
#[derive(Debug, Clone, Copy, Default)]
pub struct Factor {
    value: u64,
    ratio: u64,
}

/// The high half of a product.
#[inline(always)]
fn high(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 64) as u64
}

impl Modulus {
    /// For a prime in (2, 2^50).
    pub fn new(value: u64) -> Result<Modulus, Error> {
        if !(3..1 << 50).contains(&value) || !is_prime(value) {
            return Err(Error::Shape(format!("{value} is not an odd prime below 2^50")));
        }
        let mut modulus =
            Modulus { value, ratio: ((1u128 << 64) / value as u128) as u64, word: Factor::default(), over_p: 0 };
        modulus.word = modulus.factor(((1u128 << 64) % value as u128) as u64);
        modulus.over_p = modulus.inv(crate::field::P % value);
        Ok(modulus)
    }

    /// The prime.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// The number of bits of a residue.
    pub fn bits(&self) -> u32 {
        64 - self.value.leading_zeros()
    }

    #[inline(always)]
    fn canon(&self, x: u64) -> u64 {
        x.min(x.wrapping_sub(self.value))
    }

    /// x mod q for any 64-bit x.
    #[inline(always)]
    pub fn reduce(&self, x: u64) -> u64 {
        self.canon(x - high(x, self.ratio) * self.value)
    }

    /// x mod q for any 128-bit x.
    #[inline(always)]
    pub fn reduce128(&self, x: u128) -> u64 {
        self.add(self.reduce(x as u64), self.times((x >> 64) as u64, self.word))
    }

    /// a + b.
    #[inline(always)]
    pub fn add(&self, a: u64, b: u64) -> u64 {
        self.canon(a + b)
    }

    /// a - b.
    #[inline(always)]
    pub fn sub(&self, a: u64, b: u64) -> u64 {
        let d = a.wrapping_sub(b);
        d.min(d.wrapping_add(self.value))
    }

    /// a b.
    #[inline(always)]
    pub fn mul(&self, a: u64, b: u64) -> u64 {
        self.reduce128(a as u128 * b as u128)
    }

    /// The public constant w, prepared for [`Modulus::times`].
    pub fn factor(&self, w: u64) -> Factor {
        let value = w % self.value;
        Factor { value, ratio: (((value as u128) << 64) / self.value as u128) as u64 }
    }

    /// x w for any 64-bit x.
    #[inline(always)]
    pub fn times(&self, x: u64, w: Factor) -> u64 {
        self.canon(x.wrapping_mul(w.value).wrapping_sub(high(x, w.ratio).wrapping_mul(self.value)))
    }

    /// a^e; the time depends on the public e.
    pub fn pow(&self, mut a: u64, mut e: u64) -> u64 {
        let mut r = 1;
        while e > 0 {
            if e & 1 == 1 {
                r = self.mul(r, a);
            }
            a = self.mul(a, a);
            e >>= 1;
        }
        r
    }

    /// 1/a as a^(q-2); 0 for 0.
    pub fn inv(&self, a: u64) -> u64 {
        self.pow(a, self.value - 2)
    }

    /// 1 / p.
    pub fn over_p(&self) -> u64 {
        self.over_p
    }
}

/// Miller and Rabin's test; these bases decide every 64-bit number (Sorenson and Webster 2015). For public numbers.
pub fn is_prime(n: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if n < 2 || BASES.iter().any(|b| n.is_multiple_of(*b)) {
        return BASES.contains(&n);
    }
    let mul = |a: u64, b: u64| (a as u128 * b as u128 % n as u128) as u64;
    let twos = (n - 1).trailing_zeros();
    BASES.iter().all(|&base| {
        let (mut x, mut power, mut e) = (1, base, (n - 1) >> twos);
        while e > 0 {
            if e & 1 == 1 {
                x = mul(x, power);
            }
            power = mul(power, power);
            e >>= 1;
        }
        let mut witness = x != 1;
        for _ in 0..twos {
            witness &= x != n - 1;
            x = mul(x, x);
        }
        !witness
    })
}

/// The `count` largest primes of at most `bits` bits that are 1 mod 2N and not in `taken`.
pub fn primes(bits: u32, degree: usize, count: usize, taken: &[u64]) -> Result<Vec<u64>, Error> {
    let step = 2 * degree as u64;
    if count == 0 {
        return Ok(vec![]);
    }
    if bits > 50 || 1 << bits <= 4 * step {
        return Err(Error::Shape(format!("primes of {bits} bits are not offered for degree {degree}")));
    }
    let from = (1u64 << bits) - step + 1;
    let candidates = (0..from / step / 2).map(|i| from - i * step);
    let found: Vec<u64> = candidates.filter(|n| !taken.contains(n) && is_prime(*n)).take(count).collect();
    if found.len() < count {
        return Err(Error::Shape(format!("there are too few primes of {bits} bits that are 1 mod {step}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::P;

    const EDGES: [u64; 9] = [0, 1, 2, P - 1, P / 2, P / 2 + 1, u64::MAX, 1 << 50, (1 << 52) - 1];

    #[test]
    fn arithmetic_matches_integers() {
        for q in primes(50, 1 << 15, 2, &[]).unwrap().into_iter().chain(primes(40, 1 << 14, 2, &[]).unwrap()) {
            let (m, wide) = (Modulus::new(q).unwrap(), q as u128);
            for a in EDGES.into_iter().chain([q - 1, q, q + 1, 2 * q - 1]) {
                assert_eq!(m.reduce(a), a % q);
                for b in EDGES.into_iter().chain([q - 1, q, q + 1, 2 * q - 1]) {
                    let product = a as u128 * b as u128;
                    assert_eq!(m.reduce128(product) as u128, product % wide);
                    assert_eq!(m.times(a, m.factor(b)) as u128, product % wide);
                    let (a, b) = (a % q, b % q);
                    assert_eq!(m.add(a, b), (a + b) % q);
                    assert_eq!(m.sub(a, b), (a + q - b) % q);
                }
            }
            assert_eq!(m.reduce128(u128::MAX) as u128, u128::MAX % wide);
            assert_eq!(m.mul(m.inv(12345), 12345), 1);
            assert_eq!(m.mul(m.over_p(), P % q), 1);
        }
    }

    #[test]
    fn primes_are_prime() {
        let sieve = |n: u64| n > 1 && (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
        assert!((0..5000).all(|n| is_prime(n) == sieve(n)));
        assert!(is_prime(P) && !is_prime(P - 2) && !is_prime(3_215_031_751));
        let found = primes(40, 1 << 14, 3, &[]).unwrap();
        assert!(found.iter().all(|q| q % (1 << 15) == 1 && q.ilog2() == 39));
        assert_eq!(primes(40, 1 << 14, 1, &found[..1]).unwrap(), found[1..2]);
        assert_eq!(primes(51, 1 << 14, 0, &[]), Ok(vec![]));
        assert!(primes(51, 1 << 14, 1, &[]).is_err() && primes(16, 1 << 14, 1, &[]).is_err());
        assert!(Modulus::new(1 << 40).is_err() && Modulus::new(P).is_err());
    }
}
