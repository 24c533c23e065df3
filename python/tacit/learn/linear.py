"""Linear models by their normal equations.

    (X^T X + alpha I) w = X^T y,   b = mean y - mean X w             X and y about their means
X and y are opened once; then about 120 rounds on matrices of (columns)^2, whatever the number of rows.

Contract, in the default format: columns of X and of y have standard deviations (without an intercept: root mean squares)
between 2^-8 and 64 (or 2^13 / sqrt(rows), if that is more), and no coefficient is above 2^11 of them. Columns of different
scale are balanced by powers of two in between; one below 2^-10 counts as constant and gets the coefficient 0. Scale the data
beyond that (`StandardScaler`, or other units).

Largest error of a coefficient, times its column's deviation over y's, beside numpy.linalg.lstsq on the inputs as they enter, if
the correlations of X have a condition number of 1e2: 1e-6; of 1e4: 5e-6; of 1e5: 5e-5. (That inputs are rounded to 2^-16 on the
way in makes 1e-5, 2e-4, 1e-3.)

Where columns depend on each other, or are not fewer than rows, many w are as good. As in scikit-learn the shortest of them is
found (`nullspace`), or, with a penalty, the w that it leaves. The rank is secret: the same is computed for every X. What counts
as a dependence is a direction whose variance is below 1e-5, columns being scaled to variances in [1/4, 1). scikit-learn puts
that limit near 1e-15, and between the two answers with coefficients of any size. Likewise an alpha below 1e-5 (rows) (a
column's variance) acts as 0 on such directions. Predictions for such X are right to 1e-4 of y's deviation; coefficients, times
their column's deviation, to 1e-6 f^2, if the columns' deviations are within a factor f of 100 of each other. Columns that
depend on each other and have more than 100 times the deviation of others may share their part in other proportions.
"""

import math
from typing import Any, ClassVar, Self

import numpy as np

from tacit.errors import Unsupported
from tacit.field import CAPACITY
from tacit.learn import curvature
from tacit.learn.estimator import ALONE, Estimator, flag, positive, unweighted
from tacit.learn.metrics import r2_score
from tacit.learn.moments import at_scale, centred, cross, log2, product
from tacit.learn.secrets import column, kind, number, same_rows, table
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.selection import bounded


def affine(a: Arithmetic, x: Number, weights: Number) -> Number:
    """x w, within the contract: only w is truncated, to what fits. Opens x and w."""
    weights = at_scale(a, weights, CAPACITY - a.format.integer - x.scale)
    return product(a, x, weights, a.format.integer, "decision")


class Linear(Estimator):
    """Has `coef_` (d,) or (outputs, d), and `intercept_`: () or (outputs,), or 0.0 without one. Both may be set, too."""

    LEARNED = "coef_"
    coef_: Any
    intercept_: Any

    def _learned(self, X: Any, weights: Number, intercept: Number | None, flat: bool) -> Self:
        """`weights` (d, outputs), `intercept` (1, outputs)."""
        of, (d, outputs) = kind(X), weights.shape
        coef = of.arithmetic.permute(weights, (1, 0))
        self.coef_ = of.wrap(of.arithmetic.reshape(coef, (d,)) if flat else coef)
        shape = () if flat else (outputs,)
        self.intercept_ = 0.0 if intercept is None else of.wrap(of.arithmetic.reshape(intercept, shape))
        self.n_features_in_ = d
        return self

    def _decide(self, X: Any) -> Number:
        """X coef + intercept, (rows, outputs)."""
        self._fitted()
        of = kind(X)
        a, coef = of.arithmetic, number(self.coef_, of, "coef_")
        coef = a.reshape(coef, (1, *coef.shape)) if len(coef.shape) == 1 else coef
        out = affine(a, table(X, of, coef.shape[1]), a.permute(coef, (1, 0)))
        if isinstance(self.intercept_, int | float):
            return a.add_public(out, np.asarray(float(self.intercept_)))
        intercept = number(self.intercept_, of, "intercept_")
        return a.add(out, a.reshape(intercept, (1, coef.shape[0])))


