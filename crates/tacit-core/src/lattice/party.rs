//! One party of a preparation, message by message: it takes what came and gives what to send. No sockets, no order of rounds.
//!
//!  encrypted product:  Enc_i(A_i) -> j;   j -> i: Enc_i(A_i B_j + r);   i holds A_i B_j + r, j holds -r
//!  MAC (a VOLE):       Enc_i(alpha_i) once, the same in all slots;   j -> i: alpha_i x_j + r
//!
//! Every ciphertext comes with a proof, bound to session, sender and place in the order of what that sender has sent: a
//! replayed or reordered batch is refused. That alpha_i is the same in all slots is for the parties to test.

use super::ciphertext::Ciphertext;
use super::keys::{PublicKey, SecretKey};
use super::layout::Layout;
use super::parameters::{Demand, Parameters};
use super::proof::{Proof, Statement, FACTOR};
use super::random::{fork_each, hash, Entropy, Secret};
use super::response::Response;
use super::scale::{Multiplier, Scaling};
use crate::error::{due_length, same_length, Error};
use crate::threads::each;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// N.
const DEGREE: usize = 1 << 14;
/// Ciphertexts of one proof at most.
pub const BATCH: usize = 32;
/// Proven ciphertexts in one sum at most.
pub const DEPTH: u32 = 64;
/// 40 + log2 of the coefficients that a session sends.
const DROWNING: u32 = 72;

/// Another party's keys.
struct Peer {
    public: PublicKey,
    accepted: u64,
}

/// A party's keys, and those of the others that it has met.
pub struct Party {
    session: Vec<u8>,
    me: u32,
    secret: SecretKey,
    public: PublicKey,
    hello: Vec<u8>,
    peers: Vec<Option<Peer>>,
    proven: u64,
    scalings: [Scaling; 2],
    entropy: Mutex<Entropy>,
}

/// The parameters that all parties of tacit use.
pub fn parameters() -> Result<Arc<Parameters>, Error> {
    let (slack, key_slack) = (Statement::Ciphertexts.slack(DEGREE, BATCH), Statement::Key.slack(DEGREE, 1));
    let products = DEPTH * FACTOR;
    Parameters::new(Demand { security: 128, degree: Some(DEGREE), products, drowning: DROWNING, slack, key_slack })
}

/// What a proof is bound to.
fn context(session: &[u8], sender: u32, what: &[u8], count: u64) -> [u8; 32] {
    hash("tacit lattice batch", &[session, &sender.to_le_bytes(), what, &count.to_le_bytes()])
}

impl Party {
    /// Keys from a seed, proven, for `parties` of which this is `me`.
    pub fn new(session: &[u8], me: u32, parties: u32, seed: [u8; 32]) -> Result<Party, Error> {
        if me >= parties || parties < 2 {
            return Err(Error::Shape(format!("party {me} of {parties}: there are two or more, numbered from 0")));
        }
        let (p, mut entropy) = (parameters()?, Entropy::from_key(seed));
        let secret = SecretKey::generate(&p, &mut entropy)?;
        let (public, key_proof) = secret.prove_public(session, &context(session, me, b"key", 0), &mut entropy)?;
        let mut hello = public.to_bytes();
        hello.extend(key_proof.to_bytes(&p, Statement::Key, 1)?);
        let peers = (0..parties).map(|_| None).collect();
        let (session, entropy, scalings) = (session.to_vec(), Mutex::new(entropy), Scaling::both(&p)?);
        Ok(Party { session, me, secret, public, hello, peers, proven: 0, scalings, entropy })
    }

    /// What this party works with.
    pub fn parameters(&self) -> &Arc<Parameters> {
        self.secret.parameters()
    }

    /// The public key with its proof: to all others, once.
    pub fn hello(&self) -> &[u8] {
        &self.hello
    }

    /// Checks what another party's `hello` gave.
    pub fn meet(&mut self, peer: u32, hello: &[u8]) -> Result<(), Error> {
        let p = self.parameters().clone();
        if peer == self.me || self.peers.get(peer as usize).is_none_or(Option::is_some) {
            return Err(Error::Shape(format!("party {peer} is no other party, or was met before")));
        }
        due_length("the keys, in bytes,", self.hello.len(), hello.len())?;
        let (key, proof) = hello.split_at(self.public.to_bytes().len());
        let public = PublicKey::from_bytes(&p, &self.session, key)?;
        let proof = Proof::from_bytes(&p, Statement::Key, 1, proof)?;
        public.verify(&context(&self.session, peer, b"key", 0), &proof)?;
        self.peers[peer as usize] = Some(Peer { public, accepted: 0 });
        Ok(())
    }

