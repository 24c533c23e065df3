//! Inverse square roots of public numbers:  w = s^((o - 1) / 2),  t = w^2 s = s^o,  1/sqrt(s) = w g^(e/2)  for  t g^e = 1.
//!
//! p - 1 = 2^21 o with o = 2^40 - 1, and g has order 2^21 (Tonelli and Shanks). e is found in three digits of seven bits, each
//! by a look-up among the 128 numbers of order 2^7: time and addresses depend on s, which everybody knows.

use crate::error::{same_length, Error};
use crate::field::{mul, pow, P};
use crate::threads::try_rows;

/// Bits of a digit of e.
const DIGIT: u32 = 7;
const SIZE: usize = 1 << DIGIT;

/// Powers of g, by digits of e.
struct Tables {
    /// g^(i 2^(7 d)) for each digit d.
    powers: [[u64; SIZE]; 3],
    /// g^(i 2^(7 d) / 2): for even i only, if d = 0.
    halves: [[u64; SIZE]; 3],
    /// (v, i) with v g^(i 2^14) = 1, by v.
    digits: [(u64, usize); SIZE],
}

impl Tables {
    fn new() -> Tables {
        let odd = (P - 1) >> 21;
        // The first number without a root.
        let root = (2..P).find(|&v| pow(v, (P - 1) / 2) == P - 1).unwrap_or(0);
        let g = pow(root, odd);
        let table = |unit: u64| std::array::from_fn(|i| pow(unit, i as u64));
        let shift = |d: u32| pow(g, 1 << (DIGIT * d));
        let powers = [0, 1, 2].map(|d| table(shift(d)));
        let [second, third] = [1, 2].map(|d| table(pow(g, 1 << (DIGIT * d - 1))));
        let first = std::array::from_fn(|i| pow(g, i as u64 / 2));
        let top = shift(2);
        let mut digits = std::array::from_fn(|i| (pow(top, (SIZE - i) as u64), i));
        digits.sort_unstable();
        Tables { powers, halves: [first, second, third], digits }
    }

    /// i with v g^(i 2^14) = 1.
    fn digit(&self, v: u64) -> Option<usize> {
        self.digits.binary_search_by_key(&v, |&(v, _)| v).ok().map(|at| self.digits[at].1)
    }

    /// Of several numbers: each waits for its own products only.
    fn rsqrt(&self, s: [u64; LANES]) -> [Option<u64>; LANES] {
        let w = half_odd(s);
        let mut t = each(each(w, w), s);
        let mut found = w.map(Some);
        for d in 0..3 {
            let digits = squares(t, DIGIT * (2 - d));
            for lane in 0..LANES {
                // An odd exponent is of no square.
                let i = self.digit(digits[lane]).filter(|i| d > 0 || i % 2 == 0);
                t[lane] = i.map_or(0, |i| mul(t[lane], self.powers[d as usize][i]));
                found[lane] = found[lane].zip(i).map(|(found, i)| mul(found, self.halves[d as usize][i]));
            }
        }
        found
    }
}

/// Numbers at a time.
const LANES: usize = 8;

fn each(a: [u64; LANES], b: [u64; LANES]) -> [u64; LANES] {
    std::array::from_fn(|i| mul(a[i], b[i]))
}

fn squares(x: [u64; LANES], count: u32) -> [u64; LANES] {
    (0..count).fold(x, |x, _| each(x, x))
}

/// s^(2^39 - 1), by s^(2^(2 k) - 1) = (s^(2^k - 1))^(2^k + 1).
fn half_odd(s: [u64; LANES]) -> [u64; LANES] {
    let three = each(squares(each(squares(s, 1), s), 1), s);
    let six = each(squares(three, 3), three);
    let nine = each(squares(six, 3), three);
    let eighteen = each(squares(nine, 9), nine);
    let all = each(squares(eighteen, 18), eighteen);
    each(squares(all, 3), three)
}

/// out_i^2 a_i = 1; an error if some a_i is 0 or no square.
pub fn rsqrt(out: &mut [u64], a: &[u64]) -> Result<(), Error> {
    same_length("the operand", out.len(), a.len())?;
    let tables = Tables::new();
    try_rows(out, 1, 1 << 10, |at, out| {
        for (i, (out, a)) in out.chunks_mut(LANES).zip(a[at..].chunks(LANES)).enumerate() {
            let found = tables.rsqrt(std::array::from_fn(|lane| *a.get(lane).unwrap_or(&1)));
            for (lane, (o, root)) in out.iter_mut().zip(found).enumerate() {
                let missing = || Error::Shape(format!("element {} has no inverse root", at + LANES * i + lane));
                *o = root.ok_or_else(missing)?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;

    #[test]
    fn squares_have_roots_and_others_have_none() {
        let a: Vec<u64> = sample(5000, 3).into_iter().filter(|&a| a != 0).collect();
        let squares: Vec<u64> = a.iter().map(|&a| mul(a, a)).collect();
        let mut out = vec![0; a.len()];
        rsqrt(&mut out, &squares).unwrap();
        assert!(out.iter().zip(&squares).all(|(&r, &s)| mul(mul(r, r), s) == 1));
        let none = (2..P).find(|&v| pow(v, (P - 1) / 2) == P - 1).unwrap();
        for bad in [0, none, mul(none, squares[7])] {
            assert!(rsqrt(&mut [0], &[bad]).is_err());
            for at in [0, 5, 19] {
                let mut some = squares[..20].to_vec();
                some[at] = bad;
                let error = rsqrt(&mut [0; 20], &some).unwrap_err();
                assert!(error.to_string().starts_with(&format!("element {at} ")));
            }
        }
        assert_eq!(half_odd([5; LANES]), [pow(5, (1 << 39) - 1); LANES]);
    }
}
