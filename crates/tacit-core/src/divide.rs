//! Division by a public number, in a time that does not depend on what is divided (Granlund and Montgomery 1994, theorem 4.2):
//!
//!   x / d = (x m) >> (62 + l),   m = 2^(62 + l) / d + 1,   l = ceil(log2 d),   for x < 2^62.

use crate::error::Error;

/// A public number to divide by.
#[derive(Clone, Copy)]
pub struct Divisor {
    m: u64,
    l: u32,
    power: bool,
}

impl Divisor {
    /// d of [1, 2^60].
    pub fn new(d: u64) -> Result<Divisor, Error> {
        if d == 0 || d > 1 << 60 {
            return Err(Error::Shape(format!("the divisor is {d}, outside [1, 2^60]")));
        }
        let l = d.next_power_of_two().trailing_zeros();
        let m = (1u128 << (62 + l)) / d as u128 + 1; // at most 2^63
        Ok(Divisor { m: m as u64, l, power: d.is_power_of_two() })
    }

    /// l, if the divisor is 2^l.
    pub fn shift(self) -> Option<u32> {
        self.power.then_some(self.l)
    }

    /// floor(x / d) for x < 2^62.
    #[inline(always)]
    pub fn quotient(self, x: u64) -> u64 {
        ((x as u128 * self.m as u128) >> 62) as u64 >> self.l
    }

    /// floor(x / d) for all x.
    pub fn divide(self, x: &mut [u64]) {
        match self.shift() {
            Some(l) => x.iter_mut().for_each(|x| *x >>= l),
            None => x.iter_mut().for_each(|x| *x = self.quotient(*x)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotients() {
        let most = (1 << 62) - 1;
        for d in [
            1,
            2,
            3,
            7,
            10,
            1 << 20,
            (1 << 20) + 1,
            10_737_418_240_000,
            (1 << 59) - 1,
            (1 << 59) + 1,
            (1 << 60) - 1,
            1 << 60,
        ] {
            let divisor = Divisor::new(d).unwrap();
            let mut x = vec![0, 1, most, most - 1, most / 2];
            for k in [1, 2, 3, most / d / 2, most / d - 1, most / d] {
                x.extend([(k * d).saturating_sub(1), k * d, (k * d + 1).min(most)].map(|x| x.min(most)));
            }
            let right: Vec<u64> = x.iter().map(|x| x / d).collect();
            assert_eq!(x.iter().map(|&x| divisor.quotient(x)).collect::<Vec<_>>(), right, "{d}");
            divisor.divide(&mut x);
            assert_eq!(x, right);
            assert_eq!(divisor.shift().map(|l| 1 << l), d.is_power_of_two().then_some(d));
        }
        assert!([0, (1 << 60) + 1, u64::MAX].into_iter().all(|d| Divisor::new(d).is_err()));
    }
}
