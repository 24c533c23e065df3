//! The generator:  block_(j, b) = AES_key(stream, 2^24 j + b), b = 0, 1, ...; chunk j of the output reads block_(j, .).
//!
//! Every call takes fresh chunks and cuts its output into them, [`CHUNK`] elements each. A chunk has 2^24 blocks of its
//! own, far more than its rejections can use, so chunks are independent of each other: any number of threads gives the
//! same output. Words are little-endian 64-bit halves of blocks. Elements are words cut to the bit length of the bound,
//! rejected until below it; only rejected words, which nobody uses, influence the time.

use crate::backend::{kernels, Backend};
use crate::binary::gf64_dot;
use crate::error::{same_length, Error};
use crate::field::{self, P};
use crate::threads::{for_rows, map_ranges};
use crate::vector;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroize;

/// Elements of one chunk of the output.
pub const CHUNK: usize = 4096;
/// Chunks worth a thread.
pub(crate) const MIN_CHUNKS: usize = 64;

/// The expanded key; `aes` wipes it when it is dropped.
enum Cipher {
    Short(Aes128),
    Long(Aes256),
}

/// A deterministic stream of field elements, bits and bytes.
pub struct Prg {
    cipher: Cipher,
    stream: u64,
    next: u64,
}

impl Prg {
    /// From a key of 16 bytes (AES-128) or 32 bytes (AES-256), and a stream number.
    pub fn new(key: &[u8], stream: u64) -> Result<Prg, Error> {
        let cipher = match key.len() {
            16 => Aes128::new_from_slice(key).ok().map(Cipher::Short),
            32 => Aes256::new_from_slice(key).ok().map(Cipher::Long),
            _ => None,
        };
        let cipher = cipher.ok_or_else(|| Error::Shape(format!("the key has {} bytes, not 16 or 32", key.len())))?;
        Ok(Prg { cipher, stream, next: 0 })
    }

    /// The first of `count` fresh chunks.
    pub(crate) fn take(&mut self, count: usize) -> Result<u64, Error> {
        let first = self.next;
        let end = first.checked_add(count as u64).filter(|&end| end <= 1 << 40);
        self.next = end.ok_or_else(|| Error::Shape("this stream is used up; take another".into()))?;
        Ok(first)
    }

    /// The words of blocks `block..` of a chunk.
    fn words(&self, out: &mut [u64], chunk: u64, mut block: u64) {
        let (whole, half) = out.split_at_mut(out.len() & !1);
        self.blocks(whole, chunk, block);
        if let [last] = half {
            block += whole.len() as u64 / 2;
            let mut both = [0; 2];
            self.blocks(&mut both, chunk, block);
            *last = both[0];
            both.zeroize();
        }
    }

    /// Whole blocks, where they will stay.
    fn blocks(&self, out: &mut [u64], chunk: u64, block: u64) {
        for (two, block) in out.chunks_exact_mut(2).zip(block..) {
            two[0] = ((chunk << 24) | block).to_le();
            two[1] = self.stream.to_le();
        }
        let blocks = Block::<Aes128>::cast_slice_from_core_mut(bytemuck::cast_slice_mut(out));
        match &self.cipher {
            Cipher::Short(c) => c.encrypt_blocks(blocks),
            Cipher::Long(c) => c.encrypt_blocks(blocks),
        }
        out.iter_mut().for_each(|o| *o = u64::from_le(*o));
    }

    /// One chunk of elements below `bound`, at most [`CHUNK`] of them.
    pub(crate) fn chunk_below(&self, out: &mut [u64], chunk: u64, bound: u64) {
        let mask = u64::MAX.checked_shr((bound - 1).leading_zeros()).unwrap_or(0);
        self.words(out, chunk, 0);
        let mut block = out.len().div_ceil(2) as u64;
        let mut rejected = 0;
        for o in out.iter_mut() {
            *o &= mask;
            rejected |= (*o >= bound) as u64;
        }
        if rejected == 0 {
            return;
        }
        let mut filled = 0;
        for i in 0..out.len() {
            let v = out[i];
            out[filled] = v;
            filled += (v < bound) as usize;
        }
        while filled < out.len() {
            let mut more = [0; 32];
            self.words(&mut more, chunk, block);
            block += 16;
            for v in more.map(|v| v & mask) {
                if filled < out.len() {
                    out[filled] = v;
                    filled += (v < bound) as usize;
                }
            }
            more.zeroize();
        }
    }

    /// Uniform elements of [0, bound), 0 < bound <= p.
    pub fn below(&mut self, out: &mut [u64], bound: u64) -> Result<(), Error> {
        if bound == 0 || bound > P {
            return Err(Error::Shape(format!("bound is {bound}, outside [1, p]")));
        }
        let first = self.take(out.len().div_ceil(CHUNK))?;
        self.chunks(out, |this, part, chunk| this.chunk_below(part, first + chunk, bound));
        Ok(())
    }

    /// Uniform elements of the field.
    pub fn field(&mut self, out: &mut [u64]) -> Result<(), Error> {
        self.below(out, P)
    }

