"""Random choices that are public, and that all parties draw alike: dropout's masks, from the session's generator.

Nothing else is drawn here. Noise or samples in a secret's shape are meant to be secret: `session.random`.
"""

from typing import Any

import torch

from tacit.errors import Unsupported
from tacit.torch.rules import handles, is_public
from tacit.torch.tensor import SecretTensor

aten = torch.ops.aten


@handles(aten.bernoulli_.float)
def bernoulli_(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Fills a place that is public so far, like the mask that dropout makes beside its input."""
    target = args[0]
    if type(target) is not SecretTensor or not is_public(target):
        raise Unsupported(
            f"{func} into a tensor that holds secrets, and what it draws is public: draw into torch.empty_like(x), or take "
            "session.random(shape), which no party knows"
        )
    chance = float(args[1] if len(args) > 1 else 0.5)
    if not 0 <= chance <= 1:
        raise ValueError(f"bernoulli_ with a probability of {chance}: it has to be between 0 and 1")
    chosen = _generator(func, target, kwargs).random(tuple(target.shape)) < chance
    target.write(torch.from_numpy(chosen).to(target.dtype))
    return target


def _generator(func: Any, x: SecretTensor, kwargs: dict[str, Any]) -> Any:
    if kwargs.get("generator") is not None:
        raise Unsupported(f"{func} with a torch generator: parties draw alike from their session's generator alone")
    return x._cell.arithmetic.generator
