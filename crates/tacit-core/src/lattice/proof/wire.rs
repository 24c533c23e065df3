//! A proof in bytes:  the challenge | the responses, part by part, each moved to [0, 2^(k+1)) and packed.

use super::relation::{rows, Statement};
use super::Proof;
use crate::error::{same_length, Error};
use crate::lattice::bytes::{packed, Reader, Writer};
use crate::lattice::parameters::Parameters;

/// The low bits that are packed apart from the high ones.
const CUT: u32 = 48;

impl Statement {
    fn body(self, degree: usize, count: usize) -> usize {
        let one = |&bits: &u32| packed(degree, bits.min(CUT)) + packed(degree, bits.saturating_sub(CUT));
        32 + rows(degree) * self.bits(degree, count).iter().map(one).sum::<usize>()
    }

    /// Bytes of a proof of `count`.
    pub fn proof_bytes(self, parameters: &Parameters, count: usize) -> usize {
        crate::lattice::bytes::HEADER + self.body(parameters.degree(), count)
    }
}

impl Proof {
    /// For the other parties.
    pub fn to_bytes(&self, parameters: &Parameters, statement: Statement, count: usize) -> Result<Vec<u8>, Error> {
        let n = parameters.degree();
        same_length("the proof", rows(n), self.z.len())?;
        let mut out = Writer::new(b"LprT", parameters, statement.body(n, count)).raw(&self.challenge);
        for z in &self.z {
            for (z, bits) in z.chunks_exact(n).zip(statement.bits(n, count)) {
                let moved: Vec<u128> = z.iter().map(|z| (z + (1 << (bits - 1))) as u128).collect();
                let low: Vec<u64> = moved.iter().map(|z| *z as u64 & ((1 << CUT) - 1)).collect();
                let high: Vec<u64> = moved.iter().map(|z| (z >> CUT) as u64).collect();
                out = out.numbers(&low, bits.min(CUT)).numbers(&high, bits.saturating_sub(CUT));
            }
        }
        Ok(out.done())
    }

    /// What [`Proof::to_bytes`] gave; the ranges of responses are checked by whoever verifies it.
    pub fn from_bytes(
        parameters: &Parameters,
        statement: Statement,
        count: usize,
        bytes: &[u8],
    ) -> Result<Proof, Error> {
        let n = parameters.degree();
        if count == 0 || count > 1 << 16 {
            return Err(Error::Shape(format!("a proof of a batch of {count}")));
        }
        let mut reader = Reader::new(bytes, b"LprT", parameters, statement.body(n, count))?;
        let challenge = reader.raw(32)?.try_into().expect("32 bytes were read");
        let mut responses = Vec::with_capacity(rows(n));
        for _ in 0..rows(n) {
            let mut z = Vec::with_capacity(3 * n);
            for bits in statement.bits(n, count) {
                let low = reader.numbers(n, bits.min(CUT))?;
                let high = reader.numbers(n, bits.saturating_sub(CUT))?;
                let join = |(&l, &h): (&u64, &u64)| ((h as i128) << CUT) + l as i128 - (1 << (bits - 1));
                z.extend(low.iter().zip(&high).map(join));
            }
            responses.push(z);
        }
        Ok(Proof { challenge, z: responses })
    }
}
