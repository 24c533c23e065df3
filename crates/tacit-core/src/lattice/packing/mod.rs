//! Forms as products of polynomials:  out_ij = sum_k left_ik right_kj,  each output a coefficient of its block.
//!
//! `matrix` and `convolution` say which coefficient holds which element (Cheetah, Huang et al. 2022) and cut what is larger
//! than N into blocks. Either side may be encrypted. Coefficients that are no outputs hold partial sums: they are never sent.

mod convolution;
mod matrix;

use super::encoding::{Operand, Plaintext};
use super::keys::{PublicKey, SecretKey};
use super::parameters::Parameters;
use super::random::{Entropy, Secret};
use super::response::Response;
use super::{fork_each, Ciphertext, Sum};
use crate::error::{same_length, BadShape};
use zeroize::Zeroizing;

/// Which operand of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The left matrix; the images of a convolution.
    Left,
    /// The right matrix; the filters.
    Right,
}

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

fn pack(places: &[Places], length: usize, x: &[u64], parameters: &Parameters) -> Result<Vec<Plaintext>, BadShape> {
    same_length("the operand", length, x.len())?;
    let polynomial = |places: &Places| {
        let mut v = Zeroizing::new(vec![0; parameters.degree()]);
        places.iter().for_each(|&(to, from)| v[to as usize] = x[from as usize]);
        Plaintext::from_coefficients(parameters, &v)
    };
    places.iter().map(polynomial).collect()
}

impl Packing {
    /// The plaintexts of one operand: left row by row of the blocks, right row by row.
    pub fn pack(&self, parameters: &Parameters, side: Side, x: &[u64]) -> Result<Vec<Plaintext>, BadShape> {
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
        encrypted: (Side, &[Ciphertext]),
        operands: &[Operand],
        masks: &[u64],
        entropy: &mut Entropy,
    ) -> Result<Vec<Response>, BadShape> {
        let (side, ciphertexts) = encrypted;
        let other = if side == Side::Left { Side::Right } else { Side::Left };
        same_length("ciphertexts", self.polynomials(side), ciphertexts.len())?;
        same_length("operands", self.polynomials(other), operands.len())?;
        same_length("the masks", self.lengths[2], masks.len())?;
        let blocks: Vec<usize> = (0..self.rows * self.cols).collect();
        fork_each(&blocks, entropy, |&block, entropy| {
            let mut sum = Sum::new(public.parameters());
            for k in 0..self.depth {
                let (left, right) = (block / self.cols * self.depth + k, k * self.cols + block % self.cols);
                match side {
                    Side::Left => sum.add(&ciphertexts[left], &operands[right])?,
                    Side::Right => sum.add(&ciphertexts[right], &operands[left])?,
                }
            }
            let masks: Secret = Zeroizing::new(self.outputs[block].iter().map(|&(_, to)| masks[to as usize]).collect());
            public.respond(sum, &self.positions(block), &masks, entropy)
        })
    }

    /// The form plus the responder's masks.
    pub fn open(&self, secret: &SecretKey, responses: &[Response]) -> Result<Secret, BadShape> {
        same_length("responses", self.outputs.len(), responses.len())?;
        let blocks: Vec<usize> = (0..responses.len()).collect();
        let opened = super::each(&blocks, |&block| secret.open(&responses[block], &self.positions(block)))?;
        let mut out = Zeroizing::new(vec![0; self.lengths[2]]);
        for (places, values) in self.outputs.iter().zip(opened) {
            places.iter().zip(&*values).for_each(|(&(_, to), &v)| out[to as usize] = v);
        }
        Ok(out)
    }
}

/// An error if a form has no elements, or more than an index can name.
fn fits(lengths: [usize; 3]) -> Result<(), BadShape> {
    if lengths.iter().all(|n| (1..1 << 32).contains(n)) {
        return Ok(());
    }
    Err(BadShape("a form to be packed has no elements, or too many".into()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::field::{self, tests::sample};
    use crate::lattice::encoding::Operand;
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
            let [left, right] =
                [(Side::Left, &x), (Side::Right, &y)].map(|(s, v)| packing.pack(&parameters, s, v).unwrap());
            let (mine, theirs) = if side == Side::Left { (left, right) } else { (right, left) };
            let ciphertexts = public.encrypt_all(&mine, &mut entropy).unwrap();
            let operands: Vec<_> = theirs.iter().map(|w| Operand::new(&parameters, w).unwrap()).collect();
            let masks = sample(packing.lengths[2], 3);
            let responses = packing.answer(&public, (side, &ciphertexts), &operands, &masks, &mut entropy).unwrap();
            let opened = packing.open(&secret, &responses).unwrap();
            let found: Vec<u64> = opened.iter().zip(&masks).map(|(&v, &r)| field::sub(v, r)).collect();
            assert!(found == expected(&x, &y));
            assert!(packing.answer(&public, (side, &ciphertexts[1..]), &operands, &masks, &mut entropy).is_err());
            assert!(packing.open(&secret, &responses[1..]).is_err());
        }
    }
}
