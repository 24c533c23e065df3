"""Numbers, and the bits that bound them: how they are rescaled, and what the contract says of them.

    contract: bits <= scale + format.integer, whatever was done (but beside public factors that are beyond the format)
A number that the contract does not bound is `beyond` it: its bits are then those that it may really have.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from tacit import field as fp
from tacit.engine.engine import Engine
from tacit.errors import OutOfRange
from tacit.field import CAPACITY
from tacit.graph.maps import Combine, LinearMap, Shape
from tacit.graph.operations import Linear, Truncate
from tacit.graph.wires import Wire
from tacit.numbers.format import Format
from tacit.numbers.known import Fact, follow

UNBOUNDED = 1 << 30
DEEPER = 4
"""Bits below the format's width that a truncation may go, so that one serves where another would be made."""
TRUNCATED: Fact[Wire] = Fact("truncated", integers=True)
"""By bits dropped: once for all uses."""
NEAR = 2
"""A truncation by about as many bits as wanted is used again: 2 x is not opened anew when x was truncated."""


@dataclass(frozen=True, eq=False)
class Number:
    """A secret array of reals: a wire of integers, its scale, and the bits that bound them. Both are public.

    x and 2^k x are one wire at two scales: they share openings and truncations.
    """

    wire: Wire
    scale: int
    bits: int
    coarsest: int | None = None
    """None where the contract holds. A public number beyond the format makes it say nothing: then only `bits` bound this, and no
    truncation may bring it below this scale."""

    @property
    def beyond(self) -> bool:
        return self.coarsest is not None

    @property
    def shape(self) -> Shape:
        return self.wire.shape

    @property
    def base(self) -> "tuple[LinearMap, Number] | None":
        """(map, x) if this is a view of x."""
        found = self.wire.base
        return None if found is None else (found[0], Number(found[1], self.scale, self.bits, self.coarsest))


