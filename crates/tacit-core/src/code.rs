//! Decoding of Reed-Solomon codes:  y_i = f(x_i) for all i but e of them,  deg f <= d,  2 e <= n - d - 1.
//!
//! Gao (2003): g_0 = prod (X - x_i), and g_1 of degree below n through all (x_i, y_i). Euclid's algorithm on them stops at the
//! first remainder g = u g_0 + v g_1 of degree below (n + d + 1) / 2; then f = g / v, if there is such an f, and v is zero at the
//! wrong places. O(n^2) products. Time and branches depend on the y_i, which everybody who decodes them knows.

use crate::error::{same_length, Error};
use crate::field::{add, inv, mul, sub, P};

/// A polynomial, lowest coefficient first; no zeros at its end.
type Poly = Vec<u64>;

/// The places where `values` are not those of the one polynomial of this degree that differs from them at most at `most`
/// places; `None` if there is none. Not more than (n - d - 1) / 2 places in any case: with more it would not be the only one.
pub fn errors(points: &[u64], values: &[u64], degree: usize, most: usize) -> Result<Option<Vec<usize>>, Error> {
    same_length("the values", points.len(), values.len())?;
    if let Some(v) = points.iter().chain(values).find(|&&v| v >= P) {
        return Err(Error::Shape(format!("{v} is no element of the field")));
    }
    if points.iter().enumerate().any(|(i, x)| points[..i].contains(x)) {
        return Err(Error::Shape("two points are the same".into()));
    }
    let n = points.len();
    if n <= degree {
        return Ok(Some(vec![])); // any values are those of a polynomial
    }
    let Some(f) = decoded(points, values, degree) else { return Ok(None) };
    let wrong: Vec<usize> = (0..n).filter(|&i| at(&f, points[i]) != values[i]).collect();
    Ok((wrong.len() <= most.min((n - degree - 1) / 2)).then_some(wrong))
}

/// f, if there is one; whoever calls counts where it differs.
fn decoded(points: &[u64], values: &[u64], degree: usize) -> Option<Poly> {
    let n = points.len();
    let (mut before, mut g) = (product(points), interpolated(points, values));
    let (mut v_before, mut v) = (vec![], vec![1]);
    while 2 * g.len() > n + degree + 2 {
        // deg g >= (n + d + 1) / 2, and g is not zero
        let (q, rest) = divided(&before, &g);
        let next = minus(&v_before, &times(&q, &v));
        (before, g) = (g, rest);
        (v_before, v) = (v, next);
    }
    let (f, rest) = divided(&g, &v);
    (rest.is_empty() && f.len() <= degree + 1).then_some(f)
}

/// prod (X - x_i).
fn product(points: &[u64]) -> Poly {
    let mut out = vec![1];
    for &x in points {
        out.push(0);
        for i in (0..out.len()).rev() {
            out[i] = sub(if i > 0 { out[i - 1] } else { 0 }, mul(x, out[i]));
        }
    }
    out
}

/// The polynomial through all (x_i, y_i), by divided differences (Newton).
fn interpolated(points: &[u64], values: &[u64]) -> Poly {
    let mut c = values.to_vec();
    for k in 1..c.len() {
        for i in (k..c.len()).rev() {
            c[i] = mul(sub(c[i], c[i - 1]), inv(sub(points[i], points[i - k])));
        }
    }
    let mut out: Poly = vec![];
    for (&c, &x) in c.iter().zip(points).rev() {
        // out = out (X - x) + c
        out.push(0);
        for i in (0..out.len()).rev() {
            out[i] = sub(if i > 0 { out[i - 1] } else { c }, mul(x, out[i]));
        }
    }
    trimmed(out)
}

/// Quotient and remainder; `b` is not zero.
fn divided(a: &[u64], b: &[u64]) -> (Poly, Poly) {
    let mut rest = a.to_vec();
    let mut quotient = vec![0; (a.len() + 1).saturating_sub(b.len())];
    let lead = inv(*b.last().expect("a divisor is not zero"));
    for i in (0..quotient.len()).rev() {
        let q = mul(rest[i + b.len() - 1], lead);
        quotient[i] = q;
        rest[i..].iter_mut().zip(b).for_each(|(r, &b)| *r = sub(*r, mul(q, b)));
    }
    (trimmed(quotient), trimmed(rest))
}

fn times(a: &[u64], b: &[u64]) -> Poly {
    let mut out = vec![0; (a.len() + b.len()).saturating_sub(1)];
    for (i, &a) in a.iter().enumerate() {
        out[i..].iter_mut().zip(b).for_each(|(o, &b)| *o = add(*o, mul(a, b)));
    }
    trimmed(out)
}

fn minus(a: &[u64], b: &[u64]) -> Poly {
    let coefficient = |p: &[u64], i: usize| p.get(i).copied().unwrap_or(0);
    trimmed((0..a.len().max(b.len())).map(|i| sub(coefficient(a, i), coefficient(b, i))).collect())
}

