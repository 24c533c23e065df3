"""Public numbers far below the format that are added to secrets, as -1e9 and -inf are to the scores of attention.

    softmax(x + A) = softmax(x + A - max A),   and 0 where A - max A <= -2^(integer + 1) - DEEP
The sum x + A is recorded with all the bits that it needs, so that whatever uses it is right or refused. Softmax and its kin do
not use it: A is public, so that they know where the result is 0, and compare numbers that are no wider than x.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tacit.errors import OutOfRange
from tacit.field import CAPACITY
from tacit.graph.maps import LinearMap
from tacit.numbers.arithmetic import MASK, Arithmetic, Number
from tacit.numbers.format import Format
from tacit.numbers.known import Fact

DEEP = 24
"""e^-DEEP is nothing."""
KEPT = 4
"""Bits of the field that the lowest number leaves for sums."""


@dataclass(frozen=True)
class Mask:
    """A number is x + values. Softmax needs not know more."""

    x: Number
    values: NDArray[np.float64]

    def along(self, a: Arithmetic, map: LinearMap) -> "Mask":
        """The mask of a view: places move, and nothing else. A part that nothing was added to is a part of x."""
        moved = map(np.ascontiguousarray(self.values).view(np.uint64)).view(np.float64)
        return Mask(a.view(self.x, map), moved)


def of(x: Number) -> Mask | None:
    found: Mask | None = MASK.of(x)
    return found


def saturated(x: Number) -> Number:
    """x, where what a mask hides is no number below the format: after a softmax's logarithm about its least."""
    mask = of(x)
    return x if mask is None else mask.x


def lowest(format: Format) -> float:
    """The number that stands for minus infinity: far below the format, with room for sums."""
    return -math.ldexp(1.0, CAPACITY - KEPT - format.fraction)


def finite(a: Arithmetic, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Public numbers for a sum: those that the field does not hold, and infinities, as the largest that it does."""
    low = lowest(a.format)
    return np.clip(values, low, -low)


def added(a: Arithmetic, x: Number, values: NDArray[np.float64], name: str) -> Number:
    """x + values, which remembers a mask."""
    total = a.add_public(x, finite(a, values), name)
    earlier = of(x)
    if earlier is not None or values.min(initial=0.0) <= -math.ldexp(1.0, a.format.integer):
        base, before = (x, 0.0) if earlier is None else (earlier.x, earlier.values)
        MASK.note(total, Mask(a.expand(base, total.shape), np.broadcast_to(before + values, total.shape)))
    return total


def times(a: Arithmetic, x: Number, factor: float, name: str) -> Number:
    """factor x"""
    mask = of(x)
    if mask is None or factor == 0:
        return a.times(x, factor, name)
    return added(a, a.times(mask.x, factor, name), mask.values * factor, name)


def chosen(a: Arithmetic, x: Number, kept: NDArray[np.float64]) -> Number:
    """x where `kept` is 1, and 0 where it is 0."""
    mask = of(x)
    if mask is None:
        return a.times_public(x, kept)
    shape = np.broadcast_shapes(x.shape, kept.shape)
    return added(a, a.times_public(mask.x, kept), np.where(kept, np.broadcast_to(mask.values, shape), 0.0), "where")


@dataclass(frozen=True)
class Shown:
    """z, the argument of softmax in place of a masked number x + A. `below`: A - top.

    `hidden`: where z is not x + A - top, but DEEP below every number of the format.
    """

    z: Number
    hidden: NDArray[np.bool_]
    below: NDArray[np.float64]
    top: NDArray[np.float64]

    @property
    def seen(self) -> NDArray[np.float64]:
        return np.asarray(~self.hidden, np.float64)


SHOWN: Fact[Shown] = Fact("what softmax takes instead")


def shown(a: Arithmetic, x: Number, widened: Callable[[Arithmetic, Number], Number] | None = None) -> Shown | None:
    """None if x has no mask. `OutOfRange` if the mask leaves nothing of a row (along the last axis): torch has NaN there.

    `widened`: makes what is masked anew, without the contract.
    """
    mask = of(x)
    if mask is None or mask.x.beyond or not x.shape or x.shape[-1] <= 1:
        return None
    top = mask.values.max(-1, keepdims=True)
    if np.isneginf(top).any():
        raise OutOfRange(
            f"a mask of minus infinity hides all {x.shape[-1]} places of a row from softmax, which is NaN there: leave a place "
            "of every row unmasked, or mask with a finite number, as -1e9, for equal probabilities"
        )
    base = mask.x if widened is None else widened(a, mask.x)
    return SHOWN.found(x, lambda: _shown(a, replace(mask, x=base), top), base.beyond)


def _shown(a: Arithmetic, mask: Mask, top: NDArray[np.float64]) -> Shown:
    below, integer = mask.values - top, a.format.integer
    if mask.x.beyond:
        integer = max(integer, mask.x.bits - mask.x.scale)
    hidden = below <= -math.ldexp(1.0, integer + 1) - DEEP
    z = a.times_public(mask.x, np.asarray(~hidden, np.float64))
    z = a.add_public(z, np.where(hidden, -math.ldexp(1.0, integer) - DEEP, below), "mask")
    z = z if mask.x.beyond else replace(z, coarsest=None)  # its bits are all there is to say
    return Shown(z, hidden, below, top)
