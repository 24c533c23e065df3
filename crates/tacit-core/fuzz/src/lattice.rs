//! Messages of a peer's preparation: keys, ciphertexts with proofs, answers, products with a MAC key.
//!
//! Each takes many kilobytes, of which few are looked at before all others. So an input is a list of edits of an honest message:
//!     what | (place, 3 bytes | how many | byte | what is done)*
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tacit_core::lattice::{Layout, Party};
use tacit_core::{Error, P};

const COUNT: usize = 100;

struct World {
    fresh: Party,
    a: Party,
    b: Party,
    honest: [Vec<u8>; 4],
}

fn world() -> World {
    let party = |me: u32| Party::new(b"session", me, 2, [me as u8 + 1; 32]).unwrap();
    let (fresh, mut a, mut b) = (party(0), party(0), party(1));
    let keys = [a.hello().to_vec(), b.hello().to_vec()];
    a.meet(1, &keys[1]).unwrap();
    b.meet(0, &keys[0]).unwrap();
    let layout = Layout::Slots(COUNT);
    let sent = a.encrypt(&[(&layout, &[7; COUNT])]).unwrap();
    let mut reader = party(1);
    reader.meet(0, &keys[0]).unwrap();
    let encrypted = reader.accept(0, &[&layout], &sent).unwrap().swap_remove(0);
    let answer = reader.respond(0, &layout, &encrypted, &[3; COUNT], &[1; COUNT]).unwrap();
    let alpha = reader.multiplier(&encrypted).unwrap();
    let scaled = reader.scale(0, &alpha, false, &[5; COUNT], &[1; COUNT]).unwrap();
    let [_, theirs] = keys;
    World { fresh, a, b, honest: [theirs, sent, answer, scaled] }
}

fn edited(honest: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut out = honest.to_vec();
    for edit in edits.chunks_exact(6) {
        let at = u32::from_le_bytes([edit[0], edit[1], edit[2], 0]) as usize % out.len().max(1);
        let end = (at + edit[3] as usize).min(out.len());
        match edit[5] % 5 {
            0 => out[at..end].fill(edit[4]),
            1 => out[at..end].iter_mut().for_each(|b| *b ^= edit[4]),
            2 => drop(out.drain(at..end)),
            3 => out.extend_from_within(at..end),
            _ => out.truncate(at),
        }
    }
    out
}

/// Refused, and the sender is at fault.
fn blamed<T>(found: Result<T, Error>) -> bool {
    matches!(found, Err(Error::Malformed(_) | Error::Proof(_)))
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world());
}

fuzz_target!(|data: &[u8]| {
    let Some((&what, edits)) = data.split_first() else { return };
    WORLD.with_borrow_mut(|world| {
        let (layout, what) = (Layout::Slots(COUNT), what as usize % 4);
        let honest = &world.honest[what];
        // Bytes by themselves, too.
        let message = if edits.len() % 6 == 1 { edits.to_vec() } else { edited(honest, edits) };
        let same = message == *honest;
        match what {
            0 if !same => assert!(blamed(world.fresh.meet(1, &message))),
            1 if !same => assert!(blamed(world.b.accept(0, &[&layout], &message))),
            // No proof comes with an answer: the sacrifice tests what becomes of it.
            2 | 3 => {
                let opened =
                    if what == 2 { world.a.open(&layout, &message) } else { world.a.open_scaled(COUNT, &message) };
                match opened {
                    Ok(numbers) => assert!(numbers.len() == COUNT && numbers.iter().all(|&v| v < P)),
                    refused => assert!(blamed(refused)),
                }
            }
            _ => {}
        }
    });
});
