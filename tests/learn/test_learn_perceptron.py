"""Perceptrons take scikit-learn's steps: the same start, the same batches, the same updates."""

import warnings

import numpy as np
import pytest
import sklearn.neural_network as sk
from learning import PROTOCOLS, data, one_hot, together

import tacit
from tacit.learn import MLPClassifier, MLPRegressor

torch = pytest.importorskip("torch")

SMALL = {"hidden_layer_sizes": (6,), "max_iter": 3, "batch_size": 32, "random_state": 5}
CASES = {
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1},
    "plain sgd": {"solver": "sgd", "learning_rate_init": 0.2, "momentum": 0, "alpha": 1.0},
    "no nesterov": {"solver": "sgd", "learning_rate_init": 0.1, "nesterovs_momentum": False},
    "tanh": {"solver": "sgd", "learning_rate_init": 0.1, "activation": "tanh"},
    "logistic": {"solver": "sgd", "learning_rate_init": 0.3, "activation": "logistic"},
    "identity": {"solver": "sgd", "learning_rate_init": 0.05, "activation": "identity"},
    "two layers": {"solver": "sgd", "learning_rate_init": 0.1, "hidden_layer_sizes": (6, 4)},
    "in order": {"solver": "sgd", "learning_rate_init": 0.1, "shuffle": False},
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "adam as it is": {},
    "a last batch that is smaller": {"solver": "sgd", "learning_rate_init": 0.1, "alpha": 3.0, "batch_size": 40},
}


def reference(kind, X, y, parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it did not converge, it says
        return kind(**parameters, tol=0, n_iter_no_change=1000).fit(X, y)


def classified(X, target, parameters, protocol, labels=None, **options):
    def work(s):
        x = s.secret(X, owner=0)
        t = s.secret(target, owner=1) if labels is None else s.labels(target, labels, owner=1)
        model = MLPClassifier(**parameters).fit(x, t)
        shown = [model.predict_proba(x), model.predict(x), model.score(x, t)]
        return s.reveal([*model.coefs_, *model.intercepts_, *shown])

    *weights, probabilities, predicted, score = together(work, protocol, **options)
    return [np.asarray(w) for w in weights], np.asarray(probabilities), predicted, float(score)


@pytest.mark.parametrize("name", CASES)
def test_two_classes(name):
    X, y = data("breast_cancer", 96)
    parameters = SMALL | CASES[name]
    right = reference(sk.MLPClassifier, X, y, parameters)
    weights, probabilities, _, score = classified(X, y, parameters, "clear")
    for got, expected in zip(weights, right.coefs_ + right.intercepts_, strict=True):
        np.testing.assert_allclose(got, expected, atol=5e-3)
    np.testing.assert_allclose(probabilities, right.predict_proba(X), atol=5e-3)
    assert abs(score - right.score(X, y)) < 0.02


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_three_classes(protocol):
    X, y = data("iris")
    parameters = SMALL | CASES["sgd"]
    right = reference(sk.MLPClassifier, X, y, parameters)
    weights, _, predicted, score = classified(X, one_hot(y), parameters, protocol)
    for got, expected in zip(weights, right.coefs_ + right.intercepts_, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-2)
    assert (predicted.argmax(1) == right.predict(X)).mean() > 0.98
    assert abs(score - right.score(X, y)) < 0.02


def test_labels_of_torch():
    X, y = data("iris")
    parameters = SMALL | CASES["sgd"]
    _, _, predicted, score = classified(X, y, parameters, "clear", labels=3, backend="torch")
    assert predicted.dtype == torch.int64
    assert predicted.shape == (150,)
    assert abs((predicted.numpy() == y).mean() - score) < 1e-4
    assert (predicted.numpy() == reference(sk.MLPClassifier, X, y, parameters).predict(X)).mean() > 0.98


@pytest.mark.parametrize("targets", ["a list", "a column", "two columns"])
def test_regression(targets):
    X, y = data("diabetes", 100)
    y = y / 80 - 2
    y = {"a list": y, "a column": y[:, None], "two columns": np.stack([y, y**2], 1)}[targets]
    parameters = SMALL | CASES["sgd"]
    right = reference(sk.MLPRegressor, X, y, parameters)

    def work(s):
        x, t = s.secret(X, owner=0), s.secret(y, owner=0)
        model = MLPRegressor(**parameters).fit(x, t)
        return s.reveal([model.predict(x), model.score(x, t), *model.coefs_])

    predicted, score, *coefs = together(work)
    assert predicted.shape == right.predict(X).shape
    for got, expected in zip(coefs, right.coefs_, strict=True):
        np.testing.assert_allclose(got, expected, atol=5e-3)
    np.testing.assert_allclose(predicted, right.predict(X), atol=1e-2)
    assert abs(score - right.score(X, y)) < 1e-2


def test_sizes_of_numpy():
    assert MLPRegressor(np.int64(5)).hidden_layer_sizes == 5
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        MLPRegressor(np.int64(0))


def test_the_module_trains_on():
    X, y = data("iris", 40)

    def work(s):
        model = MLPClassifier(**SMALL).fit(s.secret(X, owner=0), s.labels(y, 3, owner=1))
        optimiser = torch.optim.SGD(model.module_.parameters(), lr=0.1)
        for x, t in s.batches(s.secret(X, owner=0), s.labels(y, 3, owner=1), batch_size=20, epochs=20):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model.module_(x), t).backward()
            optimiser.step()
        return [s.reveal(model.score(s.secret(X, owner=0), s.labels(y, 3, owner=1)))]

    assert together(work, backend="torch")[0] > 0.8


@pytest.mark.slow
def test_digits():
    X, y = data("digits", standardised=False)
    X, train = X / 16, np.arange(len(y)) % 5 > 0
    parameters = {"hidden_layer_sizes": (24,), "max_iter": 4, "batch_size": 100, "learning_rate_init": 0.02}
    right = reference(sk.MLPClassifier, X[train], y[train], parameters | {"random_state": 0})

    def work(s):
        model = MLPClassifier(**parameters).fit(s.secret(X[train], owner=0), s.labels(y[train], 10, owner=1))
        return [s.reveal(model.score(s.secret(X[~train], owner=0), s.labels(y[~train], 10, owner=1)))]

    (score,) = tacit.run(work, 2, backend="torch")[0]
    assert abs(score - right.score(X[~train], y[~train])) < 0.02
