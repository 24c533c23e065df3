//! Plaintexts:  m(X) in F_p[X] / (X^N + 1) = F_p^N.
//!
//! As *coefficients*, products are those of polynomials (`packing` puts matrices and images there); as *slots*, the N
//! values of the transform mod p, products are elementwise, since p = 1 mod 2N.

use super::columns::{halves, Column};
use super::parameters::Parameters;
use super::random::Secret;
use crate::error::{same_length, Error};
use crate::vector::is_canonical;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A polynomial over F_p; wiped when it is dropped.
pub struct Plaintext {
    pub(crate) coefficients: Secret,
}

/// Refuses elements that are not canonical.
pub(crate) fn canonical(what: &str, v: &[u64]) -> Result<(), Error> {
    if is_canonical(v) {
        return Ok(());
    }
    Err(Error::Shape(format!("{what} holds a number that is not below p")))
}

impl Plaintext {
    /// From at most N coefficients; the others are 0.
    pub fn from_coefficients(parameters: &Parameters, v: &[u64]) -> Result<Plaintext, Error> {
        if v.len() > parameters.degree() {
            return Err(Error::Shape(format!("{} numbers do not fit into degree {}", v.len(), parameters.degree())));
        }
        canonical("the plaintext", v)?;
        let mut coefficients = Zeroizing::new(vec![0; parameters.degree()]);
        coefficients[..v.len()].copy_from_slice(v);
        Ok(Plaintext { coefficients })
    }

    /// From at most N slots; the others are 0.
    pub fn from_slots(parameters: &Parameters, v: &[u64]) -> Result<Plaintext, Error> {
        let mut plaintext = Plaintext::from_coefficients(parameters, v)?;
        parameters.plain.inverse(&mut plaintext.coefficients);
        Ok(plaintext)
    }

    /// Its N coefficients.
    pub fn coefficients(&self) -> &[u64] {
        &self.coefficients
    }

    /// Its N slots.
    pub fn slots(&self, parameters: &Parameters) -> Result<Secret, Error> {
        same_length("the plaintext", parameters.degree(), self.coefficients.len())?;
        let mut slots = self.coefficients.clone();
        parameters.plain.forward(&mut slots);
        Ok(slots)
    }
}

/// A plaintext made ready to multiply ciphertexts: lifted to (-p/2, p/2), then transformed.
pub struct Operand {
    pub(crate) parameters: Arc<Parameters>,
    pub(crate) values: Secret,
}

impl Operand {
    /// Prepares `plaintext`.
    pub fn new(parameters: &Arc<Parameters>, plaintext: &Plaintext) -> Result<Operand, Error> {
        same_length("the plaintext", parameters.degree(), plaintext.coefficients.len())?;
        let values = Zeroizing::new(parameters.ring.values(&[Column::field(&halves(&plaintext.coefficients))]));
        Ok(Operand { parameters: parameters.clone(), values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{self, tests::sample};
    use crate::lattice::parameters::tests::SMALL;
    use crate::P;

    #[test]
    fn slots_multiply_elementwise() {
        let parameters = Parameters::new(SMALL).unwrap();
        let n = parameters.degree();
        let [a, b] = [1, 2].map(|s| sample(n, s));
        let [x, y] = [&a, &b].map(|v| Plaintext::from_slots(&parameters, v).unwrap());
        assert_eq!(*x.slots(&parameters).unwrap(), a);
        // The coefficient i of the product of two sparse polynomials, and of the product of slots, agree.
        let mut one = vec![0; n];
        one[n - 1] = P - 1;
        let shift = Plaintext::from_coefficients(&parameters, &one).unwrap();
        let product: Vec<u64> = x
            .slots(&parameters)
            .unwrap()
            .iter()
            .zip(&*shift.slots(&parameters).unwrap())
            .map(|(&a, &b)| field::mul(a, b))
            .collect();
        let product = Plaintext::from_slots(&parameters, &product).unwrap();
        // -X^(N-1) x(X) = x_0 (-X^(N-1)) + x_1 + x_2 X + ...
        let expected: Vec<u64> =
            x.coefficients()[1..].iter().copied().chain([field::neg(x.coefficients()[0])]).collect();
        assert_eq!(product.coefficients(), expected);
        let sum: Vec<u64> = a.iter().zip(&b).map(|(&a, &b)| field::add(a, b)).collect();
        let z = Plaintext::from_slots(&parameters, &sum).unwrap();
        let found = z.coefficients().iter().zip(x.coefficients()).zip(y.coefficients());
        assert!(found.into_iter().all(|((&z, &x), &y)| z == field::add(x, y)));
        assert!(Plaintext::from_slots(&parameters, &[P]).is_err());
        assert!(Plaintext::from_coefficients(&parameters, &vec![0; n + 1]).is_err());
    }
}
