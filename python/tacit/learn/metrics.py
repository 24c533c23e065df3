"""How good predictions are, as one secret number."""

import math
from typing import Any

import numpy as np

from tacit.errors import BadInput
from tacit.learn import targets
from tacit.learn.estimator import unweighted
from tacit.learn.moments import average, centred, squares
from tacit.learn.secrets import column, kind, number
from tacit.numbers import selection
from tacit.numbers.arithmetic import Arithmetic
from tacit.numbers.functions.normal import divide


def accuracy_score(y_true: Any, y_pred: Any, *, sample_weight: None = None) -> Any:
    """The share of the rows whose class was predicted, to 2^-16. Secret, (). One product.

    Both as labels: 0 and 1, one-hots, or indices. `y_pred` may also be probabilities, (rows, classes) or of class 1 (rows,): the
    largest, or those above 1/2, are found by exact comparisons.
    """
    unweighted(sample_weight)
    of = kind(y_true, "y_true")
    a = of.arithmetic
    true, said = targets.read(y_true, of, "y_true"), targets.read(y_pred, of, "y_pred")
    rows = true.bits.shape[0], said.bits.shape[0]
    if true.classes != said.classes or rows[0] != rows[1]:
        raise BadInput(f"y_true of {rows[0]} rows and {true.classes} classes, y_pred of {rows[1]} and {said.classes}")
    if not (said.bits.bits == 1 and said.bits.scale == 0):
        scores = said.bits if said.form is not targets.Form.BITS else said.columns(a)
        said = targets.decided(a, scores, 0.5)
    right = selection.picked(a, true.one_hots(a), said.one_hots(a), (1,))
    return of.wrap(average(a, right))


def r2_score(y_true: Any, y_pred: Any, *, sample_weight: None = None) -> Any:
    """1 - sum (y - p)^2 / sum (y - mean y)^2, over the rows; the mean of it over columns, if there are several. Secret, ().

    Right to 1 part in 2^13 of 1 - R^2, and to 2^-20 over the variance of y, for |y - p| within the contract; where R^2 is lower
    than the format holds, about its lowest number. As in scikit-learn, a y that never changes (whose deviation is below 2^-13, or
    what truncations are off by) gives 1 if it was met and else 0; two rows at least. One exact comparison a column.
    """
    unweighted(sample_weight)
    of = kind(y_true, "y_true")
    a, y, p = of.arithmetic, number(y_true, of, "y_true"), number(y_pred, of, "y_pred")
    if len(y.shape) not in (1, 2) or len(p.shape) not in (1, 2) or (*y.shape, 1)[:2] != (*p.shape, 1)[:2]:
        raise BadInput(
            f"y_true of shape {y.shape} and y_pred of shape {p.shape}: the same (rows,) or (rows, targets) is needed"
        )
    if y.shape[0] < 2:
        raise BadInput("R^2 of one row is not defined: take two rows or more")
    y, p = (column(a, z) for z in (y, p))
    t = y.shape[1]
    both = a.rescale(a.concat([a.add(y, p, -1), centred(a, y).values], 1))
    sums = squares(a, both, "r2_score")
    missed, spread = a.slice(sums, 0, 0, t), a.slice(sums, 0, t, 2 * t)
    ratio = divide(a, missed, spread)
    changes = selection.compare(a, spread, ">=", _constant(a))
    unmet = selection.compare(a, missed, ">=", _constant(a))
    ratio = a.add(unmet, selection.masked(a, changes, a.add(ratio, unmet, -1)))
    return of.wrap(a.add_public(a.negate(a.mean(ratio, (0,))), np.asarray(1.0)))


def _constant(a: Arithmetic) -> float:
    """The square of what a mean is off by: two truncations."""
    return math.ldexp(2.0 * a.engine.protocol.ulps, -a.format.fraction) ** 2
