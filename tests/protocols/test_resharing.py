"""Shares dealt anew: the same values, other polynomials, and lies that are found."""

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.errors import CheatingDetected, PeerStopped
from tacit.field import P
from tacit.protocols.shamir.polynomials import on_polynomial, point, weights
from tacit.protocols.shamir.resharing import reshare_cost
from tacit.protocols.shamir.shares import KEY, Shares
from tacit.testing import protocol
from tacit.transport.meter import HEADER_SIZE

N, T = 5, 1


def reshared(holders=range(N), parties=N, size=7):
    """By party: the value's old share, the new one, what was declared and what was sent."""
    x = protocol.draw(size)

    def work(session):
        e = session.engine
        wire = protocol.secret(e, x, 0)
        e.force(wire)
        before = session.meter.snapshot()
        held = [((size,), wire.value() if session.me in holders else None)]
        ((new,),) = e._drive(e.protocol.reshare(held, list(holders)), "reshare")
        cost = reshare_cost(e.protocol.shares, list(holders), size)
        return wire.value()[0], new, cost, session.meter.since(before).total

    return x, tacit.run(work, parties=parties, timeout=10, protocol="shamir", threshold=T, backend="numpy")


def value(shares):
    """What shares of all parties stand for, by party."""
    points = [point(i) for i in shares]
    for k in range(len(next(iter(shares.values())))):
        assert on_polynomial({x: int(s[k]) for x, s in zip(points, shares.values(), strict=True)}, T)
    total = np.zeros_like(next(iter(shares.values())))
    for w, s in zip(weights(points, 0), shares.values(), strict=True):
        total = field.add(total, field.scale(s, w))
    return total


@pytest.mark.parametrize("holders", [range(5), (0, 1, 2), (1, 3, 4), (0, 2, 3, 4)])
def test_the_same_values_on_other_polynomials(holders):
    x, results = reshared(holders)
    new = {i: r[1] for i, r in enumerate(results)}
    assert (value(new) == x).all()
    assert all((r[0] != r[1]).all() for r in results)
    # An old share is of no use with the new ones.
    mixed = {point(0): int(results[0][0][0]), **{point(i): int(new[i][0]) for i in (1, 2)}}
    assert not on_polynomial(mixed, T)


@pytest.mark.parametrize("holders", [range(5), (1, 3, 4)])
def test_costs(holders):
    """Bytes up to the headers of frames, and a round in which holders compare what they opened before."""
    for i, (_, _, (rounds, sends), spent) in enumerate(reshared(holders)[1]):
        compared = i in holders
        assert spent.rounds - compared == rounds == 3
        sends += compared * KEY * (len(holders) - 1)
        assert sends <= spent.sent <= sends + spent.rounds * (N - 1) * (HEADER_SIZE + 16)


def lying(monkeypatch, name, changed):
    original = getattr(Shares, name)

    def method(self, *arguments):
        return changed(self, original, *arguments)

    monkeypatch.setattr(Shares, name, method)
    with pytest.raises((CheatingDetected, PeerStopped), match="dealt anew"):
        reshared()


def test_a_dealer_that_deals_another_value(monkeypatch):
    def deal(self, original, dealers, mine, shape):
        if self.me == 1 and shape == (8,) and len(dealers) == T + 1:  # seven values, and a mask
            mine = field.add(mine, np.eye(1, 8, 3, dtype=np.uint64)[0])
        return original(self, dealers, mine, shape)

    lying(monkeypatch, "deal", deal)


def test_a_dealer_whose_shares_are_inconsistent(monkeypatch):
    def deal(self, original, dealers, mine, shape):
        if self.me != 1 or shape != (8,) or len(dealers) != T + 1:
            return (yield from original(self, dealers, mine, shape))
        steps = original(self, dealers, mine, shape)
        sent = next(steps)
        for parts in list(sent.out.values())[:1]:
            parts[0] = field.add(parts[0], np.full(8, P - 5, np.uint64))
        try:
            steps.send((yield sent))
        except StopIteration as end:
            return end.value

    lying(monkeypatch, "deal", deal)
