"""Facts of a value beside its share, found once and used again: bits of comparisons, one-hots, mantissas, a softmax.

    fact(kind, x, parameters),    x = (wire, scale, bits):    kept with the wire, under the kind, the scale and the parameters
A wire is an integer array; x and 2^k x are one wire at two scales, and by the contract one of them may have fewer bits. So a fact
is asked for by the number, and found only if it is true of that number: at its scale (or of the integers, whatever the scale),
and for at least as many bits. A place that is written to holds another number afterwards, of which nothing is known.

The table is part of the wire, so that it lives as long as the value: facts lead back to their value, which a table beside it
(a `WeakKeyDictionary`) would then never let go.
"""

import math
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar, cast

from tacit.graph.wires import Wire

T = TypeVar("T")

RECENT = 16
"""So many facts of one kind are kept of a value: data may be compared with something new in every step."""


class Seen(Protocol):
    """A `Number`: a wire at a scale, in so many bits."""

    @property
    def wire(self) -> Wire: ...

    @property
    def scale(self) -> int: ...

    @property
    def bits(self) -> int: ...


class Fact(Generic[T]):
    """A kind of fact, with values of type T. Kinds are told apart by identity; they hold nothing of a session.

    Parameters
    ----------
    name
        For whoever debugs.
    integers
        It is true of the integers behind a number, whatever its scale. Else of the number at its scale.
    bounded
        It was found for numbers of so many bits, and is true of no wider ones. Else of the value, whatever bits are stated.
    lasting
        It stays true of a number that is truncated, or lifted.
    """

    __slots__ = ("bounded", "integers", "lasting", "name")

    def __init__(self, name: str, *, integers: bool = False, bounded: bool = True, lasting: bool = False) -> None:
        self.name, self.integers, self.bounded, self.lasting = name, integers, bounded, lasting

    def __repr__(self) -> str:
        return f"Fact({self.name!r})"

    def of(self, x: Seen, *parameters: Hashable) -> T | None:
        """The fact noted for x with these parameters, if it is true of x in its bits."""
        bits, value = x.wire.facts.get(self, {}).get((self._scale(x), parameters), (-1.0, None))
        return cast("T | None", value if bits >= x.bits else None)

    def note(self, x: Seen, value: T, *parameters: Hashable) -> T:
        """Keep `value`; the oldest of more than `RECENT` is forgotten."""
        kept = x.wire.facts.setdefault(self, {})
        kept[self._scale(x), parameters] = (x.bits if self.bounded else math.inf, value)
        if len(kept) > RECENT:
            del kept[next(iter(kept))]
        return value

    def found(self, x: Seen, make: Callable[[], T], *parameters: Hashable) -> T:
        """The fact that was noted, or else the result of `make`, which is noted."""
        known = self.of(x, *parameters)
        return self.note(x, make(), *parameters) if known is None else known

    def parameters(self, x: Seen) -> Iterator[tuple[Hashable, ...]]:
        """With which parameters something is known of x."""
        for (scale, given), (bits, _) in x.wire.facts.get(self, {}).items():
            if scale == self._scale(x) and bits >= x.bits:
                yield given

    def _scale(self, x: Seen) -> int | None:
        return None if self.integers else x.scale


def follow(new: Wire, old: Wire, drop: int) -> None:
    """The lasting facts of `old` are true of `new`, the same value at a scale that is lower by `drop`."""
    for kind, kept in old.facts.items():
        if kind.lasting:
            moved = {((None if s is None else s - drop), given): entry for (s, given), entry in kept.items()}
            new.facts.setdefault(kind, {}).update(moved)
