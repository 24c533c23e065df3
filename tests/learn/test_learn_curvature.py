"""Inverses of Gram matrices, and the means they are made of."""

import numpy as np
import pytest
from learning import PROTOCOLS, together

import tacit
from tacit.learn import curvature, moments
from tacit.numbers.array import SecretArray


def gram(d, condition, seed=0):
    """Correlations with this condition number."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    h = turn * np.geomspace(1, 1 / condition, d) @ turn.T
    scale = np.sqrt(np.diag(h))
    return h / scale / scale[:, None]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("d", "condition"), [(1, 1), (2, 10), (7, 1e2), (20, 1e4)])
def test_solve(d, condition, protocol):
    r = gram(d, condition) * 0.99
    b = r @ np.random.default_rng(1).normal(size=(d, 2)) / 4 / d

    def work(s):
        a = s.arithmetic
        # Two parts each, so that they have more bits than one input.
        whole = [a.add(s.secret(np.rint(v * 2**16) / 2**16, owner=0).number, _rest(s, v)) for v in (r, b)]
        return [s.reveal(SecretArray(a, curvature.solve(a, *whole, a.public(np.ones(d)))))]

    (u,) = together(work, protocol)
    assert np.abs(u - np.linalg.solve(r, b)).max() < 1e-8 * condition + 2e-6


def _rest(s, v):
    """What v has below 2^-16."""
    rest = s.secret((v - np.rint(v * 2**16) / 2**16) * 2**16, owner=0).number
    return moments.shifted(rest, -16)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("ratio", [(1.0, 1.0, 1.0), (1.0, 0.25, 1.0), (0.125, 0.5, 1.0), (0.0, 1.0, 1.0)])
def test_of_all_solutions_the_one_that_is_shortest_in_the_ratio(ratio, protocol):
    r = np.full((3, 3), 0.5)  # of rank 1
    q = np.array(ratio)

    def work(s):
        a = s.arithmetic
        u = curvature.solve(
            a, s.secret(r, owner=0).number, s.secret(np.full((3, 1), 0.5), owner=0).number, s.secret(q, owner=0).number
        )
        return [s.reveal(SecretArray(a, u))]

    (u,) = together(work, protocol)
    right = 1 / q**2 / (1 / q**2).sum() if q.all() else np.array([1.0, 0, 0])  # u_1 + u_2 + u_3 = 1
    np.testing.assert_allclose(u[:, 0], right, atol=5e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("v", [(1.0, 1.0), (0.02, 3.0, 900.0), (0.0, 5.0, 0.3), (0.0, 0.0), (1e-5, 4.0)])
def test_ratio(v, protocol):
    """s over the largest s: that of the least v which is not 0."""

    def work(s):
        a = s.arithmetic
        found = curvature.powers(a, curvature.room(a, s.secret(np.array(v), owner=0).number))
        return s.reveal([SecretArray(a, n) for n in (curvature.ratio(a, found.s, found.bits), found.s)])

    ratio, s = together(work, protocol)
    np.testing.assert_array_equal(ratio, s / (s.max() or 1))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_balanced(protocol):
    scales = np.array([0.002, 0.02, 0.5, 3.0, 60.0, 0.0])
    h = gram(6, 10) * scales * scales[:, None]

    def work(s):
        a = s.arithmetic
        parts = (
            s.secret(np.rint(h * 2**14) / 2**14, owner=0).number,
            moments.shifted(s.secret((h - np.rint(h * 2**14) / 2**14) * 2**20, owner=0).number, -20),
        )
        found = curvature.balanced(a, a.add(*parts))
        return s.reveal([SecretArray(a, v) for v in (found.matrix, found.s, found.inverse)])

    matrix, s, inverse = together(work, protocol, format=tacit.Format(16, 12))
    np.testing.assert_array_equal(s[:5] * inverse[:5], 1)
    assert s[5] == inverse[5] == 0
    assert set(np.log2(s[:5]) % 1) == {0}
    assert ((np.diag(matrix)[:5] > 0.2) & (np.diag(matrix)[:5] < 1.001)).all()
    np.testing.assert_allclose(matrix, h * s * s[:, None], atol=1e-3)


@pytest.mark.parametrize("rows", [1, 3, 40, 20000])
def test_sums_over_rows(rows):
    rng = np.random.default_rng(rows)
    x, y = rng.normal(size=(rows, 2)), rng.normal(size=(rows, 3))
    large = rng.uniform(-4000, 4000, (rows, 2))

    def work(s):
        a = s.arithmetic
        x_, y_, large_ = (s.secret(v, owner=0).number for v in (x, y, large))
        sums = moments.cross(a, x_, y_, "cross"), moments.squares(a, large_, "squares")
        return s.reveal([SecretArray(a, v) for v in sums])

    cross, squares = together(work)
    by = 2.0 ** moments.log2(rows)
    np.testing.assert_allclose(cross, x.T @ y / by, atol=2e-5)
    np.testing.assert_allclose(squares, (large**2).sum(0) / by, rtol=1e-6)
