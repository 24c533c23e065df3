"""Secrets of either kind, `SecretArray` or `SecretTensor`, as numbers and back."""

import sys
from dataclasses import dataclass
from typing import Any

from tacit.errors import BadInput
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.array import SecretArray


@dataclass(frozen=True)
class Kind:
    """Where results of a computation go: the session, and whether they are tensors (of this dtype) or arrays."""

    arithmetic: Arithmetic
    dtype: Any = None

    def wrap(self, number: Number) -> Any:
        if self.dtype is None:
            return SecretArray(self.arithmetic, number)
        from tacit import torch as secret_torch

        return secret_torch.wrap(self.arithmetic, number, self.dtype)


def is_tensor(x: Any) -> bool:
    # Another party's thread may be importing torch at this moment; where x is one, the module is complete.
    return isinstance(x, getattr(sys.modules.get("tacit.torch.tensor"), "SecretTensor", ()))


def kind(x: Any, what: str = "X") -> Kind:
    if isinstance(x, SecretArray):
        return Kind(x.arithmetic)
    if is_tensor(x):
        import torch

        return Kind(x._cell.arithmetic, x.dtype if x.is_floating_point() else torch.float32)
    raise BadInput(
        f"{what} is a {type(x).__name__}, which is not secret: give it to session.secret(..., owner=...) first"
    )


def number(x: Any, of: Kind, what: str = "X") -> Number:
    """The number that `x`, a secret of the same session, holds now."""
    if kind(x, what).arithmetic is not of.arithmetic:
        raise BadInput(f"{what} belongs to another session")
    if isinstance(x, SecretArray):
        return x.number
    from tacit import torch as secret_torch

    return secret_torch.number(x)


def table(x: Any, of: Kind, columns: int | None = None, what: str = "X") -> Number:
    """`x` of shape (rows, columns), in the format."""
    found = number(x, of, what)
    if len(found.shape) != 2 or 0 in found.shape:
        raise BadInput(
            f"{what} has the shape {found.shape}: a table of rows and columns is needed (of one column: reshape(-1, 1))"
        )
    if columns is not None and found.shape[1] != columns:
        raise BadInput(f"{what} has {found.shape[1]} columns, but the estimator was fitted on {columns}")
    return _narrow(of.arithmetic, found)


def column(a: Arithmetic, y: Number) -> Number:
    """y of shape (rows, targets) or (rows,), as a table."""
    if len(y.shape) not in (1, 2) or 0 in y.shape:
        raise BadInput(f"y has the shape {y.shape}: (rows,) or (rows, targets) is needed")
    return _narrow(a, a.reshape(y, (*y.shape, 1)) if len(y.shape) == 1 else y)


def _narrow(a: Arithmetic, x: Number) -> Number:
    """x in the format: neither wider nor finer nor coarser."""
    x, fraction = a.rescale(x), a.format.fraction
    if x.scale >= fraction:
        return a.truncate(x, x.scale - fraction)
    if x.bits - x.scale > a.format.integer:
        raise BadInput(
            f"numbers of {x.bits - x.scale} integer bits: scale them to the {a.format.integer} of the format"
        )
    return a.lift(x, fraction)


def same_rows(x: Number, y: Number) -> None:
    if x.shape[:1] != y.shape[:1]:
        raise BadInput(f"X of shape {x.shape} and y of shape {y.shape} have different numbers of rows")
