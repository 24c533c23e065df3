"""Standardisation: z = (x - mean) / sqrt(variance + eps) along some axes of n elements, and its gradient. One root a row.

    D = (n x - sum x) / 2^k = c (x - mean), exactly;    c = n / 2^k, at least 1/2 and at most 1;    S = sum D^2
    z = D r,    r = sqrt(c) / sqrt((S + n c^2 eps) / 2^k),    1 / sqrt(variance + eps) = c r
    dx = (g - mean(g) - z mean(g z)) c r
Nothing between may wrap: a deviation is up to 2^integer, so that S is up to n 2^(2 integer). The squares are kept at the highest
scale at which the field holds sums of 2^BLOCK of them; these are truncated before they are added up, so that n costs no digits: a
variance of 1e-6 beside a mean of 300 is worth some. z is a product with D itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tacit import field as fp
from tacit.field import CAPACITY
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.format import constant
from tacit.numbers.functions import normal

DIGITS = 24
"""The scale that 1 / sqrt(variance + eps) is multiplied at."""
PART = 8
"""Significant bits of the first part of a constant."""
BLOCK = 6
"""log2 of the squares that are added up before they are truncated."""


@dataclass(frozen=True)
class Standard:
    """z, and of each row the mean, 1 / sqrt(variance + eps), and S. Reduced axes stay, as 1."""

    z: Number
    mean: Number
    inverse: Number
    squares: Number
    share: float
    count: int

    def variance(self, a: Arithmetic, correction: float = 0) -> Number:
        return variance(a, self.squares, self.share**2 * max(self.count - correction, 1))


def standardise(a: Arithmetic, x: Number, axes: Sequence[int], eps: float) -> Standard:
    """|z| is at most sqrt(n)."""
    count = fp.size([x.shape[i] for i in axes])
    difference, squares, share = spread(a, x, axes, eps)
    grow = max(0, (count - 1).bit_length())
    addend = count * share * share * eps
    bits = max(squares.bits, squares.scale + math.frexp(addend)[1]) + 1
    shifted = a.combine([(1.0, squares)], addend, squares.scale, min(bits, CAPACITY), "variance")
    scale, least = shifted.scale + grow, math.ldexp(addend, -grow)
    enough = a.engine.protocol.ulps + 1
    known = math.ldexp(least, scale - max(0, shifted.bits - normal.WIDEST)) >= enough
    largest = math.ceil((0.01 - math.log2(least) if known else scale) / 2)  # the root is below 2^largest
    more = max(0, largest - a.format.integer)  # sqrt(variance + eps) is multiplied by 2^more, so that its inverse fits
    scaled = Number(shifted.wire, scale - 2 * more, shifted.bits)
    root = normal.rsqrt(a, scaled, math.ldexp(least, 2 * more) if known else None, math.sqrt(share))
    root = Number(root.wire, root.scale - more, root.bits)
    root = a.truncate(root, root.scale - min(DIGITS, CAPACITY - 1 - grow // 2 - difference.scale))
    root = Number(root.wire, root.scale, min(root.bits, root.scale + largest + 1))
    z = a.multiply(difference, root, "standardise", bits=difference.scale + root.scale + grow // 2 + 1)
    return Standard(z, a.mean(x, axes, True), _part(a, root, share), squares, share, count)


def _part(a: Arithmetic, x: Number, share: float) -> Number:
    """share x, for a share of at most 1: unlike `times`, also where x is above what the format holds."""
    places = min(constant(share)[1], CAPACITY - x.bits)
    return a.combine([(share, x)], 0.0, x.scale + places, x.bits + places, "standardise") if places else x


def spread(a: Arithmetic, x: Number, axes: Sequence[int], eps: float = 0.0) -> tuple[Number, Number, float]:
    """D, S and c. The axes of S stay, as 1. S has room for n c^2 `eps`."""
    count = fp.size([x.shape[i] for i in axes])
    grow = max(0, (count - 1).bit_length())
    x = a.within(x, "a variance")
    x = a.truncate(x, x.bits + grow + 1 - CAPACITY)
    total = a.expand(a.sum(x, axes, True, x.bits + grow), x.shape)
    whole = a.combine([(float(count), x), (-1.0, total)], 0.0, x.scale, x.bits + grow + 1, "mean")
    difference = Number(whole.wire, x.scale + grow, whole.bits)
    difference = a.truncate(difference, difference.scale - (CAPACITY - 1 - DIGITS - grow // 2))
    share = math.ldexp(count, -grow)
    most, addend = 2 * (x.bits - x.scale) + grow, count * share * share * eps
    return difference, sum_of_squares(a, difference, axes, most, addend), share


def sum_of_squares(a: Arithmetic, x: Number, axes: Sequence[int], most: int, addend: float = 0.0) -> Number:
    """The sum, known to be below 2^most, at the highest scale that fits. The axes stay, as 1.

    With `addend`, a sum with that fits as well.
    """
    x = a.within(x, "a sum of squares")
    count = fp.size([x.shape[i] for i in axes])
    grow = max(0, (count - 1).bit_length())
    each = 2 * (x.bits - x.scale)  # a square's bits before the point
    most = min(most, each + grow)
    most = max(most, math.frexp(addend)[1]) + 1 if addend else most
    inner = min(grow, BLOCK)
    partial = min(most, each + inner + (addend > 0))
    x = a.truncate(x, x.scale - (CAPACITY - partial) // 2)
    bits = min(2 * x.bits + grow, 2 * x.scale + partial)
    squares = a.multiply(x, x, "squares", bits=bits)
    if partial == most:
        return a.sum(squares, axes, True, bits)
    kept = [i for i in range(len(x.shape)) if i not in axes]
    rows = fp.size([x.shape[i] for i in kept])
    blocks = -(-count >> inner)
    flat = a.reshape(a.permute(squares, [*kept, *axes]), (rows, count))
    padded = a.place(flat, 1, 0, count, 1, blocks << inner) if count < blocks << inner else flat
    partials = a.sum(a.reshape(padded, (rows, blocks, 1 << inner)), (2,), False, bits)
    partials = a.truncate(partials, partials.scale + most - CAPACITY)
    total = a.sum(partials, (1,), False, min(partials.bits + (blocks - 1).bit_length(), partials.scale + most))
    return a.reshape(total, tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def variance(a: Arithmetic, squares: Number, divisor: float) -> Number:
    """S / divisor. S fills the field: a constant of 16 bits would leave too few of it, so that it is taken in two parts."""
    mantissa, exponent = math.frexp(1 / divisor)
    first = math.ldexp(round(math.ldexp(mantissa, PART)), exponent - PART)
    large = a.multiple(squares, first, "variance")  # perhaps more than the contract has
    if first == 1 / divisor:
        return large
    rest = a.times(squares, 1 / divisor - first, "variance")
    rest = a.truncate(rest, rest.scale - large.scale)
    return a.combine([(1.0, large), (1.0, rest)], 0.0, max(large.scale, rest.scale), large.bits, "variance")


def gradient(a: Arithmetic, g: Number, z: Number, axes: Sequence[int]) -> Number:
    """g - mean(g) - z mean(g z): what is left of a gradient with respect to z, but for the factor 1 / sqrt(variance + eps)."""
    along = a.mean(a.multiply(g, z, "gradient"), axes, True)
    return a.add(a.add(g, a.mean(g, axes, True), -1), a.multiply(z, along, "gradient"), -1)
