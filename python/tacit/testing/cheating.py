"""A cheater: a party with one named step of its own computing replaced.

    with replaced("preprocessing.lattice.link.Link.open", 0, lambda honest, *given: lie(honest(*given))): ...

Messages that are altered on the way (`testing.transport.Tampered`) never fit what their sender goes on with. A cheater that
computes otherwise is consistent with itself, as a real one is. `steps()` enumerates what can be replaced, from the code.
"""

import functools
import importlib
import inspect
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import tacit
from tacit._core import LatticeParty
from tacit.steps import MARK

Lie = Callable[..., Any]
"""`lie(honest, *arguments)`: what the cheater does in place of `honest(*arguments)`; a method's first argument is its object."""
HOLDERS = (
    "",
    "channel",
    "_channel",
    "link",
    "_link",
    "group",
    "_group",
    "shares",
    "_shares",
    "protocol",
    "_protocol",
    "engine",
    "_engine",
)
"""Where an object keeps the party that it belongs to: in its own `me`, or in that of one of these."""
OUTSIDE = ("tacit.testing", "tacit.launch", "tacit.cli", "tacit._core", "tacit.torch", "tacit.learn")
"""Packages that take no part in a protocol. The last two only record operations, and would import torch."""
LATTICE = "_core.LatticeParty."
"""The steps of a preparation's party that Rust computes, of which each gives a message."""
MESSAGES = ("hello", "encrypt", "scale", "respond")


@dataclass(frozen=True)
class Step:
    """`place` (a class or a module) has the function under the attribute `method`."""

    name: str
    place: Any
    method: str

    @property
    def generator(self) -> bool:
        """True if it yields rounds (`protocols.plan.Rounds`)."""
        return inspect.isgeneratorfunction(inspect.unwrap(getattr(self.place, self.method)))


def modules() -> Iterator[Any]:
    """Every module of tacit that takes part in a protocol."""
    for found in pkgutil.walk_packages(tacit.__path__, "tacit."):
        if not found.name.startswith(OUTSIDE):
            yield importlib.import_module(found.name)


def steps() -> dict[str, Step]:
    """All marked functions and methods, and those of `LatticeParty` that make messages, by name."""
    found = {LATTICE + method: Step(LATTICE + method, LatticeParty, method) for method in MESSAGES}
    for module in modules():
        within = module.__name__.removeprefix("tacit.")
        inside = [v for v in vars(module).values() if getattr(v, "__module__", "") == module.__name__]
        for place in (module, *(v for v in inside if isinstance(v, type))):
            prefix = within if place is module else f"{within}.{place.__name__}"
            for method, function in vars(place).items():
                if getattr(function, MARK, False) and function.__module__ == module.__name__:
                    found[f"{prefix}.{method}"] = Step(f"{prefix}.{method}", place, method)
    return found


def party_of(given: Sequence[Any]) -> int:
    """The party that computes with these arguments: that of the first one that belongs to one."""
    for thing in given:
        for holder in HOLDERS:
            party = getattr(getattr(thing, holder, None) if holder else thing, "me", None)
            if isinstance(party, int):
                return party
    raise TypeError(f"no argument of {[type(g).__name__ for g in given]} says which party it belongs to")


@contextmanager
def replaced(step: Step | str, party: int | None, lie: Lie) -> Iterator[list[str]]:
    """Within the block, `party` (None: every party of this process) does `lie` in place of the step, or the one of that name.

    Yields a list that grows by the step's name with each call by the cheater: a test asserts that it is not empty.
    """
    step = steps()[step] if isinstance(step, str) else step
    calls: list[str] = []
    lock = threading.Lock()

    def noted() -> None:
        with lock:
            calls.append(step.name)

    within = _lattice if step.name.startswith(LATTICE) else _python
    with within(step, party, lie, noted):
        yield calls


def _loaded() -> list[Any]:
    """The modules of tacit that are there, except this one."""
    return [m for n, m in sys.modules.items() if n.startswith("tacit.") and n != __name__ and m is not None]


@contextmanager
def _python(step: Step, party: int | None, lie: Lie, noted: Callable[[], None]) -> Iterator[None]:
    honest = vars(step.place)[step.method]

    @functools.wraps(honest)
    def cheating(*given: Any, **named: Any) -> Any:
        if party is not None and party_of(given) != party:
            return honest(*given, **named)
        noted()
        return lie(honest, *given, **named)

    # A function that other modules have imported by name is replaced there, too.
    places = [step.place] if isinstance(step.place, type) else _loaded()
    held = [(place, key) for place in places for key, value in vars(place).items() if value is honest]
    for place, key in held:
        setattr(place, key, cheating)
    try:
        yield
    finally:
        for place, key in held:
            setattr(place, key, honest)


@contextmanager
def _lattice(step: Step, party: int | None, lie: Lie, noted: Callable[[], None]) -> Iterator[None]:
    """Every `LatticeParty` that is made within the block is the cheater's, if it is that party's."""

    class Cheating:
        def __init__(self, session: bytes, me: int, parties: int, seed: bytes) -> None:
            self.me, self._honest = me, honest(session, me, parties, seed)

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._honest, name)
            if name != step.method or (party is not None and self.me != party):
                return found

            def cheating(*given: Any) -> Any:
                noted()
                return lie(lambda _, *g: found(*g), self, *given)

            return cheating

    places = [m for m in _loaded() if hasattr(m, "LatticeParty") and m.__name__ != "tacit._core"]
    (honest,) = {m.LatticeParty for m in places}  # Rust's, or a cheater's whose step is another one
    for place in places:
        place.LatticeParty = Cheating
    try:
        yield
    finally:
        for place in places:
            place.LatticeParty = honest
