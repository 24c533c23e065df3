"""Each message of a run, altered by one party in value, length, number or order: a named error, never a wrong result."""

from itertools import pairwise

import numpy as np
import pytest

from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped, TacitError
from tests.helpers.alterations import (
    ALTERATIONS,
    HEADER,
    alter,
    dropped,
    low_bit,
    outside_the_field,
    repeated,
    shorter,
)
from tests.helpers.parties import RIGHT, attacked, compute, honest, opened_wrong, rounds_of, script

QUICKLY = [low_bit, outside_the_field]
"""Also through a hub."""
SETTINGS = [(2, {}), (3, {}), (3, {"topology": "hub"})]
ENDS = (CheatingDetected, Mismatch, PartyLost, PeerStopped)


def nothing_wrong(outcome, parties, attacker):
    results, errors = honest(outcome, parties, attacker)
    for result in results:
        assert np.abs(result - RIGHT).max() < 1e-3, "a wrong value was revealed"
    for error in errors.values():
        assert isinstance(error, ENDS), error
    return results, errors


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("parties", "options", "alteration"),
    [
        pytest.param(
            *setting,
            alteration,
            marks=[pytest.mark.slow] if "topology" in setting[1] and alteration not in QUICKLY else [],
            id=f"{alteration.__name__}-{'-'.join(map(str, (setting[0], *setting[1].values())))}",
        )
        for alteration in ALTERATIONS
        for setting in SETTINGS
    ],
)
def test_every_message(parties, options, alteration):
    """To all peers, and, with three parties, to one of them only."""
    for attacker in (parties - 1, 0) if "topology" in options else (parties - 1,):
        frames = script(parties, attacker, **options)
        last = max(number for number, _ in frames)
        for at, peer in sorted(frames):
            alike = [only for only in (peer, None) if only is None or parties > 2]
            for only in alike:
                outcome = attacked(parties, attacker, alter(at, alteration, only), timeout=0.3, **options)
                nothing_wrong(outcome, parties, attacker)
                if at < last - 1 and alteration not in (dropped, repeated):
                    assert outcome.errors, (at, frames[at, peer], only, alteration.__name__)


def test_altered_openings_are_cheating():
    """Every opened value: the MAC check finds it, at every honest party, before anything is revealed."""
    for at in rounds_of(3, "truncate", "comparison"):
        outcome = attacked(3, 2, alter(at, low_bit))
        results, errors = honest(outcome, 3, 2)
        assert not results
        assert any(isinstance(e, CheatingDetected) for e in errors.values()), at


def test_different_openings_for_different_parties():
    """One of two honest parties is shown another value: their sigmas do not add up."""
    for at in rounds_of(3, "truncate"):
        outcome = attacked(3, 2, alter(at, low_bit, only=1))
        results, errors = honest(outcome, 3, 2)
        assert not results
        assert any(isinstance(e, CheatingDetected) for e in errors.values())


def test_an_input_told_differently_to_two_parties():
    """The owner sends party 1 another correction than party 2: the echo finds it, before any reveal."""

    def work(session):
        x = session.secret(np.ones(3), owner=0)
        return session.reveal(x)

    def tamper(peer, number, payload, label):
        if "data" in label and peer == 1 and len(payload) == HEADER + 24:
            payload = bytearray(payload)
            payload[HEADER] ^= 1
        return payload

    outcome = attacked(3, 0, tamper, work=work)
    results, errors = honest(outcome, 3, 0)
    assert not results
    assert any(isinstance(e, CheatingDetected) and "received other broadcasts" in str(e) for e in errors.values()), (
        errors
    )


def test_the_mac_check_is_what_protects(monkeypatch):
    """With the check taken out, the same attack reveals a wrong value: the tests above would fail."""
    from tacit.protocols.spdz.protocol import Spdz

    at = rounds_of(2, "truncate")[0]

    def no_check(self):
        self._values, self._macs, self._unchecked = [], [], 0
        yield from ()

    monkeypatch.setattr(Spdz, "check", no_check)

    def tamper(peer, number, payload, label):
        if number == at:
            payload = bytearray(payload)
            payload[HEADER + 4] ^= 8  # 2^35 in one opened value
        return payload

    opened_wrong(attacked(2, 1, tamper), (0,))


def test_a_broken_commitment_is_cheating(monkeypatch):
    """A party that opens another value than it committed to is named."""
    from tacit.interaction import coins

    original = coins.Transcript._hash

    def other(self, counter, domain, *parts):
        value = original(self, counter, domain, *parts)
        return (
            bytes(32) if domain == b"tacit commit" and self.me == 1 and parts[0] == (1).to_bytes(4, "little") else value
        )

    monkeypatch.setattr(coins.Transcript, "_hash", other)
    outcome = attacked(2, 1, lambda peer, number, payload, label: payload)
    assert isinstance(outcome.errors[0], CheatingDetected)
    assert "party 1" in str(outcome.errors[0])
    assert not outcome.results


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("what", ["value", "mac"])
def test_a_party_that_lies_about_its_shares(parties, what, monkeypatch):
    """Its share of a value or of a MAC is changed before it is used: the output's check fails."""
    from tacit.protocols.spdz.protocol import Spdz

    original = Spdz.open

    def open(self, share):
        if self.me == 1:
            value, mac = (part.copy() for part in share)
            changed = value if what == "value" else mac
            changed.reshape(-1)[0] ^= 1
            share = (value, mac)
        return (yield from original(self, share))

    monkeypatch.setattr(Spdz, "open", open)
    outcome = attacked(parties, 1, lambda peer, number, payload, label: payload)
    results, errors = honest(outcome, parties, 1)
    assert not results
    assert any(isinstance(e, CheatingDetected) for e in errors.values())


def test_after_cheating_the_keys_are_gone():
    """alpha's share is destroyed, and the source's seeds with it."""
    kept = {}

    def work(session):
        kept[session.me] = session
        return compute(session)

    at = rounds_of(2, "truncate")[0]
    outcome = attacked(2, 1, alter(at, low_bit), work=work)
    assert isinstance(outcome.errors[0], CheatingDetected)
    assert kept[0].engine.protocol.unit == (1, 0)
    assert kept[0].engine.source.key == 0


def test_delayed_messages_do_no_harm():
    """A frame held back for a while, within the time-out, changes nothing."""
    import time

    def tamper(peer, number, payload, label):
        time.sleep(0.02)
        return payload

    outcome = attacked(3, 2, tamper, timeout=5)
    assert not outcome.errors
    assert all(np.abs(r - RIGHT).max() < 1e-3 for r in outcome.results.values())


def test_messages_out_of_order_are_noticed():
    """Two rounds' frames exchanged."""
    rounds = sorted(number for number, _ in script(2))
    for first, second in pairwise(rounds[3:]):
        held = {}

        def tamper(peer, number, payload, label, first=first, second=second, held=held):
            if number == first:
                held[peer] = bytes(payload)
                return b"\0" * len(payload)
            if number == second:
                return held[peer]
            return payload

        nothing_wrong(attacked(2, 1, tamper, timeout=0.3), 2, 1)


def test_every_error_says_what_to_do():
    outcome = attacked(2, 1, alter(3, shorter), timeout=0.3)
    for error in outcome.errors.values():
        assert isinstance(error, TacitError)
        assert len(str(error)) > 20
