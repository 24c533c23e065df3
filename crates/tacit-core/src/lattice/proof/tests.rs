//! Provers that are honest, and provers that cheat.

use super::*;
use crate::field::tests::sample;
use crate::lattice::parameters::tests::SMALL;
use crate::lattice::{Demand, Operand, Parameters, Sum};
use crate::P;
use std::sync::Arc;

const BATCH: usize = 3;

fn active() -> Arc<Parameters> {
    let slack = Statement::Ciphertexts.slack(1 << 14, BATCH);
    let key_slack = Statement::Key.slack(1 << 14, 1);
    let parameters = Parameters::new(Demand { products: 8, drowning: 60, slack, key_slack, ..SMALL }).unwrap();
    assert_eq!(parameters.degree(), 1 << 14);
    parameters
}

fn keys() -> (SecretKey, PublicKey, Entropy) {
    let mut entropy = Entropy::from_key([9; 32]);
    let secret = SecretKey::generate(&active(), &mut entropy).unwrap();
    let public = secret.public(b"test", &mut entropy).unwrap();
    (secret, public, entropy)
}

fn messages(parameters: &Parameters) -> Vec<Plaintext> {
    let n = parameters.degree();
    let extreme = [vec![P - 1; n], vec![P / 2; n], sample(n, 1)];
    extreme.iter().map(|v| Plaintext::from_slots(parameters, v).unwrap()).collect()
}

#[test]
fn honest_batches_are_accepted_and_hold_their_messages() {
    let (secret, public, mut entropy) = keys();
    let parameters = secret.parameters().clone();
    let m = messages(&parameters);
    let (c, proof) = public.prove(Statement::Ciphertexts, b"session, 0", &m, &mut entropy).unwrap();
    let bytes = proof.to_bytes(&parameters, Statement::Ciphertexts, BATCH).unwrap();
    assert_eq!(bytes.len(), Statement::Ciphertexts.proof_bytes(&parameters, BATCH));
    let proof = Proof::from_bytes(&parameters, Statement::Ciphertexts, BATCH, &bytes).unwrap();
    let accepted = public.accept(Statement::Ciphertexts, b"session, 0", c.clone(), &proof).unwrap();
    for (c, m) in accepted.iter().zip(&m) {
        assert_eq!(secret.decrypt(c).unwrap().coefficients(), m.coefficients());
    }
    // Proven ciphertexts answer within the budget.
    let mut sum = Sum::new(&parameters);
    sum.add(&accepted[2], &Operand::new(&parameters, &m[1]).unwrap()).unwrap();
    let all: Vec<usize> = (0..parameters.degree()).collect();
    let response = public.respond(sum, &all, &vec![0; all.len()], &mut entropy).unwrap();
    let opened = Plaintext::from_coefficients(&parameters, &secret.open(&response, &all).unwrap()).unwrap();
    let [x, w, found] = [&m[2], &m[1], &opened].map(|m| m.slots(&parameters).unwrap());
    assert!(x.iter().zip(&*w).zip(&*found).all(|((&x, &w), &f)| field::mul(x, w) == f));

    // Replayed in another session, by another party, or about other ciphertexts.
    let refused = |context: &[u8], c: Vec<Ciphertext>, proof: &Proof| {
        public.accept(Statement::Ciphertexts, context, c, proof).err().map(|e| e.to_string()).unwrap()
    };
    assert!(refused(b"session, 1", c.clone(), &proof).contains("does not fit"));
    let mut swapped = c.clone();
    swapped.swap(0, 1);
    assert!(refused(b"session, 0", swapped, &proof).contains("does not fit"));
    let mut wrong = c.clone();
    wrong[1].b[5] ^= 1;
    assert!(refused(b"session, 0", wrong, &proof).contains("does not fit"));
    refused(b"session, 0", c[1..].to_vec(), &proof);
    let other = secret.public(b"test", &mut entropy).unwrap();
    assert!(other.accept(Statement::Ciphertexts, b"session, 0", c.clone(), &proof).is_err());
    assert!(public.accept(Statement::Key, b"session, 0", c[..1].to_vec(), &proof).is_err());
    let four = [&c[..], &c[..1]].concat();
    assert!(refused(b"session, 0", four, &proof).contains("slack"));

    // Bytes that were changed decode to something else, or not at all, and are never accepted.
    for at in [0, 4, 19, 20, 51, 52, bytes.len() / 2, bytes.len() - 1] {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        if let Ok(proof) = Proof::from_bytes(&parameters, Statement::Ciphertexts, BATCH, &wrong) {
            assert!(public.accept(Statement::Ciphertexts, b"session, 0", c.clone(), &proof).is_err());
        }
    }
    for length in [0, 19, 20, 52, bytes.len() - 1] {
        assert!(Proof::from_bytes(&parameters, Statement::Ciphertexts, BATCH, &bytes[..length]).is_err());
    }
    assert!(Proof::from_bytes(&parameters, Statement::Ciphertexts, 0, &bytes).is_err());
}

/// A prover that does not check its own responses.
fn bold(relation: &Relation, context: &[u8], images: &[Image], w: &[Integers], entropy: &mut Entropy) -> Proof {
    let rows = relation::rows(relation.parameters().degree());
    let y: Vec<_> = (0..rows).map(|_| relation.mask(entropy).unwrap()).collect();
    let words: Vec<_> = y.iter().map(|y| relation.words(y)).collect();
    let challenge = relation.hash(context, images, &relation.commitments(&words, &[], &[]).unwrap()).unwrap();
    let mut z: Vec<_> = y.into_iter().map(|y| y.to_vec()).collect();
    for (z, c) in z.iter_mut().zip(relation.challenges(&challenge).unwrap().chunks_exact(relation.count)) {
        w.iter().zip(c).for_each(|(w, &c)| relation.add_challenge(z, w, c));
    }
    Proof { challenge, z }
}

