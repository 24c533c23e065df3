"""Checks that no larger attack singles out: another one would speak in their place, or they come late in a run."""

import re

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.errors import CheatingDetected, PeerStopped
from tacit.field import P
from tacit.graph.forms import Elementwise
from tacit.interaction.exchange import received
from tacit.protocols.plan import Plan
from tacit.protocols.shamir import resharing
from tacit.protocols.shamir.robust import MANY, Corrected, CorrectedShares
from tacit.protocols.shamir.shares import Shares
from tacit.protocols.spdz.protocol import _packed
from tacit.testing import protocol
from tacit.testing.transport import Tampered
from tests.attacks.keys import LIAR, bits, product
from tests.helpers.alterations import alter, one_more, shorter
from tests.helpers.parties import added, altered, attacked, honest, rounds_of
from tests.losses.failing import X, Y, at, run
from tests.preprocessing.lattices import Crew

CORRECTED = {"protocol": "shamir-corrected"}


def crew(work, **options):
    made = Crew(2, budget=1 << 17, **options)
    try:
        return made.results(work)
    finally:
        made.close()


# Messages.


def test_a_frame_of_another_length_is_named_so():
    error = attacked(2, 1, alter(rounds_of(2, "truncate")[0], shorter)).errors[0]
    assert isinstance(error, CheatingDetected)
    assert re.match(r"party 1 sent \d+ bytes in round \d+ where \d+ were due", str(error)), error


@pytest.mark.parametrize("length", [0, 16, 23, 25, 32])
def test_field_elements_that_are_not_as_many_as_are_due(length):
    with pytest.raises(CheatingDetected, match=f"party 1 sent {length} bytes where 24 were due"):
        received(memoryview(bytes(length)), (3,), 1)


@pytest.mark.parametrize("length", [0, 2, 4])
def test_packed_bits_that_are_not_as_many_as_are_due(length):
    with pytest.raises(CheatingDetected, match=f"party 1 sent {length} bytes where 3 were due"):
        _packed(memoryview(bytes(length)), 17, 1)


@pytest.mark.parametrize("last", [2, 128, 255])
def test_packed_bits_beyond_those_that_are_due(last):
    with pytest.raises(CheatingDetected, match="party 1 sent bits beyond those that were due"):
        _packed(memoryview(bytes([0, 0, last])), 17, 1)
    assert _packed(memoryview(bytes([0, 0, 1])), 17, 1).tolist() == [0, 0, 1]


# Preparation.


def test_a_shorter_message_is_named_so():
    def tamper(peer, number, payload, label):
        return payload[:-1] if label == "check" else payload

    def wrap(channel, me):
        return Tampered(channel, tamper) if me == LIAR else channel

    _, other = crew(lambda s: s.take(s.request(bits().requests)), wrap=wrap)
    assert isinstance(other, CheatingDetected)
    assert re.match(rf"party {LIAR} sent \d+ bytes of check where \d+ were due", str(other)), other


def test_a_share_outside_the_field():
    """A party commits to a + p in place of a: one number in two forms, of which the core takes one."""

    def work(s):
        link = s._maker.link
        if s.me == LIAR:
            right = link.commit
            link.commit = lambda value, name: right(value + np.uint64(P) if name == "opened products" else value, name)
        return s.take(s.request(bits().requests))

    _, other = crew(work)
    assert isinstance(other, CheatingDetected) and str(other) == f"party {LIAR} sent a number outside the field"


def test_sums_of_shares_that_are_no_squares():
    """Twenty are off by one: one of them is no square but for a chance of 2^-20. Found before the check, which would fail."""

    def work(s):
        link = s._maker.link
        if s.me == LIAR:
            right = link.commit
            link.commit = lambda value, name: right(
                field.add(value, np.ones_like(value)) if name == "opened products" else value, name
            )
        return s.take(s.request(bits().requests))

    _, other = crew(work)
    assert isinstance(other, CheatingDetected) and "opened for a random bit is none" in str(other)


def test_a_source_that_was_burned_makes_nothing():
    def work(s):
        ticket = s.request(bits().requests)
        s.take(ticket)
        s.burn()
        for late in (lambda: s.request(bits().requests), lambda: s.take(ticket), s._maker.alive):
            with pytest.raises(CheatingDetected, match="destroyed"):
                late()
        return True

    assert crew(work) == [True, True]


