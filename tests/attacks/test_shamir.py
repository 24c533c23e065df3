"""Shamir's shares against a party that cheats: its messages altered, and its part of each step of the protocol done wrong."""

import re

import numpy as np
import pytest

from tacit import field as fp
from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped, TooFewLeft
from tacit.field import P
from tacit.protocols.shamir.masked_opening import Sums
from tacit.protocols.shamir.preprocessing import ShamirSource
from tacit.protocols.shamir.protocol import Shamir
from tacit.protocols.shamir.shares import Shares
from tacit.protocols.shamir.verification import Verifier
from tests.helpers.alterations import ALTERATIONS, alter
from tests.helpers.parties import (
    RIGHT,
    X,
    Y,
    added,
    altered,
    another_sum_for_party_0,
    at_party,
    attacked,
    found,
    honest,
    nothing,
    opened_wrong,
    script,
)

SHAMIR = {"protocol": "shamir"}
ENDS = (CheatingDetected, Mismatch, PartyLost, PeerStopped, TooFewLeft)
QUICK = ("last_bit", "outside_the_field")
"""Also of five parties."""
SETTINGS = [(3, 1), (4, 1)]
"""As few parties as a threshold takes (whose honest shares are always of degree t), and one more."""


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("alteration", "parties"),
    [
        pytest.param(a, n, marks=[] if n == 3 or a.__name__ in QUICK else [pytest.mark.slow], id=f"{a.__name__}-{n}")
        for a in ALTERATIONS
        for n in (3, 5)
    ],
)
def test_every_kind_of_message(alteration, parties):
    """The first and the last message of each kind that the last party sends, to one peer: an error or the right result, no hang.

    Of five parties it is the one that adds.
    """
    attacker = parties - 1
    timeout = (
        0.3 if alteration.__name__ == "dropped" else 10.0
    )  # who is busy for longer is lost, and its frame is not read
    frames = script(parties, attacker, **SHAMIR)
    rounds = {}
    for number, peer in sorted(frames):
        first, _ = rounds.get((frames[number, peer], peer), (number, number))
        rounds[frames[number, peer], peer] = first, number
    last = max(number for number, _ in frames)
    for at, peer in sorted({(n, peer) for (_, peer), both in rounds.items() for n in both if peer == 0 or n % 2}):
        hit = []
        altered = alter(at, alteration, peer)

        def tamper(to, number, payload, label, at=at, peer=peer, altered=altered, hit=hit):
            hit.append(number == at and to == peer)  # numbers that were all ones are drawn again: a run has more rounds
            return altered(to, number, payload, label)

        outcome = attacked(parties, attacker, tamper, timeout=timeout, **SHAMIR)
        results, errors = honest(outcome, parties, attacker)
        for result in results:
            assert np.abs(result - RIGHT).max() < 1e-3, (at, frames[at, peer])
        assert all(isinstance(e, ENDS) for e in errors.values())
        if any(hit) and at < last and alteration.__name__ not in ("dropped", "repeated"):
            assert outcome.errors, (at, frames[at, peer])


def wrong_product(self, original, form, x, y):
    """Deals something else than its part of the product, and is honest in all else."""
    z = yield from self.shares.reduce(added(form(x[0], y[0])))
    self._verifier.equals(form, x[0], y[0], z)
    return (z,)


@pytest.mark.parametrize(("parties", "threshold"), SETTINGS)
def test_a_wrong_part_of_a_product(parties, threshold, monkeypatch):
    """The error is an addition to the product: only the check of products can find it, and does before the reveal."""
    at_party(monkeypatch, 2, Shamir, "multiply", wrong_product)
    found(attacked(parties, 2, nothing, threshold=threshold, **SHAMIR), parties, 2, "check of products")


@pytest.mark.parametrize("form", ["MatMul", "Elementwise"])
def test_one_wrong_output_of_many(form, monkeypatch):
    done = []

    def reduce(self, original, z):
        if not done and (z.ndim == 2) == (form == "MatMul"):
            done.append(z.shape)
            z = added(z, 1)
        return original(self, z)

    at_party(monkeypatch, 1, Shares, "reduce", reduce)
    found(attacked(3, 1, nothing, **SHAMIR), 3, 1, "check of products")
    assert done


def test_the_check_of_products_is_what_protects(monkeypatch):
    """Without it, the same attack reveals a wrong value."""

    def no_check(self):
        self.forget()
        yield from ()

    monkeypatch.setattr(Verifier, "check", no_check)
    at_party(monkeypatch, 2, Shamir, "multiply", wrong_product)
    opened_wrong(attacked(3, 2, nothing, **SHAMIR), (0, 1))


def accused(errors):
    """The parties that honest ones say have cheated."""
    texts = [str(e) for e in errors.values() if isinstance(e, CheatingDetected)]
    return {int(i) for text in texts for i in re.findall(r"party (\d+)", text)}


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (4, 1), (7, 2)])
def test_a_wrong_share_of_an_opening(parties, threshold, monkeypatch):
    """Found by every receiver at once; while what was dealt is not verified yet, nobody is named."""
    at_party(monkeypatch, 2, Shamir, "open", lambda self, open, share: open(self, (added(share[0], 1),)))
    outcome = attacked(parties, 2, nothing, threshold=threshold, **SHAMIR)
    assert not accused(found(outcome, parties, 2, "some party"))


