//! On the wire:  kind | digest | residues, each in the bits of its prime, little-endian, packed | what else the kind has.
//!
//! A decoder knows from the parameters how long its bytes must be; whatever is longer, shorter, of another kind, of other
//! parameters or not canonical is [`Error::Malformed`], so equal objects have equal bytes and nothing else decodes.

use super::ciphertext::{Ciphertext, SeededCiphertext};
use super::keys::{common, PublicKey, SecretKey};
use super::parameters::Parameters;
use super::response::Response;
use super::ring::Ring;
use crate::error::{due_length, Error};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes before the body: the kind and the digest.
pub(crate) const HEADER: usize = 4 + 16;

/// Appends `bits`-bit numbers, lowest bits first, and pads to whole bytes.
pub(crate) fn pack(out: &mut Vec<u8>, v: &[u64], bits: u32) {
    if bits > 56 {
        return pack_wide(out, v, bits);
    }
    let (mut at, mut held, mut count) = (out.len(), 0, 0);
    let end = at + packed(v.len(), bits);
    out.resize(end + 8, 0);
    for &v in v {
        // Whole words, of which the next one begins in the last byte that is not full.
        held |= v << count;
        out[at..at + 8].copy_from_slice(&held.to_le_bytes());
        count += bits;
        at += count as usize / 8;
        held >>= count / 8 * 8;
        count %= 8;
    }
    out.truncate(end);
}

fn pack_wide(out: &mut Vec<u8>, v: &[u64], bits: u32) {
    let (mut held, mut count) = (0u128, 0);
    for &v in v {
        held |= (v as u128) << count;
        count += bits;
        if count >= 64 {
            out.extend((held as u64).to_le_bytes());
            held >>= 64;
            count -= 64;
        }
    }
    out.extend(&held.to_le_bytes()[..count.div_ceil(8) as usize]);
}

/// Bytes of `count` numbers of `bits` bits.
pub(crate) fn packed(count: usize, bits: u32) -> usize {
    (count * bits as usize).div_ceil(8)
}

/// Reads what [`pack`] wrote; padding must be zero.
fn unpack(bytes: &[u8], out: &mut [u64], bits: u32) -> Result<(), Error> {
    let total = out.len() * bits as usize;
    due_length("packed numbers, in bytes,", total.div_ceil(8), bytes.len())?;
    let mask = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
    // Eight bytes, or those that are left and zeros.
    let word = |at: usize| match bytes.get(at..at + 8) {
        Some(word) => u64::from_le_bytes(word.try_into().expect("8 bytes")),
        None => bytes[at.min(bytes.len())..].iter().rev().fold(0, |word, &byte| word << 8 | byte as u64),
    };
    for (i, out) in out.iter_mut().enumerate() {
        let (at, shift) = (i * bits as usize / 8, i * bits as usize % 8);
        let mut v = word(at) >> shift;
        if bits > 56 {
            v |= (word(at + 8) as u128).wrapping_shl(64 - shift as u32) as u64;
        }
        *out = v & mask;
    }
    if bytes.last().is_some_and(|&last| !total.is_multiple_of(8) && last >> (total % 8) != 0) {
        return Err(Error::Malformed("the padding of packed numbers is not zero".into()));
    }
    Ok(())
}

