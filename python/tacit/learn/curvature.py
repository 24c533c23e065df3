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
from tacit.numbers import comparison
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.selection import bounded

DEPTH = 16
"""log2 of the largest element of R^-1."""
SMALLEST = -10
"""log2 of the standard deviation below which a column counts as constant."""
UNIT = 28
"""Fraction bits of matrices whose entries are at most 1: a product of two has twice as many, and fits."""


@dataclass(frozen=True)
class Powers:
    """s = 2^-k with s^2 v in [1/4, 1), and 1 / s; both `dead` where v < 4^SMALLEST."""

    s: Number
    inverse: Number
    alive: Number
    """[v >= 4^SMALLEST]"""


def powers(a: Arithmetic, v: Number, dead: float = 0.0) -> Powers:
    """For v >= 0: one exact comparison, the rest is local."""
    top = max(SMALLEST + 1, -(-(v.bits - v.scale) // 2))
    levels = range(SMALLEST, top)
    bits = comparison.at_least(a, v, [4.0**k for k in levels], exact=True)
    s = a.lookup(bits, [dead, *(2.0 ** -(k + 1) for k in levels)], max(top, 1))
    inverse = a.lookup(bits, [1 / dead if dead else 0.0, *(2.0 ** (k + 1) for k in levels)], -SMALLEST - 1)
    return Powers(s, inverse, a.reshape(a.slice(bits, 0, 0, 1), v.shape))


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


def balanced(a: Arithmetic, h: Number) -> Balanced:
    """For h of shape (..., d, d), positive semidefinite: one exact comparison of the diagonal, and two products."""
    h = room(a, h)
    found = powers(a, diagonal(a, h))
    s = found.s
    left, right = a.reshape(s, (*s.shape, 1)), a.reshape(s, (*s.shape[:-1], 1, s.shape[-1]))
    return Balanced(scaled(a, h, left, right), s, found.inverse)


def diagonal(a: Arithmetic, h: Number) -> Number:
    """(..., d) of (..., d, d)."""
    d = h.shape[-1]
    flat = a.reshape(h, (*h.shape[:-2], d * d))
    return a.slice(flat, len(flat.shape) - 1, 0, d * d, d + 1)


def inverse(a: Arithmetic, r: Number) -> Number:
    """P, symmetric and below 1, with R^-1 ~ 2^DEPTH P: about 2 (DEPTH + log2 d) rounds. r has the shape (..., d, d)."""
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
    return found


def solve(a: Arithmetic, r: Number, b: Number, steps: int = 3) -> Number:
    """u with R u = b, for R = X^T X and b = X^T y of columns that are no longer than 1: one inverse, `steps` products with it.

    Then |R u| <= 1, and |P b| < 2^-7 since sqrt(c) P(c) is below that for every curvature c.
    """
    p, exact = inverse(a, r), at_scale(a, r, 34)
    u: Number | None = None
    for _ in range(steps):
        rest = b if u is None else a.add(b, product(a, exact, u, 1, "residual"), -1)
        more = product(a, p, bounded(at_scale(a, rest, 34), 35), -5, "correction")
        more = at_scale(a, shifted(more, DEPTH), 22)
        u = more if u is None else a.add(u, more)
    assert u is not None
    return u
