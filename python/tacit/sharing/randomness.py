"""Where the parties' shares of random numbers that nobody knows come from.

Keys of sets (Cramer, Damgard and Ishai 2005): for each set A of n - t parties a key that its members know; r_A drawn from it,
    [r]_i = sum over A with i of f_A(i) r_A,    f_A(0) = 1,  f_A = 0 outside A,  deg f_A = t.
Any t parties miss the key of the set of all others. Nothing is sent, and honest parties cannot be made to hold other shares.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tacit import _core
from tacit.field import Field, P
from tacit.sharing.plan import Exchange
from tacit.sharing.polynomials import point, weights

if TYPE_CHECKING:
    from tacit.sharing.threshold import Shares
    from tacit.sharing.verification import Verifier

Bounded = tuple[int, int, int]
"""How many sums of integers, of [0, below) each, and the low bits to drop (0: nothing is truncated)."""
Sums = tuple[Field, Field | None]


class Randomness(ABC):
    """One party's side in one phase. All parties ask for the same in the same order."""

    @abstractmethod
    def __init__(self, shares: "Shares") -> None: ...

    @staticmethod
    @abstractmethod
    def sets(members: Sequence[int], threshold: int) -> list[tuple[int, ...]]:
        """The sets of parties that need a key each."""

    @staticmethod
    @abstractmethod
    def summands(parties: int, threshold: int) -> int:
        """K: integers in a sum of bounded ones."""

    @abstractmethod
    def random(self, count: int) -> Generator[Exchange, Any, Field]:
        """[r], r uniform over F_p and unknown to any t parties."""

    @abstractmethod
    def integers(self, asked: Sequence[Bounded], verifier: "Verifier") -> Generator[Exchange, Any, list[Sums]]:
        """[sum of K integers of [0, below)], and [sum of each of them >> drop] if drop > 0. One of them at least is uniform to
        any t parties. What was dealt for it is verified."""

    @abstractmethod
    def burn(self) -> None:
        """Forget what others do not know."""


class SetKeys(Randomness):
    def __init__(self, shares: "Shares") -> None:
        seeds = shares.group.seeds.sets
        outside = [[point(i) for i in shares.members if i not in a] for a in seeds]
        factors = [weights([0, *points], point(shares.me))[0] for points in outside]
        self._drawn = _core.Joint([shares.key("set", seed) for seed in seeds.values()], factors)

    @staticmethod
    def sets(members: Sequence[int], threshold: int) -> list[tuple[int, ...]]:
        return list(combinations(members, len(members) - threshold))

    @staticmethod
    def summands(parties: int, threshold: int) -> int:
        return math.comb(parties, threshold)

    def random(self, count: int) -> Generator[Exchange, Any, Field]:
        yield from ()
        return self._drawn.below(count, P)

    def integers(self, asked: Sequence[Bounded], verifier: "Verifier") -> Generator[Exchange, Any, list[Sums]]:
        """An integer for each set: honest members draw the same, so that none needs a proof."""
        yield from ()
        return [self._sum(*one) for one in asked]

    def _sum(self, count: int, below: int, drop: int) -> Sums:
        if drop:
            return self._drawn.below_and_high(count, below, drop)
        return self._drawn.below(count, below), None

    def burn(self) -> None:
        self._drawn = _core.Joint([], [])
