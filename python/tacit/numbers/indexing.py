"""NumPy's indexing of secret numbers by public keys: integers, slices, index arrays, masks, None and `...`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import Unsupported
from tacit.field import size
from tacit.numbers.arithmetic import Arithmetic, Number


def indexed(arithmetic: Arithmetic, x: Number, key: Any) -> Number:
    """x[key]: slices and integers axis by axis, a list of rows at once, anything else by places in the flattened array."""
    keys = key if isinstance(key, tuple) else (key,)
    for k in keys:
        if not (k is None or k is Ellipsis or isinstance(k, slice | int | np.integer | list | np.ndarray)):
            raise Unsupported(
                f"a secret array is indexed by public integers, slices and arrays, not {type(k).__name__}"
            )
    if len(keys) == 1 and isinstance(keys[0], list | np.ndarray) and x.shape:
        rows = np.asarray(keys[0])
        if rows.ndim == 1 and rows.dtype.kind in "iub" and not (rows.dtype == bool and len(rows) != x.shape[0]):
            return arithmetic.gather(x, 0, _rows(rows, x.shape[0]).tolist())
    if not any(isinstance(k, list | np.ndarray | bool) for k in keys):
        return _sliced(arithmetic, x, keys)
    places = np.arange(size(x.shape)).reshape(x.shape)[key]
    flat = arithmetic.reshape(x, (size(x.shape),))
    return arithmetic.reshape(arithmetic.gather(flat, 0, places.reshape(-1).tolist()), places.shape)


def _rows(rows: NDArray[Any], length: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.arange(length)[rows]  # NumPy's own rules and errors
    return found


def _sliced(arithmetic: Arithmetic, x: Number, keys: tuple[Any, ...]) -> Number:
    wanted = np.broadcast_to(np.zeros(1), x.shape)[keys].shape  # NumPy checks the key and knows the shape
    axis = 0
    used = sum(k is not None and k is not Ellipsis for k in keys)
    for k in keys:
        if k is None:
            continue
        if k is Ellipsis:
            axis += len(x.shape) - used
            continue
        x = _along(arithmetic, x, axis, k)
        axis += 1
    return arithmetic.reshape(x, wanted)


def _along(arithmetic: Arithmetic, x: Number, axis: int, key: Any) -> Number:
    """One axis by a slice, or by an integer, which leaves an axis of length 1."""
    length = x.shape[axis]
    chosen = range(length)[key] if isinstance(key, slice) else range(length)[key : key + 1 or None]
    if chosen == range(length):
        return x
    if chosen.step < 0:
        return arithmetic.gather(x, axis, list(chosen))
    return arithmetic.slice(x, axis, chosen.start, chosen.stop, chosen.step)
