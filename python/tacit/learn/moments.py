"""Means over rows and what they are made of: products whose size the caller knows, so that nothing is truncated on the way.

Sums over n rows are divided by 2^q, q = log2 n rounded up, which is free and exact; `share(n)` = 2^q / n makes means of them.
"""

import math
from dataclasses import dataclass

from tacit.field import CAPACITY
from tacit.graph.forms import MatMul
from tacit.graph.maps import Reshape, Sum
from tacit.graph.operations import Bilinear, Linear
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.format import constant
from tacit.numbers.selection import bounded

REST = 30
"""Fraction bits of what a mean is off by."""


def log2(count: int) -> int:
    """Rounded up."""
    return max(0, (count - 1).bit_length())


def share(n: int) -> float:
    return float(2.0 ** log2(n) / n)


def at_scale(a: Arithmetic, x: Number, scale: int) -> Number:
    """x with at most `scale` fraction bits."""
    return a.truncate(x, x.scale - scale)


def shifted(x: Number, k: int) -> Number:
    """x 2^k."""
    return Number(x.wire, x.scale - k, x.bits)


def product(a: Arithmetic, x: Number, y: Number, magnitude: int, name: str, transpose_x: bool = False) -> Number:
    """x @ y, of which the caller knows that it is below 2^magnitude, whatever its terms. Leading axes are a batch."""
    form, scale = MatMul(transpose_x), x.scale + y.scale
    bits = min(CAPACITY, scale + magnitude)
    wire = a.engine.record(Bilinear(form), (x.wire, y.wire), form.shape(x.shape, y.shape), name)
    return bounded(Number(wire, scale, bits), bits)


def average(a: Arithmetic, x: Number) -> Number:
    """The mean of x (n,): what 1 / n loses by being a public constant, 1 part in 2^17, is added."""
    mean = a.mean(x, (0,))
    m, s = constant(1 / x.shape[0])
    lost = math.ldexp(1 / x.shape[0] / m, s) - 1
    return a.add(mean, at_scale(a, a.times(mean, lost), mean.scale)) if lost else mean


@dataclass(frozen=True)
class Centred:
    """x = values + mean + rest, for x (n, d): values and mean at the scale of x, so that values are no wider than x.

    `rest` is what mean is off by, about 2^-16. It is free.
    """

    values: Number
    mean: Number
    rest: Number


def centred(a: Arithmetic, x: Number) -> Centred:
    mean = at_scale(a, a.mean(x, (0,), keepdims=True), x.scale)
    off = a.mean(less(a, x, mean), (0,), keepdims=True)  # 1 part in 2^17 of mean, for 1 / n is a public constant
    mean = a.add(mean, at_scale(a, off, x.scale))
    values = less(a, x, mean)
    rest = at_scale(a, a.mean(values, (0,), keepdims=True), REST)
    return Centred(values, mean, bounded(rest, REST - a.format.fraction + a.format.integer))


def less(a: Arithmetic, x: Number, mean: Number) -> Number:
    return a.add(x, mean, -1, "centre")


def cross(a: Arithmetic, x: Number, y: Number, name: str) -> Number:
    """x^T y / 2^q of x (n, d) and y (n, m): each is opened once.

    Contract: sums over the n rows, or over 2^14 of them (in the default format) where there are more, are below 2^26.
    """
    q, scale = log2(x.shape[0]), x.scale + y.scale
    block = min(q, max(0, CAPACITY - scale - a.format.integer))
    bits = min(x.bits + y.bits + block, CAPACITY)
    parts = product(a, _blocks(a, x, block), _blocks(a, y, block), bits - scale, name, transpose_x=True)
    return _total(a, parts, q - block, block, name)


def squares(a: Arithmetic, x: Number, name: str) -> Number:
    """The sums of the squares of the columns, / 2^q, whatever |x| is within the contract: (d,). Opens x once."""
    q = log2(x.shape[0])
    block = min(q, CAPACITY - 2 * x.bits)
    each = _blocks(a, a.multiply(x, x, name, bits=2 * x.bits), block)
    return _total(a, _sum(a, each, 1, each.bits + block, name), q - block, block, name)


def _total(a: Arithmetic, parts: Number, drop: int, block: int, name: str) -> Number:
    """The sum of 2^drop parts, each of them a sum of 2^block values, / 2^(drop + block)."""
    parts = at_scale(a, parts, parts.scale - drop)
    return shifted(_sum(a, parts, 0, parts.bits + drop, name), -drop - block)


def _sum(a: Arithmetic, x: Number, axis: int, bits: int, name: str) -> Number:
    map = Sum((axis,))
    return bounded(Number(a.engine.record(Linear(map), (x.wire,), map.shape(x.shape), name), x.scale, bits), bits)


def _blocks(a: Arithmetic, x: Number, block: int) -> Number:
    """(blocks, rows, d), the rows being 2^block; zeros are appended."""
    n, d = x.shape
    if n <= 1 << block:
        return a.view(x, Reshape((1, n, d)))
    count = 1 << (log2(n) - block)
    return a.reshape(a.place(x, 0, 0, n, 1, count << block), (count, 1 << block, d))
