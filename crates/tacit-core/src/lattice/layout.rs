//! Where the elements of a product stand in polynomials:  elementwise products in slots, other forms as `packing` says.
//!
//! In slots, the element i is the slot i mod N of the polynomial i / N. What is left of the last polynomial is filled with
//! zeros where it is encrypted, and with random masks where it is answered, so that it shows nothing.

use super::encoding::{Operand, Plaintext};
use super::keys::{PublicKey, SecretKey};
use super::packing::{Packing, Side};
use super::parameters::Parameters;
use super::random::{Entropy, Secret};
use super::response::Response;
use super::{each, fork_each, Ciphertext, Sum};
use crate::error::{same_length, BadShape};
use zeroize::Zeroizing;

/// How one product is laid out, and which of its operands is encrypted.
pub enum Layout {
    /// Elementwise, of so many elements.
    Slots(usize),
    /// A form in blocks.
    Blocks(Packing, Side),
}

fn other(side: Side) -> Side {
    if side == Side::Left {
        Side::Right
    } else {
        Side::Left
    }
}

fn slots(parameters: &Parameters, count: usize, v: &[u64]) -> Result<Vec<Plaintext>, BadShape> {
    same_length("the operand", count, v.len())?;
    v.chunks(parameters.degree()).map(|v| Plaintext::from_slots(parameters, v)).collect()
}

impl Layout {
    /// Ciphertexts of the encrypted operand.
    pub fn ciphertexts(&self, parameters: &Parameters) -> usize {
        match self {
            Layout::Slots(count) => count.div_ceil(parameters.degree()),
            Layout::Blocks(packing, side) => packing.polynomials(*side),
        }
    }

    /// Bytes of all responses.
    pub fn response_bytes(&self, parameters: &Parameters) -> usize {
        match self {
            Layout::Slots(_) => self.ciphertexts(parameters) * parameters.response_bytes(parameters.degree()),
            Layout::Blocks(packing, _) => packing.outputs().iter().map(|&n| parameters.response_bytes(n)).sum(),
        }
    }

    /// Products of ciphertexts by polynomials.
    pub fn products(&self, parameters: &Parameters) -> usize {
        match self {
            Layout::Slots(_) => self.ciphertexts(parameters),
            Layout::Blocks(packing, _) => packing.products(),
        }
    }

    /// The operand to be encrypted, as plaintexts.
    pub fn pack(&self, parameters: &Parameters, v: &[u64]) -> Result<Vec<Plaintext>, BadShape> {
        match self {
            Layout::Slots(count) => slots(parameters, *count, v),
            Layout::Blocks(packing, side) => packing.pack(parameters, *side, v),
        }
    }

    /// Responses to the encrypted operand times `operand`: the owner of the key gets the form + `masks`.
    pub fn answer(
        &self,
        public: &PublicKey,
        encrypted: &[Ciphertext],
        operand: &[u64],
        masks: &[u64],
        entropy: &mut Entropy,
    ) -> Result<Vec<Response>, BadShape> {
        let parameters = public.parameters();
        let ready = |plain: Vec<Plaintext>| each(&plain, |w| Operand::new(parameters, w));
        match self {
            Layout::Slots(count) => {
                same_length("the masks", *count, masks.len())?;
                let (operands, n) = (ready(slots(parameters, *count, operand)?)?, parameters.degree());
                let fits = operands.len() <= encrypted.len();
                let encrypted = fits.then(|| &encrypted[..operands.len()]).ok_or_else(|| {
                    BadShape(format!("{} polynomials for {} ciphertexts", operands.len(), encrypted.len()))
                })?;
                let all: Vec<usize> = (0..n).collect();
                let work: Vec<_> = encrypted.iter().zip(&operands).zip(masks.chunks(n)).collect();
                fork_each(&work, entropy, |((c, w), masks), entropy| {
                    let mut r: Secret = Zeroizing::new(vec![0; n]);
                    entropy.prg()?.field(&mut r)?;
                    r[..masks.len()].copy_from_slice(masks);
                    let r = Plaintext::from_slots(parameters, &r)?;
                    let mut sum = Sum::new(parameters);
                    sum.add(c, w)?;
                    public.respond(sum, &all, r.coefficients(), entropy)
                })
            }
            Layout::Blocks(packing, side) => {
                let operands = ready(packing.pack(parameters, other(*side), operand)?)?;
                packing.answer(public, (*side, encrypted), &operands, masks, entropy)
            }
        }
    }

    /// Responses from bytes.
    pub fn read(&self, secret: &SecretKey, bytes: &[u8]) -> Result<Vec<Response>, BadShape> {
        let parameters = secret.parameters();
        same_length("the responses, in bytes,", self.response_bytes(parameters), bytes.len())?;
        let outputs = match self {
            Layout::Slots(_) => vec![parameters.degree(); self.ciphertexts(parameters)],
            Layout::Blocks(packing, _) => packing.outputs(),
        };
        let mut rest = bytes;
        let cut = outputs.into_iter().map(|outputs| {
            let (this, after) = rest.split_at(parameters.response_bytes(outputs));
            rest = after;
            (outputs, this)
        });
        each(&cut.collect::<Vec<_>>(), |(outputs, bytes)| Response::from_bytes(parameters, *outputs, bytes))
    }

    /// The form plus the responder's masks.
    pub fn open(&self, secret: &SecretKey, responses: &[Response]) -> Result<Secret, BadShape> {
        match self {
            Layout::Slots(count) => {
                let parameters = secret.parameters();
                same_length("responses", self.ciphertexts(parameters), responses.len())?;
                let all: Vec<usize> = (0..parameters.degree()).collect();
                let parts = each(responses, |r| Plaintext { coefficients: secret.open(r, &all)? }.slots(parameters))?;
                let mut out = Zeroizing::new(vec![0; *count]);
                out.chunks_mut(parameters.degree()).zip(parts).for_each(|(o, v)| o.copy_from_slice(&v[..o.len()]));
                Ok(out)
            }
            Layout::Blocks(packing, _) => packing.open(secret, responses),
        }
    }
}
