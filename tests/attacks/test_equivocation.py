"""A party that tells some receivers another message than the others, or a message of an earlier session: never a wrong result."""

from itertools import chain, combinations

import numpy as np
import pytest

from tests.helpers.parties import RIGHT, attacked, honest

LIAR = 3
HEADER = 16
SETTINGS = {
    "spdz": {},
    "shamir": {"protocol": "shamir", "threshold": 1},
    "shamir-corrected": {"protocol": "shamir-corrected"},
}
RECEIVERS = (0, 1, 2)
SUBSETS = list(chain.from_iterable(combinations(RECEIVERS, k) for k in (1, 2, 3)))


def another(payload):
    """The same but for one bit of its first number."""
    payload = bytearray(payload)
    payload[min(HEADER, len(payload) - 1)] ^= 1
    return payload


def right_or_stopped(outcome):
    results, _ = honest(outcome, 4, LIAR)
    for result in results:
        assert np.abs(result - RIGHT).max() < 1e-3, "a wrong value was revealed"
    # Who stopped while the session was opened has no entry of its own.
    assert len(results) == len(RECEIVERS) or outcome.errors
    return outcome.errors


def heard(**options):
    """What the liar sends in an honest run: {(label, which of that label, receiver): payload}."""
    found, counts = {}, {}

    def note(peer, number, payload, label):
        at = counts.get((label, peer), 0)
        counts[label, peer] = at + 1
        found[label, at, peer] = bytes(payload)
        return payload

    assert not attacked(4, LIAR, note, **options).errors
    return found


@pytest.mark.quick(3)
@pytest.mark.parametrize("subset", SUBSETS, ids=lambda s: "to " + ",".join(map(str, s)))
@pytest.mark.parametrize("setting", SETTINGS)
def test_another_message_to_some_receivers(setting, subset):
    """The first message of every kind, to every subset of the receivers."""
    options = SETTINGS[setting]
    labels = sorted({label for label, _, _ in heard(**options)})
    for label in labels:
        told = set()

        def tamper(peer, number, payload, found, label=label, told=told):
            if found != label or peer not in subset or peer in told or not payload:
                return payload
            told.add(peer)
            return another(payload)

        outcome = attacked(4, LIAR, tamper, timeout=2.0, **options)
        right_or_stopped(outcome)


@pytest.mark.quick(3)
@pytest.mark.parametrize("setting", SETTINGS)
def test_messages_of_an_earlier_session(setting):
    """Each kind of message as it was in another session of the same script: its keys, coins and masks are not this one's."""
    options = SETTINGS[setting]
    earlier = heard(**options)
    for label in sorted({label for label, _, _ in earlier}):
        counts, replayed = {}, []

        def tamper(peer, number, payload, found, label=label, counts=counts, replayed=replayed):
            at = counts.get((found, peer), 0)
            counts[found, peer] = at + 1
            old = earlier.get((found, at, peer))
            if found != label or old is None or len(old) != len(payload):
                return payload
            replayed.append(old != payload)
            return bytearray(old)

        outcome = attacked(4, LIAR, tamper, timeout=2.0, **options)
        errors = right_or_stopped(outcome)
        assert replayed
        if not any(replayed):
            assert not errors, f"{label}: the same message again, and somebody stopped"
