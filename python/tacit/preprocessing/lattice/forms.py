"""Forms as the lattice makes them: one operand E is encrypted, the other, F, gets one random slice more along a free axis.

    f(E, [F | b']) = [C | c'];    rho = sum_k r_k F_k - b';    sum_k r_k C_k - c' - f(E, rho) = 0
An axis of F is free if f acts on each of its slices by itself: a column of a right matrix, an output filter, an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tacit import _core, field
from tacit._core import LatticeLayout, LatticeParty
from tacit.field import Field, size
from tacit.graph.forms import Conv2d, Conv2dInput, Conv2dWeight, Form, MatMul
from tacit.graph.maps import Shape
from tacit.preprocessing.lattice.shared import Shared


@dataclass(frozen=True)
class Way:
    """A form of two shapes with its left operand encrypted, or its right one."""

    form: Form
    x: Shape
    y: Shape
    left: bool

    @property
    def plain(self) -> Shape:
        """The shape of F."""
        return self.y if self.left else self.x

    @property
    def axis(self) -> int:
        """The free axis of F."""
        match self.form:
            case MatMul(transpose_x, transpose_y):
                return (0 if transpose_y else 1) if self.left else (1 if transpose_x else 0)
            case Conv2d():
                return 0
            case Conv2dInput():
                return 1 if self.left else 0
            case Conv2dWeight():
                return 1
        raise AssertionError(f"{type(self.form).__name__} has no free axis here")

    @property
    def out_axis(self) -> int:
        """Where the output has it."""
        return 1 if self.left else 0

    @property
    def encrypted(self) -> Shape:
        """The shape of E."""
        return self.x if self.left else self.y

    @property
    def other(self) -> "Way":
        """With the other operand encrypted: its free axis is that of E."""
        return Way(self.form, self.x, self.y, not self.left)

    def joined(self, count: int) -> "Way":
        """With so many E side by side along their free axis."""
        shape = tuple(n * (count if i == self.other.axis else 1) for i, n in enumerate(self.encrypted))
        return Way(self.form, shape, self.y, True) if self.left else Way(self.form, self.x, shape, False)

    def side_by_side(self, values: Sequence[Field], macs: Sequence[Field]) -> Shared:
        value, mac = (np.concatenate([v.reshape(self.encrypted) for v in p], self.other.axis) for p in (values, macs))
        return Shared(field.contiguous(value).reshape(-1), field.contiguous(mac).reshape(-1))

    def apart(self, product: Shared, count: int) -> list[Shared]:
        """The products of each E."""
        whole = self.joined(count)
        shape = whole.form.shape(whole.x, whole.y)
        values, macs = (np.split(p.reshape(shape), count, self.other.out_axis) for p in (product.value, product.mac))
        flat = [[field.contiguous(p).reshape(-1) for p in parts] for parts in (values, macs)]
        return [Shared(value, mac) for value, mac in zip(*flat, strict=True)]

    def extended(self) -> "Way":
        """With one slice more."""
        return self._of(self.plain[self.axis] + 1)

    def tiles(self, most: int) -> list[tuple["Way", slice]]:
        """Cut along F's free axis, so that each part has about so many numbers of F and of the output at most."""
        n = self.plain[self.axis]
        step = max(1, most * n // (size(self.plain) + size(self.form.shape(self.x, self.y))))
        return [(self._of(min(n, at + step) - at), slice(at, min(n, at + step))) for at in range(0, n, step)]

    def _of(self, slices: int) -> "Way":
        shape = tuple(slices if i == self.axis else n for i, n in enumerate(self.plain))
        return Way(self.form, self.x, shape, True) if self.left else Way(self.form, shape, self.y, False)

    def apply(self, e: Field, f: Field) -> Field:
        return self.form(e, f) if self.left else self.form(f, e)

    def layout(self, keys: LatticeParty) -> LatticeLayout:
        match self.form:
            case MatMul():
                (m, k), (_, n) = self._matrix(self.x, True), self._matrix(self.y, False)
                return keys.matrix(m, k, n, self.left)
            case Conv2d(stride, padding):
                return keys.convolution("output", self.x, self.y, stride, padding, self.left)
            case Conv2dInput(stride, padding):
                image = self.form.shape(self.x, self.y)
                return keys.convolution("input", image, self.y, stride, padding, self.left)
            case Conv2dWeight(stride, padding):
                return keys.convolution(
                    "weight", self.y, self.form.shape(self.x, self.y), stride, padding, not self.left
                )
        raise AssertionError(f"no layout of {type(self.form).__name__}")

    def flat(self, operand: Field, is_x: bool) -> Field:
        """An operand's elements in the order that the layout has them in."""
        if isinstance(self.form, MatMul) and (self.form.transpose_x if is_x else self.form.transpose_y):
            operand = operand.T
        return field.contiguous(operand).reshape(-1)

    def _matrix(self, shape: Shape, is_x: bool) -> tuple[int, int]:
        assert isinstance(self.form, MatMul)
        turned = self.form.transpose_x if is_x else self.form.transpose_y
        return (shape[1], shape[0]) if turned else (shape[0], shape[1])


def combined(weights: Field, a: Field, axis: int) -> Field:
    """sum_k weights_k a_k along an axis, which keeps length 1."""
    moved = np.moveaxis(a, axis, 0)
    rest = moved.shape[1:]
    total = _core.matmul(weights.reshape(1, -1), field.contiguous(moved).reshape(len(weights), -1))
    return np.moveaxis(total.reshape(1, *rest), 0, axis)


class Layouts:
    """Layouts that were made, since a training asks for the same ones in every step."""

    def __init__(self, keys: LatticeParty) -> None:
        self._keys = keys
        self.of = lru_cache(64)(self._make)

    def _make(self, way: Way) -> tuple[LatticeLayout, int]:
        """The layout of the extended form, and the bytes that a party sends each other one for it."""
        layout = way.extended().layout(self._keys)
        return layout, self._keys.encrypted_bytes([layout]) + self._keys.response_bytes(layout)

    def cheapest(self, form: Form, x: Shape, y: Shape, sides: tuple[bool, ...]) -> Way:
        """The side that takes fewer bytes, of those that may be encrypted. ValueError if none has a packing."""
        found, refusals = [], []
        for left in sides:
            way = Way(form, x, y, left)
            try:
                found.append((self.of(way)[1], not left, way))
            except ValueError as error:
                refusals.append(str(error))
        if not found:
            raise ValueError("; ".join(refusals))
        return min(found, key=lambda f: f[:2])[2]
