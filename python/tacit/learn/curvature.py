"""Inverses of Gram matrices, without pivots and without division by a secret.

    H = X^T X / 2^q + penalty;   R = S H S with S = diag(2^-k), s_j^2 H_jj in [1/4, 1);   E = I - R / 2^l,  2^l >= d
    R^-1 = 2^-l (I + E + E^2 + ...) ~ 2^(K - l) P,   P = prod_{k < K} (I + E^(2^k)) / 2
S is looked up from comparisons of the diagonal, so that it is exact. All eigenvalues of E are in [0, 1], for trace R <= d: every
power of E and all of P have entries of at most 1, and fill the field. K squarings do what 2^K steps of gradient descent do: a
direction of curvature c in R is inverted but for exp(-c 2^(K - l)), and one of none is left alone, as in a pseudo-inverse.
K - l = 16: half of the way at c = 1e-5. The rest is for refinement: u += P (r - R u).
"""

from dataclasses import dataclass

import numpy as np

from tacit.field import CAPACITY
from tacit.learn.moments import at_scale, log2, product, shifted
from tacit.learn.nullspace import UNIT, shortest
from tacit.numbers import comparison, selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.selection import bounded

DEPTH = 16
"""log2 of the largest element of R^-1."""
SMALLEST = -10
"""log2 of the standard deviation below which a column counts as constant."""
SOLUTION = 22
"""Fraction bits of what `solve` finds."""


@dataclass(frozen=True)
class Powers:
    """s = 2^-k with s^2 v in [1/4, 1), and 1 / s; both `dead` where v < 4^SMALLEST."""

    s: Number
    inverse: Number
    bits: Number
    """[v >= 4^k] for k from SMALLEST on, along the first axis"""

    def alive(self, a: Arithmetic) -> Number:
        """[v >= 4^SMALLEST]"""
        return a.reshape(a.slice(self.bits, 0, 0, 1), self.s.shape)


def powers(a: Arithmetic, v: Number, dead: float = 0.0) -> Powers:
    """For v >= 0: one exact comparison, the rest is local."""
    top = max(SMALLEST + 1, -(-(v.bits - v.scale) // 2))
    levels = range(SMALLEST, top)
    bits = comparison.at_least(a, v, [4.0**k for k in levels], exact=True)
    s = a.lookup(bits, [dead, *(2.0 ** -(k + 1) for k in levels)], max(top, 1))
    inverse = a.lookup(bits, [1 / dead if dead else 0.0, *(2.0 ** (k + 1) for k in levels)], -SMALLEST - 1)
    return Powers(s, inverse, bits)


def ratio(a: Arithmetic, s: Number, bits: Number) -> Number:
    """s over the largest s, for s (d,) and bits (levels, d) of `powers`: exact. One comparison for each level."""
    alive = a.slice(bits, 0, 0, 1)
    below = a.add(a.expand(alive, bits.shape), bits, -1)  # [4^SMALLEST <= v < 4^k], of which the least v decides
    reached = selection.compare(a, selection.count(a, below, 1), "<", 1)
    levels = range(SMALLEST, SMALLEST + bits.shape[0])
    least = a.lookup(reached, [0.0, *(2.0 ** (k + 1) for k in levels)], -SMALLEST - 1)
    return a.multiply(s, least, "balance", bits=s.scale + least.scale + 1)


def room(a: Arithmetic, v: Number) -> Number:
    """v >= 0 with as many fraction bits as leave room for `scaled`."""
    return at_scale(a, v, CAPACITY - 2 * max(1, -(-(v.bits - v.scale) // 2)))


def scaled(a: Arithmetic, h: Number, left: Number, right: Number) -> Number:
    """left h right < 1, for what `powers` gave of h (or of its diagonal), with broadcasting; h from `room`."""
    rows = a.multiply(h, left, "balance", bits=CAPACITY)  # |h_ij|^2 <= h_ii h_jj
    rows = at_scale(a, rows, 2 * UNIT - right.scale)
    return a.multiply(rows, right, "balance", bits=rows.scale + right.scale + 1)


@dataclass(frozen=True)
class Balanced:
    """R = S H S, and S and its inverse as vectors."""

    matrix: Number
    s: Number
    inverse: Number
    bits: Number
    """As of `Powers`, of the diagonal."""


def balanced(a: Arithmetic, h: Number) -> Balanced:
    """For h of shape (..., d, d), positive semidefinite: one exact comparison of the diagonal, and two products."""
    h = room(a, h)
    found = powers(a, diagonal(a, h))
    s = found.s
    left, right = a.reshape(s, (*s.shape, 1)), a.reshape(s, (*s.shape[:-1], 1, s.shape[-1]))
    return Balanced(scaled(a, h, left, right), s, found.inverse, found.bits)


def diagonal(a: Arithmetic, h: Number) -> Number:
    """(..., d) of (..., d, d)."""
    d = h.shape[-1]
    flat = a.reshape(h, (*h.shape[:-2], d * d))
    return a.slice(flat, len(flat.shape) - 1, 0, d * d, d + 1)


@dataclass(frozen=True)
class Inverse:
    """P, symmetric and below 1, with R^-1 ~ 2^DEPTH P, and the last power of E that it was made of."""

    values: Number
    power: Number


def inverse(a: Arithmetic, r: Number) -> Inverse:
    """About 2 (DEPTH + log2 d) rounds. r has the shape (..., d, d)."""
    d = r.shape[-1]
    eye = np.eye(d)
    small = at_scale(a, shifted(r, -log2(d)), UNIT)
    power = bounded(a.add_public(a.negate(small), eye), UNIT + 1)
    found: Number | None = None
    for k in range(DEPTH + log2(d)):
        if k:
            power = at_scale(a, product(a, power, power, 1, "squaring"), UNIT)
        next = bounded(a.add_public(power, eye), UNIT + 2)
        total = next if found is None else product(a, found, next, 2, "inverse")
        found = at_scale(a, shifted(total, -1), UNIT)
        found = bounded(found, UNIT + 1)
    assert found is not None
    return Inverse(found, power)


def solve(a: Arithmetic, r: Number, b: Number, ratio: Number, steps: int = 3) -> Number:
    """u with R u = b, and of all such u the one whose `ratio` u is shortest; ratio (d,) in [0, 1].

    For R = X^T X and b = X^T y of columns that are no longer than 1: one inverse, `steps` products with it. Then |R u| <= 1, and
    |P b| < 2^-7 since sqrt(c) P(c) is below that for every curvature c.
    """
    found, exact = inverse(a, r), at_scale(a, r, 34)
    u: Number | None = None
    for step in range(steps):
        if u is not None and step == steps - 1:  # what this does to R u, the last step mends
            u = shortest(a, u, found.power, ratio)
        rest = b if u is None else a.add(b, product(a, exact, u, 1, "residual"), -1)
        more = product(a, found.values, bounded(at_scale(a, rest, 34), 35), -5, "correction")
        more = at_scale(a, shifted(more, DEPTH), SOLUTION)
        u = more if u is None else a.add(u, more)
    assert u is not None
    return u
