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


@pytest.mark.parametrize("kind", [LinearRegression, Ridge])
def test_a_column_of_targets(kind):
    """Shapes are scikit-learn's, which differ between the two."""
    X, y = data("diabetes", 40)
    y = entered(y / 50)[:, None]
    right = getattr(sk, kind.__name__)().fit(X, y)
    coef, intercept, predicted, _ = fitted(kind(), X, y)
    np.testing.assert_allclose(coef, right.coef_, atol=1e-4)
    np.testing.assert_allclose(intercept, right.intercept_, atol=1e-4)
    np.testing.assert_allclose(predicted, right.predict(X), atol=1e-4)


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
    assert abs(coef[0] - coef[4]) < 1e-4
    assert np.abs(predicted - sk.LinearRegression().fit(X, y).predict(X)).max() < 1e-3


def dependent(name):
    """X whose columns depend on each other, or are not fewer than its rows; and y."""
    rng = np.random.default_rng(5)
    x = entered(rng.normal(size=(60, 3)))
    groups = np.eye(4)[rng.choice(4, 60, p=[0.05, 0.15, 0.3, 0.5])]
    X = {
        "a sum": np.c_[x, x.sum(1)],
        "units": np.c_[x, 16 * x[:, 0], 4 * x[:, 1]],
        "twice": np.c_[x, x],
        "dummies": np.c_[x, groups],
        "dummies beside large numbers": np.c_[x * 16, groups],
        "low rank": entered(rng.normal(size=(60, 3))) @ rng.integers(-2, 3, size=(3, 7)),
        "wide": rng.normal(size=(8, 15)),
        "wide, of many scales": rng.normal(size=(8, 15)) * np.geomspace(0.1, 8, 15),
        "square": rng.normal(size=(9, 9)),
        "two rows": np.array([[0.5, 1, -1], [1, -0.25, 0.75]]),
        "one row": rng.normal(size=(1, 3)),
        "rows twice": np.repeat(rng.normal(size=(4, 6)), 2, 0),
    }[name]
    X = entered(X)
    return X, entered(X @ rng.normal(size=X.shape[1]) / 4 + rng.normal(size=len(X)))


DEPENDENT = [
    *("a sum", "units", "twice", "dummies", "dummies beside large numbers", "low rank", "wide", "wide, of many scales"),
    *("square", "two rows", "one row", "rows twice"),
]


def shortest(X, y, fit_intercept):
    """What scikit-learn says of it, and numpy.linalg.lstsq."""
    right = sk.LinearRegression(fit_intercept=fit_intercept).fit(X, y)
    off = X.mean(0) * fit_intercept
    least = np.linalg.lstsq(X - off, y - y.mean() * fit_intercept, rcond=1e-10)[0]
    np.testing.assert_allclose(right.coef_, least, atol=1e-6)
    return right


@pytest.mark.parametrize("name", DEPENDENT)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [None, 1e-6])
def test_of_many_solutions_the_shortest(name, fit_intercept, alpha):
    """As scikit-learn's; a penalty too small to tell makes the same."""
    X, y = dependent(name)
    right = shortest(X, y, fit_intercept)
    model = (
        LinearRegression(fit_intercept=fit_intercept) if alpha is None else Ridge(alpha, fit_intercept=fit_intercept)
    )
    coef, intercept, predicted = solved(model, X, y, "clear")
    if alpha is not None:
        np.testing.assert_allclose(sk.Ridge(alpha, fit_intercept=fit_intercept).fit(X, y).coef_, right.coef_, atol=1e-4)
    assert np.abs(coef - right.coef_).max() < 2e-4 * max(1, np.abs(right.coef_).max())
    assert np.abs(intercept - right.intercept_) < 1e-3 * max(1, np.abs(right.coef_).max())
    assert np.abs(predicted - right.predict(X)).max() < 3e-4 * max(1, np.abs(y).max())


@pytest.mark.parametrize("name", ["dummies", "wide, of many scales", "one row"])
def test_the_shortest_under_spdz(name):
    X, y = dependent(name)
    right = shortest(X, y, True)
    coef, _, predicted = solved(LinearRegression(), X, y, "spdz")
    assert np.abs(coef - right.coef_).max() < 2e-4 * max(1, np.abs(right.coef_).max())
    assert np.abs(predicted - right.predict(X)).max() < 3e-4 * max(1, np.abs(y).max())


def solved(estimator, X, y, protocol):
    def work(s):
        x, t = s.secret(X, owner=0), s.secret(y, owner=1)
        model = type(estimator)(**estimator.get_params()).fit(x, t)
        return s.reveal([model.coef_, model.intercept_ if model.fit_intercept else x[0, 0] * 0, model.predict(x)])

    return together(work, protocol)


def test_penalties_up_to_what_there_is_room_for():
    X, y = data("diabetes", 64)
    y = entered(y / 50)
    beside(Ridge(1e6), sk.Ridge(1e6), X, y, "clear", 1e-5)

    def work(s):
        with pytest.raises(tacit.Unsupported, match=r"alpha=10000000000.0: at most"):
            Ridge(1e10).fit(s.secret(X, owner=0), s.secret(y, owner=0))
        return []

    together(work)


def test_rounds_do_not_depend_on_rows_nor_on_their_rank():
    def work(s, X):
        x = s.secret(X, owner=0)
        s.reveal(LinearRegression().fit(x, x[:, 0]).coef_)
        return [s.engine.costs.rounds, s.meter.total().sent]

    random = entered(np.random.default_rng(0).normal(size=(500, 6)))
    few, full, many = (tacit.run(work, 2, backend="numpy", args=[X])[0] for X in (np.zeros((8, 6)), random[:8], random))
    assert few == full
    assert few[0] == many[0] < 140
