"""Selection: the largest, the nearest in a range, the whole part; and indices, which stand for a one-hot.

    clamp(x) = x ([x >= lo] - [x > hi]) + lo [x < lo] + hi [x > hi]        max_i x_i = sum_i e_i x_i,   argmax_i x_i = sum_i i e_i

with e the one-hot of the largest. What is compared is opened; a product with a bit opens nothing more. Everything is exact
where it does not say otherwise, and compared once for each value: gradients find the same bits again.
"""

import numpy as np
from numpy.typing import NDArray

from tacit import field as fp
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.sharing.forms import MatMul, With
from tacit.sharing.maps import Sum
from tacit.sharing.operations import Linear

ONE_HOT = "one_hot"
"""The companion of an index: 1 at its place along one more axis, the last."""
ALL_PAIRS = 12
"""Up to so many elements, all pairs are compared at once; of more, the winners of groups, then theirs."""
GROUP = 4


def bit(x: Number) -> Number:
    """x, which the caller knows to be 0 or 1."""
    return bounded(Number(x.wire, 0, x.bits), 1)


def bounded(x: Number, bits: int) -> Number:
    """x, which the caller knows to be below 2^bits in units of its last place."""
    x.wire.bound = bits
    return Number(x.wire, x.scale, bits)


def picked(a: Arithmetic, x: Number, one_hot: Number, axis: int, keepdims: bool = False) -> Number:
    """sum e x along `axis`: the element where e is 1. A product with bits, as wide as x."""
    return only(a, a.multiply(x, one_hot, "pick", bits=x.bits), axis, keepdims)


def only(a: Arithmetic, x: Number, axis: int, keepdims: bool = False) -> Number:
    """The sum along `axis` of numbers of which one at most is not 0: it has the bits of one."""
    map = Sum((axis % len(x.shape),), keepdims)
    wire = a.engine.record(Linear(map), (x.wire,), map.shape(x.shape), "sum")
    return bounded(Number(wire, x.scale, x.bits), x.bits)


# Indices.


def index(a: Arithmetic, one_hot: Number) -> Number:
    """sum_c c e_c over the last axis: local. It remembers its one-hot."""
    *lead, classes = one_hot.shape
    rows = a.reshape(one_hot, (1, fp.size(lead), classes))
    found = a.reshape(weighed(a, rows, np.arange(classes)[None, :]), tuple(lead))
    found.wire.companions[ONE_HOT] = one_hot
    return found


def weighed(a: Arithmetic, one_hot: Number, values: NDArray[np.int64]) -> Number:
    """sum_c values[b, c] e[b, n, c], exact, for one-hots of shape (B, N, C): shape (B, N). Local."""
    batch, count, _ = one_hot.shape
    product = With(MatMul(), fp.from_signed(np.ascontiguousarray(values)[:, :, None]))
    wire = a.engine.record(Linear(product), (one_hot.wire,), (batch, count, 1), "index")
    bits = max(1, int(np.abs(values).max(initial=0)).bit_length())
    return a.reshape(bounded(Number(wire, 0, bits), bits), (batch, count))
