"""Means over rows and what they are made of: products whose size the caller knows, so that nothing is truncated on the way.

Sums over n rows are divided by 2^q, q = log2 n rounded up, which is free and exact; `share(n)` = 2^q / n makes means of them.
"""

from tacit.field import CAPACITY
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.fixed.selection import bounded
from tacit.sharing.forms import MatMul
from tacit.sharing.maps import Reshape, Sum
from tacit.sharing.operations import Bilinear, Linear


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


def mean(a: Arithmetic, x: Number) -> Number:
    """The mean of the rows, (1, d), at the scale of x, so that x less its mean is no wider than x."""
    return at_scale(a, a.mean(x, (0,), keepdims=True), x.scale)


def centred(a: Arithmetic, x: Number, centre: Number) -> Number:
    return a.add(x, centre, -1, "centre")


def cross(a: Arithmetic, x: Number, y: Number, name: str) -> Number:
    """x^T y / 2^q of x (n, d) and y (n, m): each is opened once.

    Contract: sums over the n rows, or over 2^14 of them (in the default format) where there are more, are below 2^26.
    """
    block = min(log2(x.shape[0]), max(0, CAPACITY - x.scale - y.scale - a.format.integer))
    return _total(a, _blocks(a, x, block), _blocks(a, y, block), log2(x.shape[0]), block, name)


def squares(a: Arithmetic, x: Number, name: str) -> Number:
    """The sums of the squares of the columns, / 2^q, whatever |x| is within the contract: (d,). Opens x once."""
    n, d = x.shape
    block = min(log2(n), CAPACITY - 2 * x.bits)
    columns = a.permute(_blocks(a, x, block), (0, 2, 1))
    columns = a.reshape(columns, (*columns.shape, 1))
    return a.reshape(_total(a, columns, columns, log2(n), block, name), (d,))


def _total(a: Arithmetic, x: Number, y: Number, q: int, block: int, name: str) -> Number:
    """The sum over all 2^(q - block) blocks of x^T y, / 2^q."""
    bits, scale, drop = min(x.bits + y.bits + block, CAPACITY), x.scale + y.scale, q - block
    parts = at_scale(a, product(a, x, y, bits - scale, name, transpose_x=True), scale - drop)
    wire = a.engine.record(Linear(Sum((0,))), (parts.wire,), parts.shape[1:], name)
    return bounded(Number(wire, scale + block, bits), bits)


def _blocks(a: Arithmetic, x: Number, block: int) -> Number:
    """(blocks, rows, d), the rows being 2^block; zeros are appended."""
    n, d = x.shape
    if n <= 1 << block:
        return a.view(x, Reshape((1, n, d)))
    count = 1 << (log2(n) - block)
    return a.reshape(a.place(x, 0, 0, n, 1, count << block), (count, 1 << block, d))
