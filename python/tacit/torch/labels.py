"""Secret integers that stand for a one-hot: k = sum_c c e_c.

Labels of classes, and the places that argmax and max-pooling find. A use as an index is a product with the one-hot, which
follows views of the index.
"""

from typing import Any

from tacit.errors import Unsupported
from tacit.fixed.arithmetic import Arithmetic, Number
from tacit.fixed.selection import ONE_HOT
from tacit.sharing.maps import Expand, Gather, LinearMap, Permute, Reshape, Slice


def one_hot(a: Arithmetic, x: Number) -> Number | None:
    """The one-hot of an index, along one more axis, the last; None if `x` is none. Local."""
    if x.scale != 0:  # some multiple of an index
        return None
    companions = x.wire.companions
    if ONE_HOT not in companions and x.base is not None:
        map, whole = x.base
        rows = one_hot(a, whole)
        companions[ONE_HOT] = None if rows is None else _viewed(a, map, rows)
    found: Number | None = companions.get(ONE_HOT)
    return found


def needed(a: Arithmetic, x: Number, func: Any) -> Number:
    """The one-hot of an index, or an error that says what is one."""
    found = one_hot(a, x)
    if found is None:
        raise Unsupported(
            f"{func} with a secret index that has no one-hot: indices are what session.labels, argmax and max give, and views "
            "of these; other secret integers are not"
        )
    return found


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
