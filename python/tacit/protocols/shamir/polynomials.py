"""Polynomials over F_p at the points of the parties: party i holds f(i + 1), the secret is f(0).

f(a) = sum_k w_k f(x_k),    w_k = prod_{m != k} (a - x_m) / (x_k - x_m)          for any f of degree below the number of x_k
"""

import math
from collections.abc import Mapping, Sequence
from operator import eq, mul

from tacit import _core, field
from tacit.field import Field, P


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
    """The equations that values at some points fulfill if they lie on a polynomial of some degree."""

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
    """Return whether {point: value} lie on a polynomial of this degree."""
    return Redundancy(list(values), degree).holds(list(values.values()))


def liars(values: Mapping[int, int], degree: int, most: int) -> tuple[int, ...] | None:
    """The points to leave out of {point: value} so that the others lie on a polynomial of this degree.

    At most `most`, and at most (n - degree - 1) / 2 for n values, so that no other set explains them (Reed and Solomon 1960);
    decoded by Gao's algorithm, in O(n^2). None if there is no such set.
    """
    points = list(values)
    found = _core.wrong_places(points, list(values.values()), degree, most) if most >= 0 else None
    return None if found is None else tuple(points[i] for i in found)
