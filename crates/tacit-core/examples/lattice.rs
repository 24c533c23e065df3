//! Times and sizes of the lattice layer:  cargo run --release --example lattice

use std::time::Instant;
use tacit_core::conv::Conv;
use tacit_core::lattice::ring::Ring;
use tacit_core::lattice::{Demand, Entropy, Operand, Packing, Parameters, Plaintext, SecretKey, Side, Statement, Sum};
use tacit_core::Error;

/// The median of nine runs, in milliseconds.
fn time<T>(mut work: impl FnMut() -> Result<T, Error>) -> Result<f64, Error> {
    time_of(9, || Ok(()), |()| work())
}

/// The median of some runs, each of an input that is made before the clock starts.
fn time_of<I, T>(
    runs: usize,
    mut input: impl FnMut() -> Result<I, Error>,
    mut work: impl FnMut(I) -> Result<T, Error>,
) -> Result<f64, Error> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let input = input()?;
        let start = Instant::now();
        std::hint::black_box(work(input)?);
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[runs / 2])
}

fn steps(name: &str, demand: Demand) -> Result<(), Error> {
    let parameters = Parameters::new(demand)?;
    let (n, budget) = (parameters.degree(), parameters.budget());
    let bits: Vec<u32> = parameters.primes().iter().map(|q| q.ilog2() + 1).collect();
    println!("{name}: N = {n}, log2 q = {:.1}, primes of {bits:?} bits", parameters.log2_q());
    let log = |x: f64| format!("2^{:.1}", x.log2());
    println!(
        "  noise: fresh {}, sum {}, response {} of {}; switched {}, sent {} of {}; drowning {} bits",
        log(budget.fresh),
        log(budget.sum),
        log(budget.response),
        log(budget.limit),
        log(budget.switched),
        log(budget.extracted),
        log(budget.tail_limit),
        budget.drowning_bits
    );
    let mut entropy = Entropy::from_os()?;
    let secret = SecretKey::generate(&parameters, &mut entropy)?;
    let public = secret.public(b"example", &mut entropy)?;
    let mut v = vec![0; n];
    entropy.prg()?.field(&mut v)?;
    let message = Plaintext::from_slots(&parameters, &v)?;
    let operand = Operand::new(&parameters, &message)?;
    let ciphertext = public.encrypt(&message, &mut entropy)?;
    let all: Vec<usize> = (0..n).collect();
    let mut sum = Sum::new(&parameters);
    let product = time(|| {
        sum = Sum::new(&parameters);
        sum.add(&ciphertext, &operand)
    })?;
    let respond = time(|| {
        let mut sum = Sum::new(&parameters);
        sum.add(&ciphertext, &operand)?;
        public.respond(sum, &all, &v, &mut entropy)
    })?;
    let response = public.respond(sum, &all, &v, &mut entropy)?;
    let bytes = ciphertext.to_bytes()?;
    let ring = Ring::new(n, &parameters.primes())?;
    let mut x = ring.zero();
    let transform = time(|| {
        ring.forward(&mut x);
        Ok(())
    })?;
    let times = [
        ("transform, one prime", transform / bits.len() as f64),
        ("slots to polynomial", time(|| Plaintext::from_slots(&parameters, &v))?),
        ("operand: lift and transform", time(|| Operand::new(&parameters, &message))?),
        ("encrypt, secret key", time(|| secret.encrypt(&message, &mut entropy))?),
        ("encrypt, public key", time(|| public.encrypt(&message, &mut entropy))?),
        ("ciphertext x operand", product),
        ("the same and its response", respond),
        ("open a response", time(|| secret.open(&response, &all))?),
        ("decrypt a ciphertext", time(|| secret.decrypt(&ciphertext))?),
        ("ciphertext to bytes", time(|| ciphertext.to_bytes())?),
        ("ciphertext from bytes", time(|| tacit_core::lattice::Ciphertext::from_bytes(&parameters, &bytes))?),
    ];
    times.iter().for_each(|(what, ms)| println!("  {what:30} {ms:8.3} ms"));
    println!(
        "  bytes: ciphertext {}, seeded {}, response of all coefficients {}, of 100 {}",
        parameters.ciphertext_bytes(),
        parameters.seeded_bytes(),
        parameters.response_bytes(n),
        parameters.response_bytes(100)
    );
    let conv = |batch, channels, size, filters, padding| Conv {
        batch,
        channels,
        size: (size, size),
        filters,
        kernel: (3, 3),
        stride: (1, 1),
        padding: (padding, padding),
    };
    let most = demand.products as usize;
    let forms = [
        ("128 x 1568 by 1568 x 10", Packing::matrix(&parameters, (128, 1568, 10), Side::Right, most)?),
        ("conv 1 -> 32, 28 x 28, batch 128", Packing::conv2d(&parameters, conv(128, 1, 28, 32, 1), Side::Right, most)?),
        (
            "conv 32 -> 32, 14 x 14, batch 128",
            Packing::conv2d(&parameters, conv(128, 32, 14, 32, 1), Side::Right, most)?,
        ),
    ];
    for (what, packing) in forms {
        let (up, outputs) = (packing.polynomials(Side::Right), packing.outputs());
        let down: usize = outputs.iter().map(|&outputs| parameters.response_bytes(outputs)).sum();
        let up = up as f64 * parameters.ciphertext_bytes() as f64 / 1e6;
        println!("  {what:34} {:5} products, {up:6.1} MB up, {:6.1} MB down", packing.products(), down as f64 / 1e6);
    }
    Ok(())
}