/// Writes one object.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(kind: &[u8; 4], parameters: &Parameters, body: usize) -> Writer {
        let mut out = Vec::with_capacity(HEADER + body);
        out.extend(kind);
        out.extend(parameters.digest());
        Writer(out)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Writer {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn numbers(mut self, v: &[u64], bits: u32) -> Writer {
        pack(&mut self.0, v, bits);
        self
    }

    pub(crate) fn residues(mut self, ring: &Ring, x: &[u64]) -> Writer {
        for (limb, x) in ring.limbs().iter().zip(x.chunks_exact(ring.degree())) {
            pack(&mut self.0, x, limb.modulus.bits());
        }
        self
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads one object.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], kind: &[u8; 4], parameters: &Parameters, body: usize) -> Result<Self, Error> {
        let name = String::from_utf8_lossy(kind);
        due_length(&format!("{name}, in bytes,"), HEADER + body, bytes.len())?;
        if bytes[..4] != *kind {
            return Err(Error::Malformed(format!("these bytes are not {name}")));
        }
        if bytes[4..HEADER] != parameters.digest() {
            return Err(Error::Malformed(format!(
                "{name} belongs to other lattice parameters, or to another order of values"
            )));
        }
        Ok(Reader(&bytes[HEADER..]))
    }

    pub(crate) fn raw(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let short = || Error::Malformed("these bytes end too early".into());
        let (head, rest) = self.0.split_at_checked(count).ok_or_else(short)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn numbers(&mut self, count: usize, bits: u32) -> Result<Vec<u64>, Error> {
        let mut out = vec![0; count];
        unpack(self.raw(packed(count, bits))?, &mut out, bits)?;
        Ok(out)
    }

    pub(crate) fn residues(&mut self, ring: &Ring) -> Result<Vec<u64>, Error> {
        let mut x = ring.zero();
        for (limb, x) in ring.limbs().iter().zip(x.chunks_exact_mut(ring.degree())) {
            let (m, mut wrong) = (&limb.modulus, false);
            unpack(self.raw(packed(x.len(), m.bits()))?, x, m.bits())?;
            x.iter().for_each(|&r| wrong |= r >= m.value());
            if wrong {
                return Err(Error::Malformed("a residue is not below its prime".into()));
            }
        }
        Ok(x)
    }
}

/// Bytes of the residues of an element.
fn size(ring: &Ring) -> usize {
    ring.limbs().iter().map(|l| packed(ring.degree(), l.modulus.bits())).sum()
}

impl Parameters {
    /// Bytes of a ciphertext.
    pub fn ciphertext_bytes(&self) -> usize {
        HEADER + 2 * size(&self.ring)
    }

    /// Bytes of a seeded ciphertext.
    pub fn seeded_bytes(&self) -> usize {
        HEADER + 32 + size(&self.ring)
    }

    /// Bytes of a response with `outputs` outputs.
    pub fn response_bytes(&self, outputs: usize) -> usize {
        HEADER + size(&self.tail) + 8 * outputs
    }
}

impl SecretKey {
    /// For storage under the owner's own protection.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let body = packed(self.ternary.len(), 2);
        Zeroizing::new(Writer::new(b"LskT", &self.parameters, body).numbers(&self.ternary, 2).done())
    }

    /// What [`SecretKey::to_bytes`] gave.
    pub fn from_bytes(parameters: &Arc<Parameters>, bytes: &[u8]) -> Result<SecretKey, Error> {
        let n = parameters.degree();
        let ternary = Reader::new(bytes, b"LskT", parameters, packed(n, 2))?.numbers(n, 2)?;
        let ternary = Zeroizing::new(ternary);
        if ternary.iter().fold(0, |bad, &t| bad | (t > 2) as u8) != 0 {
            return Err(Error::Malformed("a secret key is not ternary".into()));
        }
        Ok(SecretKey::from_ternary(parameters, ternary))
    }
}

impl PublicKey {
    /// b alone; a follows from the label.
    pub fn to_bytes(&self) -> Vec<u8> {
        let ring = &self.parameters.ring;
        Writer::new(b"LpkT", &self.parameters, size(ring)).residues(ring, &self.b).done()
    }

    /// What [`PublicKey::to_bytes`] gave, for the label that all parties know.
    pub fn from_bytes(parameters: &Arc<Parameters>, label: &[u8], bytes: &[u8]) -> Result<PublicKey, Error> {
        let b = Reader::new(bytes, b"LpkT", parameters, size(&parameters.ring))?.residues(&parameters.ring)?;
        Ok(PublicKey { parameters: parameters.clone(), b, a: common(parameters, label)? })
    }
}

