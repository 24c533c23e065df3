"""Least squares and ridge beside scikit-learn and numpy.linalg.lstsq."""

import numpy as np
import pytest
import sklearn.linear_model as sk
from learning import PROTOCOLS, data, entered, together

import tacit
from tacit.learn import LinearRegression, Ridge


def fitted(estimator, X, y, protocol="clear", **options):
    """coef_, intercept_, predictions and score."""

    def work(s):
        x, t = s.secret(X, owner=0), s.secret(y, owner=1)
        model = type(estimator)(**estimator.get_params()).fit(x, t)
        return s.reveal(
            [model.coef_, model.intercept_ if model.fit_intercept else x[0, 0], model.predict(x), model.score(x, t)]
        )

    return together(work, protocol, **options)


def beside(estimator, reference, X, y, protocol, tolerance):
    """Coefficients are compared times their column's deviation over y's."""
    reference.fit(X, y)
    coef, intercept, predicted, score = fitted(estimator, X, y, protocol)
    assert coef.shape == reference.coef_.shape
    assert np.abs((coef - reference.coef_) * X.std(0) / np.std(y, 0).max()).max() < tolerance
    if reference.fit_intercept:
        assert np.abs(intercept - reference.intercept_).max() < tolerance * (1 + np.abs(y).max())
    assert np.abs(predicted - reference.predict(X)).max() < tolerance * (1 + np.abs(y).max()) * 4
    assert abs(score - (right := reference.score(X, y))) < 1e-4 * (1 + abs(1 - right))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_diabetes_as_it_comes(protocol):
    """Columns of deviation 0.05, a target of 77."""
    X, y = data("diabetes", standardised=False)
    beside(LinearRegression(), sk.LinearRegression(), X, y, protocol, 1e-5)
    beside(Ridge(0.5), sk.Ridge(0.5), X, y, protocol, 1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_breast_cancer(protocol):
    """30 columns whose correlations have a condition number of 1e5."""
    X, y = data("breast_cancer")
    y = y.astype(float)
    beside(LinearRegression(), sk.LinearRegression(), X, y, protocol, 1e-5)
    beside(Ridge(), sk.Ridge(), X, y, protocol, 1e-5)


def test_columns_far_from_zero():
    X, y = data("diabetes", 60)
    X = entered(X + 1000)
    coef = fitted(LinearRegression(), X, entered(y / 50))[0]
    right = sk.LinearRegression().fit(X, entered(y / 50)).coef_
    assert np.abs(coef - right).max() < 5e-5 * np.std(y / 50)


def test_without_intercept():
    X, y = data("diabetes", 100)
    y = entered(y / 50)
    beside(LinearRegression(fit_intercept=False), sk.LinearRegression(fit_intercept=False), X, y, "clear", 1e-5)
    beside(Ridge(2, fit_intercept=False), sk.Ridge(2, fit_intercept=False), X, y, "clear", 1e-5)


def test_several_targets():
    X, _ = data("diabetes", 80)
    y = entered(X @ np.random.default_rng(0).normal(size=(10, 3)) + np.array([1.0, -2, 30]))
    beside(LinearRegression(), sk.LinearRegression(), X, y, "spdz", 1e-5)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e5])
def test_stated_accuracy(condition):
    rng = np.random.default_rng(3)
    n, d = 300, 20
    left, right = np.linalg.qr(rng.normal(size=(n, d)))[0], np.linalg.qr(rng.normal(size=(d, d)))[0]
    X = left * np.sqrt(np.geomspace(1, 1 / condition, d)) @ right
    X = entered((X - X.mean(0)) / X.std(0))
    y = entered(X @ rng.normal(size=d) + rng.normal(size=n))
    coef, *_ = fitted(LinearRegression(fit_intercept=False), X, y)
    best = np.linalg.lstsq(X, y, rcond=None)[0]
    assert np.abs(coef - best).max() / y.std() < {1e2: 1e-6, 1e4: 5e-6, 1e5: 5e-5}[condition]


def test_columns_of_different_scale():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(200, 4)) * [0.01, 0.3, 5, 60] + [0, 2, -50, 300]
    X = entered(X)
    y = entered(X @ [20.0, 1.0, 0.1, 0.02] + 0.1 * rng.normal(size=200))
    beside(LinearRegression(), sk.LinearRegression(), X, y, "clear", 1e-4)


def test_a_constant_column_and_a_repeated_one():
    X, y = data("diabetes", 100)
    y = entered(y / 50)
    X = np.concatenate([X[:, :3], np.full((100, 1), 7.0), X[:, :1]], 1)
    coef, _, predicted, _ = fitted(LinearRegression(), X, y)
    assert coef[3] == 0
    assert abs(coef[0] - coef[4]) < 1e-2  # as by the pseudo-inverse
    assert np.abs(predicted - sk.LinearRegression().fit(X, y).predict(X)).max() < 1e-3


def test_rounds_do_not_depend_on_rows():
    def work(s, rows):
        x = s.secret(np.zeros((rows, 6)), owner=0)
        s.reveal(LinearRegression().fit(x, x[:, 0]).coef_)
        return [s.engine.costs.rounds]

    few, many = (tacit.run(work, 2, backend="numpy", args=[rows])[0] for rows in (8, 500))
    assert few == many
    assert few[0] < 80
