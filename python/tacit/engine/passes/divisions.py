"""Truncations with public factors between them become one, by another divisor (`gadgets.truncation`):

    y = m_1 (m_2 (... z / a) / b) / c             ->   y = sign z / d,             d = round(a b c / |m_1 m_2|)
    y = (k c x + m_1 (m_2 (... z / a) / b)) / c   ->   y = k x + sign z / d
One opening for several, and one rounding. Only where d is as near as public factors are, and where nothing else that is computed
uses what lies between, or compares z: a comparison is opened together with z / a. Views between are seen afterwards.
"""

from collections import Counter
from collections.abc import Sequence

from tacit.correlations.requests import divides
from tacit.graph.maps import Combine, LinearMap
from tacit.graph.operations import AtLeast, Linear, Truncate
from tacit.graph.wires import Wire

FINE = 1 << 17
"""From here on a divisor is off by 2^-18 of itself at most. Public factors have 16 significant bits."""


def merged(order: Sequence[Wire], forced: Sequence[Wire]) -> list[Wire]:
    """The pending wires `order`, inputs first, with what ends such a chain rewritten, and without what it does not need then."""
    uses = Counter([id(x) for w in order for x in w.inputs] + [id(w) for w in forced])
    compared = {id(w.inputs[0]) for w in order if isinstance(w.operation, AtLeast)}
    left_out: set[int] = set()
    backwards: list[Wire] = []
    for y in reversed(order):  # the last of a chain first
        if id(y) not in left_out:
            backwards.append(y)
            if isinstance(y.operation, Truncate) and (chain := _chain(y, y.operation, uses, compared)) is not None:
                terms, made, inside = chain
                y.becomes(Linear(Combine(tuple(k for k, _ in terms))), tuple(x for _, x in terms))
                backwards += reversed(made)
                left_out |= inside
    return backwards[::-1]


def _chain(
    y: Wire, last: Truncate, uses: Counter[int], compared: set[int]
) -> tuple[list[tuple[int, Wire]], list[Wire], set[int]] | None:
    """For the longest chain that `y` ends: what it is the sum of, z / d and views of it, what lies between (by id)."""
    divisor, (x,) = last.divisor, y.inputs
    passed: list[int] = []
    views: list[LinearMap] = []
    whole: list[tuple[int, Wire]] = []
    factor = 1
    if uses[id(x)] == 1 and (apart := _apart(x, divisor)) is not None:
        passed.append(id(x))
        whole, (factor, x) = apart
    found = None
    while x.pending and uses[id(x)] == 1:
        passed.append(id(x))
        match x.operation:
            case Linear(map=Combine(coefficients=(m,))) if m:
                factor *= m
            case Linear(map=map) if map.view and len(x.inputs) == 1:
                views.append(map)
            case Truncate(divisor=d, magnitude=magnitude) if id(x.inputs[0]) not in compared:
                divisor *= d
                rounded = (divisor + abs(factor) // 2) // abs(factor)
                if rounded >= FINE and divides(rounded):
                    found = Truncate(rounded, magnitude), x, 1 if factor > 0 else -1, len(views), len(passed)
            case _:
                break
        (x,) = x.inputs
    if found is None:
        return None
    operation, end, sign, seen, inside = found
    made = [Wire(operation, end.inputs, end.shape, y.label)]
    for map in reversed(views[:seen]):
        made.append(Wire(Linear(map), (made[-1],), map.shape(made[-1].shape), y.label))
    for wire in made:
        wire.bound = 0 if whole else y.bound  # of a part of a sum nothing is stated
    return [*whole, (sign, made[-1])], made, set(passed[:inside])


def _apart(x: Wire, divisor: int) -> tuple[list[tuple[int, Wire]], tuple[int, Wire]] | None:
    """x / divisor as a sum of whole multiples of values, and the one term that is still to be divided."""
    if x.pending and isinstance(x.operation, Linear) and isinstance(x.operation.map, Combine):
        terms = list(zip(x.operation.map.coefficients, x.inputs, strict=True))
        whole = [(k // divisor, w) for k, w in terms if k % divisor == 0]
        rest = [(k, w) for k, w in terms if k % divisor]
        if whole and len(rest) == 1:
            return whole, rest[0]
    return None
