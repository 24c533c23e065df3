"""Logistic regression by Newton's method, one block for each class.

    minimise  C sum_i loss_i + |w|^2 / 2;    g_k = X^T (p_k - y_k) + w_k / C,    H_k = X^T diag(p_k (1 - p_k)) X + I / C
    w_k -= step H_k^-1 g_k;   then the mean over classes is taken off, which no loss notices
Two classes have one column and step 1: Newton's own method. For more, the Hessian is below 2 diag(H_k) (its off-diagonal p_j p_k
are a graph's Laplacian), so that every step below 1 goes down near the optimum. H_k is made anew in steps 0, 1, 2, 4, 8, ...,
and inverted as in `curvature`; an error of it changes how fast this goes, not where to. So that no step is too long, H_k is made
too large: p (1 - p) + 2^-13 stands for p (1 - p). Where a plane separates classes, p (1 - p) vanishes, and without that term a
step would divide what probabilities are off by (2^-12), by what curvatures are off by.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tacit.errors import Unsupported
from tacit.field import CAPACITY
from tacit.learn import targets
from tacit.learn.curvature import DEPTH, balanced, inverse
from tacit.learn.estimator import ALONE, STOPPING, WEIGHTS, choice, flag, positive, unweighted, whole
from tacit.learn.linear import Linear, affine
from tacit.learn.metrics import accuracy_score
from tacit.learn.moments import at_scale, centred, cross, log2, product, shifted
from tacit.learn.nullspace import UNIT
from tacit.learn.secrets import kind, same_rows, table
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.selection import bounded

STEP = 0.8
"""The step for more than two classes."""
COARSE, COARSER = 12, 10
"""Fraction bits of X and of p (1 - p) in Hessians: their product needs no truncation."""
FINE, FINEST, PROBABILITY = 24, 30, 18
"""Fraction bits of weights, of gradients, and of probabilities."""
LARGEST = 10
"""log2 of S g: how much a gradient changes for one unit of a scaled weight."""

LARGEST_C = 1000.0
"""For classes that a plane separates, weights for this C are found to 1 in 12; for C = 1e5 steps would diverge."""

LARGEST_OF_MANY = 100.0
"""The same for more than two classes, whose steps run away sooner: for C = 100 weights are found to 1 in 20."""

UNPENALIZED = (math.inf,)
"""C that say what penalty=None says."""
LEAST = -13
"""log2 of the least p (1 - p) that Hessians are made of."""
MOST_STEPS = 1000
"""Without a penalty. What probabilities are off by, 2^-12, may move a weight by 2^-12 / 2^LEAST in each."""
LARGEST_PENALTY = 2.0**11
"""The largest penalty of a row that a Hessian's diagonal has room for."""

Vector = NDArray[np.float64]


