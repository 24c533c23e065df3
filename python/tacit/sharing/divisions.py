"""Truncations with public factors between them become one, by another divisor (`sharing.truncation`):

    y = m_1 (m_2 (... z / a) / b) / c   ->   y = sign z / d,     d = round(a b c / |m_1 m_2|)
One opening for several, and one rounding. Only where d is as near as public factors are, and where nothing else that is computed
uses what lies between, or compares z: a comparison is opened together with z / a.
"""

from collections import Counter
from collections.abc import Sequence

from tacit.sharing.maps import Combine
from tacit.sharing.operations import AtLeast, Linear, Truncate
from tacit.sharing.requests import divides
from tacit.sharing.wires import Wire

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
                made, sign, inside = chain
                y.becomes(Linear(Combine((sign,))), (made,))
                backwards.append(made)
                left_out |= inside
    return backwards[::-1]


def _chain(y: Wire, last: Truncate, uses: Counter[int], compared: set[int]) -> tuple[Wire, int, set[int]] | None:
    """z / d, sign, and what lies between (by id), for the longest chain that `y` ends."""
    factor, divisor = 1, last.divisor
    passed: list[int] = []
    found = None
    (x,) = y.inputs
    while x.pending and uses[id(x)] == 1:
        passed.append(id(x))
        match x.operation:
            case Linear(map=Combine(coefficients=(m,))) if m:
                factor *= m
            case Truncate(divisor=d, magnitude=magnitude) if id(x.inputs[0]) not in compared:
                divisor *= d
                whole = (divisor + abs(factor) // 2) // abs(factor)
                if whole >= FINE and divides(whole):
                    found = Truncate(whole, magnitude), x.inputs, 1 if factor > 0 else -1, set(passed)
            case _:
                break
        (x,) = x.inputs
    if found is None:
        return None
    operation, inputs, sign, inside = found
    made = Wire(operation, inputs, y.shape, y.label)
    made.bound = y.bound
    return made, sign, inside
