"""`SecretArray`: secret numbers with NumPy's operators, for scripts without torch. It shows no value; `session.reveal` does."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tacit.errors import Unsupported
from tacit.graph.maps import Shape
from tacit.numbers import comparison, saving, selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.functions import normal, splines
from tacit.numbers.indexing import indexed
from tacit.numbers.matrices import matmul, matmul_public

LARGEST_POWER = 64


class SecretArray:
    """A secret array. Operands may be secret arrays of the same session, public arrays, or numbers."""

    __array_ufunc__ = None
    """NumPy leaves the operators to this class."""
    __array_priority__ = 1000
    __slots__ = ("arithmetic", "number")

    def __init__(self, arithmetic: Arithmetic, number: Number) -> None:
        self.arithmetic, self.number = arithmetic, number

    @property
    def shape(self) -> Shape:
        return self.number.shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def T(self) -> "SecretArray":
        return self.transpose()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a secret number has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"SecretArray(shape={self.shape})"

    # Arithmetic.

    def __add__(self, other: Any) -> "SecretArray":
        if isinstance(other, SecretArray):
            return self._new(self.arithmetic.add(self.number, self._of(other)))
        return self._new(self.arithmetic.add_public(self.number, _public(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> "SecretArray":
        if isinstance(other, SecretArray):
            return self._new(self.arithmetic.add(self.number, self._of(other), -1, "sub"))
        return self._new(self.arithmetic.add_public(self.number, -_public(other), "sub"))

    def __rsub__(self, other: Any) -> "SecretArray":
        return -self + other

    def __neg__(self) -> "SecretArray":
        return self._new(self.arithmetic.negate(self.number))

    def __pos__(self) -> "SecretArray":
        return self

    def __mul__(self, other: Any) -> "SecretArray":
        if isinstance(other, SecretArray):
            return self._new(self.arithmetic.multiply(self.number, self._of(other)))
        return self._new(self.arithmetic.times_public(self.number, _public(other)))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "SecretArray":
        """By a secret: the format's largest number where the quotient does not fit, 0 for 0 / 0 (`functions.normal`)."""
        if isinstance(other, SecretArray):
            return self._new(normal.divide(self.arithmetic, self.number, self._of(other)))
        divisor = _public(other)
        if not np.all(divisor):
            raise ZeroDivisionError("division of a secret by zero")
        return self._new(self.arithmetic.times_public(self.number, 1 / divisor, "div"))

    def __rtruediv__(self, other: Any) -> "SecretArray":
        numerator = _public(other)
        if numerator.shape == () and numerator == 1:
            return self._new(normal.reciprocal(self.arithmetic, self.number))
        return self._new(normal.divide(self.arithmetic, self.arithmetic.constant(numerator), self.number))

    def __pow__(self, exponent: Any) -> "SecretArray":
        """Integers and halves of odd integers: by squaring, from the reciprocal or the root where that is needed."""
        if not isinstance(exponent, int | float) or exponent == 0 or 2 * exponent != int(2 * exponent):
            raise Unsupported(f"a secret to the power {exponent!r}: exponents are public multiples of 1/2, but for 0")
        if abs(exponent) > LARGEST_POWER:
            raise Unsupported(f"a secret to the power {exponent!r}: the largest is {LARGEST_POWER}")
        return self._new(normal.power(self.arithmetic, self.number, exponent))

    def sqrt(self) -> "SecretArray":
        """The square root; 0 for negative numbers."""
        return self._new(normal.sqrt(self.arithmetic, self.number))

    def log(self) -> "SecretArray":
        """The natural logarithm; that of the smallest positive number for what is not positive."""
        return self._new(normal.log(self.arithmetic, self.number))

    def exp(self) -> "SecretArray":
        """e^x; the format's largest number where that does not fit."""
        return self._new(splines.exp(self.arithmetic, self.arithmetic.resolved(self.number, "exp")))

    def __matmul__(self, other: Any) -> "SecretArray":
        if isinstance(other, SecretArray):
            return self._new(matmul(self.arithmetic, self.number, self._of(other)))
        return self._new(matmul_public(self.arithmetic, self.number, _public(other), left=False))

    def __rmatmul__(self, other: Any) -> "SecretArray":
        return self._new(matmul_public(self.arithmetic, self.number, _public(other), left=True))

    def sum(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> "SecretArray":
        return self._new(self.arithmetic.sum(self.number, self._axes(axis), keepdims))

    def mean(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> "SecretArray":
        axes = self._axes(axis)
        if any(self.shape[a] == 0 for a in axes):
            raise ValueError("the mean of nothing")
        return self._new(self.arithmetic.mean(self.number, axes, keepdims))

    def dot(self, other: Any) -> "SecretArray":
        return self @ other

    # Shapes.

    def reshape(self, *shape: Any) -> "SecretArray":
        sizes = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        wanted = np.broadcast_to(np.zeros(1), self.shape).reshape(sizes).shape
        return self._new(self.arithmetic.reshape(self.number, wanted))

    def ravel(self) -> "SecretArray":
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> "SecretArray":
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        order = tuple(order) if order else tuple(reversed(range(self.ndim)))
        order = tuple(a + self.ndim if a < 0 else a for a in order)
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"axes {order} of a secret array of {self.ndim} axes")
        return self._new(self.arithmetic.permute(self.number, order))

    def __getitem__(self, key: Any) -> "SecretArray":
        return self._new(indexed(self.arithmetic, self.number, key))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickled, it is this party's share of it as plain values, for `session.restore`; all parties have to save it alike."""
        return saving.reduced(self.arithmetic, (self.number, "array", saving.in_bytes))

    def __copy__(self) -> "SecretArray":
        return self  # it never changes

    def __deepcopy__(self, memo: dict[int, Any]) -> "SecretArray":
        return self

    # What would need the value.

    def _closed(self, what: str) -> NoReturn:
        raise Unsupported(
            f"{what} of a secret array would need its value; reveal it first: session.reveal(x), or to one party, to=0"
        )

    def __bool__(self) -> bool:
        self._closed("bool()")

    def __float__(self) -> float:
        self._closed("float()")

    def __int__(self) -> int:
        self._closed("int()")

    def __index__(self) -> int:
        self._closed("an index")

    def __iter__(self) -> Any:
        self._closed("iteration over the elements (index with x[i] instead)")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        self._closed("numpy.asarray()")

    def __setitem__(self, key: Any, value: Any) -> None:
        raise Unsupported("a secret array is not written to: build a new one with tacit.concatenate, + and *")

    def __contains__(self, value: Any) -> bool:
        self._closed("`in`")

    def item(self) -> float:
        self._closed("item()")

    def tolist(self) -> list[Any]:
        self._closed("tolist()")

    # Comparisons are exact and give secret zeros and ones. What was compared is not compared again.

    def __ge__(self, other: Any) -> "SecretArray":
        return self._compared(">=", other)

    def __le__(self, other: Any) -> "SecretArray":
        return self._compared("<=", other)

    def __gt__(self, other: Any) -> "SecretArray":
        return self._compared(">", other)

    def __lt__(self, other: Any) -> "SecretArray":
        return self._compared("<", other)

    def __eq__(self, other: Any) -> "SecretArray":  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: Any) -> "SecretArray":  # type: ignore[override]
        return self._compared("!=", other)

    def _compared(self, relation: str, other: Any) -> "SecretArray":
        a = self.arithmetic
        if not isinstance(other, SecretArray) and _public(other).ndim == 0:
            return self._new(selection.compare(a, self.number, relation, float(other)))
        return self._new(selection.compare(a, selection.difference(a, self.number, self._operand(other)), relation))

    def where(self, x: Any, y: Any) -> "SecretArray":
        """x where this is 1, y where it is 0: for what a comparison gave. Either may be public."""
        x, y = (v if isinstance(v, SecretArray) else _public(v) for v in (x, y))
        return self * (x - y) + y

    def __abs__(self) -> "SecretArray":
        return self._new(comparison.absolute(self.arithmetic, self.number))

    def relu(self) -> "SecretArray":
        """max(x, 0), but for |x| < 2^-8, where it may be x or 0."""
        return self._new(comparison.relu(self.arithmetic, self.number))

    def maximum(self, other: Any) -> "SecretArray":
        """The larger of each pair."""
        return self._new(selection.maximum(self.arithmetic, self.number, self._operand(other)))

    def minimum(self, other: Any) -> "SecretArray":
        """The smaller of each pair."""
        return self._new(selection.minimum(self.arithmetic, self.number, self._operand(other)))

    def clip(self, low: float | None = None, high: float | None = None) -> "SecretArray":
        """The nearest in [low, high], which are public numbers."""
        return self._new(selection.clamp(self.arithmetic, self.number, low, high))

    def max(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> "SecretArray":
        return self._new(selection.largest(self.arithmetic, self.number, self._axes(axis), keepdims))

    def min(self, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> "SecretArray":
        return self._new(selection.least(self.arithmetic, self.number, self._axes(axis), keepdims))

    def argmax(self, axis: int | None = None) -> "SecretArray":
        """The place of the largest along `axis` (None: in the flattened array), the first if several are."""
        x = self.reshape(-1) if axis is None else self
        (along,) = x._axes(0 if axis is None else axis)
        one_hot = selection.winners_along(self.arithmetic, x.number, along)
        order = [i for i in range(x.ndim) if i != along]
        return self._new(selection.index(self.arithmetic, self.arithmetic.permute(one_hot, [*order, along])))

    def floor(self) -> "SecretArray":
        """The largest whole number that is not above each element."""
        return self._new(selection.floor(self.arithmetic, self.number))

    __hash__ = object.__hash__

    # Inside.

    def _new(self, number: Number | None) -> "SecretArray":
        assert number is not None
        return SecretArray(self.arithmetic, number)

    def _of(self, other: "SecretArray") -> Number:
        if other.arithmetic is not self.arithmetic:
            raise ValueError("these two secret arrays belong to different sessions")
        return other.number

    def _operand(self, other: Any) -> Number | NDArray[np.float64]:
        return self._of(other) if isinstance(other, SecretArray) else np.asarray(_public(other))

    def _axes(self, axis: int | Sequence[int] | None) -> tuple[int, ...]:
        axes = tuple(range(self.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        for a in axes:
            if not -self.ndim <= a < self.ndim:
                raise ValueError(f"axis {a} of a secret array of {self.ndim} axes")
        return tuple(sorted({a % self.ndim for a in axes}))


def concatenate(arrays: Sequence[SecretArray], axis: int = 0) -> SecretArray:
    """Secret arrays joined along `axis`, which they have in common but for that axis."""
    if not arrays:
        raise ValueError("nothing to concatenate")
    first = arrays[0]
    if not -first.ndim <= axis < first.ndim:
        raise ValueError(f"axis {axis} of a secret array of {first.ndim} axes")
    axis %= first.ndim
    for other in arrays[1:]:
        if other.ndim != first.ndim or any(
            m != n for i, (m, n) in enumerate(zip(first.shape, other.shape, strict=True)) if i != axis
        ):
            raise ValueError(f"shapes {first.shape} and {other.shape} cannot be joined along axis {axis}")
    return SecretArray(first.arithmetic, first.arithmetic.concat([a.number for a in arrays], axis))


def _public(other: ArrayLike) -> Any:
    array = np.asarray(other)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a secret array does not combine with {type(other).__name__} ({array.dtype})")
    return array.astype(np.float64)
