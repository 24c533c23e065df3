"""Where the parties' shares of random numbers that nobody knows come from.

Keys of sets (Cramer, Damgard and Ishai 2005): for each set A of n - t parties a key that its members know; r_A drawn from it,
    [r]_i = sum over A with i of f_A(i) r_A,    f_A(0) = 1,  f_A = 0 outside A,  deg f_A = t.
Any t parties miss the key of the set of all others. Nothing is sent, and honest parties cannot be made to hold other shares.

For more sets than `SETS`, extraction (Damgard and Nielsen 2007): every party i deals a uniform [s_i],
    [r_j] = sum_i m_ji [s_i],   j < n - t,      m_ji: the value at n + j of the i-th polynomial of Lagrange for 0 ... n - 1
The matrix is hyper-invertible (Beerliova-Trubiniova and Hirt 2008): whatever t of the s_i are, the n - t others make the r_j
uniform. That the [r_j] are of degree t is verified by a random combination of all under a mask (`shamir.verification`): it costs
one number for each batch, where opening 2 t of n combinations, as they do, would leave n - 2 t of them.
Bounded integers are dealt there as bits by t + 1 parties, one of them honest, and b b = b is verified: rho_i = <digits, b>.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import _core
from tacit.field import Field, P
from tacit.graph.forms import Elementwise
from tacit.interaction.exchange import Exchange
from tacit.protocols.shamir.polynomials import Interpolation, combined, point, weights
from tacit.protocols.shamir.verification import Verifier

if TYPE_CHECKING:
    from tacit.protocols.shamir.shares import Shares

SETS = 100
"""Keys of sets at most: with more, a number drawn from each is dearer than one that is dealt (docs/decisions/0010)."""
BATCH = 1 << 10
"""Random numbers extracted at once at least."""
SPENT = 4
"""Numbers of a batch that its check takes: for a coin, and a mask."""
MOST = 1 << 22
"""Bits made at once at most."""
UNCHECKED = 1 << 23
"""Elements that wait for a check (`Verifier.pending`), about at most: it bounds the memory that a check takes."""
ELEMENTWISE = Elementwise()

Bounded = tuple[int, int, int]
"""How many sums of integers, of [0, below) each, and what they are divided by (1: nothing is)."""
Sums = tuple[Field, Field | None]


class Randomness(ABC):
    """One party's side in one phase. All parties ask for the same in the same order."""

    checks: int = 0
    """Verifications that it rests on, so far."""

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

    @staticmethod
    @abstractmethod
    def random_bytes(parties: int, threshold: int) -> int:
        """Bytes that all parties together send for one random number, without checks and what is left of a batch."""

    @staticmethod
    @abstractmethod
    def integers_bytes(below: int, divisor: int, parties: int, threshold: int) -> int:
        """The same for one sum of bounded integers."""

    @abstractmethod
    def random(self, count: int) -> Generator[Exchange, Any, Field]:
        """[r], r uniform over F_p and unknown to any t parties."""

    @abstractmethod
    def integers(self, asked: Sequence[Bounded], verifier: Verifier) -> Generator[Exchange, Any, list[Sums]]:
        """[sum of K integers of [0, below)], and [sum of their quotients by the divisor] if that is not 1.

        One of them at least is uniform to any t parties. The verifier checks what was dealt for it.
        """

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

    @staticmethod
    def random_bytes(parties: int, threshold: int) -> int:
        return 0

    @staticmethod
    def integers_bytes(below: int, divisor: int, parties: int, threshold: int) -> int:
        return 0

    def random(self, count: int) -> Generator[Exchange, Any, Field]:
        yield from ()
        return self._drawn.below(count, P)

    def integers(self, asked: Sequence[Bounded], verifier: Verifier) -> Generator[Exchange, Any, list[Sums]]:
        """An integer for each set: honest members draw the same, so that none needs a proof."""
        yield from ()
        return [self._sum(*one) for one in asked]

    def _sum(self, count: int, below: int, divisor: int) -> Sums:
        if divisor > 1:
            low, high = self._drawn.below_and_high(count, below, divisor)
            return low, high
        return self._drawn.below(count, below), None

    def burn(self) -> None:
        self._drawn = _core.Joint([], [])


