"""A party that lies while the parties make their material: a named error, no material, and mostly its name.

The liar is party 0. What it does wrong is well formed, so that only proofs, sacrifice and MAC check can find it; messages that
are not well formed come last.
"""

import threading

import numpy as np
import pytest

from tacit import field
from tacit._core import LatticeParty
from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped
from tacit.field import P
from tacit.graph.forms import Elementwise, MatMul
from tacit.preprocessing.lattice.ranges import TURNS, Lookup
from tacit.preprocessing.lattice.shared import Shared
from tacit.preprocessing.lattice.sigmas import NUMBER, OPENED, Pads, settle
from tacit.preprocessing.lattice.squares import Squares
from tacit.protocols.plan import Plan
from tacit.testing import source
from tacit.testing.transport import Tampered
from tests.attacks.keys import LIAR, Keys, bits, flipped, more, product
from tests.preprocessing.lattices import Crew


def plan():
    p = Plan(0)
    (a, _), (b, _) = p.mask((30, 4)), p.mask((4, 3))
    (c, _) = p.mask((30, 4))
    p.product(MatMul(), a, b)
    p.product(Elementwise(), a, c)
    p.truncation((20,), 1 << 16, 3)
    p.input_mask((7,), LIAR)
    return p


def keys(**changes):
    def alter(link):
        honest = link.renew

        def renew():
            honest()
            link.operands = Keys(link.operands, **changes)

        link.keys, link.renew = Keys(link.keys, **changes), renew

    return alter


def opening(which):
    """Of what the sacrifice shows."""

    def alter(link):
        honest = link.open

        def open(shares, name):
            if name == "sacrifice":
                shares = [Shared(more(s.value), s.mac, s.owner) if i == which else s for i, s in enumerate(shares)]
            return honest(shares, name)

        link.open = open

    return alter


def commitment(label):
    """To one number more: shares of what will be public."""

    def alter(link):
        honest = link.commit
        link.commit = lambda value, name: honest(more(value) if name == label else value, name)

    return alter


def sigmas(*errors):
    """What it says of its sigmas, which fixes them, one after the other."""

    def alter(link):
        honest, left = link.everyone, list(errors)

        def everyone(message, expect, label):
            if label != "check" or not left:
                return honest(message, expect, label)
            error = left.pop(0)

            def off(number):
                return NUMBER.pack((NUMBER.unpack(number)[0] + error) % P)

            came = honest(off(message), expect, label)
            # It goes by what it said, as the others do.
            return {i: np.frombuffer(off(frame.data), np.uint8) for i, frame in came.items()}

        link.everyone = everyone

    return alter


def settled(at):
    """What the check opens at last: the combination of what hides the sigmas, or its MAC."""

    def alter(link):
        honest = link.exchange

        def exchange(out, expect, label):
            if label == "check" and set(expect.values()) == {OPENED.size}:
                told = {i: list(OPENED.unpack(message)) for i, (message,) in out.items()}
                for numbers in told.values():
                    numbers[at] = (numbers[at] + 1) % P
                out = {i: [OPENED.pack(*numbers)] for i, numbers in told.items()}
            return honest(out, expect, label)

        link.exchange = exchange

    return alter


LIES = {
    "another share is encrypted than has a MAC": keys(
        encrypt=lambda real, layouts, operands: real(layouts, [more(operands[0]), *operands[1:]])
    ),
    "another operand is multiplied": keys(respond=lambda real, i, layout, c, f, r: real(i, layout, c, more(f), r)),
    "an operand is another for the last product only": keys(
        respond=lambda real, i, layout, c, f, r: real(i, layout, c, more(f, len(f) - 1), r)
    ),
    "another number gets the MAC": keys(scale=lambda real, i, alpha, x, r, narrow: real(i, alpha, more(x), r, narrow)),
    "an error in one product": product(0),
    "an error in the random product": product(-1),
    "a wrong rho": opening(1),
    "a wrong combination of all": opening(0),
    "a wrong square": commitment("opened products"),
    "a wrong sigma": sigmas(1),
}


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


@pytest.mark.parametrize("at", [0, 1])
def test_whoever_opens_another_sigma_than_it_fixed_is_named(at):
    crew = Crew(2, budget=1 << 17)

    def work(s):
        if s.me == LIAR:
            settled(at)(s._maker.link)
        return s.take(s.request(bits().requests))

    _, honest = crew.results(work)
    crew.close()
    assert isinstance(honest, CheatingDetected) and f"party {LIAR} opened another number than it had fixed" in str(
        honest
    )


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


# Squares: of two parties, and few numbers, party 0 encrypts and party 1 answers.


def answers(which):
    """Another operand, in the square or in the random product."""
    calls = []

    def respond(real, i, layout, c, f, r):
        calls.append(f)
        return real(i, layout, c, more(f) if len(calls) == which + 1 else f, r)

    return keys(respond=respond)


