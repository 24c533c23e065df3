"""What the kernels reach on one core: medians of several runs, each a dict {name, value, unit, parties, note}.

Run with TACIT_THREADS=1, which this module sets itself when it is the program.
"""

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("TACIT_THREADS", "1")

import numpy as np

from tacit import _core

Row = dict[str, Any]


def _random(*shape: int) -> np.ndarray:
    return _core.Prg(b"kernel benchmark", len(shape)).field(int(np.prod(shape))).reshape(shape)


def _rate(work: Callable[[], object], operations: float, runs: int = 7, seconds: float = 0.15) -> float:
    """The median of `runs` rates, in 10^9 operations a second; each run repeats `work` for about `seconds`."""
    work()
    start = time.perf_counter()
    work()
    repeats = max(1, int(seconds / (time.perf_counter() - start)))
    rates = []
    for _ in range(runs):
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        rates.append(operations * repeats / (time.perf_counter() - start) / 1e9)
    return statistics.median(rates)


def _row(name: str, value: float, unit: str, note: str) -> Row:
    where = f"{_core.backend()}, {_core.threads()} thread(s)"
    return {"name": name, "value": round(value, 3), "unit": unit, "parties": 1, "note": f"{note}; {where}"}


def matmul() -> list[Row]:
    rows = []
    for label, m, k, n in [("1024", 1024, 1024, 1024), ("dense", 128, 1568, 10), ("im2col", 86528, 9, 32)]:
        a, b = _random(m, k), _random(k, n)
        for backend in _core.backends():
            rate = _rate(partial(_core.matmul, a, b, backend=backend), m * k * n, runs=3)
            suffix = "" if backend == _core.backends()[0] else f"_{backend}"
            rows.append(_row(f"kernel_matmul_{label}{suffix}", rate, "GMAC/s", f"{m}x{k}x{n}, {backend}"))
    return rows


def convolution() -> list[Row]:
    rows = []
    for label, c, o, size in [("first", 1, 32, 28), ("second", 32, 32, 14)]:
        x, w = _random(128, c, size, size), _random(o, c, 3, 3)
        y = _core.conv2d(x, w, padding=(1, 1))
        work = 128 * o * c * 9 * size * size
        cases: dict[str, Callable[[], object]] = {
            "": partial(_core.conv2d, x, w, padding=(1, 1)),
            "_input": partial(_core.conv2d_input, y, w, x.shape, padding=(1, 1)),
            "_weight": partial(_core.conv2d_weight, y, x, (3, 3), padding=(1, 1)),
        }
        for suffix, case in cases.items():
            note = f"128 images {size}x{size}, {c} to {o} channels, 3x3"
            rows.append(_row(f"kernel_conv_{label}{suffix}", _rate(case, work, runs=3), "GMAC/s", note))
    return rows


def elementwise() -> list[Row]:
    rows = []
    for label, n in [("", 1 << 17), ("_large", 1 << 22)]:
        a, b, c, d, e = (_random(n) + np.uint64(0) for _ in range(5))
        cases: dict[str, Callable[[], object]] = {
            "add": partial(_core.add, a, b),
            "mul": partial(_core.mul, a, b),
            "scale": partial(_core.scale, a, 12345),
            "multiply_open": partial(_core.multiply_open, a, b, c, d, 1, e),
            "truncation_local": partial(_core.truncation_local, a, b, c, 1, 1 << 16, 5),
            "dot": partial(_core.dot, a, b),
            "sum": partial(_core.sum, a, 1, 1024, a.size // 1024),
        }
        for name, case in cases.items():
            rows.append(_row(f"kernel_{name}{label}", _rate(case, n), "Gop/s", f"{n} elements, new output array"))
    return rows


def generator() -> list[Row]:
    n = 1 << 17
    a, prg = _random(n), _core.Prg(b"kernel benchmark")
    return [
        _row("kernel_prg", _rate(partial(prg.field, n), 8 * n), "GB/s", f"{n} field elements, AES-128-CTR"),
        _row("kernel_prg_bits", _rate(partial(prg.bits, n), n), "Gbit/s", f"{n} bits, one to an element"),
        _row("kernel_prg_below", _rate(partial(prg.below, n, 3 << 58), 8 * n), "GB/s", "a quarter rejected"),
        _row("kernel_combine", _rate(partial(prg.combine, [a, a]), n), "Gop/s", "two sums, coefficients drawn"),
    ]


def run() -> list[Row]:
    return [*matmul(), *convolution(), *elementwise(), *generator()]


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:34} {row['value']:9.3f} {row['unit']:7} {row['note']}")
