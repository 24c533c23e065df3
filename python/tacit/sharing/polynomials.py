"""Polynomials over F_p at the points of the parties: party i holds f(i + 1), the secret is f(0).

f(a) = sum_k w_k f(x_k),    w_k = prod_{m != k} (a - x_m) / (x_k - x_m)          for any f of degree below the number of x_k
"""

import math
from collections.abc import Sequence
from itertools import combinations
from operator import eq, mul

from tacit import _core, field
from tacit.field import Field, P

SUSPECTS = 1 << 14
"""Sets of liars that are tried at most."""


def point(party: int) -> int:
    return party + 1


class Interpolation:
    """Lagrange's w_k for some points."""

    def __init__(self, points: Sequence[int]) -> None:
        self.points = list(points)
        self._inverses = [pow(math.prod(x - other for other in self.points if other != x), -1, P) for x in self.points]

    def at(self, a: int) -> list[int]:
        before, after = [1], [1]  # products of a - x_m for m < k, and (from the end) for m > k
        for x in self.points:
            before.append(before[-1] * (a - x) % P)
        for x in reversed(self.points):
            after.append(after[-1] * (a - x) % P)
        count = len(self.points)
        return [before[k] * after[count - 1 - k] % P * self._inverses[k] % P for k in range(count)]


def weights(points: Sequence[int], at: int) -> list[int]:
    return Interpolation(points).at(at)


def combined(factors: Sequence[int], arrays: Sequence[Field]) -> Field:
    """sum_k factors_k arrays_k"""
    return _core.weighted([k % P for k in factors], [field.contiguous(a) for a in arrays])


class Redundancy:
    """What values at some points have to fulfil to lie on a polynomial of some degree."""

    def __init__(self, points: Sequence[int], degree: int) -> None:
        self._length = degree + 1
        base = Interpolation(points[: self._length])
        self._rows = [base.at(point) for point in points[self._length :]]

    def holds(self, values: Sequence[int]) -> bool:
        """In the order of the points."""
        base = values[: self._length]
        expected = (sum(map(mul, row, base)) % P for row in self._rows)
        return all(map(eq, expected, values[self._length :]))


def on_polynomial(values: dict[int, int], degree: int) -> bool:
    """Whether {point: value} lie on a polynomial of this degree."""
    return Redundancy(list(values), degree).holds(list(values.values()))


def liars(values: dict[int, int], degree: int, most: int) -> tuple[int, ...] | None:
    """The points to leave out so that the others lie on a polynomial of this degree: at most `most`, and unique.

    For n >= degree + 2 `most` + 1 values no other set explains them (Reed and Solomon 1960). None if there is none.
    """
    tried = 0
    for count in range(1, most + 1):
        for out in combinations(values, count):
            if on_polynomial({x: v for x, v in values.items() if x not in out}, degree):
                return out
            if (tried := tried + 1) > SUSPECTS:
                return None
    return None
