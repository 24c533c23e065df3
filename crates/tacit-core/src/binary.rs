//! Shared bits as words: bit x is shared as w with xor of all w = x alpha in GF(2)^64, alpha's lowest bit 1.
//!
//! So the lowest bit of a word is the share of the bit, and the word its MAC. Masks d, e are 0 or all ones.
//!
//! ```text
//! and_open: z = d & y ^ x & e ^ d & e & k ^ c
//! leaves:   g = n1 & R1 ^ n1 & n0 & R0 ^ n0 & R1R0,   e = n1 & n0 & k ^ n1 & R0 ^ n0 & R1 ^ R1R0,   n = not q
//! gf64_dot: sum_j a_j b_j in GF(2^64) = GF(2)[X] / (X^64 + X^4 + X^3 + X + 1)
//! ```

use crate::backend::Backend;
use crate::error::Error;
use crate::threads::for_rows;

fn same(a: usize, b: usize) -> Result<(), Error> {
    if a == b {
        Ok(())
    } else {
        Err(Error::Shape(format!("arrays of {a} and {b} words")))
    }
}

/// z = d & y ^ x & e ^ (d & e) & k ^ c: the local part of an AND of masked bits.
#[allow(clippy::too_many_arguments)]
pub fn and_open(out: &mut [u64], d: &[u64], y: &[u64], x: &[u64], e: &[u64], k: u64, c: &[u64]) -> Result<(), Error> {
    for length in [d.len(), y.len(), x.len(), e.len(), c.len()] {
        same(out.len(), length)?;
    }
    for (i, z) in out.iter_mut().enumerate() {
        *z = (d[i] & (y[i] ^ (e[i] & k))) ^ (x[i] & e[i]) ^ c[i];
    }
    Ok(())
}

/// (g, e) = ([R > q], [R = q]) of pairs of neighbouring bits, for shared bits R and public q: g of each pair, then e of all but the
/// lowest; a last bit without a neighbour is a pair by itself.
///
/// `digits` are the bits of R, `both` the products of neighbours, `k` the share of 1; `q` holds as many numbers for each R as there are.
pub fn leaves(out: &mut [u64], q: &[u64], digits: &[&[u64]], both: &[&[u64]], k: u64) -> Result<(), Error> {
    let n = digits.first().map_or(0, |d| d.len());
    for part in digits.iter().chain(both) {
        same(n, part.len())?;
    }
    let pairs = digits.len().div_ceil(2);
    same(both.len(), digits.len() / 2)?;
    if pairs == 0 || (n == 0 && !q.is_empty()) || (n > 0 && !q.len().is_multiple_of(n)) {
        return Err(Error::Shape(format!("{} numbers for {n} times {} bits", q.len(), digits.len())));
    }
    same(out.len(), (2 * pairs - 1) * q.len())?;
    for_rows(out, q.len(), 1, |first, rows| {
        for (row, at) in rows.chunks_mut(q.len()).zip(first..) {
            let (pair, equal) = if at < pairs { (at, false) } else { (at - pairs + 1, true) };
            for (row, q) in row.chunks_mut(n).zip(q.chunks(n)) {
                let low = digits[2 * pair];
                match (digits.get(2 * pair + 1), equal) {
                    (Some(high), false) => greater(row, q, 2 * pair, low, high, both[pair]),
                    (Some(high), true) => same_digits(row, q, 2 * pair, low, high, both[pair], k),
                    (None, false) => each(row, q, 2 * pair, |i, n0, _| n0 & low[i]),
                    (None, true) => each(row, q, 2 * pair, |i, n0, _| (n0 & k) ^ low[i]),
                }
            }
        }
    });
    Ok(())
}

fn greater(row: &mut [u64], q: &[u64], j: usize, low: &[u64], high: &[u64], both: &[u64]) {
    each(row, q, j, |i, n0, n1| (n1 & high[i]) ^ (n1 & n0 & low[i]) ^ (n0 & both[i]));
}

fn same_digits(row: &mut [u64], q: &[u64], j: usize, low: &[u64], high: &[u64], both: &[u64], k: u64) {
    each(row, q, j, |i, n0, n1| (n1 & n0 & k) ^ (n1 & low[i]) ^ (n0 & high[i]) ^ both[i]);
}

