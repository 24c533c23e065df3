"""Whether any value of a step left its contract: one bit is revealed for all of them.

    left = [sum over x of ([x >= t] + 1 - [x >= -t]) >= 1],    t = 2^bound + max(2^bound / 8, 2)
Looked at are the values that a wrong range does harm to: what the step truncated, compared, or wrote to state. A value beyond
5/4 of its bound (by two units at least: rounding may reach the bound) is found, one inside it never; 15 bytes and 6 rounds for
each. What is beyond 2^17 bounds, or 2^59, has wrapped, and is found as often as chance has it: in a training that diverges there
are many.
"""

import numpy as np

from tacit import field as fp
from tacit.engine.engine import Engine
from tacit.sharing.comparison import FILL
from tacit.sharing.maps import Combine, Concat, LinearMap, Reshape, Slice, Sum
from tacit.sharing.operations import AtLeast, Linear, Shift
from tacit.sharing.wires import Wire

BEYOND = 17
"""Bits beyond the bound that are told from what is inside: as many as 21 leading bits can."""


def left(engine: Engine) -> bool:
    """Whether one of `engine.watched` left its contract. Reveals this, and nothing else, to all parties."""
    bounds: dict[int, tuple[Wire, int]] = {}
    for wire, bound in engine.watched or ():
        if bound and fp.size(wire.shape):
            bounds[id(wire)] = wire, min(bound, bounds.get(id(wire), (wire, bound))[1])
    by_bound: dict[int, list[Wire]] = {}
    for wire, bound in bounds.values():
        by_bound.setdefault(bound, []).append(wire)
    counts = [_count(engine, wires, bound) for bound, wires in sorted(by_bound.items())]
    if not counts:
        return False
    total = engine.record(Linear(Combine((1,) * len(counts))), tuple(counts), (1,), "guard")
    (found,) = engine.reveal([engine.record(AtLeast((1,), 40, 0), (total,), (1, 1), "guard")])
    assert found is not None
    return bool(found.any())


def _count(engine: Engine, wires: list[Wire], bound: int) -> Wire:
    """How many comparisons say that a value is outside: shape (1,)."""
    size = sum(fp.size(w.shape) for w in wires)

    def linear(map: LinearMap, *inputs: Wire) -> Wire:
        return engine.record(Linear(map), inputs, map.shape(*(i.shape for i in inputs)), "guard")

    joined = linear(Concat(0), *(linear(Reshape((fp.size(w.shape),)), w) for w in wires))
    edge = (1 << bound) + max((1 << bound) >> 3, 2)
    compare = AtLeast((edge, -edge), min(bound + BEYOND, FILL), engine.protocol.leading)
    bits = engine.record(compare, (joined,), (2, size), "guard")
    counted = linear(Sum((1,)), bits)
    outside = linear(Combine((1, -1)), linear(Slice(0, 0, 1), counted), linear(Slice(0, 1, 2), counted))
    return engine.record(Shift(np.array([size], np.uint64)), (outside,), (1,), "guard")
