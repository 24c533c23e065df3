"""The largest of n, as a one-hot: all pairs are compared at once, and the winner is who wins all of its n - 1 pairs.

    b_ij = [x_i >= x_j] for i < j, exact;   b_ji = 1 - b_ij;   w_i = product of b_ij over j
Exactly one w_i is 1, that of the first of the largest, since exact comparisons of pairs are one order. The products are taken
before the bits leave GF(2): a bit opened for each factor, ceil(log2(n - 1)) rounds.
"""

from typing import TYPE_CHECKING

import numpy as np

from tacit import field
from tacit.field import size
from tacit.graph.maps import Shape
from tacit.graph.operations import AtLeast, Winners
from tacit.graph.wires import Share, Wire
from tacit.interaction.exchange import Rounds
from tacit.interaction.rounds import Task
from tacit.protocols.gadgets.carry_tree import Conjunction
from tacit.protocols.gadgets.comparison import Compared, ending
from tacit.protocols.plan import Plan

if TYPE_CHECKING:
    from tacit.protocols.opening import OpeningProtocol


class Contest:
    """All pairs of the last axis of `shape`, the products of their bits, and what these become."""

    def __init__(self, protocol: "OpeningProtocol", operation: Winners, shape: Shape, plan: Plan) -> None:
        *lead, n = shape
        self.pairs = (*lead, n * (n - 1) // 2)
        bits = operation.magnitude + 2
        pair = AtLeast((0,), operation.magnitude, bits if bits <= protocol.leading else 0)
        self.compared = Compared(protocol, pair, self.pairs, plan)
        self.every = Conjunction(self.compared.ring, n - 1, shape, plan)
        self.end = ending(self.compared.ring, shape, plan)


def lower(protocol: "OpeningProtocol", operation: Winners, wire: Wire, plan: Plan) -> Task:
    """One-hots along the last axis of x, of two elements or more."""
    (x,) = wire.inputs
    n = x.shape[-1]
    first, second = np.triu_indices(n, 1)
    contest = Contest(protocol, operation, x.shape, plan)
    compared, every, end, pairs = contest.compared, contest.every, contest.end, contest.pairs
    # Of the stacked bits [b, 1 - b], the n - 1 that each element needs.
    place = np.zeros((n, n), np.int64)
    place[first, second] = np.arange(len(first))
    place[second, first] = np.arange(len(first)) + len(first)
    needed = place[~np.eye(n, dtype=bool)].reshape(n, n - 1).T

    def differences() -> Share:
        return tuple(
            field.sub(field.contiguous(part[..., first]), field.contiguous(part[..., second])) for part in x.value()
        )

    def run() -> Rounds:
        b = tuple(part[0] for part in (yield from compared.climb()))
        lost = compared.ring.affine(np.ones(pairs, np.int64), (np.full(pairs, -1), b))
        both = tuple(np.concatenate(parts, axis=-1) for parts in zip(b, lost, strict=True))
        factors = tuple(np.ascontiguousarray(np.moveaxis(part[..., needed], -2, 0)) for part in both)
        winners = yield from every.climb(factors)
        wire.share = yield from end.run(winners)

    opened = plan.task(lambda: compared.open(differences()), (x.task,), wire.label, *protocol.opening_cost(size(pairs)))
    ring = compared.ring
    costs = [ring.cost(k * size(pairs)) for k in compared.opens] + [ring.cost(k * size(x.shape)) for k in every.opens]
    costs.append(end.cost())
    task = plan.task(run, (opened,), wire.label, sum(c for c, _ in costs), sum(b for _, b in costs))
    protocol.open_values.decompose(wire, end.opening(task))
    protocol.noted(wire, "winners")
    return task
