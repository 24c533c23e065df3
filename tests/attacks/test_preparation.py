"""A party that lies while the parties make their material: a named error, no material, and mostly its name.

The liar is party 0. What it does wrong is well formed, so that only proofs, sacrifice and MAC check can find it; messages that
are not well formed come last.
"""

import numpy as np
import pytest

from tacit import field
from tacit.errors import CheatingDetected
from tacit.field import P
from tacit.sharing.forms import Elementwise, MatMul
from tacit.sharing.plan import Plan
from tests.correlations.lattices import Crew

LIAR = 0


def plan():
    p = Plan(0)
    (a, _), (b, _) = p.mask((30, 4)), p.mask((4, 3))
    (c, _) = p.mask((30, 4))
    p.product(MatMul(), a, b)
    p.product(Elementwise(), a, c)
    p.truncation((20,), 16)
    p.input_mask((7,), LIAR)
    return p


def more(x, at=0):
    x = x.copy()
    x[at] = field.add(x[at : at + 1], np.ones(1, np.uint64))[0]
    return x


class Keys:
    """A party's keys, of which some messages are made of other numbers."""

    def __init__(self, keys, **changes):
        self._keys, self._changes = keys, changes

    def __getattr__(self, name):
        real = getattr(self._keys, name)
        change = self._changes.get(name)
        return real if change is None else lambda *given: change(real, *given)


def keys(**changes):
    def alter(link):
        link.keys = Keys(link.keys, **changes)

    return alter


def product(answer):
    """Adds 1 to its share of a product: of the first, or of the random one more."""

    def alter(link):
        honest = link.multiply

        def multiply(units):
            honest(units)
            units[0].answers[answer].out[0] = (int(units[0].answers[answer].out[0]) + 1) % P

        link.multiply = multiply

    return alter


def opening(label, which):
    def alter(link):
        honest = link.open

        def open(values, name):
            if name == label:
                values = [more(v.reshape(-1)).reshape(v.shape) if i == which else v for i, v in enumerate(values)]
            return honest(values, name)

        link.open = open

    return alter


def sigma(link):
    honest = link.transcript.committed

    def committed(value):
        return honest(value if len(value) > 8 else more(np.frombuffer(value, np.uint64)).tobytes())

    link.transcript.committed = committed


LIES = {
    "another share is encrypted than has a MAC": keys(encrypt=lambda real, layout, v: real(layout, more(v))),
    "another operand is multiplied": keys(respond=lambda real, i, layout, c, f, r: real(i, layout, c, more(f), r)),
    "an operand is another for the last product only": keys(
        respond=lambda real, i, layout, c, f, r: real(i, layout, c, more(f, len(f) - 1), r)
    ),
    "another number gets the MAC": keys(scale=lambda real, i, x, r: real(i, more(x), r)),
    "an error in one product": product(0),
    "an error in the random product": product(-1),
    "a wrong rho": opening("sacrifice", 1),
    "a wrong combination of all": opening("sacrifice", 0),
    "a wrong square": opening("opened products", 0),
    "a wrong sigma": sigma,
}


@pytest.mark.timeout(300)
def test_lies_are_found_and_the_liar_is_named():
    """Nothing was given out yet: all keys are opened, and the liar is found by repeating what it did."""
    for lie, alter in LIES.items():
        crew = Crew(2, budget=1 << 17)

        def work(source, alter=alter):
            if source.me == LIAR:
                alter(source._link)
            return source.take(source.request(plan().requests))

        _, honest = crew.results(work)
        crew.close()
        assert isinstance(honest, CheatingDetected), lie
        assert f"party {LIAR} " in str(honest), (lie, honest)
