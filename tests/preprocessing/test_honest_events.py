"""What happens to honest parties now and then, and is drawn again: here often, so that it can be seen. Nobody is accused."""

import numpy as np
import pytest
from tests.preprocessing.lattices import Crew

from tacit import _core, field
from tacit.field import P
from tacit.graph.forms import Elementwise
from tacit.preprocessing.lattice import jobs, ranges
from tacit.preprocessing.lattice.randomness import Randomness
from tacit.preprocessing.lattice.shared import Shared
from tacit.protocols.plan import Plan
from tacit.testing import source


@pytest.fixture(scope="module")
def two():
    crew = Crew(2, budget=1 << 17)
    yield crew
    crew.close()


def test_a_random_number_that_is_not_below_p(two, monkeypatch):
    """As if all from 3/4 of 2^61 on were too large: a quarter is drawn again, and a quarter of these."""
    monkeypatch.setattr(jobs, "LOW", 59)

    def plan():
        p = Plan(0)
        (_, *digits), _ = p.edabits((40,), 61, False)
        p.product(Elementwise(), digits[60], digits[59])
        return p

    (r, *digits), (both,) = source._values(two.run, 2, plan)
    assert not both.any() and int(r.max()) < 3 << 59
    for j, digit in enumerate(digits):
        np.testing.assert_array_equal(digit, (r >> np.uint64(j)) & np.uint64(1))
    assert {int(top) for top in r >> np.uint64(59)} == {0, 1, 2}


def test_a_square_without_a_root_to_divide_by(two, monkeypatch):
    monkeypatch.setattr(jobs, "_void", lambda squares: squares % np.uint64(500) == 0)

    def plan():
        p = Plan(0)
        p.bits((3000,))
        (_, *digits), _ = p.comparison((200,), 6, False)
        p.product(Elementwise(), digits[1], digits[0])
        p.truncation((200,), 1 << 16, 3)
        p.edabits((20,), 61, False)
        return p

    (bits,), (r, *digits), (both,), (s, top, _), (t, *parts) = source._values(two.run, 2, plan)
    assert set(bits.tolist()) == {0, 1} and 1300 < int(bits.sum()) < 1700
    np.testing.assert_array_equal(both, field.mul(digits[1], digits[0]))
    for j, digit in enumerate(digits):
        assert set(digit.tolist()) == {0, 1}
        r = field.sub(r, field.scale(digit, (P - 1 >> 6) << j))
    assert int(r.max()) < 2 * (P - 1 >> 6)
    np.testing.assert_array_equal(field.sub(s, field.scale(top, (P - 1) // 2)) < (P - 1) // 2 + (P - 1 >> 3), True)
    for j, digit in enumerate(parts):
        np.testing.assert_array_equal(digit, (t >> np.uint64(j)) & np.uint64(1))


class Chosen:
    """A challenge that begins with given numbers."""

    def __init__(self, numbers):
        self._numbers, self._rest = list(numbers), _core.Prg(bytes(16), 0)

    def field(self, count):
        here, self._numbers = self._numbers[:count], self._numbers[count:]
        return np.array(here, np.uint64) if here else self._rest.field(count)


@pytest.mark.parametrize("digit", [0, 3, 255])
def test_a_challenge_that_a_digit_fits(digit):
    """X - Y w - x = 0 for a digit x of the owner, which cannot be divided by."""
    random, delta, y = Randomness(bytes(32)), 12345, 678
    owner, verifier = ranges.Lookup(0, 0, 2), ranges.Lookup(0, 1, 2)
    owner.add(Shared(np.full(9, digit, np.uint64), owner=0), 8)
    verifier.add(Shared(np.zeros(9, np.uint64), owner=0), 8)

    def authenticated(mine, theirs):
        for a, b in zip(mine, theirs, strict=True):
            a.keys = {1: random.field(a.value.size)}
            b.mac = field.add(a.keys[1], field.scale(a.value, delta))

    authenticated(owner.digits(), verifier.digits())
    verifier.joined()
    hits = [n for w in owner._counts for n in ((y * w + digit % (1 << w)) % P, y)]
    authenticated(owner.sums(Chosen(hits), random), verifier.sums(Chosen(hits), random))
    assert owner._points == verifier._points and all(x not in hits for x, _ in owner._points)
    assert verifier.accepts(_core.Prg(bytes(16), 2), delta, owner.prove(_core.Prg(bytes(16), 2), 1))
