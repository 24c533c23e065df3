"""Shamir's shares with correction: the conformance suite, what it costs, and how many wrong shares are corrected."""

from itertools import combinations

import numpy as np
import pytest
from tests.helpers.settings import full

import tacit
from tacit.errors import CheatingDetected
from tacit.field import P
from tacit.protocols.shamir.robust import CorrectedShares
from tacit.protocols.shamir.shares import Group
from tacit.testing import protocol

SETTINGS = [(4, 1), (7, 2)]


def corrected(work, parties, threshold=None, **options):
    options = {"timeout": 20, "protocol": "shamir-corrected", "backend": "numpy"} | options
    return tacit.run(work, parties=parties, threshold=threshold, **options)


@pytest.mark.quick()
@pytest.mark.parametrize(("parties", "threshold"), full(SETTINGS))
@pytest.mark.parametrize("check", protocol.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, parties, threshold):
    check(lambda n, work: corrected(lambda s: work(s.engine), n, threshold), parties)


def test_a_value_is_opened_once():
    """Of an input nothing, of a product 8 bytes to each; whatever is made of them then sends nothing. A reveal is one round."""

    def work(session):
        e = session.engine
        a, b = protocol.secret(e, protocol.draw(3, 4)), protocol.secret(e, protocol.draw(4, 2, seed=1))
        ab = protocol.product(e, protocol.MatMul(), a, b)
        e.force(a, b)
        spent = []
        for wire in (
            ab,
            protocol.product(e, protocol.Elementwise(), ab, ab),
            protocol.product(e, protocol.MatMul(True, False), a, ab),
        ):
            prepared = e.prepare(wire)
            before = e.channel.meter.snapshot()
            e.run(prepared)
            total = e.channel.meter.since(before).total
            spent.append((prepared.plan.rounds, prepared.plan.sends))
            assert total.rounds == prepared.plan.rounds
        before = e.channel.meter.snapshot()
        e.reveal([ab])
        labels = e.channel.meter.since(before).by_label
        return spent, labels["reveal"].rounds, e.protocol.output_rounds()

    for spent, rounds, declared in corrected(work, 4):
        assert spent == [(0, 0), (1, 8 * 6 * 3), (0, 0)]
        assert rounds == declared == 1


def shares_of(me, members, threshold, suspected):
    return CorrectedShares(Group(me, members, threshold, b"session"), "online", set(suspected))


@pytest.mark.parametrize(
    ("members", "threshold", "suspected", "corrects"),
    [
        (range(4), 1, (), 1),
        (range(7), 2, (), 2),
        (range(8), 2, (), 2),
        (range(7), 2, (6,), 1),
        (range(7), 2, (5, 6), 0),
        ((0, 1, 3), 1, (), 0),
        ((0, 1, 3), 1, (2,), 0),
        ((0, 1, 3), 1, (3,), 0),
        ((0, 1, 3, 4, 5, 6), 2, (), 1),
        ((0, 1, 3, 4, 5), 2, (), 0),
        ((0, 1, 3, 4, 5), 2, (5,), 0),
        ((0, 1, 3, 4, 5, 6), 2, (6,), 1),
    ],
)
def test_how_many_wrong_shares_are_corrected(members, threshold, suspected, corrects):
    """Every set of liars of each size: that many at most are corrected and known from then on; others are found."""
    rng = np.random.default_rng(0)
    coefficients = [int(c) for c in rng.integers(0, P, threshold + 1)]
    right = {i: sum(c * (i + 1) ** k for k, c in enumerate(coefficients)) % P for i in members}
    left = [i for i in members if i not in suspected and i != 0]
    for count in range(threshold - len(suspected) + 1):
        for lying in combinations(left, count):
            shares = shares_of(0, members, threshold, suspected)
            steps = shares.open(np.array([right[0]], np.uint64))
            next(steps)
            sent = right | {i: int(rng.integers(0, P)) for i in (*lying, *suspected)}
            came = {i: memoryview(np.array([v], np.uint64)).cast("B") for i, v in sent.items() if i != 0}
            if count <= corrects:
                with pytest.raises(StopIteration) as end:
                    steps.send(came)
                assert end.value.value.tolist() == [coefficients[0]]
                assert shares.faulty_parties == {*suspected, *lying}
            else:
                with pytest.raises(CheatingDetected, match="so many parties"):
                    steps.send(came)