/// row_i = value(i, not q_j, not q_(j+1)), these as masks.
fn each(row: &mut [u64], q: &[u64], j: usize, value: impl Fn(usize, u64, u64) -> u64) {
    let mask = |q: u64, j: usize| ((q >> j) & 1).wrapping_sub(1);
    for (i, (out, &q)) in row.iter_mut().zip(q).enumerate() {
        *out = value(i, mask(q, j), mask(q, j + 1));
    }
}

/// The lowest bits of the words, eight to a byte, the first in the lowest place.
pub fn pack(words: &[u64]) -> Vec<u8> {
    words
        .chunks(8)
        .map(|chunk| chunk.iter().enumerate().fold(0, |byte, (i, w)| byte | (((w & 1) as u8) << i)))
        .collect()
}

/// The inverse of `pack`, a set bit as all ones.
pub fn unpack(out: &mut [u64], packed: &[u8]) -> Result<(), Error> {
    same(out.len().div_ceil(8), packed.len())?;
    for (chunk, byte) in out.chunks_mut(8).zip(packed) {
        for (i, w) in chunk.iter_mut().enumerate() {
            *w = (((byte >> i) & 1) as u64).wrapping_neg();
        }
    }
    Ok(())
}

/// sum_j a_j b_j in GF(2^64).
pub fn gf64_dot(backend: Backend, a: &[u64], b: &[u64]) -> Result<u64, Error> {
    same(a.len(), b.len())?;
    #[cfg(target_arch = "x86_64")]
    if backend != Backend::Portable && is_x86_feature_detected!("pclmulqdq") {
        // SAFETY: the instruction is there.
        return Ok(reduce(unsafe { dot_clmul(a, b) }));
    }
    let _ = backend;
    Ok(reduce(a.iter().zip(b).fold(0, |sum, (&x, &y)| sum ^ multiply(x, y))))
}

/// The product of two polynomials over GF(2), without branches.
fn multiply(x: u64, y: u64) -> u128 {
    (0..64).fold(0, |sum, i| sum ^ (((x as u128) << i) & (((y >> i) & 1) as u128).wrapping_neg()))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "pclmulqdq")]
unsafe fn dot_clmul(a: &[u64], b: &[u64]) -> u128 {
    use std::arch::x86_64::{_mm_clmulepi64_si128, _mm_set_epi64x, _mm_setzero_si128, _mm_storeu_si128, _mm_xor_si128};
    let mut sum = _mm_setzero_si128();
    for (&x, &y) in a.iter().zip(b) {
        let operands = _mm_set_epi64x(y as i64, x as i64);
        sum = _mm_xor_si128(sum, _mm_clmulepi64_si128::<0x10>(operands, operands));
    }
    let mut out = 0u128;
    // SAFETY: 16 bytes are written to 16 bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128((&raw mut out).cast(), sum) };
    out
}

