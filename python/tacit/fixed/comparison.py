"""Comparisons and what is made of them: ReLU, leaky ReLU, absolute value. One comparison each, found once for each value.

A sign is exact (32 bytes, 8 rounds), or right for |x| >= 2^-RESOLUTION and either nearer to zero (10 bytes, 5 rounds). ReLU and
its kin take the second: they are off by at most 2^-RESOLUTION there, and never elsewhere. (With more than 12 integer bits in the
format the resolution is 2^(integer - 20).) A product with a sign opens nothing. Costs are for a source with bits over GF(2).
"""

from collections.abc import Sequence

import numpy as np

from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.sharing.operations import NonNegative

ONE, MINUS_ONE = np.asarray(1.0), np.asarray(-1.0)
RESOLUTION = 8
LARGEST = 21
"""Leading bits that can be compared: p - 1 is divisible by 2^21."""


def non_negative(a: Arithmetic, x: Number, exact: bool = False) -> Number:
    """[x >= 0], as 0 or 1. One that was found before serves again if it is fine enough."""
    if x.shape == ():
        return a.reshape(non_negative(a, a.reshape(x, (1,)), exact), ())
    bits = 0 if exact else max(2, min(LARGEST, x.bits + 1 - x.scale + RESOLUTION))
    unit = -1 if exact else x.bits + 1 - bits
    if x.wire.sign is None or x.wire.sign[1] > unit:
        sign = a.engine.record(NonNegative(x.bits, bits), (x.wire,), x.shape, "sign")
        sign.bound = 1
        x.wire.sign = (sign, unit)
    return Number(x.wire.sign[0], 0, 1)


def at_least(a: Arithmetic, x: Number, thresholds: Sequence[float], exact: bool = False) -> Number:
    """[x >= t] for each of the public thresholds, as 0 or 1: shape (len(thresholds), *x.shape). One opening of x."""
    levels = np.reshape(np.asarray(thresholds, np.float64), (-1, *(1,) * len(x.shape)))
    return non_negative(a, a.add_public(a.expand(x, (len(thresholds), *x.shape)), -levels), exact)


def winners(a: Arithmetic, x: Number) -> Number:
    """One-hot along the last axis: 1 at the largest element, at the first of those if several are. Exact."""
    n = x.shape[-1]
    kept: list[Number] = []
    for i in range(n):
        mine = a.slice(x, len(x.shape) - 1, i, i + 1)
        found: Number | None = None
        for j in range(n):
            if j == i:
                continue
            other = a.slice(x, len(x.shape) - 1, j, j + 1)
            bit = (
                non_negative(a, a.add(mine, other, -1), True)
                if i < j
                else complement(a, non_negative(a, a.add(other, mine, -1), True))
            )
            found = bit if found is None else a.multiply(found, bit, "winner")
        kept.append(a.public(np.ones(mine.shape)) if found is None else found)
    return a.concat(kept, len(x.shape) - 1)


def relu(a: Arithmetic, x: Number) -> Number:
    """max(x, 0) = x [x >= 0]"""
    bit = non_negative(a, x)
    out = a.multiply(x, bit, "relu")
    out.wire.gate = bit.wire
    return out


def leaky_relu(a: Arithmetic, x: Number, slope: float) -> Number:
    """slope x + (1 - slope) relu(x)"""
    gated = relu(a, x)
    out = a.add(a.times(x, slope), a.times(gated, 1 - slope), name="leaky_relu")
    out.wire.gate = gated.wire.gate
    return out


def gate(a: Arithmetic, x: Number) -> Number:
    """Where a ReLU lets its gradient through, from what came out of it.

    Where that is not known any more: x is 0 or more, so that it is compared with a number between 0 and what it resolves.
    """
    if x.wire.gate is not None:
        return Number(x.wire.gate, 0, 1)
    return non_negative(a, a.add_public(x, np.asarray(-(2.0 ** (1 - RESOLUTION)))))


def absolute(a: Arithmetic, x: Number) -> Number:
    """|x| = 2 relu(x) - x"""
    return a.add(a.times(relu(a, x), 2.0), x, -1, "abs")


def complement(a: Arithmetic, bit: Number) -> Number:
    """1 - bit"""
    return a.add_public(a.negate(bit), ONE)
