"""The count itself: a number under a mask, whose cases are known."""

import pytest

from tests.model.counting import Told, at_once, one_by_one, uniform
from tests.model.world import world

P = 7
KEY = b"of an honest party"


@pytest.mark.parametrize("count", [at_once, one_by_one])
@pytest.mark.parametrize(
    ("view", "shown", "expected"),
    [
        (lambda x, r: [x + r], lambda x: [], True),
        (lambda x, r: [x], lambda x: [], False),
        (lambda x, r: [x + r, r], lambda x: [], False),
        (lambda x, r: [x * r], lambda x: [], False),
        (lambda x, r: [r], lambda x: [x * x], True),
        (lambda x, r: [r * x], lambda x: [x * x], True),
        (lambda x, r: [r * r, r + x], lambda x: [x * x], False),
        (lambda x, r: [], lambda x: [], True),
    ],
    ids=["masked", "open", "mask known", "multiplied", "square shown", "sign hidden", "sign seen", "nothing seen"],
)
def test_what_a_view_shows(count, view, shown, expected):
    """0 times a mask is 0, so that a product with a mask hides a sign and no more."""
    w = world(P)
    w.tape.reset(b"1")
    w.tape.hidden = {KEY}

    def play():
        x, r = w.tape.digit(P), w.core.Prg(KEY).field(w.tape.lanes)
        return Told([x], [v % P for v in view(x, r)], [v % P for v in shown(x)])

    assert uniform(count(w.tape, play)) == expected
    assert w.tape.count == P * P


def test_what_is_not_hidden_is_the_same_in_all_cases():
    w = world(P)
    w.tape.reset(b"1")

    def play():
        drawn = w.core.Prg(b"of a colluder").field(w.tape.lanes)
        return Told([w.tape.digit(P)], [drawn])

    told = at_once(w.tape, play)
    assert w.tape.count == P
    assert len(set(told.view[0].tolist())) == 1
