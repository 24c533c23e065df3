"""Random programs of fixed-point operations: every value that stays inside the contract is right to a stated error.

The bounds follow `Arithmetic`: an operand may be truncated to the width of the format, and by NEAR bits more; a public number
keeps 16 significant bits; errors of operands carry over as the operation says.

What is refused, and what is not, follows the documentation: beside public factors of 2^integer or more the contract says nothing,
so that a result has all the bits that it needs. An operation is refused if these are more than the field holds, with operands
truncated as far as they may be, and only then.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import tacit
from tacit.errors import OutOfRange
from tacit.field import CAPACITY
from tacit.numbers import matrices
from tacit.numbers.array import SecretArray
from tacit.numbers.format import Format, constant
from tacit.numbers.indexing import indexed
from tacit.numbers.rescaling import NEAR, Number

FORMATS = [Format(), Format(14, 15), Format(8, 8), Format(20, 9)]
PROTOCOLS = ["clear", "spdz"]
SHAPES = [(3,), (2, 3), (1, 3), (2, 1), (), (1,), (0, 3)]
FACTORS = [0.3, -2.0, 0.5, 1e-3, 1 / 3, 7.0, 1e-5, 0.0, -1.0, 1024.0, 2.0**-20, 123.456, 1e-8, 1.0, 4096.0, 2.0**-40]
SIGNIFICANT = 2.0**-16
INPUTS, STEPS = 4, 25


@dataclass(frozen=True)
class Value:
    """A recorded number, what it should be, how far off it may be, and how it was made."""

    number: Number
    right: np.ndarray
    error: float
    how: str

    @property
    def largest(self):
        return magnitude(self.right)


@dataclass(frozen=True)
class Result:
    """The right values of an operation, their error, and how it is recorded.

    `reach`: the largest value on the way. `needs`: the bits of the result, if an operand is beyond the contract.
    """

    right: np.ndarray
    error: float
    record: Callable[[], Number]
    reach: float = 0.0
    needs: int = 0


class Program:
    """One random program in one session; all parties draw the same one from `seed`."""

    def __init__(self, session, seed):
        self.session, self.rng = session, np.random.default_rng(seed)
        self.arithmetic, self.format = session.arithmetic, session.options.format
        self.unit = 2.0**-self.format.fraction
        self.cut = 2**NEAR * self.unit
        """How far off a truncated operand may be."""
        self.values = [self.input(i) for i in range(INPUTS)]

    def input(self, index):
        shape = SHAPES[self.rng.integers(len(SHAPES) - (index < INPUTS - 1))]
        right = np.asarray(self.rng.normal(size=shape) * 2.0 ** self.rng.integers(-3, 4))
        owner = index % self.session.parties
        secret = self.session.secret(right if self.session.me == owner else None, owner=owner, shape=shape)
        return Value(secret.number, right, self.unit, f"input {shape}")

    def run(self):
        for _ in range(STEPS):
            name = list(OPERATIONS)[self.rng.integers(len(OPERATIONS))]
            i, j = self.pick(), self.pick()
            result = OPERATIONS[name](self, self.values[i], self.values[j])
            if result is not None and self.inside(result):
                if result.needs > CAPACITY:
                    with pytest.raises(OutOfRange):
                        result.record()
                    continue
                made = result.record()
                self.values.append(Value(made, result.right, result.error, f"{name}({i}, {j})"))

    def pick(self):
        """Mostly one of the last values, so that programs are deep."""
        count = len(self.values)
        return int(self.rng.integers(max(0, count - 6) if self.rng.random() < 0.7 else 0, count))

    def inside(self, result):
        reach = max(magnitude(result.right), result.reach)
        return reach + result.error < 2.0 ** (self.format.integer - 1) and result.error < 1

    def check(self):
        shown = self.session.reveal([SecretArray(self.arithmetic, v.number) for v in self.values])
        for index, (value, got) in enumerate(zip(self.values, shown, strict=True)):
            trail = [f"{k}: {v.how}" for k, v in enumerate(self.values[: index + 1])]
            assert 1 <= value.number.bits <= CAPACITY, trail
            assert np.shape(got) == value.right.shape, trail
            off = magnitude(got - value.right)
            assert off <= value.error * (1 + 1e-9), (off, value.error, trail)


def magnitude(values):
    return float(np.abs(values).max(initial=0.0))


# Bits of what is beyond the contract: 0 if nothing is.


def coarsest(p, n):
    """The scale below which a number is not truncated."""
    return min(n.scale, p.format.fraction if n.coarsest is None else n.coarsest)


def of_sum(p, *numbers):
    if not any(n.beyond for n in numbers):
        return 0
    scale = max(coarsest(p, n) for n in numbers)
    return max(n.bits + scale - n.scale for n in numbers) + 1


def of_product(p, x, y, terms=1):
    if not (x.beyond or y.beyond):
        return 0
    few = sum(n.bits + min(coarsest(p, n), p.format.fraction) - n.scale for n in (x, y))
    return few + (terms - 1).bit_length()


def of_multiple(p, x, factor):
    """By a public constant of 16 significant bits; a bit is left for a sum."""
    m, _ = constant(factor)
    if not x.beyond or abs(m) <= 1:
        return 0
    scale = min(x.scale, coarsest(p, x) + min(0, math.frexp(factor)[1]))
    return x.bits + scale - x.scale + m.bit_length() + 1


def of_total(p, x, terms):
    return x.bits + coarsest(p, x) - x.scale + (terms - 1).bit_length() if x.beyond else 0


# Operations: None where the shapes do not allow it.


def fits(x, y):
    try:
        return np.broadcast_shapes(x.right.shape, y.right.shape) is not None
    except ValueError:
        return False


def add(p, x, y, sign=1):
    if not fits(x, y):
        return None
    right = np.asarray(x.right + sign * y.right)
    record = partial(p.arithmetic.add, x.number, y.number, sign)
    return Result(right, x.error + y.error + 2 * p.cut, record, needs=of_sum(p, x.number, y.number))


def subtract(p, x, y):
    return add(p, x, y, -1)


def double(p, x, y):
    return add(p, x, x)


def cancel(p, x, y):
    return add(p, x, x, -1)


def product_error(p, x, y):
    """Of a product of two numbers, each of which may be truncated before."""
    e, f = x.error + p.cut, y.error + p.cut
    return e * y.largest + f * x.largest + e * f


def multiply(p, x, y):
    if not fits(x, y):
        return None
    right = np.asarray(x.right * y.right)
    record = partial(p.arithmetic.multiply, x.number, y.number)
    return Result(right, product_error(p, x, y), record, needs=of_product(p, x.number, y.number))


def square(p, x, y):
    return multiply(p, x, x)


def matmul(p, x, y):
    """With the own transpose if the shapes do not fit."""
    if x.right.ndim != 2:
        return None
    if y.right.ndim != 2 or x.right.shape[1] != y.right.shape[0]:
        y = Value(p.arithmetic.permute(x.number, (1, 0)), x.right.T, x.error, "")
    terms = x.right.shape[1]
    if 2 * p.format.bits + (terms - 1).bit_length() > CAPACITY:
        return None  # refused by design
    reach = magnitude(np.abs(x.right) @ np.abs(y.right))
    record = partial(matrices.matmul, p.arithmetic, x.number, y.number)
    needs = of_product(p, x.number, y.number, terms)
    return Result(x.right @ y.right, terms * product_error(p, x, y), record, reach, needs)


def scaled(p, x, right, factor, record, needs=0):
    """By public numbers of up to `factor`."""
    error = (x.error + p.cut) * factor + x.largest * factor * SIGNIFICANT
    return Result(np.asarray(right), error, record, needs=needs)


def times(p, x, y):
    factor = FACTORS[p.rng.integers(len(FACTORS))]
    needs = of_multiple(p, x.number, factor)
    return scaled(p, x, x.right * factor, abs(factor), partial(p.arithmetic.times, x.number, factor), needs)


def shift(p, x, y):
    factor = 2.0 ** p.rng.integers(-10, 10)
    return scaled(p, x, x.right * factor, factor, partial(p.arithmetic.times, x.number, factor))


def times_public(p, x, y):
    factors = p.rng.normal(size=x.right.shape) * 2.0 ** p.rng.integers(-8, 4)
    return scaled(p, x, x.right * factors, magnitude(factors), partial(p.arithmetic.times_public, x.number, factors))


def add_public(p, x, y):
    values = np.asarray(p.rng.normal(size=x.right.shape) * 2.0 ** p.rng.integers(-3, 4))
    record = partial(p.arithmetic.add_public, x.number, values)
    return Result(np.asarray(x.right + values), x.error + p.cut + p.unit, record, magnitude(values))


def total(p, x, y):
    if not x.right.ndim:
        return None
    axis = int(p.rng.integers(x.right.ndim))
    error = (x.error + p.cut) * x.right.shape[axis]
    reach = magnitude(np.abs(x.right).sum(axis))
    needs = of_total(p, x.number, x.right.shape[axis])
    return Result(np.asarray(x.right.sum(axis)), error, partial(p.arithmetic.sum, x.number, (axis,)), reach, needs)


def mean(p, x, y):
    if not x.right.ndim or not x.right.size:
        return None
    axis = int(p.rng.integers(x.right.ndim))
    error = x.error + 2 * p.cut + x.largest * SIGNIFICANT
    return Result(np.asarray(x.right.mean(axis)), error, partial(p.arithmetic.mean, x.number, (axis,)))


def rounded(p, x, y):
    return Result(x.right, x.error + p.cut, partial(p.arithmetic.rescale, x.number))


def placed(p, x, y):
    """As a place in memory keeps it: at a scale of its own."""
    return Result(x.right, x.error + p.unit, partial(p.arithmetic.like, x.number, p.format.fraction))


def negate(p, x, y):
    return Result(-x.right, x.error, partial(p.arithmetic.negate, x.number))


def transpose(p, x, y):
    axes = tuple(reversed(range(x.right.ndim)))
    return Result(x.right.T, x.error, partial(p.arithmetic.permute, x.number, axes))


def row(p, x, y):
    if not x.right.ndim or not x.right.shape[0]:
        return None
    index = int(p.rng.integers(x.right.shape[0]))
    return Result(np.asarray(x.right[index]), x.error, partial(indexed, p.arithmetic, x.number, index))


def repeat(p, x, y):
    shape = (2, *x.right.shape)
    if len(shape) > 4:
        return None
    return Result(np.broadcast_to(x.right, shape), x.error, partial(p.arithmetic.expand, x.number, shape))


def join(p, x, y):
    if not x.right.ndim or x.right.ndim != y.right.ndim or x.right.shape[1:] != y.right.shape[1:]:
        return None
    right = np.concatenate([x.right, y.right])
    return Result(right, max(x.error, y.error) + p.cut, partial(p.arithmetic.concat, [x.number, y.number], 0))


def force(p, x, y):
    """What was recorded so far becomes one graph, what follows another."""
    p.session.engine.force(x.number.wire)


OPERATIONS = {
    f.__name__: f
    for f in (
        *(add, subtract, double, cancel, multiply, square, matmul, times, shift, times_public, add_public),
        *(total, mean, rounded, placed, negate, transpose, row, repeat, join, force),
    )
}


def check(seeds, format, protocol):
    for seed in seeds:

        def work(session, seed=seed):
            program = Program(session, seed)
            program.run()
            program.check()

        try:
            tacit.run(work, parties=2, protocol=protocol, format=format, backend="numpy", timeout=20)
        except Exception as error:
            error.add_note(f"program {seed}, {format}, {protocol}")
            raise


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_random_programs(format, protocol):
    check(range(120), format, protocol)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_many_random_programs(format, protocol):
    check(range(1000, 3000), format, protocol)
