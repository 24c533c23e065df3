//! The one error of this crate: arguments whose shapes or ranges do not fit together.

use std::fmt;

/// Arguments that do not fit together; the message says which and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadShape(pub String);

impl fmt::Display for BadShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadShape {}

/// `Ok` if both lengths are equal, else an error that names `what`.
pub fn same_length(what: &str, expected: usize, found: usize) -> Result<(), BadShape> {
    if expected == found {
        return Ok(());
    }
    Err(BadShape(format!("{what} has {found} elements where {expected} are expected")))
}
