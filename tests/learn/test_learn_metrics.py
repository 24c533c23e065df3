"""Accuracy and R^2 beside scikit-learn's."""

import numpy as np
import pytest
import sklearn.metrics as sk
from learning import PROTOCOLS, one_hot, together

import tacit
from tacit.learn import accuracy_score, r2_score

RNG = np.random.default_rng(0)
TRUE, SAID = RNG.integers(0, 4, 50), RNG.integers(0, 4, 50)
BITS, GUESSED = TRUE % 2, SAID % 2
P = RNG.dirichlet(np.ones(4), 50)
Q = RNG.uniform(size=50)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_accuracy(protocol):
    def work(s):
        true, said, bits, guessed, p, q = (
            s.secret(v, owner=0) for v in (one_hot(TRUE), one_hot(SAID), BITS, GUESSED, P, Q)
        )
        labels = s.labels(TRUE, 4, owner=1)
        pairs = (
            (true, said),
            (labels, said),
            (true, p),
            (bits, guessed),
            (bits, q),
            (bits, s.secret(one_hot(GUESSED), owner=0)),
        )
        return s.reveal([accuracy_score(*pair) for pair in pairs])

    kinds = (TRUE, SAID), (TRUE, SAID), (TRUE, P.argmax(1)), (BITS, GUESSED), (BITS, Q > 0.5), (BITS, GUESSED)
    np.testing.assert_allclose(together(work, protocol), [sk.accuracy_score(*k) for k in kinds], atol=2e-6)


def test_accuracy_of_tensors():
    torch = pytest.importorskip("torch")

    def work(s):
        true, said = s.labels(TRUE, 4, owner=1), s.labels(SAID, 4, owner=1)
        return s.reveal([accuracy_score(true, said), accuracy_score(true, s.secret(P, owner=0))])

    result = together(work, backend="torch")
    assert all(isinstance(x, torch.Tensor) and x.shape == () for x in result)
    right = [sk.accuracy_score(TRUE, SAID), sk.accuracy_score(TRUE, P.argmax(1))]
    np.testing.assert_allclose(np.asarray(result), right, atol=2e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("scale", [0.5, 400.0])
def test_r2(scale, protocol):
    y = RNG.normal(size=(40, 2)) * scale + scale
    good, bad = y + RNG.normal(size=(40, 2)) * scale / 10, RNG.normal(size=(40, 2)) * scale

    def work(s):
        y_, good_, bad_ = s.secret(y, owner=0), s.secret(good, owner=0), s.secret(bad, owner=0)
        return s.reveal([r2_score(y_, good_), r2_score(y_, bad_), r2_score(y_[:, 0], good_[:, 0]), r2_score(y_, y_)])

    right = sk.r2_score(y, good), sk.r2_score(y, bad), sk.r2_score(y[:, 0], good[:, 0]), 1.0
    np.testing.assert_allclose(together(work, protocol), right, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_r2_of_targets_that_never_change(protocol):
    """1 if they were met, else 0; in one column of two it counts as half."""
    y = np.full(10, 1 / 3)
    both = np.stack([y, np.arange(10.0)], 1)

    def work(s):
        y_, both_ = s.secret(y, owner=0), s.secret(both, owner=0)
        return s.reveal(
            [
                r2_score(y_, y_),
                r2_score(y_, s.secret(y + 0.5, owner=0)),
                r2_score(both_, s.secret(both + np.array([0.5, 0]), owner=0)),
            ]
        )

    np.testing.assert_allclose(together(work, protocol), [1, 0, 0.5], atol=1e-4)


def test_r2_of_a_column_beside_a_list():
    y, p = RNG.normal(size=20), RNG.normal(size=20)

    def work(s):
        y_, p_ = s.secret(y, owner=0), s.secret(p[:, None], owner=0)
        return s.reveal([r2_score(y_, p_), r2_score(p_, y_)])

    np.testing.assert_allclose(together(work), [sk.r2_score(y, p[:, None]), sk.r2_score(p[:, None], y)], rtol=1e-3)


def test_refusals():
    def work(s):
        y = s.secret(np.eye(3), owner=0)
        with pytest.raises(tacit.BadInput, match="3 rows and 3 classes"):
            accuracy_score(y, s.secret(np.eye(3)[:, :2], owner=0))
        with pytest.raises(tacit.BadInput, match="the same"):
            r2_score(y, y[:2])
        with pytest.raises(tacit.BadInput, match="one row"):
            r2_score(y[:1], y[:1])
        with pytest.raises(tacit.BadInput, match="not secret"):
            r2_score(np.eye(3), y)
        return []

    together(work)
