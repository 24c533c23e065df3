"""Products that are truncated at once, themselves or in a sum, are opened for both together (`Shamir.bilinear`):

    y = (k f(x, y) + rest) / d
Such a product is lowered when its sum is, so that all that the opening waits for is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tacit.graph.maps import Combine
from tacit.graph.operations import Bilinear, Linear, Truncate
from tacit.graph.wires import Wire


@dataclass(frozen=True)
class Fused:
    """`total`: the sum that is truncated, if it is not the product itself."""

    product: Wire
    total: Wire | None
    truncation: Wire

    @property
    def terms(self) -> tuple[int, list[tuple[int, Wire]]]:
        """k, and the rest: coefficients and values."""
        if self.total is None:
            return 1, []
        assert isinstance(self.total.operation, Linear) and isinstance(self.total.operation.map, Combine)
        terms = list(zip(self.total.operation.map.coefficients, self.total.inputs, strict=True))
        at = next(i for i, (_, w) in enumerate(terms) if w is self.product)
        return terms.pop(at)[0], terms


def found(pending: Sequence[Wire], apart: Mapping[int, Wire]) -> dict[int, Fused]:
    """By id of the product's wire. `apart`: truncations that something else opens."""
    products = {id(w) for w in pending if isinstance(w.operation, Bilinear)}
    first: dict[int, Wire] = {}  # what uses a value first
    for w in pending:
        for x in w.inputs:
            first.setdefault(id(x), w)
    fused: dict[int, Fused] = {}
    for w in pending:
        if not isinstance(w.operation, Truncate) or id(w) in apart:
            continue
        (x,) = w.inputs
        if id(x) in products:
            fused.setdefault(id(x), Fused(x, None, w))
        elif x.pending and isinstance(x.operation, Linear) and isinstance(x.operation.map, Combine):
            for k, term in zip(x.operation.map.coefficients, x.inputs, strict=True):
                # Used before, or twice in the sum, it is not just another term of it.
                once = first[id(term)] is x and sum(term is other for other in x.inputs) == 1
                if k and once and id(term) in products - fused.keys():
                    fused[id(term)] = Fused(term, x, w)
                    break
    return fused


def ordered(pending: Sequence[Wire], fused: Mapping[int, Fused]) -> list[Wire]:
    """`pending` with each fused product right before its sum."""
    sums = {id(f.total): f.product for f in fused.values() if f.total is not None}
    late = {id(product) for product in sums.values()}
    order: list[Wire] = []
    for w in pending:
        if (product := sums.get(id(w))) is not None:
            order.append(product)
        if id(w) not in late:
            order.append(w)
    return order
