"""Shamir's shares with correction against liars: t of them change nothing, whatever they send when values are opened."""

import numpy as np
import pytest

from tacit import field as fp
from tacit.errors import CheatingDetected, Mismatch, PeerStopped, TooFewLeft
from tacit.field import P
from tacit.protocols.shamir.robust import Corrected, CorrectedShares
from tacit.protocols.shamir.shares import Shares
from tacit.testing import protocol
from tests.helpers.alterations import HEADER, elements, message, one_more, one_number_off
from tests.helpers.parties import RIGHT, added, at_party, attacked, found, honest, nothing, script
from tests.losses import failing

CORRECTED = {"protocol": "shamir-corrected"}
SETTINGS = [(4, (3,)), (7, (2, 6))]
MATERIAL = ("random bits", "numbers that are not all ones", "masks of inputs", "products of masks", "check of material")
ELSEWHERE = ("start", "announce", "agree", "through", *MATERIAL)
"""What is not opened in the online phase."""


def anything(payload):
    return message(payload, np.random.default_rng().integers(0, P, len(elements(payload)), np.uint64))


def zeros(payload):
    return message(payload, np.zeros_like(elements(payload)))


def outside_the_field(payload):
    return message(payload, np.full_like(elements(payload), P))


def shorter(payload):
    return bytes(payload[:-1])


def empty(payload):
    return b""


def other_round(payload):
    return bytes([*payload[:8], payload[8] ^ 1, *payload[9:]])


LIES = [one_more, one_number_off, anything, zeros, outside_the_field, shorter, empty, other_round]


def liar(lie, to=None):
    """Lies whenever a value is opened, an output included; `to`: to this party alone."""

    def tamper(peer, number, payload, label):
        # Eight bytes each, but for hashes of inputs.
        return payload if label in ELSEWHERE or (to is not None and peer != to) else lie(payload)

    return tamper


def right(outcome, parties, liars):
    results, errors = honest(outcome, parties, liars)
    assert not errors, errors
    assert len(results) == parties - len(liars)
    for result in results:
        assert np.abs(result - RIGHT).max() < 1e-3


def spent(outcome, party):
    total = outcome.sessions[party].meter.total()
    return total.sent, total.rounds


@pytest.mark.parametrize(("parties", "liars"), SETTINGS)
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_lies_in_every_opening(lie, parties, liars):
    """To all: the same result, in the same rounds and bytes, and every honest party knows by the end who lied."""
    usual = attacked(parties, **CORRECTED)
    outcome = attacked(parties, liars, liar(lie), **CORRECTED)
    right(outcome, parties, liars)
    for i in set(range(parties)) - set(liars):
        assert outcome.sessions[i].engine.protocol.faulty_parties == set(liars)
        assert spent(outcome, i) == spent(usual, i)


@pytest.mark.parametrize(("parties", "liars"), SETTINGS)
@pytest.mark.parametrize("lie", [one_more, outside_the_field, shorter], ids=lambda lie: lie.__name__)
def test_lies_to_one_party_only(lie, parties, liars):
    """That party alone suspects somebody, and has the same result as the others."""
    outcome = attacked(parties, liars, liar(lie, to=1), **CORRECTED)
    right(outcome, parties, liars)
    assert [bool(outcome.sessions[i].engine.protocol.faulty_parties) for i in (0, 1)] == [False, True]
    np.testing.assert_array_equal(outcome.results[0], outcome.results[1])


def test_lies_that_fit_each_other(monkeypatch):
    """Both liars of seven add to their shares what is zero at two honest parties: four points lie on a wrong polynomial."""
    shifts = {i: i * (i - 1) for i in (2, 6)}  # of degree t, zero at parties 0 and 1, 2 at the secret
    original = CorrectedShares.open

    def open(self, share):
        return original(self, fp.add(share, np.full_like(share, shifts.get(self.me, 0))))

    monkeypatch.setattr(CorrectedShares, "open", open)
    outcome = attacked(7, **CORRECTED)
    right(outcome, 7, ())
    assert all(session.engine.protocol.faulty_parties == {2, 6} for session in outcome.sessions.values())


def test_correction_is_what_protects(monkeypatch):
    """Without it, the same lie reveals a wrong value."""
    monkeypatch.setattr(
        CorrectedShares,
        "_fitting",
        lambda self, mine, came: {
            i: mine if i == self.me else np.frombuffer(came[i], np.uint64).reshape(mine.shape) for i in self.members
        },
    )
    outcome = attacked(4, 1, liar(one_more), **CORRECTED)
    results, _ = honest(outcome, 4, 1)
    assert not any(np.abs(result - RIGHT).max() < 1e-3 for result in results)


@pytest.mark.parametrize(("parties", "liars"), [(4, (2, 3)), (7, (2, 4, 6)), (7, (0, 1, 2, 3, 4, 5))])
@pytest.mark.parametrize("lie", [anything, outside_the_field, empty], ids=lambda lie: lie.__name__)
def test_more_liars_than_the_threshold(lie, parties, liars):
    """Liars whose lies do not fit each other: found, nothing is revealed."""
    outcome = attacked(parties, liars, liar(lie), **CORRECTED)
    results, errors = honest(outcome, parties, liars)
    assert not results
    assert all(isinstance(e, CheatingDetected | PeerStopped | TooFewLeft) for e in errors.values()), errors


