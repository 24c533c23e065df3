//! Inverse square roots of public numbers:  w = s^((o - 1) / 2),  t = w^2 s = s^o,  1/sqrt(s) = w g^(e/2)  for  t g^e = 1.
//!
//! p - 1 = 2^21 o with o = 2^40 - 1, and g has order 2^21 (Tonelli and Shanks). e is found in three digits of seven bits, each
//! by a look-up among the 128 numbers of order 2^7: time and addresses depend on s, which everybody knows.

use crate::error::{same_length, BadShape};
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

    fn rsqrt(&self, s: u64) -> Option<u64> {
        let w = half_odd(s);
        let mut t = mul(mul(w, w), s);
        let mut found = w;
        for d in 0..3 {
            let i = self.digit((0..DIGIT * (2 - d)).fold(t, |v, _| mul(v, v)))?;
            if d == 0 && i % 2 == 1 {
                return None; // not a square
            }
            t = mul(t, self.powers[d as usize][i]);
            found = mul(found, self.halves[d as usize][i]);
        }
        Some(found)
    }
}

/// s^(2^39 - 1), by s^(2^(2 k) - 1) = (s^(2^k - 1))^(2^k + 1).
fn half_odd(s: u64) -> u64 {
    let squares = |x: u64, count: u32| (0..count).fold(x, |x, _| mul(x, x));
    let three = mul(squares(mul(squares(s, 1), s), 1), s);
    let six = mul(squares(three, 3), three);
    let nine = mul(squares(six, 3), three);
    let eighteen = mul(squares(nine, 9), nine);
    let all = mul(squares(eighteen, 18), eighteen);
    mul(squares(all, 3), three)
}

/// out_i^2 a_i = 1; an error if some a_i is 0 or no square.
pub fn rsqrt(out: &mut [u64], a: &[u64]) -> Result<(), BadShape> {
    same_length("the operand", out.len(), a.len())?;
    let tables = Tables::new();
    try_rows(out, 1, 1 << 10, |at, out| {
        for (i, (o, &s)) in out.iter_mut().zip(&a[at..]).enumerate() {
            *o = tables.rsqrt(s).ok_or_else(|| BadShape(format!("element {} has no inverse root", at + i)))?;
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
        }
        assert_eq!(half_odd(5), pow(5, (1 << 39) - 1));
    }
}
