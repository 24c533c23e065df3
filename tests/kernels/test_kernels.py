"""The kernels as Python sees them: equations over Python's integers, refusals, determinism, and the released GIL."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit import _core

P = _core.P
BACKENDS = _core.backends()
EDGES = [0, 1, 2, P - 1, P - 2, P // 2, P // 2 + 1, 1 << 60, (1 << 52) - 1, 1 << 52, (1 << 42) - 1, (1 << 21) - 1]
elements = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))

every_backend = pytest.mark.parametrize("backend", BACKENDS)


def words(*shape: int, seed: int = 0) -> np.ndarray:
    """Elements of every kind, one in four from the edges."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, P, size=shape, dtype=np.uint64)
    edges = rng.choice(np.array(EDGES, dtype=np.uint64), size=shape)
    return np.where(rng.integers(0, 4, size=shape) == 0, edges, a).astype(np.uint64)


def exact(a: np.ndarray) -> np.ndarray:
    return a.astype(object)


def same(found: np.ndarray, expected: Any) -> bool:
    expected = np.asarray(expected, dtype=object)
    return found.dtype == np.uint64 and found.shape == expected.shape and bool(np.all(exact(found) == expected % P))


def test_names() -> None:
    assert P == 2**61 - 2**21 + 1
    assert BACKENDS[-1] == "portable"
    assert _core.backend() in BACKENDS
    with pytest.raises(ValueError, match="abacus"):
        _core.add(words(3), words(3), backend="abacus")


@every_backend
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (8,), (9,), (16, 3), (2, 3, 5), (), (1031,)])
def test_elementwise(backend: str, shape: tuple[int, ...]) -> None:
    d, y, x, e, c = (words(*shape, seed=s) for s in range(5))
    D, Y, X, E, C = map(exact, (d, y, x, e, c))
    assert same(_core.add(d, y, backend=backend), D + Y)
    summed = d.copy()
    _core.accumulate(summed, y, backend=backend)
    assert same(summed, D + Y)
    assert same(_core.sub(d, y, backend=backend), D - Y)
    assert same(_core.mul(d, y, backend=backend), D * Y)
    assert same(_core.neg(d, backend=backend), -D)
    assert np.all(exact(_core.inverse(d)) * D % P == (D != 0))
    for k in EDGES:
        assert same(_core.scale(d, k, backend=backend), D * k)
        assert same(_core.add_scalar(d, k, backend=backend), D + k)
        assert same(_core.multiply_open(d, y, x, e, k, backend=backend), D * Y + X * E - k * D * E)
        assert same(_core.multiply_open(d, y, x, e, k, c, backend=backend), D * Y + X * E - k * D * E + C)
    assert _core.dot(d, y, backend=backend) == sum(np.ravel(D * Y).tolist()) % P


@every_backend
@settings(max_examples=60, deadline=None)
@given(a=st.lists(elements, max_size=20), k=elements, data=st.data())
def test_elementwise_properties(backend: str, a: list[int], k: int, data: st.DataObject) -> None:
    b = data.draw(st.lists(elements, min_size=len(a), max_size=len(a)))
    x, y = np.array(a, dtype=np.uint64), np.array(b, dtype=np.uint64)
    assert _core.mul(x, y, backend=backend).tolist() == [u * v % P for u, v in zip(a, b, strict=True)]
    assert _core.sub(x, y, backend=backend).tolist() == [(u - v) % P for u, v in zip(a, b, strict=True)]
    assert _core.scale(x, k, backend=backend).tolist() == [u * k % P for u in a]
    found = _core.multiply_open(x, y, y, x, k, y, backend=backend).tolist()
    assert found == [(u * v + v * u - k * u * u + v) % P for u, v in zip(a, b, strict=True)]


SHAPES = [
    (1, 1, 1),
    (3, 5, 2),
    (17, 19, 33),
    (4, 130, 10),
    (5, 1100, 3),
    (70, 40, 66),
    (96, 300, 64),
    (0, 3, 2),
    (2, 0, 3),
    (3, 2, 0),
    (64, 1, 64),
    (224, 65, 222),
    (1, 200, 1),
]


