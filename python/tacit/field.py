"""The field F_p, p = 2^61 - 2^21 + 1, on NumPy arrays: broadcasting and axes here, arithmetic in the Rust core.

Elements are canonical uint64 in [0, p). A signed integer v stands for v mod p; |v| < p / 2.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tacit import _core

Field = NDArray[np.uint64]
T = TypeVar("T", bound=np.generic)
P: int = _core.P
CAPACITY = 58
"""Bits of signed magnitude that a stored integer may have: truncation needs |x| < 2^58 - 2^22 (see `gadgets.truncation`)."""


def contiguous(a: NDArray[T]) -> NDArray[T]:
    """`a` in C order, of the same shape: NumPy's function of that name makes one-element vectors of single numbers."""
    return np.asarray(a, order="C")


def _pair(a: Field, b: Field) -> tuple[Field, Field]:
    if a.shape != b.shape:
        a, b = np.broadcast_arrays(a, b)
    return contiguous(a), contiguous(b)


def add(a: Field, b: Field) -> Field:
    return _core.add(*_pair(a, b))


def sub(a: Field, b: Field) -> Field:
    return _core.sub(*_pair(a, b))


def mul(a: Field, b: Field) -> Field:
    return _core.mul(*_pair(a, b))


def scale(a: Field, k: int) -> Field:
    """k a, for a public integer k of either sign."""
    k %= P
    if k == 1:
        return a
    if k == P - 1:
        return _core.neg(contiguous(a))
    return _core.scale(contiguous(a), k)


def total(a: Field, axes: Sequence[int], keepdims: bool = False) -> Field:
    """Sum over `axes`, mod p."""
    kept = [i for i in range(a.ndim) if i not in axes]
    shape = (
        tuple(1 if i in axes else a.shape[i] for i in range(a.ndim)) if keepdims else tuple(a.shape[i] for i in kept)
    )
    moved = contiguous(a.transpose([*axes, *kept]))
    length = int(np.prod([a.shape[i] for i in axes], dtype=np.int64))
    inner = int(np.prod([a.shape[i] for i in kept], dtype=np.int64))
    return _core.sum(moved, 1, length, inner).reshape(shape)


def from_signed(values: NDArray[np.int64]) -> Field:
    return _core.from_signed(contiguous(np.asarray(values, np.int64)))


def to_signed(a: Field) -> NDArray[np.int64]:
    return _core.to_signed(contiguous(a))


def size(shape: Sequence[int]) -> int:
    """Number of elements of `shape`."""
    count = 1
    for n in shape:
        count *= n
    return count
