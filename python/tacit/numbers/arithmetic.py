"""Arithmetic on secret fixed-point numbers: what is recorded, and how scale and bits follow.

    product:  scales add, bits add (+ log2 of the terms summed);      sum:  the larger bits, + 1;      sum of m:  + log2 m
    contract: bits <= scale + format.integer, whatever the rule says (but beside public factors that are beyond the format)
Rescaling is lazy: an operand is truncated to the width of the format only when the next product would not fit 58 bits.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit import field as fp
from tacit.engine.engine import Engine, Purpose
from tacit.errors import OutOfRange
from tacit.field import CAPACITY, Field
from tacit.graph.forms import Elementwise, Form, MatMul, With
from tacit.graph.maps import (
    BoxSpread,
    BoxSum,
    Combine,
    Concat,
    Expand,
    Gather,
    LinearMap,
    Permute,
    Place,
    Reshape,
    Shape,
    Slice,
    Sum,
)
from tacit.graph.operations import Bilinear, Input, Linear, Public, RandomBits, Shift
from tacit.numbers.format import Format, constant, decode, encode, integers, significant, spread_out
from tacit.numbers.known import Fact
from tacit.numbers.rescaling import DEEPER, Number, Rescaling, log2

__all__ = ["MASK", "Arithmetic", "Number", "Product"]

KEPT = 4
"""Bits that a public addend keeps which would have vanished."""
MASK: Fact[Any] = Fact("mask", bounded=False, lasting=True)
"""The public addend of a sum with public numbers below the format (`numbers.masks`)."""
INFINITE = 6
"""A number that is revealed, and comes to this many bits of all that the field has beside a fraction, stands for infinity."""
SPARE = 2
"""Bits that are left for sums, if possible, of a product with public numbers of different magnitude."""
WIDEST = 60
"""Bits of a public factor."""
GROWN: Fact[int] = Fact("bits of a multiple", bounded=False)
"""Those that a public multiple of a number in the contract may have, if they are more than the contract's."""
NEARLY = 2.0**-5
"""How near to 1 a factor is that a wide number is not truncated for."""
SMALLER = 4
"""An operand of so many times fewer elements is truncated below the format's width, so that the other is not."""


@dataclass(frozen=True)
class Product:
    """The form and operands of a pending product."""

    form: Form
    x: Number
    y: Number


