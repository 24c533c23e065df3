"""The table of operations: one look-up by overload. A missing one is built by the generic rules, or refused."""

from collections.abc import Callable
from typing import Any

Handler = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
"""handler(func, args, kwargs), with tensors as PyTorch gives them."""

TABLE: dict[Any, Handler] = {}
"""By torch.ops overload. Holds rules only, nothing of a session."""

DERIVED: dict[Any, Handler] = {}
"""The same for overloads that a generic rule was found for."""

GENERIC: list[Callable[[Any], Handler | None]] = []
"""Tried in order for an overload that is not in the table; the last one refuses."""


def dispatch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    handler = TABLE.get(func) or DERIVED.get(func)
    if handler is None:
        handler = DERIVED[func] = next(found for rule in GENERIC if (found := rule(func)) is not None)
    return handler(func, args, kwargs)
