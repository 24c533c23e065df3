"""A party whose share of the MAC key is not one number, or that tests that of others wrong, before anything is made with it."""

import hashlib

import numpy as np
import pytest

from tacit import field
from tacit._core import LatticeParty
from tacit.errors import CheatingDetected, PeerStopped
from tacit.preprocessing.lattice import link as links
from tacit.testing.transport import Tampered
from tests.attacks.keys import LIAR, Keys, flipped, more
from tests.preprocessing.lattices import Crew


def slot(at):
    """Another number in one slot of what is encrypted first, which is alpha."""
    return lambda real, layouts, operands: real(layouts, [more(operands[0], at), *operands[1:]])


def polynomial(sign):
    """alpha + b or alpha - b, for some b that is not the same in any two slots."""
    step = np.arange(1, 1 + (1 << 14), dtype=np.uint64)
    change = field.add if sign > 0 else field.sub
    return lambda real, layouts, operands: real(layouts, [change(operands[0], step), *operands[1:]])


def liars(monkeypatch, changes):
    """Parties whose keys do as `changes` says, from the first message on."""
    honest = links.LatticeParty

    def made(name, me, parties, seed):
        party = honest(name, me, parties, seed)
        return Keys(party, **changes[me]) if me in changes else party

    monkeypatch.setattr(links, "LatticeParty", made)


ALPHAS = {
    "one slot is another": {"encrypt": slot(5)},
    "the first slot is another": {"encrypt": slot(0)},
    "the last slot is another": {"encrypt": slot(-1)},
    "all slots are different": {"encrypt": polynomial(1)},
    "the verifier multiplies something else": {
        "scale": lambda real, i, alpha, x, r, narrow: real(i, alpha, more(x, -1), r, narrow)
    },
    "the verifier masks with something else": {
        "scale": lambda real, i, alpha, x, r, narrow: real(i, alpha, x, more(r, -1), narrow)
    },
}


@pytest.mark.parametrize("lie", ALPHAS)
def test_a_mac_key_that_is_not_one_number(lie, monkeypatch):
    """Or a party that would find out the other's by its test."""
    liars(monkeypatch, {LIAR: ALPHAS[lie]})
    crew = Crew(2)
    _, honest = crew.results(lambda s: s)
    crew.close()
    assert isinstance(honest, CheatingDetected) and f"party {LIAR} cheated" in str(honest)
    assert "MAC key" in str(honest)


def test_mac_keys_that_are_one_number_only_together(monkeypatch):
    """Two of three parties, whose polynomials add up to a number."""
    liars(monkeypatch, {0: {"encrypt": polynomial(1)}, 1: {"encrypt": polynomial(-1)}})
    crew = Crew(3)
    *_, honest = crew.results(lambda s: s)
    crew.close()
    assert (
        isinstance(honest, CheatingDetected) and str(honest).startswith("party 0 cheated") and "MAC key" in str(honest)
    )


def test_others_name_a_pair(monkeypatch):
    """Party 1 has lied to party 2 only: party 0 cannot say which of the two it was."""

    def scale(real, i, alpha, x, r, narrow):
        return real(i, alpha, more(x) if i == 2 else x, r, narrow)

    liars(monkeypatch, {1: {"scale": scale}})
    crew = Crew(3)
    results = crew.results(lambda s: s)
    crew.close()
    assert "party 2 or party 1 cheated" in str(results[0]) and "party 1 cheated" in str(results[2])


def test_a_mac_key_told_differently_to_two_parties():
    """Party 0 has keys and a number for party 1, and others, as good by themselves, for party 2."""
    name = hashlib.blake2b(b"a test's session" + bytes(8), person=b"tacit preparing", digest_size=32).digest()
    keys = LatticeParty(name, LIAR, 3, bytes(32))
    other = keys.hello() + keys.encrypt([keys.elementwise(keys.slots)], [np.full(keys.slots, 5, np.uint64)])

    def tamper(peer, _, payload, label):
        return other if (label, peer) == ("keys", 2) else payload

    crew = Crew(3, wrap=lambda c, me: Tampered(c, tamper) if me == LIAR else c)
    _, *honest = crew.results(lambda s: s)
    crew.close()
    assert all(isinstance(r, CheatingDetected | PeerStopped) for r in honest)
    assert any("received other broadcasts" in str(r) for r in honest)


@pytest.mark.parametrize("number", range(6))
def test_messages_of_the_test_of_a_mac_key(number):
    """MACs, the coin's commitment and opening, v, the commitment to s and w, their opening: one bit of each."""
    seen = []

    def tamper(peer, _, payload, label):
        if label == "alpha":
            seen.append(label)
            if len(seen) == number + 1:
                return flipped(bytearray(payload))
        return payload

    crew = Crew(2, wrap=lambda c, me: Tampered(c, tamper) if me == LIAR else c)
    results = crew.results(lambda s: s)
    crew.close()
    assert len(seen) > number
    assert isinstance(results[1], CheatingDetected | PeerStopped) or (number == 0 and results[1].me == 1)
