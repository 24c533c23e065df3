"""The formula of `sharing.truncation` by itself: no sharing, only arithmetic mod p."""

import random

import numpy as np
import pytest

from tacit.field import P
from tacit.sharing import truncation


def truncate(x: int, f: int, rho: int, b: int) -> int:
    r = b * truncation.M + rho
    c = (x + truncation.OFFSET + r) % P
    wrapped = b * int(truncation.wrap(np.array(c, np.uint64), f))
    y = ((c >> f) - truncation.constant(f) + wrapped - (r >> f)) % P
    return y - P if y > P // 2 else y


@pytest.mark.parametrize("f", [1, 8, 13, 16, 18, 20, 21, 22, 23, 24, 32, 40, 50, 57])
def test_error_and_mean(f):
    rng = random.Random(f)
    total, count = 0.0, 20000
    for i in range(count):
        x = rng.choice(
            [rng.randrange(-(2**58) + 1, 2**58), rng.randrange(-(2**40), 2**40), 0, 1, -1, 2**58 - 1, 1 - 2**58]
        )
        rho = rng.randrange(truncation.M) if i % 8 else rng.choice([0, 1, truncation.M - 1])
        error = (truncate(x, f, rho, rng.getrandbits(1)) << f) - x
        assert abs(error) < 2**f, (x, f, rho)
        total += error / 2**f if i % 8 else 0.0
    assert abs(total / count) < 0.03