fn trimmed(mut a: Poly) -> Poly {
    while a.last() == Some(&0) {
        a.pop();
    }
    a
}

/// f(x).
fn at(f: &[u64], x: u64) -> u64 {
    f.iter().rev().fold(0, |s, &c| add(mul(s, x), c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;

    /// Values of a polynomial of degree `degree` at 1 ... n, of which `wrong` are others.
    fn word(n: usize, degree: usize, wrong: &[usize], seed: u64) -> (Vec<u64>, Vec<u64>) {
        let f = sample(degree + 1, seed);
        let points: Vec<u64> = (1..=n as u64).collect();
        let mut values: Vec<u64> = points.iter().map(|&x| at(&f, x)).collect();
        for (&i, by) in wrong.iter().zip(sample(wrong.len(), seed + 1)) {
            values[i] = add(values[i], by.max(1));
        }
        (points, values)
    }

    /// `count` different numbers below n, in order.
    fn some(n: usize, count: usize, seed: u64) -> Vec<usize> {
        let keys = sample(n, seed);
        let mut all: Vec<usize> = (0..n).collect();
        all.sort_by_key(|&i| keys[i].wrapping_mul(0x9e37_79b9_7f4a_7c15));
        all.truncate(count);
        all.sort_unstable();
        all
    }

    /// All sets of `count` numbers below n.
    fn sets(n: usize, count: usize) -> Vec<Vec<usize>> {
        (0..1usize << n)
            .filter(|s| s.count_ones() as usize == count)
            .map(|s| (0..n).filter(|i| s >> i & 1 == 1).collect())
            .collect()
    }

    /// By trying all sets of places, the smallest first.
    fn brute(points: &[u64], values: &[u64], degree: usize, most: usize) -> Option<Vec<usize>> {
        (0..=most).flat_map(|count| sets(points.len(), count)).find(|out| {
            let kept: Vec<usize> = (0..points.len()).filter(|i| !out.contains(i)).collect();
            let of = |a: &[u64]| kept.iter().map(|&i| a[i]).collect::<Vec<_>>();
            interpolated(&of(points), &of(values)).len() <= degree + 1
        })
    }

    /// Whatever t parties of n >= 3 t + 1 send, and whoever they are.
    #[test]
    fn all_liars_up_to_a_third_are_found() {
        for n in 1..=40 {
            for t in 0..=(n - 1) / 3 {
                for liars in 0..=t {
                    for seed in 0..3 {
                        let wrong = some(n, liars, (n * 64 + liars) as u64 * 7 + seed);
                        let (points, values) = word(n, t, &wrong, seed + 5 * n as u64);
                        assert_eq!(errors(&points, &values, t, t).unwrap(), Some(wrong), "{n} {t} {liars}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_as_all_sets_tried() {
        for n in 2..=8 {
            for degree in 0..n - 1 {
                let radius = (n - degree - 1) / 2;
                for count in 0..=n {
                    for wrong in sets(n, count) {
                        let (points, values) = word(n, degree, &wrong, (n * 100 + count) as u64);
                        for most in 0..=radius {
                            let found = errors(&points, &values, degree, most).unwrap();
                            assert_eq!(found, brute(&points, &values, degree, most), "{n} {degree} {wrong:?} {most}");
                        }
                    }
                }
            }
        }
    }

    /// Lies that lie on another polynomial: it is believed if it has more points, never if the two have the same number.
    #[test]
    fn lies_that_fit_each_other() {
        for (n, degree) in [(4, 1), (7, 2), (10, 3), (12, 3)] {
            for liars in 1..n - degree {
                let (points, values) = word(n, degree, &[], 1);
                let mut both = values.clone();
                let zeros = product(&points[..degree]);
                (n - liars..n).for_each(|i| both[i] = add(both[i], at(&zeros, points[i])));
                let found = errors(&points, &both, degree, n).unwrap();
                let radius = (n - degree - 1) / 2;
                let (first, second): (Vec<_>, Vec<_>) = ((n - liars..n).collect(), (degree..n - liars).collect());
                let right = if liars <= radius { Some(first) } else { (second.len() <= radius).then_some(second) };
                assert_eq!(found, right, "{n} {degree} {liars}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(errors(&[1, 2], &[1], 0, 1).is_err());
        assert!(errors(&[1, 1, 2], &[1, 2, 3], 0, 1).is_err());
        assert!(errors(&[1, 2, P], &[1, 2, 3], 0, 1).is_err());
        assert!(errors(&[1, 2, 3], &[1, 2, P], 0, 1).is_err());
        assert_eq!(errors(&[1, 2], &[5, 9], 1, 1).unwrap(), Some(vec![]));
        assert_eq!(errors(&[], &[], 0, 1).unwrap(), Some(vec![]));
        assert_eq!(errors(&[1, 2, 3], &[0, 0, 0], 0, 0).unwrap(), Some(vec![]));
    }
}
