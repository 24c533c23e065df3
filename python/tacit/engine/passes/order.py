"""The order in which the pending values of a graph are computed, alike at all parties.

Inputs come first, chains of truncations are merged, and a truncation comes right after its input: what it opens then serves all
other uses of that value.
"""

from collections.abc import Sequence

from tacit.engine.passes import divisions
from tacit.graph.operations import AtLeast, Truncate
from tacit.graph.wires import Wire
from tacit.protocols.gadgets.comparison import joins


def pending(wires: Sequence[Wire]) -> list[Wire]:
    """The pending wires that `wires` depend on, in the order of computation."""
    return _truncations_first(divisions.merged(_ordered(wires), wires))


def _ordered(wires: Sequence[Wire]) -> list[Wire]:
    """Pending wires that `wires` need, inputs first, in an order that depends on the graph only."""
    order: list[Wire] = []
    seen: set[int] = set()
    for root in wires:
        stack = [(root, False)]
        while stack:
            wire, expanded = stack.pop()
            if expanded:
                order.append(wire)
            elif wire.pending and id(wire) not in seen:
                seen.add(id(wire))
                stack.append((wire, True))
                stack.extend((i, False) for i in reversed(wire.inputs))
    return order


def _truncations_first(order: Sequence[Wire]) -> list[Wire]:
    """Each truncation right after its input: what it opens then serves all other uses of that value."""
    inside = {id(w) for w in order}
    held: dict[int, list[Wire]] = {}
    result: list[Wire] = []
    ready: list[Wire] = []
    for wire in order:
        if isinstance(wire.operation, Truncate):
            (x,) = wire.inputs
            (held.setdefault(id(x), []) if id(x) in inside else ready).append(wire)
    for wire in (*ready, *(w for w in order if not isinstance(w.operation, Truncate))):
        stack = [wire]
        while stack:
            result.append(last := stack.pop())
            stack.extend(reversed(held.get(id(last), ())))
    return result


def shared_openings(order: Sequence[Wire], leading: int) -> dict[int, Wire]:
    """By id of a truncation's wire: a comparison of the same value in the same graph, which can open it for both."""
    truncations: dict[int, Wire] = {}
    for w in order:
        if isinstance(w.operation, Truncate):
            truncations.setdefault(id(w.inputs[0]), w)
    joined: dict[int, Wire] = {}
    for w in order:
        if not isinstance(w.operation, AtLeast) or (found := truncations.get(id(w.inputs[0]))) is None:
            continue
        assert isinstance(found.operation, Truncate)
        if joins(w.operation, found.operation, leading):
            joined.setdefault(id(found), w)
    return joined
