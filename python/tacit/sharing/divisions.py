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


def merge(order: Sequence[Wire], forced: Sequence[Wire]) -> bool:
    """Rewrite what ends such a chain among the pending wires `order`, inputs first. Whether there was any."""
    uses = Counter(id(x) for w in order for x in w.inputs)
    uses.update(id(w) for w in forced)
    compared = {id(w.inputs[0]) for w in order if isinstance(w.operation, AtLeast)}
    left_out: set[int] = set()
    for y in reversed(order):  # the longest chains first
        if isinstance(y.operation, Truncate) and id(y) not in left_out:
            left_out |= _merge(y, y.operation, uses, compared)
    return bool(left_out)


def _merge(y: Wire, last: Truncate, uses: Counter[int], compared: set[int]) -> set[int]:
    """Rewrite `y` if it ends a chain. What it needs no longer."""
    factor, divisor = 1, last.divisor
    passed: list[int] = []
    left_out: list[int] = []
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
                    sign, left_out = 1 if factor > 0 else -1, passed[:]
                    made = Wire(Truncate(whole, magnitude), x.inputs, y.shape, y.label)
            case _:
                break
        (x,) = x.inputs
    if left_out:
        made.bound = y.bound
        y.becomes(Linear(Combine((sign,))), (made,))
    return set(left_out)