/// Modulo X^64 + X^4 + X^3 + X + 1.
fn reduce(x: u128) -> u64 {
    let fold = |high: u64| (high as u128) ^ ((high as u128) << 1) ^ ((high as u128) << 3) ^ ((high as u128) << 4);
    let once = (x as u64 as u128) ^ fold((x >> 64) as u64);
    (once ^ fold((once >> 64) as u64)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(n: usize, seed: u64) -> Vec<u64> {
        let mut s = seed;
        let edges = [0, 1, u64::MAX, 1 << 63, 0x1b];
        (0..n)
            .map(|i| {
                s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                if i < edges.len() {
                    edges[i]
                } else {
                    s ^ (s >> 29)
                }
            })
            .collect()
    }

    #[test]
    fn the_field_is_a_field() {
        // X^64 = X^4 + X^3 + X + 1, products commute and distribute, and x^(2^64 - 1) = 1.
        let mul = |a: u64, b: u64| gf64_dot(Backend::Portable, &[a], &[b]).unwrap();
        assert_eq!(mul(1 << 63, 2), 0x1b);
        let w = words(40, 3);
        for v in w.windows(3) {
            assert_eq!(mul(v[0], v[1]), mul(v[1], v[0]));
            assert_eq!(mul(v[0], v[1] ^ v[2]), mul(v[0], v[1]) ^ mul(v[0], v[2]));
            assert_eq!(mul(mul(v[0], v[1]), v[2]), mul(v[0], mul(v[1], v[2])));
        }
        for &x in w.iter().filter(|&&x| x != 0) {
            let power = (0..64).fold((1, x), |(result, square), _| (mul(result, square), mul(square, square))).0;
            assert_eq!(power, 1);
        }
    }

    #[test]
    fn backends_agree() {
        for n in [0, 1, 2, 7, 64, 1000] {
            let (a, b) = (words(n, 1), words(n, 2));
            let portable = gf64_dot(Backend::Portable, &a, &b).unwrap();
            for &backend in Backend::available() {
                assert_eq!(gf64_dot(backend, &a, &b).unwrap(), portable);
            }
        }
        assert!(gf64_dot(Backend::Portable, &[1], &[]).is_err());
    }

    #[test]
    fn leaves_compare_pairs_of_digits() {
        let k = 0x8000_0000_0000_0001u64;
        let word = |bit: u64| bit.wrapping_neg() & k;
        for low in 1..6usize {
            let numbers: Vec<u64> = (0..1 << low).collect();
            // Each R with two q.
            let q: Vec<u64> =
                numbers.iter().map(|r| r.wrapping_mul(3) % (1 << low)).chain(numbers.iter().map(|r| r ^ 1)).collect();
            let digits: Vec<Vec<u64>> =
                (0..low).map(|j| numbers.iter().map(|r| word((r >> j) & 1)).collect()).collect();
            let both: Vec<Vec<u64>> = (0..low / 2)
                .map(|p| digits[2 * p].iter().zip(&digits[2 * p + 1]).map(|(a, b)| a & b).collect())
                .collect();
            let (digits, both): (Vec<_>, Vec<_>) =
                (digits.iter().map(|d| &d[..]).collect(), both.iter().map(|b| &b[..]).collect());
            let pairs = low.div_ceil(2);
            let mut out = vec![0; (2 * pairs - 1) * q.len()];
            leaves(&mut out, &q, &digits, &both, k).unwrap();
            for (at, row) in out.chunks(q.len()).enumerate() {
                let pair = if at < pairs { at } else { at - pairs + 1 };
                let two = |v: u64| (v >> (2 * pair)) & 3;
                for (i, &found) in row.iter().enumerate() {
                    let (r, q) = (two(numbers[i % numbers.len()]), two(q[i]));
                    assert_eq!(found, word(if at < pairs { r > q } else { r == q } as u64), "low {low} at {at} i {i}");
                }
            }
            assert!(leaves(&mut out[1..], &q, &digits, &both, k).is_err());
        }
        assert!(leaves(&mut [], &[], &[], &[], k).is_err());
    }

    #[test]
    fn packing_and_products_of_masked_bits() {
        for n in [0, 1, 7, 8, 9, 100] {
            let w = words(n, 5);
            let mut masks = vec![0; n];
            unpack(&mut masks, &pack(&w)).unwrap();
            for (mask, word) in masks.iter().zip(&w) {
                assert_eq!(*mask, (word & 1).wrapping_neg());
            }
        }
        assert!(unpack(&mut [0; 9], &[0]).is_err());
        // (d + a)(e + b) for shared a, b with k = alpha: one party, so that words are x alpha.
        let alpha = 0x8000_0000_0000_0001u64;
        for bits in 0..16u64 {
            let bit = |i: u64| (bits >> i) & 1;
            let (d, e, a, b) = (bit(0), bit(1), bit(2), bit(3));
            let word = |x: u64| x.wrapping_neg() & alpha;
            let mut z = [0];
            let (dm, em) = (d.wrapping_neg(), e.wrapping_neg());
            and_open(&mut z, &[dm], &[word(e ^ b)], &[word(d ^ a)], &[em], alpha, &[word(a & b)]).unwrap();
            assert_eq!(z[0], word((d ^ a) & (e ^ b)));
        }
    }
}