def test_a_wrong_product_that_was_not_foreseen():
    """Made when it is asked for, of a list that was made ahead: found, and nobody opens keys to tell who it was."""
    made, lied = Crew(2, budget=1 << 17), []
    data = Plan(0)
    masks = [data.mask((6, 4))[0] for _ in range(4)]
    made.run(2, lambda s: s.take(s.request(data.requests)) and None)
    for mask in masks:
        mask.sealed = True

    def lie(s):
        right = s._missing

        def missing(*given):
            lied.append(given)
            product(0)(s._maker.link)
            return right(*given)

        s._missing = missing

    made.run(2, lambda s: lie(s) if s.me == LIAR else None)
    for turn in range(8):
        plan = Plan(4)
        plan.product(Elementwise(), masks[turn % 4], plan.mask((6, 4))[0])
        _, other = made.results(lambda s, plan=plan: s.take(s.request(plan.requests)))
        if lied:
            break
    made.close()
    assert lied
    assert isinstance(other, CheatingDetected) and "does not show" in str(other)


# An honest majority.


def test_shares_on_no_polynomial_that_could_be_corrected(monkeypatch):
    """Two of four lie, where one is corrected."""
    right = CorrectedShares.open

    def open(self, share):
        return right(self, added(share, int(self.private.field(1)[0])) if self.me in (2, 3) else share)

    monkeypatch.setattr(CorrectedShares, "open", open)
    results, errors = honest(attacked(4, (2, 3), **CORRECTED), 4, (2, 3))
    assert not results
    assert any(isinstance(e, CheatingDetected) and str(e) == MANY for e in errors.values()), errors


def test_more_suspects_than_liars_that_could_be_corrected():
    shares = Corrected(0, 4, 1, bytes(32)).shares
    for _ in range(2):
        shares.suspect([1])
    with pytest.raises(CheatingDetected, match=re.escape(MANY)):
        shares.suspect([2])


def test_an_input_of_which_too_few_say_the_same_after_a_loss():
    """Three of four are left. One owns the data, and one was told something else: the third cannot tell who lies."""
    tampered = []

    def tamper(peer, number, payload, label):
        if peer == 2 and "data of party 1" in label and len(payload) > 16 and not tampered:
            tampered.append(number)
            return one_more(payload)
        return payload

    def work(session):
        x = session.materialize(session.secret(X, owner=0))
        for _ in range(8):
            x = session.materialize(x + 0.0)
        if session.me != 3:
            assert session.survivors == (0, 1, 2)
        return session.reveal(x + session.materialize(session.secret(Y, owner=1)))

    outcome = run(work, 4, 1, {3: at(24, "die")}, timeout=3.0, tampers={1: tamper}, **CORRECTED)
    assert tampered and not set(outcome.results) & {0, 2}
    assert isinstance(outcome.errors[0], CheatingDetected) and "do not say the same" in str(outcome.errors[0])


def test_more_dealers_lie_than_there_are_to_spare(monkeypatch):
    """Three hold a value, and two deal it: what both deal lies on no line. One alone would deal another value, and does not."""
    deal, dealt, victims, dealers = Shares.deal, resharing._dealt, {1: min, 2: max}, set()

    def lying(self, dealers, mine, shape):
        def inconsistent(exchange):
            peer = victims[self.me](exchange.out)
            exchange.out[peer] = [field.add(part, np.ones_like(part)) for part in exchange.out[peer]]

        steps = deal(self, dealers, mine, shape)
        lies = self.me in victims and shape == (8,) and list(dealers) == [1, 2]  # seven values, and a mask
        return altered(steps, inconsistent) if lies else steps

    def watched(shares, chosen, *given):
        dealers.add(tuple(chosen))
        return dealt(shares, chosen, *given)

    monkeypatch.setattr(Shares, "deal", lying)
    monkeypatch.setattr(resharing, "_dealt", watched)
    errors, holders = {}, [1, 2, 3]

    def work(session):
        e = session.engine
        wire = protocol.secret(e, protocol.draw(7), 0)
        e.force(wire)
        held = [((7,), wire.value() if session.me in holders else None)]
        try:
            return e._drive(e.protocol.reshare(held, holders), "reshare")
        except tacit.TacitError as error:
            errors[session.me] = error
            raise

    with pytest.raises((CheatingDetected, PeerStopped)):
        tacit.run(work, parties=5, timeout=10, threshold=1, backend="numpy", **CORRECTED)
    assert any(isinstance(e, CheatingDetected) and "some party dealt" in str(e) for e in errors.values()), errors
    assert dealers == {(1, 2)}
