//! Where the elements of a product stand in polynomials:  elementwise products in slots, other forms as `packing` says.
//!
//! In slots, the element i is the slot i mod N of the polynomial i / N. What is left of the last polynomial is filled with
//! zeros where it is encrypted, and with random masks where it is answered, so that it shows nothing.

use super::ciphertext::Ciphertext;
use super::columns::{halves, Column};
use super::encoding::Plaintext;
use super::keys::{PublicKey, SecretKey};
use super::packing::{Packing, Side};
use super::parameters::Parameters;
use super::random::{fork_each, Entropy, Secret};
use super::response::Response;
use crate::error::{due_length, same_length, Error};
use crate::threads::each;
use zeroize::Zeroizing;

/// How one product is laid out, and which of its operands is encrypted.
pub enum Layout {
    /// Elementwise, of so many elements.
    Slots(usize),
    /// A form in blocks.
    Blocks(Packing, Side),
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
    pub fn pack(&self, parameters: &Parameters, v: &[u64]) -> Result<Vec<Plaintext>, Error> {
        match self {
            Layout::Slots(count) => {
                same_length("the operand", *count, v.len())?;
                v.chunks(parameters.degree()).map(|v| Plaintext::from_slots(parameters, v)).collect()
            }
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
    ) -> Result<Vec<Response>, Error> {
        let parameters = public.parameters();
        match self {
            Layout::Slots(count) => {
                same_length("the operand", *count, operand.len())?;
                same_length("the masks", *count, masks.len())?;
                let (polynomials, n) = (self.ciphertexts(parameters), parameters.degree());
                if polynomials > encrypted.len() {
                    return Err(Error::Shape(format!("{polynomials} polynomials for {} ciphertexts", encrypted.len())));
                }
                let all: Vec<usize> = (0..n).collect();
                let work: Vec<_> = encrypted.iter().zip(operand.chunks(n)).zip(masks.chunks(n)).collect();
                fork_each(&work, entropy, |((c, w), masks), entropy| {
                    let mut r: Secret = Zeroizing::new(vec![0; n]);
                    entropy.prg()?.field(&mut r)?;
                    r[..masks.len()].copy_from_slice(masks);
                    let r = Plaintext::from_slots(parameters, &r)?;
                    let w = halves(Plaintext::from_slots(parameters, w)?.coefficients());
                    c.alone()?;
                    let level = &parameters.level;
                    public.answer(level, [&c.b, &c.a], &[Column::field(&w)], (&all, r.coefficients()), entropy)
                })
            }
            Layout::Blocks(packing, side) => packing.answer(public, (*side, encrypted), operand, masks, entropy),
        }
    }

    /// Responses from bytes.
    pub fn read(&self, secret: &SecretKey, bytes: &[u8]) -> Result<Vec<Response>, Error> {
        let parameters = secret.parameters();
        due_length("the responses, in bytes,", self.response_bytes(parameters), bytes.len())?;
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
    pub fn open(&self, secret: &SecretKey, responses: &[Response]) -> Result<Secret, Error> {
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
