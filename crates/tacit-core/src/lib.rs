//! Arithmetic of tacit over F_p, p = 2^61 - 2^21 + 1: pure computation, without Python, sockets or clocks.
//!
//! Elements are canonical: `u64` in `[0, p)`. Every kernel takes a [`Backend`]; all backends give equal results.
//! No branch and no index depends on an element's value, except where a doc comment says so by name.

pub mod backend;
pub mod binary;
pub mod code;
pub mod conv;
pub mod divide;
pub mod error;
pub mod field;
pub mod fixed;
pub mod joint;
pub mod lattice;
pub mod matmul;
pub mod prg;
pub mod roots;
pub mod threads;
mod toom;
pub mod vector;

pub use backend::Backend;
pub use error::Error;
pub use field::P;
pub use joint::Joint;
pub use prg::Prg;
