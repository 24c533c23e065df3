//! Encryption over lattices (BFV):  b + a s = (q/p) m + e  in R_q = Z_q[X] / (X^N + 1),  m in F_p[X] / (X^N + 1).
//!
//! The ground on which parties make their own correlated randomness: one encrypts a mask, others multiply it by theirs
//! and send it back under a fresh mask. `parameters` proves that every honest decryption is right and that what a response
//! shows beyond its result is drowned; it takes from the proofs how far a cheater's ciphertext may be off. Nothing here
//! draws randomness but from an [`Entropy`]; whoever decrypts must have checked the proofs first.

mod butterfly;
mod bytes;
pub mod ciphertext;
mod columns;
pub mod encoding;
mod float;
pub mod keys;
pub mod layout;
pub mod modulus;
mod ntt;
pub mod packing;
pub mod parameters;
pub mod party;
pub mod proof;
pub mod random;
pub mod response;
pub mod ring;
pub mod scale;
mod switch;

pub use ciphertext::{Ciphertext, SeededCiphertext, Sum};
pub use encoding::{Operand, Plaintext};
pub use keys::{PublicKey, SecretKey};
pub use layout::Layout;
pub use packing::{Packing, Side};
pub use parameters::{Budget, Demand, Parameters};
pub use party::Party;
pub use proof::{Proof, Statement};
pub use random::Entropy;
pub use response::Response;
pub use scale::Multiplier;
