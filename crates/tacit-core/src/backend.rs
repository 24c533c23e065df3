//! Which instructions a kernel uses, chosen at run time. Every backend computes the same function.

use crate::error::BadShape;
use std::sync::OnceLock;

/// A family of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Plain Rust, any machine.
    Portable,
}

impl Backend {
    /// The name that Python and `TACIT_BACKEND` use.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Portable => "portable",
        }
    }

    /// What this machine can run, best first.
    pub fn available() -> &'static [Backend] {
        static FOUND: OnceLock<Vec<Backend>> = OnceLock::new();
        FOUND.get_or_init(|| vec![Backend::Portable])
    }

    /// The backend called `name`, if this machine has it.
    pub fn named(name: &str) -> Result<Backend, BadShape> {
        let found = Backend::available();
        found.iter().copied().find(|b| b.name() == name).ok_or_else(|| {
            let names: Vec<_> = found.iter().map(|b| b.name()).collect();
            BadShape(format!("backend {name:?} is not available here; choose from {}", names.join(", ")))
        })
    }

    /// The best one, or the one that `TACIT_BACKEND` names; read once, an unavailable name is ignored.
    pub fn best() -> Backend {
        static BEST: OnceLock<Backend> = OnceLock::new();
        *BEST.get_or_init(|| {
            let asked = std::env::var("TACIT_BACKEND").ok();
            asked.and_then(|n| Backend::named(&n).ok()).unwrap_or(Backend::available()[0])
        })
    }
}
