"""Lists of requests that come again: what a step asked for, the next step will ask for, so that several are made together.

A list's outline is all of it but its numbers. Products with older masks, which are elementwise, are kept apart: they are made
ahead if the masks were the same twice.
"""

import dataclasses
from collections import deque
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from weakref import ref

from tacit.correlations.masks import Expression, Mask, Masked
from tacit.correlations.requests import ProductRequest, Request
from tacit.preprocessing.lattice.jobs import Target
from tacit.preprocessing.lattice.sigmas import Sigma


@dataclass(frozen=True)
class Outline:
    """`repeating` is what has to be alike; `older` has the products of masks of other lists, by their place in the list."""

    repeating: tuple[Hashable, ...]
    older: dict[int, Hashable]


def outline(requests: Sequence[Request]) -> Outline:
    index = {id(r): i for i, r in enumerate(requests)}
    repeating: list[Hashable] = []
    older: dict[int, Hashable] = {}
    for i, r in enumerate(requests):
        fields = [getattr(r, f.name) for f in dataclasses.fields(r) if f.name != "number"]
        if isinstance(r, ProductRequest):
            x, y = _described(r.x, index), _described(r.y, index)
            if any(id(leaf.request) not in index for e in (r.x, r.y) for leaf in e.leaves()):
                older[i] = (r.form, x, y)
                x = y = None
            fields = [r.shape, r.form, x, y]
        repeating.append((type(r).__name__, *fields))
    return Outline(tuple(repeating), older)


def _described(e: Expression, index: dict[int, int]) -> Hashable:
    if isinstance(e, Masked):
        return (e.map, *(_described(i, index) for i in e.inputs))
    at = index.get(id(e.request))
    return (ref(e.request) if at is None else at, e.place)


@dataclass
class Ahead:
    """Material made at once for several future lists: `made` when it is there, `settled` when it is checked too."""

    made: "Future[list[Sigma]]"
    settled: "Future[None] | None" = None


@dataclass
class Copy:
    """A list of the future: requests by their place in it, and what was made for them."""

    requests: dict[int, Request]
    older: dict[int, Hashable]
    targets: dict[int, Target] = field(default_factory=dict)
    ahead: Ahead | None = None


def copied(requests: Sequence[Request], known: Outline, ahead: set[int]) -> Copy:
    """The list once more, without products of older masks but for those that are in `ahead`."""
    made: dict[int, Request] = {}
    masks: dict[tuple[int, int], Mask] = {}
    index = {id(r): i for i, r in enumerate(requests)}

    def again(e: Expression) -> Expression:
        if isinstance(e, Masked):
            return Masked(e.map, tuple(again(i) for i in e.inputs))
        at = index.get(id(e.request))
        if at is None:
            return e
        return masks.setdefault((at, e.place), Mask(made[at], e.place))

    for i, r in enumerate(requests):
        if i in known.older and i not in ahead:
            continue
        made[i] = (
            dataclasses.replace(r, x=again(r.x), y=again(r.y))
            if isinstance(r, ProductRequest)
            else dataclasses.replace(r)
        )
    return Copy(made, {i: known.older[i] for i in ahead})


class Foresight:
    """The material in stock, and how much more is worth making."""

    def __init__(self) -> None:
        self._stock: dict[tuple[Hashable, ...], deque[Copy]] = {}
        self._made: dict[tuple[Hashable, ...], int] = {}
        self._last: dict[tuple[Hashable, ...], dict[int, Hashable]] = {}

    def take(self, known: Outline) -> Copy | None:
        """The material that was made ahead for such a list."""
        stock = self._stock.get(known.repeating)
        return stock.popleft() if stock else None

    def more(self, requests: Sequence[Request], known: Outline, most: int) -> list[Copy]:
        """Copies to be made after this list, which go into the stock.

        None when it is new; then, whenever half of what was made last is used up, four times as many, `most` at most.
        """
        key = known.repeating
        stock, before = self._stock.setdefault(key, deque()), self._made.get(key)
        last, self._last[key] = self._last.get(key, {}), known.older
        while len(self._last) > KINDS:
            self._forget(next(iter(self._last)))
        if before is not None and len(stock) > before // 2:
            return []
        count = self._made[key] = 0 if before is None else min(most, MOST, 4 * before + 3)
        ahead = {i for i, d in known.older.items() if last.get(i) == d}
        copies = [copied(requests, known, ahead) for _ in range(count)]
        stock.extend(copies)
        return copies

    def _forget(self, key: tuple[Hashable, ...]) -> None:
        for kept in (self._stock, self._made, self._last):
            kept.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        for kept in (self._stock, self._made, self._last):
            kept.clear()


KINDS = 16
"""Different lists that are remembered: the one that was first seen is forgotten first."""
MOST = 128
"""Copies that are made at once at most."""
