"""The guard reveals one bit to all parties: whether any value left its contract since it looked last.

    left = [sum over x of ([x >= t] + 1 - [x >= -t]) >= 1],    t = 2^bound + max(2^bound / 8, 1 + ulps)
Looked at are the values that a wrong range does harm to: what was truncated, compared, or written to state. A value beyond
5/4 of its bound (by a unit and `Protocol.ulps` at least, since what was truncated may be off by as much) is found, one inside it
never; 15 bytes and 6 rounds for each. A value beyond 2^17 bounds, or 2^59, has wrapped, and is found as often as chance has it:
in a training that diverges there are many.

It looks at the end of every so many steps; before each reveal, at what was computed since (in a step that is not looked at: for
the reveal); at the session's end; and when `CROWDED` elements wait for it, since their shares are kept until then.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from tacit import field as fp
from tacit.errors import ConfigurationError, OutOfRange
from tacit.field import CAPACITY
from tacit.graph.maps import Combine, Concat, LinearMap, Reshape, Slice, Sum
from tacit.graph.operations import AtLeast, Linear, Shift, Truncate, Winners
from tacit.graph.wires import Wire
from tacit.protocols.gadgets.comparison import FILL

if TYPE_CHECKING:
    from tacit.engine.engine import Engine

BEYOND = 17
"""Bits beyond the bound that are told from what is inside: as many as 21 leading bits can."""
CROWDED = 1 << 22


class Guard:
    """The guard of one engine. `every`: it looks after every so many steps; 0: never, at anything."""

    def __init__(self, engine: "Engine", every: int) -> None:
        if every < 0:
            raise ConfigurationError(f"guard={every}: True, or at every so many steps")
        self._engine, self._every = engine, every
        self._steps = 0
        self._waiting: dict[int, tuple[Wire, int]] = {}
        """By identity: values that were not looked at yet, and their bits."""
        self._elements = 0
        self._watching = every == 1
        self._looking = False

    def computed(self, wire: Wire) -> None:
        """`wire` is about to be computed: what it is made from is looked at, if a wrong range does harm there."""
        if self._watching and isinstance(wire.operation, AtLeast | Truncate | Winners):
            # What is compared may be a multiple that the contract gives fewer bits.
            most = CAPACITY if isinstance(wire.operation, Truncate) else wire.operation.magnitude
            for x in wire.inputs:
                self._wait(x, min(x.bound, most))

    def written(self, wires: Iterable[Wire]) -> None:
        """State that lives on."""
        if self._watching:
            for wire in wires:
                self._wait(wire, wire.bound)

    def _wait(self, wire: Wire, bound: int) -> None:
        if not bound or not (size := fp.size(wire.shape)):
            return
        _, known = self._waiting.get(id(wire), (wire, 0))
        self._elements += 0 if known else size
        self._waiting[id(wire)] = wire, min(bound, known or bound)

    def step(self) -> None:
        """A step is over."""
        self._steps += 1
        due = self._every > 0 and self._steps % self._every == 0
        self._watching = self._every > 0 and (self._steps + 1) % self._every == 0
        if due:
            self._look(f"step {self._steps}")
        self._waiting, self._elements = {}, 0

    @contextmanager
    def before(self, what: str) -> Iterator[None]:
        """Whatever step this is, what is computed inside is looked at, and what waits for it: all before `what`."""
        if not self._every or self._looking:
            yield
            return
        watching, self._watching = self._watching, True
        try:
            yield
        finally:
            self._watching = watching
        self._look(f"before {what}, after {self._steps} steps")

    def crowded(self) -> None:
        """Look now, if too much waits."""
        if self._elements > CROWDED and not self._looking:
            self._look(f"in step {self._steps + 1}")

    def _look(self, when: str) -> None:
        """`OutOfRange` at all parties, if some value that waits left its contract. Opens one bit, and nothing else."""
        waiting, self._waiting, self._elements = self._waiting, {}, 0
        watching, self._watching, self._looking = self._watching, False, True
        try:
            found = _left(self._engine, waiting.values())
        finally:
            self._watching, self._looking = watching, False
        if found:
            raise OutOfRange(
                f"{when}: some value left its contract: the training diverges, or the data are too large for the format. "
                "Lower the learning rate, scale the data, or declare a format with more integer bits; session(debug=True) on "
                "made-up data names the line"
            )


def _left(engine: "Engine", waiting: Iterable[tuple[Wire, int]]) -> bool:
    by_bound: dict[int, list[Wire]] = {}
    for wire, bound in waiting:
        by_bound.setdefault(bound, []).append(wire)
    counts = [_count(engine, wires, bound) for bound, wires in sorted(by_bound.items())]
    if not counts:
        return False
    total = engine.record(Linear(Combine((1,) * len(counts))), tuple(counts), (1,), "guard")
    (found,) = engine.reveal([engine.record(AtLeast((1,), 40, 0), (total,), (1, 1), "guard")])
    assert found is not None
    return bool(found.any())


def _count(engine: "Engine", wires: list[Wire], bound: int) -> Wire:
    """How many comparisons say that a value is outside: shape (1,)."""
    size = sum(fp.size(w.shape) for w in wires)

    def linear(map: LinearMap, *inputs: Wire) -> Wire:
        return engine.record(Linear(map), inputs, map.shape(*(i.shape for i in inputs)), "guard")

    joined = linear(Concat(0), *(linear(Reshape((fp.size(w.shape),)), w) for w in wires))
    edge = (1 << bound) + max((1 << bound) >> 3, 1 + engine.protocol.ulps)
    compare = AtLeast((edge, -edge), min(bound + BEYOND, FILL), engine.protocol.leading)
    bits = engine.record(compare, (joined,), (2, size), "guard")
    counted = linear(Sum((1,)), bits)
    outside = linear(Combine((1, -1)), linear(Slice(0, 0, 1), counted), linear(Slice(0, 1, 2), counted))
    return engine.record(Shift(np.array([size], np.uint64)), (outside,), (1,), "guard")
