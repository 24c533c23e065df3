//! Every kernel on every backend against its equation over 128-bit or unbounded integers.

use num_bigint::BigUint;
use tacit_core::conv::{self, Conv};
use tacit_core::divide::Divisor;
use tacit_core::fixed::{self, EncodeError, Truncation};
use tacit_core::matmul::{matmul, Matrix};
use tacit_core::vector::{self, MaskedProduct};
use tacit_core::{field, Backend, Prg, P};

const EDGES: [u64; 12] = [
    0,
    1,
    P - 1,
    P - 2,
    1 << 60,
    (1 << 52) - 1,
    1 << 52,
    (1 << 21) - 1,
    (1 << 42) - 1,
    P / 2,
    P / 2 + 1,
    (1 << 61) - (1 << 22),
];

fn sample(n: usize, seed: u64) -> Vec<u64> {
    let mut out = vec![0; n];
    Prg::new(&[7; 16], seed).unwrap().field(&mut out).unwrap();
    for (i, v) in out.iter_mut().enumerate() {
        if (*v >> 30) & 3 == 0 {
            *v = EDGES[(i + seed as usize) % EDGES.len()];
        }
    }
    out
}

fn product(a: &[u64], b: &[u64], (m, k, n): (usize, usize, usize)) -> Vec<u64> {
    let entry = |i: usize, j: usize| {
        (0..k).fold(0, |s, l| (s + a[i * k + l] as u128 * b[l * n + j] as u128 % P as u128) % P as u128)
    };
    (0..m * n).map(|at| entry(at / n, at % n) as u64).collect()
}

fn transpose(a: &[u64], rows: usize, cols: usize) -> Vec<u64> {
    (0..rows * cols).map(|at| a[at % rows * cols + at / rows]).collect()
}

#[test]
fn elementwise() {
    for &be in Backend::available() {
        for n in (0..40).chain([1000, 200_003]) {
            let v: Vec<Vec<u64>> = (0..5).map(|s| sample(n, s + n as u64)).collect();
            let mut out = vec![0; n];
            let check = |name: &str, out: &[u64], f: &dyn Fn(usize) -> u128| {
                (0..n).for_each(|i| assert_eq!(out[i] as u128, f(i) % P as u128, "{be:?} {name} n={n} i={i}"));
            };
            let (p, w) = (P as u128, |s: usize, i: usize| v[s][i] as u128);
            vector::add(be, &mut out, &v[0], &v[1]).unwrap();
            check("add", &out, &|i| w(0, i) + w(1, i));
            vector::sub(be, &mut out, &v[0], &v[1]).unwrap();
            check("sub", &out, &|i| w(0, i) + p - w(1, i));
            vector::mul(be, &mut out, &v[0], &v[1]).unwrap();
            check("mul", &out, &|i| w(0, i) * w(1, i));
            vector::neg(be, &mut out, &v[0]).unwrap();
            check("neg", &out, &|i| p - w(0, i));
            for k in EDGES {
                let kw = k as u128;
                vector::scale(be, &mut out, &v[0], k).unwrap();
                check("scale", &out, &|i| w(0, i) * kw);
                vector::add_scalar(be, &mut out, &v[0], k).unwrap();
                check("add_scalar", &out, &|i| w(0, i) + kw);
                for c in [None, Some(&v[4][..])] {
                    let parts = MaskedProduct { d: &v[0], y: &v[1], x: &v[2], e: &v[3], k, c };
                    vector::multiply_open(be, &mut out, parts).unwrap();
                    check("multiply_open", &out, &|i| {
                        let right = (w(1, i) + p - kw * w(3, i) % p) % p;
                        w(0, i) * right % p + w(2, i) * w(3, i) % p + c.map_or(0, |c| c[i] as u128)
                    });
                }
            }
            let dot = (0..n).fold(0u128, |s, i| (s + w(0, i) * w(1, i) % p) % p);
            assert_eq!(vector::dot(be, &v[0], &v[1]).unwrap() as u128, dot, "{be:?} dot n={n}");
        }
    }
}

#[test]
fn inverses() {
    for n in [0, 1, 127, 128, 129, 100_003] {
        let a = sample(n, 5);
        let mut out = vec![7; n];
        vector::inverse(&mut out, &a).unwrap();
        assert!(a.iter().zip(&out).all(|(&a, &b)| field::mul(a, b) == (a != 0) as u64 && (a != 0 || b == 0)));
    }
    assert!(vector::inverse(&mut [0], &[1, 2]).is_err());
}

