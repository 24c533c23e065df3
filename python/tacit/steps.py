"""Marks what a party computes and an adversary may compute otherwise.

A marked method is called as ever. `tacit.testing.cheating` finds all of them and replaces one at one party.
"""

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
MARK = "__tacit_step__"


def protocol_step(function: F) -> F:
    """A step of a protocol: what it returns, or yields, is what the other parties get to see of this party's computing."""
    setattr(function, MARK, True)
    return function
