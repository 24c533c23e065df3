//! Ciphertexts:  (b, a) with  b + a s = (q/p) m + e;  sums and products by plaintexts act on m and e alike.
//!
//! Both parts are values of the transform. A ciphertext knows how many fresh ones it is worth (`terms`), so that a sum
//! beyond the proven budget is refused.

use super::columns::{halves, Column};
use super::encoding::{Operand, Plaintext};
use super::parameters::Parameters;
use super::random::Secret;
use crate::error::{same_length, Error};
use std::sync::Arc;
use zeroize::Zeroizing;

/// (b, a).
#[derive(Clone)]
pub struct Ciphertext {
    pub(crate) parameters: Arc<Parameters>,
    pub(crate) b: Vec<u64>,
    pub(crate) a: Vec<u64>,
    pub(crate) terms: u32,
}

/// (b, the seed of a): half the size.
pub struct SeededCiphertext {
    pub(crate) parameters: Arc<Parameters>,
    pub(crate) seed: [u8; 32],
    pub(crate) b: Vec<u64>,
}

/// sum_k c_k w_k; wiped when it is dropped, since a_k and a_k w_k give w_k.
pub struct Sum {
    pub(crate) parameters: Arc<Parameters>,
    pub(crate) b: Secret,
    pub(crate) a: Secret,
    pub(crate) terms: u32,
}

impl Parameters {
    /// p times the rounded (q/p) m.
    pub(crate) fn scaled(&self, message: &Plaintext) -> Result<[Secret; 2], Error> {
        same_length("the plaintext", self.degree(), message.coefficients.len())?;
        Ok(halves(&self.level.remainders(message.coefficients())))
    }

    /// The sum of `terms`, if the budget was proven for so many.
    fn within(&self, terms: [u32; 2]) -> Result<u32, Error> {
        let most = self.demand.products;
        let sum = terms[0].saturating_add(terms[1]);
        if sum <= most {
            return Ok(sum);
        }
        Err(Error::Shape(format!("{sum} ciphertexts are summed where the noise is proven for {most}")))
    }
}

impl SeededCiphertext {
    /// With its a-part.
    pub fn expand(self) -> Result<Ciphertext, Error> {
        let a = self.parameters.expand(&self.seed)?;
        Ok(Ciphertext { parameters: self.parameters, b: self.b, a, terms: 1 })
    }
}

impl Ciphertext {
    /// What it belongs to.
    pub fn parameters(&self) -> &Arc<Parameters> {
        &self.parameters
    }

    /// An error if its product by a plaintext is beyond the budget.
    pub(crate) fn alone(&self) -> Result<(), Error> {
        self.parameters.within([self.terms, 0]).map(drop)
    }

    /// Adds a ciphertext under the same key.
    pub fn add(&mut self, other: &Ciphertext) -> Result<(), Error> {
        self.parameters.same(&other.parameters)?;
        self.terms = self.parameters.within([self.terms, other.terms])?;
        self.parameters.ring.add(&mut self.b, &other.b);
        self.parameters.ring.add(&mut self.a, &other.a);
        Ok(())
    }

    /// Adds a plaintext; its rounding is less than a fresh ciphertext's noise and is counted as one.
    pub fn add_plaintext(&mut self, message: &Plaintext) -> Result<(), Error> {
        let scaled = self.parameters.scaled(message)?;
        self.terms = self.parameters.within([self.terms, 1])?;
        let x = self.parameters.ring.values(&[Column::field(&scaled).over_p()]);
        self.parameters.ring.add(&mut self.b, &x);
        Ok(())
    }

    /// k times itself.
    pub fn scale(&mut self, k: u32) -> Result<(), Error> {
        self.terms = self.parameters.within([self.terms.saturating_mul(k), 0])?;
        self.parameters.ring.scale(&mut self.b, k.into());
        self.parameters.ring.scale(&mut self.a, k.into());
        Ok(())
    }
}

impl Sum {
    /// 0.
    pub fn new(parameters: &Arc<Parameters>) -> Sum {
        let zero = Zeroizing::new(parameters.ring.zero());
        Sum { parameters: parameters.clone(), b: zero.clone(), a: zero, terms: 0 }
    }

    /// Adds c w.
    pub fn add(&mut self, c: &Ciphertext, w: &Operand) -> Result<(), Error> {
        self.parameters.same(&c.parameters)?;
        self.parameters.same(&w.parameters)?;
        self.terms = self.parameters.within([self.terms, c.terms])?;
        self.parameters.ring.multiply_add(&mut self.b, &c.b, &w.values);
        self.parameters.ring.multiply_add(&mut self.a, &c.a, &w.values);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{self, tests::sample};
    use crate::lattice::keys::tests::keys;
    use crate::lattice::parameters::tests::{ACTIVE, SMALL};

    #[test]
    fn sums_and_products_act_on_slots() {
        let (secret, public, mut entropy) = keys(SMALL);
        let parameters = secret.parameters().clone();
        let n = parameters.degree();
        let v: Vec<Vec<u64>> = (0..4).map(|s| sample(n, s + 10)).collect();
        let m: Vec<Plaintext> = v.iter().map(|v| Plaintext::from_slots(&parameters, v).unwrap()).collect();
        let mut x = public.encrypt(&m[0], &mut entropy).unwrap();
        let y = secret.encrypt(&m[1], &mut entropy).unwrap().expand().unwrap();
        let (mut sum, w) = (Sum::new(&parameters), Operand::new(&parameters, &m[3]).unwrap());
        sum.add(&x, &w).unwrap();
        sum.add(&y, &Operand::new(&parameters, &m[2]).unwrap()).unwrap();
        let slots = |c: &Ciphertext| secret.decrypt(c).unwrap().slots(&parameters).unwrap().to_vec();
        let product = Ciphertext { parameters: parameters.clone(), b: sum.b.to_vec(), a: sum.a.to_vec(), terms: 1 };
        let expected = |f: &dyn Fn(usize) -> u64| (0..n).map(f).collect::<Vec<_>>();
        assert_eq!(
            slots(&product),
            expected(&|i| field::add(field::mul(v[0][i], v[3][i]), field::mul(v[1][i], v[2][i])))
        );
        x.add(&y).unwrap();
        x.add_plaintext(&m[2]).unwrap();
        let total = |i: usize| field::add(field::add(v[0][i], v[1][i]), v[2][i]);
        assert_eq!(slots(&x), expected(&total));
        assert!(sum.add(&x, &w).unwrap_err().to_string().contains("5 ciphertexts"));
        assert!(x.scale(2).is_err());
        let (other, _, _) = keys(ACTIVE);
        let mut foreign = Sum::new(other.parameters());
        assert!(foreign.add(&y, &w).is_err());
        let mut twice = y.clone();
        twice.scale(2).unwrap();
        assert_eq!(slots(&twice), expected(&|i| field::add(v[1][i], v[1][i])));
    }
}
