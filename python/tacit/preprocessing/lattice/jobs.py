"""How each request is made of batches. A job is a generator: it is sent a batch, says what it needs of it, and yields; when it is
sent the next one, the former has run. Nothing is used before all of them are checked (`sigmas`).

    bit:        a uniform, s = a^2 public;  b = (a / sqrt(s) + 1) / 2            (where s = 0, another a is drawn)
    r:          sum_j b_j 2^j M + sum_i rho_i, rho_i of party i: its quotient and remainder by the divisor, each proved to be
                below its bound (`parts`), so that rho_i is below the next multiple of the divisor, or 2^-19 more
    edabits:    r = sum of 61 bits; t = u (r >> 21 - (2^40 - 1)) is opened, u random: where t = 0, r may be p or more, a chance of
                2^-40, and is drawn again
    products:   the encrypted operand must be uniform and unopened, in forms that are not elementwise the other one too
Products of neighbouring bits of an r are made of the a's, before their squares are known: a bit itself is not uniform.
"""

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit import _core, field
from tacit.correlations.requests import LENGTH, Material
from tacit.field import Field, P, size
from tacit.graph.maps import Shape
from tacit.preprocessing.lattice.batch import Batch
from tacit.preprocessing.lattice.forms import Way
from tacit.preprocessing.lattice.link import Link
from tacit.preprocessing.lattice.shared import Shared
from tacit.preprocessing.lattice.sigmas import CheckFailed
from tacit.protocols.gadgets.truncation import Rounding

Job = Generator[None, Batch, None]
Next = Generator[None, Batch, Batch]
"""A part of a job: returns the batch that runs next."""
HALF = (P + 1) // 2
LOW = 21
"""Low bits: a number of 61 bits that is p = 2^61 - 2^21 + 1 or more has ones in all bits above these."""


class Target:
    """The shares that a request is to get: `count` of a shape, filled piece by piece."""

    def __init__(self, shape: Shape, count: int) -> None:
        self.shape = shape
        self.shares = [Shared(np.empty(size(shape), np.uint64), np.empty(size(shape), np.uint64)) for _ in range(count)]
        self.clear: Field | None = None

    def put(self, place: int, here: slice, given: Shared) -> None:
        to = self.shares[place]
        to.value[here], to.mac[here] = given.value, given.mac

    def material(self) -> Material:
        shares = tuple((s.value.reshape(self.shape), s.mac.reshape(self.shape)) for s in self.shares)
        return Material(shares, None if self.clear is None else self.clear.reshape(self.shape))


def mask(target: Target, here: slice) -> Job:
    batch = yield
    made = batch.joint(here.stop - here.start)
    yield
    target.put(0, here, made)


def input_mask(target: Target, link: Link, owner: int, here: slice) -> Job:
    batch = yield
    count = here.stop - here.start
    value = link.random.field(count) if owner == link.me else None
    made = batch.owned(owner, count, value)
    yield
    target.put(0, here, made)
    if value is not None:
        if target.clear is None:
            target.clear = np.empty(size(target.shape), np.uint64)
        target.clear[here] = value