@pytest.mark.parametrize("what", ["agree", "through", "reveal"])
def test_what_is_not_corrected(what):
    """Lies about the operations and the ends of steps, and more bytes than are due, end the session."""

    def tamper(peer, number, payload, label):
        return bytes(payload) + bytes(8) if label == what else payload

    results, errors = honest(attacked(4, 3, tamper, **CORRECTED), 4, 3)
    assert not results
    assert all(isinstance(e, Mismatch | PeerStopped) for e in errors.values()), errors


@pytest.mark.parametrize("what", MATERIAL)
def test_a_lie_while_material_is_made(what):
    """Each message of it: the session ends before a value is opened that depends on it."""
    frames = script(4, 3, **CORRECTED)
    numbers = sorted({number for (number, _), label in frames.items() if label == what})
    first = min(number for (number, _), label in frames.items() if label not in ELSEWHERE)
    for at in numbers:
        seen = []

        def tamper(peer, number, payload, label, at=at, seen=seen):
            seen.append(number)
            return one_number_off(payload) if number == at and len(payload) > HEADER else payload

        outcome = attacked(4, 3, tamper, **CORRECTED)
        results, errors = honest(outcome, 4, 3)
        assert not results, (at, what)
        assert all(isinstance(e, CheatingDetected | PeerStopped) for e in errors.values()), errors
        assert max(seen) < first


def test_a_wrong_product_of_masks(monkeypatch):
    """Only the check of products can find it, and does before a value is opened under these masks."""

    def reduce(self, original, z):
        return original(self, added(z))

    opened = []
    at_party(monkeypatch, 2, Shares, "reduce", reduce)
    monkeypatch.setattr(Corrected, "open", lambda self, share: opened.append(share))
    found(attacked(4, 2, nothing, **CORRECTED), 4, 2, "check of products")
    assert not opened


def told_differently(parties):
    """Party 0 tells party 2 something else than the others."""
    frames = script(parties, 0, **CORRECTED)
    first = min(
        number for (number, _), label in frames.items() if "data of party 0" in label and label not in ELSEWHERE
    )

    def tamper(peer, number, payload, label):
        return one_more(payload) if number == first and peer == 2 else payload

    return tamper


@pytest.mark.parametrize(("parties", "threshold"), [(4, 1), (7, 2)])
def test_an_input_told_differently_to_two_parties(parties, threshold):
    """The owner lies: who was told something else says so, and the session ends; nothing was opened that depends on it."""
    outcome = attacked(parties, 0, told_differently(parties), threshold=threshold, **CORRECTED)
    results, errors = honest(outcome, parties, 0)
    assert not results
    assert "party 0 did not tell all parties the same" in str(errors[2])
    assert all(isinstance(e, CheatingDetected | PeerStopped) for e in errors.values()), errors


def test_the_echo_of_inputs_is_what_protects(monkeypatch):
    """Without it, honest parties' shares do not fit each other: an honest party is taken for a liar."""

    def nothing_told(self, value, owner):
        yield from ()

    monkeypatch.setattr(Corrected, "received_input", nothing_told)
    outcome = attacked(7, 0, told_differently(7), **CORRECTED)
    assert any(2 in session.engine.protocol.faulty_parties for session in outcome.sessions.values())


def test_what_liars_see_is_uniform(monkeypatch):
    """What is opened on the way of one secret, in many runs, lies or not."""
    seen = []
    original = Shares.open

    def open(self, share):
        value = yield from original(self, share)
        if self.corrects and self.me == 3 and share.size == 4:
            seen.append(value.reshape(-1))
        return value

    monkeypatch.setattr(CorrectedShares, "open", open)
    for _ in range(12):
        right(attacked(4, 3, liar(anything), **CORRECTED), 4, (3,))
    masked = np.concatenate([v for v in seen if not ((v < 1 << 40) | (v > P - (1 << 40))).all()])
    assert len(masked) > 70
    assert 0.3 < (masked < P // 2).mean() < 0.7


@pytest.mark.slow
def test_a_liar_and_a_loss(monkeypatch):
    """Five parties: one lies all the time, another is lost at some moment."""
    original = CorrectedShares.open

    def open(self, share):
        return original(self, fp.add(share, np.ones_like(share)) if self.me == 3 else share)

    monkeypatch.setattr(CorrectedShares, "open", open)
    total = max(failing.rounds(failing.compute, 5, 1, **CORRECTED).values())
    for number in np.linspace(2, total - 1, 6):
        outcome = failing.run(failing.compute, 5, 1, {4: failing.at(int(number), "die")}, timeout=3, **CORRECTED)
        assert sorted(outcome.results) == [0, 1, 2, 3], (number, outcome.errors)
        for result in outcome.results.values():
            assert np.abs(result - failing.RIGHT).max() < 1e-3
        assert outcome.sessions[0].engine.protocol.faulty_parties == {3}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ["die", "hang"])
