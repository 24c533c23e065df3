"""Bilinear forms f over F_p: the only kind of product that a protocol knows.

    f(x, y) = f(D, [y]) + f([x], E) - f(D, E) + [f(A, B)]        x = D + A,  y = E + B

A form knows its output shape, computes itself on arrays of field elements, and is serialised by `pack`.

For random weights r of the outputs, <r, f(x, y)> = <u, v> with u linear in x and v in y: what a batch of products is verified by
(`freivalds`). r is a product of independent weights for each axis, so that large forms give short vectors (Freivalds 1977); wrong
outputs escape with a chance of 3 / p at most (Schwartz and Zippel).
"""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tacit import _core, field
from tacit.errors import Mismatch
from tacit.field import Field, P, size
from tacit.graph.maps import MAPS, LinearMap, Shape


class Form(ABC):
    """A bilinear map of two arrays."""

    elementwise: ClassVar[bool] = False

    @abstractmethod
    def shape(self, x: Shape, y: Shape) -> Shape: ...

    @abstractmethod
    def __call__(self, x: Field, y: Field, add: Field | None = None) -> Field:
        """f(x, y) (+ add)."""

    @abstractmethod
    def freivalds(self, x: Field, y: Field, z: Field, prg: _core.Prg) -> tuple[Field, Field, int]:
        """(u, v, w) with w = <r, z>, which is <u, v> if z = f(x, y); u and v are flat."""

    def masked(self, d: Field, y: Field, x: Field, e: Field, k: int, c: Field | None) -> Field:
        """f(d, y) + f(x, e) - k f(d, e) (+ c): the local part of a product of masked values, for one component of a share."""
        if k:
            y = field.sub(y, field.scale(e, k))
        return self(d, y, self(x, e, c))


@dataclass(frozen=True)
class Elementwise(Form):
    """x * y, both of one shape."""

    elementwise: ClassVar[bool] = True

    def shape(self, x: Shape, y: Shape) -> Shape:
        if x != y:
            raise ValueError(f"elementwise product of shapes {x} and {y}")
        return x

    def __call__(self, x: Field, y: Field, add: Field | None = None) -> Field:
        product = field.mul(x, y)
        return product if add is None else field.add(product, add)

    def freivalds(self, x: Field, y: Field, z: Field, prg: _core.Prg) -> tuple[Field, Field, int]:
        u, w = prg.weigh(_flat(x), _flat(z))
        return u, _flat(y), w

    def masked(self, d: Field, y: Field, x: Field, e: Field, k: int, c: Field | None) -> Field:
        d, y, x, e = (field.contiguous(part) for part in (d, y, x, e))
        return _core.multiply_open(d, y, x, e, k, c)


@dataclass(frozen=True)
class MatMul(Form):
    """x @ y of matrices, either transposed; leading axes of both are a batch."""

    transpose_x: bool = False
    transpose_y: bool = False

    def shape(self, x: Shape, y: Shape) -> Shape:
        m, k = (x[-1], x[-2]) if self.transpose_x else (x[-2], x[-1])
        j, n = (y[-1], y[-2]) if self.transpose_y else (y[-2], y[-1])
        if k != j or x[:-2] != y[:-2]:
            raise ValueError(f"matrix product of shapes {x} and {y}")
        return (*x[:-2], m, n)

    def __call__(self, x: Field, y: Field, add: Field | None = None) -> Field:
        x, y = field.contiguous(x), field.contiguous(y)
        if x.ndim == 2:
            return _core.matmul(x, y, self.transpose_x, self.transpose_y, add)
        out = np.empty(self.shape(x.shape, y.shape), np.uint64)
        for i in np.ndindex(x.shape[:-2]):
            out[i] = _core.matmul(x[i], y[i], self.transpose_x, self.transpose_y, None if add is None else add[i])
        return out

    def freivalds(self, x: Field, y: Field, z: Field, prg: _core.Prg) -> tuple[Field, Field, int]:
        """r = a b^T (and a number for each of a batch): u = X^T a, v = Y b. A single column needs no weight: b = 1."""
        m, n = z.shape[-2:]
        a, b = prg.field(m), prg.field(n).reshape(1, n) if n > 1 else None
        us, vs, w = [], [], 0
        for i in np.ndindex(z.shape[:-2]):
            k = int(prg.field(1)[0]) if z.ndim > 2 else 1
            u = _core.matmul(a.reshape(1, m), field.contiguous(x[i]), False, self.transpose_x)
            us.append(field.scale(u, k).reshape(-1))
            if b is None:
                vs.append(_flat(y[i]))
                w += k * _core.dot(a, _flat(z[i]))
            else:
                vs.append(_core.matmul(b, field.contiguous(y[i]), False, not self.transpose_y).reshape(-1))
                w += k * _core.dot(_core.matmul(a.reshape(1, m), field.contiguous(z[i])), b)
        return _joined(us), _joined(vs), w % P


