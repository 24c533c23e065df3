"""Columns brought to mean 0 and variance 1.

    z = (x - mean) / sqrt(var),   var = mean of (x - mean)^2;   a constant column is divided by 1
A variance v is brought to u = s^2 v in [1/4, 1) by a power of two s: 1 / sqrt(u) is one polynomial then, and its error relative.
"""

from typing import Any, ClassVar, Self

import numpy as np

from tacit.field import CAPACITY
from tacit.learn import curvature
from tacit.learn.estimator import Estimator, flag, unweighted
from tacit.learn.moments import at_scale, centred, less, share, squares
from tacit.learn.secrets import Kind, kind, number, table
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.functions.normal import rsqrt
from tacit.numbers.selection import bounded

UNIT = 28
"""Fraction bits of what is about 1."""


class StandardScaler(Estimator):
    """Like scikit-learn's; learns `mean_`, `var_` and `scale_`, each of shape (columns,). The last two are None without with_std.

    For any columns that are within the contract, and no further from their means than that either: means to 2^-20,
    variances and deviations to 1 part in 2^13 above a deviation of 2^-6; below 2^-10 a column counts as constant: its
    scale_ is 1. `fit` opens X, and takes about 30 rounds; `transform` opens X and truncates the result.
    """

    LEARNED = "mean_"
    REFUSED: ClassVar[dict[str, str]] = {"copy": "secrets never change; leave it out"}
    mean_: Any
    var_: Any
    scale_: Any

    def __init__(self, *, with_mean: bool = True, with_std: bool = True, **others: Any) -> None:
        self._refuse(others)
        flag("with_mean", with_mean)
        flag("with_std", with_std)
        self.with_mean, self.with_std = with_mean, with_std

    def fit(self, X: Any, y: Any = None, sample_weight: None = None) -> Self:
        unweighted(sample_weight)
        of = kind(X)
        self._fit(of, table(X, of))
        return self

    def transform(self, X: Any) -> Any:
        self._fitted()
        of = kind(X)
        a, x = of.arithmetic, table(X, of, self.n_features_in_)
        if self.with_mean:
            x = less(a, x, at_scale(a, self._row(of, "mean_"), x.scale))
        return of.wrap(self._transformed(a, x))

    def fit_transform(self, X: Any, y: Any = None, sample_weight: None = None) -> Any:
        """As fit and transform, with X less its means computed once."""
        unweighted(sample_weight)
        of = kind(X)
        x = table(X, of)
        middle = self._fit(of, x)
        return of.wrap(self._transformed(of.arithmetic, middle if self.with_mean else x))

    def inverse_transform(self, X: Any) -> Any:
        self._fitted()
        of = kind(X)
        a, x = of.arithmetic, table(X, of, self.n_features_in_)
        if self.with_std:
            x = _times(a, x, self._row(of, "scale_"))
        return of.wrap(a.add(x, self._row(of, "mean_")) if self.with_mean else x)

    def _fit(self, of: Kind, x: Number) -> Number:
        """x less its means."""
        a, (n, d) = of.arithmetic, x.shape
        found = centred(a, x)
        middle = found.values
        self.n_features_in_, self.n_samples_seen_ = d, n
        self.mean_ = of.wrap(a.reshape(a.add(found.mean, found.rest), (d,)))
        self.var_ = self.scale_ = None
        if self.with_std:
            v = curvature.room(a, squares(a, middle, "variance"))
            power = curvature.powers(a, v, dead=0.5)
            unit = at_scale(a, curvature.scaled(a, v, power.s, power.s), UNIT)
            unit = a.times(unit, share(n))  # in [1/4, 2), or near 0
            self.var_ = of.wrap(_back(a, _back(a, unit, power.inverse, 1), power.inverse, 2))
            # The deviation of a constant column: sqrt(1/4) / s = 1.
            unit = bounded(
                a.add(unit, a.times(a.add_public(a.negate(power.alive(a)), np.asarray(1.0)), 0.25)), unit.scale + 1
            )
            root = at_scale(a, rsqrt(a, unit, least=0.24), UNIT)
            deviation = a.multiply(root, at_scale(a, unit, UNIT), "scale", bits=2 * UNIT + 1)
            self.scale_ = of.wrap(_back(a, deviation, power.inverse, 1))
            self._inverse = a.multiply(root, power.s, "scale", bits=UNIT + power.s.scale - curvature.SMALLEST + 1)
        return middle

    def _transformed(self, a: Arithmetic, x: Number) -> Number:
        return _times(a, x, self._inverse) if self.with_std else x

    def _row(self, of: Kind, name: str) -> Number:
        return number(getattr(self, name), of, name)


def _back(a: Arithmetic, x: Number, inverse: Number, power: int) -> Number:
    """x / s, which is below 2^(power * integer)."""
    integer = power * a.format.integer
    x = at_scale(a, x, min(UNIT, CAPACITY - inverse.scale - integer))
    return a.multiply(x, inverse, "scale", bits=x.scale + inverse.scale + integer)


def _times(a: Arithmetic, x: Number, row: Number) -> Number:
    """x times a row, within the contract."""
    row = at_scale(a, row, CAPACITY - a.format.integer - x.scale)
    return a.rescale(a.multiply(x, row, "scale", bits=x.scale + row.scale + a.format.integer))