def test_a_liar_and_a_loss_at_every_round(what, monkeypatch):
    original = CorrectedShares.open

    def open(self, share):
        return original(self, fp.add(share, np.ones_like(share)) if self.me == 3 else share)

    monkeypatch.setattr(CorrectedShares, "open", open)
    total = max(failing.rounds(failing.compute, 5, 1, **CORRECTED).values())
    for number in range(2, total):
        outcome = failing.run(failing.compute, 5, 1, {4: failing.at(number, what)}, timeout=1, **CORRECTED)
        assert sorted(outcome.results) == [0, 1, 2, 3], (number, outcome.errors)
        for result in outcome.results.values():
            assert np.abs(result - failing.RIGHT).max() < 1e-3


@pytest.mark.parametrize(
    ("parties", "liars", "ends"), [(4, [], True), (4, [1], False), (5, [1], True), (7, [1], True), (7, [1, 2], False)]
)
def test_fewer_are_corrected_after_a_loss(parties, liars, ends, monkeypatch):
    """Of n = 3 t + 1, t may lie or be lost: after a loss one liar less is corrected. More are found."""
    original = CorrectedShares.open

    def open(self, share):
        lies = self.me in liars and len(self.members) < parties
        return original(self, added(share, int(self.private.field(1)[0])) if lies else share)

    monkeypatch.setattr(CorrectedShares, "open", open)
    last = parties - 1
    lost = {last: failing.at(40, "die")}
    outcome = failing.run(failing.compute, parties, (parties - 1) // 3, lost, timeout=3, **CORRECTED)
    if not ends:
        assert not set(outcome.results) - set(liars)
        assert any(isinstance(e, CheatingDetected) for e in outcome.errors.values())
        return
    assert not outcome.errors
    assert sorted(outcome.results) == list(range(last))
    for me, result in outcome.results.items():
        assert np.abs(result - failing.RIGHT).max() < 1e-3
        assert outcome.sessions[me].survivors == tuple(range(last))


def test_too_few_are_left():
    lost = {2: failing.at(20, "die"), 3: failing.at(20, "die")}
    outcome = failing.run(failing.compute, 4, 1, lost, timeout=3, **CORRECTED)
    assert not outcome.results
    assert all(isinstance(e, TooFewLeft) for e in outcome.errors.values())


@pytest.mark.slow
def test_nothing_is_opened_twice_under_one_mask(monkeypatch):
    """What a repeated step opens of the same values is masked anew; what an ended one opened serves on."""
    opened = []
    original = CorrectedShares.open

    def open(self, share):
        value = yield from original(self, share)
        if self.me == 0 and value.size == 4:
            opened.append(value.reshape(-1))
        return value

    monkeypatch.setattr(CorrectedShares, "open", open)
    total = max(failing.rounds(failing.compute, 5, 1, **CORRECTED).values())
    usual = len(opened)
    opened.clear()
    for number in np.linspace(total // 2, total - 1, 8):
        outcome = failing.run(failing.compute, 5, 1, {4: failing.at(int(number), "die")}, timeout=3, **CORRECTED)
        assert sorted(outcome.results) == [0, 1, 2, 3], (number, outcome.errors)
        for result in outcome.results.values():
            assert np.abs(result - failing.RIGHT).max() < 1e-3
    assert len(opened) > 8 * usual  # some were done again
    masked = [int(x) for v in opened for x in v if not (v < 1 << 40).all()]
    assert len(set(masked)) == len(masked)


@pytest.mark.slow
def test_what_an_undone_step_opened_is_forgotten():
    """A value of an earlier step, opened for the first time in one that is done again: not all parties know what was opened."""

    x = protocol.draw(4)

    def work(session):
        e = session.engine
        a = protocol.secret(e, x)
        square = protocol.product(e, protocol.Elementwise(), a, a)
        e.force(square)
        view = protocol.linear(e, protocol.Reshape((2, 2)), square)
        return e.reveal([protocol.product(e, protocol.MatMul(), view, view)])[0]

    square = fp.mul(x, x).reshape(2, 2)
    total = max(failing.rounds(work, 5, 1, **CORRECTED).values())
    for number in range(total - 9, total):
        outcome = failing.run(work, 5, 1, {4: failing.at(number, "die")}, timeout=3, **CORRECTED)
        assert sorted(outcome.results) == [0, 1, 2, 3], (number, outcome.errors)
        protocol.everywhere([[result] for result in outcome.results.values()], protocol.MatMul()(square, square))


@pytest.mark.parametrize("owner", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_party_that_hangs_before_an_owner_knows_its_mask(owner):
    """The owner waits for it, and all others wait for the owner: it is the one that is lost, not the owner."""
    seen = []

    def fate(number, where):
        if "masks of inputs" in where:
            seen.append(number)
        return "hang" if "masks of inputs" in where and len(seen) > owner else None

    outcome = failing.run(failing.compute, 4, 1, {3: fate}, timeout=1, **CORRECTED)
    assert sorted(outcome.results) == [0, 1, 2], outcome.errors
