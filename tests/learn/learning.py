"""The same estimator on secrets and in the clear: scikit-learn is the oracle."""

import numpy as np
from sklearn import datasets

import tacit

PROTOCOLS = ["clear", "spdz"]


def together(function, protocol="clear", parties=2, **options):
    """function(session) as every party; the result that all of them got. In the clear under the debugging mode: nothing
    leaves the bits that are stated of it."""
    options = {"backend": "numpy", "debug": protocol == "clear"} | options
    first, *others = tacit.run(function, parties=parties, protocol=protocol, **options)
    for other in others:
        for mine, theirs in zip(first, other, strict=True):
            np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))
    return first


def data(name, rows=None, standardised=True):
    """(X, y) of a bundled data set, `rows` of it spread over all."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    chosen = np.linspace(0, len(X) - 1, rows or len(X)).astype(int)
    X, y = X[chosen], y[chosen]
    return entered((X - X.mean(0)) / np.where(X.std(0) > 0, X.std(0), 1) if standardised else X), y


def entered(values):
    """As they enter a session in the default format: that rounding is not the estimators'."""
    return np.rint(values * 2**16) / 2**16


def one_hot(y):
    return np.eye(y.max() + 1)[y]
