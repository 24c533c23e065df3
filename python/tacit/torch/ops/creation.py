"""New tensors from secret ones: constants, which are public and say so, and copies."""

from collections.abc import Sequence
from typing import Any

import torch

from tacit.errors import Unsupported
from tacit.numbers.arithmetic import Number
from tacit.torch.ops.selection import converted
from tacit.torch.rules import handles
from tacit.torch.tensor import Cell, SecretTensor

aten = torch.ops.aten


def constant(x: SecretTensor, value: float, shape: Sequence[int] | None = None, dtype: Any = None) -> Any:
    """A public value beside `x`: one number expanded, so that a product with it is free. Integers: a plain tensor."""
    kind = dtype or x.dtype
    sizes = tuple(x.shape) if shape is None else tuple(int(n) for n in shape)
    if not kind.is_floating_point:
        return torch.full(sizes, value, dtype=kind)
    return SecretTensor(Cell(x._cell.arithmetic, torch.tensor(value, dtype=kind).expand(sizes)), (), sizes, kind)


@handles(aten.zeros_like.default, aten.empty_like.default)
def zeros_like(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return constant(args[0], 0.0, None, kwargs.get("dtype"))


@handles(aten.ones_like.default)
def ones_like(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return constant(args[0], 1.0, None, kwargs.get("dtype"))


@handles(aten.full_like.default)
def full_like(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return constant(args[0], _number(func, args[1]), None, kwargs.get("dtype"))


@handles(aten.new_zeros.default, aten.new_empty.default, aten.new_empty_strided.default)
def new_zeros(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return constant(args[0], 0.0, args[1], kwargs.get("dtype"))


@handles(aten.new_ones.default)
def new_ones(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return constant(args[0], 1.0, args[1], kwargs.get("dtype"))


@handles(aten.new_full.default)
def new_full(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return constant(args[0], _number(func, args[2]), args[1], kwargs.get("dtype"))


def _number(func: Any, value: Any) -> float:
    if isinstance(value, torch.Tensor):
        raise Unsupported(f"{func} with a tensor as its value: expand the tensor instead")
    return float(value)


@handles(aten.detach.default)
def detach(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SecretTensor:
    x: SecretTensor = args[0]
    name_gradient(x._cell)
    return x.again()


def name_gradient(cell: Cell) -> None:
    """Call a gradient after the leaf that it is being added to."""
    if not cell.name and (node := torch._C._current_autograd_node()) is not None:
        leaf = getattr(node, "variable", None)
        if type(leaf) is SecretTensor and leaf._cell.name:
            cell.name = f"gradient of {leaf._cell.name}"


@handles(aten.clone.default)
def clone(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SecretTensor:
    x: SecretTensor = args[0]
    copy = SecretTensor(Cell(x._cell.arithmetic, x.read(), x._cell.name), (), tuple(x.shape), x.dtype)
    # Autograd keeps a gradient as it is, or clones it if something else still holds it, which may be so at one party only:
    # both have to look alike.
    name_gradient(copy._cell)
    if not torch.is_grad_enabled() and torch._C._current_autograd_node() is None:
        copy._cell.narrow()  # an optimiser's state, to be updated at every step
    return copy


@handles(aten._to_copy.default)
def to_copy(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    x: SecretTensor = args[0]
    dtype, device = kwargs.get("dtype") or x.dtype, kwargs.get("device")
    if device is not None and torch.device(device).type != "cpu":
        raise Unsupported(f"{func} of a secret tensor to {device}: shares are kept in memory of the host")
    value, a = x.read(), x._cell.arithmetic
    if isinstance(value, Number):
        value = converted(a, value, x.dtype, dtype)
    elif not dtype.is_floating_point:
        return value.to(dtype)
    return SecretTensor(Cell(a, value), (), tuple(x.shape), dtype)
