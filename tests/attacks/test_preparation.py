"""A party that lies while the parties make their material: a named error, no material, and mostly its name.

The liar is party 0. What it does wrong is well formed, so that only proofs, sacrifice and MAC check can find it; messages that
are not well formed come last.
"""

import numpy as np
import pytest

from tacit import field
from tacit._core import LatticeParty
from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped
from tacit.field import P
from tacit.graph.forms import MatMul
from tacit.testing import source
from tacit.testing.transport import Tampered
from tests.attacks.keys import LIAR, bits, flipped, product
from tests.attacks.preparing import LIES, plan
from tests.preprocessing.lattices import Crew

QUICKLY = (
    "another share is encrypted than has a MAC",
    "an error in one product",
    "another number gets the MAC",
    "a wrong sigma",
)


@pytest.mark.quick(2)
@pytest.mark.parametrize("lie", [pytest.param(k, marks=[] if k in QUICKLY else [pytest.mark.slow]) for k in LIES])
def test_lies_are_found_and_the_liar_is_named(lie):
    """Nothing was given out yet: all keys are opened, and the liar is found by repeating what it did."""
    crew = Crew(2, budget=1 << 17)

    def work(s):
        if s.me == LIAR:
            LIES[lie](s._maker.link)
        return s.take(s.request(plan().requests))

    liar, honest = crew.results(work)
    crew.close()
    assert isinstance(honest, CheatingDetected)
    assert isinstance(liar, CheatingDetected | PeerStopped), "the lie itself is a bug"
    assert f"party {LIAR} " in str(honest)


@pytest.mark.parametrize("renewed", [False, True])
def test_what_was_encrypted_for_an_earlier_batch_is_noise_in_a_later_one(renewed):
    """Under the same key, a cheater could add E to an answer, and bet on what it knows of it."""
    crew = Crew(2)

    def work(s):
        link = s._maker.link
        slots = link.keys.slots
        layout, e = link.keys.elementwise(slots), link.random.field(slots)
        link.renew()
        own = link.operands.encrypt([layout], [e])
        (old,) = link.operands.accept(1 - s.me, [layout], link.everyone(own, {1 - s.me: len(own)}, "test")[1 - s.me])
        if renewed:
            link.renew()
        ones, zeros = np.ones(slots, np.uint64), np.zeros(slots, np.uint64)
        answer = link.operands.respond(1 - s.me, layout, old, ones, zeros)
        came = link.exchange({1 - s.me: [answer]}, {1 - s.me: len(answer)}, "test")[1 - s.me]
        return np.count_nonzero(link.operands.open(layout, slots, came) == e) / slots

    found = crew.run(2, work)
    crew.close()
    assert found == ([0, 0] if renewed else [1, 1])


@pytest.mark.parametrize("alteration", ["flipped", "dropped"])
def test_keys_of_a_batch_that_are_altered(alteration):
    """The second message of keys: the first has those of alpha."""
    seen = []

    def tamper(peer, number, payload, label):
        seen.extend([number] * (label == "keys"))
        return ALTERATIONS[alteration](bytearray(payload)) if label == "keys" and len(seen) == 2 else payload

    crew = Crew(2, timeout=4.0, budget=1 << 17, wrap=lambda c, me: Tampered(c, tamper) if me == LIAR else c)
    _, honest = crew.results(lambda s: s.take(s.request(plan().requests)))
    crew.close()
    assert len(seen) > 1 and isinstance(honest, CheatingDetected | Mismatch | PartyLost | PeerStopped)


def test_keys_of_a_batch_told_differently_to_two_parties():
    """Both are as good by themselves; what is encrypted fits one of them only."""
    crew, told = Crew(3, budget=1 << 17), []

    def work(s):
        link = s._maker.link
        if s.me == LIAR:
            honest = link.everyone

            def everyone(message, expect, label):
                if label != "keys":
                    return honest(message, expect, label)
                told.append(label)
                other = LatticeParty(link._name(link._renewed), LIAR, 3, bytes(32)).hello()
                link.transcript.note(message)
                came = link.exchange({1: [message], 2: [other]}, expect, label)
                for i in sorted(came):
                    link.transcript.note(came[i].data)
                return came

            link.everyone = everyone
        return s.take(s.request(bits().requests))

    _, *honest = crew.results(work)
    crew.close()
    assert told and all(isinstance(r, CheatingDetected | PeerStopped) for r in honest)
    assert any(isinstance(r, CheatingDetected) and f"party {LIAR} " in str(r) for r in honest)


def test_after_material_was_given_out_nobody_opens_keys():
    """A later lie stops all, and no random numbers are shown to anybody."""
    crew = Crew(2, budget=1 << 17)

    def work(s):
        s.take(s.request(plan().requests))
        if s.me == LIAR:
            product(0)(s._maker.link)
        sent = []
        honest = s._maker.link.channel.exchange
        s._maker.link.channel.exchange = lambda out, expect, label="": (
            sent.append(label) or honest(out, expect, label=label)
        )
        try:
            s.take(s.request(plan().requests))
        except CheatingDetected as error:
            return str(error), sent
        raise AssertionError("a wrong product was given out")

    for message, sent in crew.run(2, work):
        assert "does not show" in message and "blame" not in sent
    crew.close()


LABELS = ("keys", "alpha", "ciphertexts", "products", "opened products", "MACs", "coin", "sacrifice", "proofs", "check")


ALTERATIONS = {
    "flipped": flipped,
    "shorter": lambda payload: payload[:-1],
    "longer": lambda payload: payload + b"\0",
    "dropped": lambda payload: None,
    "zeros": lambda payload: bytes(len(payload)),
    "repeated": lambda payload: [payload, bytes(payload)],
}
QUICK = dict(
    zip(
        LABELS,
        ["flipped", "zeros", "zeros", "flipped", "shorter", "longer", "dropped", "flipped", "zeros", "repeated"],
        strict=True,
    )
)


@pytest.mark.parametrize(
    ("label", "alteration"),
    [
        pytest.param(label, name, marks=[] if QUICK[label] == name else [pytest.mark.slow])
        for label in LABELS
        for name in ALTERATIONS
    ],
)
def test_every_message(label, alteration):
    """The first message of each kind: a named error at the honest party, or right material (a flip may be lost in rounding)."""
    done = []

    def tamper(peer, number, payload, found):
        if found != label or done:
            return payload
        done.append(number)
        return ALTERATIONS[alteration](bytearray(payload))

    crew = Crew(2, timeout=4.0, budget=1 << 17, wrap=lambda c, me: Tampered(c, tamper) if me == LIAR else c)
    results = crew.results(lambda s: (s.key, s.take(s.request(plan().requests))))
    crew.close()
    assert done, f"no message of this kind: {label}"
    if any(isinstance(r, BaseException) for r in results):
        assert isinstance(results[1], CheatingDetected | Mismatch | PartyLost | PeerStopped)
        return
    assert alteration in ("flipped", "repeated")
    alpha = sum(key for key, _ in results) % P
    values = [source._opened((alpha, 0), parts) for parts in zip(*(material for _, material in results), strict=True)]
    np.testing.assert_array_equal(values[3][0], MatMul()(values[0][0], values[1][0]))
    np.testing.assert_array_equal(values[4][0], field.mul(values[0][0], values[2][0]))
