//! Which instructions a kernel uses, chosen at run time. Every backend computes the same function.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod kernels;
mod portable;

use crate::error::Error;
use kernels::Kernels;
use std::sync::OnceLock;

/// A family of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backend {
    /// Plain Rust, any machine: 64 x 64 -> 128-bit products.
    Portable,
    /// AVX2 and BMI2: large matrix products on 21-bit limbs; elsewhere what the compiler makes of plain Rust with them.
    Avx2,
    /// AVX-512 with the 52-bit multiply-add: every kernel that counts.
    Avx512Ifma,
}

impl Backend {
    const BEST_FIRST: [Backend; 3] = [Backend::Avx512Ifma, Backend::Avx2, Backend::Portable];

    /// The name that Python and `TACIT_BACKEND` use.
    pub const fn name(self) -> &'static str {
        match self {
            Backend::Portable => "portable",
            Backend::Avx2 => "avx2",
            Backend::Avx512Ifma => "avx512ifma",
        }
    }

    /// Whether this machine has the instructions.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2");
            let avx512 = || {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512ifma")
            };
            match self {
                Backend::Portable => true,
                Backend::Avx2 => avx2(),
                Backend::Avx512Ifma => avx2() && avx512(),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Backend::Portable
        }
    }

    /// This backend if the machine has it, else the portable one. Every dispatch into SIMD code asks this first.
    #[inline]
    pub(crate) fn checked(self) -> Backend {
        if self.is_available() {
            self
        } else {
            Backend::Portable
        }
    }

    /// What this machine can run, best first.
    pub fn available() -> &'static [Backend] {
        static FOUND: OnceLock<Vec<Backend>> = OnceLock::new();
        FOUND.get_or_init(|| Self::BEST_FIRST.into_iter().filter(|b| b.is_available()).collect())
    }

    /// The backend called `name`, if this machine has it.
    pub fn named(name: &str) -> Result<Backend, Error> {
        let found = Backend::available();
        found.iter().copied().find(|b| b.name() == name).ok_or_else(|| {
            let names: Vec<_> = found.iter().map(|b| b.name()).collect();
            Error::Shape(format!("backend {name:?} is not available here; choose from {}", names.join(", ")))
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

/// The kernels of this backend.
pub(crate) fn kernels(be: Backend) -> &'static dyn Kernels {
    match be.checked() {
        Backend::Portable => &portable::Portable,
        #[cfg(target_arch = "x86_64")]
        Backend::Avx2 => &avx2::Avx2,
        #[cfg(target_arch = "x86_64")]
        Backend::Avx512Ifma => &avx512::Avx512,
        #[cfg(not(target_arch = "x86_64"))]
        _ => &portable::Portable,
    }
}

/// Compiles a loop for each backend and chooses at run time.
macro_rules! variants {
    ($be:expr, ($($arg:ident: $type:ty = $value:expr),*) $body:block) => {{
        #[inline(always)]
        fn portable($($arg: $type),*) $body
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,bmi2")]
        fn avx2($($arg: $type),*) { portable($($arg),*) }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,bmi2")]
        fn avx512($($arg: $type),*) { portable($($arg),*) }
        match $be.checked() {
            // SAFETY: `checked` found the instructions on this machine.
            #[cfg(target_arch = "x86_64")]
            $crate::backend::Backend::Avx2 => unsafe { avx2($($value),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            $crate::backend::Backend::Avx512Ifma => unsafe { avx512($($value),*) },
            _ => portable($($value),*),
        }
    }};
}

pub(crate) use variants;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for &b in Backend::available() {
            assert_eq!(Backend::named(b.name()), Ok(b));
            assert_eq!(b.checked(), b);
        }
        assert!(Backend::named("abacus").is_err());
        assert_eq!(Backend::available().last(), Some(&Backend::Portable));
    }
}
