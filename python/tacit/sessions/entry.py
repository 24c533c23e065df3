"""Data on their way in: announced to all by shape, checked at their owner, put together to tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tacit.engine.callsite import where
from tacit.errors import BadInput, PartyLost
from tacit.graph.maps import Shape
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.format import Format
from tacit.sessions import data as data_of
from tacit.transport.channel import Channel

Owned = Mapping[int, Any]
"""Data by its owner's index."""


class DataEntry:
    """One party's side of `Session.secret`, `labels` and `table`."""

    def __init__(self, arithmetic: Arithmetic, channel: Channel | None, parties: int) -> None:
        self._arithmetic, self._engine = arithmetic, arithmetic.engine
        self._channel, self._parties = channel, parties

    def member(self, index: Any, what: str) -> int:
        if not isinstance(index, int | np.integer) or not 0 <= index < self._parties:
            missing = f"say whose it is by {what}=; " if index is None else ""
            raise ValueError(f"{what}={index!r}: {missing}the parties are numbered 0 to {self._parties - 1}")
        return int(index)

    def enter(
        self,
        data: Any,
        owner: int | None,
        shape: Sequence[int] | None,
        format: Format | None,
        name: str,
        classes: int | None = None,
    ) -> Number:
        """`classes`: the data are class numbers, and their one-hots enter."""
        owner = self.member(owner, "owner")
        short = f"{name} of party {owner}"
        what = f"{short} at {where()}"
        declared = None if shape is None else data_of.shape_of(tuple(shape), f"the declared shape of {what}")
        values = self._own(data, what, declared) if owner == self._engine.protocol.me and not self._engine.dry else None
        one_hot = None if values is None or classes is None else data_of.one_hot(values, classes, what)
        if declared is None:
            declared = self._agree_shape(data, what, owner, values)
        if classes is not None:
            values, declared = one_hot, (*declared, classes)
        if self._engine.dry:
            values = np.zeros(declared) if owner == self._engine.protocol.me else None
        elif values is not None:
            data_of.resolved(values, format or self._arithmetic.format, what)
        with data_of.held_back(format or self._arithmetic.format, what):
            return self._arithmetic.input(owner, values, declared, format, short)

    def _own(self, data: Any, what: str, declared: Shape | None) -> data_of.Array:
        values = data_of.load(data, what)
        if declared is not None and values.shape != declared:
            raise data_of.bad(what, f"its shape is not {declared}, which was declared", f" (it is {values.shape})")
        data_of.shape_of(values.shape, f"the shape of {what}")
        return values

    def _agree_shape(self, data: Any, what: str, owner: int, values: data_of.Array | None) -> Shape:
        if (channel := self._channel) is not None:

            def announced() -> Shape:
                if owner not in self._engine.protocol.members:
                    raise PartyLost(owner, "its data are lost with it", what)
                return data_of.announced(channel, what, owner, None if values is None else values.shape)

            return self._engine.together(announced, "shape")
        if callable(data) or data is None:
            raise BadInput(f"{what}: a plan loads no data, so it has to be told the shape; pass shape=(rows, columns)")
        return tuple(int(n) for n in np.shape(data))

    def table(
        self,
        columns: Owned | None,
        rows: Owned | None,
        shapes: Mapping[int, Sequence[int]] | None,
        format: Format | None,
        name: str,
    ) -> Number:
        parts, axis = _parts(columns, rows)
        numbers = []
        for owner in sorted(parts):
            given = None if shapes is None else shapes.get(owner)
            kind = "columns" if axis else "rows"
            number = self.enter(parts[owner], owner, given, format, f"{kind} of {name}")
            numbers.append((owner, self._column(number) if axis else number))
        _fit_together(numbers, axis, name)
        return self._arithmetic.concat([n for _, n in numbers], axis)

    def _column(self, number: Number) -> Number:
        """A list of values is one column."""
        return self._arithmetic.reshape(number, (*number.shape, 1)) if len(number.shape) == 1 else number


def _parts(columns: Owned | None, rows: Owned | None) -> tuple[Owned, int]:
    if (columns is None) == (rows is None):
        raise ValueError("a table takes either columns= or rows=, each {owner: data}")
    parts = columns if columns is not None else rows
    if not parts:
        raise ValueError("a table needs at least one owner")
    return parts, int(columns is not None)


def _fit_together(parts: Sequence[tuple[int, Number]], axis: int, name: str) -> None:
    for owner, part in parts:
        if len(part.shape) < 1 + axis:
            raise BadInput(f"{name}: the part of party {owner} has the shape {part.shape}, which is no table")
    first, other = parts[0], "columns" if axis == 0 else "rows"
    for owner, part in parts[1:]:
        if _without(part.shape, axis) != _without(first[1].shape, axis):
            raise BadInput(
                f"{name}: the parts of party {first[0]} and party {owner} do not fit together: their shapes are "
                f"{first[1].shape} and {part.shape}, and they need the same number of {other}"
            )


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]
