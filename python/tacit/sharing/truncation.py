"""Truncation without a gap in the field (Catrina and Saxena 2010, with the wrap removed by one shared bit).

    M = (p - 1) / 2,  r = b M + rho,  rho uniform in [0, M)          r is uniform on [0, p - 1), at distance 2^-61 from F_p
    c = open(x + 2^58 + r),     e = [c < M]                           the sum wraps exactly when b = 1 and e = 1
    y = (c >> f) - 2^(58 - f) + e b (((c + p) >> f) - (c >> f)) - h,   h = r >> f

For |x| < 2^58: 0 < x + 2^58 < 2^59, so x + 2^58 + rho < p and only b = 1 can wrap; then c < 2^59 < M, and without a wrap
c >= M. So e b counts the wraps and y = ((x + r) >> f) - (r >> f): the error is below 1, the mean x / 2^f. (The published form adds a
rounded p / 2^f where the sum wraps; c + p is as public as c, so nothing needs to be rounded.)

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


def wrap(c: Field, bits: int) -> Field:
    """What a wrap has taken from y: ((c + p) >> f) - (c >> f) if c < M, where there may have been one, else 0."""
    f = np.uint64(bits)
    return np.asarray((c < np.uint64(M)) * (((c + np.uint64(P)) >> f) - (c >> f)))


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

    return Opening(Masked(Combine((-1,)), (high,)), (Late(lambda: wrap(c(), bits), top),), public, (task,))