def at_outputs(tamper, liar, parties, threshold):
    """`tamper(payload)` changes what `liar` sends of its shares of outputs, in the last round of a run, to some."""
    frames = script(parties, liar, threshold=threshold, **SHAMIR)
    last = max(number for (number, _), label in frames.items() if label == "reveal")
    return attacked(parties, liar, lambda to, n, payload, label: tamper(to, payload) if n == last else payload,
                    threshold=threshold, **SHAMIR)  # fmt: skip


@pytest.mark.parametrize(("parties", "threshold", "named"), [(3, 1, set()), (4, 1, {2}), (6, 2, set()), (7, 2, {2})])
def test_a_wrong_share_of_an_output(parties, threshold, named):
    """All that was dealt is verified by then: its sender is named where 3 t + 1 parties make that certain."""
    outcome = at_outputs(lambda to, payload: one_off(payload), 2, parties, threshold)
    results, errors = honest(outcome, parties, 2)
    assert not results
    assert any(isinstance(e, CheatingDetected) for e in errors.values()) and accused(errors) == named


def one_off(payload):
    return bytes([*payload[:-8], payload[-8] ^ 1, *payload[-7:]])


def test_a_wrong_share_told_to_one_party_only():
    """The others saw a right one, and stop because that party does, if they are not through."""
    outcome = at_outputs(lambda to, payload: one_off(payload) if to == 0 else payload, 3, 4, 1)
    assert 0 not in outcome.results
    assert "party 3 sent a wrong share" in str(outcome.errors[0])
    assert accused({i: e for i, e in outcome.errors.items() if i in (0, 1, 2)}) == {3}


def test_what_is_dealt_inconsistently(monkeypatch):
    """Of four parties one deals an input whose honest shares lie on no line: found before any product of it is looked at."""

    def inconsistent(exchange):
        exchange.out[2] = [fp.add(part, np.ones_like(part)) for part in exchange.out[2]]

    def deal(self, original, dealers, mine, shape):
        steps = original(self, dealers, mine, shape)
        return (yield from altered(steps, inconsistent)) if dealers == [0] else (yield from steps)

    at_party(monkeypatch, 0, Shares, "deal", deal)
    errors = found(attacked(4, 0, nothing, threshold=1, **SHAMIR), 4, 0, "wrong share")
    assert not accused(errors), "party 2 is honest: its share is what was dealt to it"


@pytest.mark.parametrize("sign", [0, 2, P - 2])
def test_a_sign_that_is_none(sign, monkeypatch):
    """A random bit that is no bit would not hide what it masks: found before anything is given out."""

    def deal(self, original, dealers, mine, shape):
        if len(dealers) == 2 and mine is not None:
            mine = np.full_like(mine, sign)
        return original(self, dealers, mine, shape)

    at_party(monkeypatch, 1, Shares, "deal", deal)
    given, take = [], ShamirSource.take
    monkeypatch.setattr(ShamirSource, "take", lambda self, ticket: given.append(made := take(self, ticket)) or made)
    found(attacked(3, 1, nothing, **SHAMIR), 3, 1, "check of products")
    assert not given


def test_keys_of_a_set_told_differently():
    """Round 0 is that of the keys: what party 3 tells party 0 and party 1 differs."""
    frames = script(4, 3, threshold=1, **SHAMIR)
    first = min(number for (number, _), label in frames.items() if label == "start")

    def tamper(peer, number, payload, label):
        if number == first and peer == 0:
            payload = bytearray(payload)
            payload[-1] ^= 1
        return payload

    outcome = attacked(4, 3, tamper, threshold=1, **SHAMIR)
    assert not outcome.results  # nobody has a session
    assert isinstance(outcome.errors["first"], CheatingDetected) and "different keys" in str(outcome.errors["first"])


@pytest.mark.parametrize("step", range(3))
def test_lies_in_the_check_itself(step, monkeypatch):
    """A wrong product of the online phase, and wrong parts of what the check reduces: a lie does not cover a lie."""
    turns = []

    def reduce(self, original, z):
        inside = z.ndim == 1 and z.size in (14, 30, 126, 128)
        if inside:
            turns.append(z.size)
        return original(self, added(z) if inside and len(turns) == step + 1 else z)

    at_party(monkeypatch, 2, Shares, "reduce", reduce)
    found(attacked(3, 2, nothing, **SHAMIR), 3, 2)