/// The values of the image of a witness.
fn image(relation: &Relation, w: &[i128]) -> Vec<u64> {
    let ring = &relation.parameters().ring;
    let mut image = relation.map(ring, 0, &relation.words(w));
    image.chunks_exact_mut(ring.residues()).for_each(|x| ring.forward(x));
    image
}

#[test]
fn noise_beyond_the_slack_is_refused() {
    let (secret, public, mut entropy) = keys();
    let (parameters, n) = (secret.parameters().clone(), secret.parameters().degree());
    let relation = public.relation(Statement::Ciphertexts, 1).unwrap();
    let masks = Statement::Ciphertexts.masks(n, 1);
    for part in 0..3 {
        // A true witness of a true ciphertext, but one coefficient is as large as the masks.
        let mut w: Integers = Zeroizing::new(vec![0; 3 * n]);
        w[part * n + 3] = 1 << (masks[part].1 + 1);
        let image = image(&relation, &w);
        let images = [image.chunks_exact(parameters.ring.residues()).collect()];
        let proof = bold(&relation, b"c", &images, &[w.clone()], &mut entropy);
        assert!(relation.verify(b"c", &images, &proof).unwrap_err().to_string().contains("range"), "{part}");
        assert!(part > 0 || relation.prove(b"c", &images, &[w], &mut entropy).is_err());
    }
    // A ciphertext that is none: random residues have no small witness; a prover without one has to guess challenges.
    let random = parameters.ring.uniform(&mut entropy.prg().unwrap()).unwrap();
    let zero = parameters.ring.zero();
    let images: [Image; 1] = [vec![&random, &zero]];
    let nothing = [Zeroizing::new(vec![0; 3 * n])];
    let mut attempts = (0..64).map(|_| bold(&relation, b"c", &images, &nothing, &mut entropy));
    let proof = attempts.find(|proof| proof.z.iter().all(|z| relation.inside(z))).unwrap();
    assert!(relation.verify(b"c", &images, &proof).unwrap_err().to_string().contains("does not fit"));
    let short = Proof { challenge: proof.challenge, z: proof.z[1..].to_vec() };
    assert!(relation.verify(b"c", &[vec![]], &short).is_err());
}

#[test]
fn a_key_is_proven_and_a_false_one_refused() {
    let (secret, _, mut entropy) = keys();
    let parameters = secret.parameters().clone();
    let (public, proof) = secret.prove_public(b"label", b"party 0", &mut entropy).unwrap();
    let bytes = proof.to_bytes(&parameters, Statement::Key, 1).unwrap();
    let proof = Proof::from_bytes(&parameters, Statement::Key, 1, &bytes).unwrap();
    public.verify(b"party 0", &proof).unwrap();
    let c = public.encrypt(&messages(&parameters)[0], &mut entropy).unwrap();
    let refusal = public.accept(Statement::Ciphertexts, b"party 0", vec![c], &proof).err().unwrap();
    assert!(refusal.to_string().contains("response has"), "{refusal}");
    assert!(public.verify(b"party 1", &proof).is_err());
    let mut other = PublicKey::from_bytes(&parameters, b"other", &public.to_bytes()).unwrap();
    assert!(other.verify(b"party 0", &proof).is_err());
    // b = -a s + e with an e that would turn responses into an oracle.
    other = PublicKey::from_bytes(&parameters, b"label", &public.to_bytes()).unwrap();
    let mut e = parameters.ring.zero();
    e[0] = 1 << 39;
    parameters.ring.forward(&mut e);
    parameters.ring.add(&mut other.b, &e);
    assert!(other.verify(b"party 0", &proof).is_err());
    let loose = Parameters::new(Demand { degree: Some(1 << 14), ..SMALL }).unwrap();
    let key = SecretKey::generate(&loose, &mut entropy).unwrap();
    let (public, proof) = key.prove_public(b"label", b"party 0", &mut entropy).unwrap();
    assert!(public.verify(b"party 0", &proof).unwrap_err().to_string().contains("slack"));
}

#[test]
fn responses_look_alike_for_all_witnesses() {
    let (secret, public, mut entropy) = keys();
    let n = secret.parameters().degree();
    let relation = public.relation(Statement::Ciphertexts, 1).unwrap();
    let masks = Statement::Ciphertexts.masks(n, 1);
    for sign in [-1, 1] {
        // The largest witness there is, of either sign: cells of all responses are equally full.
        let w: Integers = Zeroizing::new(masks.iter().flat_map(|&(b, _)| vec![sign * b as i128; n]).collect());
        let image = image(&relation, &w);
        let images = [image.chunks_exact(secret.parameters().ring.residues()).collect()];
        let proof = relation.prove(b"c", &images, &[w], &mut entropy).unwrap();
        relation.verify(b"c", &images, &proof).unwrap();
        for (part, &(bound, k)) in masks.iter().enumerate() {
            let (mut cells, limit) = ([0.0f64; 16], ((1i128 << k) - bound as i128) as f64);
            for z in &proof.z {
                z[part * n..][..n].iter().for_each(|&z| cells[((z as f64 / limit + 1.0) * 8.0) as usize] += 1.0);
            }
            let expected = (proof.z.len() * n) as f64 / 16.0;
            let chi: f64 = cells.iter().map(|c| (c - expected).powi(2) / expected).sum();
            assert!(chi < 50.0, "{part} {cells:?}");
        }
    }
}