impl SeededCiphertext {
    /// The seed and b.
    pub fn to_bytes(&self) -> Vec<u8> {
        let ring = &self.parameters.ring;
        Writer::new(b"LscT", &self.parameters, 32 + size(ring)).raw(&self.seed).residues(ring, &self.b).done()
    }

    /// What [`SeededCiphertext::to_bytes`] gave.
    pub fn from_bytes(parameters: &Arc<Parameters>, bytes: &[u8]) -> Result<SeededCiphertext, Error> {
        let mut reader = Reader::new(bytes, b"LscT", parameters, 32 + size(&parameters.ring))?;
        let seed = reader.raw(32)?.try_into().expect("32 bytes were read");
        Ok(SeededCiphertext { parameters: parameters.clone(), seed, b: reader.residues(&parameters.ring)? })
    }
}

impl Ciphertext {
    /// b and a; only a fresh ciphertext travels, since its reader counts it as one.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        if self.terms != 1 {
            return Err(Error::Shape(format!("a sum worth {} ciphertexts does not travel", self.terms)));
        }
        let ring = &self.parameters.ring;
        Ok(Writer::new(b"LctT", &self.parameters, 2 * size(ring))
            .residues(ring, &self.b)
            .residues(ring, &self.a)
            .done())
    }

    /// What [`Ciphertext::to_bytes`] gave.
    pub fn from_bytes(parameters: &Arc<Parameters>, bytes: &[u8]) -> Result<Ciphertext, Error> {
        let ring = &parameters.ring;
        let mut reader = Reader::new(bytes, b"LctT", parameters, 2 * size(ring))?;
        let (b, a) = (reader.residues(ring)?, reader.residues(ring)?);
        Ok(Ciphertext { parameters: parameters.clone(), b, a, terms: 1 })
    }
}

impl Response {
    /// a mod q' and 64 bits of each output of b.
    pub fn to_bytes(&self) -> Vec<u8> {
        let tail = &self.parameters.tail;
        let body = size(tail) + 8 * self.b.len();
        Writer::new(b"LreT", &self.parameters, body).residues(tail, &self.a).numbers(&self.b, 64).done()
    }

