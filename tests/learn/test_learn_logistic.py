"""Logistic regression beside scikit-learn."""

import numpy as np
import pytest
import sklearn.linear_model as sk
from learning import PROTOCOLS, data, entered, one_hot, together

import tacit
from tacit.learn import LogisticRegression


def beside(X, y, protocol, tolerance, **parameters):
    """With 0 and 1 for two classes, else with one-hots."""
    C = np.inf if parameters.get("penalty", "l2") is None else parameters.get("C", 1.0)
    intercept = parameters.get("fit_intercept", True)
    reference = sk.LogisticRegression(C=C, max_iter=10000, tol=1e-10, fit_intercept=intercept).fit(X, y)
    target = y if y.max() == 1 else one_hot(y)

    def work(s):
        x, t = s.secret(X, owner=0), s.secret(target, owner=1)
        model = LogisticRegression(**parameters).fit(x, t)
        shown = model.coef_, model.predict_proba(x), model.decision_function(x), model.predict(x), model.score(x, t)
        return s.reveal([*shown, model.intercept_ if intercept else x[0, 0]])

    coef, probabilities, decision, predicted, score, free = together(work, protocol)
    assert coef.shape == reference.coef_.shape
    assert np.abs(coef - reference.coef_).max() < tolerance
    if intercept:
        assert free.shape == reference.intercept_.shape
        assert np.abs(free - reference.intercept_).max() < tolerance
    np.testing.assert_allclose(probabilities, reference.predict_proba(X), atol=3e-3)
    np.testing.assert_allclose(decision, reference.decision_function(X), rtol=5e-3, atol=tolerance * 10)
    np.testing.assert_array_equal(predicted if y.max() == 1 else predicted.argmax(1), reference.predict(X))
    assert abs(score - reference.score(X, y)) < 2e-6


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_two_classes(protocol):
    beside(*data("breast_cancer", 200), protocol, 5e-3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_three_classes(protocol):
    beside(*data("iris"), protocol, 2e-3)


def test_digits_as_they_come():
    """Ten classes, columns that are constant."""
    X, y = data("digits", 400, standardised=False)
    beside(X / 16, y, "clear", 5e-3)


def test_little_and_much_penalty():
    X, y = data("wine")
    beside(X, y, "clear", 1e-3, C=0.01)
    beside(X, y, "clear", 2e-2, C=10.0, max_iter=40)


def test_a_penalty_that_nothing_resolves_is_refused():
    with pytest.raises(tacit.Unsupported, match="C=100000"):
        LogisticRegression(C=1e5)
    with pytest.raises(tacit.Unsupported, match=r"C=1001\.0"):
        LogisticRegression().set_params(C=1001.0)
    LogisticRegression(penalty=None, C=1e5)

    def three(s):
        with pytest.raises(tacit.Unsupported, match="of 3 classes"):
            LogisticRegression(C=1000.0).fit(s.secret(np.ones((3, 2)), owner=0), s.secret(np.eye(3), owner=0))
        return []

    together(three)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("steps", [40, 100])
def test_classes_that_a_plane_separates_keep_their_weights_however_many_steps(protocol, steps):
    X, y = data("iris", standardised=False)
    X, y, C = X[:100], y[:100], 1000.0
    right = sk.LogisticRegression(C=C, max_iter=100000, tol=1e-12).fit(X, y).coef_

    def work(s):
        model = LogisticRegression(C=C, max_iter=steps).fit(s.secret(X, owner=0), s.secret(y.astype(float), owner=1))
        return s.reveal([model.coef_])

    (coef,) = together(work, protocol, debug=False)
    assert np.abs(coef - right).max() < 0.1 * np.abs(right).max()


def test_without_intercept():
    X, y = data("breast_cancer", 150)
    beside(X[:, :10], y, "clear", 1e-2, fit_intercept=False)


def test_without_penalty():
    """Classes that no plane separates."""
    rng = np.random.default_rng(0)
    X = np.rint(rng.normal(size=(300, 3)) * 2**16) / 2**16
    y = (X @ [1.0, -1, 0.5] + rng.logistic(size=300) > 0.3).astype(int)
    beside(X, y, "clear", 2e-3, penalty=None)


def separated(name):
    """Classes that planes separate, or that are not all there."""
    rng = np.random.default_rng(3)
    X = entered(rng.normal(size=(60, 3)))
    z = X @ [1.0, 2, -1]
    return {
        "two": (X, (z > 0.2).astype(int)),
        "two, far apart": (X[np.abs(z) > 1], (z > 0)[np.abs(z) > 1].astype(int)),
        "two, in large units": (X * 16, (z > 0.2).astype(int)),
        "more columns than rows": (entered(rng.normal(size=(12, 20))), rng.integers(0, 2, 12)),
        "three": (X, np.digitize(z, [-1, 1])),
        "one": (X, np.zeros(60, int)),
        "two of three": (X, rng.integers(0, 2, 60)),
    }[name]


SEPARATED = "two", "two, far apart", "two, in large units", "more columns than rows", "three", "one", "two of three"


@pytest.mark.parametrize("name", SEPARATED)
@pytest.mark.parametrize("steps", [20, 100])
def test_without_penalty_weights_of_separated_classes_stay_in_the_contract(name, steps):
    """In the clear under the debugging mode, which finds whatever leaves it; and all rows are told apart, as by scikit-learn."""
    stays(name, steps, "clear")


@pytest.mark.slow
@pytest.mark.parametrize("name", SEPARATED)
def test_the_same_under_spdz(name):
    stays(name, 40, "spdz")


def stays(name, steps, protocol, **parameters):
    X, y = separated(name)
    classes = 3 if "three" in name else 2

    def work(s):
        x, t = s.secret(X, owner=0), s.labels(y, classes, owner=1)
        model = LogisticRegression(**({"penalty": None, "max_iter": steps} | parameters)).fit(x, t)
        return s.reveal([model.coef_, model.intercept_, model.predict(x)])

    coef, intercept, predicted = together(work, protocol)
    assert max(np.abs(coef).max(), np.abs(intercept).max()) < 500
    if "of" not in name:
        np.testing.assert_array_equal(predicted.argmax(1), y)


@pytest.mark.parametrize("name", ["one", "two of three"])
def test_classes_that_are_not_there(name):
    """The intercept has no penalty, and keeps its bounds."""
    stays(name, 100, "clear", penalty="l2")


def test_an_infinite_C_is_no_penalty():
    X, y = separated("two")

    def work(s):
        x, t = s.secret(X, owner=0), s.secret(y, owner=0)
        return s.reveal(
            [LogisticRegression(**p, max_iter=5).fit(x, t).coef_ for p in ({"C": np.inf}, {"penalty": None})]
        )

    infinite, none = together(work)
    np.testing.assert_array_equal(infinite, none)


def test_a_penalty_that_there_is_no_room_for_is_refused():
    def work(s):
        with pytest.raises(tacit.Unsupported, match="C=1e-06: at least"):
            LogisticRegression(C=1e-6).fit(s.secret(np.eye(4), owner=0), s.secret(np.arange(4) % 2, owner=0))
        return []

    together(work)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["breast_cancer", "wine", "digits"])
def test_all_rows(name):
    X, y = data(name, standardised=name != "digits")
    beside(X if name != "digits" else X / 16, y, "spdz", 5e-3)
