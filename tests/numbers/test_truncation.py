"""The formula of `protocols.gadgets.truncation` by itself: no sharing, only arithmetic mod p."""

import random

import numpy as np
import pytest

from tacit.correlations.layouts import of_length
from tacit.field import P
from tacit.protocols.gadgets.truncation import Rounding, wrap

EDGES = [0, 1, -1, 2**58 - 1, 1 - 2**58]


def truncate(x: int, rounding: Rounding, b: list[int], rho: list[int]) -> int:
    d, unit = rounding.divisor, (P - 1) >> rounding.digits
    r = sum(bit * (unit << j) for j, bit in enumerate(b)) + sum(rho)
    high = r // d
    if rounding.summands > 1:
        high = sum(bit * w for bit, w in zip(b, rounding.weights, strict=True)) + sum(part // d for part in rho)
    c = (x + rounding.offset + r) % P
    y = (c // d - rounding.constant + b[-1] * int(wrap(np.array(c, np.uint64), d)) - high) % P
    return y - P if y > P // 2 else y


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(
    "d",
    [*(1 << f for f in (1, 8, 13, 16, 18, 20, 21, 22, 23, 24, 32, 40, 50)), 3, 1000, 10_737_418_240_000, (1 << 50) - 1],
)
def test_error_and_mean(d, n):
    rng = random.Random(d)
    rounding = Rounding.alone(d, n)
    unit = (P - 1) >> rounding.digits
    total, largest, count = 0, 0, 10000
    for i in range(count):
        x = rng.choice([rng.randrange(-(2**58) + 1, 2**58), rng.randrange(-(2**40), 2**40), *EDGES])
        rho = [rng.randrange(unit) if i % 8 else rng.choice([0, 1, unit - 1]) for _ in range(n)]
        error = (truncate(x, rounding, [rng.getrandbits(1) for _ in range(rounding.digits)], rho) * d) - x
        largest = max(largest, abs(error))
        total += error if i % 8 else 0
    # One dealer knows all of r: below one unit. Else (n + 1) / 2, and what rounding the digits' weights adds.
    rounded = (
        sum(abs(w / d - h) for w, h in zip(of_length(rounding.digits).weights(), rounding.weights, strict=True)) / 2
    )
    assert rounded <= rounding.digits / 4
    assert largest < d * (1 if n == 1 else (n + 1) / 2 + rounded + 1e-6)
    assert abs(total / count) < 0.5 + d * (0.03 + 0.02 * n)  # the offset is whole