    /// Uniform bits, one 0 or 1 in each element.
    pub fn bits(&mut self, out: &mut [u64]) -> Result<(), Error> {
        let first = self.take(out.len().div_ceil(CHUNK))?;
        self.chunks(out, |this, part, chunk| {
            let mut words = [0; CHUNK / 64];
            this.words(&mut words[..part.len().div_ceil(64)], first + chunk, 0);
            for (bits, word) in part.chunks_mut(64).zip(words) {
                bits.iter_mut().enumerate().for_each(|(i, o)| *o = (word >> i) & 1);
            }
            words.zeroize();
        });
        Ok(())
    }

    /// Uniform bytes, 8 of each word.
    pub fn bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let first = self.take(out.len().div_ceil(CHUNK * 8))?;
        let mut words = vec![0; CHUNK.min(out.len().div_ceil(8))];
        for (i, part) in out.chunks_mut(CHUNK * 8).enumerate() {
            self.words(&mut words[..part.len().div_ceil(8)], first + i as u64, 0);
            for (eight, word) in part.chunks_mut(8).zip(&words) {
                eight.copy_from_slice(&word.to_le_bytes()[..eight.len()]);
            }
        }
        words.zeroize();
        Ok(())
    }

    /// sum_j chi_j a_j for each of the arrays a, with chi the elements that [`Prg::field`] would give for this length.
    pub fn combine(&mut self, be: Backend, arrays: &[&[u64]]) -> Result<Vec<u64>, Error> {
        let n = arrays.first().map_or(0, |a| a.len());
        for (i, a) in arrays.iter().enumerate() {
            same_length(&format!("array {i}"), n, a.len())?;
        }
        let first = self.take(n.div_ceil(CHUNK))?;
        let kernels = kernels(be);
        let parts = map_ranges(n.div_ceil(CHUNK), MIN_CHUNKS, |range| {
            let mut sums = vec![0; arrays.len()];
            let mut chi = vec![0; CHUNK.min(n)];
            for chunk in range {
                let at = chunk * CHUNK;
                let chi = &mut chi[..CHUNK.min(n - at)];
                self.chunk_below(chi, first + chunk as u64, P);
                for (s, a) in sums.iter_mut().zip(arrays) {
                    *s = field::add(*s, kernels.dot(chi, &a[at..at + chi.len()]));
                }
            }
            sums
        });
        let mut sums = vec![0; arrays.len()];
        for part in parts {
            sums.iter_mut().zip(part).for_each(|(s, v)| *s = field::add(*s, v));
        }
        Ok(sums)
    }

    /// chi_j a_j, and the sum of chi_j b_j, with chi the elements that [`Prg::field`] would give for this length.
    pub fn weigh(&mut self, be: Backend, out: &mut [u64], a: &[u64], b: &[u64]) -> Result<u64, Error> {
        same_length("the first array", out.len(), a.len())?;
        same_length("the second array", out.len(), b.len())?;
        let first = self.take(out.len().div_ceil(CHUNK))?;
        let kernels = kernels(be);
        let sum = Mutex::new(0);
        let work = |this: &Prg, part: &mut [u64], chunk: u64| {
            let at = chunk as usize * CHUNK;
            let (a, b) = (&a[at..at + part.len()], &b[at..at + part.len()]);
            let mut chi = vec![0; part.len()];
            this.chunk_below(&mut chi, first + chunk, P);
            vector::mul(be, part, &chi, a).expect("of one length");
            let s = kernels.dot(&chi, b);
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            *sum = field::add(*sum, s);
        };
        self.chunks(out, work);
        Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// (sum_j chi_j d_j, sum_j chi_j w_j) in GF(2^64) for masks d, 0 or all ones, with chi the words of [`Prg::bytes`].
    pub fn combine_bits(&mut self, be: Backend, masks: &[u64], words: &[u64]) -> Result<(u64, u64), Error> {
        same_length("words", masks.len(), words.len())?;
        let first = self.take(masks.len().div_ceil(CHUNK))?;
        let parts = map_ranges(masks.len().div_ceil(CHUNK), MIN_CHUNKS, |range| {
            let (mut a, mut gamma) = (0, 0);
            let mut chi = vec![0; CHUNK.min(masks.len())];
            for chunk in range {
                let at = chunk * CHUNK;
                let chi = &mut chi[..CHUNK.min(masks.len() - at)];
                self.words(chi, first + chunk as u64, 0);
                a ^= chi.iter().zip(&masks[at..]).fold(0, |sum, (c, d)| sum ^ (c & d));
                gamma ^= gf64_dot(be, chi, &words[at..at + chi.len()]).expect("of one length");
            }
            (a, gamma)
        });
        Ok(parts.into_iter().fold((0, 0), |(a, g), (b, h)| (a ^ b, g ^ h)))
    }

    /// Calls `work(self, part, chunk)` for each chunk of `out`, over threads.
    fn chunks(&self, out: &mut [u64], work: impl Fn(&Prg, &mut [u64], u64) + Sync) {
        let (whole, tail) = out.split_at_mut(out.len() / CHUNK * CHUNK);
        let chunks = (whole.len() / CHUNK) as u64;
        for_rows(whole, CHUNK, MIN_CHUNKS, |at, rows| {
            for (i, part) in rows.chunks_mut(CHUNK).enumerate() {
                work(self, part, (at + i) as u64);
            }
        });
        if !tail.is_empty() {
            work(self, tail, chunks);
        }
    }
}