class LogisticRegression(Linear):
    """Like scikit-learn's, penalty L2: learns `coef_` (1, columns) for two classes, else (classes, columns); `intercept_`.

    y: what `session.labels` gives, one-hots (rows, classes), or 0 and 1 of shape (rows,); `predict` answers in the same way.
    `session.labels` has their owner check them. Nobody looks at numbers that `session.secret` took: others than 0 and 1 train
    something else, and classes are not counted.
    Columns of X should have deviations of about 1 (`StandardScaler`); contract: between 2^-6 and 64, coefficients below 2^11.

    All of max_iter is run, whatever the data. After 20, coefficients at C = 1 are within 0.005 of scikit-learn's on its data sets
    iris, wine, breast cancer and digits; a larger C or data that a plane separates need more. Probabilities are right to about
    2^-12: weights of classes that a plane separates (iris: 1 and 2) to 1 in 100 for C = 10, to 1 in 12 for C = 1000, whatever
    max_iter; a larger C is refused, and with more than two classes one above 100.

    Without a penalty (None, or C = inf) such weights have no limit. As in scikit-learn they grow with max_iter, and tell the rows
    apart: to a distance (X coef + intercept) of about 20 from the plane, where probabilities are 0 and 1; from there on by at
    most about 2 a step, each times its column's deviation. max_iter is at most 1000 then. A class of which there are no rows has
    an intercept of about -8, where scikit-learn refuses to fit; labels are secret, and so is what is missing among them.
    A step takes 13 rounds for two classes, 26 for more; each new Hessian about 55, and per class 8 bytes (rows) (columns) and
    32 bytes (columns)^2 (16 + log2 columns).
    """

    REFUSED: ClassVar[dict[str, str]] = {
        "tol": STOPPING,
        "solver": "there is one, Newton's method with few Hessians; leave it out",
        "l1_ratio": "an L1 penalty is not there: use C",
        "dual": ALONE,
        "intercept_scaling": "the intercept has no penalty",
        "class_weight": WEIGHTS,
        "random_state": "nothing here is random",
        "multi_class": "two classes are binary, more are multinomial",
        "verbose": "use session.report()",
        "warm_start": "fit starts at 0: set max_iter",
        "n_jobs": ALONE,
    }

    def __init__(
        self,
        penalty: str | None = "l2",
        *,
        C: float = 1.0,
        fit_intercept: bool = True,
        max_iter: int = 20,
        **others: Any,
    ) -> None:
        self._refuse(others)
        if penalty in ("l1", "elasticnet"):
            raise Unsupported(f"penalty={penalty!r} is not there on secrets: use 'l2' or None")
        choice("penalty", penalty, ("l2", None))
        if C not in UNPENALIZED:
            positive("C", C)
        flag("fit_intercept", fit_intercept)
        unpenalized = penalty is None or C in UNPENALIZED
        if not unpenalized and C > LARGEST_C:
            raise Unsupported(
                f"C={C!r}: a penalty under 1 / {LARGEST_C:g} is below what probabilities resolve here: weights of classes that "
                "a plane separates would run away: take a smaller C, or penalty=None where no plane separates them"
            )
        whole("max_iter", max_iter)
        if unpenalized and max_iter > MOST_STEPS:
            raise Unsupported(
                f"max_iter={max_iter!r} without a penalty: weights of classes that a plane separates grow with every step: take "
                f"at most {MOST_STEPS}, or a penalty"
            )
        self.penalty, self.C, self.fit_intercept, self.max_iter = penalty, C, fit_intercept, max_iter

    def fit(self, X: Any, y: Any, sample_weight: None = None) -> Self:
        unweighted(sample_weight)
        of = kind(X)
        a, x, given = of.arithmetic, table(X, of), targets.read(y, of)
        unpenalized = self.penalty is None or self.C in UNPENALIZED
        if not unpenalized and given.classes > 2 and self.C > LARGEST_OF_MANY:
            raise Unsupported(
                f"C={self.C!r} of {given.classes} classes: steps may run away where planes separate them: take C of at most "
                f"{LARGEST_OF_MANY:g}, or penalty=None where no plane separates them"
            )
        target = given.columns(a)
        same_rows(x, target)
        n, d = x.shape
        inverse_C = 0.0 if unpenalized else 2.0 ** -log2(n) / self.C
        if inverse_C >= LARGEST_PENALTY:
            raise Unsupported(f"C={self.C!r}: at least {2.0 ** -log2(n) / LARGEST_PENALTY:g} for {n} rows")
        ridge = np.full(d, inverse_C)
        found = None
        if self.fit_intercept:
            found = centred(a, x)
            ones = bounded(a.public(np.ones((n, 1))), a.format.fraction + 1)
            x, ridge = a.concat([found.values, ones], 1), np.append(ridge, 0.0)
        w = _descend(a, x, target, ridge, self.max_iter)
        self._form = given.form
        self.classes_ = np.arange(given.classes)
        if found is None:
            return self._learned(X, w, None, flat=False)
        w, free = a.slice(w, 0, 0, d), a.slice(w, 0, d, d + 1)
        return self._learned(X, w, a.add(free, affine(a, found.mean, w), -1), flat=False)

    def decision_function(self, X: Any) -> Any:
        """X coef + intercept, (rows,) for two classes, else (rows, classes)."""
        out, of = self._decide(X), kind(X)
        return of.wrap(of.arithmetic.reshape(out, out.shape[:1]) if out.shape[1] == 1 else out)

    def predict_proba(self, X: Any) -> Any:
        """(rows, classes)"""
        out, of = self._decide(X), kind(X)
        return of.wrap(targets.probabilities(of.arithmetic, out))

    def predict(self, X: Any) -> Any:
        """The likeliest class, compared exactly: as labels, one-hots, or 0 and 1, whatever `fit` was given."""
        out, of = self._decide(X), kind(X)
        return targets.write(targets.decided(of.arithmetic, out), self._form, of)

    def score(self, X: Any, y: Any, sample_weight: None = None) -> Any:
        """The accuracy of the predictions."""
        return accuracy_score(y, self.predict(X), sample_weight=sample_weight)


