//! The errors of this crate, by who is to blame: the caller for a shape, a peer for what it sent.

use std::fmt;

/// Why a call was refused; the message says what does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Arguments of the caller's own do not fit together, are out of range, or are out of turn. No peer has a part in it.
    Shape(String),
    /// Bytes of a peer are not what the protocol lets it send: another length, kind or order, or not canonical.
    Malformed(String),
    /// A peer's proof does not hold for what it came with, or not in this place.
    Proof(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Error::Shape(message) | Error::Malformed(message) | Error::Proof(message)) = self;
        f.write_str(message)
    }
}

impl std::error::Error for Error {}

/// `Ok` if both lengths are equal, else [`Error::Shape`], which names `what`.
pub fn same_length(what: &str, expected: usize, found: usize) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    Err(Error::Shape(unequal(what, expected, found)))
}

/// `Ok` if a peer sent as much as was due, else [`Error::Malformed`], which names `what`.
pub(crate) fn due_length(what: &str, due: usize, found: usize) -> Result<(), Error> {
    if due == found {
        return Ok(());
    }
    Err(Error::Malformed(unequal(what, due, found)))
}

fn unequal(what: &str, expected: usize, found: usize) -> String {
    format!("{what} has {found} elements where {expected} are expected")
}
