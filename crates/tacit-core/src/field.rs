//! The field F_p:  p = 2^61 - 2^21 + 1,  so  2^61 = 2^21 - 1 (mod p).
//!
//! A number x = h 2^61 + l is congruent to l + h (2^21 - 1): reduction is shifts and adds. The last step subtracts p
//! when needed, without a branch: for x < 2p the residue is min(x, x - p mod 2^64).

/// The prime 2^61 - 2^21 + 1.
pub const P: u64 = 0x1fff_ffff_ffe0_0001;
/// 2^61 mod p.
pub const C: u64 = (1 << 21) - 1;
/// The low 61 bits.
pub const MASK: u64 = (1 << 61) - 1;

/// A number below 2^61 + 2^24 that is congruent to x.
#[inline(always)]
pub const fn fold(x: u64) -> u64 {
    (x & MASK) + (x >> 61) * C
}

/// x mod p for x < 2p.
#[inline(always)]
pub fn canon(x: u64) -> u64 {
    x.min(x.wrapping_sub(P))
}

/// x mod p for any 64-bit x.
#[inline(always)]
pub fn reduce64(x: u64) -> u64 {
    canon(fold(x))
}

/// x mod p for any 128-bit x; 2^64 = 8 C.
#[inline(always)]
pub fn reduce128(x: u128) -> u64 {
    let t = (x >> 64) * (8 * C) as u128 + (x as u64) as u128; // below 2^88
    canon((t as u64 & MASK) + ((t >> 61) as u64) * C)
}

/// a + b.
#[inline(always)]
pub fn add(a: u64, b: u64) -> u64 {
    canon(a + b)
}

/// a - b.
#[inline(always)]
pub fn sub(a: u64, b: u64) -> u64 {
    let d = a.wrapping_sub(b);
    d.min(d.wrapping_add(P))
}

/// -a.
#[inline(always)]
pub fn neg(a: u64) -> u64 {
    sub(0, a)
}

/// a b.
#[inline(always)]
pub fn mul(a: u64, b: u64) -> u64 {
    reduce128(a as u128 * b as u128)
}

/// a^e; the time depends on the public e.
pub fn pow(mut a: u64, mut e: u64) -> u64 {
    let mut r = 1;
    while e > 0 {
        if e & 1 == 1 {
            r = mul(r, a);
        }
        a = mul(a, a);
        e >>= 1;
    }
    r
}

/// 1/a as a^(p-2); 0 for 0.
pub fn inv(a: u64) -> u64 {
    pow(a, P - 2)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use num_bigint::BigUint;

    /// Values at which carries and folds go wrong first.
    pub(crate) const EDGES: [u64; 16] = [
        0,
        1,
        2,
        P - 1,
        P - 2,
        P / 2,
        P / 2 + 1,
        1 << 60,
        (1 << 52) - 1,
        1 << 52,
        (1 << 21) - 1,
        (1 << 42) - 1,
        (1 << 42) + 1,
        MASK - (1 << 21),
        (1 << 31) - 1,
        0x1555_5555_5555_5555,
    ];

    /// A cheap deterministic source of test elements, edges among them.
    pub(crate) fn sample(n: usize, seed: u64) -> Vec<u64> {
        let mut s = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        (0..n)
            .map(|_| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                if s.is_multiple_of(5) {
                    EDGES[(s >> 20) as usize % EDGES.len()]
                } else {
                    reduce64(s)
                }
            })
            .collect()
    }

    #[test]
    fn reduction_matches_integers() {
        let wide = [0, 1, P as u128, u128::MAX, u64::MAX as u128, 1 << 122, (P as u128) << 64, 1 << 127];
        for x in wide.into_iter().chain((0..128).flat_map(|i| [1u128 << i, (1u128 << i) - 1, !(1u128 << i)])) {
            assert_eq!(reduce128(x) as u128, x % P as u128);
            assert_eq!(reduce64(x as u64), x as u64 % P);
        }
    }

    #[test]
    fn arithmetic_matches_integers() {
        for a in EDGES {
            for b in EDGES {
                let (wa, wb, p) = (a as u128, b as u128, P as u128);
                assert_eq!(add(a, b) as u128, (wa + wb) % p);
                assert_eq!(sub(a, b) as u128, (wa + p - wb) % p);
                assert_eq!(mul(a, b) as u128, wa * wb % p);
            }
            assert_eq!(add(a, neg(a)), 0);
            assert_eq!(mul(a, inv(a)), (a != 0) as u64);
        }
    }

    #[test]
    fn p_is_what_the_equation_says() {
        let p = (BigUint::from(1u8) << 61u32) - (BigUint::from(1u8) << 21u32) + 1u8;
        assert_eq!(p, BigUint::from(P));
        assert_eq!(pow(3, P - 1), 1);
        assert_eq!(reduce64(1 << 61), C);
    }
}
