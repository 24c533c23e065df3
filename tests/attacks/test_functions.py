"""Comparisons, the largest, one-hots, roots and curves: whatever message of theirs is altered, nothing wrong is revealed."""

import numpy as np
import pytest

import tacit
from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped
from tacit.numbers.array import SecretArray
from tacit.numbers.functions.softmax import softmax
from tacit.numbers.functions.splines import sigmoid
from tests.helpers.parties import attacked, honest, script

X = np.array([[1.5, -2.0, 0.25], [3.0, 2.5, -1.0]])
Y = np.array([[2.0, 0.5, 4.0], [1.0, 0.25, 3.0]])
ENDS = (CheatingDetected, Mismatch, PartyLost, PeerStopped)


def work(session):
    """Winners, many thresholds, exact and leading bits, a truncation joined to a comparison, a quotient, labels."""
    a = session.arithmetic
    x, y = session.secret(X, owner=0), session.secret(Y, owner=1)
    labels = session.labels(np.array([0, 2]), num_classes=3, owner=1)
    p = SecretArray(a, softmax(a, x.number))
    s = SecretArray(a, sigmoid(a, x.number))
    rescaled = SecretArray(a, a.rescale((x * y).number)).relu()
    return session.reveal((p - labels) / y + s + (x > y) + rescaled)


def right():
    e = np.exp(X)
    p = e / e.sum(1, keepdims=True)
    return (p - np.eye(3)[[0, 2]]) / Y + 1 / (1 + np.exp(-X)) + (X > Y) + np.maximum(X * Y, 0)


def altered(at, change):
    def tamper(peer, number, payload, label):
        return change(bytearray(payload)) if number == at else payload

    return tamper


def first_bit(payload):
    payload[16] ^= 1
    return payload


def last_byte(payload):
    payload[-1] ^= 1
    return payload


def shorter(payload):
    return payload[:-1]


CHANGES = [first_bit, last_byte, shorter]


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("parties", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_every_third_round(parties, change):
    """The three changes meet all rounds between them."""
    rounds_altered(parties, change, CHANGES.index(change), 3)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("change", CHANGES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("parties", [2, 3])
def test_every_round(parties, change):
    rounds_altered(parties, change, 0, 1)


def rounds_altered(parties, change, first, step):
    options = dict(work=work, format=tacit.Format(16, 6))
    rounds = sorted({number for number, _ in script(parties, **options)})
    assert len(rounds) > 30
    for at in rounds[first::step]:
        outcome = attacked(parties, parties - 1, altered(at, change), timeout=2, **options)
        results, errors = honest(outcome, parties, parties - 1)
        for result in results:
            np.testing.assert_allclose(result, right(), atol=0.01)
        for error in errors.values():
            assert isinstance(error, ENDS), (at, error)
        if at < rounds[-2]:
            assert outcome.errors, at
            assert not results


def test_the_honest_run_is_right():
    outcome = attacked(3, work=work, format=tacit.Format(16, 6))
    for result in outcome.results.values():
        np.testing.assert_allclose(result, right(), atol=0.01)