    fn peer(&self, peer: u32) -> Result<&Peer, Error> {
        let found = self.peers.get(peer as usize).and_then(Option::as_ref);
        found.ok_or_else(|| Error::Shape(format!("party {peer} was not met")))
    }

    /// A generator of this call's own.
    fn fork(&self) -> Result<Entropy, Error> {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(entropy.fork(1)?.swap_remove(0))
    }

    /// Bytes of [`Party::encrypt`].
    pub fn encrypted_bytes(&self, layouts: &[&Layout]) -> usize {
        let (p, count) = (self.parameters(), self.ciphertexts(layouts));
        let proofs = (0..count).step_by(BATCH).map(|i| Statement::Ciphertexts.proof_bytes(p, BATCH.min(count - i)));
        count * p.ciphertext_bytes() + proofs.sum::<usize>()
    }

    fn ciphertexts(&self, layouts: &[&Layout]) -> usize {
        layouts.iter().map(|l| l.ciphertexts(self.parameters())).sum()
    }

    /// Operands encrypted, and proven in batches across them: the same bytes to all others.
    pub fn encrypt(&mut self, operands: &[(&Layout, &[u64])]) -> Result<Vec<u8>, Error> {
        let (p, mut entropy) = (self.parameters().clone(), self.fork()?);
        let mut messages = Vec::new();
        for (layout, v) in operands {
            messages.extend(layout.pack(&p, v)?);
        }
        let layouts: Vec<_> = operands.iter().map(|(layout, _)| *layout).collect();
        let mut out = Vec::with_capacity(self.encrypted_bytes(&layouts));
        for messages in messages.chunks(BATCH) {
            let about = context(&self.session, self.me, b"batch", self.proven);
            self.proven += 1;
            let (ciphertexts, proof) = self.public.prove(Statement::Ciphertexts, &about, messages, &mut entropy)?;
            out.extend(proof.to_bytes(&p, Statement::Ciphertexts, messages.len())?);
            each(&ciphertexts, Ciphertext::to_bytes)?.iter().for_each(|c| out.extend(c));
        }
        Ok(out)
    }

    /// Another party's encrypted operands, checked.
    pub fn accept(&mut self, peer: u32, layouts: &[&Layout], bytes: &[u8]) -> Result<Vec<Vec<Ciphertext>>, Error> {
        let first = self.peer(peer)?.accepted;
        due_length("the ciphertexts, in bytes,", self.encrypted_bytes(layouts), bytes.len())?;
        let (p, count, mut rest) = (self.parameters().clone(), self.ciphertexts(layouts), bytes);
        let mut all = Vec::with_capacity(count);
        for (batch, at) in (0..count).step_by(BATCH).enumerate() {
            let size = BATCH.min(count - at);
            let (proof, after) = rest.split_at(Statement::Ciphertexts.proof_bytes(&p, size));
            let (bytes, after) = after.split_at(size * p.ciphertext_bytes());
            rest = after;
            let proof = Proof::from_bytes(&p, Statement::Ciphertexts, size, proof)?;
            let parts: Vec<&[u8]> = bytes.chunks_exact(p.ciphertext_bytes()).collect();
            let ciphertexts = each(&parts, |bytes| Ciphertext::from_bytes(&p, bytes))?;
            let about = context(&self.session, peer, b"batch", first + batch as u64);
            all.extend(self.peer(peer)?.public.accept(Statement::Ciphertexts, &about, ciphertexts, &proof)?);
        }
        if let Some(peer) = &mut self.peers[peer as usize] {
            peer.accepted += count.div_ceil(BATCH) as u64;
        }
        let mut all = all.into_iter();
        Ok(layouts.iter().map(|l| all.by_ref().take(l.ciphertexts(&p)).collect()).collect())
    }

    /// The answer to what `peer` encrypted: it will hold the form + `masks`.
    pub fn respond(
        &self,
        peer: u32,
        layout: &Layout,
        encrypted: &[Ciphertext],
        operand: &[u64],
        masks: &[u64],
    ) -> Result<Vec<u8>, Error> {
        let responses = layout.answer(&self.peer(peer)?.public, encrypted, operand, masks, &mut self.fork()?)?;
        Ok(joined(responses))
    }