def test_after_cheating_the_keys_are_gone(monkeypatch):
    kept = {}

    def work(session):
        kept[session.me] = session
        x = session.secret(np.ones(3), owner=0)
        return session.reveal(x * x)

    at_party(monkeypatch, 1, Shamir, "multiply", wrong_product)
    outcome = attacked(3, 1, nothing, work=work, **SHAMIR)
    assert isinstance(outcome.errors[0], CheatingDetected)
    protocol = kept[0].engine.protocol
    assert not protocol.group.seeds.pairs and not protocol.group.seeds.sets
    with pytest.raises(CheatingDetected, match="destroyed"):
        next(protocol.shares.open(np.zeros(1, np.uint64)))
    with pytest.raises(CheatingDetected, match="destroyed"):
        next(protocol.shares.reduce(np.zeros(1, np.uint64)))


def test_what_cheaters_see_before_the_check_is_uniform(monkeypatch):
    """Every value that is opened on the way, in many runs of the same secret: uniform, also after an altered product."""
    opened = []
    original = Shares.open

    def open(self, share):
        value = yield from original(self, share)
        if self.me == 0 and share.size == 4:
            opened.append(value)
        return value

    monkeypatch.setattr(Shares, "open", open)
    at_party(monkeypatch, 2, Shamir, "multiply", wrong_product)
    for _ in range(12):
        attacked(4, 2, nothing, threshold=1, **SHAMIR)
    values = np.concatenate([v.reshape(-1) for v in opened])
    assert len(values) > 70
    assert 0.3 < (values < P // 2).mean() < 0.7


# Sums, where no share is spare.


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 2)])
@pytest.mark.parametrize("lie", [None, "different sums"])
def test_summands_are_uniform_whatever_honest_parties_hold(parties, threshold, lie, monkeypatch):
    """Each honest party's summands of a fixed secret, in many runs, and all but one of them together: also where one party was
    told another sum before, so that its shares lie on no polynomial with the others'."""
    told = {i: [] for i in range(parties)}
    original = Sums.masked

    def masked(self, z):
        seen = []

        def note(exchange):
            if not seen and exchange.out:  # in its first round a party tells its summand, but the one that adds
                told[self.me].append(np.array(next(iter(exchange.out.values()))[0]).reshape(-1))
            seen.append(exchange)

        value = yield from altered(original(self, z), note)
        return fp.add(value, np.ones_like(value)) if lie and self.me == 0 else value

    monkeypatch.setattr(Sums, "masked", masked)
    for _ in range(8):
        attacked(parties, parties - 1, nothing, threshold=threshold, **SHAMIR)
    summed = {i: np.concatenate(v) for i, v in told.items() if v}
    assert len(summed) >= 2 * threshold
    for values in (*summed.values(), fp.add(summed[0], summed[1])):
        assert len(values) > 60
        assert 0.25 < (values < P // 2).mean() < 0.75


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 2)])
@pytest.mark.parametrize("compared", [True, False])
def test_different_sums_for_different_parties(parties, threshold, compared, monkeypatch):
    """Found before anything else is opened. Without the comparison, shares that lie on no polynomial are opened by the check,
    which finds them only then."""
    liar = parties - 1  # of five, the one that adds
    at_party(
        monkeypatch, liar, Sums, "masked", lambda self, masked, z: altered(masked(self, z), another_sum_for_party_0)
    )
    begun = []
    check = Verifier.check

    def checking(self):
        if isinstance(self.shares, Sums) and self.pending:
            begun.append(self.shares.me)
        return check(self)

    monkeypatch.setattr(Verifier, "check", checking)
    if not compared:
        monkeypatch.setattr(Shamir, "_compare", lambda self, parties: iter(()))
    outcome = attacked(parties, liar, nothing, threshold=threshold, **SHAMIR)
    if compared:
        found(outcome, parties, liar, "different values of what was opened")
        assert not begun
    else:
        found(outcome, parties, liar, "")
        assert begun


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 2), (6, 2)])
@pytest.mark.parametrize("opened", ["value", "product"])
def test_the_same_wrong_sum_for_all(parties, threshold, opened, monkeypatch):
    """An addition to what is opened: the check finds that it is not what the shares stand for."""

    def masked(self, original, z):
        return original(self, added(z, 1))

    def open(self, original, share):
        wrong = yield from self._summed(added(share[0], 1))
        self._verifier.zero(fp.sub(share[0], wrong))
        return wrong

    if opened == "product":
        at_party(monkeypatch, 1, Sums, "masked", masked)

        def work(session):
            x = session.secret(X, owner=0)
            return session.reveal((x @ session.secret(Y, owner=1)) * x * x)
    else:
        at_party(monkeypatch, 1, Shamir, "open", open)

        def work(session):
            return session.reveal((session.secret(X, owner=0) * 0.3).relu())

    outcome = attacked(parties, 1, nothing, work=work, threshold=threshold, **SHAMIR)
    found(outcome, parties, 1, "check of products" if opened == "product" else "check of opened values")


def test_without_the_check_a_wrong_sum_is_revealed(monkeypatch):
    at_party(monkeypatch, 1, Sums, "masked", lambda self, original, z: original(self, added(z)))

    def no_check(self):
        self.forget()
        yield from ()

    monkeypatch.setattr(Verifier, "check", no_check)
    opened_wrong(attacked(3, 1, nothing, **SHAMIR), (0, 2))
