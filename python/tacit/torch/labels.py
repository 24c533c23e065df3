"""Secret integers that stand for a one-hot: k = sum_c c e_c.

Labels of classes, and the places that argmax and max-pooling find. A use as an index is a product with the one-hot, which
follows views of the index.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tacit.errors import Unsupported
from tacit.graph.maps import Expand, Gather, LinearMap, Permute, Reshape, Slice
from tacit.numbers import selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.selection import ONE_HOT
from tacit.torch.operands import Operand, array


def one_hot(a: Arithmetic, x: Number) -> Number | None:
    """The one-hot of an index, along one more axis, the last; None if `x` is none. Local."""
    if (known := ONE_HOT.of(x)) is not None:
        return known
    if x.base is None or (rows := one_hot(a, x.base[1])) is None or (seen := _viewed(a, x.base[0], rows)) is None:
        return None
    return ONE_HOT.note(x, seen)


def needed(a: Arithmetic, x: Number, func: Any) -> Number:
    """The one-hot of an index, or an error that says what is one."""
    found = one_hot(a, x)
    if found is None:
        raise Unsupported(
            f"{func} with a secret index that has no one-hot: indices are what session.labels, argmax and max give, and views "
            "of these. Other secret integers are not; nor are secret booleans, as in x[x > 2], whose result would show how many "
            "are true: use torch.where(x > 2, x, 0), or multiply by the mask"
        )
    return found


def joined(a: Arithmetic, numbers: Sequence[Number], axis: int) -> Number:
    """Concatenated; of indices with the same classes, the one-hots as well."""
    out = a.concat(numbers, axis)
    one_hots = [one_hot(a, x) for x in numbers]
    known = [e for e in one_hots if e is not None]
    if len(known) == len(numbers) and len({e.shape[-1] for e in known}) == 1:
        ONE_HOT.note(out, a.concat(known, axis))
    return out


def equal(a: Arithmetic, x: Number, y: Operand) -> Number | torch.Tensor | None:
    """[x == y] for an index x and an index or public y, from one-hots: nothing is compared. None if either is no index."""
    mine = one_hot(a, x)
    if mine is None:
        return None
    if isinstance(y, Number):
        theirs = one_hot(a, y)
        return None if theirs is None else _product(a, mine, theirs)
    wanted, classes = array(y), mine.shape[-1]
    valid = (wanted == np.rint(wanted)) & (wanted >= 0) & (wanted < classes)
    if not valid.any():
        return torch.zeros(np.broadcast_shapes(x.shape, wanted.shape), dtype=torch.bool)
    places = np.where(valid, wanted, 0).astype(np.int64)
    last = len(x.shape)
    if (x.shape[-1:] == (1,) and wanted.ndim == 1) or not wanted.ndim:  # the same classes of all rows
        rows = a.gather(mine, last, places.reshape(-1).tolist())
        found = a.reshape(rows, (*x.shape[:-1], len(wanted)) if wanted.ndim else x.shape)
        return found if valid.all() else selection.bit(a.times_public(found, valid.astype(np.float64)))
    shape = np.broadcast_shapes(x.shape, wanted.shape)
    chosen = (places[..., None] == np.arange(classes)) & valid[..., None]
    rows = a.times_public(
        a.expand(mine, (*shape, classes)), np.broadcast_to(chosen.astype(np.float64), (*shape, classes))
    )
    return selection.bit(selection.only(a, rows, (len(shape),)))


def _product(a: Arithmetic, x: Number, y: Number) -> Number:
    """sum_c x_c y_c"""
    classes = min(x.shape[-1], y.shape[-1])
    x, y = (a.slice(e, len(e.shape) - 1, 0, classes) if e.shape[-1] > classes else e for e in (x, y))
    both = a.multiply(x, y, "equal", bits=1)
    return selection.bit(selection.only(a, both, (len(both.shape) - 1,)))


def _viewed(a: Arithmetic, map: LinearMap, rows: Number) -> Number | None:
    """`map`, which was applied to an index, applied to its one-hot."""
    classes = rows.shape[-1]
    match map:
        case Reshape(to):
            return a.reshape(rows, (*to, classes))
        case Expand(to):
            return a.expand(rows, (*to, classes))
        case Permute(axes):
            return a.permute(rows, (*axes, len(axes)))
        case Slice() | Gather():
            return a.view(rows, map)
    return None