class Arithmetic(Rescaling):
    """Records operations on `Number`s with one engine, under one format."""

    def __init__(self, engine: Engine, format: Format, generator: np.random.Generator) -> None:
        """`generator`: public randomness, the same at all parties."""
        super().__init__(engine, format)
        self.generator = generator

    # In and out.

    def input(
        self, owner: int, values: NDArray[np.float64] | None, shape: Shape, format: Format | None, what: str
    ) -> Number:
        """A private array; `values` at the owner only. Range-checked there, now."""
        f = format or self.format
        encoded = None if values is None else encode(values, f.fraction, f.bits, what)
        operation = Input(owner, None if encoded is None else lambda: encoded)
        return self._number(self.engine.record(operation, (), shape, what), f.fraction, f.bits)

    def public(self, values: NDArray[np.float64]) -> Number:
        f = self.format
        encoded = encode(values, f.fraction, f.bits, "a public array")
        return self._number(self.engine.record(Public(encoded), (), values.shape, "public"), f.fraction, f.bits)

    def constant(self, values: NDArray[np.float64]) -> Number:
        """A public array as a number at a scale of its own: every entry to 16 significant bits."""
        values = np.asarray(values, np.float64)
        scale, _, top = significant(values)
        if scale + top >= CAPACITY:
            raise OutOfRange(spread_out(values, "a public array"))
        whole, bits = integers(values, scale)
        wire = self.engine.record(Public(fp.from_signed(whole)), (), whole.shape, "public")
        return self._number(wire, scale, bits, scale if self._exceeds(bits, scale) else None)

    def reveal(
        self, numbers: Sequence[Number], to: Sequence[int] | None = None, purpose: Purpose | None = None
    ) -> list[NDArray[np.float64] | None]:
        scales = f" at scale {', '.join(str(n.scale) for n in numbers)}"
        values = self.engine.reveal([n.wire for n in numbers], to, scales, purpose)
        mine = to is None or self.engine.protocol.me in to

        def shown(n: Number, value: Field | None) -> NDArray[np.float64] | None:
            if value is not None:
                return decode(value, n.scale).reshape(n.shape)
            return np.full(n.shape, np.nan) if mine else None  # it was shown this before it was lost and came back

        for n, v in zip(numbers, values, strict=True):
            if v is not None:
                self._inside(n, v, to is None)
        return [shown(n, v) for n, v in zip(numbers, values, strict=True)]

    def _inside(self, n: Number, value: Field, public: bool) -> None:
        """`OutOfRange` unless |x| <= 2^integer and two places of the format, for what was rounded on the way.

        Values with a contract of their own are tested against that: whole numbers by their bits, and inputs of a wider format.
        """
        own = n.scale == 0 or n.bits > self._cap(n.scale)
        if n.scale > fp.P.bit_length():
            return  # a number of the field is next to nothing at this scale
        limit = math.ldexp(1.0, n.bits if own and n.bits else max(0, n.scale + self.format.integer))
        if n.beyond:  # so low, or high, are masks of infinity only
            limit = min(limit, math.ldexp(1.0, n.scale + CAPACITY - INFINITE - self.format.fraction))
        if int(np.abs(fp.to_signed(value)).max(initial=0)) <= limit + math.ldexp(2.0, n.scale - self.format.fraction):
            return
        error = OutOfRange(
            f"{n.wire.label} (shape {n.shape}) was revealed and is not below {math.ldexp(limit, -n.scale):g} in magnitude, its "
            "contract: it is wrong, or may be. Scale the data or the learning rate down, or declare a format with more integer "
            "bits; session(debug=True) on made-up data names the first line that left the contract"
        )
        if not public:
            error.for_peers = "its script ended"
        raise error

    def uniform(self, low: float, high: float, shape: Shape) -> Number:
        """Secret, uniform on the multiples of (high - low) 2^-fraction in [low, high). Opens nothing."""
        f = self.format.fraction
        bits = self.engine.record(RandomBits(shape), (), (*shape, f), "random")
        weights = np.broadcast_to(np.uint64(1) << np.arange(f, dtype=np.uint64), bits.shape)
        weighted = self.engine.record(
            Linear(With(Elementwise(), np.ascontiguousarray(weights))), (bits,), bits.shape, "random"
        )
        unit = self.engine.record(Linear(Sum((len(shape),))), (weighted,), shape, "random")
        return self.add_public(self.times(self._number(unit, f, f), high - low), np.asarray(low))

    # Linear.

    def add(self, x: Number, y: Number, sign: int = 1, name: str = "add") -> Number:
        """x + sign y, with broadcasting. The lower scale is lifted if that fits; else the higher is truncated to it."""
        shape = np.broadcast_shapes(x.shape, y.shape)
        x, y = self._aligned([self.expand(x, shape), self.expand(y, shape)], 1)
        scale = max(x.scale, y.scale)
        k, m = 1 << (scale - x.scale), sign << (scale - y.scale)
        bits = max(x.bits + scale - x.scale, y.bits + scale - y.scale) + 1
        bits = self._shrunk(bits, scale, name, x.beyond or y.beyond)
        if x.wire is y.wire:
            return self._linear(Combine((k + m,)), (x,), scale, bits, name)
        return self._linear(Combine((k, m)), (x, y), scale, bits, name)

    def _aligned(self, numbers: Sequence[Number], extra: int) -> list[Number]:
        """The numbers, truncated so far that all of them, lifted to the highest scale, have room for `extra` bits more."""
        scale, low = max(n.scale for n in numbers), min(n.scale for n in numbers)
        lifted = max(n.bits + scale - n.scale for n in numbers) + extra
        if (excess := min(lifted, self._cap(scale, any(n.beyond for n in numbers))) - CAPACITY) > 0:
            scale = min(scale - excess, max(low, self.format.fraction))  # once, not bit by bit
            for n in numbers:
                if n.coarsest is not None and scale < max(min(m.scale, self._coarsest(m)) for m in numbers):
                    self.within(n, "a sum")
        return [self.truncate(n, n.scale - scale) for n in numbers]

    def add_public(self, x: Number, values: NDArray[np.float64], name: str = "add") -> Number:
        """x + values, with broadcasting. Where all of them are below the last place of x, x is lifted if that fits.

        Where some are beyond the format, the sum has the bits that it needs: the contract says nothing of it.
        """
        values = np.asarray(values, np.float64)
        x = self.expand(x, np.broadcast_shapes(x.shape, values.shape))
        if x.scale < self.format.fraction and not _exact(values, x.scale):
            x = self.lift(x, self.format.fraction)
        largest = float(np.abs(values).max(initial=0.0))
        if 0 < math.ldexp(largest, x.scale) < 1:  # x + 1e-8 is not x, if there is room
            wanted = x.scale + KEPT - math.frexp(math.ldexp(largest, x.scale))[1]
            x = self.lift(x, min(wanted, x.scale + CAPACITY - 1 - x.bits))
        x = self._room(x, x.bits - max(0, math.frexp(largest)[1] + x.scale + 1 - CAPACITY))
        beyond = x.beyond or largest >= 2.0**self.format.integer
        cap = min(self._cap(x.scale, beyond), CAPACITY)
        shift = encode(np.broadcast_to(values, x.shape), x.scale, cap, "a public addend")
        bits = min(max(x.bits, int(np.abs(fp.to_signed(shift)).max(initial=0)).bit_length()) + 1, cap)
        wire = self.engine.record(Shift(shift), (x.wire,), x.shape, name)
        coarsest = max(self._coarsest(x), min(self.format.fraction, x.scale)) if beyond else None
        return self._number(wire, x.scale, bits, coarsest if self._exceeds(bits, x.scale) else None)

    def lift(self, x: Number, scale: int) -> Number:
        """The same value at a higher scale."""
        bits = self._shrunk(x.bits + scale - x.scale, scale, "lift", x.beyond)
        return self._linear(Combine((1 << (scale - x.scale),)), (x,), scale, bits, "lift")

    def negate(self, x: Number) -> Number:
        return self._linear(Combine((-1,)), (x,), x.scale, x.bits, "neg")

    def times(self, x: Number, value: float, name: str = "mul") -> Number:
        """x times a public number, which keeps 16 significant bits and a scale of its own. A power of two is free.

        Where |value| >= 2^integer the contract says nothing of what comes out: its bits are those of x and of the value.
        """
        m, s = constant(value)
        if m == 0:
            return self._linear(Combine((0,)), (x,), x.scale, 1, name)
        extra = m.bit_length() if abs(m) > 1 else 0
        if x.bits + extra >= CAPACITY and 0 < abs(1 - value) <= NEARLY:  # x decays: it keeps its last places
            change = self.times(x, value - 1, name)
            change = self.truncate(change, change.scale - x.scale)
            return self.combine([(1.0, x), (1.0, change)], 0.0, x.scale, x.bits, name)
        if extra:  # a bit is left for the sum that mostly follows
            x = self._room(x, CAPACITY - 1 - extra, min(0, math.frexp(value)[1]))
        bits, coarsest = self._grown(x, extra, s, (abs(value), abs(value)), name)
        grown = min(x.bits + extra, self._cap(x.scale) + max(0, math.frexp(value)[1]) + s)
        if m != 1:
            x = self._linear(Combine((m,)), (x,), x.scale, bits, name)
        multiple = Number(x.wire, x.scale + s, bits, coarsest)
        if grown > bits:
            GROWN.note(multiple, grown)
        return multiple

    def grown(self, x: Number) -> Number:
        """x in the bits that it has, if it is a public multiple of a number in the contract that is not in it itself."""
        bits = GROWN.of(x)
        return x if bits is None else replace(x, bits=max(x.bits, bits))

    def apart(self, x: Number, factor: float) -> tuple[float, Number]:
        """(r, 2^e x) with factor = r 2^e and 2 <= |r| < 4, or (1, x): the second is x at another scale.

        For factor f(x, ...) with a linear f: where that, or its half, is in the contract, f(2^e x, ...) is, which f(x, ...) or
        factor x may not be.
        """
        if factor == 1:
            return 1.0, x
        part, exponent = math.frexp(factor)
        up = 2 - exponent
        if -up > self.format.bits:
            raise OutOfRange(f"a factor of {factor:g}: numbers of this format are 0 or above it")
        return 4 * part, Number(x.wire, x.scale + up, x.bits, None if x.coarsest is None else x.coarsest + up)

    def times_public(self, x: Number, values: NDArray[np.float64], name: str = "mul") -> Number:
        """x times a public array, elementwise with broadcasting."""
        values = np.asarray(values, np.float64)
        if values.size == 1:
            x = self.expand(x, np.broadcast_shapes(x.shape, values.shape))
            return self.times(x, float(values.reshape(-1)[0]), name)
        shape = np.broadcast_shapes(x.shape, values.shape)
        return self.with_public(Elementwise(), self.expand(x, shape), np.broadcast_to(values, shape), False, 1, name)

    def with_public(
        self, form: Form, x: Number, values: NDArray[np.float64], left: bool, terms: int, name: str
    ) -> Number:
        """form(x, values), or form(values, x) if `left`, where an output sums `terms` products: no opening, no material.

        Every entry keeps 16 significant bits; or, where x would have to be truncated for that, so many that its product with
        any number as large as x may be is right to half a unit in the last place of the format.
        """
        values = np.asarray(values, np.float64)
        x, s, grow = self._factors(x, values, terms, name)
        sizes = np.abs(values[values != 0])
        bits, coarsest = self._grown(x, grow, s, (sizes.min(initial=math.inf), sizes.max(initial=0.0)), name)
        m, _ = integers(values, s)
        made = self._linear(With(form, fp.from_signed(m), left), (x,), x.scale + s, bits, name)
        return Number(made.wire, made.scale, bits, coarsest)

    def _factors(self, x: Number, values: NDArray[np.float64], terms: int, name: str) -> tuple[Number, int, int]:
        """x with room for its product with `values`, their scale, and the bits that x grows by."""
        finest, coarse, top = significant(values)
        more = log2(terms)
        if finest == coarse:  # one scale is as good as many
            grow = integers(values, coarse)[1] + more
            x = self._room(x, max(CAPACITY - grow, min(self.format.bits, CAPACITY - grow + more)))
            return x, coarse, grow
        beyond = x.beyond or top > self.format.integer
        above = x.bits - x.scale
        enough = max(coarse, self.format.fraction + above)
        room = CAPACITY - SPARE - x.bits - top - more
        if not beyond:
            room = max(room, CAPACITY - SPARE - self.format.integer - x.scale)
        scale = min(finest, max(enough, room))
        excess = x.bits + scale + top + more - CAPACITY
        if not beyond:
            excess = min(excess, x.scale + scale + self.format.integer - CAPACITY)
        if excess > max(0, x.scale - self._coarsest(x)) or scale + top > WIDEST:
            raise OutOfRange(spread_out(values, f"{name}: a public array"))
        return self._room(x, x.bits - excess), scale, scale + top + more

    def view(self, x: Number, map: LinearMap, name: str = "view") -> Number:
        moved = None
        if (mask := MASK.of(x)) is not None:
            moved = mask.along(self, map)
            if not moved.values.any():
                part: Number = moved.x
                return part
        number = self._linear(map, (x,), x.scale, x.bits, name)
        number.wire.views(map, x.wire)
        if moved is not None:
            MASK.note(number, moved)
        return number

    def reshape(self, x: Number, shape: Shape) -> Number:
        return x if shape == x.shape else self.view(x, Reshape(shape), "reshape")

    def expand(self, x: Number, shape: Shape) -> Number:
        return x if shape == x.shape else self.view(x, Expand(tuple(shape)), "expand")

    def permute(self, x: Number, axes: Sequence[int]) -> Number:
        return x if list(axes) == list(range(len(x.shape))) else self.view(x, Permute(tuple(axes)), "permute")

    def slice(self, x: Number, axis: int, start: int, stop: int, step: int = 1) -> Number:
        return self.view(x, Slice(axis, start, stop, step), "slice")

    def gather(self, x: Number, axis: int, indices: Sequence[int]) -> Number:
        """Rows of public `indices` along `axis`."""
        return self.view(x, Gather(axis, tuple(int(i) for i in indices)), "gather")

    def place(self, x: Number, axis: int, start: int, stop: int, step: int, size: int) -> Number:
        return self.view(x, Place(axis, start, stop, step, size), "place")

    def concat(self, numbers: Sequence[Number], axis: int) -> Number:
        """Pooled into one array, at one scale."""
        numbers = self._aligned(numbers, 0)
        scale = max(n.scale for n in numbers)
        lifted = [n if n.scale == scale else self.lift(n, scale) for n in numbers]
        return self._linear(Concat(axis), tuple(lifted), scale, max(n.bits for n in lifted), "concat")

    def sum(self, x: Number, axes: Sequence[int], keepdims: bool = False, bits: int | None = None) -> Number:
        """`bits`: what the caller knows of the sum's size; x is then not truncated."""
        axes = tuple(sorted(a % len(x.shape) for a in axes))
        if not axes:
            return x
        if bits is not None:
            return self._linear(Sum(axes, keepdims), (x,), x.scale, bits, "sum")
        x, bits = self._summable(x, fp.size([x.shape[a] for a in axes]), self._cap(x.scale, x.beyond))
        return self._linear(Sum(axes, keepdims), (x,), x.scale, bits, "sum")

    def mean(self, x: Number, axes: Sequence[int], keepdims: bool = False, name: str = "mean") -> Number:
        """The sum on the way to it may leave the contract, since the mean does not."""
        axes = tuple(sorted(a % len(x.shape) for a in axes))
        terms = fp.size([x.shape[a] for a in axes])
        x, bits = self._summable(x, terms)
        total = self._linear(Sum(axes, keepdims), (x,), x.scale, bits, name) if axes else x
        return self.times(total, 1 / max(terms, 1), name)

    def box_mean(self, x: Number, kernel: tuple[int, int], stride: tuple[int, int], divisor: int) -> Number:
        """Sums over windows, divided by `divisor`."""
        x, bits = self._summable(x, kernel[0] * kernel[1])
        return self.times(self._linear(BoxSum(kernel, stride), (x,), x.scale, bits, "pool"), 1 / divisor, "pool")

    def box_sum(self, x: Number, kernel: tuple[int, int], stride: tuple[int, int]) -> Number:
        """Sums over windows, on the way to a mean: these may leave the contract."""
        x, bits = self._summable(x, kernel[0] * kernel[1])
        return self._linear(BoxSum(kernel, stride), (x,), x.scale, bits, "pool")

    def box_spread(self, x: Number, kernel: tuple[int, int], stride: tuple[int, int], size: tuple[int, int]) -> Number:
        overlap = -(-kernel[0] // stride[0]) * -(-kernel[1] // stride[1])
        x, bits = self._summable(x, overlap, self._cap(x.scale, x.beyond))
        return self._linear(BoxSpread(kernel, stride, size), (x,), x.scale, bits, "pool")

    def lookup(self, bits: Number, values: Sequence[float], scale: int) -> Number:
        """values[k], rounded to `scale`, where the first k of the `bits` along the first axis are 1, and no other. Local.

        bits: shape (len(values) - 1, ...).
        """
        whole = [round(math.ldexp(v, scale)) for v in values]
        width = max(1, *(abs(v).bit_length() for v in whole))
        steps = self.contract(bits, [v - u for u, v in itertools.pairwise(whole)], scale, "lookup")
        return self._shifted(steps, whole[0], width, "lookup")

    def contract(self, x: Number, weights: Sequence[int], scale: int, name: str) -> Number:
        """sum_j weights[j] x[j] along the first axis, at `scale`: a part of a sum, of which alone the bits are stated."""
        steps = np.asarray([weights], np.int64)
        flat = self.reshape(x, (steps.size, fp.size(x.shape[1:])))
        row = self._linear(With(MatMul(), fp.from_signed(steps), True), (flat,), scale, 0, name)
        return self.reshape(row, x.shape[1:])

    def combine(
        self, terms: Sequence[tuple[float, Number]], constant: float, scale: int, bits: int, name: str
    ) -> Number:
        """sum of w x + constant at `scale`, for public weights w that are rounded to `scale` less that of x; one shape.

        `bits`: what the caller knows of the sum. Unlike `add` and `times`, this never truncates.
        """
        self._fits(bits, name)
        weights = tuple(round(math.ldexp(w, scale - x.scale)) for w, x in terms)
        total = self._linear(Combine(weights), tuple(x for _, x in terms), scale, bits, name)
        whole = round(math.ldexp(constant, scale))
        return self._shifted(total, whole, bits, name) if whole else total

    def multiple(self, x: Number, value: float, name: str = "mul") -> Number:
        """x times a public number, with all the bits that it has: on the way to something that is in the contract again."""
        m, s = constant(value)
        extra = m.bit_length() if abs(m) > 1 else 0
        x = self.truncate(x, x.bits + extra + 1 - CAPACITY)
        return self.combine([(value, x)], 0.0, x.scale + s, x.bits + extra, name) if m else self.times(x, 0.0)

    def _shifted(self, x: Number, whole: int, bits: int, name: str) -> Number:
        """x + whole units of its last place. `bits`: of the sum; nobody looks at those of x."""
        x.wire.bound = 0
        shift = np.full(x.shape, whole % fp.P, np.uint64)
        return self._number(self.engine.record(Shift(shift), (x.wire,), x.shape, name), x.scale, bits)

    # Products.

    def multiply(self, x: Number, y: Number, name: str = "mul", bits: int | None = None) -> Number:
        """x y, with broadcasting. `bits`: what the caller knows of the product's size; no operand is then truncated."""
        shape = np.broadcast_shapes(x.shape, y.shape)
        same = x.wire is y.wire
        x = self.expand(x, shape)
        y = Number(x.wire, y.scale, y.bits, y.coarsest) if same else self.expand(y, shape)
        if bits is None:
            return self.bilinear(Elementwise(), x, y, 1, name)
        self._fits(bits, name)
        wire = self.engine.record(Bilinear(Elementwise()), (x.wire, y.wire), shape, name)
        return self._number(wire, x.scale + y.scale, bits, self._joint(bits, x.scale + y.scale, x, y))

    def bilinear(
        self, form: Form, x: Number, y: Number, terms: int, name: str, again: bool = False, window: int = 1
    ) -> Number:
        """form(x, y), where each output sums `terms` products. Operands are truncated until it fits: a much smaller one alone if
        that is enough, since a truncation costs two openings of what is multiplied; else the wider first.

        Two more are truncated than must be, since it saves openings: an operand of an elementwise product that was not opened
        yet (a truncation opens it as well, and the product is narrower); and, where truncations cost little (`Source.late`), one
        that will be multiplied again (`again`: autograd keeps it for the backward pass) and is too wide to be multiplied by a
        number in the format.
        `window`: what comes out is a sum of so many values, on the way to their mean.
        """
        shape = form.shape(x.shape, y.shape)
        whole = form.elementwise and min(x.bits, y.bits) > 1  # a product with a bit is no wider than it was
        given = x, y
        x, y = self._narrow(x, whole, again), self._narrow(y, whole, again)
        x, y = self._smaller_narrower(x, y, self._product_bits(x, y, terms * window, window) - CAPACITY)
        while (bits := self._product_bits(x, y, terms * window, window)) > CAPACITY:
            wide = max((n.bits for n in (x, y) if self._excess(n) > 0), default=0)
            if wide:
                x, y = (self.rescale(n) if n.bits == wide else n for n in (x, y))
            elif (finest := max(x.scale, y.scale)) > self.format.fraction:
                scale = max(self.format.fraction, finest - (bits - CAPACITY))
                if x.scale == finest:  # finer than the format: small numbers
                    x = self.truncate(given[0], given[0].scale - scale)
                else:
                    y = self.truncate(given[1], given[1].scale - scale)
            else:
                self.within(y if y.beyond else x, name)
                raise OutOfRange(
                    f"{name} of shapes {x.shape} and {y.shape} needs {bits} bits, and the field holds {CAPACITY}: declare a "
                    f"format with fewer bits (now {self.format.fraction} + {self.format.integer})"
                )
        wire = self.engine.record(Bilinear(form), (x.wire, y.wire), shape, name)
        product = self._number(wire, x.scale + y.scale, bits, self._joint(bits - log2(window), x.scale + y.scale, x, y))
        wire.origin = (product.scale, Product(form, x, y))
        return product

    def _narrow(self, x: Number, elementwise: bool, again: bool) -> Number:
        # What is opened may be forgotten after a loss, and not at all parties between the same two lines of the script.
        unopened = elementwise and (self.engine.recovery is not None or not self.engine.protocol.is_open(x.wire))
        again = again and self.engine.protocol.late
        return self.rescale(x) if unopened or (again and x.bits + self.format.bits > CAPACITY) else x

    def _smaller_narrower(self, x: Number, y: Number, excess: int) -> tuple[Number, Number]:
        """x and y, of which a much smaller one is truncated as far as it may be, if that is enough."""
        small, large = (x, y) if fp.size(x.shape) <= fp.size(y.shape) else (y, x)
        drop = min(small.bits - self.format.bits + DEEPER, small.scale - self.format.fraction)
        if not 0 < excess <= drop or SMALLER * fp.size(small.shape) > fp.size(large.shape):
            return x, y
        narrow = self.truncate(small, min((d for d in self._truncations(small) if excess <= d <= drop), default=drop))
        return (narrow, y) if small is x else (x, narrow)

    def _product_bits(self, x: Number, y: Number, terms: int, window: int) -> int:
        """By the contract, or by the operands where it says nothing of one."""
        grown, cap = x.bits + y.bits + log2(terms), self._cap(x.scale + y.scale) + log2(window)
        return grown if x.beyond or y.beyond else min(grown, cap)


def _exact(values: NDArray[Any], scale: int) -> bool:
    scaled = np.ldexp(values, scale)
    return bool((np.rint(scaled) == scaled).all())