class Rescaling:
    """Truncations, each found once, and the bits of what is recorded: the ground of `Arithmetic`."""

    def __init__(self, engine: Engine, format: Format) -> None:
        self.engine, self.format = engine, format

    def rescale(self, x: Number) -> Number:
        """x in about as many bits as the format has; once for each value, and through the value that x is a view of.

        A number beyond the format is not truncated below its coarsest scale.
        """
        drop = self._excess(x)
        if drop <= 0:
            return x
        known = self._truncations(x)
        near = [d for d in known if drop <= d <= drop + DEEPER] or [d for d in known if drop - NEAR <= d < drop]
        return self.truncate(x, near[0] if near else drop)

    def _excess(self, x: Number) -> int:
        excess = x.bits - self.format.bits
        return excess if x.coarsest is None else min(excess, x.scale - x.coarsest)

    def truncate(self, x: Number, drop: int) -> Number:
        """x at scale - drop, rounded at random: one opening; off by less than `Protocol.ulps` units."""
        if drop <= 0:
            return x
        if drop >= CAPACITY:  # below any unit that is left
            return self._linear(Combine((0,)), (x,), x.scale - drop, 1, "truncate")
        return Number(self._truncated(x, drop), x.scale - drop, max(1, x.bits - drop), x.coarsest)

    def _truncated(self, x: Number, drop: int) -> Wire:
        """Once for each value, and for all views of a value that is not larger than they are."""
        if (known := TRUNCATED.of(x, drop)) is not None:
            return known
        wire = x.wire
        if (base := x.base) is not None and fp.size(base[1].shape) <= fp.size(wire.shape):
            map, whole = base
            inner = self._truncated(whole, drop)
            found = self.engine.record(Linear(map), (inner,), wire.shape, "view")
            found.views(map, inner)
        else:
            found = self.engine.record(Truncate(1 << drop, wire.bound or CAPACITY), (wire,), wire.shape, "truncate")
        found.bound = max(1, wire.bound - drop) if wire.bound else 0
        follow(found, wire, drop)
        return TRUNCATED.note(x, found, drop)

    def like(self, x: Number, scale: int) -> Number:
        """x for a place that keeps its scale, whatever is written to it. Its bits are its contract's, not its first value's."""
        x = self.truncate(x, x.scale - scale)
        bits = max(self._cap(scale), x.bits + scale - x.scale)
        if x.beyond:
            self._fits(bits, "a write")
        bits = min(bits, CAPACITY)
        if x.scale < scale:
            lifted = self._linear(Combine((1 << (scale - x.scale),)), (x,), scale, bits, "write")
            follow(lifted.wire, x.wire, x.scale - scale)
            return lifted
        return Number(x.wire, scale, bits, x.coarsest)

    def _room(self, x: Number, bits: int, more: int = 0) -> Number:
        """x in at most `bits` bits: as it was truncated before, if that left the width of the format or nearly what is asked.

        A number beyond the format may be `more` bits above its coarsest scale, or below if that is negative.
        """
        drop = x.bits - bits
        if drop <= 0:
            return x
        if x.coarsest is not None and x.scale - drop < min(x.scale, x.coarsest) + more:
            self.within(x, "a product or sum")
        deepest = max(drop + NEAR, x.bits - self.format.bits + DEEPER)
        return self.truncate(x, min((d for d in self._truncations(x) if drop <= d <= deepest), default=drop))

    @staticmethod
    def _truncations(x: Number) -> list[int]:
        """The bits that x, or what it is a view of, was truncated by."""
        return [cast(int, drop) for (drop,) in TRUNCATED.parameters(x if x.base is None else x.base[1])]

    def _summable(self, x: Number, terms: int, cap: int | None = None) -> tuple[Number, int]:
        """x with room for a sum of `terms`, and the bits of that sum: below `cap`, if the contract holds for it."""
        grown = x.bits + log2(terms)
        excess = (grown if cap is None else min(grown, cap)) - CAPACITY
        if excess <= 0:
            return x, grown if cap is None else min(grown, cap)
        x = self._room(x, x.bits - excess)
        return x, min(x.bits + log2(terms), CAPACITY)

    def _shrunk(self, bits: int, scale: int, name: str, beyond: bool = False) -> int:
        bits = max(1, min(bits, self._cap(scale, beyond)))
        self._fits(bits, name)
        return bits

    def _grown(self, x: Number, grow: int, s: int, sizes: tuple[float, float], name: str) -> tuple[int, int | None]:
        """Bits and coarsest scale of x times factors of these least and largest sizes, x growing by so many bits."""
        beyond = x.beyond or sizes[1] >= 2.0**self.format.integer
        bits = self._shrunk(x.bits + grow, x.scale + s, name, beyond)
        if not (beyond and self._exceeds(bits, x.scale + s)):
            return bits, None
        return bits, self._coarsest(x) - (math.frexp(sizes[0])[1] - 1 if sizes[0] < math.inf else 0)

    def _coarsest(self, *numbers: Number) -> int:
        """The scale below which none of these is truncated."""
        return max(self.format.fraction if n.coarsest is None else n.coarsest for n in numbers)

    def _cap(self, scale: int, beyond: bool = False) -> int:
        """The contract: below 2^integer, but for what is `beyond` it."""
        return UNBOUNDED if beyond else max(1, scale + self.format.integer)

    def resolved(self, x: Number, name: str) -> Number:
        """x, for a function that needs its places: refused if a public factor beyond the format has made them coarser."""
        return x if x.coarsest is None or x.coarsest >= self.format.fraction else self.within(x, name)

    def within(self, x: Number, name: str) -> Number:
        """x, for an operation that relies on the contract: refused if a public factor has taken x beyond it."""
        if x.beyond:
            raise OutOfRange(
                f"{name} of a secret beside public numbers of 2^{self.format.integer} or more, which are beyond the format: what "
                "comes out would be too. Multiply by less, or declare a format with more integer bits"
            )
        return x

    def _exceeds(self, bits: int, scale: int) -> bool:
        """Return whether numbers of so many bits may be beyond the format."""
        return bits > scale + self.format.integer

    def _fits(self, bits: int, name: str) -> None:
        if bits > CAPACITY:
            raise OutOfRange(
                f"{name} needs {bits} bits, and the field holds {CAPACITY}: declare a format with fewer bits"
            )

    def _linear(self, map: LinearMap, inputs: Sequence[Number], scale: int, bits: int, name: str) -> Number:
        shape = map.shape(*(i.shape for i in inputs))
        wire = self.engine.record(Linear(map), tuple(i.wire for i in inputs), shape, name)
        return self._number(wire, scale, bits, self._joint(bits, scale, *inputs))

    def _joint(self, bits: int, scale: int, *inputs: Number) -> int | None:
        """The coarsest scale of what was made of these: None if they, or its bits, are inside the contract."""
        beyond = self._exceeds(bits, scale) and any(i.beyond for i in inputs)
        return self._coarsest(*inputs) if beyond else None

    def _number(self, wire: Wire, scale: int, bits: int, coarsest: int | None = None) -> Number:
        wire.bound = bits
        return Number(wire, scale, bits, coarsest)


def log2(terms: int) -> int:
    """Bits by which a sum of so many is larger."""
    return max(0, (terms - 1).bit_length())
