"""NumPy arrays as operands: what x * a does for a torch tensor, and a * x as well."""

from typing import Any

import numpy as np
import torch

_OPERATORS = (
    *(f"__{side}{name}__" for name in ("add", "sub", "mul", "truediv", "matmul", "pow") for side in ("", "r")),
    *(f"__{name}__" for name in ("lt", "le", "gt", "ge", "eq", "ne", "and", "or", "xor")),
)


def operators(kind: Any) -> Any:
    """Have the operators of this kind of tensor take arrays, and NumPy leave them to it."""
    for name in _OPERATORS:
        setattr(kind, name, _taking(getattr(torch.Tensor, name)))
    kind.__array_ufunc__ = None
    kind.__hash__ = torch.Tensor.__hash__
    return kind


def _taking(operator: Any) -> Any:
    def method(x: Any, other: Any) -> Any:
        return operator(x, torch.as_tensor(other) if isinstance(other, np.ndarray | np.generic) else other)

    method.__name__ = operator.__name__
    return method