@every_backend
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_matmul(backend: str, shape: tuple[int, int, int], transpose_a: bool, transpose_b: bool) -> None:
    m, k, n = shape
    a, b, plus = words(m, k), words(k, n, seed=1), words(m, n, seed=4)
    expected = exact(a) @ exact(b) if k else np.zeros((m, n), dtype=object)

    def left(v: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(v.T) if transpose_a else v

    def right(v: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(v.T) if transpose_b else v

    flags: dict[str, Any] = {"transpose_a": transpose_a, "transpose_b": transpose_b, "backend": backend}
    assert same(_core.matmul(left(a), right(b), **flags), expected)
    assert same(_core.matmul(left(a), right(b), add=plus, **flags), expected + exact(plus))


@every_backend
@pytest.mark.parametrize("value", [P - 1, P - 2, (1 << 52) - 1, (1 << 61) - (1 << 22), 1 << 60])
def test_long_sums(backend: str, value: int) -> None:
    k = 20_000
    a = np.full((220, k), value, dtype=np.uint64)
    expected = value * value * k % P
    assert _core.dot(a[0], a[1], backend=backend) == expected
    for n in (1, 10, 65):
        assert (_core.matmul(a[:2], a[:n], transpose_b=True, backend=backend) == expected).all()
    assert (
        _core.matmul(a[:, :3000].copy(), a[:, :3000].copy(), transpose_b=True, backend=backend)
        == value * value * 3000 % P
    ).all()


def correlate(x: np.ndarray, w: np.ndarray, stride: tuple[int, int], padding: tuple[int, int]) -> np.ndarray:
    """torch's conv2d, over Python's integers."""
    (sh, sw), (ph, pw) = stride, padding
    (n, c, h, v), (o, _, kh, kw) = x.shape, w.shape
    h, v = h + 2 * ph, v + 2 * pw
    padded = np.zeros((n, c, h, v), dtype=object)
    padded[:, :, ph : h - ph, pw : v - pw] = exact(x)
    ho, wo = (h - kh) // sh + 1, (v - kw) // sw + 1
    out = np.zeros((n, o, ho, wo), dtype=object)
    for i in range(kh):
        for j in range(kw):
            part = padded[:, :, i : i + sh * (ho - 1) + 1 : sh, j : j + sw * (wo - 1) + 1 : sw]
            out += np.moveaxis(np.tensordot(part, exact(w[:, :, i, j]), axes=([1], [1])), 3, 1)
    return out % P


CONVOLUTIONS = [
    ((2, 1, 9, 8), (4, 1, 3, 3), (1, 1), (0, 0)),
    ((2, 1, 28, 28), (32, 1, 3, 3), (1, 1), (1, 1)),
    ((1, 5, 14, 14), (7, 5, 3, 3), (1, 1), (1, 1)),
    ((2, 3, 7, 10), (4, 3, 3, 2), (2, 1), (1, 0)),
    ((3, 2, 8, 5), (1, 2, 1, 1), (3, 2), (2, 3)),
    ((1, 2, 5, 5), (3, 2, 5, 5), (1, 1), (0, 0)),
    ((2, 2, 6, 6), (3, 2, 2, 4), (2, 3), (0, 3)),
    ((0, 2, 6, 6), (3, 2, 3, 3), (1, 1), (1, 1)),
]


@every_backend
@pytest.mark.parametrize(("shape", "filters", "stride", "padding"), CONVOLUTIONS)
def test_convolutions(
    backend: str,
    shape: tuple[int, int, int, int],
    filters: tuple[int, int, int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> None:
    x, w = words(*shape), words(*filters, seed=1)
    expected = correlate(x, w, stride, padding)
    assert same(_core.conv2d(x, w, stride, padding, backend=backend), expected)
    g = words(*expected.shape, seed=2)
    assert same(_core.conv2d(x, w, stride, padding, g, backend=backend), expected + exact(g))
    # Both gradients are the adjoints of conv2d: test them against every unit vector's image, all at once.
    dx = _core.conv2d_input(g, w, shape, stride, padding, backend=backend)
    dw = _core.conv2d_weight(g, x, filters[2:], stride, padding, backend=backend)
    for seed in range(3, 6):
        u, v = words(*shape, seed=seed), words(*filters, seed=seed)
        inner = _core.dot(g, correlate(u, w, stride, padding).astype(np.uint64))
        assert _core.dot(dx, u) == inner
        assert _core.dot(dw, v) == _core.dot(g, correlate(x, v, stride, padding).astype(np.uint64))
    assert same(_core.conv2d_input(g, w, shape, stride, padding, x, backend=backend), exact(dx) + exact(x))
    assert same(_core.conv2d_weight(g, x, filters[2:], stride, padding, w, backend=backend), exact(dw) + exact(w))


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 100, 1), (2, 0, 3), (0, 2, 2), (7, 13, 1), (1, 1, 9)])
def test_sum(shape: tuple[int, int, int]) -> None:
    a = words(*shape)
    assert same(_core.sum(a, *shape), exact(a).sum(axis=1).reshape(-1) + np.zeros(shape[0] * shape[2], dtype=object))


def test_canonical_and_signed() -> None:
    a = words(1000)
    assert _core.is_canonical(a) and _core.is_canonical(words(0))
    for bad in (P, 2**64 - 1, 1 << 61):
        for at in (0, 500, 999):
            b = a.copy()
            b[at] = bad
            assert not _core.is_canonical(b)
    signed = _core.to_signed(a)
    assert signed.tolist() == [v - P if v > P // 2 else v for v in a.tolist()]
    assert (_core.from_signed(signed) == a).all()
    extremes = np.array([-(2**63), 2**63 - 1, -1, 0, P, -P], dtype=np.int64)
    assert _core.from_signed(extremes).tolist() == [v % P for v in extremes.tolist()]


def test_encoding() -> None:
    x = np.array([[0.0, 0.5, 1.5, -2.5], [1e-30, -3.75, 100.0, -100.0]])
    for scale in (0, 1, 16, 30):
        expected = [int(v) % P for v in np.rint(x.ravel() * 2.0**scale)]
        assert _core.encode(x, scale, 58).ravel().tolist() == expected
    assert (_core.decode(_core.encode(x, 16, 58), 16) == np.rint(x * 65536) / 65536).all()
    for bad in (np.nan, np.inf, -np.inf, 2.0**10, -(2.0**10), 1e300):
        y = x.copy()
        y[1, 2] = bad
        with pytest.raises(ValueError, match="element 6"):
            _core.encode(y, 16, 26)
    y = np.array([2.0**10 - 2.0**-16])
    assert _core.encode(y, 16, 26).tolist() == [2**26 - 1]
    with pytest.raises(ValueError, match="bits"):
        _core.encode(x, 0, 61)
    with pytest.raises(ValueError, match="scale"):
        _core.encode(x, 5000, 20)
    with pytest.raises(ValueError, match="scale"):
        _core.decode(words(2), -(2**31))


@every_backend
@pytest.mark.parametrize("d", [1, 2, 1 << 16, 1 << 17, 1 << 33, 1 << 60, 3, 1000, 10_737_418_240_000])
@pytest.mark.parametrize("k", [0, 1, P - 1, 123456789 << 30])
def test_truncation_local(backend: str, d: int, k: int) -> None:
    c, top, high = words(77), words(77, seed=1), words(77, seed=2)
    c[:3] = (P - 1) // 2 - 1, (P - 1) // 2, (P - 1) // 2 + 1
    constant = (P - 1) // 8 // d
    C, T, H = exact(c), exact(top), exact(high)
    below = np.array([v < (P - 1) // 2 for v in c.tolist()]).astype(object)
    expected = k * (C // d - constant) + below * ((C + P) // d - C // d) * T - H
    assert same(_core.truncation_local(c, top, high, k, d, constant, backend=backend), expected)


@pytest.mark.parametrize("d", [1, 2, 3, 1 << 40, 10_737_418_240_000, (1 << 60) - 1, 1 << 60])
def test_divide(d: int) -> None:
    a = words(5, 7)
    a[0, :3] = 0, (1 << 62) - 1, d
    np.testing.assert_array_equal(_core.divide(a, d), a // np.uint64(d))


def test_generator_repeats_itself() -> None:
    n = 9000

    def draw(key: bytes, stream: int) -> list[Any]:
        prg = _core.Prg(key, stream)
        return [
            prg.field(n).tolist(),
            prg.below(n, 3 << 40).tolist(),
            prg.bits(n).tolist(),
            prg.bytes(33),
            prg.field(2)[0],
        ]

    short, long = b"k" * 16, b"k" * 32
    assert draw(short, 5) == draw(short, 5)
    assert draw(long, 5) == draw(long, 5)
    first = [draw(key, s)[0][:4] for key in (short, long) for s in (0, 1, 2**64 - 1)]
    assert all(a != b for i, a in enumerate(first) for b in first[:i])
    prg = _core.Prg(short)
    assert not set(prg.field(n).tolist()) & set(prg.field(n).tolist())


def test_generator_is_aes_in_counter_mode() -> None:
    ciphers = pytest.importorskip("cryptography.hazmat.primitives.ciphers")
    for size in (16, 32):
        key, stream = bytes(range(size)), 0x0123456789ABCDEF
        aes = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.ECB()).encryptor()
        blocks = b"".join(b.to_bytes(8, "little") + stream.to_bytes(8, "little") for b in range(5))
        assert _core.Prg(key, stream).bytes(77) == aes.update(blocks)[:77]


def test_generator_is_uniform() -> None:
    prg, n = _core.Prg(b"uniformity check"), 1 << 17
    a = prg.field(n)
    assert _core.is_canonical(a)
    assert abs(a.astype(float).mean() / P - 0.5) < 0.005
    for bit in range(61):
        assert abs(float(((a >> np.uint64(bit)) & np.uint64(1)).mean()) - 0.5) < 0.01
    bits = prg.bits(n)
    assert set(bits.tolist()) == {0, 1} and abs(float(bits.mean()) - 0.5) < 0.01
    for bound in (1, 2, 3, 5, 1 << 20, (1 << 20) + 1):
        b = prg.below(n, bound)
        assert int(b.max()) < bound
        if bound <= 5:
            counts = np.bincount(b.astype(np.int64), minlength=bound)
            assert (abs(counts / n - 1 / bound) < 0.01).all()
    raw = np.frombuffer(prg.bytes(n), dtype=np.uint8)
    assert (abs(np.bincount(raw, minlength=256) / n - 1 / 256) < 0.001).all()


@every_backend
@pytest.mark.parametrize("n", [0, 1, 255, 256, 5000])
def test_combine_bits(backend: str, n: int) -> None:
    rng = np.random.default_rng(n)
    masks, w = -rng.integers(0, 2, n, np.uint64), rng.integers(0, 1 << 63, n, np.uint64)
    prg, again = _core.Prg(b"k" * 16, 3), _core.Prg(b"k" * 16, 3)
    prg.field(10)
    again.field(10)
    chi = np.frombuffer(again.bytes(8 * n), np.uint64)
    right = (_core.gf64_dot(chi, masks & np.uint64(1)), _core.gf64_dot(chi, w))
    assert prg.combine_bits(masks, w, backend=backend) == right
    assert prg.bytes(16) == again.bytes(16)  # both stand at the same place


@every_backend
@pytest.mark.parametrize("n", [0, 1, 4095, 4096, 4097, 50_000])
def test_combine(backend: str, n: int) -> None:
    a, b = words(n), words(n, seed=1)
    chi = _core.Prg(b"c" * 16, 9).field(n)
    prg = _core.Prg(b"c" * 16, 9)
    assert prg.combine([a, b], backend=backend) == [_core.dot(chi, a), _core.dot(chi, b)]
    other = _core.Prg(b"c" * 16, 9)
    other.field(n)
    assert prg.field(10).tolist() == other.field(10).tolist()
    assert prg.combine([]) == []


@every_backend
@pytest.mark.parametrize("n", [0, 1, 4095, 4096, 4097, 600_000])
def test_weigh(backend: str, n: int) -> None:
    a, b = words(n), words(n, seed=1)
    chi = _core.Prg(b"c" * 16, 9).field(n)
    prg = _core.Prg(b"c" * 16, 9)
    weighed, total = prg.weigh(a, b, backend=backend)
    np.testing.assert_array_equal(weighed, _core.mul(chi, a))
    assert total == _core.dot(chi, b)


@every_backend
@pytest.mark.parametrize("n", [0, 1, 4096, 300_001])
def test_mix(backend: str, n: int) -> None:
    a, b = words(n), words(n, seed=1)
    keys = [b"a" * 16, b"b" * 16]
    drawn = [_core.Prg(key).field(n) for key in keys]
    rows = [[1, 0, P - 1, 7], [0, 0, 0, 0], [0, 5, 0, 1]]
    found = _core.mix(n, rows, [a, b], [_core.Prg(key) for key in keys], backend=backend)
    for sums, row in zip(found, rows, strict=True):
        np.testing.assert_array_equal(sums, _core.weighted(row, [a, b, *drawn]))


@every_backend
@pytest.mark.parametrize("n", [0, 1, 4095, 4097, 100_000])
@pytest.mark.parametrize("count", [1, 3, 130])
def test_joint(backend: str, n: int, count: int) -> None:
    """What the generators draw one by one, weighted and added up, twice."""
    n = min(n, 10_000) if count > 3 else n
    keys = [bytes([k]) * 16 for k in range(count)]
    weights = [P - 1 - k * k for k in range(count)]
    joint, prgs = _core.Joint(keys, weights), [_core.Prg(key) for key in keys]
    for bound, divisor in ((P, 1 << 20), (P, 12_345), (1000, 8)):
        drawn = [prg.below(n, bound) for prg in prgs]
        sums, high = joint.below_and_high(n, bound, divisor, backend=backend)
        np.testing.assert_array_equal(sums, _core.weighted(weights, drawn))
        np.testing.assert_array_equal(high, _core.weighted(weights, [d // np.uint64(divisor) for d in drawn]))
    np.testing.assert_array_equal(
        joint.below(n, P, backend=backend), _core.weighted(weights, [g.field(n) for g in prgs])
    )


DIGEST = """
import hashlib, numpy as np
from tacit import _core
prg, h = _core.Prg(b"0123456789abcdef", 3), hashlib.sha256()
for a in (prg.field(1_200_001), prg.below(900_000, 3 << 50), prg.bits(700_000), prg.field(5)):
    h.update(a.tobytes())
h.update(prg.bytes(100_001))
a = prg.field(1 << 21)
h.update(str(prg.combine([a, a[::-1].copy()])).encode())
m, x = a[: 512 * 512].reshape(512, 512), a[: 64 * 4 * 20 * 20].reshape(64, 4, 20, 20)
w = a[: 16 * 36].reshape(16, 4, 3, 3)
y = _core.conv2d(x, w, padding=(1, 1))
for r in (_core.matmul(m, m), _core.matmul(m, m[:, :9].copy()), y, _core.conv2d_input(y, w, x.shape, padding=(1, 1)),
          _core.conv2d_weight(y, x, (3, 3), padding=(1, 1)), _core.mul(a, a), _core.sum(a, 1, 2, 1 << 20)):
    h.update(r.tobytes())
print(_core.backend(), _core.threads(), h.hexdigest(), _core.dot(a, a))
"""


def test_backends_and_threads_agree() -> None:
    results = set()
    for backend in BACKENDS:
        for threads in ("1", "3"):
            env = {**os.environ, "TACIT_BACKEND": backend, "TACIT_THREADS": threads}
            run = subprocess.run([sys.executable, "-c", DIGEST], env=env, capture_output=True, text=True, check=True)
            name, count, *digest = run.stdout.split()
            assert (name, count) == (backend, threads)
            results.add(tuple(digest))
    assert len(results) == 1


def test_an_unknown_backend_is_refused() -> None:
    env = {**os.environ, "TACIT_BACKEND": "abacus"}
    run = subprocess.run([sys.executable, "-c", "from tacit import _core"], env=env, capture_output=True, text=True)
    assert run.returncode != 0 and "abacus" in run.stderr


def test_the_stream_does_not_change_between_versions() -> None:
    prg = _core.Prg(bytes(16), 1)
    h = hashlib.sha256(prg.field(5000).tobytes() + prg.below(5000, 1 << 59).tobytes() + prg.bits(5000).tobytes())
    assert h.hexdigest() == GOLDEN


GOLDEN = "81b4b9b22cf0d950f0c309b4bb146a9309565640e0b98f90162758053f1544d9"


def test_wipe() -> None:
    a = words(4, 5)
    _core.wipe(a)
    assert not a.any()
    b = words(3)
    b.flags.writeable = False
    with pytest.raises(ValueError, match="written"):
        _core.wipe(b)


GOOD, COLUMN = words(4, 6), words(6, 4).T
REFUSALS: list[tuple[type[Exception], Callable[[], object]]] = [
    (TypeError, lambda: _core.add(GOOD, GOOD.astype(np.int64))),
    (TypeError, lambda: _core.add(GOOD.astype(float), GOOD)),
    (TypeError, lambda: _core.add(GOOD, 3)),
    (TypeError, lambda: _core.add(GOOD.astype(">u8"), GOOD)),
    (TypeError, lambda: _core.encode(GOOD, 3, 3)),
    (TypeError, lambda: _core.from_signed(GOOD)),
    (ValueError, lambda: _core.add(GOOD, COLUMN)),
    (ValueError, lambda: _core.accumulate(GOOD, words(7))),
    (ValueError, lambda: _core.accumulate(np.frombuffer(bytes(8), np.uint64), words(1))),
    (ValueError, lambda: _core.accumulate(words(4, 4).T, words(16))),
    (TypeError, lambda: _core.accumulate(GOOD.astype(float), GOOD)),
    (ValueError, lambda: _core.add(GOOD, words(24))),
    (ValueError, lambda: _core.neg(words(10)[::2])),
    (ValueError, lambda: _core.wipe(words(10)[::2])),
    (ValueError, lambda: _core.scale(GOOD, P)),
    (OverflowError, lambda: _core.scale(GOOD, -1)),
    (OverflowError, lambda: _core.scale(GOOD, 1 << 64)),
    (ValueError, lambda: _core.multiply_open(GOOD, GOOD, GOOD, words(24), 1)),
    (ValueError, lambda: _core.multiply_open(GOOD, GOOD, GOOD, GOOD, 1, words(24))),
    (ValueError, lambda: _core.matmul(GOOD, GOOD)),
    (ValueError, lambda: _core.matmul(GOOD, words(6))),
    (ValueError, lambda: _core.matmul(GOOD, GOOD, transpose_b=True, add=GOOD)),
    (ValueError, lambda: _core.conv2d(words(1, 1, 4, 4), words(1, 2, 3, 3))),
    (ValueError, lambda: _core.conv2d(words(1, 1, 2, 2), words(1, 1, 3, 3))),
    (ValueError, lambda: _core.conv2d(words(1, 1, 4, 4), words(1, 1, 3, 3), (0, 1))),
    (ValueError, lambda: _core.conv2d(words(1, 1, 4, 4), words(1, 1, 3, 3), padding=(1 << 62, 0))),
    (ValueError, lambda: _core.conv2d(words(1, 1, 4, 4), words(1, 1, 3, 3), (1 << 40, 1), (1 << 40, 0))),
    (ValueError, lambda: _core.conv2d_input(words(1, 1, 4, 4), words(1, 1, 3, 3), (1, 1, 4, 4))),
    (ValueError, lambda: _core.conv2d_weight(words(1, 1, 4, 4), words(2, 1, 6, 6), (3, 3))),
    (ValueError, lambda: _core.dot(words(3), words(4))),
    (ValueError, lambda: _core.sum(GOOD, 2, 3, 5)),
    (ValueError, lambda: _core.sum(GOOD, 1 << 60, 1 << 60, 1 << 60)),
    (ValueError, lambda: _core.truncation_local(GOOD, GOOD, GOOD, 1, 0, 0)),
    (ValueError, lambda: _core.divide(GOOD, 0)),
    (ValueError, lambda: _core.divide(GOOD, (1 << 60) + 1)),
    (ValueError, lambda: _core.Prg(b"short")),
    (ValueError, lambda: _core.Prg(b"k" * 16).below(3, 0)),
    (ValueError, lambda: _core.Prg(b"k" * 16).below(3, P + 1)),
    (ValueError, lambda: _core.Prg(b"k" * 16).field(1 << 61)),
    (ValueError, lambda: _core.Prg(b"k" * 16).combine([words(3), words(4)])),
    (ValueError, lambda: _core.Prg(b"k" * 16).weigh(words(3), words(4))),
    (ValueError, lambda: _core.mix(3, [[1]], [words(4)], [])),
    (ValueError, lambda: _core.mix(3, [[1]], [words(3)], [_core.Prg(b"k" * 16)])),
    (ValueError, lambda: _core.mix(3, [[P]], [words(3)], [])),
    (ValueError, lambda: _core.mix(1 << 62, [[1]], [], [_core.Prg(b"k" * 16)])),
    (ValueError, lambda: _core.Joint([b"k" * 16], [1]).below_and_high(1 << 62, P, 3)),
    (ValueError, lambda: _core.Joint([b"k" * 16], [])),
    (ValueError, lambda: _core.Joint([b"k" * 16], [P])),
    (ValueError, lambda: _core.Joint([b"k" * 17], [1])),
    (ValueError, lambda: _core.Joint([b"k" * 16], [1]).below(3, P + 1)),
    (ValueError, lambda: _core.Joint([b"k" * 16], [1]).below_and_high(3, P, (1 << 60) + 1)),
]


@pytest.mark.quick()
@pytest.mark.parametrize("at", range(len(REFUSALS)))
def test_refusals(at: int) -> None:
    error, call = REFUSALS[at]
    with pytest.raises(error):
        call()


def test_extreme_sizes_of_nothing() -> None:
    """Zero elements with absurd other sizes must not take memory or panic."""
    assert _core.conv2d(words(0, 1, 4, 4), words(1, 1, 3, 3)).shape == (0, 1, 2, 2)
    assert _core.conv2d(words(2, 0, 4, 4), words(3, 0, 3, 3)).tolist() == np.zeros((2, 3, 2, 2)).tolist()
    assert _core.conv2d(words(1, 1, 3, 0), words(1, 1, 2, 2), padding=(0, 1)).shape == (1, 1, 2, 1)
    assert _core.conv2d_weight(words(0, 2, 2, 2), words(0, 1, 4, 4), (3, 3)).shape == (2, 1, 3, 3)
    assert _core.conv2d_input(words(1, 0, 2, 2), words(0, 1, 3, 3), (1, 1, 4, 4)).shape == (1, 1, 4, 4)


def test_the_gil_is_released() -> None:
    """Python advances while another thread is inside a kernel that takes a while."""
    a = words(700, 700)
    started, done = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        _core.matmul(a, a, backend="portable")
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    steps = 0
    while not done.is_set():
        steps += 1
        time.sleep(0.001)
    thread.join()
    assert steps > 5


def test_arrays_that_are_not_aligned_are_refused():
    """Not by a panic: a message from the network may be read anywhere in its frame."""
    unaligned = np.frombuffer(bytes(17), np.uint64, 2, 1)
    assert not unaligned.flags.aligned
    with pytest.raises(ValueError, match="aligned"):
        _core.is_canonical(unaligned)


@pytest.mark.parametrize("count", [1, 2, 61, 62, 63, 130])
def test_weighted_sums_of_arrays(count):
    rng = np.random.default_rng(count)
    arrays = [rng.integers(0, P, (3, 100), np.uint64) for _ in range(count)]
    weights = [P - 1, *(int(k) for k in rng.integers(0, P, count - 1, np.uint64))]
    arrays[0][0, :5] = P - 1
    right = sum(k * a.astype(object) for k, a in zip(weights, arrays, strict=True)) % P
    for backend in _core.backends():
        assert (_core.weighted(weights, arrays, backend) == right.astype(np.uint64)).all()
    with pytest.raises(ValueError):
        _core.weighted([P], arrays[:1])
    with pytest.raises(ValueError):
        _core.weighted([1, 2], [arrays[0], arrays[0][:2]])
    with pytest.raises(ValueError):
        _core.weighted([], [])