    /// The form + the other's masks, of an answer to what this party encrypted.
    pub fn open(&self, layout: &Layout, bytes: &[u8]) -> Result<Secret, Error> {
        layout.open(&self.secret, &layout.read(&self.secret, bytes)?)
    }

    /// (polynomials, outputs of each) of `count` products with alpha.
    fn scaled(&self, count: usize) -> Vec<usize> {
        (0..count).step_by(DEGREE).map(|at| DEGREE.min(count - at)).collect()
    }

    /// Bytes of [`Party::scale`].
    pub fn scaled_bytes(&self, count: usize) -> usize {
        self.scaled(count).into_iter().map(|outputs| self.parameters().response_bytes(outputs)).sum()
    }

    /// What another party encrypted of its alpha, the same in all slots, ready to multiply.
    pub fn multiplier(&self, alpha: &[Ciphertext]) -> Result<Multiplier, Error> {
        same_length("the ciphertexts of a MAC key", 1, alpha.len())?;
        Multiplier::new(&self.scalings, &alpha[0])
    }

    /// `peer` will hold alpha x + `masks` for the alpha that it encrypted. With `narrow`, all x are below 2^[`super::scale::NARROW`].
    pub fn scale(
        &self,
        peer: u32,
        alpha: &Multiplier,
        narrow: bool,
        x: &[u64],
        masks: &[u64],
    ) -> Result<Vec<u8>, Error> {
        same_length("the masks", x.len(), masks.len())?;
        let peer = self.peer(peer)?;
        let work: Vec<_> = x.chunks(DEGREE).zip(masks.chunks(DEGREE)).collect();
        let responses = fork_each(&work, &mut self.fork()?, |&(x, masks), entropy| {
            peer.public.scale(&self.scalings, alpha, narrow, (x, masks), entropy)
        })?;
        Ok(joined(responses))
    }

    /// alpha x + masks, of another party's [`Party::scale`] of `count` elements.
    pub fn open_scaled(&self, count: usize, bytes: &[u8]) -> Result<Secret, Error> {
        due_length("the responses, in bytes,", self.scaled_bytes(count), bytes.len())?;
        let (p, mut rest) = (self.parameters(), bytes);
        let cut: Vec<_> = self
            .scaled(count)
            .into_iter()
            .map(|outputs| {
                let (this, after) = rest.split_at(p.response_bytes(outputs));
                rest = after;
                (outputs, this)
            })
            .collect();
        let parts = each(&cut, |(outputs, bytes)| {
            self.secret.open(&Response::from_bytes(p, *outputs, bytes)?, &(0..*outputs).collect::<Vec<_>>())
        })?;
        let mut out = Zeroizing::new(vec![0; count]);
        out.chunks_mut(DEGREE).zip(parts).for_each(|(o, v)| o.copy_from_slice(&v));
        Ok(out)
    }
}

