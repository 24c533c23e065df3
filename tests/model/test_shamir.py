"""Shamir's shares: dealing, products, masked openings, new shares. As many parties collude as the threshold lets.

Colluders see what they are sent, and know all keys that they have a part in.
"""

from itertools import combinations

import numpy as np
import pytest

from tests.helpers.settings import full
from tests.model.counting import Told, at_once, one_by_one, uniform
from tests.model.world import Heard, aside, together, world

pytestmark = pytest.mark.timeout(900)  # in settings that are slow


class Parties(dict):
    """The `Shares` of all parties, by number."""

    def __init__(self, w, n, t, colluders, summed=False):
        """`summed`: they open masked values as sums (`protocols.shamir.masked_opening`)."""
        groups = {i: w.module("protocols.shamir.shares").Group(i, range(n), t, b"session") for i in range(n)}
        together({i: g.agree() for i, g in groups.items()})
        kind = (
            w.module("protocols.shamir.masked_opening").Sums if summed else w.module("protocols.shamir.shares").Shares
        )
        super().__init__({i: kind(g, "online") for i, g in groups.items()})
        self.tape, self.colluders, self.heard = w.tape, colluders, Heard()
        known = set().union(*(keys(self[i]) for i in colluders))
        w.tape.hidden = set().union(*(keys(self[i]) for i in self)) - known

    def all(self, steps):
        """`steps(party, its shares)` at every party."""
        return together({i: steps(i, s) for i, s in self.items()}, self.heard)

    def deal(self, dealer, value):
        dealt = self.all(lambda i, s: s.deal([dealer], value if i == dealer else None, value.shape))
        return {i: share[dealer] for i, share in dealt.items()}

    def shared(self, w, name, value):
        """Shares of a value, of which those of colluders are fixed; by party."""
        polynomials = w.module("protocols.shamir.polynomials")
        points = [0, *(polynomials.point(i) for i in self.colluders)]
        fixed = [value, *(self.tape.public((name, i), 1, w.p) for i in self.colluders)]
        return {i: polynomials.combined(polynomials.weights(points, polynomials.point(i)), fixed) for i in self}

    def told(self, *secrets):
        return Told(list(secrets), self.heard.columns(self.colluders, self.tape.lanes))


def keys(shares):
    made = (*shares._draw.values(), *shares._drawn.values(), *getattr(shares, "_zeros", ()))
    return {prg.key for prg in (*made, shares.private, *shares.randomness._drawn.prgs)}


def coalitions(n, size, without=()):
    return list(combinations([i for i in range(n) if i not in without], size))


def dealing(w, n, t, colluders, blank=False):
    """Party 0 deals a number. `blank`: without a mask, what the others draw is 0."""

    def play():
        parties = Parties(w, n, t, colluders)
        w.tape.blank = {prg.key for prg in parties[0]._draw.values()} if blank else set()
        x = w.tape.digit(w.p)
        parties.deal(0, x)
        return parties.told(x)

    return at_once(w.tape, play)


@pytest.mark.parametrize(("n", "t"), [(3, 1), (4, 1), (5, 2)])
def test_dealing(n, t):
    w = world(97)
    w.tape.reset(b"1")
    for colluders in coalitions(n, t, without=[0]):
        assert uniform(dealing(w, n, t, colluders)), colluders


@pytest.mark.parametrize(("n", "t"), [(3, 1), (5, 2)])
def test_a_share_without_a_mask_and_one_colluder_too_many_are_counted(n, t):
    w = world(7)
    w.tape.reset(b"1")
    last = n - 1
    assert not uniform(dealing(w, n, t, (last,), blank=True))
    for colluders in coalitions(n, t + 1, without=[0]):
        assert not uniform(dealing(w, n, t, colluders)), colluders


def multiplied(w, n, t, colluders, after=None, blank=()):
    """[x] of party 0 and [y], of an honest party where that is not too many cases, are multiplied as shares; then `after`.

    `blank`: the generators whose draws are 0, of those that a party's `Shares` have.
    """

    def play():
        parties = Parties(w, n, t, colluders, summed=after is not None)
        w.tape.blank = set().union(*({prg.key for prg in found(s)} for s in parties.values() for found in blank))
        owner = colluders[-1] if n > 3 else next((i for i in (1, 2) if i not in colluders), 0)
        x = w.tape.digit(w.p)
        y = w.tape.digit(w.p) if n == 3 else np.full_like(x, 3)
        a, b = parties.deal(0, x), parties.deal(owner, y)
        z = {i: w.core.mul(a[i], b[i]) for i in parties}
        if after is None:
            parties.all(lambda i, s: s.reduce(z[i]))
        else:
            after(w, parties, z, a)
        return parties.told(x, y) if n == 3 else parties.told(x)

    return at_once(w.tape, play)


def masked(w, parties, z, a):
    """c = x y + r"""
    r = parties.all(lambda i, s: s.random((w.tape.lanes,)))
    parties.all(lambda i, s: s.masked(w.core.add(z[i], r[i])))


def masked_twice(w, parties, z, a):
    """A broken choreography: one mask for two values."""
    r = parties.all(lambda i, s: s.random((w.tape.lanes,)))
    parties.all(lambda i, s: s.masked(w.core.add(z[i], r[i])))
    parties.all(lambda i, s: s.masked(w.core.add(a[i], r[i])))


