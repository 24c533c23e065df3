"""Chebyshev series of secret numbers in [-1, 1], in as many rounds as the degree has bits.

    sum_{k < 2n} c_k T_k = T_n (c_n + 2 sum_{0 < k < n} c_{n+k} T_k) + sum_{k < n} (c_k - c_{2n-k}) T_k,     T_2n = 2 T_n^2 - 1
The coefficients stay small where those of powers would not. Factors of the series are truncated, and so opened, to FINE bits;
its sums are kept at 2 FINE + 20 bits.
"""

import functools
import math
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext

from tacit.numbers.arithmetic import Arithmetic, Number

FINE = 18
WIDE = 2 * FINE + 20
ENOUGH = Decimal(2) ** -13
"""A series is as long as this error asks for, 16 terms at most."""
NODES = 64

Coefficients = tuple[float, ...]
Function = Callable[[Decimal], Decimal]


@functools.cache
def fitted(f: Function, beta: float, relative: bool) -> Coefficients:
    """The least 2, 4, 8 or 16 coefficients of g(e) = f((e - 1) / beta + 1) on [-1, 1] that are right to `ENOUGH`.

    By least squares, in decimals: every party has the same ones, whatever its processor's rounding.
    """
    with localcontext(prec=40):
        steps = [Decimal(2 * k + 1 - NODES) / NODES for k in range(NODES)]
        nodes = [t * (3 - t * t) / 2 for t in steps]  # closer to each other at the ends, as a polynomial's errors are
        values = [f((x - 1) / Decimal(beta) + 1) for x in nodes]
        weights = [1 / v if relative else Decimal(1) for v in values]
        for terms in (2, 4, 8, 16):
            rows = [[w * t for t in _polynomials(x, terms)] for x, w in zip(nodes, weights, strict=True)]
            found = _least_squares(rows, [v * w for v, w in zip(values, weights, strict=True)])
            if all(
                abs(sum(c * r for c, r in zip(found, row, strict=True)) - v * w) < ENOUGH
                for row, v, w in zip(rows, values, weights, strict=True)
            ):
                break
        return tuple(float(c) for c in found)


def _polynomials(x: Decimal, terms: int) -> list[Decimal]:
    """T_0(x), T_1(x), ..."""
    found = [Decimal(1), x]
    while len(found) < terms:
        found.append(2 * x * found[-1] - found[-2])
    return found


def _least_squares(rows: Sequence[Sequence[Decimal]], right: Sequence[Decimal]) -> list[Decimal]:
    """By the normal equations and elimination: the basis is nearly orthogonal."""
    n = len(rows[0])
    columns = [[row[i] for row in rows] for i in range(n)] + [list(right)]
    matrix = [
        [sum((p * q for p, q in zip(columns[i], column, strict=True)), Decimal(0)) for column in columns]
        for i in range(n)
    ]
    for i in range(n):
        pivot = matrix[i]
        for row in matrix:
            if row is not pivot and row[i]:
                k = row[i] / pivot[i]
                row[:] = [r - k * p for r, p in zip(row, pivot, strict=True)]
    return [matrix[i][n] / matrix[i][i] for i in range(n)]


def series(a: Arithmetic, e: Number, coefficients: Coefficients, integer: int = 0) -> Number:
    """sum_k coefficients[k] T_k(e), for |e| <= 1 of scale `FINE`: log2(terms) - 1 rounds, not opened. 2, 4, 8 or 16 terms.

    The result has WIDE + 1 bits, `integer` of them at least before the point, and as many as the coefficients' magnitudes need.
    """
    grow = max(integer, math.ceil(math.log2(sum(abs(c) for c in coefficients))))
    powers = [e]
    while len(coefficients) > 1 << len(powers):
        last = powers[-1]
        square = a.multiply(last, last, "series", bits=2 * FINE + 1)
        doubled = a.combine([(2.0, square)], -1.0, 2 * FINE, 2 * FINE + 1, "series")
        powers.append(a.truncate(doubled, FINE))
    total = _sum(a, powers, [math.ldexp(c, -grow) for c in coefficients])
    return Number(total.wire, WIDE - grow, WIDE + 1)


def _sum(a: Arithmetic, powers: Sequence[Number], c: Sequence[float]) -> Number:
    """At scale WIDE, for c whose magnitudes sum to 2 at most."""
    n = len(c) // 2
    if n == 1:
        return a.combine([(c[1], powers[0])], c[0], WIDE, WIDE + 2, "series")
    upper = [c[n], *(2 * k for k in c[n + 1 :])]
    lower = [c[0], *(c[k] - c[2 * n - k] for k in range(1, n))]
    if n == 2:
        factor = a.combine([(upper[1], powers[0])], upper[0], WIDE - FINE, WIDE - FINE + 2, "series")
    else:
        factor = a.truncate(_sum(a, powers, upper), FINE)
    product = a.multiply(factor, powers[n.bit_length() - 1], "series", bits=WIDE + 2)
    return a.combine([(1.0, product), (1.0, _sum(a, powers, lower))], 0.0, WIDE, WIDE + 2, "series")