def _descend(a: Arithmetic, x: Number, target: Number, ridge: Vector, steps: int) -> Number:
    """Weights (columns, classes). Each step is computed at once, for what it needs to be forgotten."""
    (n, d), classes = x.shape, target.shape[1]
    even = 0.5 if classes == 1 else 1 / classes
    coarse = at_scale(a, x, COARSE)
    w = _weights(a, a.public(np.zeros((d, classes))))
    p = a.lift(a.public(np.full((n, classes), even)), PROBABILITY)
    gram = a.reshape(cross(a, coarse, coarse, "hessian"), (1, d, d))
    metric = _Metric.of(a, shifted(gram, math.frexp(even * (1 - even))[1]), ridge)
    for step in range(steps):
        if step:
            p = at_scale(a, targets.link(a, affine(a, x, w)), PROBABILITY)
            if step & (step - 1) == 0:
                h = _hessians(a, coarse, p)
                metric = _Metric.of(a, bounded(a.add(h, shifted(gram, LEAST)), h.bits), ridge)
        error = a.add(p, target, -1, "error")
        gradient = a.add(cross(a, x, error, "gradient"), a.times_public(w, ridge[:, None]))
        down = metric.solve(a, gradient)
        w = a.add(w, down if classes == 1 else a.times(down, STEP), -1, "step")
        if classes > 1:
            w = a.add(w, a.mean(w, (1,), keepdims=True), -1, "centre")
        w = _weights(a, w)
        a.engine.step(w.wire, metric.power.wire, metric.s.wire)
    return w


def _weights(a: Arithmetic, w: Number) -> Number:
    w = at_scale(a, w, FINE)
    return bounded(a.lift(w, FINE) if w.scale < FINE else w, FINE + a.format.integer)


@dataclass(frozen=True)
class _Metric:
    """H^-1 = 2^DEPTH S P S for each class, or for all of them: s (blocks, d), power (blocks, d, d)."""

    s: Number
    power: Number

    @classmethod
    def of(cls, a: Arithmetic, h: Number, ridge: Vector) -> "_Metric":
        found = balanced(a, bounded(a.add_public(h, np.diag(ridge)), h.bits))
        return cls(found.s, inverse(a, found.matrix).values)

    def solve(self, a: Arithmetic, gradient: Number) -> Number:
        """H^-1 g for g (d, classes), below 2^integer."""
        (d, classes), blocks = gradient.shape, self.s.shape[0]
        g = a.reshape(a.permute(at_scale(a, gradient, FINEST), (1, 0)), (blocks, classes // blocks, d))
        s = a.reshape(self.s, (blocks, 1, d))
        g = a.multiply(g, s, "balance", bits=min(CAPACITY, FINEST + s.scale + LARGEST))
        g = a.permute(at_scale(a, g, FINEST), (0, 2, 1))
        u = shifted(product(a, self.power, g, CAPACITY - UNIT - FINEST, "newton"), DEPTH)
        u = a.permute(at_scale(a, u, FINE), (0, 2, 1))
        u = at_scale(a, a.multiply(u, s, "balance", bits=FINE + s.scale + a.format.integer), FINE)
        return a.permute(a.reshape(u, (classes, d)), (1, 0))


def _hessians(a: Arithmetic, x: Number, p: Number) -> Number:
    """X^T diag(p (1 - p)) X / 2^q for each class: (classes, d, d)."""
    (n, d), classes = x.shape, p.shape[1]
    spread = a.add(p, a.multiply(p, p, "hessian", bits=2 * p.scale + 1), -1, "hessian")
    spread = a.reshape(at_scale(a, spread, COARSER), (n, classes, 1))
    weighted = a.multiply(a.reshape(x, (n, 1, d)), spread, "hessian", bits=x.bits + COARSER - 1)
    h = cross(a, x, a.reshape(weighted, (n, classes * d)), "hessian")
    return a.permute(a.reshape(h, (d, classes, d)), (1, 0, 2))
