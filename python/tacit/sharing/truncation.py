"""Truncation without a gap in the field (Catrina and Saxena 2010, with the wrap removed by one shared bit).

    M = (p - 1) / 2,  r = b M + rho,  rho uniform in [0, M)          r is uniform on [0, p - 1), at distance 2^-61 from F_p
    c = open(x + 2^58 + r),     e = [c < M]                           the sum wraps exactly when b = 1 and e = 1
    y = (c >> f) - 2^(58 - f) + e b (((c + p) >> f) - (c >> f)) - h,   h = r >> f

For |x| < 2^58: 0 < x + 2^58 < 2^59, so x + 2^58 + rho < p and only b = 1 can wrap; then c < 2^59 < M, and without a wrap
c >= M. So e b counts the wraps and y = ((x + r) >> f) - (r >> f): the error is below 1, the mean x / 2^f. (The published form
adds a rounded p / 2^f where the sum wraps; c + p is as public as c, so nothing needs to be rounded.)

That is the case of a dealer, who knows rho. n parties add a rho_i each, known to its owner, and t = 2 + ceil(log2(n - 1)) bits:
    M_t = (p - 1) / 2^t,   r = sum_j b_j 2^j M_t + sum_i rho_i,   rho_i uniform in [0, M_t)
    h = sum_j b_j round(2^j M_t / 2^f) + sum_i (rho_i >> f),   2^58 becomes less by a centre that makes the mean x / 2^f
One honest rho_i makes r uniform on [0, p - 1) but for a shift. The top bit's weight is (p - 1) / 2 as before, the rest of r below
3 (p - 1) / 4, and x + 2^58 less the centre in [0, 3 2^57) for |x| < 2^57, where the centre is below 2^57: so it wraps as before.
For |x| < 2^58, or a larger centre, there is one bit more: the rest of r is below (p - 1) / 2 + 2^58, and 2^58 becomes 3 2^57.
The low parts' carries are lost: the error is at most (n + 1) / 2 units, and as much more as cheaters may add by their
rho_i >> f, one unit each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from tacit import _core
from tacit.field import CAPACITY, Field, P
from tacit.sharing.layouts import of_length
from tacit.sharing.maps import Combine
from tacit.sharing.masks import Late, Mask, Masked, Opening
from tacit.sharing.requests import Share

if TYPE_CHECKING:
    from tacit.sharing.plan import Task

M = (P - 1) // 2
OFFSET = 1 << CAPACITY
WIDE = 3 << (CAPACITY - 1)


def wrap(c: Field, bits: int) -> Field:
    """What a wrap has taken from y: ((c + p) >> f) - (c >> f) if c < M, where there may have been one, else 0."""
    f = np.uint64(bits)
    return np.asarray((c < np.uint64(M)) * (((c + np.uint64(P)) >> f) - (c >> f)))


@dataclass(frozen=True)
class Rounding:
    """A truncation by `bits` with an r of `digits` known bits and `summands` private numbers; `narrow`: of |x| < 2^57 only."""

    bits: int
    digits: int
    summands: int
    narrow: bool = False

    @classmethod
    @cache
    def alone(cls, bits: int, summands: int, magnitude: int = CAPACITY) -> "Rounding":
        """With as many digits as a truncation of |x| < 2^magnitude by itself needs."""
        if summands == 1:
            return cls(bits, 1, 1)
        digits = 2 + (summands - 2).bit_length()
        narrow = cls(bits, digits, summands, True)
        fits = 1 << magnitude <= narrow.offset <= WIDE - (1 << magnitude)
        return narrow if fits else cls(bits, digits + 1, summands)

    @property
    def base(self) -> int:
        return OFFSET if self.summands == 1 or self.narrow else WIDE

    @cached_property
    def weights(self) -> list[int]:
        """round(2^j M / 2^f): what each digit is in the high part."""
        return [(w + (1 << (self.bits - 1))) >> self.bits for w in of_length(self.digits).weights()]

    @cached_property
    def offset(self) -> int:
        """What is added to x: the base, less what the parts of r that h lacks have on average beyond one carry."""
        if self.summands == 1:
            return self.base
        layout = of_length(self.digits)
        low = self.summands * (min(layout.unit, 1 << self.bits) - 1)
        digits = sum(w - (high << self.bits) for w, high in zip(layout.weights(), self.weights, strict=True))
        return self.base - (low + digits - ((1 << self.bits) - 1)) // 2

    @property
    def constant(self) -> int:
        """What the base has become."""
        return self.base >> self.bits


def result(c: Field, top: Share, high: Share, unit: tuple[int, ...], rounding: Rounding) -> Share:
    """[y] from the opened c, [b] and [h]."""
    parts = zip(top, high, unit, strict=True)
    return tuple(_core.truncation_local(c, t, h, u, rounding.bits, rounding.constant) for t, h, u in parts)


def opening(c: Callable[[], Field], top: Mask, high: Mask, rounding: Rounding, task: "Task") -> Opening:
    """What is known of y: public but for h and for the wrap bit, whose coefficient e is known with c."""
    bits = rounding.bits

    def public() -> Field:
        return _core.add_scalar(np.asarray(c() >> np.uint64(bits)), -rounding.constant % P)

    return Opening(Masked(Combine((-1,)), (high,)), (Late(lambda: wrap(c(), bits), top),), public, (task,))