class Bits:
    """`digits` random bits for each of `count` places, and the products of those in `pairs` (of the higher and the lower)."""

    def __init__(self, batch: Batch, count: int, digits: int, pairs: Sequence[tuple[int, int]] = ()) -> None:
        self._link, self._digits, self._pairs = batch.link, digits, pairs
        below: dict[int, list[int]] = {}
        for high, low in pairs:
            below.setdefault(high, []).append(low)
        alone = {j: batch.squared(count) for j in range(digits) if j not in below}
        self._a = [alone[j][0] if j in alone else batch.joint(count) for j in range(digits)]
        self._made = []
        self._products: dict[tuple[int, int], Shared] = {}
        for j, a in enumerate(self._a):
            if j in alone:
                self._made.append(alone[j][1])
                continue
            square, *others = batch.elementwise(a, [a, *(self._a[k] for k in below[j])], public=True)
            self._made.append(square)
            self._products |= {(j, k): product for k, product in zip(below[j], others, strict=True)}

    def finish(self, batch: Batch) -> Next:
        """Once its batch has run: `bits`, and `products` by pair. A place of which a square is 0 is drawn again, in `batch`."""
        void = np.flatnonzero(np.any([_void(square.value) for square in self._made], axis=0))
        self._signed(void)
        if void.size:
            more = Bits(batch, void.size, self._digits, self._pairs)
            batch = yield
            batch = yield from more.finish(batch)
            self.replace(void, more, slice(None))
        return batch

    def replace(self, places: NDArray[np.int64], other: "Bits", chosen: Any) -> None:
        """The bits of some places by others, and their products."""
        by_pair = [(p, other.products[pair]) for pair, p in self.products.items()]
        for to, given in [*zip(self.bits, other.bits, strict=True), *by_pair]:
            to.value[places], to.mac[places] = given.value[chosen], given.mac[chosen]

    def _signed(self, void: NDArray[np.int64]) -> None:
        for square in self._made:
            if void.size:
                square.value = square.value.copy()
                square.value[void] = 1
        try:
            signs = [_core.rsqrt(square.value) for square in self._made]
        except ValueError:
            raise CheckFailed("a square that was opened for a random bit is none") from None
        halves = [field.scale(k, HALF) for k in signs]
        self.bits = [_shifted(self._link, _times(k, a), HALF) for k, a in zip(halves, self._a, strict=True)]
        # b_1 b_0 = k_1 k_0 a_1 a_0 + (b_1 + b_0) / 2 - 1/4, with k a = b - 1/2
        quarter = HALF * HALF % P
        self.products = {
            (j, k): _shifted(
                self._link,
                combined([(1, _times(field.mul(halves[j], halves[k]), c)), (HALF, self.bits[j]), (HALF, self.bits[k])]),
                P - quarter,
            )
            for (j, k), c in self._products.items()
        }


def bits(target: Target, here: slice) -> Job:
    batch = yield
    made = Bits(batch, here.stop - here.start, 1)
    batch = yield
    yield from made.finish(batch)
    target.put(0, here, made.bits[0])