class Extracted(Randomness):
    def __init__(self, shares: "Shares") -> None:
        self._shares = shares
        parties = len(shares.members)
        self._matrix = hyper_invertible(parties)[: parties - shares.threshold]
        self._pool = np.zeros(0, np.uint64)
        self._turn = 0

    @staticmethod
    def sets(members: Sequence[int], threshold: int) -> list[tuple[int, ...]]:
        return []

    @staticmethod
    def summands(parties: int, threshold: int) -> int:
        return threshold + 1

    @staticmethod
    def random_bytes(parties: int, threshold: int) -> int:
        return 8 * parties * (parties - 1 - threshold) // (parties - threshold)

    @staticmethod
    def integers_bytes(below: int, divisor: int, parties: int, threshold: int) -> int:
        return 8 * (threshold + 1) * (parties - 1 - threshold) * len(Digits(below, divisor).weights)

    def random(self, count: int) -> Generator[Exchange, Any, Field]:
        """Three rounds more when the pool has to be filled."""
        while len(self._pool) < count:
            yield from self._more(count - len(self._pool))
        taken, self._pool = self._pool[:count], self._pool[count:]
        return taken

    def _more(self, count: int) -> Generator[Exchange, Any, None]:
        """`count` numbers more. Its check takes some that may be of this batch: nobody knew them when it was dealt."""
        self.checks += 1
        shares = self._shares
        rows = -(-(max(count, BATCH) + SPENT) // len(self._matrix))
        dealt = yield from shares.deal(shares.members, shares.private.field(rows), (rows,))
        made = np.concatenate([combined(row, [dealt[i] for i in shares.members]) for row in self._matrix])
        self._pool = np.concatenate([self._pool, made])
        verifier = Verifier(shares)
        verifier.dealt(made)
        yield from verifier.check()

    def integers(self, asked: Sequence[Bounded], verifier: Verifier) -> Generator[Exchange, Any, list[Sums]]:
        digits = [Digits(below, divisor) for _, below, divisor in asked]
        lengths = [len(d.weights) * count for d, (count, _, _) in zip(digits, asked, strict=True)]
        bits = yield from self._bits(asked, digits, sum(lengths), verifier)
        ends = np.cumsum(lengths, dtype=np.int64)
        return [
            d.sums(bits[end - length : end].reshape(len(d.weights), count))
            for d, length, end, (count, _, _) in zip(digits, lengths, ends, asked, strict=True)
        ]

    def _bits(
        self, asked: Sequence[Bounded], digits: Sequence["Digits"], length: int, verifier: Verifier
    ) -> Generator[Exchange, Any, Field]:
        """The bits of this party's integers, and those of the other dealers, added up."""
        shares, members = self._shares, self._shares.members
        dealers = [members[(self._turn + i) % len(members)] for i in range(shares.threshold + 1)]
        self._turn += 1
        mine = None
        if shares.me in dealers:
            drawn = [
                d.bits(shares.private.below(count, d.below)) for d, (count, _, _) in zip(digits, asked, strict=True)
            ]
            mine = np.concatenate([np.zeros(0, np.uint64), *(d.reshape(-1) for d in drawn)])
        summed = [np.zeros(0, np.uint64)]
        piece = MOST // len(dealers)
        for start in range(0, length, piece):
            stop = min(start + piece, length)
            dealt = yield from shares.deal(dealers, None if mine is None else mine[start:stop], (stop - start,))
            each = [dealt[i] for i in dealers]
            for bits in each:
                verifier.dealt(bits)
                verifier.equals(ELEMENTWISE, bits, bits, bits)
            if verifier.pending > UNCHECKED:
                self.checks += 1
                yield from verifier.check()
            summed.append(combined([1] * len(each), each))
        return np.concatenate(summed)

    def burn(self) -> None:
        self._pool = np.zeros(0, np.uint64)


def hyper_invertible(size: int) -> list[list[int]]:
    """A square matrix all of whose square submatrices are invertible: from a polynomial's values at some points to others."""
    points = Interpolation(range(size))
    return [points.at(size + j) for j in range(size)]


@dataclass(frozen=True)
class Digits:
    """Integers of [0, below) as sums of weighted bits, so that their quotients by `divisor` are too.

    Whatever the bits are, the sum is below `below` if that is `divisor` at most, else below the next multiple of it.
    """

    below: int
    divisor: int

    @property
    def _bounds(self) -> tuple[int, int]:
        """Bounds that remainders and quotients are below."""
        return min(self.below, self.divisor) if self.divisor > 1 else 1, -(-self.below // self.divisor)

    @cached_property
    def weights(self) -> list[int]:
        low, high = self._bounds
        return [*reaching(low), *(w * self.divisor for w in reaching(high))]

    def bits(self, values: Field) -> Field:
        """Along the first axis; `values` are below `below`."""
        quotients = _core.divide(values, self.divisor)
        parts = zip((values - quotients * np.uint64(self.divisor), quotients), self._bounds, strict=True)
        return np.concatenate([_bits(part, bound) for part, bound in parts])

    def sums(self, bits: Field) -> Sums:
        """[sum of the integers], and of their quotients (if there is a divisor), from [bits]."""
        base = np.zeros(bits.shape[1:], np.uint64)
        high = combined([1, *(w // self.divisor for w in self.weights)], [base, *bits]) if self.divisor > 1 else None
        return combined([1, *self.weights], [base, *bits]), high


def reaching(bound: int) -> list[int]:
    """Weights of bits: 1, 2, 4 ... and at last what reaches bound - 1 and no further."""
    if bound == 1:
        return []
    length = (bound - 1).bit_length() - 1
    return [*(1 << j for j in range(length)), bound - (1 << length)]


def _bits(values: Field, bound: int) -> Field:
    """Bits, along the first axis, whose sum with the weights `reaching(bound)` are `values`."""
    if bound == 1:
        return np.zeros((0, *values.shape), np.uint64)
    *binary, last = reaching(bound)
    top = values >= np.uint64(1 << len(binary))
    rest = values - top * np.uint64(last)
    places = np.arange(len(binary), dtype=np.uint64).reshape(-1, *(1 for _ in values.shape))
    return np.concatenate([rest >> places & np.uint64(1), top[None].astype(np.uint64)])


def chosen(parties: int, threshold: int, sets: int = SETS) -> type[Randomness]:
    """By how many sets there are. (With fewer, what is drawn from their keys is cheaper.)"""
    return SetKeys if math.comb(parties, threshold) <= sets else Extracted
