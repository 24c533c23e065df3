"""Digits that are looked up: whole proofs of an owner to a verifier, whose MACs are made of what both know."""

import itertools

import numpy as np
import pytest

from tacit import _core, field
from tacit.field import P
from tacit.preprocessing.lattice import ranges
from tacit.preprocessing.lattice.randomness import Randomness
from tacit.preprocessing.lattice.shared import Shared

DELTA = 0x123456789ABCDEF
KEYS = Randomness(bytes(32))


def authenticated(mine, theirs):
    """The owner's arrays get keys, the verifier's MACs."""
    for x, y in zip(mine, theirs, strict=True):
        m = KEYS.field(x.value.size)
        x.mac, x.keys = np.zeros_like(m), {1: m}
        y.mac = field.add(m, field.scale(x.value, DELTA))


def proof(numbers, change=lambda lookup, step: None):
    """(whether it was accepted, what the verifier holds of the numbers, what it should hold)."""
    owner, verifier = ranges.Lookup(0, 0, 2), ranges.Lookup(0, 1, 2)
    theirs = []
    for x, bits in numbers:
        owner.add(Shared(x, owner=0), bits)
        theirs.append(Shared(np.zeros_like(x), owner=0))
        verifier.add(theirs[-1], bits)
    for step, draw in (
        ("digits", lambda lookup: lookup.digits()),
        ("sums", lambda lookup: lookup.sums(_core.Prg(bytes(32), 1), KEYS)),
    ):
        made = draw(owner), draw(verifier)
        change(owner, step)
        authenticated(*made)
        if step == "digits":
            verifier.joined()
    sent = owner.prove(_core.Prg(bytes(32), 2), 1)
    assert len(sent) == ranges.SENT
    return verifier.accepts(_core.Prg(bytes(32), 2), DELTA, sent), owner, verifier, theirs


@pytest.mark.parametrize(
    "cases",
    [
        [(1, 1)],
        [(3, 58)],
        [(20, 17), (20, 42)],
        [(7, 10), (5, 49), (13, 3)],
        [(3001, 16), (3001, 43), (999, 5)],
    ],
)
def test_what_is_in_range_is_accepted_and_put_together(cases):
    """Lengths that do not fill groups, several widths, the smallest and the largest numbers."""
    numbers = []
    for count, bits in cases:
        x = KEYS.below(count, 1 << bits)
        x[0], x[-1] = 0, (1 << bits) - 1
        numbers.append((x, bits))
    accepted, owner, _, theirs = proof(numbers)
    assert accepted
    for (x, _), given, digits, cut in zip(numbers, theirs, owner._digits, owner._cuts, strict=True):
        whole = sum(d.value.astype(object) << place for (place, _), d in zip(cut, digits, strict=True))
        assert (whole == x).all()
        m = sum(d.keys[1].astype(object) << place for (place, _), d in zip(cut, digits, strict=True))
        assert (given.mac.astype(object) == (m + DELTA * x.astype(object)) % P).all()


@pytest.mark.parametrize("at", [0, 5, -1])
@pytest.mark.parametrize("wrong", ["too large", "negative", "another width", "half"])
def test_a_single_digit_out_of_range(at, wrong):
    """Also one that only a wider digit may be: the tables are told apart."""

    def change(lookup, step):
        if step != "digits":
            return
        d, w = lookup._flat[0], lookup._widths[0]
        assert max(lookup._widths) > w or wrong != "another width"
        value = {"too large": 1 << w, "negative": P - 1, "another width": (1 << w) + 1, "half": (P + 1) // 2}[wrong]
        d.value = d.value.copy()
        d.value[at] = value

    assert not proof([(KEYS.below(100, 1 << 7), 7), (KEYS.below(4000, 1 << 10), 10)], change)[0]


@pytest.mark.parametrize("array", ["counts", "sums", "mask"])
def test_every_array_matters(array):
    """What gets a MAC is another number than the honest one."""

    def change(lookup, step):
        if (step == "digits") != (array == "counts"):
            return
        shared = (
            {"counts": next(iter(lookup._counts.values()))}
            if step == "digits"
            else {"sums": lookup._s, "mask": lookup._masks}
        )
        shared[array].value[0] = (int(shared[array].value[0]) + 1) % P

    accepted = proof([(KEYS.below(100, 1 << 7), 7)], change)[0]
    assert accepted == (array == "mask")  # a mask may be anything


def test_what_is_sent_matters():
    numbers = [(KEYS.below(9, 1 << 20), 20)]
    _, owner, verifier, _ = proof(numbers)
    sent = owner.prove(_core.Prg(bytes(32), 2), 1)
    for i in range(ranges.SENT):
        assert not verifier.accepts(_core.Prg(bytes(32), 2), DELTA, [*sent[:i], (sent[i] + 1) % P, *sent[i + 1 :]])


def test_what_is_sent_is_uniform():
    """But for the one number that the verifier can compute: with other masks all of it is different."""
    numbers = [(KEYS.below(9, 1 << 20), 20)]
    sent = [proof(numbers)[1].prove(_core.Prg(bytes(32), 2), 1) for _ in range(8)]
    for one, other in itertools.combinations(sent, 2):
        assert all(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("bits", "width"), list(itertools.product([1, 2, 17, 42, 59, 60], [1, 3, 12, 16])))
def test_cuts(bits, width):
    parts = ranges.cut(bits, width)
    assert len(parts) == -(-bits // width) and all(1 <= w <= width for _, w in parts)
    assert [place for place, _ in parts] == list(itertools.accumulate([0, *(w for _, w in parts)]))[:-1]
    assert sum(w for _, w in parts) == bits


def test_the_width_follows_the_count():
    assert ranges.best_width([(1, 58)]) <= 4 < 12 <= ranges.best_width([(100_000, 58)]) <= ranges.WIDEST