SETTINGS = [pytest.param(3, 1, c, id=f"3-{c}") for c in coalitions(3, 1, [0])]
SETTINGS += [pytest.param(5, 2, c, id=f"5-{c}") for c in coalitions(5, 2, [0])]
SOME = ("3-(1,)", "3-(2,)", "5-(2, 3)", "5-(2, 4)")


@pytest.mark.parametrize(("n", "t", "colluders"), full(SETTINGS, *SOME))
def test_a_product_of_shares_is_reduced(n, t, colluders):
    w = world(7)
    w.tape.reset(b"1")
    assert uniform(multiplied(w, n, t, colluders))


@pytest.mark.parametrize(("n", "t", "colluders"), full(SETTINGS, *SOME))
def test_a_product_of_shares_is_opened_under_a_mask(n, t, colluders):
    """Of five parties the last one adds up, and tells the sum."""
    w = world(7)
    w.tape.reset(b"1")
    assert uniform(multiplied(w, n, t, colluders, masked))


def test_broken_products_are_counted():
    w = world(7)
    w.tape.reset(b"1")
    assert not uniform(multiplied(w, 3, 1, (2,), blank=[lambda s: s._draw.values()])), "shares without a mask"
    assert not uniform(multiplied(w, 5, 2, (3, 4), blank=[lambda s: s._draw.values()])), "shares without a mask"
    assert not uniform(multiplied(w, 3, 1, (2,), masked, [lambda s: s.randomness._drawn.prgs])), "no mask"
    assert not uniform(multiplied(w, 3, 1, (2,), masked, [lambda s: s._zeros])), "summands without a sharing of zero"
    assert not uniform(multiplied(w, 3, 1, (2,), masked_twice)), "a mask that opens two values"
    assert not uniform(multiplied(w, 3, 1, (1, 2), masked)), "more colluders than the threshold"


SEED = b"2"
"""With coins of which no weight is 0 for p = 5, so that the check of a wrong product fails."""


def verified(w, error, blank=lambda s: ()):
    """[z] = [x y] + error is checked, among three parties. The colluder's shares, y and coins are fixed."""
    tape, colluder = w.tape, 2
    parties = Parties(w, 3, 1, (colluder,))
    module, elementwise = w.module("protocols.shamir.verification"), w.module("graph.forms").Elementwise()
    tape.blank = set().union(*({prg.key for prg in blank(s)} for s in parties.values()))
    for s in parties.values():
        s.coin = lambda s=s: aside(tape, type(s).coin(s))

    def play():
        parties.heard.clear()
        x, y = tape.digit(w.p), np.array([3], np.uint64)
        z = w.core.add_scalar(w.core.mul(x, y), error)
        held = [parties.shared(w, name, value) for name, value in (("x", x), ("y", y), ("z", z))]

        def check(i, s):
            verifier = module.Verifier(s)
            verifier.equals(elementwise, *(shares[i] for shares in held))
            try:
                yield from verifier.check()
            except module.CheatingDetected:
                return 1
            return 0

        told = parties.told(x)
        failed = parties.all(check)
        told.view = [*parties.told().view, np.array([failed[0]])]
        return told

    return one_by_one(tape, play)


@pytest.mark.slow
@pytest.mark.parametrize("error", [0, 1])
def test_a_check_of_products_and_whether_it_fails(error, monkeypatch):
    """A vector of one product is cut in one piece, where it is up to 64: fewer numbers are dealt, in fewer cases."""
    w = world(5)
    w.tape.reset(SEED)
    monkeypatch.setattr(w.module("protocols.shamir.verification"), "MANY", 1)
    told = verified(w, error)
    assert uniform(told)
    assert told.view[-1].all() if error else not told.view[-1].any()


def test_a_broken_check_of_products_is_counted(monkeypatch):
    w = world(5)
    w.tape.reset(SEED)
    monkeypatch.setattr(w.module("protocols.shamir.verification"), "MANY", 1)
    assert not uniform(verified(w, 0, lambda s: s.randomness._drawn.prgs)), "nothing hides what is opened"


def reshared(w, n, colluders, blank=lambda s: ()):
    """[x] is shared anew among all, of whom 0 and 1 deal. The colluders' old shares are fixed; so are coins, which are public."""
    tape, parties = w.tape, Parties(w, n, 1, colluders)
    tape.blank = set().union(*({prg.key for prg in blank(s)} for s in parties.values()))
    for s in parties.values():
        s.coin = lambda s=s: aside(tape, type(s).coin(s))

    def play():
        parties.heard.clear()
        x = tape.digit(w.p)
        old = parties.shared(w, "x", x)
        new = parties.all(lambda i, s: w.module("protocols.shamir.resharing").reshare(s, range(n), old[i], 1))
        told = parties.told(x)
        told.view += [new[i] for i in colluders]
        return told

    return one_by_one(tape, play)


@pytest.mark.parametrize(
    ("n", "colluder"),
    [(3, 1), (3, 2), *(pytest.param(*more, marks=pytest.mark.slow) for more in ((3, 0), (4, 2), (4, 3)))],
)
def test_new_shares(n, colluder):
    w = world(5)
    w.tape.reset(SEED)
    assert uniform(reshared(w, n, (colluder,)))


def test_broken_resharings_are_counted():
    w = world(5)
    w.tape.reset(SEED)
    assert not uniform(reshared(w, 3, (2,), lambda s: s.randomness._drawn.prgs)), "a check of old shares without a mask"
    assert not uniform(reshared(w, 3, (2,), lambda s: s._draw.values())), "new shares without masks"