    /// What [`Response::to_bytes`] gave, for `outputs` outputs.
    pub fn from_bytes(parameters: &Arc<Parameters>, outputs: usize, bytes: &[u8]) -> Result<Response, Error> {
        if outputs > parameters.degree() {
            return Err(Error::Shape(format!("{outputs} outputs of a polynomial of degree {}", parameters.degree())));
        }
        let mut reader = Reader::new(bytes, b"LreT", parameters, size(&parameters.tail) + 8 * outputs)?;
        let a = reader.residues(&parameters.tail)?;
        Ok(Response { parameters: parameters.clone(), a, b: reader.numbers(outputs, 64)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::tests::sample;
    use crate::lattice::encoding::Plaintext;
    use crate::lattice::keys::tests::keys;
    use crate::lattice::parameters::tests::{ACTIVE, SMALL};
    use crate::lattice::Sum;
    use crate::Prg;

    #[test]
    fn packing_is_exact() {
        for bits in [0, 1, 2, 7, 8, 40, 41, 50, 56, 57, 63, 64] {
            for count in [0, 1, 2, 3, 8, 100] {
                let v: Vec<u64> = (0..count as u64)
                    .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).checked_shr(64 - bits).unwrap_or(0))
                    .collect();
                let mut bytes = vec![];
                pack(&mut bytes, &v, bits);
                assert_eq!(bytes.len(), packed(count, bits));
                let mut back = vec![1; count];
                unpack(&bytes, &mut back, bits).unwrap();
                assert_eq!(back, v);
            }
        }
        assert!(unpack(&[0b1000], &mut [0], 3).is_err());
    }

    /// A decoder, and what it accepts encoded again.
    type Decoder<'a> = Box<dyn Fn(&[u8]) -> Result<Vec<u8>, Error> + 'a>;

    #[test]
    fn round_trips_and_nothing_else_decodes() {
        let (secret, public, mut entropy) = keys(SMALL);
        let parameters = secret.parameters().clone();
        let n = parameters.degree();
        let m = Plaintext::from_coefficients(&parameters, &sample(n, 1)).unwrap();
        let seeded = secret.encrypt(&m, &mut entropy).unwrap();
        let full = public.encrypt(&m, &mut entropy).unwrap();
        let response = public.respond(Sum::new(&parameters), &[1, 2, 3], &[4, 5, 6], &mut entropy).unwrap();
        assert_eq!(seeded.to_bytes().len(), parameters.seeded_bytes());
        assert_eq!(full.to_bytes().unwrap().len(), parameters.ciphertext_bytes());
        assert_eq!(response.to_bytes().len(), parameters.response_bytes(3));
        let p = &parameters;
        let cases: Vec<(Vec<u8>, Decoder)> = vec![
            (secret.to_bytes().to_vec(), Box::new(|b| Ok(SecretKey::from_bytes(p, b)?.to_bytes().to_vec()))),
            (public.to_bytes(), Box::new(|b| Ok(PublicKey::from_bytes(p, b"test", b)?.to_bytes()))),
            (seeded.to_bytes(), Box::new(|b| Ok(SeededCiphertext::from_bytes(p, b)?.to_bytes()))),
            (full.to_bytes().unwrap(), Box::new(|b| Ciphertext::from_bytes(p, b)?.to_bytes())),
            (response.to_bytes(), Box::new(|b| Ok(Response::from_bytes(p, 3, b)?.to_bytes()))),
        ];
        for (i, (bytes, decode)) in cases.iter().enumerate() {
            assert_eq!(decode(bytes).unwrap(), *bytes);
            for length in [0, 1, HEADER - 1, HEADER, bytes.len() - 1] {
                assert!(decode(&bytes[..length]).is_err());
            }
            assert!(decode(&[&bytes[..], &[0]].concat()).is_err());
            assert!(cases.iter().enumerate().all(|(j, other)| i == j || decode(&other.0).is_err()));
            for at in 0..HEADER {
                let mut wrong = bytes.clone();
                wrong[at] ^= 1;
                assert!(decode(&wrong).is_err());
            }
            let mut high = bytes.clone();
            high[HEADER + 32..].fill(0xff);
            assert!(decode(&high).is_err());
            let mut prg = Prg::new(&[5; 16], i as u64).unwrap();
            let mut noise = vec![0; 3];
            for _ in 0..200 {
                prg.below(&mut noise, 1 << 40).unwrap();
                let mut wrong = bytes.clone();
                wrong[noise[0] as usize % bytes.len()] ^= 1 << (noise[1] % 8);
                wrong.truncate(if noise[2].is_multiple_of(4) { noise[2] as usize % bytes.len() } else { bytes.len() });
                // Errors never panic, and what decodes is what was sent.
                assert!(decode(&wrong).is_ok_and(|again| again == wrong) || decode(&wrong).is_err());
            }
        }
        let back = Response::from_bytes(p, 3, &cases[4].0).unwrap();
        assert_eq!(*SecretKey::from_bytes(p, &cases[0].0).unwrap().open(&back, &[1, 2, 3]).unwrap(), [4, 5, 6]);
        let back = SeededCiphertext::from_bytes(p, &cases[2].0).unwrap().expand().unwrap();
        assert_eq!(secret.decrypt(&back).unwrap().coefficients(), m.coefficients());
        assert_eq!(PublicKey::from_bytes(p, b"test", &cases[1].0).unwrap().a, public.a);
        assert!(Response::from_bytes(p, n + 1, &cases[4].0).is_err());
        let mut sum = full.clone();
        sum.scale(2).unwrap();
        assert!(sum.to_bytes().is_err());
        let other = keys(ACTIVE).0.parameters().clone();
        assert!(Ciphertext::from_bytes(&other, &cases[3].0).is_err());
    }
}
