"""The shortest of all solutions, where columns depend on each other or are more than the rows.

    minimize |Q (u + z)| over R z = 0:    z = -N (Z^T Z)^+ Z^T Q u,   Z = Q N,   Q = diag(ratio)
    N = lim E^(2^k), the projector on R z = 0; made sharper by N <- 3 N^2 - 2 N^3 [McWeeny 1960], which leaves 0 and 1 alone
    (Z^T Z)^+ b ~ (I + F^(2^(K - 1))) ... (I + F^2) (I + F) b,   F = I - Z^T Z
What of R z is not zero, for N is off by a few units, is for the caller to mend by one more step of refinement. A direction counts
as one of R z = 0 if its curvature c is below 2^-16 log 2 = 1.06e-5: where E^(2^k) leaves less than half of it.

The rank of R is secret, so that all of this is done for every R: about 55 rounds, and 5 + K products of (columns)^2.

McWeeny, "Some recent advances in density matrix theory": https://doi.org/10.1103/RevModPhys.32.335
"""

import numpy as np

from tacit.field import CAPACITY
from tacit.learn.moments import at_scale, product
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.selection import bounded

UNIT = 28
"""Fraction bits of matrices whose entries are at most 1: a product of two has twice as many, and fits."""
NULL = 24
"""The same of those that meet vectors of the format's size."""
VECTOR = 20
"""Fraction bits of these vectors."""
SHARPER = 2
"""Steps of McWeeny's."""
STEPS = 16
"""K: a direction z is solved for where |Q z|^2 is above 2^-K |z|^2, and left as it is well below."""


def shortest(a: Arithmetic, u: Number, power: Number, ratio: Number) -> Number:
    """u + z for u of shape (d, targets) and the last power of E before it is a projector."""
    d = u.shape[0]
    q = at_scale(a, a.reshape(ratio, (d, 1)), VECTOR)
    n = projector(a, power)
    z = at_scale(a, a.multiply(q, n, "null space", bits=q.scale + n.scale + 1), NULL)
    qu = a.multiply(u, q, "null space", bits=min(CAPACITY, u.scale + q.scale + a.format.integer))
    y = _met(a, z, at_scale(a, qu, VECTOR), transpose=True)
    f = a.add_public(a.negate(at_scale(a, product(a, z, z, 1, "null space", transpose_x=True), NULL)), np.eye(d))
    for k in range(STEPS):
        if k:
            f = at_scale(a, product(a, f, f, 1, "null space"), NULL)
        f = bounded(f, NULL + 1)
        y = a.add(y, _met(a, f, y))
    return a.add(u, _met(a, at_scale(a, n, NULL), y), -1)


def projector(a: Arithmetic, power: Number) -> Number:
    """N of shape (d, d), for the power of E that is to be squared once more."""
    eye = np.eye(power.shape[-1])
    n = _unit(a, product(a, power, power, 1, "null space"))
    for _ in range(SHARPER):
        turned = a.add_public(a.times(n, -2.0), 3 * eye)
        n = _unit(a, product(a, _unit(a, product(a, n, n, 1, "null space")), turned, 1, "null space"))
    return n


def _unit(a: Arithmetic, x: Number) -> Number:
    return bounded(at_scale(a, x, UNIT), UNIT + 1)


def _met(a: Arithmetic, matrix: Number, vectors: Number, transpose: bool = False) -> Number:
    """matrix @ vectors, at VECTOR."""
    return at_scale(a, product(a, matrix, vectors, a.format.integer, "null space", transpose_x=transpose), VECTOR)
