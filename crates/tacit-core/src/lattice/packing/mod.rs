//! Forms as products of polynomials:  out_ij = sum_k left_ik right_kj,  each output a coefficient of its block.
//!
//! `matrix` and `convolution` say which coefficient holds which element (Cheetah, Huang et al. 2022) and cut what is larger
//! than N into blocks. Either side may be encrypted. Coefficients that are no outputs hold partial sums: they are never sent.

mod convolution;
mod matrix;

use super::ciphertext::{Ciphertext, Sum};
use super::encoding::{Operand, Plaintext};
use super::keys::{PublicKey, SecretKey};
use super::parameters::Parameters;
use super::random::{fork_each, Entropy, Secret};
use super::response::Response;
use crate::error::{same_length, Error};
use crate::threads::each;
use zeroize::Zeroizing;

/// Which operand of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The left matrix; the images of a convolution.
    Left,
    /// The right matrix; the filters.
    Right,
}

/// Polynomials of an operand that are ready to multiply at a time, but for one line of blocks.
const READY: usize = 32;

/// (coefficient, element).
type Places = Vec<(u32, u32)>;

/// A form cut into polynomials.
pub struct Packing {
    rows: usize,
    depth: usize,
    cols: usize,
    /// Of each left polynomial, row by row of the blocks.
    left: Vec<Places>,
    right: Vec<Places>,
    /// Of each pair of a row and a column.
    outputs: Vec<Places>,
    /// Elements of left, right and output.
    lengths: [usize; 3],
}

/// What a choice of blocks costs: ciphertexts up, responses down, products.
struct Price {
    up: usize,
    down: usize,
    encrypted: Side,
    most: usize,
}

impl Price {
    /// `most` is how many ciphertexts a sum may hold.
    fn new(parameters: &Parameters, encrypted: Side, most: usize) -> Price {
        Price { up: parameters.ciphertext_bytes(), down: parameters.response_bytes(0), encrypted, most }
    }

    /// Bytes, and for each product as many as a fast line carries in its time; `None` if a sum would be too long.
    fn of(&self, rows: usize, depth: usize, cols: usize) -> Option<usize> {
        let up = if self.encrypted == Side::Left { rows * depth } else { depth * cols };
        (depth <= self.most).then(|| up * self.up + rows * cols * (self.down + depth * 4096))
    }
}

/// The sizes of blocks worth trying: the different ceil(n / t), at most 2 sqrt(n) of them.
fn sizes(n: usize) -> Vec<usize> {
    let smaller = |&size: &usize| (size > 1).then(|| n.div_ceil(n.div_ceil(size - 1)));
    std::iter::successors(Some(n), smaller).collect()
}

fn polynomial(places: &Places, x: &[u64], parameters: &Parameters) -> Result<Plaintext, Error> {
    let mut v = Zeroizing::new(vec![0; parameters.degree()]);
    places.iter().for_each(|&(to, from)| v[to as usize] = x[from as usize]);
    Plaintext::from_coefficients(parameters, &v)
}

fn pack(places: &[Places], length: usize, x: &[u64], parameters: &Parameters) -> Result<Vec<Plaintext>, Error> {
    same_length("the operand", length, x.len())?;
    places.iter().map(|places| polynomial(places, x, parameters)).collect()
}

impl Packing {
    /// The plaintexts of one operand: left row by row of the blocks, right row by row.
    pub fn pack(&self, parameters: &Parameters, side: Side, x: &[u64]) -> Result<Vec<Plaintext>, Error> {
        match side {
            Side::Left => pack(&self.left, self.lengths[0], x, parameters),
            Side::Right => pack(&self.right, self.lengths[1], x, parameters),
        }
    }

    /// Polynomials of one operand.
    pub fn polynomials(&self, side: Side) -> usize {
        self.depth * if side == Side::Left { self.rows } else { self.cols }
    }

    /// How many outputs each response has.
    pub fn outputs(&self) -> Vec<usize> {
        self.outputs.iter().map(Vec::len).collect()
    }

    /// Products of polynomials.
    pub fn products(&self) -> usize {
        self.rows * self.depth * self.cols
    }

    fn positions(&self, block: usize) -> Vec<usize> {
        self.outputs[block].iter().map(|&(from, _)| from as usize).collect()
    }