class Regression(Linear):
    """Normal equations with a penalty `alpha` |w|^2."""

    fit_intercept: bool

    def _solve(self, X: Any, y: Any, alpha: float) -> Self:
        of = kind(X)
        a, x, t = of.arithmetic, table(X, of), number(y, of, "y")
        same_rows(x, t)
        flat, (n, d) = len(t.shape) == 1, x.shape
        both = a.concat([x, column(a, t)], 1)
        found = centred(a, both) if self.fit_intercept else None
        both = both if found is None else found.values
        gram = cross(a, both, both, "gram")
        if alpha:
            each = alpha * 2.0 ** -log2(n)
            if each >= (most := math.ldexp(0.5, gram.bits - gram.scale)):
                raise Unsupported(f"alpha={alpha!r}: at most {most * 2.0 ** log2(n):g} for {n} rows")
            penalty = [each] * d + [0.0] * (both.shape[1] - d)
            gram = bounded(a.add_public(gram, np.diag(penalty)), gram.bits)
        weights = _weights(a, curvature.balanced(a, gram), d)
        intercept = None
        if found is not None:
            intercept = a.add(_remaining(a, found.mean, weights), _remaining(a, found.rest, weights))
        return self._learned(X, weights, intercept, flat)

    def predict(self, X: Any) -> Any:
        """X coef + intercept, shape (rows,) or (rows, targets): opens X and the coefficients, 1 round."""
        out, of = self._decide(X), kind(X)
        return of.wrap(of.arithmetic.reshape(out, out.shape[:1]) if len(self.coef_.shape) == 1 else out)

    def score(self, X: Any, y: Any, sample_weight: None = None) -> Any:
        """R^2 of the predictions."""
        return r2_score(y, self.predict(X), sample_weight=sample_weight)


def _remaining(a: Arithmetic, row: Number, weights: Number) -> Number:
    """y - x w, for (x, y) side by side in a row."""
    d, outputs = weights.shape
    x, y = a.slice(row, 1, 0, d), a.slice(row, 1, d, d + outputs)
    return a.add(y, affine(a, x, weights), -1, "intercept")


def _weights(a: Arithmetic, gram: curvature.Balanced, d: int) -> Number:
    """(d, targets), from the balanced Gram matrix of X and y side by side: w_ij = s_i u_ij / s_j."""
    top, size = a.slice(gram.matrix, 0, 0, d), gram.matrix.shape[0]
    ratio = curvature.ratio(a, a.slice(gram.s, 0, 0, d), a.slice(gram.bits, 1, 0, d))
    u = curvature.solve(a, a.slice(top, 1, 0, d), a.slice(top, 1, d, size), ratio)
    s = a.reshape(a.slice(gram.s, 0, 0, d), (d, 1))
    deviation = a.reshape(a.slice(gram.inverse, 0, d, size), (1, size - d))
    # |u| < 2^11, and s is one of 2^k for -s.scale <= k < -SMALLEST.
    f = a.format
    fine = max(2 * f.fraction, CAPACITY - f.integer - f.fraction)  # coefficients are small where data are large
    scaled = at_scale(a, a.multiply(u, s, "balance", bits=CAPACITY), fine - deviation.scale)
    return a.multiply(scaled, deviation, "balance", bits=fine + f.integer)


class LinearRegression(Regression):
    """Least squares, like scikit-learn's: learns `coef_` and `intercept_`, for y of shape (rows,) or (rows, targets).

    Columns of X and of y must have deviations between 2^-8 and 64 (or 2^13 / sqrt(rows) if that is more), and coefficients be
    below 2^11 of them: beyond that numbers wrap, which a guard notices. Without an intercept, read root mean square for
    deviation: large columns far from 0 have to be scaled then. Where many solutions are as good, as with more columns
    than rows or with columns that depend on each other, the shortest is found, as in scikit-learn; bounds: `tacit.learn.linear`.
    """

    REFUSED: ClassVar[dict[str, str]] = {
        "tol": "the normal equations are solved directly, and the accuracy is that of the format",
        "positive": "take fewer columns, or a penalty (Ridge)",
        "n_jobs": ALONE,
        "copy_X": "secrets never change; leave it out",
    }

    def __init__(self, *, fit_intercept: bool = True, **others: Any) -> None:
        self._refuse(others)
        flag("fit_intercept", fit_intercept)
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any, sample_weight: None = None) -> Self:
        unweighted(sample_weight)
        return self._solve(X, y, 0.0)


class Ridge(Regression):
    """Least squares with the penalty alpha |w|^2, like scikit-learn's; the intercept has none.

    The contract is that of `LinearRegression`. Where columns depend on each other, an alpha below 1e-5 (rows) (a column's
    variance) acts as 0: that gives the shortest solution, to which scikit-learn's tends as alpha does to 0.
    """

    REFUSED: ClassVar[dict[str, str]] = {
        **LinearRegression.REFUSED,
        "max_iter": "the normal equations are solved directly",
        "solver": "there is one, by the normal equations; leave it out",
        "random_state": "nothing here is random",
        "positive": "take fewer columns, or a larger alpha",
    }

    def __init__(self, alpha: float = 1.0, *, fit_intercept: bool = True, **others: Any) -> None:
        self._refuse(others)
        positive("alpha", alpha, strict=False)
        flag("fit_intercept", fit_intercept)
        self.alpha, self.fit_intercept = alpha, fit_intercept

    def fit(self, X: Any, y: Any, sample_weight: None = None) -> Self:
        unweighted(sample_weight)
        self._solve(X, y, self.alpha)
        if self.coef_.shape[:-1] == (1,):
            self.coef_ = self.coef_[
                0
            ]  # scikit-learn's too is flat for y of shape (rows, 1), and that of LinearRegression is not
        return self
