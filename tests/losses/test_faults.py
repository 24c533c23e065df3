"""A node whose memory is wrong, or that lies, while shares are dealt anew after a loss: corrected as far as shares are spare."""

import re

import numpy as np
import pytest

from tacit import field as fp
from tacit.errors import CheatingDetected, PeerStopped
from tacit.protocols.shamir import resharing
from tacit.protocols.shamir.shares import Shares
from tests.helpers.parties import altered
from tests.losses.failing import X, Y, at, run

CORRECTED = {"protocol": "shamir-corrected"}
RIGHT = (X @ Y) ** 2


def anything(me, scale):
    return (1 << 40) + me


def one_in_the_value(me, scale):
    """Its part of the value, if it is one of the three that deal, is 1 more."""
    return (1 << scale) * pow(resharing._factors(range(3))[me], -1, fp.P) % fp.P


def script(faulty=(), places=slice(None), bystander=False, more=anything):
    """A stored share is wrong, by `more`, at the parties `faulty`, at some places, from when it was made."""

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        y = session.materialize(session.secret(Y, owner=1))
        z = session.materialize(x @ y)
        if session.me in faulty:
            wire = z.number.wire
            share = wire.share[0].copy()
            wrong = share.reshape(-1)[places]
            share.reshape(-1)[places] = fp.add(wrong, np.full_like(wrong, more(session.me, z.number.scale)))
            wire.share = (share,)
        for _ in range(6):
            session.materialize(x + y)
        if bystander:
            z = session.materialize(z + 0.0)
        return session.reveal(z * z)

    return work


def survived(outcome, left, suspected, among=None):
    assert not outcome.errors, outcome.errors
    assert sorted(outcome.results) == sorted(left)
    for i, result in outcome.results.items():
        assert np.abs(result - RIGHT).max() < 1e-2
        assert outcome.sessions[i].survivors == tuple(left)
        if i not in suspected:
            assert outcome.sessions[i].engine.protocol.faulty_parties == set(suspected)


def named(outcome, *honest):
    texts = [str(outcome.errors[i]) for i in honest if isinstance(outcome.errors.get(i), CheatingDetected)]
    assert texts
    return {int(i) for text in texts for i in re.findall(r"party (\d+)", text)}


@pytest.mark.parametrize(
    ("parties", "threshold", "faulty"),
    [(5, 1, (3,)), (5, 1, (0,)), (7, 2, (3,)), (7, 2, (0,)), (8, 2, (0, 5)), (9, 2, (1, 2)), (11, 3, (0, 1, 2))],
)
@pytest.mark.parametrize("number", [42, 48, 54])
def test_a_wrong_stored_share_and_a_loss(parties, threshold, faulty, number):
    """The same result, and all know whose share was wrong; dealers or not."""
    lost = {parties - 1: at(number, "die")}
    outcome = run(script(faulty), parties, threshold, lost, timeout=4.0, **CORRECTED)
    survived(outcome, range(parties - 1), faulty)


def test_one_wrong_place_of_many_and_two_losses():
    fates = {7: at(44, "die"), 8: at(56, "die")}
    outcome = run(script((4,), slice(2, 3)), 9, 2, fates, timeout=4.0, **CORRECTED)
    survived(outcome, range(7), (4,))


def test_a_wrong_share_where_none_is_spare():
    """As many as are needed are left: found, and nobody is named."""
    fates = {5: at(44, "die"), 6: at(44, "die")}
    outcome = run(script((3,)), 7, 2, fates, timeout=4.0, **CORRECTED)
    assert not outcome.results
    assert not named(outcome, 0, 1, 2, 4)