#[test]
fn edges_against_edges() {
    let a: Vec<u64> = EDGES.iter().flat_map(|&a| [a; EDGES.len()]).collect();
    let b: Vec<u64> = EDGES.iter().cycle().take(a.len()).copied().collect();
    for &be in Backend::available() {
        let mut out = vec![0; a.len()];
        vector::mul(be, &mut out, &a, &b).unwrap();
        (0..a.len()).for_each(|i| assert_eq!(out[i] as u128, a[i] as u128 * b[i] as u128 % P as u128, "{be:?} {i}"));
    }
}

#[test]
fn products_of_matrices() {
    let small = [0, 1, 2, 3, 5, 9, 17];
    let mut shapes: Vec<_> = small.iter().flat_map(|&m| small.map(|n| (m, (m * 7 + n * 3) % 19, n))).collect();
    shapes.extend([
        (64, 64, 64),
        (70, 33, 66),
        (97, 300, 79),
        (130, 520, 64),
        (5, 300, 100),
        (33, 1100, 10),
        (7, 2100, 1),
    ]);
    shapes.extend([(1, 1030, 3), (300, 9, 32), (2, 129, 2), (64, 0, 64), (128, 257, 10), (220, 70, 223)]);
    for &be in Backend::available() {
        for &(m, k, n) in &shapes {
            let (a, b, add) = (sample(m * k, 1), sample(k * n, 2), sample(m * n, 3));
            let expected: Vec<u64> =
                product(&a, &b, (m, k, n)).iter().zip(&add).map(|(&x, &y)| field::add(x, y)).collect();
            let (at, bt) = (transpose(&a, m, k), transpose(&b, k, n));
            for (ta, tb) in [(false, false), (true, false), (false, true), (true, true)] {
                let left = if ta { Matrix::new(&at, k, m, true) } else { Matrix::new(&a, m, k, false) };
                let right = if tb { Matrix::new(&bt, n, k, true) } else { Matrix::new(&b, k, n, false) };
                let mut out = add.clone();
                matmul(be, &mut out, left.unwrap(), right.unwrap()).unwrap();
                assert!(out == expected, "{be:?} {m}x{k}x{n} {ta} {tb}");
            }
        }
    }
}

#[test]
fn long_sums_do_not_overflow() {
    for value in [P - 1, (1 << 52) - 1, (1 << 61) - (1 << 22), P - (1 << 42), (1 << 60) + (1 << 21) - 1] {
        for k in [1023, 1024, 1025, 20_000, 70_001] {
            let square = BigUint::from(value) * BigUint::from(value) * BigUint::from(k);
            let expected = u64::try_from(square % BigUint::from(P)).unwrap();
            let line = vec![value; k * 3];
            for &be in Backend::available() {
                assert_eq!(vector::dot(be, &line[..k], &line[..k]).unwrap(), expected, "{be:?} dot {k}");
                for (m, n) in [(2, 3), (3, 1), (1, 3)] {
                    let (a, b) = (&line[..m * k], &line[..n * k]);
                    let mut out = vec![0; m * n];
                    let (a, b) = (Matrix::new(a, m, k, false).unwrap(), Matrix::new(b, k, n, false).unwrap());
                    matmul(be, &mut out, a, b).unwrap();
                    assert!(out.iter().all(|&v| v == expected), "{be:?} {m}x{k}x{n}");
                }
            }
        }
        let k = 1500;
        let square = BigUint::from(value) * BigUint::from(value) * BigUint::from(k);
        let expected = u64::try_from(square % BigUint::from(P)).unwrap();
        let line = vec![value; k * 220];
        for &be in Backend::available() {
            let mut out = vec![0; 220 * 220];
            let (a, b) = (Matrix::new(&line, 220, k, false).unwrap(), Matrix::new(&line, k, 220, false).unwrap());
            matmul(be, &mut out, a, b).unwrap();
            assert!(out.iter().all(|&v| v == expected), "{be:?} packed");
        }
    }
}