SQUARES = {
    "another number is encrypted": (0, LIES["another share is encrypted than has a MAC"]),
    "another number is multiplied": (1, answers(0)),
    "another random number is multiplied": (1, answers(1)),
    "another number of who encrypts gets the MAC": (0, LIES["another number gets the MAC"]),
    "another number of who answers gets the MAC": (1, LIES["another number gets the MAC"]),
    "a wrong rho of who answers": (1, opening(1)),
    "a wrong square": (1, commitment("opened products")),
    "an error in a square": (1, product(0)),
    "an error in a random product": (0, product(1)),
}


@pytest.mark.quick(2)
@pytest.mark.parametrize("lie", SQUARES)
def test_lies_about_squares(lie):
    crew, (liar, alter) = Crew(2, budget=1 << 17), SQUARES[lie]

    def work(s):
        if s.me == liar:
            alter(s._maker.link)
        return s.take(s.request(bits().requests))

    results = crew.results(work)
    crew.close()
    assert isinstance(results[1 - liar], CheatingDetected)
    # A sum of shares that is no square is seen before the check.
    assert f"party {liar} " in str(results[1 - liar]) or "square" in str(results[1 - liar])


@pytest.mark.parametrize("liar", [0, 1])
def test_the_square_of_another_number(liar, monkeypatch):
    """a_i^2 + 1 in the sum of squares, and a q_i that makes the sacrifice right."""
    init, sums = Squares.__init__, Squares.sums

    def lie(self, link, numbers):
        init(self, link, numbers)
        if link.me == liar:
            self._share = more(self._share)

    def claim(self, chi):
        first = Weight(chi, self._own.size)
        made = sums(self, first)
        if self.link.me == liar:
            self._claims[liar].value[0] = (int(self._claims[liar].value[0]) + first.value) % P
        return made

    monkeypatch.setattr(Squares, "__init__", lie)
    monkeypatch.setattr(Squares, "sums", claim)
    crew = Crew(2, budget=1 << 17)
    results = crew.results(lambda s: s.take(s.request(bits().requests)))
    crew.close()
    assert isinstance(results[1 - liar], CheatingDetected)
    assert f"party {liar} squared another number" in str(results[1 - liar])


class Weight:
    """A coin's weights, of which the first is noted."""

    def __init__(self, chi, count):
        self._chi, self._one = chi, np.eye(1, count, dtype=np.uint64)[0]

    def combine(self, arrays):
        *found, self.value = self._chi.combine([*arrays, self._one])
        return found


def test_squares_are_shown_when_nothing_can_be_undone():
    """A square tells a_i but for a sign. Who planted d a_i in a product, or in a MAC, must have said all that could hide it."""
    crew = Crew(2, budget=1 << 17)

    def work(s):
        rounds, honest = [], s._maker.link.channel.exchange
        s._maker.link.channel.exchange = lambda out, expect, label="": (
            rounds.append(label) or honest(out, expect, label=label)
        )
        s.take(s.request(bits().requests))
        return rounds

    for rounds in crew.run(2, work):
        committed, shown = (i for i, label in enumerate(rounds) if label == "opened products")
        assert committed < rounds.index("coin") and rounds[shown - 1] == "check"
        # What follows fixes sigma', and opens a combination of both.
        assert rounds[shown + 1 :] == ["check", "coin", "coin", "check"]
    crew.close()


def test_a_bet_on_a_square_is_lost_even_if_it_is_right():
    """An error that the cheater would know once squares are public: then there is only sigma', which must be right by itself."""
    crew = Crew(2, budget=1 << 17)

    def work(s):
        if s.me == LIAR:
            sigmas(-1, 1)(s._maker.link)  # as if the error in the first one were known by now
        return s.take(s.request(bits().requests))

    _, honest = crew.results(work)
    crew.close()
    assert isinstance(honest, CheatingDetected) and "check of prepared material failed" in str(honest)


def lying(monkeypatch, name, change):
    """The liar's `Lookup.name` gives what `change` makes of what an honest one gives."""
    honest = getattr(Lookup, name)

    def lie(self, *given):
        found = honest(self, *given)
        return change(self, found) if self.mine and self.owner == LIAR else found

    monkeypatch.setattr(Lookup, name, lie)


def too_large(self, digits):
    """A digit is 2^w, and nothing else is changed."""
    digits[0].value = digits[0].value.copy()
    digits[0].value[0] = 1 << self._widths[0]
    return digits


def counted(self, digits):
    """Counts as if it were another digit."""
    counts = self._counts[self._widths[0]].value
    old = self._flat[0].value[0]
    counts[old], counts[(old + 1) % len(counts)] = counts[old] - 1, counts[(old + 1) % len(counts)] + 1
    return digits


def balanced(self, arrays):
    """The digit's group takes an s that makes both sums right."""
    turns, counts = np.split(self._s.value, TURNS), [c.value for c in self._counts.values()]
    for turn, s in enumerate(turns):
        weights = [int(i == turn) for i in range(TURNS)]
        s[0] = (int(s[0]) - self._rest(weights, np.concatenate(turns), counts)) % P
    self._s.value = np.concatenate(turns)
    return arrays


