//! Bytes of a peer that are not what an honest one sends: refused or, where nothing tells them from others, taken; never a panic.
//!
//! Mutations of honest messages, and noise, drawn from a seed: a few for each decoder. `make fuzz` follows coverage (`fuzz/`).

use tacit_core::lattice::{Layout, Party};
use tacit_core::{code, Error, P};

struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// `honest`, but for a few bits, a stretch of ones or zeros, its length, or all of it.
    fn altered(&mut self, honest: &[u8]) -> Vec<u8> {
        let mut out = honest.to_vec();
        while out == honest {
            self.alter(&mut out);
        }
        out
    }

    fn alter(&mut self, out: &mut Vec<u8>) {
        let (at, length) = (self.below(out.len()), 1 + self.below(64));
        let end = (at + length).min(out.len());
        match self.below(6) {
            0 => out[at] ^= 1 << self.below(8),
            1 => out[at..end].fill(0xff),
            2 => out[at..end].iter_mut().for_each(|b| *b = !*b),
            3 => drop(out.drain(at..end)),
            4 => out.extend_from_within(at..end),
            _ => out.iter_mut().for_each(|b| *b = self.next() as u8),
        }
    }
}

const EXAMPLES: usize = 6;

fn party(me: u32) -> Party {
    Party::new(b"session", me, 2, [me as u8 + 1; 32]).unwrap()
}

/// The sender is at fault, not whoever reads it.
fn blamed<T>(found: Result<T, Error>) {
    match found {
        Err(Error::Malformed(_) | Error::Proof(_)) => {}
        Err(Error::Shape(message)) => panic!("blamed on the reader: {message}"),
        Ok(_) => panic!("an altered message was taken"),
    }
}

#[test]
fn keys() {
    let (mut a, b) = (party(0), party(1));
    let mut draw = Draw(1);
    for _ in 0..EXAMPLES {
        blamed(a.meet(1, &draw.altered(b.hello())));
    }
    a.meet(1, b.hello()).unwrap(); // what was refused leaves no trace
}

#[test]
fn ciphertexts_and_answers() {
    let (mut a, mut b) = (party(0), party(1));
    let hellos = [a.hello().to_vec(), b.hello().to_vec()];
    a.meet(1, &hellos[1]).unwrap();
    b.meet(0, &hellos[0]).unwrap();
    let layout = Layout::Slots(100);
    let sent = a.encrypt(&[(&layout, &[7; 100])]).unwrap();
    let mut draw = Draw(2);
    for _ in 0..EXAMPLES {
        blamed(b.accept(0, &[&layout], &draw.altered(&sent)));
    }
    let encrypted = b.accept(0, &[&layout], &sent).unwrap().swap_remove(0);
    let answer = b.respond(0, &layout, &encrypted, &[3; 100], &[1; 100]).unwrap();
    for _ in 0..10 * EXAMPLES {
        // An answer is proved by nothing: the sacrifice tests what comes of it.
        for opened in [a.open(&layout, &draw.altered(&answer)), a.open_scaled(100, &draw.altered(&answer))] {
            match opened {
                Ok(numbers) => assert!(numbers.len() == 100 && numbers.iter().all(|&v| v < P)),
                refused => blamed(refused),
            }
        }
    }
}

/// Mistakes of the reader, with honest messages: no peer is at fault.
#[test]
fn the_readers_own_mistakes() {
    fn own<T>(found: Result<T, Error>) {
        assert!(matches!(found, Err(Error::Shape(_))));
    }
    let (mut a, mut b) = (party(0), party(1));
    let hellos = [a.hello().to_vec(), b.hello().to_vec()];
    own(a.meet(0, &hellos[1])); // itself
    own(a.meet(2, &hellos[1]));
    let layout = Layout::Slots(100);
    let sent = a.encrypt(&[(&layout, &[7; 100])]).unwrap();
    own(b.accept(0, &[&layout], &sent)); // not met yet
    a.meet(1, &hellos[1]).unwrap();
    b.meet(0, &hellos[0]).unwrap();
    own(a.meet(1, &hellos[1])); // twice
    own(a.encrypt(&[(&layout, &[7; 99])]));
    own(a.encrypt(&[(&layout, &[P; 100])]));
    let encrypted = b.accept(0, &[&layout], &sent).unwrap().swap_remove(0);
    own(b.respond(0, &layout, &encrypted, &[3; 99], &[1; 100]));
    own(b.respond(0, &layout, &[], &[3; 100], &[1; 100]));
    own(b.respond(2, &layout, &encrypted, &[3; 100], &[1; 100]));
    own(b.multiplier(&[]));
}

/// Honest messages in a place where they are not.
#[test]
fn replays() {
    let (mut a, mut b) = (party(0), party(1));
    let hellos = [a.hello().to_vec(), b.hello().to_vec()];
    assert!(matches!(b.meet(0, &hellos[1]), Err(Error::Proof(_)))); // its own keys, sent back
    a.meet(1, &hellos[1]).unwrap();
    b.meet(0, &hellos[0]).unwrap();
    let layout = Layout::Slots(100);
    let sent = a.encrypt(&[(&layout, &[7; 100])]).unwrap();
    b.accept(0, &[&layout], &sent).unwrap();
    assert!(matches!(b.accept(0, &[&layout], &sent), Err(Error::Proof(_))));
}

#[test]
fn words_of_a_code() {
    let mut draw = Draw(3);
    for _ in 0..1000 * EXAMPLES {
        let (n, degree, most) = (draw.below(12), draw.below(14), draw.below(14));
        let range = [4, 16, 1 << 20, P + 1][draw.below(4)];
        let mut some = |n: usize| (0..n).map(|_| draw.next() % range).collect::<Vec<_>>();
        let (points, values) = (some(n), some(n));
        if let Ok(Some(wrong)) = code::errors(&points, &values, degree, most) {
            assert!(wrong.len() <= most && wrong.iter().all(|&i| i < n));
            assert!(2 * wrong.len() <= n.saturating_sub(degree + 1));
        }
    }
}