def test_the_correction_is_what_protects(monkeypatch):
    """Without the check, the wrong share of a dealer is in every new share: all are shown (z + 1)^2 for z^2."""
    monkeypatch.setattr(resharing, "_judged", lambda *arguments: resharing.Verdict(set(), set()))
    lost = {6: at(48, "die")}
    outcome = run(script((0,), more=one_in_the_value), 7, 2, lost, timeout=4.0, **CORRECTED)
    assert sorted(outcome.results) == list(range(6)) and not outcome.errors
    for result in outcome.results.values():
        np.testing.assert_allclose(result, (X @ Y + 1) ** 2, atol=1e-2)


def dealing(monkeypatch, who, change):
    """`change(self, mine)` deals instead, and says the truth of all else."""
    inside, dealt, deal = [], resharing._dealt, Shares.deal

    def _dealt(shares, *arguments):
        inside.append(shares)
        return dealt(shares, *arguments)

    def wrong(self, dealers, mine, shape):
        lies = self.me in who and mine is not None and self in inside
        return deal(self, dealers, change(self, mine) if lies else mine, shape)

    monkeypatch.setattr(resharing, "_dealt", _dealt)
    monkeypatch.setattr(Shares, "deal", wrong)


def other_value(self, mine):
    return fp.add(mine, np.eye(1, mine.size, 1, dtype=np.uint64)[0])


def other_mask(self, mine):
    return fp.add(mine, np.eye(1, mine.size, mine.size - 1, dtype=np.uint64)[0])


@pytest.mark.parametrize("change", [other_value, other_mask])
@pytest.mark.parametrize(("parties", "threshold", "who"), [(5, 1, (1,)), (7, 2, (0,)), (8, 2, (0, 2))])
def test_a_dealer_that_deals_another_value(change, parties, threshold, who, monkeypatch):
    dealing(monkeypatch, who, change)
    outcome = run(script(), parties, threshold, {parties - 1: at(48, "die")}, timeout=4.0, **CORRECTED)
    survived(outcome, range(parties - 1), who)


@pytest.mark.parametrize("where", ["dealt", "said"])
@pytest.mark.parametrize("to", ["one", "all"])
def test_lies_of_a_dealer_and_of_a_receiver(where, to, monkeypatch):
    """What it sends while shares are dealt or tested is wrong, for one or for all: corrected, or no honest party is named."""
    dealt = resharing._dealt
    liar = 1

    def _dealt(shares, *arguments):
        steps = dealt(shares, *arguments)
        if shares.me != liar:
            return (yield from steps)
        count = [0]

        def change(exchange):
            count[0] += 1
            if count[0] == (1 if where == "dealt" else 3):
                for i in list(exchange.out)[: 1 if to == "one" else None]:
                    exchange.out[i] = [fp.add(part, np.ones_like(part)) for part in exchange.out[i]]

        return (yield from altered(steps, change))

    monkeypatch.setattr(resharing, "_dealt", _dealt)
    outcome = run(script(), 8, 2, {7: at(48, "die")}, timeout=4.0, **CORRECTED)
    honest = [i for i in range(7) if i != liar]
    if (where, to) == ("said", "one"):  # some see a lie, others do not
        assert not set(outcome.results) & set(honest)
        assert named(outcome, *honest) <= {liar}
        assert all(isinstance(e, CheatingDetected | PeerStopped) for e in outcome.errors.values())
        return
    assert sorted(outcome.results) == list(range(7)), outcome.errors
    for i in honest:
        assert np.abs(outcome.results[i] - RIGHT).max() < 1e-2
        assert outcome.sessions[i].engine.protocol.faulty_parties <= {liar}


def test_under_shamir_a_wrong_stored_share_ends_the_session():
    outcome = run(script((3,)), 7, 2, {6: at(30, "die")}, timeout=4.0)
    assert not outcome.results
    assert not named(outcome, 0, 1, 2, 4, 5)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("faulty", [(3,), (0,)])
def test_at_every_round(faulty):
    for number in range(36, 62):
        outcome = run(script(faulty), 7, 2, {6: at(number, "die")}, timeout=4.0, **CORRECTED)
        survived(outcome, range(6), faulty)
