"""Random choices that are public, and that all parties draw alike: dropout's masks, from the session's generator."""

from typing import Any

import torch

from tacit.errors import Unsupported
from tacit.torch.rules import handles, is_public
from tacit.torch.tensor import Cell, SecretTensor

aten = torch.ops.aten


@handles(aten.bernoulli_.float)
def bernoulli_(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Fills a place that is public so far, like the mask that dropout makes beside its input."""
    target = args[0]
    if type(target) is not SecretTensor or not is_public(target):
        raise Unsupported(f"{func} into a tensor that holds secrets: draw into torch.empty_like(x)")
    chance = float(args[1] if len(args) > 1 else 0.5)
    if not 0 <= chance <= 1:
        raise ValueError(f"bernoulli_ with a probability of {chance}: it has to be between 0 and 1")
    chosen = _generator(func, target, kwargs).random(tuple(target.shape)) < chance
    target.write(torch.from_numpy(chosen).to(target.dtype))
    return target


@handles(aten.rand_like.default)
def rand_like(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _like(args[0], _generator(func, args[0], kwargs).random(tuple(args[0].shape)))


@handles(aten.randn_like.default)
def randn_like(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return _like(args[0], _generator(func, args[0], kwargs).standard_normal(tuple(args[0].shape)))


def _like(x: SecretTensor, values: Any) -> SecretTensor:
    return SecretTensor(Cell(x._cell.arithmetic, torch.as_tensor(values).to(x.dtype)), (), tuple(x.shape), x.dtype)


def _generator(func: Any, x: SecretTensor, kwargs: dict[str, Any]) -> Any:
    if kwargs.get("generator") is not None:
        raise Unsupported(f"{func} with a torch generator: parties draw alike from their session's generator alone")
    return x._cell.arithmetic.generator
