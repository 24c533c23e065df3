//! Two levels of the transform at once, on floating numbers:  (x_0, x_2), (x_1, x_3) by w_1,  then (y_0, y_1) by w_2, (y_2, y_3)
//! by w_3;  a pair (x, y) by w becomes (x + w y, x - w y), and in the inverse ((x + y)/2, (x - y)/(2w)).
//!
//! Numbers stay below 8 q < 2^53 (see `float` for the bound r q of a product of c q). Forward, x_0 is reduced: what leaves
//! two levels is below (1/2 + 2r) q, c is at most 1/2 + 3r, so r < 1.36 and c < 4.6. Inverse, the sums are reduced: what
//! leaves is below r q, c is at most 4r, so r stays below 2 if it begins below.

use super::float::{float, Float};
use super::modulus::Modulus;

/// Blocks of so many numbers are finished one after another, in the first cache.
const BLOCK: usize = 1 << 10;

/// w_1, w_2, w_3 of each block.
type Twiddles = [Vec<f64>; 3];

/// The powers of z that the levels of one degree modulo one prime take.
pub(crate) struct Butterflies {
    float: Float,
    degree: usize,
    /// Of the first level, if the number of levels is odd.
    single: Option<[f64; 2]>,
    /// Of two levels each, from 1 or 2 blocks to N / 4.
    forward: Vec<Twiddles>,
    /// The same; what the last level of an inverse takes is divided by N.
    inverse: Vec<Twiddles>,
    scale: f64,
}

/// Which passes: the first takes integers, the last makes them, those between floating numbers in the same place.
const FIRST: u8 = 0;
const MIDDLE: u8 = 1;
const LAST: u8 = 2;

/// What two levels of a pass need.
#[derive(Clone, Copy)]
struct Step<const PLACE: u8, const INVERSE: bool> {
    float: Float,
    scale: f64,
}

impl<const PLACE: u8, const INVERSE: bool> Step<PLACE, INVERSE> {
    #[inline(always)]
    fn load(x: u64) -> f64 {
        if PLACE == FIRST {
            float(x)
        } else {
            f64::from_bits(x)
        }
    }

    #[inline(always)]
    fn store(self, x: f64) -> u64 {
        if PLACE == LAST {
            self.float.canonical(self.float.reduce(x))
        } else {
            x.to_bits()
        }
    }

    /// Makes the sums of an inverse small; the last pass divides them by N.
    #[inline(always)]
    fn small(self, x: f64) -> f64 {
        if PLACE == LAST {
            self.float.product(x, self.scale)
        } else {
            self.float.reduce(x)
        }
    }

    #[inline(always)]
    fn two(self, x: [u64; 4], w: [f64; 3]) -> [u64; 4] {
        let f = self.float;
        let [x0, x1, x2, x3] = [Self::load(x[0]), Self::load(x[1]), Self::load(x[2]), Self::load(x[3])];
        let z = if INVERSE {
            let (y0, y1) = (x0 + x1, f.product(x0 - x1, w[1]));
            let (y2, y3) = (x2 + x3, f.product(x2 - x3, w[2]));
            [self.small(y0 + y2), self.small(y1 + y3), f.product(y0 - y2, w[0]), f.product(y1 - y3, w[0])]
        } else {
            let (x0, x2, x3) = (f.reduce(x0), f.product(x2, w[0]), f.product(x3, w[0]));
            let (y0, y1, y2, y3) = (x0 + x2, x1 + x3, x0 - x2, x1 - x3);
            let (y1, y3) = (f.product(y1, w[1]), f.product(y3, w[2]));
            [y0 + y1, y0 - y1, y2 + y3, y2 - y3]
        };
        [self.store(z[0]), self.store(z[1]), self.store(z[2]), self.store(z[3])]
    }

    /// One level, of pairs.
    #[inline(always)]
    fn one(self, x: &mut [u64], w: f64) {
        let f = self.float;
        let (low, high) = x.split_at_mut(x.len() / 2);
        for (x, y) in low.iter_mut().zip(high) {
            let (a, b) = (Self::load(*x), Self::load(*y));
            let (a, b) = if INVERSE {
                (self.small(a + b), f.product(a - b, w))
            } else {
                let b = f.product(b, w);
                (a + b, a - b)
            };
            (*x, *y) = (self.store(a), self.store(b));
        }
    }

    /// Two levels with quarters of `t` numbers, W columns at a time.
    #[inline(always)]
    fn quads<const W: usize>(self, x: &mut [u64], t: usize, w: [&[f64]; 3]) {
        for (((x, &a), &b), &c) in x.chunks_exact_mut(4 * t).zip(w[0]).zip(w[1]).zip(w[2]) {
            let (low, high) = x.split_at_mut(2 * t);
            let ((x0, x1), (x2, x3)) = (low.split_at_mut(t), high.split_at_mut(t));
            let columns = x0.as_chunks_mut::<W>().0.iter_mut().zip(x1.as_chunks_mut::<W>().0);
            for (((x0, x1), x2), x3) in columns.zip(x2.as_chunks_mut::<W>().0).zip(x3.as_chunks_mut::<W>().0) {
                // A copy, so that the compiler sees that columns do not depend on each other.
                let (mut z0, mut z1, mut z2, mut z3) = (*x0, *x1, *x2, *x3);
                for (((z0, z1), z2), z3) in z0.iter_mut().zip(&mut z1).zip(&mut z2).zip(&mut z3) {
                    [*z0, *z1, *z2, *z3] = self.two([*z0, *z1, *z2, *z3], [a, b, c]);
                }
                (*x0, *x1, *x2, *x3) = (z0, z1, z2, z3);
            }
        }
    }

