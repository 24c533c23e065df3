"""Plain operands of secret operations: tensors to float64 arrays, and constants recognised as one number."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.errors import Unsupported
from tacit.field import contiguous
from tacit.numbers.arithmetic import Number

Operand = Number | torch.Tensor | float
"""An operand of a rule: a secret, a public tensor, or a Python number."""


def array(x: torch.Tensor | float) -> NDArray[np.float64]:
    """A public tensor (floating, integer or boolean) or number as float64."""
    if not isinstance(x, torch.Tensor):
        return np.asarray(x, np.float64)
    if x.is_complex() or x.layout != torch.strided or x.is_quantized:
        raise Unsupported(f"a public tensor of {x.dtype} and {x.layout} meets a secret: use a dense real tensor")
    return contiguous(x.detach().to("cpu", torch.float64).numpy())


def scalar(x: torch.Tensor | float) -> float | None:
    """The number that all elements of `x` are, if that is plain from its layout (one element, or expanded from one)."""
    if not isinstance(x, torch.Tensor):
        return float(x)
    if x.is_complex():
        return None
    if x.numel() == 1:
        return float(x.detach().reshape(()))
    if x.numel() and all(stride == 0 or size == 1 for stride, size in zip(x.stride(), x.shape, strict=True)):
        return float(x.detach()[(0,) * x.dim()])
    return None


def shape_of(x: Operand) -> tuple[int, ...]:
    return x.shape if isinstance(x, Number) else tuple(x.shape) if isinstance(x, torch.Tensor) else ()


def ints(values: Any, count: int) -> tuple[int, ...]:
    """torch's int-or-list arguments as `count` ints."""
    listed = [values] if isinstance(values, int) else list(values)
    return tuple(int(v) for v in (listed * count if len(listed) == 1 else listed))


def axes(dims: Sequence[int] | int | None, rank: int) -> tuple[int, ...]:
    """Sorted, non-negative axes; all for None or an empty list."""
    listed = [dims] if isinstance(dims, int) else list(dims or range(rank))
    return tuple(sorted(d % rank for d in listed)) if rank else ()


def plain(values: NDArray[np.float64], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A revealed array as a tensor."""
    return torch.from_numpy(np.array(values, np.float64)).to(dtype)
