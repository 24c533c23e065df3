"""Truncation without a gap in the field (Catrina and Saxena 2010, with the wrap removed by one shared bit).

    M = (p - 1) / 2,  r = b M + rho,  rho uniform in [0, M)          r is uniform on [0, p - 1), at distance 2^-61 from F_p
    c = open(x + 2^58 + r),     e = [c < M]                           the sum wraps exactly when b = 1 and e = 1
    y = (c >> f) - 2^(58 - f) + e b round(p / 2^f) - h,   h = r >> f

For |x| < 2^58: 0 < x + 2^58 < 2^59, so x + 2^58 + rho < p and only b = 1 can wrap; then c < 2^59 < M, and without a wrap
c >= M. So e b counts the wraps, y = floor(x / 2^f) + [x mod 2^f + r mod 2^f >= 2^f], up to the rounding of p / 2^f where it
wraps (one value of eight): 2^-f for f <= 21, at most 1/2 above. But for that the mean is x / 2^f and the error below 1.

This is the case of one dealer's rho; parties that make r themselves add one rho each, and two or more shared bits.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tacit import _core
from tacit.field import CAPACITY, Field, P
from tacit.sharing.maps import Combine
from tacit.sharing.masks import Late, Mask, Masked, Opening
from tacit.sharing.requests import Share

if TYPE_CHECKING:
    from tacit.sharing.plan import Task

M = (P - 1) // 2
OFFSET = 1 << CAPACITY


def wrap(bits: int) -> int:
    """round(p / 2^f)"""
    return (P + (1 << (bits - 1))) >> bits


def constant(bits: int) -> int:
    """2^(58 - f): what the offset has become."""
    return OFFSET >> bits


def result(c: Field, top: Share, high: Share, unit: tuple[int, ...], bits: int) -> Share:
    """[y] from the opened c, [b] and [h]."""
    parts = zip(top, high, unit, strict=True)
    return tuple(_core.truncation_local(c, t, h, u, bits, constant(bits)) for t, h, u in parts)


def opening(c: Callable[[], Field], top: Mask, high: Mask, bits: int, task: "Task") -> Opening:
    """What is known of y: public but for h and for the wrap bit, whose coefficient e is known with c."""

    def public() -> Field:
        return _core.add_scalar(np.asarray(c() >> np.uint64(bits)), -constant(bits) % P)

    def wrapped() -> Field:
        return np.asarray((c() < np.uint64(M)) * np.uint64(wrap(bits)))

    return Opening(Masked(Combine((-1,)), (high,)), (Late(wrapped, top),), public, (task,))
