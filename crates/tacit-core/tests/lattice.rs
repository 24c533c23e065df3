//! Two parties make an authenticated matrix product of masks from bytes alone:  sum C = (sum A) (sum B),  sum m = alpha C.

use std::sync::Arc;
use tacit_core::field;
use tacit_core::lattice::{
    Ciphertext, Demand, Entropy, Packing, Parameters, Plaintext, Proof, PublicKey, Response, SecretKey, Side, Statement,
};
use tacit_core::matmul::{matmul, Matrix};
use tacit_core::{Backend, Error, Prg};

const SHAPE: (usize, usize, usize) = (6, 70, 5);

fn parameters() -> Result<Arc<Parameters>, Error> {
    let n = 1 << 14;
    let (slack, key_slack) = (Statement::Ciphertexts.slack(n, 4), Statement::Key.slack(n, 1));
    Parameters::new(Demand { security: 128, degree: Some(n), products: 4, drowning: 72, slack, key_slack })
}

fn product(a: &[u64], b: &[u64]) -> Result<Vec<u64>, Error> {
    let (m, k, n) = SHAPE;
    let mut out = vec![0; m * n];
    matmul(Backend::best(), &mut out, Matrix::new(a, m, k, false)?, Matrix::new(b, k, n, false)?)?;
    Ok(out)
}

fn sum(a: &[u64], b: &[u64]) -> Vec<u64> {
    a.iter().zip(b).map(|(&a, &b)| field::add(a, b)).collect()
}

fn random(seed: u64, count: usize) -> Result<Vec<u64>, Error> {
    let mut v = vec![0; count];
    Prg::new(&[5; 16], seed)?.field(&mut v)?;
    Ok(v)
}

/// A party's key, and its mask A and share of the MAC key encrypted: what it keeps, and the bytes that it sends.
struct Party {
    secret: SecretKey,
    a: Vec<u64>,
    b: Vec<u64>,
    alpha: u64,
    sent: [Vec<Vec<u8>>; 3],
}

/// What the other one makes of the bytes.
struct Peer {
    public: PublicKey,
    a: Vec<Ciphertext>,
    alpha: Vec<Ciphertext>,
}

fn party(p: &Arc<Parameters>, packing: &Packing, me: u64) -> Result<Party, Error> {
    let (m, k, n) = SHAPE;
    let (mut entropy, name) = (Entropy::from_os()?, [me as u8]);
    let secret = SecretKey::generate(p, &mut entropy)?;
    let (public, key_proof) = secret.prove_public(b"session", &name, &mut entropy)?;
    let (a, b, alpha) = (random(me, m * k)?, random(10 + me, k * n)?, random(20 + me, 1)?[0]);
    let mut sent = [vec![public.to_bytes(), key_proof.to_bytes(p, Statement::Key, 1)?], vec![], vec![]];
    let constant = vec![Plaintext::from_slots(p, &vec![alpha; p.degree()])?];
    for (messages, sent) in [packing.pack(p, Side::Left, &a)?, constant].into_iter().zip(&mut sent[1..]) {
        let (ciphertexts, proof) = public.prove(Statement::Ciphertexts, &name, &messages, &mut entropy)?;
        sent.push(proof.to_bytes(p, Statement::Ciphertexts, messages.len())?);
        for c in ciphertexts {
            sent.push(c.to_bytes()?);
        }
    }
    Ok(Party { secret, a, b, alpha, sent })
}

fn receive(p: &Arc<Parameters>, sent: &[Vec<Vec<u8>>; 3], from: u64) -> Result<Peer, Error> {
    let name = [from as u8];
    let public = PublicKey::from_bytes(p, b"session", &sent[0][0])?;
    public.verify(&name, &Proof::from_bytes(p, Statement::Key, 1, &sent[0][1])?)?;
    let accept = |sent: &[Vec<u8>]| {
        let ciphertexts: Vec<_> = sent[1..].iter().map(|b| Ciphertext::from_bytes(p, b)).collect::<Result<_, _>>()?;
        let proof = Proof::from_bytes(p, Statement::Ciphertexts, ciphertexts.len(), &sent[0])?;
        public.accept(Statement::Ciphertexts, &name, ciphertexts, &proof)
    };
    Ok(Peer { a: accept(&sent[1])?, alpha: accept(&sent[2])?, public })
}

/// The answer to `peer`, in bytes: form(its encrypted operand, w) masked by r, which the answering party subtracts.
fn answer(packing: &Packing, peer: &Peer, c: &[Ciphertext], w: &[u64], r: &[u64]) -> Result<Vec<Vec<u8>>, Error> {
    let responses = packing.answer(&peer.public, (Side::Left, c), w, r, &mut Entropy::from_os()?)?;
    Ok(responses.iter().map(Response::to_bytes).collect())
}

fn open(packing: &Packing, secret: &SecretKey, bytes: &[Vec<u8>]) -> Result<Vec<u64>, Error> {
    let outputs = packing.outputs();
    let responses = bytes.iter().zip(outputs).map(|(b, outputs)| Response::from_bytes(secret.parameters(), outputs, b));
    Ok(packing.open(secret, &responses.collect::<Result<Vec<_>, _>>()?)?.to_vec())
}

#[test]
fn two_parties_make_an_authenticated_matrix_product() -> Result<(), Error> {
    let (p, (m, _, n)) = (parameters()?, SHAPE);
    let packing = Packing::matrix(&p, SHAPE, Side::Left, 1)?;
    // alpha is a constant polynomial: a 1 x 1 matrix times a row.
    let scaling = Packing::matrix(&p, (1, 1, m * n), Side::Left, 1)?;
    let parties = [party(&p, &packing, 0)?, party(&p, &packing, 1)?];
    let peers = [receive(&p, &parties[0].sent, 0)?, receive(&p, &parties[1].sent, 1)?];
    assert!(receive(&p, &parties[1].sent, 0).is_err());

    let zero = vec![0; m * n];
    let cross = |owner: usize, packing: &Packing, c: &[Ciphertext], w: &[u64], seed: u64| {
        let r = random(seed, m * n)?;
        let bytes = answer(packing, &peers[owner], c, w, &r)?;
        let theirs: Vec<u64> = r.iter().map(|&r| field::neg(r)).collect();
        Ok::<_, Error>((open(packing, &parties[owner].secret, &bytes)?, theirs))
    };
    let mut c = [product(&parties[0].a, &parties[0].b)?, product(&parties[1].a, &parties[1].b)?];
    for i in 0..2 {
        let (mine, theirs) = cross(i, &packing, &peers[i].a, &parties[1 - i].b, 30 + i as u64)?;
        (c[i], c[1 - i]) = (sum(&c[i], &mine), sum(&c[1 - i], &theirs));
    }
    let expected = product(&sum(&parties[0].a, &parties[1].a), &sum(&parties[0].b, &parties[1].b))?;
    assert_eq!(sum(&c[0], &c[1]), expected);

    let mut macs = [zero.clone(), zero];
    for i in 0..2 {
        let local: Vec<u64> = c[i].iter().map(|&v| field::mul(v, parties[i].alpha)).collect();
        let (mine, theirs) = cross(i, &scaling, &peers[i].alpha, &c[1 - i], 40 + i as u64)?;
        (macs[i], macs[1 - i]) = (sum(&sum(&macs[i], &mine), &local), sum(&macs[1 - i], &theirs));
    }
    let alpha = field::add(parties[0].alpha, parties[1].alpha);
    let tagged: Vec<u64> = expected.iter().map(|&v| field::mul(v, alpha)).collect();
    assert_eq!(sum(&macs[0], &macs[1]), tagged);
    Ok(())
}
