"""Public linear maps L: F_p^n -> F_p^m. For x = D + A (D public, A a mask): L(x) = L(D) + L(A), so an opening follows its views.

A map is a frozen dataclass that knows its output shape, applies to arrays of field elements, and can be serialised
(`forms.pack`). `view` maps only move elements (or insert zeros): they commute with elementwise products.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tacit import field
from tacit.field import Field

Shape = tuple[int, ...]


class LinearMap(ABC):
    """One or more arrays in, one array out; linear over F_p."""

    view: ClassVar[bool] = False

    @abstractmethod
    def shape(self, *shapes: Shape) -> Shape: ...

    @abstractmethod
    def __call__(self, *arrays: Field) -> Field: ...


@dataclass(frozen=True)
class Reshape(LinearMap):
    to: Shape
    view: ClassVar[bool] = True

    def shape(self, *shapes: Shape) -> Shape:
        return self.to

    def __call__(self, *arrays: Field) -> Field:
        return arrays[0].reshape(self.to)


@dataclass(frozen=True)
class Permute(LinearMap):
    axes: Shape
    view: ClassVar[bool] = True

    def shape(self, *shapes: Shape) -> Shape:
        return tuple(shapes[0][i] for i in self.axes)

    def __call__(self, *arrays: Field) -> Field:
        return field.contiguous(arrays[0].transpose(self.axes))


@dataclass(frozen=True)
class Slice(LinearMap):
    """x[..., start:stop:step, ...] along one axis."""

    axis: int
    start: int
    stop: int
    step: int = 1
    view: ClassVar[bool] = True

    def shape(self, *shapes: Shape) -> Shape:
        (s,) = shapes
        return (*s[: self.axis], len(range(self.start, self.stop, self.step)), *s[self.axis + 1 :])

    def __call__(self, *arrays: Field) -> Field:
        key = (slice(None),) * self.axis + (slice(self.start, self.stop, self.step),)
        return field.contiguous(arrays[0][key])


@dataclass(frozen=True)
class Place(LinearMap):
    """The adjoint of `Slice`: zeros of length `size` along the axis, but for x at start:stop:step."""

    axis: int
    start: int
    stop: int
    step: int
    size: int
    view: ClassVar[bool] = True

    def shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0][: self.axis], self.size, *shapes[0][self.axis + 1 :])

    def __call__(self, *arrays: Field) -> Field:
        out = np.zeros(self.shape(arrays[0].shape), np.uint64)
        out[(slice(None),) * self.axis + (slice(self.start, self.stop, self.step),)] = arrays[0]
        return out


@dataclass(frozen=True)
class Gather(LinearMap):
    """Rows `indices` along `axis`."""

    axis: int
    indices: Shape
    view: ClassVar[bool] = True

    def shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0][: self.axis], len(self.indices), *shapes[0][self.axis + 1 :])

    def __call__(self, *arrays: Field) -> Field:
        return np.take(arrays[0], np.asarray(self.indices, np.int64), axis=self.axis)


@dataclass(frozen=True)
class Expand(LinearMap):
    """NumPy's broadcast to a larger shape."""

    to: Shape
    view: ClassVar[bool] = True

    def shape(self, *shapes: Shape) -> Shape:
        return self.to

    def __call__(self, *arrays: Field) -> Field:
        return field.contiguous(np.broadcast_to(arrays[0], self.to))


@dataclass(frozen=True)
class Concat(LinearMap):
    axis: int
    view: ClassVar[bool] = True

    def shape(self, *shapes: Shape) -> Shape:
        first, a = shapes[0], self.axis
        return (*first[:a], sum(s[a] for s in shapes), *first[a + 1 :])

    def __call__(self, *arrays: Field) -> Field:
        return np.concatenate(arrays, axis=self.axis)


@dataclass(frozen=True)
class Sum(LinearMap):
    axes: Shape
    keepdims: bool = False

    def shape(self, *shapes: Shape) -> Shape:
        s = shapes[0]
        if self.keepdims:
            return tuple(1 if i in self.axes else n for i, n in enumerate(s))
        return tuple(n for i, n in enumerate(s) if i not in self.axes)

    def __call__(self, *arrays: Field) -> Field:
        return field.total(arrays[0], self.axes, self.keepdims)


@dataclass(frozen=True)
class Combine(LinearMap):
    """sum_i coefficients[i] x_i, with public integer coefficients, all x_i of one shape."""

    coefficients: tuple[int, ...]

    def shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def __call__(self, *arrays: Field) -> Field:
        out = field.scale(arrays[0], self.coefficients[0])
        for k, x in zip(self.coefficients[1:], arrays[1:], strict=True):
            out = field.sub(out, x) if k == -1 else field.add(out, field.scale(x, k))
        return out


@dataclass(frozen=True)
class BoxSum(LinearMap):
    """Sums over windows of the last two axes: y[i, j] = sum_{u, v} x[i s + u, j t + v] (average pooling but for 1 / area)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]

    def shape(self, *shapes: Shape) -> Shape:
        *lead, h, w = shapes[0]
        return (*lead, (h - self.kernel[0]) // self.stride[0] + 1, (w - self.kernel[1]) // self.stride[1] + 1)

    def __call__(self, *arrays: Field) -> Field:
        *_, h, w = self.shape(arrays[0].shape)
        rows = _window_sum(arrays[0], -2, self.kernel[0], self.stride[0], h)
        return _window_sum(rows, -1, self.kernel[1], self.stride[1], w)


def _window_sum(x: Field, axis: int, kernel: int, stride: int, count: int) -> Field:
    out: Field | None = None
    for u in range(kernel):
        part = x[(Ellipsis, slice(u, u + stride * (count - 1) + 1, stride)) + (slice(None),) * (-1 - axis)]
        out = field.contiguous(part) if out is None else field.add(out, part)
    assert out is not None
    return out


@dataclass(frozen=True)
class BoxSpread(LinearMap):
    """The adjoint of `BoxSum`: each element is added to all places of its window in an array of `size`."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    size: tuple[int, int]

    def shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0][:-2], *self.size)

    def __call__(self, *arrays: Field) -> Field:
        rows = _window_spread(arrays[0], -2, self.kernel[0], self.stride[0], self.size[0])
        return _window_spread(rows, -1, self.kernel[1], self.stride[1], self.size[1])


def _window_spread(x: Field, axis: int, kernel: int, stride: int, size: int) -> Field:
    axis += x.ndim
    count = x.shape[axis]
    out = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), np.uint64)
    for u in range(kernel):
        key = (slice(None),) * axis + (slice(u, u + stride * (count - 1) + 1, stride),)
        # Windows that do not overlap write each place once: no addition needed.
        out[key] = x if kernel <= stride else field.add(out[key], x)
    return out


MAPS: tuple[type[LinearMap], ...] = (
    Reshape,
    Permute,
    Slice,
    Place,
    Gather,
    Expand,
    Concat,
    Sum,
    Combine,
    BoxSum,
    BoxSpread,
)
