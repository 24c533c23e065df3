"""Truncation without a gap in the field (Catrina and Saxena 2010, with the wrap removed by one shared bit), by any integer d.

    M = (p - 1) / 2,  r = b M + rho,  rho uniform in [0, M)          r is uniform on [0, p - 1), at distance 2^-61 from F_p
    c = open(x + B + r),     e = [c < M]                              B = 3 2^57, less what it is more than a multiple of d
    y = c / d - B / d + e b ((c + p) / d - c / d) - h,   h = r / d    (quotients rounded down)

For |x| < 2^58: 0 < x + B < 5 2^57, so x + B + rho < p and only b = 1 can wrap; then c < 5 2^57 < M, and without a wrap
c >= M. So e b counts the wraps and y = (x + r) / d - r / d: the error is below 1, the mean the true x / d. (The published form is
that of d = 2^f, and adds a rounded p / d where the sum wraps; c + p is as public as c, so nothing needs to be rounded.)

That is the case of a dealer, who knows rho. n parties add a rho_i each, known to its owner, and t = 2 + ceil(log2(n - 1)) bits:
    M_t = (p - 1) / 2^t,   r = sum_j b_j 2^j M_t + sum_i rho_i,   rho_i uniform in [0, M_t)
    h = sum_j b_j round(2^j M_t / d) + sum_i rho_i / d,   B becomes less by a centre that makes the mean x / d
One honest rho_i makes r uniform on [0, p - 1) but for a shift. The top bit's weight is (p - 1) / 2 as before, the rest of r below
3 (p - 1) / 4; B is 2^58, and x + B less the centre in [0, 3 2^57), for |x| < 2^57 and a centre below 2^57: so it wraps as before.
For |x| < 2^58, or a larger centre, there is one bit more: the rest of r is below (p - 1) / 2 + 2^58, and B is 3 2^57 as above.
Either way 2^57 is spare: a cheater's rho_i may reach the next multiple of d and 2^-19 more, and n d < 2^57 (`requests.divides`).
The low parts' carries are lost: the error is at most (n + 1) / 2 units, t / 4 more where d does not nearly divide the 2^j M_t,
and as much more as cheaters may add by their rho_i / d, one unit each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from tacit import _core
from tacit.correlations.layouts import of_length
from tacit.correlations.masks import Late, Mask, Masked, Opening
from tacit.field import CAPACITY, Field, P
from tacit.graph.maps import Combine
from tacit.graph.wires import Share

if TYPE_CHECKING:
    from tacit.interaction.rounds import Task

M = (P - 1) // 2
OFFSET = 1 << CAPACITY
WIDE = 3 << (CAPACITY - 1)


def ulps(summands: int) -> int:
    """An honest truncation is off by less than so many units: floor((n + 1) / 2 + t / 4) + 1, or 1 with a dealer."""
    return 1 if summands == 1 else (2 * (summands + 1) + 3 + (summands - 2).bit_length()) // 4 + 1


def wrap(c: Field, divisor: int) -> Field:
    """The part of y that a wrap takes away: (c + p) / d - c / d if c < M, where there may have been one, else 0."""
    d = np.uint64(divisor)
    return np.asarray((c < np.uint64(M)) * ((c + np.uint64(P)) // d - c // d))


@dataclass(frozen=True)
class Rounding:
    """A truncation by `divisor` with an r of `digits` known bits and `summands` private numbers; `narrow`: of |x| < 2^57 only."""

    divisor: int
    digits: int
    summands: int
    narrow: bool = False

    @classmethod
    @cache
    def alone(cls, divisor: int, summands: int, magnitude: int = CAPACITY) -> "Rounding":
        """With as many digits as a truncation of |x| < 2^magnitude by itself needs."""
        if summands == 1:
            return cls(divisor, 1, 1)
        digits = 2 + (summands - 2).bit_length()
        narrow = cls(divisor, digits, summands, True)
        fits = 1 << magnitude <= narrow.offset <= WIDE - (1 << magnitude)
        return narrow if fits else cls(divisor, digits + 1, summands)

    @property
    def base(self) -> int:
        """B."""
        most = OFFSET if self.narrow else WIDE
        return most - most % self.divisor

    @cached_property
    def weights(self) -> list[int]:
        """round(2^j M / d): what each digit is in the high part."""
        return [(w + self.divisor // 2) // self.divisor for w in of_length(self.digits).weights()]

    @cached_property
    def offset(self) -> int:
        """The constant added to x: the base, less the mean of those parts of r that h lacks, beyond one carry."""
        if self.summands == 1:
            return self.base
        layout = of_length(self.digits)
        low = self.summands * (min(layout.unit, self.divisor) - 1)
        digits = sum(w - high * self.divisor for w, high in zip(layout.weights(), self.weights, strict=True))
        return self.base - (low + digits - (self.divisor - 1)) // 2

    @property
    def constant(self) -> int:
        """The base divided by d."""
        return self.base // self.divisor


def result(c: Field, top: Share, high: Share, unit: tuple[int, ...], rounding: Rounding) -> Share:
    """[y] from the opened c, [b] and [h]."""
    parts = zip(top, high, unit, strict=True)
    return tuple(_core.truncation_local(c, t, h, u, rounding.divisor, rounding.constant) for t, h, u in parts)


def opening(c: Callable[[], Field], top: Mask, high: Mask, rounding: Rounding, task: "Task") -> Opening:
    """The opening of y: public but for h and for the wrap bit, whose coefficient e is known with c."""
    divisor = rounding.divisor

    def public() -> Field:
        return _core.add_scalar(np.asarray(c() // np.uint64(divisor)), -rounding.constant % P)

    return Opening(Masked(Combine((-1,)), (high,)), (Late(lambda: wrap(c(), divisor), top),), public, (task,))
