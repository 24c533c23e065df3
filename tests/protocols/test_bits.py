"""Leaves of comparisons: the kernel on words, and the formula on field elements, against the comparison of digits."""

from types import SimpleNamespace

import numpy as np
import pytest

from tacit import _core
from tacit.protocols.gadgets.bits import FieldBits, WordBits

ALPHA = np.uint64(0x8000000000000001)


@pytest.mark.parametrize("low", range(1, 9))
@pytest.mark.parametrize("lead", [(), (3,)])
def test_leaves(low, lead):
    rng = np.random.default_rng(low)
    r, q = rng.integers(0, 1 << low, (4, 5), np.uint64), rng.integers(0, 1 << low, (*lead, 4, 5), np.uint64)
    bits = [(r >> np.uint64(j)) & np.uint64(1) for j in range(low)]
    words = WordBits(SimpleNamespace(binary_unit=int(ALPHA)))
    elements = FieldBits(SimpleNamespace(unit=(1,), shifted=shifted))
    pairs = [bits[j] & bits[j + 1] for j in range(0, low - 1, 2)]
    g, e = words.leaves(q, [(-b & ALPHA,) for b in bits], [(-b & ALPHA,) for b in pairs])
    g_elements, e_elements = elements.leaves(q, [(b,) for b in bits], [(b,) for b in pairs])
    for node in range((low + 1) // 2):
        two = lambda v: (v >> np.uint64(2 * node)) & np.uint64(3)  # noqa: E731, B023
        greater, equal = (two(r) > two(q)).astype(np.uint64), (two(r) == two(q)).astype(np.uint64)
        np.testing.assert_array_equal(g[0][node], -greater & ALPHA)
        np.testing.assert_array_equal(g_elements[0][node], greater)
        if node:
            np.testing.assert_array_equal(e[0][node - 1], -equal & ALPHA)
            np.testing.assert_array_equal(e_elements[0][node - 1], equal)


def shifted(x, constant):
    return tuple(_core.add(part, np.ascontiguousarray(np.broadcast_to(constant, part.shape))) for part in x)