    /// Two levels on x, or on a part of it that begins at `at`.
    #[inline(always)]
    fn pass(self, degree: usize, x: &mut [u64], w: &Twiddles, at: usize) {
        let t = degree / (4 * w[0].len());
        let w = [&w[0][at / (4 * t)..], &w[1][at / (4 * t)..], &w[2][at / (4 * t)..]];
        match t {
            1 => self.quads::<1>(x, t, w),
            _ => self.quads::<4>(x, t, w),
        }
    }
}

impl Butterflies {
    /// For z with z^N = -1 modulo a prime below 2^50, N at least 16.
    pub(crate) fn new(degree: usize, m: &Modulus, z: u64) -> Butterflies {
        let float = Float::new(m.value());
        let bits = degree.trailing_zeros();
        let powers = |z: u64| {
            let mut w = vec![0; degree];
            let mut power = 1;
            for k in 0..degree {
                w[k.reverse_bits() >> (usize::BITS - bits)] = power;
                power = m.mul(power, z);
            }
            w
        };
        let tables = |w: &[u64]| {
            let blocks = (bits % 2..bits).step_by(2).map(|level| 1usize << level);
            let of = |j: usize, m: usize, i: usize| float.centred(w[[m + i, 2 * (m + i), 2 * (m + i) + 1][j]]);
            blocks.map(|m| [0, 1, 2].map(|j| (0..m).map(|i| of(j, m, i)).collect())).collect::<Vec<Twiddles>>()
        };
        let (w, mut v, scale) = (powers(z), powers(m.inv(z)), m.inv(degree as u64));
        v[1] = m.mul(v[1], scale);
        let single = (bits % 2 == 1).then(|| [w[1], v[1]].map(|w| float.centred(w)));
        let scale = float.centred(scale);
        Butterflies { float, degree, single, forward: tables(&w), inverse: tables(&v), scale }
    }

    fn step<const PLACE: u8, const INVERSE: bool>(&self) -> Step<PLACE, INVERSE> {
        Step { float: self.float, scale: self.scale }
    }

    /// How many of these passes have blocks that are larger than [`BLOCK`].
    fn wide(&self, tables: &[Twiddles]) -> usize {
        tables.iter().take_while(|w| self.degree / w[0].len() > BLOCK).count()
    }

    /// Coefficients to values, in place.
    #[inline(always)]
    pub(crate) fn forward(&self, x: &mut [u64]) {
        let n = self.degree;
        let (first, middle, last) =
            (self.step::<FIRST, false>(), self.step::<MIDDLE, false>(), self.step::<LAST, false>());
        match self.single {
            Some([w, _]) => first.one(x, w),
            None => first.pass(n, x, &self.forward[0], 0),
        }
        let (tables, end) = self.between(&self.forward);
        let (wide, narrow) = tables.split_at(self.wide(tables));
        for w in wide {
            middle.pass(n, x, w, 0);
        }
        for (i, x) in x.chunks_mut(BLOCK).enumerate() {
            for w in narrow {
                middle.pass(n, x, w, i * BLOCK);
            }
            last.pass(n, x, end, i * BLOCK);
        }
    }

    /// Values to coefficients, in place.
    #[inline(always)]
    pub(crate) fn inverse(&self, x: &mut [u64]) {
        let n = self.degree;
        let (first, middle, last) =
            (self.step::<FIRST, true>(), self.step::<MIDDLE, true>(), self.step::<LAST, true>());
        let (tables, end) = self.between(&self.inverse);
        let (wide, narrow) = tables.split_at(self.wide(tables));
        for (i, x) in x.chunks_mut(BLOCK).enumerate() {
            first.pass(n, x, end, i * BLOCK);
            for w in narrow.iter().rev() {
                middle.pass(n, x, w, i * BLOCK);
            }
        }
        for w in wide.iter().rev() {
            middle.pass(n, x, w, 0);
        }
        match self.single {
            Some([_, w]) => last.one(x, w),
            None => last.pass(n, x, &self.inverse[0], 0),
        }
    }

    /// The passes between that of the widest pairs and that of neighbours, and the latter.
    fn between<'a>(&self, tables: &'a [Twiddles]) -> (&'a [Twiddles], &'a Twiddles) {
        let (end, tables) = tables.split_last().expect("16 numbers take two passes");
        (&tables[self.single.is_none() as usize..], end)
    }
}
