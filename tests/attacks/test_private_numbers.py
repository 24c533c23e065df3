"""A party that lies about numbers of its own while material is made: the squares of its shares, and the ranges that it proves."""

import numpy as np
import pytest

from tacit.errors import CheatingDetected
from tacit.field import P
from tacit.preprocessing.lattice.ranges import TURNS, Lookup
from tacit.preprocessing.lattice.squares import Squares
from tests.attacks.keys import LIAR, bits, more, product
from tests.attacks.preparing import LIES, commitment, keys, opening, plan, sigmas
from tests.preprocessing.lattices import Crew

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


# Ranges.


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