    /// Responses to the encrypted operand times the other, masked: the owner of the key gets form + `masks`.
    pub fn answer(
        &self,
        public: &PublicKey,
        (side, ciphertexts): (Side, &[Ciphertext]),
        operand: &[u64],
        masks: &[u64],
        entropy: &mut Entropy,
    ) -> Result<Vec<Response>, Error> {
        let (parameters, depth) = (public.parameters(), self.depth);
        let (lines, of_each, length) = match side {
            Side::Left => (self.cols, self.rows, self.lengths[1]),
            Side::Right => (self.rows, self.cols, self.lengths[0]),
        };
        same_length("ciphertexts", self.polynomials(side), ciphertexts.len())?;
        same_length("the operand", length, operand.len())?;
        same_length("the masks", self.lengths[2], masks.len())?;
        let at_once = (READY / depth).max(1);
        let mut responses: Vec<_> = (0..self.outputs.len()).map(|_| None).collect();
        // Some lines of the operand at a time: ready to multiply, a polynomial takes seven times its size.
        for first in (0..lines).step_by(at_once) {
            let lines = first..lines.min(first + at_once);
            let inner: Vec<_> = lines.clone().flat_map(|line| (0..depth).map(move |k| (line, k))).collect();
            let ready = each(&inner, |&(line, k)| {
                let places = match side {
                    Side::Left => &self.right[k * self.cols + line],
                    Side::Right => &self.left[line * depth + k],
                };
                Operand::new(parameters, &polynomial(places, operand, parameters)?)
            })?;
            let blocks: Vec<_> = lines.flat_map(|line| (0..of_each).map(move |other| (line, other))).collect();
            let made = fork_each(&blocks, entropy, |&(line, other), entropy| {
                let mut sum = Sum::new(parameters);
                for (k, w) in ready[(line - first) * depth..][..depth].iter().enumerate() {
                    let c = if side == Side::Left { other * depth + k } else { k * self.cols + other };
                    sum.add(&ciphertexts[c], w)?;
                }
                let block = if side == Side::Left { other * self.cols + line } else { line * self.cols + other };
                let masks = self.outputs[block].iter().map(|&(_, to)| masks[to as usize]);
                let masks: Secret = Zeroizing::new(masks.collect());
                Ok((block, public.respond(sum, &self.positions(block), &masks, entropy)?))
            })?;
            made.into_iter().for_each(|(block, response)| responses[block] = Some(response));
        }
        Ok(responses.into_iter().flatten().collect())
    }

    /// The form plus the responder's masks.
    pub fn open(&self, secret: &SecretKey, responses: &[Response]) -> Result<Secret, Error> {
        same_length("responses", self.outputs.len(), responses.len())?;
        let blocks: Vec<usize> = (0..responses.len()).collect();
        let opened = each(&blocks, |&block| secret.open(&responses[block], &self.positions(block)))?;
        let mut out = Zeroizing::new(vec![0; self.lengths[2]]);
        for (places, values) in self.outputs.iter().zip(opened) {
            places.iter().zip(&*values).for_each(|(&(_, to), &v)| out[to as usize] = v);
        }
        Ok(out)
    }
}

/// An error if a form has no elements, or more than an index can name.
fn fits(lengths: [usize; 3]) -> Result<(), Error> {
    if lengths.iter().all(|n| (1..1 << 32).contains(n)) {
        return Ok(());
    }
    Err(Error::Shape("a form to be packed has no elements, or too many".into()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::field::{self, tests::sample};
    use crate::lattice::keys::tests::keys;
    use crate::lattice::parameters::tests::SMALL;
    use crate::lattice::parameters::Demand;

    #[test]
    fn sizes_are_all_that_differ() {
        for n in 1..200usize {
            let mut all: Vec<usize> = (1..=n).map(|t| n.div_ceil(t)).collect();
            all.dedup();
            assert_eq!(sizes(n), all);
        }
    }

    /// Runs a form with each side encrypted, from the operands' packing to the sum of the two shares.
    pub(crate) fn check(make: impl Fn(&Parameters, Side) -> Packing, expected: impl Fn(&[u64], &[u64]) -> Vec<u64>) {
        let (secret, public, mut entropy) = keys(Demand { products: 16, ..SMALL });
        let parameters = secret.parameters().clone();
        for side in [Side::Left, Side::Right] {
            let packing = make(&parameters, side);
            let [x, y] = [0, 1].map(|i| sample(packing.lengths[i], i as u64 + 1));
            let (mine, theirs) = if side == Side::Left { (&x, &y) } else { (&y, &x) };
            let mine = packing.pack(&parameters, side, mine).unwrap();
            let ciphertexts = public.encrypt_all(&mine, &mut entropy).unwrap();
            let masks = sample(packing.lengths[2], 3);
            let responses = packing.answer(&public, (side, &ciphertexts), theirs, &masks, &mut entropy).unwrap();
            let opened = packing.open(&secret, &responses).unwrap();
            let found: Vec<u64> = opened.iter().zip(&masks).map(|(&v, &r)| field::sub(v, r)).collect();
            assert!(found == expected(&x, &y));
            for (c, w) in [(&ciphertexts[1..], &theirs[..]), (&ciphertexts, &theirs[1..])] {
                assert!(packing.answer(&public, (side, c), w, &masks, &mut entropy).is_err());
            }
            assert!(packing.open(&secret, &responses[1..]).is_err());
        }
    }
}
