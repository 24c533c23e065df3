"""Standardisation: z = (x - mean) / sqrt(variance + eps) along some axes of n elements, and its gradient. One root a row.

    D = (n x - sum x) / 2^k = c (x - mean), exactly;    c = n / 2^k, at least 1/2 and at most 1;    S = sum D^2
    z = D r,    r = sqrt(c) / sqrt((S + n c^2 eps) / 2^k),    1 / sqrt(variance + eps) = c r
    dx = (g - mean(g) - z mean(g z)) c r
The squares are kept at the highest scale that the field allows: a variance of 1e-6 beside a mean of 300 is worth its digits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tacit import field as fp
from tacit.field import CAPACITY
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.fixed.functions import normal

DIGITS = 24
"""The scale that 1 / sqrt(variance + eps) is multiplied at."""
HEADROOM = 4
"""Bits by which a variance may leave the contract on its way to a root."""


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
        return a.times(self.squares, 1 / (self.share**2 * max(self.count - correction, 1)), "variance")


def standardise(a: Arithmetic, x: Number, axes: Sequence[int], eps: float) -> Standard:
    """|z| is at most sqrt(n)."""
    count = fp.size([x.shape[i] for i in axes])
    difference, squares, share = spread(a, x, axes)
    grow = max(0, (count - 1).bit_length())
    addend = count * share * share * eps
    shifted = a.combine([(1.0, squares)], addend, squares.scale, min(squares.bits + 1, CAPACITY), "variance")
    scaled = Number(shifted.wire, shifted.scale + grow, shifted.bits)
    least = math.ldexp(addend, -grow)
    known = least if math.ldexp(least, scaled.scale) >= 2 else None
    root = normal.rsqrt(a, scaled, known, math.sqrt(share))
    root = a.truncate(root, root.scale - DIGITS)
    largest = math.ceil(-math.log2(share * share * eps) / 2) if known is not None else a.format.integer
    root = Number(root.wire, root.scale, min(root.bits, root.scale + largest + 1))
    z = a.multiply(difference, root, "standardise", bits=difference.scale + root.scale + grow // 2 + 1)
    return Standard(z, a.mean(x, axes, True), a.times(root, share), squares, share, count)


def spread(a: Arithmetic, x: Number, axes: Sequence[int]) -> tuple[Number, Number, float]:
    """D, S and c. The axes of S stay, as 1. S / n is below 2^(integer + HEADROOM)."""
    count = fp.size([x.shape[i] for i in axes])
    grow = max(0, (count - 1).bit_length())
    x = a.truncate(x, x.bits + grow + 1 - CAPACITY)
    total = a.expand(a.sum(x, axes, True, x.bits + grow), x.shape)
    whole = a.combine([(float(count), x), (-1.0, total)], 0.0, x.scale, x.bits + grow + 1, "mean")
    difference = Number(whole.wire, x.scale + grow, whole.bits)
    difference, squares = sum_of_squares(a, difference, axes, a.format.integer + HEADROOM + grow)
    return difference, squares, math.ldexp(count, -grow)


def sum_of_squares(a: Arithmetic, x: Number, axes: Sequence[int], most: int) -> tuple[Number, Number]:
    """x as it was squared, and the sum, known to be below 2^most, at the highest scale that fits. The axes stay, as 1."""
    grow = max(0, (fp.size([x.shape[i] for i in axes]) - 1).bit_length())
    most = min(most, 2 * (x.bits - x.scale) + grow)
    x = a.truncate(x, x.scale - (CAPACITY - most) // 2)
    bits = min(2 * x.bits + grow, 2 * x.scale + most)
    return x, a.sum(a.multiply(x, x, "squares", bits=bits), axes, True, bits)


def gradient(a: Arithmetic, g: Number, z: Number, axes: Sequence[int]) -> Number:
    """g - mean(g) - z mean(g z): what is left of a gradient with respect to z, but for the factor 1 / sqrt(variance + eps)."""
    along = a.mean(a.multiply(g, z, "gradient"), axes, True)
    return a.add(a.add(g, a.mean(g, axes, True), -1), a.multiply(z, along, "gradient"), -1)