OUT_OF_RANGE = {
    "a digit that no table has": {"digits": too_large},
    "wrong counts": {"digits": counted},
    "a digit that no table has, and an s that hides it": {"digits": too_large, "sums": balanced},
}


@pytest.mark.parametrize("lie", OUT_OF_RANGE)
def test_numbers_out_of_range_are_found(lie, monkeypatch):
    for name, change in OUT_OF_RANGE[lie].items():
        lying(monkeypatch, name, change)
    crew = Crew(2, budget=1 << 17)
    _, honest = crew.results(lambda s: s.take(s.request(plan().requests)))
    crew.close()
    assert isinstance(honest, CheatingDetected) and f"party {LIAR} chose a number out of its range" in str(honest)


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


def test_what_is_made_ahead_is_checked_when_it_is_asked_for_and_not_before():
    """A failed check shows alpha: it must not be shown while values are opened under it."""
    crew = Crew(2, budget=1 << 17)

    def ask(s):
        p = Plan(0)
        (a, _), (b, _) = p.mask((5,)), p.mask((5,))
        p.product(Elementwise(), a, b)
        return s.take(s.request(p.requests))

    def work(s):
        ask(s)
        if s.me == LIAR:
            second_product(s._maker.link)  # of the list that comes next, and then of what is made ahead
        ask(s)
        (copies,) = (stock for stock in s._foresight._stock.values() if stock)
        copies[0].ahead.made.result(60)
        meter = s._maker.link.channel.meter
        before = meter.snapshot().by_label["check"].rounds
        try:
            ask(s)
        except CheatingDetected:
            return meter.snapshot().by_label["check"].rounds - before
        raise AssertionError("a wrong product was given out")

    for rounds in crew.run(2, work):
        assert rounds == 1  # they were fixed when it was made
    crew.close()


def test_no_share_is_sent_while_another_thread_checks():
    """The thread that makes material comes to an opening in the middle of a check, and waits for its verdict."""
    crew, reached, ended = Crew(2, budget=1 << 17), threading.Event(), threading.Event()

    def work(s):
        link, sent = s._maker.link, []
        honest, waits = link.channel.exchange, s.order.opening
        link.channel.exchange = lambda out, expect, label="": sent.append(label) or honest(out, expect, label=label)
        s.order.opening = lambda: (reached.set() if s.me == LIAR else None) or waits()
        requests = plan().requests
        made = s._worker.submit(lambda: s._maker.make(requests, requests))
        if s.me == LIAR:
            # Its check began before: the others are not in one, and have sent what they open.
            with s.order.check():
                assert reached.wait(60)
                assert "coin" in sent and "opened products" in sent
                assert "sacrifice" not in sent
                ended.set()
        assert ended.wait(60)
        settle(link, made.result(60)[1])
        return sent

    for sent in crew.run(2, work):
        assert "sacrifice" in sent
    crew.close()


@pytest.mark.parametrize("lists", [1, 3])
def test_nothing_but_one_combination_of_sigmas_is_opened(lists):
    """However many batches, and lists, are settled together: with two sums a cheater could divide one error by another."""
    crew = Crew(2, budget=1 << 9)

    def work(s):
        link, said = s._maker.link, []
        honest = link.exchange

        def exchange(out, expect, label):
            said.append((label, sum(len(part) for message in out.values() for part in message)))
            return honest(out, expect, label)

        link.exchange = exchange
        made = []
        for _ in range(lists):
            requests = plan().requests
            made += s._maker.make(requests, requests)[1]
        fixed = [size for label, size in said if label == "check"]
        before = len(said)
        settle(link, made)
        return len(made), fixed, [size for label, size in said[before:] if label == "check"]

    for count, fixed, opened in crew.run(2, work):
        assert count > 3 * lists and fixed == [NUMBER.size] * count
        assert opened == [OPENED.size]
    crew.close()


def test_what_fixes_a_sigma_shows_nothing_of_it_and_serves_once():
    crew = Crew(2)

    def work(s):
        link = s._maker.link
        pads = [Pads(link) for _ in range(40)]
        link.authenticate([u for p in pads for u in p.numbers])
        said, honest = [], link.everyone
        link.everyone = lambda message, expect, label: said.append(message) or honest(message, expect, label)
        bound = [p.bind(link, (-1) ** s.me) for p in pads]
        settle(link, bound)
        with pytest.raises(AssertionError, match="once"):
            settle(link, bound[:1])
        return said

    for said in crew.run(2, work):
        numbers = {NUMBER.unpack(message)[0] for message in said}
        assert len(numbers) == 40 and 5 < sum(n < P // 2 for n in numbers) < 35
    crew.close()


def second_product(link):
    honest, calls = link.multiply, []

    def multiply(units):
        honest(units)
        if units:
            calls.append(units)
        if len(calls) == 2:
            units[0].answers[0].out[0] = (int(units[0].answers[0].out[0]) + 1) % P

    link.multiply = multiply


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
