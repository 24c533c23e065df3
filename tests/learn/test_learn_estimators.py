"""What all estimators have in common: parameters, refusals, kinds of secrets, plans."""

import re

import numpy as np
import pytest
import sklearn.linear_model as sk
from learning import data, one_hot, together

import tacit
from tacit import learn
from tacit.errors import NotFitted, Unsupported

REFUSED = {
    learn.LinearRegression: {"positive": True, "n_jobs": 2, "copy_X": True, "tol": 1e-3},
    learn.Ridge: {"solver": "svd", "max_iter": 5, "random_state": 0},
    learn.LogisticRegression: {
        "tol": 1e-3,
        "solver": "lbfgs",
        "class_weight": "balanced",
        "warm_start": True,
        "l1_ratio": 1,
    },
    learn.MLPClassifier: {"early_stopping": True, "tol": 1e-3, "learning_rate": "adaptive", "warm_start": True},
    learn.MLPRegressor: {"loss": "poisson", "validation_fraction": 0.1},
    learn.StandardScaler: {"copy": False},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_makes_no_sense_is_refused_by_name(kind):
    for name, value in REFUSED[kind].items():
        with pytest.raises(Unsupported, match=f"{name}={value!r}"):
            kind(**{name: value})
    with pytest.raises(TypeError, match="no parameter 'nonsense'"):
        kind(nonsense=1)


def test_values_that_cannot_be():
    for kind, parameters in (
        (learn.LogisticRegression, {"C": 0}),
        (learn.LogisticRegression, {"penalty": "l3"}),
        (learn.LogisticRegression, {"max_iter": 2.5}),
        (learn.Ridge, {"alpha": -1}),
        (learn.MLPClassifier, {"activation": "softplus"}),
        (learn.MLPClassifier, {"hidden_layer_sizes": (3, 0)}),
        (learn.MLPClassifier, {"batch_size": 0}),
        (learn.MLPClassifier, {"batch_size": "full"}),
        (learn.MLPClassifier, {"hidden_layer_sizes": None}),
        (learn.MLPClassifier, {"hidden_layer_sizes": "abc"}),
        (learn.MLPClassifier, {"hidden_layer_sizes": 3.5}),
        (learn.MLPClassifier, {"random_state": -1}),
        (learn.MLPClassifier, {"momentum": 1.5}),
        (learn.MLPClassifier, {"beta_2": 1}),
        (learn.MLPRegressor, {"epsilon": 0}),
        (learn.MLPRegressor, {"shuffle": "no"}),
        (learn.MLPRegressor, {"learning_rate_init": np.inf}),
        (learn.Ridge, {"alpha": np.inf}),
        (learn.Ridge, {"alpha": np.nan}),
        (learn.Ridge, {"alpha": [1.0, 2.0]}),
        (learn.Ridge, {"fit_intercept": None}),
        (learn.LinearRegression, {"fit_intercept": "False"}),
        (learn.LogisticRegression, {"fit_intercept": 1}),
        (learn.LogisticRegression, {"C": np.nan}),
        (learn.StandardScaler, {"with_mean": "no"}),
        (learn.StandardScaler, {"with_std": 0}),
    ):
        with pytest.raises(ValueError, match=next(iter(parameters))):
            kind(**parameters)
    with pytest.raises(Unsupported, match="l1"):
        learn.LogisticRegression(penalty="l1")
    with pytest.raises(Unsupported, match="lbfgs"):
        learn.MLPRegressor(solver="lbfgs")
    with pytest.raises(Unsupported, match="alike"):
        learn.MLPRegressor(random_state=None)


def test_parameters_and_their_text():
    model = learn.LogisticRegression(C=0.5)
    assert model.get_params() == {"penalty": "l2", "C": 0.5, "fit_intercept": True, "max_iter": 20}
    assert repr(model) == "LogisticRegression(C=0.5)"
    assert repr(model.set_params(C=1.0, max_iter=3)) == "LogisticRegression(max_iter=3)"
    with pytest.raises(ValueError, match="C=-1"):
        model.set_params(C=-1)
    assert model.C == 1.0
    with pytest.raises(TypeError, match="no parameter"):
        model.set_params(D=1)
    assert repr(learn.MLPClassifier((5, 3))) == "MLPClassifier(hidden_layer_sizes=(5, 3))"


@pytest.mark.parametrize("kind", REFUSED)
def test_unfitted(kind):
    def work(s):
        x, model = s.secret(np.eye(3), owner=0), kind()
        for name in ("predict", "predict_proba", "decision_function", "transform", "inverse_transform"):
            if hasattr(model, name):
                with pytest.raises(NotFitted, match=f"this {kind.__name__} is not fitted yet"):
                    getattr(model, name)(x)
        return []

    together(work)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_scikit_learn_has_besides_says_why_it_is_not_there(kind):
    model = kind()
    for name in ("partial_fit", "rank_", "n_iter_", "feature_names_in_"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=re.escape(f"{kind.__name__}.{name} is not there on secrets: ")):
            getattr(model, name)
    with pytest.raises(AttributeError, match="not fitted yet"):
        _ = model.coef_
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        _ = model.nonsense


def test_weights_of_rows_are_refused():
    def work(s):
        x, y = s.secret(np.eye(4), owner=0), s.secret(np.arange(4) % 2, owner=0)
        for kind in REFUSED:
            with pytest.raises(Unsupported, match=r"sample_weight .* repeat"):
                kind().fit(x, y, sample_weight=np.ones(4))
        for score in (learn.LinearRegression().fit(x, y).score, learn.r2_score, learn.accuracy_score):
            with pytest.raises(Unsupported, match=r"sample_weight .* repeat"):
                score(x if score.__name__ == "score" else y, y, sample_weight=x)
        return []

    together(work)


def test_data_that_do_not_fit():
    def work(s):
        x, y, model = s.secret(np.eye(4), owner=0), s.secret(np.arange(4), owner=0), learn.LinearRegression()
        for arguments, text in (
            ((np.eye(4), y), "X is a ndarray, which is not secret"),
            ((x, np.arange(4)), "y is a ndarray"),
            ((y, y), r"X has the shape \(4,\)"),
            ((x, y[:3]), "different numbers of rows"),
            ((x, y.reshape(4, 1, 1)), "y has the shape"),
        ):
            with pytest.raises(tacit.BadInput, match=text):
                model.fit(*arguments)
        with pytest.raises(tacit.BadInput, match=r"3 columns, but the estimator was fitted on 4"):
            model.fit(x, y).predict(x[:, :3])
        for kind in (learn.LogisticRegression, learn.MLPClassifier):
            for labels in (
                x[:, :1],
                s.labels(np.zeros(4), 1, owner=1),
                s.labels(np.zeros((4, 1)), 3, owner=1),
                s.labels(np.zeros((4, 2)), 3, owner=1),
            ):
                with pytest.raises(tacit.BadInput, match=r"two or more.*0 and 1 of shape"):
                    kind().fit(x, labels)
        return []

    together(work)


def test_zeros_and_ones_in_a_narrow_format():
    X, y = data("breast_cancer", 80)
    X = (X[:, :6] > 0).astype(float)

    def work(s):
        x, t = (s.secret(v, format=tacit.Format(0, 1), owner=0) for v in (X, y))
        model, ridge = learn.LogisticRegression().fit(x, t), learn.Ridge().fit(x, t)
        return s.reveal([model.coef_, ridge.coef_, ridge.intercept_])

    coef, weights, intercept = together(work)
    reference = sk.Ridge().fit(X, y)
    np.testing.assert_allclose(coef, sk.LogisticRegression(max_iter=1000, tol=1e-9).fit(X, y).coef_, atol=2e-3)
    np.testing.assert_allclose(weights, reference.coef_, atol=1e-5)
    assert abs(intercept - reference.intercept_) < 1e-4


def test_numbers_beyond_the_format():
    def work(s):
        with pytest.raises(tacit.BadInput, match="20 integer bits"):
            learn.StandardScaler().fit(s.secret(np.eye(3), format=tacit.Format(4, 20), owner=0))
        return []

    together(work)


def test_a_guarded_run_is_not_stopped():
    X, y = data("breast_cancer", 60, standardised=False)

    def work(s):
        for _ in s.steps(1):
            x, t = s.secret(X / 2, owner=0), s.secret(y, owner=0)
            z = learn.StandardScaler().fit_transform(x)
            score = learn.LogisticRegression(max_iter=3).fit(z, t).score(z, t)
            scores = s.reveal([score, learn.Ridge().fit(z, t).score(z, t)])
        return scores

    assert tacit.run(work, 2, guard=True, backend="numpy")[0][0] > 0.9


def test_two_sessions_do_not_mix():
    def fit(s):
        return learn.LinearRegression().fit(s.secret(np.eye(3), owner=0), s.secret(np.arange(3), owner=0))

    (model,) = tacit.run(fit, 1, protocol="clear", backend="numpy")

    def work(s):
        with pytest.raises(tacit.BadInput, match="another session"):
            model.predict(s.secret(np.eye(3), owner=0))

    tacit.run(work, 1, protocol="clear", backend="numpy")


def test_coefficients_may_be_set():
    """As when they were saved by another session."""

    def work(s):
        model = learn.LinearRegression()
        model.coef_, model.intercept_ = s.secret(np.array([1.0, -2.0]), owner=0), 0.5
        return s.reveal([model.predict(s.secret(np.array([[1.0, 1.0], [3.0, 0.0]]), owner=0))])

    np.testing.assert_allclose(together(work)[0], [-0.5, 3.5], atol=1e-4)


def test_tensors_come_out_as_tensors():
    torch = pytest.importorskip("torch")
    X, y = data("iris", 60)

    def work(s):
        x, t = s.secret(X, owner=0), s.labels(y, 3, owner=1)
        z = learn.StandardScaler().fit_transform(x)
        model = learn.LogisticRegression(max_iter=6).fit(z, t)
        regression = learn.Ridge().fit(x[:, :3], x[:, 3])
        return s.reveal([z, model.coef_, model.predict(z), model.predict_proba(z), regression.predict(x[:, :3]), t])

    z, coef, predicted, probabilities, regressed, labels = together(work, backend="torch")
    assert [v.dtype for v in (z, coef, probabilities, regressed)] == [torch.float32] * 4
    assert predicted.dtype == torch.int64
    np.testing.assert_array_equal(predicted, probabilities.argmax(1))
    assert (predicted == labels).float().mean() > 0.9


def test_arrays_and_labels_without_torch():
    X, y = data("iris", 60)

    def work(s):
        x, t = s.secret(X, owner=0), s.labels(y, 3, owner=1)
        model = learn.LogisticRegression(max_iter=6).fit(x, t)
        return s.reveal([model.predict(x), model.score(x, t)])

    predicted, score = together(work)
    assert set(predicted.sum(1)) == {1}
    assert abs((predicted * one_hot(y)).sum(1).mean() - score) < 2e-6


def test_nothing_is_revealed():
    X, y = data("breast_cancer", 50)

    def work(s):
        x, t = s.secret(X, owner=0), s.secret(y, owner=0)
        z = learn.StandardScaler().fit_transform(x)
        learn.LogisticRegression(max_iter=3).fit(z, t).score(z, t)
        learn.LinearRegression().fit(z, t).score(z, t)
        return [s.engine.reveals.total()]

    assert together(work, "spdz") == [0]


def test_three_parties_with_different_columns():
    X, y = data("breast_cancer", 120)
    parts = {0: X[:, :10], 1: X[:, 10:20], 2: X[:, 20:]}

    def work(s):
        x = s.table(columns={i: part if i == s.me else None for i, part in parts.items()})
        model = learn.LogisticRegression(max_iter=8).fit(x, s.secret(y if s.me == 2 else None, owner=2))
        return s.reveal([model.score(x, s.secret(y if s.me == 2 else None, owner=2))])

    assert together(work, "spdz", 3)[0] > 0.97
