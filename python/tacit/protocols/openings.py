"""Which values are open under masks: the one place where openings are kept, found and forgotten.

    x = D + mask + sum(late),     L(x) + c = L(D) + c + L(mask) + ...
A *plain* opening serves any form. A *decomposed* one has late terms, and serves elementwise forms. A value is open if it was
opened, or if all values are that it is a linear map of.
"""

from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from tacit.correlations.masks import Opening, carry
from tacit.graph.wires import Wire


def _any(opening: Opening) -> bool:
    return True


@dataclass(frozen=True)
class Opened:
    """The openings of one value."""

    plain: Opening | None = None
    decomposed: Opening | None = None


NOTHING = Opened()


class Openings:
    """One party's openings, by value; forgotten with the value. An opening does not refer to values, once its tasks are done."""

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[Wire, Opened] = WeakKeyDictionary()

    def known(self, wire: Wire, elementwise: bool, good: Callable[[Opening], bool] = _any) -> Opening | None:
        """The `good` opening of the value that exists, or follows from those of the values that it is a linear map of."""
        if (plain := self._good(self.plain(wire), good)) is not None:
            return plain
        if (plain := self._follow(wire, False, good)) is not None:
            self.open(wire, plain)
            return plain
        if not elementwise:
            return None
        if (decomposed := self._good(self.decomposed(wire), good)) is not None:
            return decomposed
        if (decomposed := self._follow(wire, True, good)) is not None:
            self.decompose(wire, decomposed)
        return decomposed

    def plain(self, wire: Wire) -> Opening | None:
        """The plain opening of the value itself, if there is one and its step was not undone."""
        found = self._of.get(wire, NOTHING).plain
        return None if found is None or found.undone else found

    def decomposed(self, wire: Wire) -> Opening | None:
        found = self._of.get(wire, NOTHING).decomposed
        return None if found is None or found.undone else found

    def open(self, wire: Wire, opening: Opening) -> None:
        """Note a plain opening, in place of the one before. It ends the chain of maps that are looked through."""
        self._of[wire] = Opened(opening, self.decomposed(wire))
        wire.depth = min(wire.depth, 1)

    def decompose(self, wire: Wire, opening: Opening | None) -> None:
        """Note a decomposed opening, in place of the one before."""
        self._of[wire] = Opened(self.plain(wire), opening)

    def forget(self, wire: Wire) -> None:
        """The value has another share, or is pending again: what opened it is not known to all."""
        self._of.pop(wire, None)

    def _good(self, opening: Opening | None, good: Callable[[Opening], bool]) -> Opening | None:
        return opening if opening is not None and good(opening) else None

    def _follow(self, wire: Wire, elementwise: bool, good: Callable[[Opening], bool]) -> Opening | None:
        map, shift = wire.linear()
        if map is None:
            return None
        openings = []
        for inner in wire.inputs:
            if (opening := self.known(inner, elementwise, good)) is None:
                return None
            openings.append(opening)
        found = carry(map, tuple(openings), shift)
        return self._good(found, good)
