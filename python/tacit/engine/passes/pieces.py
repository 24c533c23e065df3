"""Comparisons, winners and truncations whose material would be more than a portion takes (`Plan.most`) are lowered in pieces:

    f(x) = (f(x_1), ..., f(x_k)),      x_j: some rows of x, of equal material
Openings of the x_j open x, and openings of the f(x_j) open f(x). Pieces of several portions run one after the other, so that
there are more rounds, and no more bytes; what is held meanwhile, on the way included, is that of a piece.
"""

from collections.abc import Sequence

import numpy as np

from tacit.correlations.masks import Opening, carry
from tacit.field import size
from tacit.graph.maps import Concat, LinearMap, Reshape, Shape, Slice
from tacit.graph.operations import AtLeast, Linear, Truncate, Winners
from tacit.graph.wires import Wire
from tacit.interaction.rounds import Task
from tacit.protocols.base import Protocol
from tacit.protocols.gadgets import argmax, comparison
from tacit.protocols.opening import OpeningProtocol
from tacit.protocols.plan import Plan

Rowwise = AtLeast | Truncate | Winners
LARGE = 1 << 13
"""Bytes: no comparison of two numbers asks for as many, so that a few are lowered without a closer look."""


def lower(protocol: Protocol, wire: Wire, plan: Plan) -> Task:
    """As its operation lowers `wire`, in one piece if that is possible."""
    operation = wire.operation
    if plan.most and isinstance(protocol, OpeningProtocol) and isinstance(operation, Rowwise):
        (x,) = wire.inputs
        kept = x.shape[-1:] if isinstance(operation, Winners) else ()
        rows = size(x.shape[: len(x.shape) - len(kept)])
        if LARGE * size(wire.shape) * size(kept) <= plan.most:
            return protocol.lower(wire, plan)
        step = max(1, plan.most // max(1, _material(protocol, wire, kept, plan)))
        if step < rows:
            count = -(-rows // step)
            return _in_pieces(protocol, wire, (rows, *kept), -(-rows // count), plan)
    return protocol.lower(wire, plan)


def _material(protocol: OpeningProtocol, wire: Wire, kept: Shape, plan: Plan) -> int:
    """Bytes that one row asks for."""
    asked, sign = Plan(0), plan.shared_openings.get(id(wire))
    match sign.operation if sign else wire.operation:
        case AtLeast() as operation:
            drop = wire.operation.bits if isinstance(wire.operation, Truncate) else 0
            compared = comparison.Compared(protocol, operation, (1,), asked, drop)
            comparison.ending(compared.ring, (len(operation.thresholds), 1), asked)
        case Winners() as operation:
            argmax.Contest(protocol, operation, (1, *kept), asked)
        case Truncate() as operation:
            asked.truncation((1,), operation.divisor, 1)
    return sum(r.bytes for r in asked.requests)


def _in_pieces(protocol: OpeningProtocol, wire: Wire, flat: Shape, step: int, plan: Plan) -> Task:
    """`step` rows of x at a time, if it has the shape `flat`."""
    (x,) = wire.inputs
    sign = plan.shared_openings.get(id(wire))
    made = [wire] if sign is None else [wire, sign]
    whole = _view(protocol, Reshape(flat), x, plan)
    xs: list[Wire] = []
    parts: list[list[Wire]] = [[] for _ in made]
    for start in range(0, flat[0], step):
        rows = _view(protocol, Slice(0, start, min(start + step, flat[0])), whole, plan)
        piece, *signs = [Wire(w.operation, (rows,), _shape(w, rows.shape), w.label) for w in made if w.operation]
        if signs:
            piece.task = comparison.lower_both(protocol, piece, signs[0], plan)
        else:
            piece.task = protocol.lower(piece, plan)
        xs.append(rows)
        for part, w in zip(parts, (piece, *signs), strict=True):
            part.append(w)
    known = protocol.open_values.known
    if known(x, False) is None and (opening := _joined(0, x.shape, [known(w, False) for w in xs])) is not None:
        protocol.opens(x, opening)
    for w, part in zip(made, parts, strict=True):
        w.task = _join(protocol, w, part, plan)
    assert wire.task is not None
    return wire.task


def _view(protocol: Protocol, map: LinearMap, x: Wire, plan: Plan) -> Wire:
    view = Wire(Linear(map), (x,), map.shape(x.shape), x.label)
    view.task = protocol.lower(view, plan)
    return view


def _shape(wire: Wire, rows: Shape) -> Shape:
    return (wire.shape[0], *rows) if isinstance(wire.operation, AtLeast) else rows


def _join(protocol: OpeningProtocol, wire: Wire, parts: Sequence[Wire], plan: Plan) -> Task:
    axis = int(isinstance(wire.operation, AtLeast))

    def run() -> None:
        components = zip(*(part.value() for part in parts), strict=True)
        wire.share = tuple(np.concatenate(arrays, axis).reshape(wire.shape) for arrays in components)

    openings = protocol.open_values
    openings.decompose(wire, _joined(axis, wire.shape, [openings.decomposed(part) for part in parts]))
    return plan.task(run, [part.task for part in parts], wire.label)


def _joined(axis: int, shape: Shape, openings: Sequence[Opening | None]) -> Opening | None:
    known = tuple(opening for opening in openings if opening is not None)
    flat = carry(Concat(axis), known) if len(known) == len(openings) else None
    return None if flat is None else carry(Reshape(shape), (flat,))
