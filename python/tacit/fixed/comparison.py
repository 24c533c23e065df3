"""Comparisons and what is made of them: ReLU, absolute value, maximum, clamp. One comparison each, found once for each value.

A sign is right for |x| >= 2^-RESOLUTION; nearer to zero it is either. So relu(x) is off by at most 2^-RESOLUTION there, and never
elsewhere. Cost of a sign: `sharing.comparison`; a product with it costs one opening of the sign, the first time.
"""

import numpy as np

from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.sharing.operations import NonNegative

ONE, MINUS_ONE = np.asarray(1.0), np.asarray(-1.0)
RESOLUTION = 8
LARGEST = 21
"""Leading bits that can be compared: p - 1 is divisible by 2^21."""


def non_negative(a: Arithmetic, x: Number) -> Number:
    """[x >= 0], as 0 or 1."""
    if x.wire.sign is None:
        bits = max(2, min(LARGEST, x.bits + 1 - x.scale + RESOLUTION))
        x.wire.sign = a.engine.record(NonNegative(x.bits, bits), (x.wire,), x.shape, "sign")
        x.wire.sign.bound = 1
    return Number(x.wire.sign, 0, 1)


def relu(a: Arithmetic, x: Number) -> Number:
    """max(x, 0) = x [x >= 0]"""
    out = a.multiply(x, non_negative(a, x), "relu")
    out.wire.sign = x.wire.sign  # for the backward pass: relu(x) > 0 where x > 0
    return out


def absolute(a: Arithmetic, x: Number) -> Number:
    """|x| = 2 relu(x) - x"""
    return a.add(a.times(relu(a, x), 2.0), x, -1, "abs")


def maximum(a: Arithmetic, x: Number, y: Number) -> Number:
    """y + relu(x - y)"""
    return a.add(y, relu(a, a.add(x, y, -1)), name="maximum")


def minimum(a: Arithmetic, x: Number, y: Number) -> Number:
    """x - relu(x - y)"""
    return a.add(x, relu(a, a.add(x, y, -1)), -1, "minimum")


def greater(a: Arithmetic, x: Number, y: Number) -> Number:
    """[x > y] = 1 - [y - x >= 0]"""
    return a.add_public(a.negate(non_negative(a, a.add(y, x, -1))), ONE)


def greater_equal(a: Arithmetic, x: Number, y: Number) -> Number:
    """[x >= y]"""
    return non_negative(a, a.add(x, y, -1))
