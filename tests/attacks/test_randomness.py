"""Random numbers extracted from what all deal, and integers dealt as bits, against a party that deals something else."""

import numpy as np
import pytest

from tacit import field
from tacit.errors import CheatingDetected
from tacit.field import P
from tacit.protocols.shamir.randomness import BATCH, Extracted
from tacit.protocols.shamir.shares import Shares
from tacit.protocols.shamir.verification import Verifier
from tests.helpers.alterations import HEADER, one_number_off
from tests.helpers.parties import RIGHT, altered, at_party, attacked, found, nothing, opened_wrong, script

EXTRACTED = {"protocol": "shamir", "threshold": 1, "sets": 0}
PARTIES = 4


def last_is_inconsistent(exchange):
    """The last number of those dealt: nothing uses what comes of it so soon."""
    peer = min(exchange.out)
    exchange.out[peer] = [p + np.eye(1, p.size, p.size - 1, dtype=np.uint64)[0] for p in exchange.out[peer]]


def dealing_to_all(self, original, dealers, mine, shape):
    if len(dealers) != PARTIES:
        return (yield from original(self, dealers, mine, shape))
    return (yield from altered(original(self, dealers, mine, shape), last_is_inconsistent))


@pytest.mark.parametrize("protocol", ["shamir", "shamir-corrected"])
@pytest.mark.parametrize("liar", range(PARTIES))
def test_a_number_that_is_dealt_inconsistently(protocol, liar, monkeypatch):
    """Honest shares would lie on no line: found before any number of its batch is used, and nobody gets an output."""
    at_party(monkeypatch, liar, Shares, "deal", dealing_to_all)
    used = []
    original = Extracted.random

    def random(self, count):
        values = yield from original(self, count)
        used.append(count)
        return values

    monkeypatch.setattr(Extracted, "random", random)
    outcome = attacked(PARTIES, liar, nothing, **(EXTRACTED | {"protocol": protocol}))
    found(outcome, PARTIES, liar, "wrong share")
    assert set(used) <= {1, 3}  # what the check itself takes


def test_the_check_of_a_batch_is_what_protects(monkeypatch):
    """Without it the same is not noticed: that number waits in the pool."""
    original = Verifier.check

    def check(self):
        if self.pending >= BATCH and len(self._dealt) == 1 and not self._products:
            self.forget()
        yield from original(self)

    monkeypatch.setattr(Verifier, "check", check)
    at_party(monkeypatch, 2, Shares, "deal", dealing_to_all)
    outcome = attacked(PARTIES, 2, nothing, **EXTRACTED)
    assert not outcome.errors
    assert np.abs(outcome.results[0] - RIGHT).max() < 1e-3


def dealing_bits(wrong):
    """Deals `wrong(bits)` in place of bits."""

    def changed(self, original, *arguments):
        deal = self._shares.deal

        def lie(dealers, mine, shape):
            return deal(dealers, mine if mine is None else wrong(mine), shape)

        self._shares.deal = lie
        summed = yield from original(self, *arguments)
        self._shares.deal = deal
        return summed

    return changed


def one_is_two(bits):
    return np.where(np.arange(bits.size) == bits.size // 2, np.uint64(2), bits)


def party(monkeypatch, who, name, changed):
    original = getattr(Extracted, name)

    def method(self, *arguments):
        return changed(self, original, *arguments) if self._shares.me == who else original(self, *arguments)

    monkeypatch.setattr(Extracted, name, method)


@pytest.mark.parametrize("liar", [0, 1])
def test_an_integer_whose_digits_are_no_bits(liar, monkeypatch):
    """It could be out of its range: found before a value is opened under it."""
    party(monkeypatch, liar, "_bits", dealing_bits(one_is_two))
    opened = []
    at_party(monkeypatch, 3, Shares, "open", lambda self, open, share: opened.append(share.shape) or open(self, share))
    found(attacked(PARTIES, liar, nothing, **EXTRACTED), PARTIES, liar, "check of products")
    assert RIGHT.shape not in opened


def test_the_check_of_bits_is_what_protects(monkeypatch):
    """Without it, such an attack reveals a wrong value."""
    monkeypatch.setattr(Verifier, "equals", lambda self, form, x, y, z: None)
    party(monkeypatch, 1, "_bits", dealing_bits(lambda bits: field.scale(bits, P // 3)))
    opened_wrong(attacked(PARTIES, 1, nothing, **EXTRACTED), (0, 2, 3))


def test_a_number_outside_the_field(monkeypatch):
    """Who deals it is named."""

    def outside(exchange):
        peer = min(exchange.out)
        exchange.out[peer] = [np.full_like(p, P) for p in exchange.out[peer]]

    def deal(self, original, dealers, mine, shape):
        if len(dealers) != PARTIES:
            return (yield from original(self, dealers, mine, shape))
        return (yield from altered(original(self, dealers, mine, shape), outside))

    at_party(monkeypatch, 3, Shares, "deal", deal)
    found(attacked(PARTIES, 3, nothing, **EXTRACTED), PARTIES, 3, "party 3 sent a number outside the field")


@pytest.mark.parametrize("label", ["numbers that are not all ones", "check of material"])
def test_one_number_off_in_each_round(label):
    """Of what fills the pool, and of the checks of bits and integers: nobody gets a result."""
    frames = script(PARTIES, 3, **EXTRACTED)
    numbers = sorted({number for (number, _), name in frames.items() if name == label})
    assert len(numbers) > 3
    for at in numbers:
        altered = []

        def tamper(peer, number, payload, name, at=at, altered=altered):
            if number != at or len(payload) <= HEADER:
                return payload
            altered.append(peer)
            return one_number_off(payload) if peer == 0 else payload

        outcome = attacked(PARTIES, 3, tamper, **EXTRACTED)
        if 0 in altered:
            found(outcome, PARTIES, 3)


def test_after_cheating_the_pools_are_gone(monkeypatch):
    at_party(monkeypatch, 2, Shares, "deal", dealing_to_all)
    outcome = attacked(PARTIES, 2, nothing, **EXTRACTED)
    for session in outcome.sessions.values():
        protocol = session.engine.protocol
        for shares in (protocol.shares, protocol._source._shares):
            assert shares.randomness._pool.size == 0
            with pytest.raises(CheatingDetected, match="destroyed"):
                next(shares.random((1,)))