/// The proof of a batch under the parameters that its slack asks for.
fn proof(demand: Demand, count: usize) -> Result<(), Error> {
    let (n, statement) = (1 << 14, Statement::Ciphertexts);
    let slack = statement.slack(n, count);
    let parameters = Parameters::new(Demand { slack, key_slack: Statement::Key.slack(n, 1), ..demand })?;
    let mut entropy = Entropy::from_os()?;
    let secret = SecretKey::generate(&parameters, &mut entropy)?;
    let public = secret.public(b"example", &mut entropy)?;
    let message = |v: u64| Plaintext::from_slots(&parameters, &vec![v; parameters.degree()]);
    let messages: Vec<_> = (0..count as u64).map(message).collect::<Result<_, _>>()?;
    let (ciphertexts, proof) = public.prove(statement, b"", &messages, &mut entropy)?;
    let prove = |()| public.prove(statement, b"", &messages, &mut entropy);
    let proving = time_of(3, || Ok(()), prove)? / count as f64;
    let accept = |ciphertexts| public.accept(statement, b"", ciphertexts, &proof);
    let verifying = time_of(3, || Ok(ciphertexts.clone()), accept)? / count as f64;
    println!(
        "  {statement:?} x {count}: slack 2^{:.1}, log2 q {:.0}, {} primes, of each: prove {proving:.2} ms, verify {verifying:.2} ms, {} bytes",
        statement.slack(n, count).log2(),
        parameters.log2_q(),
        parameters.primes().len(),
        statement.proof_bytes(&parameters, count) / count
    );
    Ok(())
}

/// The proof of a key.
fn key(demand: Demand) -> Result<(), Error> {
    let parameters = Parameters::new(demand)?;
    let mut entropy = Entropy::from_os()?;
    let secret = SecretKey::generate(&parameters, &mut entropy)?;
    let both = time(|| {
        let (public, proof) = secret.prove_public(b"example", b"", &mut entropy)?;
        public.verify(b"", &proof)
    })?;
    let bytes = Statement::Key.proof_bytes(&parameters, 1);
    println!("  Key: slack 2^{:.1}, both {both:.0} ms, {bytes} bytes", demand.key_slack.log2());
    Ok(())
}

fn main() -> Result<(), Error> {
    let demand = Demand { security: 128, degree: None, products: 64, drowning: 72, slack: 1.0, key_slack: 1.0 };
    steps("honest but curious, drowning of 53 bits", Demand { drowning: 53, products: 16, ..demand })?;
    let (n, batch) = (1 << 14, 16);
    let slack = Statement::Ciphertexts.slack(n, batch);
    let active = Demand { slack, key_slack: Statement::Key.slack(n, 1), ..demand };
    steps("active", active)?;
    for batch in [1, 16, 32, 64] {
        proof(active, batch)?;
    }
    key(active)
}