fn joined(responses: Vec<Response>) -> Vec<u8> {
    responses.iter().map(Response::to_bytes).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{self, tests::sample};
    use crate::lattice::scale::NARROW;
    use crate::lattice::{Packing, Side};
    use crate::matmul::{matmul, Matrix};
    use crate::Backend;

    fn pair() -> [Party; 2] {
        let mut made = [0u32, 1].map(|me| Party::new(b"session", me, 2, [me as u8 + 1; 32]).unwrap());
        let [a, b] = &mut made;
        let hellos = [a.hello().to_vec(), b.hello().to_vec()];
        a.meet(1, &hellos[1]).unwrap();
        b.meet(0, &hellos[0]).unwrap();
        made
    }

    fn less(x: &[u64], y: &[u64]) -> Vec<u64> {
        x.iter().zip(y).map(|(&x, &y)| field::sub(x, y)).collect()
    }

    #[test]
    fn products_and_macs_from_bytes() {
        let [mut a, mut b] = pair();
        // Elementwise, with a part of the ciphertexts, too.
        let n = 3 * DEGREE / 2;
        let (x, y, r) = (sample(n, 1), sample(n, 2), sample(n, 3));
        let layout = Layout::Slots(n);
        let sent = a.encrypt(&[(&layout, &x)]).unwrap();
        let encrypted = b.accept(0, &[&layout], &sent).unwrap().swap_remove(0);
        for count in [n, 100] {
            let part = Layout::Slots(count);
            let answer = b.respond(0, &part, &encrypted, &y[..count], &r[..count]).unwrap();
            let product: Vec<u64> = x.iter().zip(&y[..count]).map(|(&x, &y)| field::mul(x, y)).collect();
            assert_eq!(less(&a.open(&part, &answer).unwrap(), &r[..count]), product);
            assert!(a.open(&part, &answer[1..]).is_err());
        }
        assert!(b
            .respond(0, &Layout::Slots(DEGREE * 3), &encrypted, &vec![1; DEGREE * 3], &vec![1; DEGREE * 3])
            .is_err());
        // A batch is taken once, from its sender, whole.
        assert!(b.accept(0, &[&layout], &sent).is_err());
        assert!(a.accept(0, &[&layout], &sent).is_err() && a.accept(1, &[&layout], &sent).is_err());
        // A form.
        let (m, k, j) = (6, 70, 5);
        let p = a.parameters().clone();
        for side in [Side::Left, Side::Right] {
            let layout = Layout::Blocks(Packing::matrix(&p, (m, k, j), side, DEPTH as usize).unwrap(), side);
            let (left, right, r) = (sample(m * k, 4), sample(k * j, 5), sample(m * j, 6));
            let (mine, theirs) = if side == Side::Left { (&left, &right) } else { (&right, &left) };
            let first = Layout::Slots(3);
            let sent = a.encrypt(&[(&first, &[1, 2, 3]), (&layout, mine)]).unwrap();
            let encrypted = b.accept(0, &[&first, &layout], &sent).unwrap().swap_remove(1);
            let answer = b.respond(0, &layout, &encrypted, theirs, &r).unwrap();
            assert_eq!(answer.len(), layout.response_bytes(&p));
            let mut out = vec![0; m * j];
            let (x, y) = (Matrix::new(&left, m, k, false).unwrap(), Matrix::new(&right, k, j, false).unwrap());
            matmul(Backend::best(), &mut out, x, y).unwrap();
            assert_eq!(less(&a.open(&layout, &answer).unwrap(), &r), out);
        }
        // MACs.
        let (alpha, whole) = (1001, Layout::Slots(DEGREE));
        let sent = b.encrypt(&[(&whole, &vec![alpha; DEGREE])]).unwrap();
        let encrypted = a.accept(1, &[&whole], &sent).unwrap().swap_remove(0);
        let encrypted = a.multiplier(&encrypted).unwrap();
        for (count, narrow) in [(1, false), (DEGREE + 5, false), (DEGREE + 5, true), (3, true)] {
            let (mut x, r) = (sample(count, 7), sample(count, 8));
            if narrow {
                x.iter_mut().for_each(|x| *x &= (1 << NARROW) - 1);
                x[1] = 1 << NARROW;
                assert!(a.scale(1, &encrypted, narrow, &x, &r).unwrap_err().to_string().contains("16 bits"));
                x[1] -= 1;
            }
            let answer = a.scale(1, &encrypted, narrow, &x, &r).unwrap();
            assert_eq!(answer.len(), b.scaled_bytes(count));
            let expected: Vec<u64> = x.iter().map(|&x| field::mul(x, alpha)).collect();
            assert_eq!(less(&b.open_scaled(count, &answer).unwrap(), &r), expected);
        }
    }

    #[test]
    fn a_stranger_or_altered_keys_are_refused() {
        let [mut a, b] = pair();
        assert!(a.meet(1, b.hello()).is_err() && a.meet(0, b.hello()).is_err() && a.meet(7, b.hello()).is_err());
        let mut fresh = Party::new(b"session", 0, 2, [9; 32]).unwrap();
        for at in [0, 30, b.hello().len() / 2, b.hello().len() - 1] {
            let mut altered = b.hello().to_vec();
            altered[at] ^= 1;
            assert!(fresh.meet(1, &altered).is_err(), "{at}");
        }
        assert!(fresh.multiplier(&[]).is_err());
        let other = Party::new(b"another session", 1, 2, [9; 32]).unwrap();
        assert!(fresh.meet(1, other.hello()).is_err());
        fresh.meet(1, b.hello()).unwrap();
        assert!(Party::new(b"session", 2, 2, [9; 32]).is_err());
    }
}