@dataclass(frozen=True)
class Conv2d(Form):
    """Correlation of x [N, C, H, W] with y [O, C, kh, kw], as in torch: [N, O, H', W']."""

    stride: tuple[int, int]
    padding: tuple[int, int]

    def shape(self, x: Shape, y: Shape) -> Shape:
        if len(x) != 4 or len(y) != 4 or x[1] != y[1]:
            raise ValueError(f"convolution of shapes {x} and {y}")
        size = [(x[i + 2] + 2 * self.padding[i] - y[i + 2]) // self.stride[i] + 1 for i in range(2)]
        return (x[0], y[0], *size)

    def __call__(self, x: Field, y: Field, add: Field | None = None) -> Field:
        return _core.conv2d(field.contiguous(x), field.contiguous(y), self.stride, self.padding, add)

    def freivalds(self, x: Field, y: Field, z: Field, prg: _core.Prg) -> tuple[Field, Field, int]:
        """Images and filters are added up with weights, and the kernel's gradient meets the filter."""
        images, filters, r = prg.field(z.shape[0]), prg.field(z.shape[1]), prg.field(size(z.shape[2:]))
        r = r.reshape(1, 1, *z.shape[2:])
        u = _core.conv2d_weight(r, _weighted(images, x, 0), y.shape[2:], self.stride, self.padding)
        w = _core.dot(_weighted(filters, _weighted(images, z, 0), 1).reshape(-1), r.reshape(-1))
        return u.reshape(-1), _weighted(filters, y, 0).reshape(-1), w


@dataclass(frozen=True)
class Conv2dInput(Form):
    """The gradient of `Conv2d` for its input: x is the output's gradient [N, O, H', W'], y the kernel."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    input_size: tuple[int, int]

    def shape(self, x: Shape, y: Shape) -> Shape:
        return (x[0], y[1], *self.input_size)

    def __call__(self, x: Field, y: Field, add: Field | None = None) -> Field:
        shape = (x.shape[0], y.shape[1], *self.input_size)
        return _core.conv2d_input(field.contiguous(x), field.contiguous(y), shape, self.stride, self.padding, add)

    def freivalds(self, x: Field, y: Field, z: Field, prg: _core.Prg) -> tuple[Field, Field, int]:
        images, channels, r = prg.field(z.shape[0]), prg.field(z.shape[1]), prg.field(size(z.shape[2:]))
        r = r.reshape(1, 1, *z.shape[2:])
        u = _core.conv2d_weight(_weighted(images, x, 0), r, y.shape[2:], self.stride, self.padding)
        w = _core.dot(_weighted(channels, _weighted(images, z, 0), 1).reshape(-1), r.reshape(-1))
        return u.reshape(-1), _weighted(channels, y, 1).reshape(-1), w


@dataclass(frozen=True)
class Conv2dWeight(Form):
    """The gradient of `Conv2d` for its kernel: x is the output's gradient, y the input."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    kernel: tuple[int, int]

    def shape(self, x: Shape, y: Shape) -> Shape:
        return (x[1], y[1], *self.kernel)

    def __call__(self, x: Field, y: Field, add: Field | None = None) -> Field:
        return _core.conv2d_weight(
            field.contiguous(x), field.contiguous(y), self.kernel, self.stride, self.padding, add
        )

    def freivalds(self, x: Field, y: Field, z: Field, prg: _core.Prg) -> tuple[Field, Field, int]:
        filters, channels, r = prg.field(z.shape[0]), prg.field(z.shape[1]), prg.field(size(self.kernel))
        r = r.reshape(1, 1, *self.kernel)
        v = _core.conv2d(_weighted(channels, y, 1), r, self.stride, self.padding)
        w = _core.dot(_weighted(channels, _weighted(filters, z, 0), 1).reshape(-1), r.reshape(-1))
        return _weighted(filters, x, 1).reshape(-1), v.reshape(-1), w


def _flat(x: Field) -> Field:
    return field.contiguous(x).reshape(-1)


def _joined(parts: list[Field]) -> Field:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _weighted(r: Field, x: Field, axis: int) -> Field:
    """The sum along an axis with weights r; the axis stays, of length 1."""
    lead, inner = x.shape[:axis], x.shape[axis + 1 :]
    if axis == 0:
        return _core.matmul(r.reshape(1, -1), field.contiguous(x).reshape(len(r), -1)).reshape(1, *inner)
    weighted = field.mul(field.contiguous(x), r.reshape(*(1,) * axis, -1, *(1,) * len(inner)))
    return field.total(weighted, (axis,), True).reshape(*lead, 1, *inner)


@dataclass(frozen=True, eq=False)
class With(LinearMap):
    """x -> f(x, constant), or f(constant, x) if `left`: a product with a public array is a linear map."""

    form: Form
    constant: Field
    left: bool = False

    @property
    def view(self) -> bool:  # type: ignore[override]
        return False

    def shape(self, *shapes: Shape) -> Shape:
        pair = (self.constant.shape, shapes[0]) if self.left else (shapes[0], self.constant.shape)
        return self.form.shape(*pair)

    def __call__(self, *arrays: Field) -> Field:
        return self.form(self.constant, arrays[0]) if self.left else self.form(arrays[0], self.constant)


FORMS: tuple[type[Form], ...] = (Elementwise, MatMul, Conv2d, Conv2dInput, Conv2dWeight)
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in (*MAPS, *FORMS)}


def pack(item: LinearMap | Form) -> list[Any]:
    """[class name, fields ...]: plain lists, ints and bools for msgpack."""
    values = (getattr(item, f.name) for f in dataclasses.fields(item))  # type: ignore[arg-type]
    return [type(item).__name__, *(list(v) if isinstance(v, tuple) else v for v in values)]


def unpack(packed: Any) -> Any:
    """The inverse of `pack`; refuses what it does not know."""
    if not isinstance(packed, list) or not packed or not isinstance(packed[0], str) or packed[0] not in _KINDS:
        raise Mismatch(
            f"a request names an unknown map or form {str(packed)[:60]!r}; do all parties run one version of tacit?"
        )
    kind, *values = packed
    fields = dataclasses.fields(_KINDS[kind])
    if len(values) != len(fields):
        raise Mismatch(f"a request gives {kind} {len(values)} fields instead of {len(fields)}")
    for v in values:
        numbers = v if isinstance(v, list) else [v]
        if not all(isinstance(n, int) and abs(n) < 2**63 for n in numbers):
            raise Mismatch(f"a request gives {kind} a field that is no integer")
    return _KINDS[kind](*(tuple(v) if isinstance(v, list) else v for v in values))