fn loops(s: Conv, mut visit: impl FnMut(usize, usize, usize)) {
    let (h, v) = s.output().unwrap();
    for n in 0..s.batch {
        for o in 0..s.filters {
            for c in 0..s.channels {
                for i in 0..s.kernel.0 {
                    for j in 0..s.kernel.1 {
                        for y in 0..h {
                            for x in 0..v {
                                let row = (y * s.stride.0 + i).wrapping_sub(s.padding.0);
                                let col = (x * s.stride.1 + j).wrapping_sub(s.padding.1);
                                if row < s.size.0 && col < s.size.1 {
                                    let at = ((n * s.channels + c) * s.size.0 + row) * s.size.1 + col;
                                    let w = ((o * s.channels + c) * s.kernel.0 + i) * s.kernel.1 + j;
                                    visit(at, w, ((n * s.filters + o) * h + y) * v + x);
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn correlations() {
    let base =
        Conv { batch: 2, channels: 3, size: (7, 9), filters: 5, kernel: (3, 3), stride: (1, 1), padding: (1, 1) };
    let shapes = [
        base,
        Conv { channels: 1, size: (28, 28), filters: 32, padding: (0, 0), ..base },
        Conv { channels: 1, size: (28, 28), filters: 32, batch: 5, ..base },
        Conv { channels: 8, size: (14, 14), filters: 9, ..base },
        Conv { stride: (2, 1), padding: (0, 2), kernel: (2, 3), ..base },
        Conv { stride: (3, 2), padding: (2, 1), kernel: (1, 4), batch: 1, ..base },
        Conv { kernel: (7, 9), padding: (0, 0), filters: 1, ..base },
        Conv { batch: 0, ..base },
        Conv { channels: 0, ..base },
        Conv { kernel: (1, 1), padding: (3, 3), stride: (2, 2), ..base },
    ];
    for s in shapes {
        let (h, v) = s.output().unwrap();
        let x = sample(s.batch * s.channels * s.size.0 * s.size.1, 1);
        let w = sample(s.filters * s.channels * s.kernel.0 * s.kernel.1, 2);
        let y = sample(s.batch * s.filters * h * v, 3);
        let (mut ey, mut ex, mut ew) = (y.clone(), x.clone(), w.clone());
        loops(s, |i, j, o| {
            ey[o] = field::add(ey[o], field::mul(x[i], w[j]));
            ex[i] = field::add(ex[i], field::mul(y[o], w[j]));
            ew[j] = field::add(ew[j], field::mul(y[o], x[i]));
        });
        for &be in Backend::available() {
            let (mut oy, mut ox, mut ow) = (y.clone(), x.clone(), w.clone());
            conv::conv2d(be, &mut oy, &x, &w, s).unwrap();
            conv::conv2d_input(be, &mut ox, &y, &w, s).unwrap();
            conv::conv2d_weight(be, &mut ow, &y, &x, s).unwrap();
            assert!(oy == ey, "{be:?} conv2d {s:?}");
            assert!(ox == ex, "{be:?} conv2d_input {s:?}");
            assert!(ow == ew, "{be:?} conv2d_weight {s:?}");
        }
    }
}

#[test]
fn sums_over_an_axis() {
    for (outer, length, inner) in
        [(3, 5, 4), (1, 1000, 1), (4, 13, 1), (2, 0, 3), (0, 3, 3), (1, 3, 70_000), (900, 100, 1)]
    {
        let a = sample(outer * length * inner, 9);
        let mut out = vec![1; outer * inner];
        vector::sum(&mut out, &a, outer, length, inner).unwrap();
        for (at, &found) in out.iter().enumerate() {
            let (o, i) = (at / inner, at % inner);
            let exact: u128 = (0..length).map(|l| a[(o * length + l) * inner + i] as u128).sum();
            assert_eq!(found as u128, exact % P as u128);
        }
    }
}

#[test]
fn truncation() {
    let n = 1003;
    let (c, top, high) = (sample(n, 1), sample(n, 2), sample(n, 3));
    for &be in Backend::available() {
        for (k, d, constant) in [
            (0, 1, 0),
            (1, 1 << 16, 77),
            (P - 1, 1 << 32, P - 1),
            (P / 3, 1 << 60, 5),
            (1, 2, 1),
            (7, 3, 1),
            (1, 10_737_418_240_000, 9),
        ] {
            let mut out = vec![0; n];
            let v = Truncation { c: &c, top: &top, high: &high, k, divisor: Divisor::new(d).unwrap(), constant };
            fixed::truncation_local(be, &mut out, v).unwrap();
            for i in 0..n {
                let p = P as u128;
                let wrap = (c[i] as u128 + p) / d as u128 - (c[i] / d) as u128;
                let e = if c[i] < (P - 1) / 2 { wrap } else { 0 };
                let shifted = ((c[i] / d) as u128 + p - constant as u128) % p;
                let expected = (k as u128 * shifted % p + e * top[i] as u128 % p + p - high[i] as u128) % p;
                assert_eq!(out[i] as u128, expected, "{be:?} k={k} d={d}");
            }
        }
    }
}

#[test]
fn numbers() {
    let x = [0.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.25, -7.75, 1e-300, -1e-300];
    let mut out = [0; 11];
    fixed::encode(&mut out, &x, 0, 10).unwrap();
    assert_eq!(out, [0, 0, 2, 2, 0, P - 2, P - 2, 3, P - 8, 0, 0]);
    fixed::encode(&mut out, &x, 2, 10).unwrap();
    assert_eq!(&out[..4], &[0, 2, 6, 10]);
    let mut back = [0.0; 4];
    fixed::decode(&mut back, &[1 << 16, P - (1 << 15), 0, P - 1], 16).unwrap();
    assert_eq!(back, [1.0, -0.5, 0.0, -1.0 / 65536.0]);
    for (bad, at) in [(f64::NAN, 1), (f64::INFINITY, 1), (f64::NEG_INFINITY, 1), (1024.0, 1), (-1024.0, 1), (1023.5, 1)]
    {
        assert_eq!(fixed::encode(&mut [0; 3], &[0.0, bad, bad], 0, 10), Err(EncodeError::Value(at)));
    }
    assert!(fixed::encode(&mut [0; 2], &[1023.25, -1023.25], 0, 10).is_ok());
    assert!(matches!(fixed::encode(&mut [0], &[0.0], 0, 61), Err(EncodeError::Shape(_))));
    let signed = [i64::MIN, i64::MAX, -1, 0, 1, -(P as i64), P as i64, (P / 2) as i64, -((P / 2) as i64)];
    let mut elements = [0; 9];
    vector::from_signed(&mut elements, &signed).unwrap();
    for (&s, &e) in signed.iter().zip(&elements) {
        assert_eq!(e as i128, (s as i128).rem_euclid(P as i128));
    }
    let mut again = [0; 9];
    vector::to_signed(&mut again, &elements).unwrap();
    assert_eq!(&again[2..5], &signed[2..5]);
    assert_eq!(&again[7..], &signed[7..]);
    assert!(vector::is_canonical(&[0, P - 1]) && !vector::is_canonical(&[0, P]) && !vector::is_canonical(&[u64::MAX]));
}

#[test]
fn bad_shapes_are_errors() {
    let be = Backend::best();
    let mut out = [0; 4];
    assert!(vector::add(be, &mut out, &[0; 3], &[0; 4]).is_err());
    assert!(vector::dot(be, &[0; 3], &[0; 4]).is_err());
    assert!(vector::sum(&mut out, &[0; 12], usize::MAX, 2, 2).is_err());
    assert!(Matrix::new(&[0; 6], 2, 2, false).is_err());
    let (a, b) = (Matrix::new(&[0; 6], 2, 3, false).unwrap(), Matrix::new(&[0; 4], 2, 2, false).unwrap());
    assert!(matmul(be, &mut out, a, b).is_err());
    let s = Conv { batch: 1, channels: 1, size: (2, 2), filters: 1, kernel: (3, 3), stride: (1, 1), padding: (0, 0) };
    assert!(s.output().is_err());
    assert!(Conv { padding: (usize::MAX, 0), ..s }.output().is_err());
    assert!(Conv { kernel: (1, 1), stride: (0, 1), ..s }.output().is_err());
    assert!(conv::conv2d(be, &mut out, &[0; 4], &[0; 2], Conv { kernel: (1, 1), ..s }).is_err());
    assert!(Prg::new(&[0; 15], 0).is_err());
    assert!(Prg::new(&[0; 16], 0).unwrap().below(&mut out, 0).is_err());
    assert!(Prg::new(&[0; 16], 0).unwrap().below(&mut out, P + 1).is_err());
}
