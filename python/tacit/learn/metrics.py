"""How good predictions are, as one secret number; all of it is exact but for R^2's division."""

from typing import Any

import numpy as np

from tacit.errors import BadInput
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.fixed.functions.normal import divide
from tacit.learn.moments import centred, mean, squares
from tacit.learn.secrets import kind, number


def r2_score(y_true: Any, y_pred: Any) -> Any:
    """1 - sum (y - p)^2 / sum (y - mean y)^2, over the rows; the mean of it over columns, if there are several. Secret, ().

    Right for |y| and |y - p| below 2^11 (in the default format), to 2^-20 over the variance of y; a y that never changes
    gives 1.
    """
    of = kind(y_true, "y_true")
    a, y, p = of.arithmetic, number(y_true, of, "y_true"), number(y_pred, of, "y_pred")
    if y.shape != p.shape or len(y.shape) not in (1, 2):
        raise BadInput(
            f"y_true of shape {y.shape} and y_pred of shape {p.shape}: the same (rows,) or (rows, targets) is needed"
        )
    y, p = (_column(a, a.round(z)) for z in (y, p))
    t = y.shape[1]
    both = a.round(a.concat([a.add(y, p, -1), centred(a, y, mean(a, y))], 1))
    sums = squares(a, both, "r2_score")
    ratio = divide(a, a.slice(sums, 0, 0, t), a.slice(sums, 0, t, 2 * t))
    return of.wrap(a.add_public(a.negate(a.mean(ratio, (0,))), np.asarray(1.0)))


def _column(a: Arithmetic, x: Number) -> Number:
    return a.reshape(x, (*x.shape, 1)) if len(x.shape) == 1 else x