class Rounded:
    """r of `digits` known bits and a rho of each party, and its quotient by `divisor` if that is not 1."""

    def __init__(
        self, batch: Batch, count: int, digits: int, divisor: int, pairs: Sequence[tuple[int, int]] = ()
    ) -> None:
        link, unit = batch.link, (P - 1) >> digits
        self._digits, self._divisor = digits, divisor
        self.made = Bits(batch, count, digits, pairs)
        self._parts: list[tuple[int, Shared]] = []
        for owner in range(link.parties):
            rho = link.random.below(count, unit) if owner == link.me else np.zeros(count, np.uint64)
            high = _core.divide(rho, divisor)
            low = rho - high * np.uint64(divisor)
            split = [
                *(parts(low, min(unit, divisor)) if divisor > 1 else ()),
                *((weight * divisor, width, x) for weight, width, x in parts(high, -(-unit // divisor))),
            ]
            self._parts += [(weight, batch.below(owner, count, width, x)) for weight, width, x in split]

    def finish(self, batch: Batch) -> Next:
        """Once its batch has run: `r` and `high`."""
        batch = yield from self.made.finish(batch)
        unit = (P - 1) >> self._digits
        known = list(enumerate(self.made.bits))
        self.r = combined([(unit << j, b) for j, b in known] + self._parts)
        if self._divisor > 1:
            weights = Rounding(self._divisor, self._digits, 2).weights
            above = [(weight // self._divisor, x) for weight, x in self._parts if weight >= self._divisor]
            self.high = combined([(weights[j], b) for j, b in known] + above)
        self._parts = []
        return batch


def parts(values: Field, bound: int) -> list[tuple[int, int, Field]]:
    """(weight, width, part): `values`, below `bound`, are the sum of weighted parts of so many bits each.

    Whatever the parts are, the sum is below the bound, or 2^-19 of it more.
    """
    width = (bound - 1).bit_length()
    if width == 0:
        return []
    if (1 << width) - bound <= bound >> 19:
        return [(1, width, values)]
    last = bound - (1 << (width - 1))
    top = (values >= np.uint64(1 << (width - 1))).astype(np.uint64)
    return [(1, width - 1, values - top * np.uint64(last)), (last, 1, top)]


def truncation(target: Target, digits: int, divisor: int, here: slice) -> Job:
    batch = yield
    made = Rounded(batch, here.stop - here.start, digits, divisor)
    batch = yield
    yield from made.finish(batch)
    for place, share in enumerate((made.r, made.made.bits[-1], made.high)):
        target.put(place, here, share)


Pairs = dict[tuple[int, int], list[Target]]
"""Products of bits of a request that are wanted with it, by the bits' numbers."""


def comparison(target: Target, digits: int, divisor: int, pairs: Pairs, here: slice) -> Job:
    batch = yield
    made = Rounded(batch, here.stop - here.start, digits, divisor, list(pairs))
    batch = yield
    yield from made.finish(batch)
    shares = [made.r, *made.made.bits, *([made.made.bits[-1], made.high] if divisor > 1 else [])]
    for place, share in enumerate(shares):
        target.put(place, here, share)
    _give(made.made, pairs, here)


def edabits(target: Target, link: Link, wanted: int, pairs: Pairs, here: slice) -> Job:
    batch = yield
    count = here.stop - here.start
    made = Bits(batch, count, LENGTH, list(pairs))
    batch = yield
    batch = yield from made.finish(batch)
    places, drawn = np.arange(count), made
    while places.size:
        top = combined([(1 << (j - LOW), drawn.bits[j]) for j in range(LOW, LENGTH)])
        last = _shifted(link, top, P + 1 - (1 << (LENGTH - LOW)))
        (tested,) = batch.elementwise(batch.joint(places.size), [last], public=True)
        batch = yield
        below = tested.value != 0
        if drawn is not made:
            made.replace(places[below], drawn, below)
        places = places[~below]
        if places.size:
            drawn = Bits(batch, places.size, LENGTH, list(pairs))
            batch = yield
            batch = yield from drawn.finish(batch)
    target.put(0, here, combined([(1 << j, b) for j, b in enumerate(made.bits)]))
    for place, bit in enumerate(made.bits[LENGTH - wanted :], 1):
        target.put(place, here, bit)
    _give(made, pairs, here)


def products(targets: Sequence[Target], e: Shared, fs: Sequence[Shared], here: slice) -> Job:
    """e f for each f, elementwise; e is uniform and unopened."""
    batch = yield
    made = batch.elementwise(part(e, here), [part(f, here) for f in fs])
    yield
    for target, product in zip(targets, made, strict=True):
        target.put(0, here, product)


def forms(way: Way, places: Sequence[Shared], es: Sequence[Shared], f: Shared) -> Job:
    """f(E, F) for each E, all uniform and unopened, F too: one form of all E side by side along their free axis.

    `way` is that of one; `places`: where each product goes, of its shape.
    """
    batch = yield
    made = batch.form(way.joined(len(es)), way.side_by_side([e.value for e in es], [e.mac for e in es]), f)
    yield
    for place, product in zip(places, way.apart(made, len(es)), strict=True):
        for to, component in ((place.value, product.value), (place.mac, product.mac)):
            to[...] = component.reshape(to.shape)


# Shares.


def part(s: Shared, here: slice) -> Shared:
    return Shared(s.value[here], s.mac[here])


def combined(terms: Sequence[tuple[int, Shared]]) -> Shared:
    """sum of k x"""
    total: Shared | None = None
    for k, s in terms:
        value, mac = field.scale(s.value, k), field.scale(s.mac, k)
        total = (
            Shared(value, mac) if total is None else Shared(field.add(total.value, value), field.add(total.mac, mac))
        )
    assert total is not None
    return total


def _void(squares: Field) -> NDArray[np.bool_]:
    """The places of squares by whose roots one cannot divide."""
    return squares == 0


def _times(public: Field, s: Shared) -> Shared:
    return Shared(field.mul(public, s.value), field.mul(public, s.mac))


def _shifted(link: Link, s: Shared, constant: int) -> Shared:
    """s + constant"""
    value = _core.add_scalar(s.value, constant % P) if link.me == 0 else s.value
    return Shared(value, _core.add_scalar(s.mac, link.alpha * constant % P))


def _give(made: Bits, pairs: Pairs, here: slice) -> None:
    for pair, targets in pairs.items():
        for target in targets:
            target.put(0, here, made.products[pair])
